"""The reply cell: where a job leaves its answer, and where those who wait for it come and go."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from photochanger.domain.job import ReplyKind
from photochanger.domain.reasons import REASONS, Reason

SETTLING_GRACE = 0.3
"""Seconds past the deadline that a booth still waits for a picture whose rows are being written right now."""


@dataclass(frozen=True, slots=True)
class PictureReply:
    """A picture for the booth: a whole file that stays, or `data` where the disk could not keep it."""

    kind: ReplyKind
    path: Path
    mime: str
    size: int
    width: int
    height: int
    data: bytes | None = None

    @property
    def status(self) -> int:
        """The HTTP status that this reply has."""
        return 200


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """No picture, and why."""

    reason: Reason
    retry_after: int | None = None

    @property
    def kind(self) -> ReplyKind:
        """What the booth got."""
        return ReplyKind.ERROR

    @property
    def status(self) -> int:
        """The HTTP status that this reply has."""
        return REASONS[self.reason].status


Reply = PictureReply | ErrorReply


class ReplyCell:
    """Resolved once by the job; read by any number of waiters, each with its own deadline.

    A waiter that leaves before the answer counts: when the last one has gone, `on_abandoned` is called.
    All methods but `wait` are synchronous and never block.
    """

    def __init__(self) -> None:
        self._reply: Reply | None = None
        self._delivered: Reply | None = None
        self._ready = trio.Event()
        self._waiters = 0
        self.settling = False
        self.on_abandoned: Callable[[], object] = lambda: None

    def outlook(self, intended: Reply) -> Reply | None:
        """What the booth has got, or will get if `intended` is left now; None when nobody was there to get it."""
        return self._delivered or (intended if self._waiters else None)

    def join(self) -> None:
        """One waiter more."""
        self._waiters += 1

    def leave(self, got: Reply | None) -> None:
        """One waiter fewer; `got` is what it answers its client with, None when its client has gone."""
        self._waiters -= 1
        if got is not None and not isinstance(self._delivered, PictureReply):
            self._delivered = got
        if self._waiters == 0 and self._reply is None:
            self.on_abandoned()

    def resolve(self, reply: Reply) -> None:
        """Leave the answer; the first one stays."""
        if self._reply is None:
            self._reply = reply
            self._ready.set()

    async def wait(self, deadline: float) -> Reply:
        """The job's answer, or `provider_timeout` when `deadline` (of Trio's clock) comes first."""
        with trio.move_on_at(deadline):
            await self._ready.wait()
        if self._reply is None and self.settling:
            with trio.move_on_at(deadline + SETTLING_GRACE):
                await self._ready.wait()
        return self._reply or ErrorReply(Reason.PROVIDER_TIMEOUT)
