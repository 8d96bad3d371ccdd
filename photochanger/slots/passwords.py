"""Slot passwords: the default one fills slots that have none, and changes no other; others are made here."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from photochanger.db.facade import Db
from photochanger.db.transaction import Transaction
from photochanger.domain.passwords import hash_password
from photochanger.slots.change import hold, write_version

SHORTEST: Final = 8
LONGEST: Final = 256
"""Characters."""

ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""What is told apart in every hand and every typeface, because people type it into a booth: no i, l, o, 0, 1."""
_GROUPS: Final = 4
_GROUP: Final = 4

_MISSING: Final = "SELECT id FROM slot WHERE secret_hash IS NULL AND archived_at IS NULL ORDER BY id"

Default = Callable[[Transaction], Awaitable[str | None]]
"""The stored form of the password that slots get which have none, as it is until the transaction ends; None = there is
none. To be asked before a slot's row is held."""

_hashing = trio.CapacityLimiter(2)


async def fill_missing(db: Db, default: Default, *, by: str = "INGEST_PASSWORD") -> list[str]:
    """Give the default password to every slot without one; the ids of those slots. Raises DatabaseUnavailable."""
    if await db.fetchrow(_MISSING) is None:
        return []
    async with db.transaction() as transaction:
        stored = await default(transaction)
        return [] if stored is None else await fill_with(transaction, stored, by=by)


async def fill_with(transaction: Transaction, stored: str, *, by: str) -> list[str]:
    """Give the password of this hash to every slot without one; the ids of those slots."""
    filled = []
    for slot_id in [row["id"] for row in await transaction.fetch(_MISSING + " FOR NO KEY UPDATE")]:
        row = await hold(transaction, slot_id)
        await write_version(transaction, row, row | {"secret_hash": stored}, by=by, action="password_filled")
        filled.append(slot_id)
    return filled


def generated() -> str:
    """A new password, in groups as people read it aloud."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


async def hashed(password: str) -> str:
    """The form in which a password is stored; made in a thread, because it takes a while."""
    return await trio.to_thread.run_sync(hash_password, password, limiter=_hashing)
