"""What the settings' routes take and answer. No view holds a secret, but for the one that gives a new password."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from photochanger.errors import Problem
from photochanger.providers.base import KeyVerdict
from photochanger.providers.stored_keys import PREFIX, KeyInUse, Source
from photochanger.settings.book import SettingsBook
from photochanger.settings.change import RESET
from photochanger.settings.house import FIELDS, Field
from photochanger.settings.ingest_password import is_set
from photochanger.settings.rows import HOUSE, INGEST_PASSWORD, Row
from photochanger.web.inputs import invalid
from photochanger.web.paging import Cursor, PageMeta

Value = float | int | bool | None
Key = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=500,
        extra_json_schema={"pattern": "^[!-~]+$"},  # looked at by `plain`, which says it in words
        description="As the provider gave it: printable ASCII characters without spaces. It is never shown again.",
    ),
]


class SettingView(msgspec.Struct):
    """One setting: what applies, what the environment says, whether an administrator has said otherwise, its bounds."""

    value: Value
    default: Value
    overridden: bool
    environment: Annotated[str, Meta(description="The variable that the default comes from.")]
    about: str
    minimum: float | int | None
    maximum: float | int | None
    nullable: bool


class ProviderKeyView(msgspec.Struct):
    """Which key a provider is shown: never the key itself. `problem` is why a stored one cannot be used."""

    configured: Annotated[Source | None, Meta(description="Where the key in use comes from; null = there is none.")]
    updated_at: datetime | None
    updated_by: str | None
    problem: str | None


class IngestPasswordView(msgspec.Struct):
    """Whether an administrator has made a default ingest password, and who made the present one."""

    set: bool
    updated_at: datetime | None
    updated_by: str | None


class SettingsView(msgspec.Struct):
    """Everything that an administrator may set. `version` is that of `settings`, and the ETag."""

    version: int
    updated_at: datetime | None
    updated_by: str | None
    settings: dict[str, SettingView]
    provider_keys: dict[str, ProviderKeyView]
    ingest_password: IngestPasswordView


class ProviderKeyIn(msgspec.Struct, forbid_unknown_fields=True):
    """A provider's key, to be used from now on."""

    key: Key


class KeyCheckIn(msgspec.Struct, forbid_unknown_fields=True):
    """A key to be tried; without one, that in use."""

    key: Key | UnsetType = UNSET


def plain(key: str) -> str:
    """A given key without the blanks around it. Raises Refusal (validation_failed)."""
    stripped = key.strip()
    if len(stripped) < 8 or not re.fullmatch(r"[!-~]+", stripped):
        raise invalid(Problem("key", "must be printable ASCII characters without spaces, 8 at least"))
    return stripped


class KeyCheckView(msgspec.Struct):
    """What trying a key came to."""

    ok: Annotated[bool, Meta(description="The provider accepts the key.")]
    verdict: KeyVerdict
    detail: str
    latency_ms: int


class NewIngestPasswordView(msgspec.Struct):
    """The new default ingest password. This is the only time that it is shown."""

    password: str
    filled: Annotated[list[str], Meta(description="The slots that had no password and have this one now.")]
    updated_at: datetime | None
    updated_by: str | None


class SettingsChangeView(msgspec.Struct):
    """A change. A field of `settings` that is missing before or after was left to the environment."""

    key: Annotated[str, Meta(description=f"`{HOUSE}`, `{INGEST_PASSWORD}` or `{PREFIX}` and a provider.")]
    version: int
    before: dict[str, Any]
    after: dict[str, Any]
    changed_at: datetime
    changed_by: str


class SettingsChangesView(msgspec.Struct):
    """A page of the journal, newest first."""

    data: list[SettingsChangeView]
    meta: PageMeta


class SettingsChangesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which changes are asked for."""

    key: Annotated[str, Meta(max_length=80, description="Only of this one, as in `house`.")] | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


def settings_view(book: SettingsBook, in_use: Mapping[str, KeyInUse]) -> SettingsView:
    """What applies, with the rows that it comes from."""
    row = book.row(HOUSE)
    overridden = row.value if isinstance(row.value, dict) else {}
    password = book.row(INGEST_PASSWORD)
    return SettingsView(
        version=row.version,
        updated_at=_at(row),
        updated_by=row.updated_by,
        settings={
            name: SettingView(
                value=field.plain(getattr(book.now, name)),
                default=field.plain(getattr(book.defaults, name)),
                overridden=name in overridden,
                environment=field.environment,
                about=field.about,
                minimum=None if field.kind is bool else field.low,
                maximum=None if field.kind is bool else field.high,
                nullable=field.nullable,
            )
            for name, field in FIELDS.items()
        },
        provider_keys={name: key_view(book.row(f"{PREFIX}{name}"), found) for name, found in in_use.items()},
        ingest_password=IngestPasswordView(is_set(password), _at(password), password.updated_by),
    )


def key_view(row: Row, found: KeyInUse) -> ProviderKeyView:
    """A provider's key by its row."""
    return ProviderKeyView(found.source, _at(row), row.updated_by, found.problem)


def change_view(row: Any) -> SettingsChangeView:
    """A change by its row in the journal."""
    values = dict(row)
    return SettingsChangeView(**values | {"before": values["before"] or {}, "after": values["after"] or {}})


def _at(row: Row) -> datetime | None:
    return row.updated_at if row.version else None


def _input(field: Field) -> Any:
    if field.kind is bool:
        return Annotated[bool, Meta(description=field.about)] | None | UnsetType
    bounds = Meta(ge=field.low, le=field.high, description=field.about)
    return Annotated[field.kind, bounds] | None | UnsetType


_RESET = "Fields of any kind that are left to the environment again."
_Names: Any = Literal[tuple(FIELDS)]

SettingsIn = msgspec.defstruct(
    "SettingsIn",
    [
        *((name, _input(field), UNSET) for name, field in FIELDS.items()),
        (RESET, Annotated[list[_Names], Meta(description=_RESET)] | UnsetType, UNSET),
    ],
    forbid_unknown_fields=True,
    module=__name__,
)
SettingsIn.__doc__ = "Fields to be changed; null leaves a field to the environment, where it cannot be null itself."
