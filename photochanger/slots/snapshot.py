"""Slots in memory: what the rows said last, so that a photo never waits for PostgreSQL to learn its slot."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import trio

from photochanger.db.facade import Db
from photochanger.db.follow import follow
from photochanger.domain.slot import Slot
from photochanger.slots.rows import SELECT, slot_of

log = logging.getLogger(__name__)

OnChange = Callable[[Iterable[Slot]], Awaitable[None]]


class SlotBook:
    """The slots as they are now. Reading is a look into a dictionary; `run` keeps it fresh."""

    def __init__(self, db: Db, *, t_sync: float, t_late: float) -> None:
        self._db = db
        self._t_sync = t_sync
        self._t_late = t_late
        self._slots: dict[str, Slot] = {}
        self._rows: list[Mapping[str, Any]] = []
        self._is_told = True  # whoever follows the slots has them as they are
        self._reading = trio.Lock()
        self.on_change: OnChange | None = None
        self.held_until = 0.0
        """When the last window ends of photos that came under slots as they were before; of Trio's clock."""

    def find(self, slot_id: str) -> Slot | None:
        """The slot of this id, None when there is none."""
        return self._slots.get(slot_id)

    def all(self) -> list[Slot]:
        """All slots that are not archived, by id."""
        return list(self._slots.values())

    async def refresh(self) -> None:
        """Read the rows again. Raises DatabaseUnavailable; then everything stays as it was."""
        async with self._reading:  # an older answer must not overtake a newer one
            self._rows = list(await self._db.fetch(SELECT + " ORDER BY id"))
            await self._derive()

    async def use(self, *, t_sync: float, t_late: float) -> None:
        """The house's own times from now on, for slots that leave them to it. The rows are not read again."""
        async with self._reading:
            self._t_sync, self._t_late = t_sync, t_late
            await self._derive()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the slots fresh: on every announcement, and every half minute. A child of the tree."""
        await follow(self._db, self.refresh, task_status)

    async def _derive(self) -> None:
        fresh = {row["id"]: slot_of(row, t_sync=self._t_sync, t_late=self._t_late) for row in self._rows}
        if fresh != self._slots:
            longest = max((slot.t_sync for slot in self._slots.values()), default=0.0)
            self.held_until = max(self.held_until, trio.current_time() + longest)
            self._slots, self._is_told = fresh, False
        if not self._is_told:  # cut short or failed, it is done again with the next look
            if self.on_change is not None:
                await self.on_change(fresh.values())
            self._is_told = True
