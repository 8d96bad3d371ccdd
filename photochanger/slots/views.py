"""What the routes of slots take and answer, as msgspec types; their fields come from one list (`fields.FIELDS`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from photochanger.slots.check import MOST_PLANS, RANGES
from photochanger.slots.creating import MOST_SLOTS
from photochanger.slots.fields import FIELDS, LONGEST_NAME, MOST_TEMPLATES, ROLE, SLOT_ID, TEMPLATES, BoundTemplate
from photochanger.slots.journal import SlotChangeView
from photochanger.slots.passwords import LONGEST, SHORTEST
from photochanger.slots.presets import PRESET_FIELDS, PresetView
from photochanger.web.contract import FieldError
from photochanger.web.paging import Cursor, PageMeta

SlotId = Annotated[str, Meta(pattern=f"^{SLOT_ID.pattern}$", description="a-z 0-9 -", examples=["slot-016"])]
Password = Annotated[
    str, Meta(min_length=SHORTEST, max_length=LONGEST, description="What the booth sends. It is never shown again.")
]
Version = Annotated[int, Meta(ge=0, lt=10**18)]
Sort = Literal["id", "-id", "name", "-name", "provider", "-provider", "updated_at", "-updated_at"]


def _bounded(field: str, kind: Any) -> Any:
    """The type with the limits that `check_slot` looks at, so that the contract tells them."""
    if field == "name":
        return Annotated[str, Meta(max_length=LONGEST_NAME)]
    if field == "fallbacks":
        return Annotated[kind, Meta(max_length=MOST_PLANS - 1)]
    if field not in RANGES:
        return kind
    low, high = RANGES[field]
    number = Annotated[int, Meta(ge=int(low), le=int(high))]
    return number if kind is int else number | None


def _optional(fields: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(name, _bounded(name, kind) | UnsetType, UNSET) for name, kind in fields.items()]


_TEMPLATES = (
    TEMPLATES,
    Annotated[list[BoundTemplate], Meta(max_length=MOST_TEMPLATES, description="All that the slot has then.")]
    | UnsetType,
    UNSET,
)

SlotChangeIn: Any = msgspec.defstruct(
    "SlotChangeIn",
    [*_optional(FIELDS), _TEMPLATES],
    namespace={"__doc__": "The fields of a slot that change; the others stay. null leaves one to the house."},
    forbid_unknown_fields=True,
    kw_only=True,
)
PresetDocument: Any = msgspec.defstruct(
    "PresetDocument",
    _optional(PRESET_FIELDS),
    namespace={"__doc__": "The fields that a preset sets in a slot."},
    forbid_unknown_fields=True,
    kw_only=True,
)
_PASSWORDS = [
    ("password", Password | UnsetType, UNSET),
    (
        "generate_password",
        Annotated[bool, Meta(description="Make one up and show it once. Neither: the default ingest password's.")],
        False,
    ),
]
SlotCreateIn: Any = msgspec.defstruct(
    "SlotCreateIn",
    [
        ("provider", FIELDS["provider"]),
        ("operation", FIELDS["operation"]),
        ("id", SlotId | UnsetType, UNSET),
        *_PASSWORDS,
        *_optional({name: kind for name, kind in FIELDS.items() if name not in ("provider", "operation")}),
        _TEMPLATES,
    ],
    namespace={"__doc__": "A new slot. Without `id` it gets the next number."},
    forbid_unknown_fields=True,
    kw_only=True,
)
SlotDuplicateIn: Any = msgspec.defstruct(
    "SlotDuplicateIn",
    [("id", SlotId | UnsetType, UNSET), ("name", _bounded("name", str) | UnsetType, UNSET), *_PASSWORDS],
    namespace={"__doc__": "What a duplicate has of its own."},
    forbid_unknown_fields=True,
    kw_only=True,
)


class TemplateOfSlot(msgspec.Struct):
    """A picture that travels with every photo of the slot."""

    template_id: UUID
    role: str
    position: int


_VIEW: list[tuple[str, Any]] = [
    ("id", str),
    ("version", int),
    *FIELDS.items(),
    (TEMPLATES, list[TemplateOfSlot]),
    ("has_password", bool),
    ("ingest_url", Annotated[str, Meta(description="Where its booth posts photos.")]),
    (
        "problems",
        Annotated[list[FieldError], Meta(description="What keeps it, or some of its clients, from working.")],
    ),
    ("created_at", datetime),
    ("updated_at", datetime),
    ("updated_by", str | None),
    ("archived_at", datetime | None),
]
SlotView: Any = msgspec.defstruct("SlotView", _VIEW, namespace={"__doc__": "A slot as it is set up."})
CreatedSlotView: Any = msgspec.defstruct(
    "CreatedSlotView",
    [*_VIEW, ("password", Annotated[str | None, Meta(description="One that was made up; shown this once.")])],
    namespace={"__doc__": "A new slot."},
)


class SlotLine(msgspec.Struct):
    """A slot in a list. `model` is its first plan's, null where its settings cannot be read."""

    id: str
    name: str
    version: int
    provider: str
    operation: str
    model: str | None
    is_active: bool
    auth: str
    gallery: str
    has_password: bool
    ingest_url: str
    problems: list[FieldError]
    updated_at: datetime
    updated_by: str | None
    archived_at: datetime | None


class CountMeta(msgspec.Struct):
    """How many there are in the list."""

    total: int


class SlotList(msgspec.Struct):
    """Slots."""

    data: list[SlotLine]
    meta: CountMeta


class SlotChangeList(msgspec.Struct):
    """The changes of a slot, newest first."""

    data: list[SlotChangeView]
    meta: PageMeta


class SlotPresetList(msgspec.Struct):
    """Presets, by name."""

    data: list[PresetView]
    meta: CountMeta


class BulkLine(msgspec.Struct):
    """One slot after the change. `changed` is false where it was like that before."""

    id: str
    version: int
    changed: bool


class BulkMeta(msgspec.Struct):
    """Whether that was only tried."""

    dry_run: bool
    total: int


class BulkView(msgspec.Struct):
    """What one change made of many slots."""

    data: list[BulkLine]
    meta: BulkMeta


class PasswordView(msgspec.Struct):
    """The slot's new version. `password` is one that was made up, shown this once; null for one that was given."""

    id: str
    version: int
    password: str | None


class SigningKeyView(msgspec.Struct):
    """The slot's new key, shown this once; the one before is worth nothing from now on."""

    id: str
    version: int
    signing_generation: int
    signing_key: str


class SlotsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which slots, and in which order."""

    provider: Annotated[str, Meta(max_length=64, description="Of the first plan.")] | None = None
    is_active: bool | None = None
    gallery: Literal["off", "token", "public"] | None = None
    q: Annotated[str, Meta(max_length=LONGEST_NAME, description="Part of the id or the name.")] | None = None
    archived: Annotated[bool, Meta(description="The archived ones instead of those in use.")] = False
    sort: Sort = "id"


class ChangesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which part of the journal."""

    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class BulkBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One change for many slots. `versions` are those that must not have changed meanwhile."""

    slots: Annotated[list[SlotId], Meta(min_length=1, max_length=MOST_SLOTS)] | Literal["all"]
    change: dict[str, Any]
    versions: dict[str, Version] = {}
    dry_run: bool = False


class RestoreIn(msgspec.Struct, forbid_unknown_fields=True):
    """The version to go back to."""

    version: Annotated[int, Meta(ge=1, lt=10**18)]


class ApplyPresetIn(msgspec.Struct, forbid_unknown_fields=True):
    """The preset to apply."""

    preset_id: UUID


class SlotPasswordIn(msgspec.Struct, forbid_unknown_fields=True):
    """The new password; without one, one is made up."""

    password: Password | UnsetType = UNSET

    def __repr__(self) -> str:
        return "SlotPasswordIn(...)"


class PresetBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new preset."""

    name: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
    document: dict[str, Any]


class PresetChangeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What changes in a preset; a document replaces the whole of the one before."""

    name: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)] | UnsetType = UNSET
    document: dict[str, Any] | UnsetType = UNSET


class BindTemplateIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which picture, and what it is for the provider."""

    template_id: UUID
    role: Annotated[str, Meta(pattern=f"^{ROLE.pattern}$", examples=["style"])]


# What these take as any object is read field by field, so that all that is wrong is told at once; the contract tells
# the fields.
BulkIn: Any = msgspec.defstruct("BulkIn", [("change", SlotChangeIn)], bases=(BulkBody,), kw_only=True)
PresetIn: Any = msgspec.defstruct("PresetIn", [("document", PresetDocument)], bases=(PresetBody,), kw_only=True)
PresetChangeIn: Any = msgspec.defstruct(
    "PresetChangeIn", [("document", PresetDocument | UnsetType, UNSET)], bases=(PresetChangeBody,), kw_only=True
)
for _made, _body in ((BulkIn, BulkBody), (PresetIn, PresetBody), (PresetChangeIn, PresetChangeBody)):
    _made.__doc__ = _body.__doc__
