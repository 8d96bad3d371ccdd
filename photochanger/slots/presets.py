"""Presets: parts of a slot's document under a name, to be applied to one slot or another."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import msgspec

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Problem, Refusal
from photochanger.slots.change import Check
from photochanger.slots.fields import COLUMNS, FIELDS, LONGEST_NAME, RISING, name_problem, problem_of, top, value_of
from photochanger.slots.rows import slot_of

MOST_PRESETS: Final = 200

LEFT_OUT: Final = frozenset({"name", "is_active", "auth", "gallery", "moderated", *RISING})
"""What a preset never carries: what belongs to one slot alone, and who may use it or see its pictures."""

PRESET_FIELDS: Final[Mapping[str, Any]] = {name: kind for name, kind in FIELDS.items() if name not in LEFT_OUT}

_COLUMNS: Final = "id, name, document, version, created_at, updated_at, updated_by"
_LIST: Final = f"SELECT {_COLUMNS} FROM slot_preset ORDER BY lower(name), id"  # noqa: S608 - our own names
_ONE: Final = f"SELECT {_COLUMNS} FROM slot_preset WHERE id = $1"  # noqa: S608
_HOLD: Final = _ONE + " FOR UPDATE"
_INSERT: Final = f"""
INSERT INTO slot_preset (id, name, document, updated_by)
SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM slot_preset) < {MOST_PRESETS}
RETURNING {_COLUMNS}
"""  # noqa: S608
_UPDATE: Final = f"""
UPDATE slot_preset SET name = $2, document = $3, updated_by = $4, version = version + 1, updated_at = now()
WHERE id = $1 RETURNING {_COLUMNS}
"""  # noqa: S608
_DELETE: Final = "DELETE FROM slot_preset WHERE id = $1"


class PresetView(msgspec.Struct):
    """A part of a slot's document under a name."""

    id: UUID
    name: str
    document: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


class Presets:
    """The presets that there are. `check` sees them as parts of a slot."""

    def __init__(self, db: Db, check: Check) -> None:
        self._db = db
        self._check = check

    async def all(self) -> list[PresetView]:
        """All of them, by name. Raises DatabaseUnavailable."""
        return [PresetView(**row) for row in await self._db.fetch(_LIST)]

    async def one(self, preset_id: UUID) -> PresetView:
        """One of them. Raises Refusal (not_found) and DatabaseUnavailable."""
        row = await self._db.fetchrow(_ONE, preset_id)
        if row is None:
            raise Refusal(Reason.NOT_FOUND, "There is no such preset.")
        return PresetView(**row)

    async def create(self, name: str, document: Mapping[str, Any], *, by: str) -> PresetView:
        """A new one. Raises Refusal: `validation_failed`, `not_possible_now` when there are too many."""
        clean = self._checked(name, document)
        try:
            row = await self._db.fetchrow(_INSERT, uuid4(), name, clean, by)
        except asyncpg.UniqueViolationError:
            raise _taken() from None
        if row is None:
            raise Refusal(Reason.NOT_POSSIBLE_NOW, f"There are {MOST_PRESETS} presets: no more fit.")
        return PresetView(**row)

    async def change(
        self, preset_id: UUID, name: str | None, document: Mapping[str, Any] | None, expected: int | None, *, by: str
    ) -> PresetView:
        """Give it another name or document, or both. Raises Refusal: also `not_found`, `version_conflict`."""
        try:
            async with self._db.transaction() as transaction:
                found = _held(await transaction.fetchrow(_HOLD, preset_id), expected)
                name = found.name if name is None else name
                clean = self._checked(name, found.document if document is None else document)
                if (name, clean) == (found.name, found.document):
                    return found
                row = await transaction.fetchrow(_UPDATE, preset_id, name, clean, by)
        except asyncpg.UniqueViolationError:
            raise _taken() from None
        assert row is not None, "the preset is held"
        return PresetView(**row)

    async def delete(self, preset_id: UUID, expected: int | None) -> PresetView:
        """Remove it; slots it was applied to stay as they are. Raises Refusal: `not_found`, `version_conflict`."""
        async with self._db.transaction() as transaction:
            found = _held(await transaction.fetchrow(_HOLD, preset_id), expected)
            await transaction.execute(_DELETE, preset_id)
        return found

    def _checked(self, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document as it is kept. Raises Refusal with everything that is wrong."""
        problems = []
        why = name_problem(name) if name.strip() else f"must be 1 to {LONGEST_NAME} characters"
        if why is not None:
            problems.append(Problem("name", why))
        clean: dict[str, Any] = {}
        for field, value in document.items():
            if field in FIELDS and field not in PRESET_FIELDS:
                problems.append(Problem(f"document.{field}", "belongs to one slot alone, a preset does not carry it"))
            elif (problem := problem_of(field, value, {})) is not None:
                problems.append(Problem(f"document.{problem.field}", problem.message))
            elif field not in FIELDS:
                problems.append(Problem(f"document.{field[:60]}", "a preset does not carry it"))
            else:
                clean[field] = value_of(field, value)
        if not document:
            problems.append(Problem("document", "is empty: a preset must say something"))
        if not problems:
            problems += _faults(clean, self._check)
        if problems:
            raise Refusal(Reason.VALIDATION_FAILED, errors=problems)
        return clean


def _faults(document: Mapping[str, Any], check: Callable[[Slot], list[Problem]]) -> list[Problem]:
    """What would be wrong in these fields of a slot. How they go with templates is known only once they meet a slot."""
    row: dict[str, Any] = {
        # A plan that no preset names by chance: else its fallbacks could seem to repeat it.
        "id": "preset", "version": 1, "provider": "local", "operation": "look", "settings": {"strength": 0.90625},
        "t_sync_seconds": None, "t_late_seconds": None, "fallbacks": [], "last_resort_settings": {}, "templates": [],
    }  # fmt: skip
    row |= {COLUMNS.get(field, field): value for field, value in document.items()}
    # Settings alone cannot be looked at: whose they are is the slot's to say.
    fields = document.keys() - ({"settings", "operation"} if "provider" not in document else set())
    found = check(slot_of(row, t_sync=48.0, t_late=120.0))
    return [Problem(f"document.{each.field}", each.message) for each in found if top(each) in fields]


def _held(row: Mapping[str, Any] | None, expected: int | None) -> PresetView:
    if row is None:
        raise Refusal(Reason.NOT_FOUND, "There is no such preset.")
    if expected is not None and expected != row["version"]:
        raise Refusal(Reason.VERSION_CONFLICT, f"The preset is at version {row['version']} now.")
    return PresetView(**row)


def _taken() -> Refusal:
    return Refusal(Reason.VALIDATION_FAILED, errors=[Problem("name", "is taken by another preset")])
