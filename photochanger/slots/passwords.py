"""The default ingest password: it fills slots that have none, and changes no other."""

from typing import Final

import trio

from photochanger.db.facade import Db
from photochanger.domain.passwords import hash_password

_MISSING: Final = "SELECT id FROM slot WHERE secret_hash IS NULL AND archived_at IS NULL ORDER BY id"
_FILL: Final = """
UPDATE slot SET secret_hash = $2, version = version + 1, updated_at = now()
WHERE id = ANY($1) AND secret_hash IS NULL
"""


async def fill_missing(db: Db, password: str) -> list[str]:
    """Give `password` to every slot without one; the ids of those slots. Raises DatabaseUnavailable."""
    ids = [row["id"] for row in await db.fetch(_MISSING)]
    if ids:
        stored = await trio.to_thread.run_sync(hash_password, password)
        await db.execute(_FILL, ids, stored)
    return ids
