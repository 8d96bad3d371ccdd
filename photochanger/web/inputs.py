"""What a request says, as typed values: its JSON body, its query, the version that it changes."""

import re
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast, get_args
from uuid import UUID

import msgspec
from quart import Request

from photochanger.domain.reasons import Reason
from photochanger.domain.wording import told
from photochanger.errors import Problem, Refusal
from photochanger.web.body import MEMORY_LIMIT, Body
from photochanger.web.outputs import etag_of

T = TypeVar("T")

DEEPEST: Final = 64
"""Levels of a JSON body; what is read recursively must not run out of stack."""

_NUL_ESCAPE: Final = rb"\u0000"
"""JSON has no other way to write the character NUL."""
_LONGEST_STEP: Final = 60
"""Characters of a name that are told of it."""
_NUMBER: Final = re.compile(r"[-+0-9.eE]+")
_ETAG: Final = re.compile(r'"([0-9]{1,18})"')


async def read_json(request: Request, kind: type[T], *, most: int = MEMORY_LIMIT) -> T:
    """The body, of at most `most` bytes, as `kind`.

    Raises Refusal: `payload_too_large`, `invalid_request` for what is no JSON, `validation_failed` by field. The media
    type must be JSON's: a form that a foreign page makes a browser send is none.
    """
    if request.mimetype != "application/json":
        raise Refusal(Reason.INVALID_REQUEST, "The body must be application/json.")
    body = cast(Body, request.body)
    body.memory_limit = most
    return parse_json(await body, kind)


def parse_json(raw: bytes, kind: type[T], where: str = "") -> T:
    """JSON as `kind`; `where` is the field in which it came. Raises Refusal as `read_json` does."""
    try:
        # First as it is: a syntax error is told as one, whatever type it hides.
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Reason.INVALID_REQUEST, f"The {where or 'body'} is no JSON: {error}.") from None
    if raw.count(b"[") + raw.count(b"{") >= DEEPEST and _is_deep(document, DEEPEST):
        raise invalid(Problem(where or "body", f"is nested more than {DEEPEST} levels deep"))
    if _NUL_ESCAPE in raw and (nul := _nul_in(document)) is not None:
        path = f"{where}{nul}".lstrip(".")
        raise invalid(Problem(path or "body", "contains the character NUL, which cannot be stored"))
    return _converted(document, kind, strict=True, where=where)


def read_query(request: Request, kind: type[T]) -> T:
    """The query as `kind`, a msgspec struct. Raises Refusal: `validation_failed`, naming the parameter.

    A kind that forbids unknown fields refuses unknown parameters: a filter with a typing error would show everything.
    Others pass over them: links that people send each other gather such.
    """
    values: dict[str, Any] = {}
    struct = cast("type[msgspec.Struct]", kind)
    known = {field.encode_name: _holds(field.type, datetime) for field in msgspec.structs.fields(struct)}
    for name, given in request.args.lists():
        if name not in known:
            if not struct.__struct_config__.forbid_unknown_fields:
                continue
            raise invalid(Problem(name.replace("\0", "")[:60], "there is no such parameter"))
        if len(given) > 1:
            raise invalid(Problem(name[:60], "is given more than once"))
        if "\0" in given[0] or "\0" in name:
            raise invalid(Problem(name.replace("\0", "")[:60], "contains the character NUL"))
        if given[0].lower() == "null":
            # msgspec would take it for nothing at all, and a filter for photos of that name would show everything.
            raise invalid(Problem(name, "cannot be null: leave the parameter out"))
        if known[name] and _NUMBER.fullmatch(given[0]):
            raise invalid(Problem(name, "must be a time as in 2026-11-28T10:00:00Z"))  # and no count of seconds
        values[name] = given[0]
    return _converted(values, kind, strict=False)


def required_version(request: Request) -> int | None:
    """The version that the caller has seen and changes, from If-Match; None for `*`, whichever there is.

    Raises Refusal: `precondition_required` without the header, `version_conflict` for a tag that was never ours.
    """
    given = request.headers.get("If-Match")
    if given is None:
        raise Refusal(Reason.PRECONDITION_REQUIRED)
    if given.strip() == "*":
        return None
    found = _ETAG.fullmatch(given.strip())
    if found is None:
        raise Refusal(Reason.VERSION_CONFLICT, f"If-Match must be an ETag of ours, as in {etag_of(7)}.")
    return int(found[1])


def read_id(text: str) -> UUID:
    """An id of the path. Raises Refusal (not_found) for what cannot be one."""
    try:
        return UUID(text)
    except ValueError:
        raise Refusal(Reason.NOT_FOUND) from None


def in_utc(field: str, moment: datetime | None) -> datetime | None:
    """What `field` says, in UTC. Raises Refusal (validation_failed): the first and last moments of all are in none."""
    try:
        return moment.astimezone(UTC) if moment is not None else None
    except OverflowError:
        raise invalid(Problem(field, "is no moment of our calendar")) from None


def invalid(*problems: Problem) -> Refusal:
    """The refusal that tells what is wrong, by field."""
    return Refusal(Reason.VALIDATION_FAILED, errors=problems)


def _holds(kind: Any, wanted: type) -> bool:
    """Whether a type is, or may be, `wanted`."""
    return kind is wanted or any(_holds(each, wanted) for each in get_args(kind))


def _converted(values: Any, kind: type[T], *, strict: bool, where: str = "") -> T:
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        path, message = told(str(error))
        raise invalid(Problem(f"{where}{path}".lstrip(".") or "body", message)) from None


def _is_deep(document: Any, levels: int) -> bool:
    """Whether there is anything below so many levels; looked at level by level, because it may be very deep.

    Only what may hold something else is remembered: of long lists of small things there is nothing to keep.
    """
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(levels - 1):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
    return any(level)


def _nul_in(value: Any) -> str | None:
    """The way from `value` to the one character that PostgreSQL cannot store, as in `.settings[0]`; None: not there.

    The way is put together on the way back, once it is known that there is one: strangers send what is looked at here,
    with long names and with many of them.
    """
    if isinstance(value, str):
        return "" if "\0" in value else None
    if isinstance(value, dict):
        for name, each in value.items():
            below = "" if "\0" in name else _nul_in(each)
            if below is not None:
                return f".{name.replace(chr(0), '')[:_LONGEST_STEP]}{below}"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            if (below := _nul_in(each)) is not None:
                return f"[{number}]{below}"
    return None
