"""The journal of the settings, newest first, by pages."""

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from photochanger.db.facade import Db
from photochanger.errors import Problem
from photochanger.web.inputs import invalid

_PAGE: Final = """
SELECT key, version, before, after, changed_at, changed_by FROM settings_change
WHERE ($2::timestamptz IS NULL OR (changed_at, key, version) < ($2, $3, $4)) AND ($5::text IS NULL OR key = $5)
ORDER BY changed_at DESC, key DESC, version DESC LIMIT $1
"""
_CURSOR: Final = re.compile(r"([0-9]{1,17}) ([0-9]{1,18}) ([a-z0-9_.-]{1,80})")
_BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def read_changes(db: Db, *, key: str | None, cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
    """A page, and the cursor of the next one, None behind the last. Raises Refusal, DatabaseUnavailable."""
    after = (None, None, None) if cursor is None else _opened(cursor)
    rows = await db.fetch(_PAGE, limit + 1, *after, key)
    page = rows[:limit]
    return page, _closed(page[-1]) if len(rows) > limit else None


def _closed(row: Any) -> str:
    moment = (row["changed_at"] - _BEGIN) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{moment} {row['version']} {row['key']}".encode()).decode().rstrip("=")


def _opened(cursor: str) -> tuple[datetime, str, int]:
    """Raises Refusal."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        found = _CURSOR.fullmatch(text)
        if found is not None:
            return _BEGIN + timedelta(microseconds=int(found[1])), found[3], int(found[2])
    except (ValueError, OverflowError):
        pass
    raise invalid(Problem("cursor", "is none that this list has given"))
