"""CSV that spreadsheets open without running anything."""

import csv
import io
import re
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.stats.table import RUSSIAN, to_csv
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
        ["a", 'Фото, "1"\nзима', "12.5", "STOP: 3 | x: 1", "2026-11-20T00:00:00Z", "false"],
        ["b", "", "", "", "", "false"],
    ]


def test_without_rows_there_is_a_header() -> None:
    assert to_csv([], Row) == "\ufefffrom,inner.name,inner.share,named,when,flag\r\n".encode()


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "=cmd|' /C calc'!A0", "=1;2"]
)
def test_no_cell_is_a_formula(formula: str) -> None:
    (_, row) = read(to_csv([Row(formula, Inner(formula), [Named(formula, 1)])], Row))
    assert row[0] == row[1]
    assert row[0].startswith("'")
    assert row[0].replace("'", "") == formula.replace("'", "")
    assert row[3].startswith("'")


def test_no_part_of_a_cell_is_one_where_it_is_cut() -> None:
    """A plain file that is opened with semicolons between the cells is cut at those within them, too."""
    (_, row) = read(to_csv([Row("a; =1,+2;-3\t@4;b-c=d", None, [])], Row))
    assert row[0] == "a;' =1,'+2;'-3\t'@4;b-c=d"


@given(st.text(st.sampled_from("ab '=+-@;,|\t\r\n\"")) | st.text())
def test_whatever_the_text_no_cell_begins_a_formula(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    (_, row) = read(to_csv([Row(text, None, [])], Row))
    assert row[0].replace("'", "") == text.replace("'", "")
    for cell in re.split("[,;\t\r\n]", row[0]):
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@"))


def test_a_spreadsheet_set_to_russian_sees_columns_and_numbers() -> None:
    rows = [Row("a;b", Inner("=1", 12.5), [Named("STOP", 3), Named("x", 1)])]
    assert to_csv(rows, Row, RUSSIAN).decode("utf-8-sig").splitlines() == [
        "from;inner.name;inner.share;named;when;flag",
        """"a;b";'=1;12,5;STOP: 3 | x: 1;;false""",
    ]
