"""One change applied to many slots: all of them become a new version, or none does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import trio

from photochanger.db.facade import Db
from photochanger.errors import Problem, SlotInvalid
from photochanger.slots.change import Terms, hold, plan_change, write_version

_ALL: Final = "SELECT id FROM slot WHERE archived_at IS NULL ORDER BY id"


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of one slot: its version then, and whether the change changed anything in it."""

    slot_id: str
    version: int
    changed: bool


async def change_many(
    db: Db,
    slot_ids: Sequence[str] | None,
    change: Mapping[str, Any],
    terms: Terms,
    *,
    versions: Mapping[str, int],
    by: str,
    dry_run: bool = False,
) -> list[BulkOutcome]:
    """Put the fields of `change` into these slots, None for all that are not archived; what became of each, by id.

    A slot named in `versions` must be at that version. With `dry_run` nothing is written, and the versions are those
    that there would be. Raises SlotInvalid whose fields begin with the slot's id, or are those of `versions` that are
    not among these slots, and Refusal as `hold` does; then nothing is changed anywhere.
    """
    async with db.transaction() as transaction:
        chosen = [row["id"] for row in await transaction.fetch(_ALL)] if slot_ids is None else sorted(set(slot_ids))
        if strangers := sorted(versions.keys() - set(chosen)):
            why = "names a slot that is not among those that are changed"
            raise SlotInvalid("the slots", [Problem(f"versions.{slot_id[:40]}", why) for slot_id in strangers])
        # In one order everywhere, so that two who change many slots at once wait for each other and not in a ring.
        rows = [await hold(transaction, slot_id, versions.get(slot_id)) for slot_id in chosen]
        planned: list[dict[str, Any]] = []
        problems: list[Problem] = []
        for row in rows:
            await trio.lowlevel.checkpoint()
            try:
                planned.append(await plan_change(transaction, row, change, terms))
            except SlotInvalid as error:
                problems += [Problem(f"{row['id']}.{each.field}", each.message) for each in error.problems]
        if problems:
            raise SlotInvalid("the slots", problems)
        outcomes = []
        for row, merged in zip(rows, planned, strict=True):
            changed = merged != row
            version = row["version"] + changed
            if not dry_run:
                after = await write_version(transaction, row, merged, by=by, action="changed_with_others")
                version = after["version"]
            outcomes.append(BulkOutcome(row["id"], version, changed))
        return outcomes
