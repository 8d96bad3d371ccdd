"""Where a list goes on: the moment and the id of the last entry that was shown, as text that means nothing."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from photochanger.errors import Problem
from photochanger.web.inputs import invalid

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{32}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NEWEST: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=0))
"""Where a list begins that shows the newest first."""


def cursor_of(at: datetime, entry: UUID) -> str:
    """The text for `read_cursor`."""
    micros = (at - _EPOCH) // timedelta(microseconds=1)
    return urlsafe_b64encode(micros.to_bytes(8, signed=True) + entry.bytes).decode()


def read_cursor(text: str, field: str = "cursor") -> tuple[datetime, UUID]:
    """What a cursor says; of an empty one the beginning. Raises Refusal (validation_failed) for what never was one."""
    if not text:
        return NEWEST
    try:
        if not _FORM.fullmatch(text):
            raise ValueError
        raw = urlsafe_b64decode(text)
        at = _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], signed=True))
    except (ValueError, OverflowError):
        raise invalid(Problem(field, "is not the `next` of an earlier page")) from None
    return at, UUID(bytes=raw[8:])
