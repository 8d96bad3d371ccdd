"""The reply cell: where a job leaves its answer, and where those who wait for it come and go."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import trio

from photochanger.domain.job import ReplyKind
from photochanger.domain.reasons import REASONS, Reason

SETTLING_GRACE = 0.3
"""Seconds past the deadline that a booth still waits for a picture whose rows are being written right now."""


@dataclass(frozen=True, slots=True)
class PictureReply:
    """A picture for the booth: a whole file that stays, or `data` where the disk could not keep it.

    `stand_in` tells a last resort from what was asked for: its file goes with the job, and it may be followed by
    the real picture under the same link.
    """

    kind: ReplyKind
    path: Path
    mime: str
    size: int
    width: int
    height: int
    data: bytes | None = None
    stand_in: bool = False

    @property
    def status(self) -> int:
        """The HTTP status that this reply has."""
        return 200


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """No picture, and why; `result_url` is where there may be one later."""

    reason: Reason
    retry_after: int | None = None
    result_url: str | None = None

    @property
    def kind(self) -> ReplyKind:
        """What the booth got."""
        return ReplyKind.ERROR

    @property
    def status(self) -> int:
        """The HTTP status that this reply has."""
        return REASONS[self.reason].status


Reply = PictureReply | ErrorReply


class Waiter:
    """One request that waits, until `deadline` of Trio's clock."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.reply: Reply | None = None
        self.answered = trio.Event()

    def answer(self, reply: Reply) -> None:
        """Leave the reply; the first one stays."""
        if self.reply is None:
            self.reply = reply
            self.answered.set()


class ReplyCell:
    """Resolved once by the job; read by any number of waiters, each with its own deadline.

    When the last one who is still unanswered has gone, or has been given a last resort, `on_abandoned` is called; when
    the first one has been told 504 while there is no answer yet, `on_told_504`, before it.
    All methods but the two that begin with `wait` are synchronous and never block.
    """

    def __init__(self) -> None:
        self._reply: Reply | None = None
        self._delivered: Reply | None = None
        self._told_504 = False
        self._present: set[Waiter] = set()
        self._held = 0
        self._empty = trio.Event()
        self._empty.set()
        self.settling = False
        self.meanwhile = Reason.PROVIDER_TIMEOUT
        """What those are told whose time runs out before there is an answer."""
        self.on_abandoned: Callable[[], object] = lambda: None
        self.on_told_504: Callable[[], object] = lambda: None

    @property
    def resolved(self) -> Reply | None:
        """The job's answer, once there is one."""
        return self._reply

    @property
    def deadlines(self) -> list[float]:
        """Those of the waiters that have no answer yet, the earliest first."""
        return sorted(waiter.deadline for waiter in self._unanswered())

    def outlook(self, intended: Reply) -> Reply | None:
        """The best that a booth has got, or will get if `intended` is left now; None when nobody is there for it."""
        replies = [waiter.reply or intended for waiter in self._present]
        if self._delivered is not None:
            replies.append(self._delivered)
        return max(replies, key=_worth, default=None)

    def told_504(self, intended: Reply) -> bool:
        """Whether a booth has got 504, or will if `intended` is left now; whatever the others get."""
        return self._told_504 or any(_is_504(waiter.reply or intended) for waiter in self._present)

    @property
    def given(self) -> Reply | None:
        """The best that a booth has got; None while none has got anything."""
        replies = [waiter.reply for waiter in self._present if waiter.reply is not None]
        return max((self._delivered, *replies), key=_worth)

    def join(self, deadline: float) -> Waiter:
        """One waiter more."""
        waiter = Waiter(deadline)
        self._present.add(waiter)
        self._somebody_is_there()
        if self._reply is not None:
            waiter.answer(self._reply)
        return waiter

    def leave(self, waiter: Waiter, got: Reply | None) -> None:
        """One waiter fewer; `got` is what its client is answered with, None when the client has gone."""
        self._present.remove(waiter)
        if got is not None and _worth(got) > _worth(self._delivered):
            self._delivered = got
        if got is not None and _is_504(got) and not self._told_504:
            self._told_504 = True
            if self._reply is None:
                self.on_told_504()
        self._look_if_empty()
        if waiter.reply is None:
            self._look_round()

    def hold(self) -> Callable[[], None]:
        """A last resort is being sent: the job's files must stay until what is returned has been called."""
        self._held += 1
        self._somebody_is_there()
        return self._release

    def answer_due(self, moment: float, reply: Reply) -> int:
        """Answer those whose deadline is not after `moment` with a last resort; how many there were."""
        due = [waiter for waiter in self._unanswered() if waiter.deadline <= moment]
        for waiter in due:
            waiter.answer(reply)
        if due:
            self._look_round()
        return len(due)

    def resolve(self, reply: Reply) -> None:
        """Leave the answer; the first one stays."""
        if self._reply is None:
            self._reply = reply
            for waiter in self._present:
                waiter.answer(reply)

    async def wait(self, waiter: Waiter) -> Reply:
        """The waiter's answer, or `meanwhile` when its deadline comes first."""
        with trio.move_on_at(waiter.deadline):
            await waiter.answered.wait()
        if waiter.reply is None and self.settling:
            with trio.move_on_at(waiter.deadline + SETTLING_GRACE):
                await waiter.answered.wait()
        return waiter.reply or ErrorReply(self.meanwhile)

    async def attend(self, waiter: Waiter) -> Reply:
        """`wait`, then `leave`, whatever happens: the whole visit of one who reads the answer and no file of it."""
        got: Reply | None = None
        try:
            got = await self.wait(waiter)
        finally:
            self.leave(waiter, got)
        return got

    async def wait_until_all_left(self) -> None:
        """Return when nobody is there who may still need a file of the job's."""
        while self._present or self._held:
            await self._empty.wait()

    def _unanswered(self) -> Iterator[Waiter]:
        return (waiter for waiter in self._present if waiter.reply is None)

    def _release(self) -> None:
        self._held -= 1
        self._look_if_empty()

    def _somebody_is_there(self) -> None:
        if self._empty.is_set():  # not replaced while somebody waits on it
            self._empty = trio.Event()

    def _look_if_empty(self) -> None:
        if not self._present and not self._held:
            self._empty.set()

    def _look_round(self) -> None:
        if self._reply is None and next(self._unanswered(), None) is None:
            self.on_abandoned()


def _is_504(reply: Reply) -> bool:
    return reply.status == 504


def _worth(reply: Reply | None) -> int:
    match reply:
        case None:
            return 0
        case ErrorReply():
            return 1
        case PictureReply(stand_in=True):
            return 2
        case _:
            return 3
