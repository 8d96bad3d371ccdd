"""The journal of the settings, newest first, by pages."""

from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from photochanger.db.facade import Db
from photochanger.web.paging import Number


class ChangePlace(NamedTuple):
    """When a change was made, of what, and its version: what the journal is sorted by."""

    changed_at: datetime
    key: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_.-]{1,80}\Z")]
    version: Number


_PAGE: Final = """
SELECT key, version, before, after, changed_at, changed_by FROM settings_change
WHERE ($2::timestamptz IS NULL OR (changed_at, key, version) < ($2, $3, $4)) AND ($5::text IS NULL OR key = $5)
ORDER BY changed_at DESC, key DESC, version DESC LIMIT $1
"""


async def read_changes(db: Db, *, key: str | None, after: ChangePlace | None, limit: int) -> list[Any]:
    """The rows of the changes, from behind `after` on. Raises DatabaseUnavailable."""
    return await db.fetch(_PAGE, limit, *(after or (None, None, None)), key)


def place_of(row: Any) -> ChangePlace:
    """Where a row of `read_changes` stands."""
    return ChangePlace(row["changed_at"], row["key"], row["version"])
