"""Answers as CSV (RFC 4180): the rows of `data`, one column per value. Made to be opened in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import repeat
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
import trio
from quart import Request, Response

from photochanger.stats.views import Named

Format = Literal["json", "csv"]

_FORMULA: Final = re.compile(r"(^|[,;\t\r\n])(?= *[=+\-@\t\r\n])")


@dataclass(frozen=True, slots=True)
class Form:
    """What parts the cells of a line, and what a number has before its fractions."""

    delimiter: str
    decimal: str


PLAIN: Final = Form(",", ".")
RUSSIAN: Final = Form(";", ",")
"""What a spreadsheet takes that is set to Russian; of the plain form it makes one column, and dates of fractions."""

_AT_ONCE: Final = trio.CapacityLimiter(2)
_BOM: Final = "\ufeff"  # without it Excel takes Cyrillic for something else


def wants_csv(request: Request, given: Format | None) -> bool:
    """The client asks for a table: by `format`, or else by preferring it in Accept."""
    if given is not None:
        return given == "csv"
    return (
        request.accept_mimetypes.best_match(["application/json", "text/csv"], default="application/json") == "text/csv"
    )


async def csv_answer(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct], name: str, form: Form) -> Response:
    """`rows` of `kind` as a file for download; `name` without its ending."""
    text = await trio.to_thread.run_sync(to_csv, rows, kind, form, limiter=_AT_ONCE)
    response = Response(text, mimetype="text/csv")
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:120]
    response.headers["Content-Disposition"] = f'attachment; filename="photochanger-{safe}.csv"'
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept, Accept-Language"
    return response


def to_csv(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct], form: Form = PLAIN) -> bytes:
    """UTF-8 with a byte order mark, lines ended by CRLF, the header even where there is no row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, dialect="excel", delimiter=form.delimiter)
    writer.writerow(_names(kind))
    for row in rows:
        values: list[Any] = []
        _lay_out(row, kind, values)
        writer.writerow([value if type(value) is int else _cell(value, form) for value in values])
    return (_BOM + text.getvalue()).encode()


def _names(kind: type[msgspec.Struct]) -> Iterator[str]:
    """Of the columns: structs in structs are laid out flat."""
    for name, inner in _fields(kind):
        yield from [name] if inner is None else (f"{name}.{each}" for each in _names(inner))


def _lay_out(row: msgspec.Struct | None, kind: type[msgspec.Struct], values: list[Any]) -> None:
    """The values of a row in the order of its columns; of a struct that is not there, as many of nothing."""
    found = repeat(None) if row is None else msgspec.structs.astuple(row)
    for value, (_, inner) in zip(found, _fields(kind), strict=row is not None):
        if inner is None:
            values.append(value)
        else:
            _lay_out(value, inner, values)


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, type[msgspec.Struct] | None], ...]:
    return tuple((field.encode_name, _struct_in(field.type)) for field in msgspec.structs.fields(kind))


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return next((found for each in get_args(annotation) if (found := _struct_in(each))), None)
    return None


def _cell(value: Any, form: Form) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if form.decimal == "." else str(value).replace(".", form.decimal)
    return _harmless(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Named):
        return f"{value.name}: {value.count}"
    if isinstance(value, msgspec.Struct):
        return " ".join(_text(each) for name in value.__struct_fields__ if (each := getattr(value, name)) is not None)
    if isinstance(value, list | tuple):
        return " | ".join(map(_text, value))
    return str(value)


def _harmless(text: str) -> str:
    """A text in which no spreadsheet finds a formula, also where it takes another sign for the end of a cell."""
    return _FORMULA.sub(r"\1'", text)
