"""A slot as a document: which fields it has, of which type each is, and whether a value can be one."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, get_args
from uuid import UUID

import msgspec

from photochanger.domain.slot import AtBudget, Auth, Gallery, LastResort, OnTimeout, Output
from photochanger.domain.wording import told
from photochanger.errors import Problem

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$")]

MOST_TEMPLATES: Final = 20
"""Templates per slot; no provider takes more pictures than that with one photo."""
LONGEST_NAME: Final = 120
LARGEST_VALUE: Final = 64 * 1024
"""Bytes of one field as JSON: several times the longest prompt."""
DEEPEST: Final = 8
"""Levels of one field's JSON; no provider's settings have half of them."""

ROLE: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
SLOT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class PlanField(msgspec.Struct, forbid_unknown_fields=True):
    """One way to a picture: which provider is asked to do what. `settings` is that provider's own part."""

    provider: Name
    operation: Name
    settings: dict[str, Any] = {}


class BoundTemplate(msgspec.Struct, forbid_unknown_fields=True):
    """A picture that travels with every photo of the slot. Without `position` it comes behind the one before it."""

    template_id: UUID
    role: Annotated[str, msgspec.Meta(pattern=f"^{ROLE.pattern}$")]
    position: Annotated[int, msgspec.Meta(ge=0, lt=MOST_TEMPLATES)] | None = None


FIELDS: Final[Mapping[str, Any]] = {
    "name": str,
    "provider": Name,
    "operation": Name,
    "settings": dict[str, Any],
    "fallbacks": list[PlanField],
    "is_active": bool,
    "hedge": bool,
    "keep_spares": bool,
    "on_timeout": OnTimeout,
    "t_sync": int | None,
    "t_late": int | None,
    "last_resort": LastResort,
    "last_resort_settings": dict[str, Any],
    "permits": int,
    "mailbox": int,
    "size_limit_bytes": int,
    "longest_side": int | None,
    "send_quality": int,
    "output": Output,
    "output_width": int | None,
    "output_height": int | None,
    "allow_png": bool,
    "jpeg_quality": int,
    "dedupe_seconds": int,
    "budget_day_microusd": int | None,
    "at_budget": AtBudget,
    "rate_per_minute": int | None,
    "rate_burst": int | None,
    "auth": Auth,
    "signing_generation": int,
    "gallery": Gallery,
    "gallery_generation": int,
    "moderated": bool,
}
"""What can be changed, and of which type it is: `Slot` says what each means. None leaves it to the house."""

TEMPLATES: Final = "templates"
"""The one field that lies in rows of its own: a list of `BoundTemplate`."""
RISING: Final = {"signing_generation": "a key that was replaced", "gallery_generation": "a link that was replaced"}
"""Fields whose old values must stay worthless."""

COLUMNS: Final = {"t_sync": "t_sync_seconds", "t_late": "t_late_seconds"}
"""Columns that have another name than their field."""
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_UNSEEN: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make the text around them read in another order than it is written."""


def document(row: Mapping[str, Any]) -> dict[str, Any]:
    """A slot's row as its document. Never the password's hash."""
    return {
        "id": row["id"],
        "version": row["version"],
        **{field: row[COLUMNS.get(field, field)] for field in FIELDS},
        TEMPLATES: [
            {"template_id": found["id"], "role": found["role"], "position": found["position"]}
            for found in row[TEMPLATES]
        ],
        "has_password": row["secret_hash"] is not None,
    }


def value_of(field: str, value: Any) -> Any:
    """`value` as it lies in the row. Only after `problem_of` found nothing."""
    return msgspec.to_builtins(msgspec.convert(value, FIELDS[field]))


def problem_of(field: str, value: Any, shown: Mapping[str, Any]) -> Problem | None:
    """What is wrong with `value` as the field's; `shown` is the slot's document now.

    Fields that cannot be changed are welcome as they are: so a document can be edited and given back.
    """
    if field not in FIELDS and field != TEMPLATES:
        if field not in shown:
            return Problem(field[:60], "there is no such field")
        if value == shown[field]:
            return None
        if field == "version":
            return Problem(field, f"the slot was changed meanwhile, it is at version {shown[field]} now: look again")
        return Problem(field, "cannot be changed here")
    kind = list[BoundTemplate] if field == TEMPLATES else FIELDS[field]
    try:
        msgspec.convert(value, kind)
        return _unfit(field, value, shown)
    except msgspec.ValidationError as error:
        allowed = get_args(kind)
        if isinstance(value, str) and allowed and all(isinstance(each, str) for each in allowed):
            return Problem(field, f"must be one of {', '.join(allowed)}, not {value[:40]!r}")
        path, message = told(str(error))
        if field == TEMPLATES and path.endswith(".role") and "plain name" in message:
            message = "must be a lower-case word, as in style, body or reference"
        return Problem(field + path, message)
    except UnicodeEncodeError:
        return Problem(field, "is not valid Unicode text")


def placed(bindings: Iterable[BoundTemplate]) -> list[BoundTemplate]:
    """`bindings`, each with its position, in their order. Raises ValueError, saying what is wrong with the places."""
    found: dict[int, BoundTemplate] = {}
    place = -1
    for each in bindings:
        if not ROLE.fullmatch(each.role):  # the pattern of a type lets a line feed at the end pass
            raise ValueError("role must be a lower-case word, as in style, body or reference")
        place = place + 1 if each.position is None else each.position
        if place >= MOST_TEMPLATES:
            raise ValueError(f"there may be {MOST_TEMPLATES} at most, at positions 0 to {MOST_TEMPLATES - 1}")
        if place in found:
            raise ValueError(f"two are at position {place}")
        found[place] = BoundTemplate(each.template_id, each.role, place)
    return [found[place] for place in sorted(found)]


def name_problem(name: str) -> str | None:
    """What keeps `name` from being shown to people; None when nothing does."""
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters, at most {LONGEST_NAME} are kept"
    if any(unicodedata.category(character) == "Cc" or character in _UNSEEN for character in name):
        return "must be one line of text, without control characters"
    return None


def top(problem: Problem) -> str:
    """The slot's field in which the problem lies."""
    return re.split(r"[.\[]", problem.field, maxsplit=1)[0]


def _unfit(field: str, value: Any, shown: Mapping[str, Any]) -> Problem | None:
    """What is wrong with a value of the right type."""
    if _deep(value, DEEPEST):
        return Problem(field, f"is nested more than {DEEPEST} levels deep")
    encoded = msgspec.json.encode(value)
    if _NUL.search(encoded):
        return Problem(field, "contains the character NUL, which cannot be stored")
    if len(encoded) > LARGEST_VALUE:
        return Problem(field, f"is too large: {LARGEST_VALUE // 1024} KiB of JSON are kept")
    if field == "name" and (why := name_problem(value)) is not None:
        return Problem(field, why)
    if field in RISING and value < shown.get(field, 1):
        return Problem(field, f"may only rise, it is {shown[field]} now: {RISING[field]} stays worthless")
    if field == TEMPLATES:
        try:
            placed(msgspec.convert(value, list[BoundTemplate]))
        except ValueError as error:
            return Problem(field, str(error))
    return None


def _deep(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deep(each, levels - 1) for each in inner)
