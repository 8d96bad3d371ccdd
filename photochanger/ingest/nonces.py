"""Nonces of signed requests that were used: each is good once, in every process, also over a restart."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import trio

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import DatabaseUnavailable, Refusal
from photochanger.ingest.signature import TOLERANCE, UPLOAD

LIFE: Final = 2 * TOLERANCE + UPLOAD
"""Seconds for which a nonce can matter at most: signed by a clock ahead of ours, sent late, uploaded slowly."""
CAPACITY: Final = 20_000
"""Nonces in memory: as many as 27 photos per second leave behind."""
ANSWER: Final = 0.5
"""Seconds that PostgreSQL has to answer while a booth waits."""
SWEEP: Final = 60.0
"""Seconds between two rounds of cleaning up."""

_USE: Final = "INSERT INTO nonce (slot_id, nonce, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_SWEEP: Final = "DELETE FROM nonce WHERE expires_at < $1"

_Key = tuple[str, str]


class Nonces:
    """What was used, in memory and in PostgreSQL. `clock` gives Unix seconds.

    While PostgreSQL is away memory alone decides, once it goes back far enough to know every nonce that could still
    be played again; what it let in meanwhile is written as soon as that is possible.
    """

    def __init__(self, db: Db, *, clock: Callable[[], float] = time.time) -> None:
        self._db = db
        self._clock = clock
        self._used: dict[_Key, float] = {}
        self._owed: dict[_Key, float] = {}
        self._whole_from = clock() + LIFE

    def seen(self, slot_id: str, nonce: str) -> bool:
        """Whether this process knows the nonce as used: a cheap look before the body is read."""
        return (slot_id, nonce) in self._used

    async def use(self, slot_id: str, nonce: str, expires_at: float) -> bool:
        """Use a nonce up; False when it was used before. Only for requests whose signature is right.

        `expires_at` is in Unix seconds. Raises Refusal, `database_unavailable`, when nobody can tell. Waits for
        PostgreSQL half a second at most.
        """
        key = (slot_id, nonce)
        if key in self._used:
            return False
        self._remember(key, expires_at)
        try:
            tag = await self._db.execute(_USE, *_row(key, expires_at), timeout=ANSWER)
        except DatabaseUnavailable:
            if self._clock() < self._whole_from:
                raise Refusal(Reason.DATABASE_UNAVAILABLE, retry_after=5) from None
            self._owed[key] = expires_at
            return True
        return tag == "INSERT 0 1"

    async def sweep(self) -> None:
        """Forget what has expired, and write what PostgreSQL does not know yet. Raises DatabaseUnavailable."""
        now = self._clock()
        for known in (self._used, self._owed):
            for key in [key for key, expires_at in known.items() if expires_at < now]:
                del known[key]
        owed = dict(self._owed)
        if owed:
            await self._db.executemany(_USE, [_row(*item) for item in owed.items()])
            for key in owed:
                self._owed.pop(key, None)
        await self._db.execute(_SWEEP, datetime.fromtimestamp(now, UTC))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sweep once a minute. A child of the tree."""
        task_status.started()
        while True:
            await trio.sleep(SWEEP)
            try:
                await self.sweep()
            except DatabaseUnavailable:
                continue  # the database child has said so; expired rows do no harm

    def _remember(self, key: _Key, expires_at: float) -> None:
        self._used[key] = expires_at
        if len(self._used) > CAPACITY:
            oldest = next(iter(self._used))
            # Until what is forgotten here has expired, memory alone cannot vouch for a nonce.
            self._whole_from = max(self._whole_from, self._used.pop(oldest))


def _row(key: _Key, expires_at: float) -> tuple[str, str, datetime]:
    return *key, datetime.fromtimestamp(expires_at, UTC)
