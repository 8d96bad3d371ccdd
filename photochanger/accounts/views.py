"""What the routes of accounts take and give."""

import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from photochanger.accounts.audit import AuditEvent
from photochanger.domain.permission import Permission

LONGEST_PASSWORD = 1024
_BIGGEST_ID = 2**63 - 1
_CURSOR = re.compile(r"e[0-9a-f]{1,16}")

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
    cursor: Annotated[str, Meta(max_length=40, description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class AuditMeta(msgspec.Struct):
    """`next_cursor` leads to older events; null when there are none."""

    next_cursor: str | None


class AuditList(msgspec.Struct):
    """Events, newest first."""

    data: list[AuditEvent]
    meta: AuditMeta


def cursor_of(event_id: int) -> str:
    """Where the page behind this event begins, as a text that means nothing to anybody else."""
    return f"e{event_id:x}"


def read_cursor(cursor: str) -> int:
    """The id that a cursor was made of. Raises ValueError."""
    if not _CURSOR.fullmatch(cursor) or (found := int(cursor[1:], 16)) > _BIGGEST_ID:
        raise ValueError("the cursor is none of ours")
    return found
