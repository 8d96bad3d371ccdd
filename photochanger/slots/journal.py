"""The change journal: what every new version of a slot changed, by whom; and the way back to an older one.

A row is written in the transaction of the change itself, and holds only the fields that changed. Of a secret it says
that it changed, never what it is or was.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from photochanger.db.facade import Db
from photochanger.db.transaction import Transaction
from photochanger.domain.reasons import Reason
from photochanger.errors import Problem, Refusal, SlotInvalid
from photochanger.slots.fields import FIELDS, RISING, TEMPLATES, document
from photochanger.web.paging import Number

_WRITE: Final = """
INSERT INTO slot_change (slot_id, version, action, before, after, changed_by) VALUES ($1, $2, $3, $4, $5, $6)
"""
_LIST: Final = """
SELECT version, action, before, after, changed_at, changed_by FROM slot_change
WHERE slot_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3
"""
_SINCE: Final = "SELECT version, before FROM slot_change WHERE slot_id = $1 AND version > $2 ORDER BY version DESC"
_NEWEST: Final = 2**62


class ChangePlace(NamedTuple):
    """Where a change stands in the journal of its slot."""

    version: Number


class SlotChangeView(msgspec.Struct):
    """What one version changed: the fields as they were before and are after it.

    `password` says of a secret only that it changed; `archived` tells of the slot as a whole.
    """

    version: int
    action: str
    before: dict[str, Any]
    after: dict[str, Any]
    changed_at: datetime
    changed_by: str


async def write_change(
    transaction: Transaction, before: Mapping[str, Any] | None, after: Mapping[str, Any], *, action: str, by: str
) -> None:
    """Tell what made the row `before` (None: there was none) to `after`, whose version is the new one."""
    old, new = ({} if before is None else _told(before)), _told(after)
    changed = [field for field in new if field not in old or old[field] != new[field]]
    was = {field: old[field] for field in changed if field in old}
    now = {field: new[field] for field in changed}
    old_secret = None if before is None else before["secret_hash"]
    if old_secret != after["secret_hash"]:
        was, now = was | {"password": "set" if old_secret else "none"}, now | {"password": "changed"}
    await transaction.execute(_WRITE, after["id"], after["version"], action, was, now, by)


async def read_changes(db: Db, slot_id: str, *, before: int | None, limit: int) -> list[SlotChangeView]:
    """The slot's changes, newest first, older than version `before`. Raises DatabaseUnavailable."""
    rows = await db.fetch(_LIST, slot_id, _NEWEST if before is None else before, limit)
    return [SlotChangeView(**row) for row in rows]


async def undone(transaction: Transaction, row: Mapping[str, Any], version: int) -> dict[str, Any]:
    """The change that brings the slot of `row` back to how it was at `version`, by undoing the journal backwards.

    Secrets, generations and whether the slot is archived stay as they are. Raises SlotInvalid for a version that never
    was, Refusal (`not_possible_now`) where the journal has a gap.
    """
    if not 1 <= version <= row["version"]:
        raise SlotInvalid(row["id"], [Problem("version", f"there are versions 1 to {row['version']} of this slot")])
    made = await transaction.fetch(_SINCE, row["id"], version)
    _require_all([change["version"] for change in made], version, row["version"])
    back: dict[str, Any] = {}
    for change in made:
        back.update(change["before"])
    return {
        field: value for field, value in back.items() if field not in RISING and (field in FIELDS or field == TEMPLATES)
    }


def _require_all(found: Sequence[int], version: int, newest: int) -> None:
    told = set(found)
    missing = next((each for each in range(newest, version, -1) if each not in told), None)
    if missing is not None:
        raise Refusal(
            Reason.NOT_POSSIBLE_NOW,
            f"The journal does not say what version {missing} changed: it is older than the journal, or was made by "
            "hand in the database. Versions after it can be restored.",
        )


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = document(row)
    fields: Iterable[str] = (*FIELDS, TEMPLATES)
    return {field: shown[field] for field in fields} | {"archived": row["archived_at"] is not None}
