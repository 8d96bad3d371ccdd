"""The default ingest password: it fills slots that have none, and changes no other."""

from typing import Final

import trio

from photochanger.db.facade import Db
from photochanger.db.transaction import Transaction
from photochanger.domain.passwords import hash_password

_MISSING: Final = "SELECT id FROM slot WHERE secret_hash IS NULL AND archived_at IS NULL ORDER BY id"
_FILL_AND_TELL: Final = """
WITH filled AS (
    UPDATE slot SET secret_hash = $1, version = version + 1, updated_at = now()
    WHERE secret_hash IS NULL AND archived_at IS NULL RETURNING id, version
), told AS (
    INSERT INTO slot_change (slot_id, version, action, before, after, changed_by)
    SELECT id, version, 'password', '{}'::jsonb, '{}'::jsonb, $2 FROM filled
)
SELECT id FROM filled ORDER BY id
"""
_FILL: Final = """
UPDATE slot SET secret_hash = $2, version = version + 1, updated_at = now()
WHERE id = ANY($1) AND secret_hash IS NULL
"""


async def fill_with(transaction: Transaction, stored: str, *, by: str) -> list[str]:
    """Give the password of this hash to every slot without one, and tell their journals; the ids of those slots."""
    return [row["id"] for row in await transaction.fetch(_FILL_AND_TELL, stored, by)]


async def fill_missing(db: Db, password: str) -> list[str]:
    """Give `password` to every slot without one; the ids of those slots. Raises DatabaseUnavailable."""
    ids = [row["id"] for row in await db.fetch(_MISSING)]
    if ids:
        stored = await trio.to_thread.run_sync(hash_password, password)
        await db.execute(_FILL, ids, stored)
    return ids
