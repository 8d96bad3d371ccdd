"""Changing a slot: a JSON document of its fields goes into its row whole or not at all."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, get_args

import msgspec

from photochanger.db.facade import Db
from photochanger.db.transaction import Transaction
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import AtBudget, Auth, LastResort, OnTimeout, Output, Slot
from photochanger.domain.wording import told
from photochanger.errors import Problem, Refusal, SlotInvalid
from photochanger.slots.rows import SELECT, slot_of

Check = Callable[[Slot], list[Problem]]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$")]


class _Plan(msgspec.Struct, forbid_unknown_fields=True):
    provider: Name
    operation: Name
    settings: dict[str, Any] = {}


FIELDS: Final[Mapping[str, Any]] = {
    "provider": Name,
    "operation": Name,
    "settings": dict[str, Any],
    "fallbacks": list[_Plan],
    "is_active": bool,
    "hedge": bool,
    "keep_spares": bool,
    "on_timeout": OnTimeout,
    "t_sync": int | None,
    "t_late": int | None,
    "last_resort": LastResort,
    "last_resort_settings": dict[str, Any],
    "permits": int,
    "mailbox": int,
    "size_limit_bytes": int,
    "longest_side": int | None,
    "send_quality": int,
    "output": Output,
    "output_width": int | None,
    "output_height": int | None,
    "allow_png": bool,
    "jpeg_quality": int,
    "dedupe_seconds": int,
    "budget_day_microusd": int | None,
    "at_budget": AtBudget,
    "rate_per_minute": int | None,
    "rate_burst": int | None,
    "auth": Auth,
    "signing_generation": int,
}
"""What can be changed, and of which type it is: `Slot` says what each means. None leaves it to the house."""

_COLUMNS: Final = {"t_sync": "t_sync_seconds", "t_late": "t_late_seconds"}
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def read_slot(db: Db, slot_id: str) -> dict[str, Any]:
    """The slot as a document: what `apply_change` takes, and what it shows besides. Never the password's hash.

    Raises Refusal(SLOT_NOT_FOUND) and DatabaseUnavailable.
    """
    row = await db.fetchrow(SELECT + " AND id = $1", slot_id)
    if row is None:
        raise Refusal(Reason.SLOT_NOT_FOUND, f"there is no slot {slot_id[:40]!r}")
    return _document(row)


async def apply_change(
    db: Db, slot_id: str, change: Mapping[str, Any], check: Check, *, t_sync: float, t_late: float
) -> Slot:
    """Put the fields of `change` into the slot and return it; `check` sees it first as it would be.

    `t_sync` and `t_late` are the house's own. Fields that cannot be changed are welcome as they are: so a document
    of `read_slot` can be edited and given back, and a `version` in it makes sure that nobody was faster. A change
    that changes nothing makes no new version. What was wrong before, in a field that is not changed, is no reason to
    refuse: a slot whose provider has no key yet can still be switched off.

    Raises SlotInvalid with everything that is wrong (then nothing is changed), Refusal(SLOT_NOT_FOUND) and
    DatabaseUnavailable.
    """
    async with db.transaction() as transaction:
        row = await transaction.fetchrow(SELECT + " AND id = $1 FOR UPDATE OF slot", slot_id)
        if row is None:
            raise Refusal(Reason.SLOT_NOT_FOUND, f"there is no slot {slot_id[:40]!r}")
        shown, merged, problems = _document(row), dict(row), []
        for field, value in change.items():
            problem = _problem_of(field, value, shown)
            if problem is not None:
                problems.append(problem)
            elif field in FIELDS:
                merged[_COLUMNS.get(field, field)] = msgspec.to_builtins(msgspec.convert(value, FIELDS[field]))
        slot = slot_of(merged, t_sync=t_sync, t_late=t_late)
        # What the check says of the old value of a field whose new one is wrong would only confuse.
        wrong = {_top(problem) for problem in problems}
        old = check(slot_of(row, t_sync=t_sync, t_late=t_late))
        touched = {field for field, value in change.items() if value != shown.get(field)}
        problems += [
            problem
            for problem in check(slot)
            if _top(problem) not in wrong and (_top(problem) in touched or problem not in old)
        ]
        if problems:
            raise SlotInvalid(slot_id, problems)
        changed = {column: value for column, value in merged.items() if value != row[column]}
        if not changed:
            return slot
        await _write(transaction, slot_id, changed)
        merged["version"] += 1
        return slot_of(merged, t_sync=t_sync, t_late=t_late)


async def _write(transaction: Transaction, slot_id: str, changed: Mapping[str, Any]) -> None:
    names = ", ".join(f"{column} = ${place}" for place, column in enumerate(changed, 2))
    # The names are keys of FIELDS, never a caller's.
    statement = f"UPDATE slot SET {names}, version = version + 1, updated_at = now() WHERE id = $1"  # noqa: S608
    await transaction.execute(statement, slot_id, *changed.values())


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    templates = [{field: found[field] for field in ("id", "role", "position")} for found in row["templates"]]
    return {
        "id": row["id"],
        "version": row["version"],
        **{field: row[_COLUMNS.get(field, field)] for field in FIELDS},
        "templates": templates,
        "has_password": row["secret_hash"] is not None,
    }


def _problem_of(field: str, value: Any, shown: Mapping[str, Any]) -> Problem | None:
    if field not in FIELDS:
        if field not in shown:
            return Problem(field[:60], "there is no such field")
        if value == shown[field]:
            return None
        if field == "version":
            return Problem(field, f"the slot was changed meanwhile, it is at version {shown[field]} now: look again")
        return Problem(field, "cannot be changed here")
    try:
        msgspec.convert(value, FIELDS[field])
        if _NUL.search(msgspec.json.encode(value)):
            return Problem(field, "contains the character NUL, which cannot be stored")
        if field == "signing_generation" and value < shown[field]:
            return Problem(field, f"may only rise, it is {shown[field]} now: a key that was replaced stays worthless")
    except msgspec.ValidationError as error:
        allowed = get_args(FIELDS[field])
        if isinstance(value, str) and allowed and all(isinstance(each, str) for each in allowed):
            return Problem(field, f"must be one of {', '.join(allowed)}, not {value[:40]!r}")
        path, message = told(str(error))
        return Problem(field + path, message)
    except UnicodeEncodeError:
        return Problem(field, "is not valid Unicode text")
    return None


def _top(problem: Problem) -> str:
    """The slot's field in which the problem lies."""
    return re.split(r"[.\[]", problem.field, maxsplit=1)[0]
