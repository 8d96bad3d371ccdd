"""What a supervisor is told about a child."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Protocol

import trio

from supervisors.snapshot import HasSnapshot, HasStatistics

Restart = Literal["permanent", "transient", "temporary"]


class Run(Protocol):
    """A child's body. It says `task_status.started()` once it is ready, and its cancellation is its end."""

    async def __call__(self, *, task_status: trio.TaskStatus[Any]) -> object:
        """Run until finished, told to stop, or cancelled."""


@dataclass(frozen=True)
class Child:
    """One child of a supervisor.

    `restart`: a permanent child is always started again, a transient one only when it crashed, a temporary one never.
    `start_timeout`: seconds in which it must say started.
    `request_stop`: sync; asks the running child to leave by itself, after `grace` seconds it is cancelled. Without it
    the child is cancelled at once, and `grace` is how long until it shows as overdue. (A Trio task cannot be abandoned:
    either way the supervisor waits until it has gone.) A child that is still starting is cancelled at once.
    `park`: when it crashes too often it is parked alone (retried slowly), instead of taking its supervisor down;
    `on_parked` is then called with the crash. Only under one_for_one.
    `mailboxes`: shown in the snapshot. They belong to whoever built the tree, so a restart loses no message.
    `supervisor`: the Supervisor whose `run` this child is, for the snapshot.
    """

    name: str
    run: Run
    _: KW_ONLY
    restart: Restart = "permanent"
    start_timeout: float = 30.0
    grace: float = 5.0
    request_stop: Callable[[], object] | None = None
    park: bool = False
    on_parked: Callable[[BaseException], object] | None = None
    mailboxes: Sequence[HasStatistics] = ()
    supervisor: HasSnapshot | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a child needs a name")
        if not self.start_timeout > 0:
            raise ValueError(f"{self.name}: start_timeout must be positive, not {self.start_timeout}")
        if not self.grace >= 0:
            raise ValueError(f"{self.name}: grace must not be negative, not {self.grace}")
        if self.restart not in ("permanent", "transient", "temporary"):
            raise ValueError(f"{self.name}: unknown restart {self.restart!r}")
