"""Slots in memory: what the rows said last, so that a photo never waits for PostgreSQL to learn its slot."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import trio

from photochanger.db.facade import Db
from photochanger.domain.slot import Slot
from photochanger.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

CHANNEL: Final = "photochanger_settings"
REFRESH: Final = 30.0
"""Seconds after which the rows are read again even when nothing was announced: announcements may get lost."""

_SLOTS: Final = """
SELECT id, version, provider, operation, settings, secret_hash, is_active, size_limit_bytes, t_sync_seconds,
       permits, mailbox, allow_png, jpeg_quality, longest_side
FROM slot WHERE archived_at IS NULL ORDER BY id
"""

OnChange = Callable[[Iterable[Slot]], Awaitable[None]]


class SlotBook:
    """The slots as they are now. Reading is a look into a dictionary; `run` keeps it fresh."""

    def __init__(self, db: Db, *, t_sync: float) -> None:
        self._db = db
        self._t_sync = t_sync
        self._slots: dict[str, Slot] = {}
        self.on_change: OnChange | None = None

    def find(self, slot_id: str) -> Slot | None:
        """The slot of this id, None when there is none."""
        return self._slots.get(slot_id)

    def all(self) -> list[Slot]:
        """All slots that are not archived, by id."""
        return list(self._slots.values())

    async def refresh(self) -> None:
        """Read the rows again. Raises DatabaseUnavailable; then everything stays as it was."""
        rows = await self._db.fetch(_SLOTS)
        fresh = {row["id"]: self._slot(row) for row in rows}
        if fresh != self._slots:
            self._slots = fresh
            if self.on_change is not None:
                await self.on_change(fresh.values())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the slots fresh: on every announcement, and every half minute. A child of the tree."""
        await self.refresh()
        task_status.started()
        while True:
            try:
                async with self._db.listen(CHANNEL) as announcements:
                    await self.refresh()
                    while True:
                        with trio.move_on_after(REFRESH):
                            await announcements.receive()
                        await self.refresh()
            except (DatabaseUnavailable, trio.EndOfChannel):
                await trio.sleep(1.0)

    def _slot(self, row: Mapping[str, Any]) -> Slot:
        values = dict(row)
        seconds = values.pop("t_sync_seconds")
        return Slot(**values, t_sync=float(seconds) if seconds is not None else self._t_sync)
