"""What was done that matters to security: a row of `audit_event` and a line of the log `photochanger.audit` each.

No event holds a secret. A name that somebody typed is told only when it is an account's: people type passwords there.
"""

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec
import trio
from quart import has_request_context

from photochanger.db.facade import Db
from photochanger.errors import DatabaseUnavailable
from photochanger.observability.logs import AUDIT
from photochanger.web.address import caller_address

audit_log = logging.getLogger(AUDIT)

LOGIN: Final = "login"
LOGIN_FAILED: Final = "login_failed"
ACCOUNT_LOCKED: Final = "account_locked"
ACCOUNT_UNLOCKED: Final = "account_unlocked"
ADDRESS_LOCKED: Final = "address_locked"
LOGOUT: Final = "logout"

KEPT: Final = 400
"""Days."""
PATIENCE: Final = 2.0
"""Seconds that PostgreSQL has to take an event."""
_LONGEST: Final = 300
_DEEPEST: Final = 4

_RECORD: Final = "INSERT INTO audit_event (actor, action, subject, address, detail) VALUES ($1, $2, $3, $4, $5)"
_SWEEP: Final = "DELETE FROM audit_event WHERE at < now() - make_interval(days => $1)"
# Newest first means in the order in which they were written; a clock that was set back changes nothing.
_READ: Final = """
SELECT id, at, actor, action, subject, address, detail FROM audit_event
WHERE ($1::text IS NULL OR action = $1) AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR subject = $3)
  AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
  AND ($6::bigint IS NULL OR id < $6)
ORDER BY id DESC LIMIT $7
"""


class AuditEvent(msgspec.Struct):
    """Something that somebody did. `actor` is null where nobody is known, as for a failed login."""

    id: int
    at: datetime
    actor: str | None
    action: str
    subject: str | None
    address: str | None
    detail: dict[str, Any]


class Audit:
    """Takes events in, and tells them."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def record(
        self,
        action: str,
        *,
        actor: str | None = None,
        subject: str | None = None,
        address: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell that `actor` has done `action` to `subject` (a slot, an account, a setting), from `address`.

        `detail` is JSON-able and never a secret. Raises nothing: what PostgreSQL does not take in two seconds is in
        the log alone. A caller that is cancelled is held up for as long, so that leaving early hides nothing.
        """
        event = {
            "actor": _plain(actor),
            "action": _plain(action),
            "subject": _plain(subject),
            "address": _plain(address),
            "detail": _plain(dict(detail or {})),
        }
        told = {name: value for name, value in event.items() if value}
        audit_log.info("%s", json.dumps(told, ensure_ascii=False))
        with trio.CancelScope(shield=True):
            try:
                await self._db.execute(_RECORD, *event.values(), timeout=PATIENCE)
            except DatabaseUnavailable as error:
                audit_log.warning("%s stands in this log only: %s", action, error)
            except asyncpg.PostgresError:
                audit_log.exception("%s stands in this log only", action)

    async def record_request(self, action: str, **told: Any) -> None:
        """The same, from the address of whoever made the present request, where there is one: for routes and desks."""
        await self.record(action, address=caller_address() if has_request_context() else None, **told)

    async def account_changed(self, change: str, name: str) -> None:
        """Record what was done to an account at a terminal; for `AccountBook.on_change`."""
        await self.record(change, subject=name)

    async def read(
        self,
        *,
        limit: int,
        action: str | None = None,
        actor: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
    ) -> list[AuditEvent]:
        """The newest events, at most `limit`, of those with an id below `before`. Raises DatabaseUnavailable."""
        rows = await self._db.fetch(_READ, action, actor, subject, since, until, before, limit)
        return [AuditEvent(**row) for row in rows]

    async def sweep(self) -> None:
        """Remove what is older than KEPT days. Raises DatabaseUnavailable."""
        await self._db.execute(_SWEEP, KEPT)


def _plain(value: Any, depth: int = 0) -> Any:
    """As PostgreSQL and one line of a log can take it: no control characters, no endless texts."""
    match value:
        case None | bool() | float():
            return value
        case int() if abs(value) < 2**63:
            return value
        case str():
            return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in value[:_LONGEST])
        case Mapping() if depth < _DEEPEST:
            return {_plain(str(name)): _plain(each, depth + 1) for name, each in value.items()}
        case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return [_plain(each, depth + 1) for each in value]
    return _plain(str(value))
