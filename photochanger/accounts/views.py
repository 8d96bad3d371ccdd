"""What the routes of accounts take and give."""

from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from photochanger.accounts.audit import AuditEvent
from photochanger.domain.permission import Permission
from photochanger.web.paging import Cursor, Number, PageMeta

LONGEST_PASSWORD = 1024
MOST_OF_LOGIN = 16 * 1024
"""Bytes of a login's body. The longest name and password that are taken are less, also where every character of them
is written as two escapes."""

_Text = Annotated[str, Meta(min_length=1, max_length=100)]
_Time = Annotated[datetime, Meta(tz=True)]


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """A user name and its password, both taken exactly as they are."""

    username: Annotated[str, Meta(min_length=1, max_length=64, examples=["serg"])]
    password: Annotated[str, Meta(min_length=1, max_length=LONGEST_PASSWORD)]

    def __repr__(self) -> str:
        return "Credentials(…)"


class TokenView(msgspec.Struct):
    """A token for the header `Authorization: Bearer …`; `expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int


class SessionView(msgspec.Struct):
    """Who is logged in; `csrf_token` goes into the header X-CSRF-Token of every change that a page makes."""

    username: str
    permissions: list[Permission]
    expires_at: datetime
    csrf_token: str


class AccountView(msgspec.Struct):
    """An administrator and what he may do."""

    username: str
    permissions: list[Permission]


class AccountsMeta(msgspec.Struct):
    """About the list."""

    count: int


class AccountList(msgspec.Struct):
    """All accounts, by name."""

    data: list[AccountView]
    meta: AccountsMeta


class AuditQuery(msgspec.Struct, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Which events to tell: from a moment on, up to but not with another one."""

    action: _Text | None = None
    actor: _Text | None = None
    subject: _Text | None = None
    since: _Time | None = None
    until: _Time | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class AuditPlace(NamedTuple):
    """Where an event stands in the list."""

    id: Number


class AuditList(msgspec.Struct):
    """Events, newest first."""

    data: list[AuditEvent]
    meta: PageMeta
