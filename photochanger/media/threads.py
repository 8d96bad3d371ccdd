"""The few threads in which pictures are worked on, given out by priority."""

import itertools
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

from photochanger.domain.recent import Recent

T = TypeVar("T")


class Priority(IntEnum):
    """What goes first when all threads are taken: what a waiting booth gets soonest."""

    VERIFY = 0
    LAST_RESORT = 1
    NORMALISE = 2
    LATE = 3
    PREVIEW = 4


@dataclass(frozen=True, slots=True)
class PictureThreadsState:
    """A moment's numbers. `queued` is by priority."""

    workers: int
    running: int
    queued: dict[Priority, int]


class PictureThreads:
    """Runs at most `workers` picture functions at once; equal priorities are served in order of arrival.

    More threads than cores would only add memory: libvips releases the GIL and keeps a core busy by itself. And no
    kind of work takes them all: one is left for the others, so that no verification waits behind large photos, and
    pictures of a rush are finished one after the other rather than all at the same late moment. Fifteen booths at
    once on two cores, photos per second against all threads for everyone: 1.25.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or max(2, os.cpu_count() or 1)
        self.per_kind = max(1, self.workers - 1)
        self._running: Counter[Priority] = Counter()
        self._queue: list[tuple[Priority, int, Task]] = []
        self._arrivals = itertools.count()
        self._limiter = trio.CapacityLimiter(self.workers)
        self._took = {priority: Recent(0.0) for priority in Priority}

    async def run(self, priority: Priority, function: Callable[..., T], *args: object) -> T:
        """`function(*args)` in a picture thread.

        Cancelled while queued, it leaves at once and the function never runs. Once the function runs it is waited
        for, because a thread cannot be interrupted and whoever cleans up must know that no file appears any more;
        the pixel limit of the probe bounds that wait.
        """
        await self._take_turn(priority)
        started = trio.current_time()
        try:
            result = await trio.to_thread.run_sync(function, *args, limiter=self._limiter)
            self._took[priority].add(trio.current_time() - started)
            return result
        finally:
            self._pass_on(priority)

    def usual(self, priority: Priority) -> float:
        """Seconds that nine of ten pieces of this work did not exceed lately, without queueing; 0 before the first."""
        return self._took[priority].p90

    def state(self) -> PictureThreadsState:
        """How busy the threads are; the wait ahead of a verification can be estimated from it."""
        queued = dict.fromkeys(Priority, 0)
        for priority, _, _ in self._queue:
            queued[priority] += 1
        return PictureThreadsState(self.workers, self._running.total(), queued)

    async def _take_turn(self, priority: Priority) -> None:
        """Until this task holds a turn: a free one, or one that `_pass_on` hands it.

        Trio cancels only tasks that were not handed one yet, so a turn is never lost on the way. Whoever waits in
        the queue could not be given a turn, so a newcomer who can overtakes nobody.
        """
        if self._may_start(priority):
            self._running[priority] += 1
            return
        entry = (priority, next(self._arrivals), current_task())
        self._queue.append(entry)

        def leave(_: RaiseCancelT) -> Abort:
            self._queue.remove(entry)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(leave)

    def _pass_on(self, priority: Priority) -> None:
        """Give the turn back, and turns to those who may have them now, the most urgent first."""
        self._running[priority] -= 1
        for entry in sorted(self._queue, key=lambda entry: entry[:2]):
            if self._may_start(entry[0]):
                self._queue.remove(entry)
                self._running[entry[0]] += 1
                reschedule(entry[2])

    def _may_start(self, priority: Priority) -> bool:
        return self._running.total() < self.workers and self._running[priority] < self.per_kind
