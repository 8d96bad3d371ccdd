"""Where lists go on: what was told is read again, and nothing else is."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from photochanger.errors import Refusal
from photochanger.web.paging import LONGEST, Number, cursor_of, page_of, read_cursor


class Place(NamedTuple):
    """A place with a part of each kind."""

    at: datetime
    id: UUID
    number: Number
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z.-]{1,80}\Z")]


HERE = Place(datetime(2026, 11, 28, 10, 0, 0, 1, tzinfo=UTC), UUID(int=2**127), 2**63 - 1, "a.b")


def written(*values: Any) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize("place", [HERE, HERE._replace(number=0, id=UUID(int=0)), HERE._replace(name="k" * 80)])
def test_a_cursor_is_read_as_it_was_made(place: Place) -> None:
    cursor = cursor_of(place)
    assert read_cursor(cursor, Place) == place
    assert len(cursor) <= LONGEST
    assert cursor.isascii()
    assert not set(cursor) & set("+/=")


def test_without_one_a_list_begins() -> None:
    assert read_cursor(None, Place) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "xx==", "é", "A" * LONGEST, "[]", written(), written(1), cursor_of(HERE)[:-2],
        urlsafe_b64encode(b"\xff\xfe").decode(), urlsafe_b64encode(b"[" * 120).decode(),
        cursor_of(HERE[:3]), cursor_of((*HERE, 1)), cursor_of(HERE._replace(number=-1)),
        cursor_of(HERE._replace(number=2**63)), cursor_of(HERE._replace(number=1.5)),  # type: ignore[arg-type]
        cursor_of(HERE._replace(name="a\0b")), cursor_of(HERE._replace(name="a\n")), cursor_of(HERE._replace(name="")),
        written("0001-01-01T00:00:00+14:00", str(HERE.id), 1, "a"),
        written("9999-12-31T23:59:59-14:00", str(HERE.id), 1, "a"),
        written("2026-11-28T10:00:00", str(HERE.id), 1, "a"), written(5, str(HERE.id), 1, "a"),
        written("2026-11-28T10:00:00Z", "no id", 1, "a"),
        urlsafe_b64encode(b'["2026-11-28T10:00:00Z", "%s", 1, "\\ud800"]' % str(HERE.id).encode()).decode(),
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_cursor(text, Place)
    assert [each.field for each in refused.value.errors] == ["cursor"]


@pytest.mark.parametrize(("found", "shown", "more"), [(0, 0, False), (2, 2, False), (3, 3, False), (4, 3, True)])
def test_a_page_tells_of_the_next_one_only_where_there_is_one(found: int, shown: int, more: bool) -> None:
    page, meta = page_of(list(range(found)), 3, lambda row: (row,))
    assert page == list(range(shown))
    assert meta.next_cursor == (cursor_of((2,)) if more else None)
