"""Slots that come and go: created, duplicated, archived, brought back. An id is never given twice."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from photochanger.db.facade import Db
from photochanger.db.transaction import Transaction
from photochanger.domain.reasons import Reason
from photochanger.errors import Problem, Refusal, SlotInvalid
from photochanger.observability.metrics import UNKNOWN_SLOT
from photochanger.observability.state import HOUSE_SCOPE
from photochanger.slots.change import Terms, hold, plan_change, write_version
from photochanger.slots.fields import FIELDS, RISING, SLOT_ID, TEMPLATES, document
from photochanger.slots.passwords import Default
from photochanger.slots.rows import SELECT_WHOLE

MOST_SLOTS: Final = 1000
"""Archived ones included: each stays for the journal and the statistics."""

RESERVED: Final = frozenset({"bulk", "global", "providers", "slots", "system", "templates", HOUSE_SCOPE, UNKNOWN_SLOT})
"""Words that addresses of the API, and the figures, have where others have a slot's id."""

NEEDED: Final = ("provider", "operation")
"""What every new slot has to say; all else has a default."""

# One at a time: two that look for a free number would find the same one.
_ALONE: Final = "SELECT pg_advisory_xact_lock(7305831240619)"
_IDS: Final = "SELECT id FROM slot"
_INSERT: Final = "INSERT INTO slot (id, provider, operation, version) VALUES ($1, '', '', 0)"


async def create(
    db: Db,
    slot_id: str | None,
    fields: Mapping[str, Any],
    terms: Terms,
    *,
    stored_password: str | None,
    default: Default,
    by: str,
    like: str | None = None,
) -> dict[str, Any]:
    """Make a slot of `fields` and of what the slot `like` has; its row. Without `slot_id` it gets a number.

    `stored_password` is in the form in which it is kept; without one the slot gets the `default`. `like` gives its
    fields and templates, never its secrets or their generations. Raises SlotInvalid with everything that is wrong,
    Refusal (`slot_not_found` for `like`, `not_possible_now` when there are too many) and DatabaseUnavailable; then
    there is no such slot.
    """
    async with db.transaction() as transaction:
        await transaction.execute(_ALONE)
        given = dict(fields) if like is None else await _fields_of(transaction, like) | dict(fields)
        missing = [Problem(field, "is missing") for field in NEEDED if field not in given]
        new_id, taken = _free_id(slot_id, {row["id"] for row in await transaction.fetch(_IDS)})
        if missing or taken:
            raise SlotInvalid(new_id, missing + taken)
        password = await default(transaction) if stored_password is None else stored_password
        await transaction.execute(_INSERT, new_id)
        empty = await transaction.fetchrow(SELECT_WHOLE + " AND id = $1", new_id)
        assert empty is not None
        row = dict(empty) | {"secret_hash": password}
        merged = await plan_change(transaction, row, given, terms)
        if problems := terms.problems(merged):
            raise SlotInvalid(new_id, problems)
        action = "created" if like is None else "duplicated"
        return await write_version(transaction, dict(empty), merged, by=by, action=action)


async def archive(db: Db, slot_id: str, expected: int | None, *, by: str) -> dict[str, Any]:
    """Take the slot out of use; its row. Raises Refusal (as `hold` does) and DatabaseUnavailable.

    Photos at work finish: they have the slot as it was when they came.
    """
    async with db.transaction() as transaction:
        row = await hold(transaction, slot_id, expected)
        archived = row | {"archived_at": datetime.now(UTC)}
        return await write_version(transaction, row, archived, by=by, action="archived")


async def bring_back(
    db: Db, slot_id: str, expected: int | None, terms: Terms, *, default: Default, by: str
) -> dict[str, Any]:
    """Take an archived slot into use again; its row. If it could not work now it comes back switched off.

    One without a password gets the `default`: it was passed over while it was away. Raises Refusal (as `hold` does) and
    DatabaseUnavailable.
    """
    async with db.transaction() as transaction:
        password = await default(transaction)
        row = await hold(transaction, slot_id, expected, archived=True)
        back = row | {"archived_at": None, "secret_hash": row["secret_hash"] or password}
        back["is_active"] = row["is_active"] and not terms.problems(back)
        return await write_version(transaction, row, back, by=by, action="brought_back")


async def _fields_of(transaction: Transaction, slot_id: str) -> dict[str, Any]:
    """What a duplicate takes over. Of an archived slot too: that is how a good one is found again."""
    row = await transaction.fetchrow(SELECT_WHOLE + " AND id = $1", slot_id) if SLOT_ID.fullmatch(slot_id) else None
    if row is None:
        raise Refusal(Reason.SLOT_NOT_FOUND)
    shown = document(row)
    return {field: shown[field] for field in (*FIELDS, TEMPLATES) if field not in RISING}


def _free_id(wanted: str | None, taken: set[str]) -> tuple[str, list[Problem]]:
    if len(taken) >= MOST_SLOTS:
        raise Refusal(Reason.NOT_POSSIBLE_NOW, f"There are {MOST_SLOTS} slots, archived ones included: no more fit.")
    if wanted is None:
        ids = (f"slot-{number:03}" for number in itertools.count(1))
        return next(each for each in ids if each not in taken), []
    if not SLOT_ID.fullmatch(wanted):
        return wanted, [Problem("id", "must be up to 40 of a-z 0-9 -, and begin with a letter or digit")]
    if wanted in RESERVED:
        return wanted, [Problem("id", f"{wanted} is a word of the API's own addresses or figures")]
    if wanted in taken:
        return wanted, [Problem("id", f"{wanted} is taken, or belonged to a slot that is archived now")]
    return wanted, []
