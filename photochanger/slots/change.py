"""Changing a slot: a JSON document of its fields goes into its row whole or not at all, and into its journal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from photochanger.db.facade import Db
from photochanger.db.transaction import Transaction
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Problem, Refusal, SlotInvalid
from photochanger.slots.fields import (
    COLUMNS,
    FIELDS,
    SLOT_ID,
    TEMPLATES,
    BoundTemplate,
    document,
    placed,
    problem_of,
    top,
    value_of,
)
from photochanger.slots.journal import write_change
from photochanger.slots.rows import SELECT, SELECT_WHOLE, slot_of

Check = Callable[[Slot], list[Problem]]

# In a statement of its own: what a statement that had to wait for the row says of other tables is from before.
# Not FOR UPDATE, for which the rows of new jobs would have to wait.
_HOLD: Final = "SELECT version FROM slot WHERE id = $1 FOR NO KEY UPDATE"
_ONE: Final = SELECT_WHOLE + " AND id = $1"
# Until the end no template that is bound can be deleted; one that was deleted a moment ago is not found.
_MEDIA: Final = "SELECT id, mime, path FROM template_media WHERE id = ANY($1) ORDER BY id FOR KEY SHARE"
_UNBIND: Final = "DELETE FROM slot_template WHERE slot_id = $1"
_BIND: Final = """
INSERT INTO slot_template (slot_id, position, role, template_id)
SELECT $1, bound.position, bound.role, bound.template_id
FROM unnest($2::integer[], $3::text[], $4::uuid[]) AS bound (position, role, template_id)
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a slot has to be measured by: whether it can work, and the house's own times, in seconds."""

    check: Check
    t_sync: float
    t_late: float

    def slot(self, row: Mapping[str, Any]) -> Slot:
        """The slot of a row."""
        return slot_of(row, t_sync=self.t_sync, t_late=self.t_late)

    def problems(self, row: Mapping[str, Any]) -> list[Problem]:
        """Everything that keeps the slot of a row from working."""
        return self.check(self.slot(row))


async def read_slot(db: Db, slot_id: str) -> dict[str, Any]:
    """The slot as a document: what `apply_change` takes, and what it shows besides. Never the password's hash.

    Raises Refusal(SLOT_NOT_FOUND) and DatabaseUnavailable.
    """
    row = await db.fetchrow(SELECT + " AND id = $1", slot_id) if SLOT_ID.fullmatch(slot_id) else None
    if row is None:
        raise unknown(slot_id)
    return document(row)


async def apply_change(
    db: Db,
    slot_id: str,
    change: Mapping[str, Any],
    check: Check,
    *,
    t_sync: float,
    t_late: float,
    by: str,
    action: str = "changed",
) -> Slot:
    """Put the fields of `change` into the slot and return it; `check` sees it first as it would be.

    `t_sync` and `t_late` are the house's own. A change that changes nothing makes no new version. What was wrong
    before, in a field that is not changed, is no reason to refuse: a slot whose provider has no key yet can still be
    switched off. It is one to be switched on.

    Raises SlotInvalid with everything that is wrong (then nothing is changed), Refusal(SLOT_NOT_FOUND,
    NOT_POSSIBLE_NOW of an archived slot) and DatabaseUnavailable.
    """
    terms = Terms(check, t_sync, t_late)
    async with db.transaction() as transaction:
        row = await hold(transaction, slot_id)
        return terms.slot(await change_held(transaction, row, change, terms, by=by, action=action))


async def hold(
    transaction: Transaction, slot_id: str, expected: int | None = None, *, archived: bool = False
) -> dict[str, Any]:
    """The slot's row of `SELECT_WHOLE`, which nobody else can change until the end.

    Raises Refusal: `slot_not_found`; `version_conflict` when it is not at version `expected`; `not_possible_now` when
    it is archived, or with `archived` when it is not.
    """
    if not SLOT_ID.fullmatch(slot_id) or await transaction.fetchrow(_HOLD, slot_id) is None:
        raise unknown(slot_id)
    row = await _row(transaction, slot_id)
    if expected is not None and expected != row["version"]:
        raise Refusal(Reason.VERSION_CONFLICT, f"{slot_id} is at version {row['version']} now.")
    if archived is (row["archived_at"] is None):
        why = "is not archived" if archived else "is archived: bring it back first"
        raise Refusal(Reason.NOT_POSSIBLE_NOW, f"{slot_id} {why}.")
    return row


async def change_held(
    transaction: Transaction,
    row: Mapping[str, Any],
    change: Mapping[str, Any],
    terms: Terms,
    *,
    by: str,
    action: str,
    lenient: bool = False,
) -> dict[str, Any]:
    """Put the fields of `change` into a row that is held; the row as it is then. Raises SlotInvalid.

    With `lenient` only what the change itself breaks is a reason to refuse, not what it fails to mend.
    """
    merged = await plan_change(transaction, row, change, terms, lenient=lenient)
    return await write_version(transaction, row, merged, by=by, action=action)


async def plan_change(
    transaction: Transaction,
    row: Mapping[str, Any],
    change: Mapping[str, Any],
    terms: Terms,
    *,
    lenient: bool = False,
) -> dict[str, Any]:
    """The row as it would be; nothing is written. Raises SlotInvalid with everything that is wrong."""
    shown, merged, problems = document(row), dict(row), []
    for field, value in change.items():
        problem = problem_of(field, value, shown)
        if problem is not None:
            problems.append(problem)
        elif field == TEMPLATES:
            merged[TEMPLATES], missing = await _bound(transaction, value)
            problems += missing
        elif field in FIELDS:
            merged[COLUMNS.get(field, field)] = value_of(field, value)
    # What the check says of the old value of a field whose new one is wrong would only confuse.
    wrong = {top(problem) for problem in problems}
    # Who switches a slot on says that it works: then what was wrong before counts too.
    old = [] if merged["is_active"] and not row["is_active"] else terms.problems(row)
    touched = set() if lenient else {field for field, value in change.items() if value != shown.get(field)}
    problems += [
        problem
        for problem in terms.problems(merged)
        if top(problem) not in wrong and (top(problem) in touched or problem not in old)
    ]
    if problems:
        raise SlotInvalid(row["id"], problems)
    return merged


async def write_version(
    transaction: Transaction, row: Mapping[str, Any], merged: Mapping[str, Any], *, by: str, action: str
) -> dict[str, Any]:
    """Make a held row what `merged` says, as a new version that its journal tells of; the row as it is then.

    Where nothing differs, nothing is written. A row at version 0 is one that this transaction has made.
    """
    changed = {column: value for column, value in merged.items() if value != row[column]}
    if not changed:
        return dict(row)
    templates = changed.pop(TEMPLATES, None)
    names = "".join(f", {column} = ${place}" for place, column in enumerate(changed, 2))
    # The names are those of our own SELECT, never a caller's.
    statement = f"UPDATE slot SET version = version + 1, updated_at = now(){names} WHERE id = $1"  # noqa: S608
    await transaction.execute(statement, row["id"], *changed.values())
    if templates is not None:
        await _bind_all(transaction, row["id"], templates)
    after = await _row(transaction, row["id"])
    await write_change(transaction, row if row["version"] else None, after, action=action, by=by)
    return after | {"updated_by": by}


async def _bind_all(transaction: Transaction, slot_id: str, templates: list[dict[str, Any]]) -> None:
    """Make these templates, as a row of `SELECT` has them, all that the slot has."""
    await transaction.execute(_UNBIND, slot_id)
    columns = ([each[name] for each in templates] for name in ("position", "role", "id"))
    await transaction.execute(_BIND, slot_id, *columns)


def unknown(slot_id: str) -> Refusal:
    """There is no such slot."""
    return Refusal(Reason.SLOT_NOT_FOUND, f"there is no slot {slot_id[:40]!r}")


async def _bound(transaction: Transaction, value: Any) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The templates of a document as a row of `SELECT` has them; and a problem for each that is not there."""
    given = msgspec.convert(value, list[BoundTemplate])
    known: dict[UUID, Any] = {
        found["id"]: found for found in await transaction.fetch(_MEDIA, [each.template_id for each in given])
    }
    missing = [
        Problem(f"{TEMPLATES}[{number}].template_id", f"there is no template {each.template_id}")
        for number, each in enumerate(given)
        if each.template_id not in known
    ]
    return [
        {
            "id": str(each.template_id),
            "role": each.role,
            "position": each.position,
            "mime": known[each.template_id]["mime"],
            "path": known[each.template_id]["path"],
        }
        for each in placed(given)
        if each.template_id in known
    ], missing


async def _row(transaction: Transaction, slot_id: str) -> dict[str, Any]:
    row = await transaction.fetchrow(_ONE, slot_id)
    assert row is not None, "the slot is held"
    return dict(row)
