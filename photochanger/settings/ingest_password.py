"""The default ingest password: shown once, kept as a hash, for slots that have none."""

import logging
from typing import Final

from photochanger.db.facade import Db
from photochanger.db.transaction import Transaction
from photochanger.settings.rows import INGEST_PASSWORD, Change, Row, change_row
from photochanger.slots.passwords import fill_with, generated, hashed

log = logging.getLogger(__name__)

# Whoever makes a default waits for those who give one to slots, and they for him: none gives an old one.
# A lock of its own, because there may be no row yet.
_GIVING: Final = "SELECT pg_advisory_xact_lock_shared(7305831240620)"
_MAKING: Final = "SELECT pg_advisory_xact_lock(7305831240620)"
_HASH: Final = "SELECT value ->> 'hash' FROM settings WHERE key = $1"


class IngestPassword:
    """`environment` is INGEST_PASSWORD, the default for as long as no administrator has made one."""

    def __init__(self, db: Db, environment: str | None) -> None:
        self._db = db
        self._environment = environment
        self._of_environment: str | None = None

    async def for_slots(self, transaction: Transaction) -> str | None:
        """The hash that slots without a password get; None = they stay without one, and take no photos.

        No other becomes the default until the transaction ends. Raises DatabaseUnavailable.
        """
        await transaction.execute(_GIVING)
        stored: str | None = await transaction.fetchval(_HASH, INGEST_PASSWORD)
        if stored is not None or self._environment is None:
            return stored
        if self._of_environment is None:
            self._of_environment = await hashed(self._environment)
        return self._of_environment

    async def renew(self, *, by: str) -> tuple[str, Row, list[str]]:
        """Make a new one: the password, its row, and the slots that had none until now. Raises DatabaseUnavailable."""
        password = generated()
        stored = await hashed(password)

        def decide(row: Row) -> Change:
            return Change({"hash": stored}, {"set": is_set(row)}, {"set": True})

        async with self._db.transaction() as transaction:
            await transaction.execute(_MAKING)
            row, _ = await change_row(transaction, INGEST_PASSWORD, decide, by=by)
            filled = await fill_with(transaction, stored, by=by)
        log.info("%s has made a new default ingest password; %d slots that had none use it", by, len(filled))
        return password, row, filled


def is_set(row: Row) -> bool:
    """Whether this row holds a password's hash."""
    return isinstance(row.value, dict) and isinstance(row.value.get("hash"), str)
