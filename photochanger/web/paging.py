"""Lists by pages: where one ends is told as a text that means nothing to others, and the next one begins there."""

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec

from photochanger.domain.reasons import Reason
from photochanger.errors import Problem, Refusal

Row = TypeVar("Row")
Place = TypeVar("Place", bound=tuple[Any, ...])

LONGEST: Final = 250
"""Characters of a cursor."""
Cursor = Annotated[str, msgspec.Meta(max_length=LONGEST, description="`meta.next_cursor` of the page before.")]
"""A parameter of a list's query."""
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A part of a place that PostgreSQL can take for a bigint."""
YEARS: Final = range(1970, 2101)
"""Of the moments of a place; years 1 and 9999 are no times in every zone."""


class PageMeta(msgspec.Struct):
    """`next_cursor` is the `cursor` of the next page; null on the last one."""

    next_cursor: str | None


def cursor_of(place: tuple[Any, ...]) -> str:
    """The text for `read_cursor`. A place, a NamedTuple, is made of moments, ids, numbers and short names."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(text: str | None, kind: type[Place]) -> Place | None:
    """The place of this kind that `cursor_of` was told; None where there is no cursor.

    Raises Refusal (`validation_failed`) for what is none.
    """
    if text is None:
        return None
    place: Place | None = None
    try:
        raw = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        place = msgspec.json.decode(raw, type=kind)
    except (NoBase64, ValueError, msgspec.DecodeError):
        pass  # told below
    if place is None or not all(_can_be(each) for each in place):
        errors = [Problem("cursor", "is none of ours: take `next_cursor` as it is")]
        raise Refusal(Reason.VALIDATION_FAILED, errors=errors)
    return place


def page_of(found: list[Row], limit: int, place_of: Callable[[Row], tuple[Any, ...]]) -> tuple[list[Row], PageMeta]:
    """The first `limit` of the `limit` + 1 rows that were asked for, and where the next page begins."""
    page = found[:limit]
    return page, PageMeta(cursor_of(place_of(page[-1])) if len(found) > limit else None)


def _can_be(part: Any) -> bool:
    return not isinstance(part, datetime) or (part.tzinfo is not None and part.year in YEARS)
