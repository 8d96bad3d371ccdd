"""Tokens that were given back before their time, known to every process."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import trio

from photochanger.db.facade import Db
from photochanger.db.follow import follow
from photochanger.errors import DatabaseUnavailable
from photochanger.web.guard import Identity

_REVOKE: Final = "INSERT INTO revoked_token (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_READ: Final = "SELECT jti, expires_at FROM revoked_token WHERE expires_at > $1"
_SWEEP: Final = "DELETE FROM revoked_token WHERE expires_at < $1"


class RevokedTokens:
    """Their ids in memory, until they expire. `clock` gives Unix seconds. A child of the tree: `run` follows the rows.

    What is revoked stays so: reading adds, only time removes.
    """

    def __init__(self, db: Db, *, clock: Callable[[], float] = time.time) -> None:
        self._db = db
        self._clock = clock
        self._until: dict[UUID, float] = {}
        self._owed: dict[UUID, float] = {}

    def __contains__(self, token_id: UUID) -> bool:
        return token_id in self._until

    def __len__(self) -> int:
        return len(self._until)

    async def revoke(self, identity: Identity) -> None:
        """Accept this token no more: here from now on, elsewhere as soon as PostgreSQL says so."""
        self._until[identity.token_id] = self._owed[identity.token_id] = identity.expires_at
        try:
            await self._write()
        except DatabaseUnavailable:
            return  # the next refresh writes it

    async def refresh(self) -> None:
        """Write what PostgreSQL does not know, read what we do not. Raises DatabaseUnavailable."""
        await self._write()
        rows = await self._db.fetch(_READ, self._now())
        self._until |= {row["jti"]: row["expires_at"].timestamp() for row in rows}
        now = self._clock()
        self._until = {token_id: until for token_id, until in self._until.items() if until > now}

    async def sweep(self) -> None:
        """Remove the rows of tokens that have expired by themselves. Raises DatabaseUnavailable."""
        await self._db.execute(_SWEEP, self._now())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Refresh on every announcement, and every half minute, until cancelled."""
        await follow(self._db, self.refresh, task_status)

    async def _write(self) -> None:
        owed = dict(self._owed)
        if owed:
            rows = [(token_id, datetime.fromtimestamp(until, UTC)) for token_id, until in owed.items()]
            await self._db.executemany(_REVOKE, rows)
            for token_id in owed:
                self._owed.pop(token_id, None)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
