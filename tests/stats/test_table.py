"""CSV that spreadsheets open without running anything."""

import csv
import io
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.stats.table import to_csv
from photochanger.stats.views import Named


class Inner(msgspec.Struct):
    """Something inside."""

    name: str | None
    share: float | None = None


class Row(msgspec.Struct):
    """A row with everything."""

    first: str = msgspec.field(name="from")
    inner: Inner | None
    named: list[Named]
    when: datetime | None = None
    flag: bool = False


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_structs_are_laid_out_flat() -> None:
    rows = [
        Row("a", Inner('Фото, "1"\nзима', 12.5), [Named("STOP", 3), Named("x", 1)], datetime(2026, 11, 20, tzinfo=UTC)),
        Row("b", None, []),
    ]
    assert read(to_csv(rows, Row)) == [
        ["from", "inner.name", "inner.share", "named", "when", "flag"],
        ["a", 'Фото, "1"\nзима', "12.5", "STOP: 3; x: 1", "2026-11-20T00:00:00Z", "false"],
        ["b", "", "", "", "", "false"],
    ]


def test_without_rows_there_is_a_header() -> None:
    assert to_csv([], Row) == "\ufefffrom,inner.name,inner.share,named,when,flag\r\n".encode()


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "=cmd|' /C calc'!A0"]
)
def test_no_cell_is_a_formula(formula: str) -> None:
    (_, row) = read(to_csv([Row(formula, Inner(formula), [Named(formula, 1)])], Row))
    assert row[0] == f"'{formula}"
    assert row[1] == f"'{formula}"
    assert row[3].startswith("'")


@given(st.text())
def test_whatever_the_text_no_cell_begins_a_formula(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    (_, row) = read(to_csv([Row(text, None, [])], Row))
    assert row[0] in (text, f"'{text}")
    assert not row[0].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
