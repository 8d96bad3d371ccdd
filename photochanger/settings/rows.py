"""The rows of the table `settings` that administrators change, each with its version and its journal.

A row is never removed: its versions only rise, so that an older reading can be told from a newer one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from photochanger.db.facade import Db
from photochanger.db.transaction import Transaction
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.providers.stored_keys import PREFIX

HOUSE: Final = "house"
INGEST_PASSWORD: Final = "ingest_password"  # noqa: S105 - a key, no password

_ROW: Final = "key, value, version, updated_at, updated_by"
_READ: Final = f"SELECT {_ROW} FROM settings WHERE key = ANY($1) OR starts_with(key, $2)"  # noqa: S608
_HOLD: Final = f"SELECT {_ROW} FROM settings WHERE key = $1 FOR UPDATE"  # noqa: S608
_BEGIN: Final = "INSERT INTO settings (key, value, version) VALUES ($1, '{}'::jsonb, 0) ON CONFLICT (key) DO NOTHING"
_WRITE: Final = f"""
UPDATE settings SET value = $2, version = version + 1, updated_at = clock_timestamp(), updated_by = $3
WHERE key = $1 RETURNING {_ROW}
"""  # noqa: S608
_JOURNAL: Final = """
INSERT INTO settings_change (key, version, before, after, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5, $6)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it lies there. Version 0 = nobody has changed it yet."""

    key: str
    value: Any
    version: int = 0
    updated_at: datetime | None = None
    updated_by: str | None = None

    def __repr__(self) -> str:
        return f"<Row {self.key} version={self.version}>"  # the value may hold a hash, or a key that is locked


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a row, and what the journal tells of it: never a secret."""

    value: Any
    before: Mapping[str, Any]
    after: Mapping[str, Any]


async def read_rows(db: Db) -> dict[str, Row]:
    """All of our rows by their keys. Raises DatabaseUnavailable."""
    return {row["key"]: Row(**row) for row in await db.fetch(_READ, [HOUSE, INGEST_PASSWORD], PREFIX)}


async def change_row(
    transaction: Transaction,
    key: str,
    decide: Callable[[Row], Change | None],
    *,
    by: str,
    version: int | None = None,
) -> tuple[Row, bool]:
    """Change a row, one writer at a time, and tell the journal; the row as it is then, and whether it was changed.

    `decide` sees the row as it is, held until the transaction ends, and answers None to leave it alone. `version` is
    the one that the writer has seen, None = whichever. Raises Refusal (version_conflict), and what `decide` raises.
    """
    found = await transaction.fetch(_HOLD, key)
    if not found:
        await transaction.execute(_BEGIN, key)  # waits for whoever is doing the same
        found = await transaction.fetch(_HOLD, key)
    row = Row(**found[0])
    if version is not None and version != row.version:
        raise Refusal(Reason.VERSION_CONFLICT, f"The settings are at version {row.version} now.")
    change = decide(row)
    if change is None:
        return row, False
    [written] = await transaction.fetch(_WRITE, key, change.value, by)
    row = Row(**written)
    told = (dict(change.before), dict(change.after))
    await transaction.execute(_JOURNAL, key, row.version, *told, row.updated_at, by)
    return row, True
