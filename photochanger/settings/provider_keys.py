"""Providers' keys as administrators see them: stored, taken back, tried; never shown."""

import logging
from typing import Final

import trio

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.providers.base import KeyCheck, Keyed
from photochanger.providers.stored_keys import PREFIX, StoredKeys
from photochanger.settings.rows import Change, Row, change_row

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
PATIENCE: Final = 20.0
"""Seconds after which a check is given up, waiting for its turn included."""


class ProviderKeys:
    """The rows under `stored`. Unknown providers, and those that need no key, are refused (not_found)."""

    def __init__(self, db: Db, stored: StoredKeys) -> None:
        self.stored = stored
        self._db = db
        self._checks = trio.CapacityLimiter(AT_ONCE)

    async def store(self, provider: str, key: str, *, by: str) -> Row:
        """Use `key` from now on; its row. Raises Refusal, DatabaseUnavailable."""
        self._driver(provider)
        value = self.stored.locked(provider, key)
        row, _ = await self._write(provider, value, by=by)
        log.info("%s has stored a key of %s", by, provider)
        return row

    async def remove(self, provider: str, *, by: str) -> tuple[Row, bool]:
        """Use the environment's again; the row, and whether a key was stored. Raises as `store` does."""
        self._driver(provider)
        row, removed = await self._write(provider, {}, by=by)
        if removed:
            log.info("%s has removed the stored key of %s", by, provider)
        return row, removed

    async def check(self, provider: str, key: str | None) -> tuple[KeyCheck, int]:
        """Try `key`, or the one in use; and the milliseconds that it took. Raises Refusal, ConfigError."""
        driver = self._driver(provider)
        began = trio.current_time()
        with trio.move_on_after(PATIENCE):
            async with self._checks:
                began = trio.current_time()
                found = await driver.check_key(key)
            return found, round((trio.current_time() - began) * 1000)
        return KeyCheck("unreachable", "Too many checks at once; try again."), round(PATIENCE * 1000)

    def _driver(self, provider: str) -> Keyed:
        driver = self.stored.drivers.get(provider)
        if driver is None:
            raise Refusal(Reason.NOT_FOUND, "There is no such provider, or it needs no key.")
        return driver

    async def _write(self, provider: str, value: dict[str, str], *, by: str) -> tuple[Row, bool]:
        def decide(row: Row) -> Change | None:
            if not value and not row.value:
                return None
            return Change(value, {"stored": bool(row.value)}, {"stored": bool(value)})

        async with self._db.transaction() as transaction:
            return await change_row(transaction, f"{PREFIX}{provider}", decide, by=by)
