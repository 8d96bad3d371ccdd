"""How many photos need this machine's cores right now, so that what nobody waits for can wait for them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio


class Activity:
    """Counts photos that are received, prepared, verified, stored or sent; not those that wait for a provider.

    Below `quiet_below` of them the machine has cores to spare.
    """

    def __init__(self, *, quiet_below: int) -> None:
        self._quiet_below = quiet_below
        self._working = 0
        self._quiet = trio.lowlevel.ParkingLot()

    @contextmanager
    def working(self) -> Iterator[None]:
        """A stretch of work that somebody waits for."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._let_one_go()

    @property
    def is_quiet(self) -> bool:
        """A core is free for what nobody waits for."""
        return self._working < self._quiet_below

    @property
    def waiting(self) -> int:
        """How many wait for quiet."""
        return len(self._quiet)

    @asynccontextmanager
    async def spare_time(self) -> AsyncIterator[None]:
        """Enter in a quiet moment, do what nobody waits for, and let the next one go."""
        while not self.is_quiet:
            await self._quiet.park()
        try:
            yield
        finally:
            self._let_one_go()

    def _let_one_go(self) -> None:
        if self.is_quiet:
            self._quiet.unpark()
