"""The few threads in which pictures are worked on, given out by priority."""

import heapq
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

T = TypeVar("T")


class Priority(IntEnum):
    """What goes first when all threads are taken: what a waiting booth gets soonest."""

    VERIFY = 0
    LAST_RESORT = 1
    NORMALISE = 2
    PREVIEW = 3


@dataclass(frozen=True, slots=True)
class PictureThreadsState:
    """A moment's numbers. `queued` is by priority."""

    workers: int
    running: int
    queued: dict[Priority, int]


class PictureThreads:
    """Runs at most `workers` picture functions at once; equal priorities are served in order of arrival.

    More threads than cores would only add memory: libvips releases the GIL and keeps a core busy by itself.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or max(2, os.cpu_count() or 1)
        self._free = self.workers
        self._queue: list[tuple[Priority, int, Task]] = []
        self._arrivals = itertools.count()
        self._limiter = trio.CapacityLimiter(self.workers)

    async def run(self, priority: Priority, function: Callable[..., T], *args: object) -> T:
        """`function(*args)` in a picture thread.

        Cancelled while queued, it leaves at once and the function never runs. Once the function runs it is waited
        for, because a thread cannot be interrupted and whoever cleans up must know that no file appears any more;
        the pixel limit of the probe bounds that wait.
        """
        await self._take_turn(priority)
        try:
            return await trio.to_thread.run_sync(function, *args, limiter=self._limiter)
        finally:
            self._pass_on()

    def state(self) -> PictureThreadsState:
        """How busy the threads are; the wait ahead of a verification can be estimated from it."""
        queued = dict.fromkeys(Priority, 0)
        for priority, _, _ in self._queue:
            queued[priority] += 1
        return PictureThreadsState(self.workers, self.workers - self._free, queued)

    async def _take_turn(self, priority: Priority) -> None:
        """Until this task holds a turn: a free one, or one that `_pass_on` hands it.

        Trio cancels only tasks that were not handed one yet, so a turn is never lost on the way.
        """
        if self._free:
            self._free -= 1
            return
        entry = (priority, next(self._arrivals), current_task())
        heapq.heappush(self._queue, entry)

        def leave(_: RaiseCancelT) -> Abort:
            self._queue.remove(entry)
            heapq.heapify(self._queue)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(leave)

    def _pass_on(self) -> None:
        """Give the turn to whoever is first in the queue, or back."""
        if self._queue:
            _, _, task = heapq.heappop(self._queue)
            reschedule(task)
        else:
            self._free += 1
