"""Answers as CSV (RFC 4180): the rows of `data`, one column per value. Made to be opened in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
import trio
from quart import Request, Response

from photochanger.stats.views import Named

Format = Literal["json", "csv"]

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n]")
_AT_ONCE: Final = trio.CapacityLimiter(2)
_BOM: Final = "\ufeff"  # without it Excel takes Cyrillic for something else


def wants_csv(request: Request, given: Format | None) -> bool:
    """The client asks for a table: by `format`, or else by preferring it in Accept."""
    if given is not None:
        return given == "csv"
    return (
        request.accept_mimetypes.best_match(["application/json", "text/csv"], default="application/json") == "text/csv"
    )


async def csv_answer(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct], name: str) -> Response:
    """`rows` of `kind` as a file for download; `name` without its ending."""
    text = await trio.to_thread.run_sync(to_csv, rows, kind, limiter=_AT_ONCE)
    response = Response(text, mimetype="text/csv")
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:120]
    response.headers["Content-Disposition"] = f'attachment; filename="photochanger-{safe}.csv"'
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept"
    return response


def to_csv(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct]) -> bytes:
    """UTF-8 with a byte order mark, lines ended by CRLF, the header even where there is no row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, dialect="excel")
    paths = list(_columns(kind))
    writer.writerow(".".join(names) for names, _ in paths)
    for row in rows:
        writer.writerow(_cell(row, attributes) for _, attributes in paths)
    return (_BOM + text.getvalue()).encode()


def _columns(kind: type[msgspec.Struct]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Per column its name and its attribute, each as a path: structs in structs are laid out flat."""
    for field in msgspec.structs.fields(kind):
        inner = _struct_in(field.type)
        if inner is None:
            yield (field.encode_name,), (field.name,)
        else:
            for names, attributes in _columns(inner):
                yield (field.encode_name, *names), (field.name, *attributes)


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return next((found for each in get_args(annotation) if (found := _struct_in(each))), None)
    return None


def _cell(row: Any, attributes: tuple[str, ...]) -> str | int | float:
    value = row
    for name in attributes:
        if value is None:
            return ""
        value = getattr(value, name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return _harmless(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Named):
        return f"{value.name}: {value.count}"
    if isinstance(value, msgspec.Struct):
        return " ".join(_text(each) for name in value.__struct_fields__ if (each := getattr(value, name)) is not None)
    if isinstance(value, list | tuple):
        return "; ".join(map(_text, value))
    return str(value)


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text.lstrip(" ")) else text
