"""How often logins may fail, per account and per address, counted in PostgreSQL for all processes together.

A try is counted before the password is looked at and given back when it was right: so parallel guesses cannot all be
looked at before the first of them counts.
"""

import hmac
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.web.address import counted_as

PURPOSE: Final = "throttle"
"""What the key is derived for from the house's."""
WINDOW: Final = 900.0
"""Seconds within which failures are counted together, and for which a lock holds."""
ACCOUNT_TRIES: Final = 5
"""Failures that lock an account."""
ADDRESS_TRIES: Final = 30
"""Failures that lock an address: more than one account's worth, since a whole studio may share it."""

# Of the tries in a row only those inside the window count; a lock is as long as the window, so none outlives it.
_RESERVE: Final = """
INSERT INTO login_throttle AS known (scope, name, tries, last_at)
VALUES ($1, $2, ARRAY[now()], now())
ON CONFLICT (scope, name) DO UPDATE SET
    tries = ARRAY(SELECT at FROM unnest(known.tries) AS at WHERE at > now() - make_interval(secs => $4)) || now(),
    last_at = now(),
    locked_until = CASE
        WHEN 1 + (SELECT count(*) FROM unnest(known.tries) AS at WHERE at > now() - make_interval(secs => $4)) >= $3
        THEN now() + make_interval(secs => $4) END
WHERE known.locked_until IS NULL OR known.locked_until <= now()
RETURNING last_at, locked_until
"""
_LEFT: Final = """
SELECT extract(epoch FROM locked_until - clock_timestamp())::float8 FROM login_throttle WHERE scope = $1 AND name = $2
"""
_FORGET_ACCOUNT: Final = "DELETE FROM login_throttle WHERE scope = 'account' AND name = $1"
_GIVE_BACK_ADDRESS: Final = """
UPDATE login_throttle SET tries = array_remove(tries, $2), locked_until = nullif(locked_until, $3)
WHERE scope = 'address' AND name = $1
"""
_SWEEP: Final = "DELETE FROM login_throttle WHERE last_at < now() - make_interval(secs => $1)"


@dataclass(frozen=True, slots=True)
class Try:
    """One login that was counted as failed for the time being; `*_locked` tell what it locks if it stays so."""

    account: str
    address: str
    address_at: datetime
    address_until: datetime | None
    account_locked: bool

    @property
    def address_locked(self) -> bool:
        return self.address_until is not None


class Throttle:
    """The counts. `key` makes the digests under which accounts are counted, known ones and others alike."""

    def __init__(self, db: Db, key: bytes) -> None:
        self._db = db
        self._key = key

    def counted_name(self, username: str) -> str:
        """What stands for a user name in the table: whatever was typed there may be a password."""
        return hmac.digest(self._key, username.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]

    async def reserve(self, username: str, address: str) -> Try:
        """Count a try. Raises Refusal (login_locked, with the seconds that are left), DatabaseUnavailable."""
        name, place = self.counted_name(username), counted_as(address)
        address_at, address_until = await self._count("address", place, ADDRESS_TRIES)
        _, account_until = await self._count("account", name, ACCOUNT_TRIES)
        return Try(name, place, address_at, address_until, account_until is not None)

    async def give_back(self, held: Try) -> None:
        """The password was right: the account's failures are forgotten, of the address only this try is.

        Raises DatabaseUnavailable.
        """
        await self._db.execute(_FORGET_ACCOUNT, held.account)
        await self._db.execute(_GIVE_BACK_ADDRESS, held.address, held.address_at, held.address_until)

    async def unlock(self, username: str) -> bool:
        """Forget an account's failures; whether there were any. Raises DatabaseUnavailable."""
        return await self._db.execute(_FORGET_ACCOUNT, self.counted_name(username)) == "DELETE 1"

    async def sweep(self) -> None:
        """Remove what counts no more. Raises DatabaseUnavailable."""
        await self._db.execute(_SWEEP, WINDOW)

    async def _count(self, scope: str, name: str, limit: int) -> tuple[datetime, datetime | None]:
        row = await self._db.fetchrow(_RESERVE, scope, name, limit, WINDOW)
        if row is None:
            left = await self._db.fetchval(_LEFT, scope, name)
            raise Refusal(Reason.LOGIN_LOCKED, retry_after=max(1, math.ceil(left or 0)))
        return row["last_at"], row["locked_until"]
