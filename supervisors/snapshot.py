"""The live tree as immutable values, for metrics, an API, a page. `dataclasses.asdict` makes it JSON."""

from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal[
    "waiting",  # its turn to start has not come yet
    "starting",  # runs, has not said started
    "running",
    "backoff",  # crashed, will be started again
    "parked",  # crashed too often, will be started again slowly
    "stopping",  # told to leave (or its start was given up), still there
    "stopped",  # left because it was told to
    "finished",  # left by itself, stays down
    "failed",  # crashed, stays down
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxStatistics:
    """`depth` messages wait of at most `capacity`; `peak` is the largest depth so far; waiters are tasks."""

    name: str
    depth: int
    capacity: int
    peak: int
    waiting_receivers: int
    waiting_senders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One child, or a supervisor with its children.

    `since` is Trio's clock when the state began (None: nothing happened yet), `age` the seconds in it. `parked` stays
    true over the trial runs of a parked child until one of them was long enough. `overdue`: told to leave longer than
    its grace ago and still there.
    """

    name: str
    kind: Literal["worker", "supervisor"]
    state: State
    since: float | None
    age: float
    restarts: int
    last_error: str
    parked: bool
    overdue: bool
    mailboxes: tuple[MailboxStatistics, ...]
    children: tuple["Snapshot", ...]


class HasSnapshot(Protocol):
    """A supervisor, as far as a child that contains one needs to know."""

    def snapshot(self) -> Snapshot:
        """The state of it and of everything beneath."""


class HasStatistics(Protocol):
    """A mailbox, or an admission, as far as the tree shows it."""

    def statistics(self) -> MailboxStatistics:
        """Depth, capacity, waiters."""
