"""The actor that counts: photos and calls from their rows, refusals and minutes from memory, all into cells."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import trio

from photochanger.db.facade import Db
from photochanger.domain.histogram import BOUNDS
from photochanger.errors import DatabaseUnavailable
from photochanger.stats.counting import (
    COUNT_MINUTES,
    COUNT_REFUSALS,
    FORGET,
    FORGET_FLUSHES,
    IS_COUNTED,
    SETTLED,
    count_calls,
    count_photos,
    count_told,
)
from photochanger.stats.memory import Refusals, Uptime

log = logging.getLogger(__name__)

EVERY: Final = 10.0
"""Seconds between two passes."""
BATCH: Final = 250
"""Photos per statement: as long as it runs, their rows are locked."""
TOLD_BATCH: Final = 25
"""Photos whose work goes on, per statement: their rows may be wanted at any moment."""
BOUND: Final = 10.0
"""Seconds for one statement; PostgreSQL that needs more is busy with photos."""
LOOK_BACK: Final = timedelta(minutes=10)
"""Further back than that from what was counted last a pass does not look: there lie only the traces of counted rows."""
LOOK_AT_ALL: Final = 600.0
"""Seconds after which a pass looks at everything all the same."""
FORGET_EVERY: Final = 3600.0
HOURS_KEPT: Final = timedelta(days=35)
FLUSHES_KEPT: Final = timedelta(days=2)
STOP_BOUND: Final = 2.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Rollup:
    """Counts what has ended. A child of the tree; any number of processes may run one on the same database.

    `ready` tells whether the house takes photos now; `waiting` how many changes of rows wait in the journal: until
    they are in, what the rows say is not the last word.
    """

    def __init__(
        self,
        db: Db,
        *,
        ready: Callable[[], bool],
        waiting: Callable[[], int] = lambda: 0,
        batch: int = BATCH,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.refusals = Refusals(now)
        self._uptime = Uptime()
        self._db = db
        self._ready = ready
        self._waiting = waiting
        self._batch = batch
        self._now = now
        self._since = _EPOCH
        self._note_at = trio.current_time() + EVERY
        self._look_at_all = trio.current_time() + LOOK_AT_ALL
        self._forget_at = trio.current_time() + EVERY

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Count every few seconds until cancelled, then write once more what only memory knows."""
        task_status.started()
        try:
            pause = EVERY  # whoever starts has better things to do first
            while True:
                await trio.sleep(pause)
                pause = EVERY
                try:
                    await self.once()
                except DatabaseUnavailable:
                    # Journals come first once it is back: theirs may be corrections.
                    self._since = _EPOCH
                    pause = SETTLED
        finally:
            with trio.move_on_after(STOP_BOUND, shield=True):
                try:
                    await self.flush()
                except DatabaseUnavailable:
                    log.warning("refusals since the last roll-up are not counted: PostgreSQL is away")

    async def once(self) -> None:
        """One pass over all that there is. Raises DatabaseUnavailable."""
        await self._note()
        if not self._waiting():
            await self.catch_up()
        if trio.current_time() >= self._forget_at:
            await self.forget()
            self._forget_at = trio.current_time() + FORGET_EVERY

    async def _note(self) -> None:
        if self._ready():
            self._uptime.seen(self._now())
        await self.flush()
        self._note_at = trio.current_time() + EVERY

    async def flush(self) -> None:
        """Write refusals and minutes. Raises DatabaseUnavailable; then they stay in memory."""
        hours, maps = self._uptime.unwritten()
        if hours:
            await self._db.execute(COUNT_MINUTES, hours, maps, timeout=BOUND)
            self._uptime.written(hours, maps)
        while (batch := self.refusals.batch()) is not None:
            slots, at, reasons, counts = (list(column) for column in zip(*batch.counts, strict=True))
            await self._db.execute(COUNT_REFUSALS, batch.id, slots, at, reasons, counts, timeout=BOUND)
            self.refusals.written(batch)
        if self.refusals.dropped:
            log.warning("%d refusals found no room in memory, they are in no statistics", self.refusals.dropped)
            self.refusals.dropped = 0

    async def catch_up(self) -> int:
        """Count all that has ended and settled; how many photos. Raises DatabaseUnavailable."""
        if trio.current_time() >= self._look_at_all:
            self._since = _EPOCH
        until = self._now() - timedelta(seconds=SETTLED)
        await self._exhaust(count_told(TOLD_BATCH), TOLD_BATCH, until)
        history = self._since, until, BOUNDS
        photos = await self._exhaust(count_photos(self._batch), self._batch, *history)
        await self._exhaust(count_calls(self._batch), self._batch, *history)
        await self._db.execute(IS_COUNTED, until, timeout=BOUND)
        if self._since == _EPOCH:
            self._look_at_all = trio.current_time() + LOOK_AT_ALL
        self._since = until - LOOK_BACK
        return photos

    async def _exhaust(self, statement: str, batch: int, *args: Any) -> int:
        """Count batch after batch until there is none left; how much there was."""
        counted = 0
        while True:
            started = trio.current_time()
            found: int = await self._db.fetchval(statement, *args, timeout=BOUND)
            counted += found
            if found < batch:
                return counted
            await trio.sleep(trio.current_time() - started)  # half of the time is for photos
            if trio.current_time() >= self._note_at:
                await self._note()  # a long history must not hide that the house is ready

    async def forget(self) -> None:
        """Remove hours that nobody asks for any more. Raises DatabaseUnavailable."""
        for statement in FORGET:
            await self._db.execute(statement, self._now() - HOURS_KEPT, timeout=BOUND)
        await self._db.execute(FORGET_FLUSHES, self._now() - FLUSHES_KEPT, timeout=BOUND)
