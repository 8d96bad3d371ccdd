"""How many photos need this machine's cores right now, so that what nobody waits for can wait for them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

PAUSE = 0.1
"""Seconds without any work on photos after which there is time to spare. A rush leaves no such pauses: at fifteen
booths with a photo every four seconds they make up most of the time, at fifty photos a second there are none."""


class Activity:
    """Counts photos that are received, prepared, verified, stored or sent; not those that wait for a provider."""

    def __init__(self) -> None:
        self._working = 0
        self._begun = 0
        self._idle = trio.Event()
        self._idle.set()
        self._turn = trio.Lock()

    @contextmanager
    def working(self) -> Iterator[None]:
        """A stretch of work that somebody waits for."""
        self._working += 1
        self._begun += 1
        if self._idle.is_set():
            self._idle = trio.Event()
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()

    @property
    def waiting(self) -> int:
        """How many wait for time to spare."""
        return self._turn.statistics().tasks_waiting + self._turn.locked()

    @asynccontextmanager
    async def spare_time(self) -> AsyncIterator[None]:
        """Enter in a pause, one at a time, and do what nobody waits for."""
        async with self._turn:
            begun = None
            while begun != self._begun or self._working:
                await self._idle.wait()
                begun = self._begun
                await trio.sleep(PAUSE)
            yield
