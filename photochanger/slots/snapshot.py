"""Slots in memory: what the rows said last, so that a photo never waits for PostgreSQL to learn its slot."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import trio

from photochanger.db.facade import Db
from photochanger.domain.slot import Plan, Slot, Template
from photochanger.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

CHANNEL: Final = "photochanger_settings"
REFRESH: Final = 30.0
"""Seconds after which the rows are read again even when nothing was announced: announcements may get lost."""

_SLOTS: Final = """
SELECT id, version, provider, operation, settings, secret_hash, is_active, size_limit_bytes, t_sync_seconds,
       permits, mailbox, allow_png, jpeg_quality, longest_side, send_quality, fallbacks, hedge, keep_spares, on_timeout,
       t_late_seconds, last_resort, last_resort_settings, dedupe_seconds, budget_day_microusd, at_budget, output,
       output_width, output_height, rate_per_minute, rate_burst, auth, signing_generation,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', media.id, 'role', bound.role, 'mime', media.mime,
                                                     'path', media.path) ORDER BY bound.position), '[]'::jsonb)
        FROM slot_template AS bound JOIN template_media AS media ON media.id = bound.template_id
        WHERE bound.slot_id = slot.id) AS templates
FROM slot WHERE archived_at IS NULL ORDER BY id
"""

OnChange = Callable[[Iterable[Slot]], Awaitable[None]]


class SlotBook:
    """The slots as they are now. Reading is a look into a dictionary; `run` keeps it fresh."""

    def __init__(self, db: Db, *, t_sync: float, t_late: float) -> None:
        self._db = db
        self._t_sync = t_sync
        self._t_late = t_late
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
        sync, late = values.pop("t_sync_seconds"), values.pop("t_late_seconds")
        values["t_sync"] = self._t_sync if sync is None else float(sync)
        values["t_late"] = self._t_late if late is None else float(late)
        values["fallbacks"] = tuple(_plan(plan) for plan in values["fallbacks"])
        values["templates"] = tuple(Template(**(each | {"id": UUID(each["id"])})) for each in values["templates"])
        return Slot(**values)


def _plan(stored: Any) -> Plan:
    """A plan as it lies in the row; what is not understood becomes a plan that no provider takes, and says so."""
    known = stored if isinstance(stored, dict) else {}
    settings = known.get("settings")
    return Plan(
        str(known.get("provider", "")), str(known.get("operation", "")), settings if isinstance(settings, dict) else {}
    )
