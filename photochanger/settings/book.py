"""The house's settings in memory, kept in step with the rows, in every process."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import trio

from photochanger.db.facade import Db
from photochanger.db.follow import follow
from photochanger.settings.house import HouseSettings, usable
from photochanger.settings.rows import HOUSE, Row, read_rows

log = logging.getLogger(__name__)

OnSettings = Callable[[HouseSettings], Awaitable[None]]
OnRows = Callable[[Mapping[str, Any]], object]


class SettingsBook:
    """What applies now. Reading is a look at `now`; `run` keeps it fresh, and subscribers are told of each change."""

    def __init__(self, db: Db, defaults: HouseSettings) -> None:
        self.defaults = defaults
        self.now = defaults
        self.rows: Mapping[str, Row] = {}
        """Our rows of `settings` as they were read last."""
        self._db = db
        self._told = defaults
        self._subscribers: list[OnSettings] = []
        self._watchers: list[OnRows] = []
        self._applying = trio.Lock()

    def subscribe(self, tell: OnSettings) -> None:
        """Have `tell` called with the settings whenever they have become others than the environment's or the last."""
        self._subscribers.append(tell)

    def watch(self, tell: OnRows) -> None:
        """Have `tell` called (sync) with the values of all our rows whenever they were read."""
        self._watchers.append(tell)

    def row(self, key: str) -> Row:
        """A row as it was read last; version 0 when there is none."""
        return self.rows.get(key) or Row(key, {})

    async def refresh(self) -> None:
        """Read the rows and apply them. Raises DatabaseUnavailable; then everything stays as it was."""
        async with self._applying:  # an older answer must not overtake a newer one
            await self._apply(await read_rows(self._db))

    async def took(self, row: Row) -> None:
        """Apply a row that was just written, here and now; the other processes hear of it by themselves."""
        async with self._applying:
            if row.version >= self.row(row.key).version:
                await self._apply({**self.rows, row.key: row})

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the settings fresh: on every announcement, and every half minute. A child of the tree."""
        await follow(self._db, self.refresh, task_status)

    async def _apply(self, rows: Mapping[str, Row]) -> None:
        if rows.get(HOUSE) != self.rows.get(HOUSE):
            self._note(rows)
        self.rows = rows
        for watch in self._watchers:
            watch({key: row.value for key, row in rows.items()})
        if self.now != self._told:
            for tell in self._subscribers:
                await tell(self.now)
            self._told = self.now  # not before: what was cut short is told again

    def _note(self, rows: Mapping[str, Row]) -> None:
        row = rows.get(HOUSE) or Row(HOUSE, {})
        values = row.value if isinstance(row.value, dict) else {}
        if spoilt := sorted(values.keys() - usable(values).keys()):
            log.error("these settings are stored in a way that cannot be used: %s", ", ".join(spoilt)[:200])
        fresh = self.defaults.overridden(values)
        old, new = asdict(self.now), asdict(fresh)
        changed = [f"{name} {old[name]} → {new[name]}" for name in new if new[name] != old[name]]
        if changed:
            log.info("the settings are at version %d: %s", row.version, ", ".join(changed))
        self.now = fresh
