"""What administrators do with slots: each change is checked, journalled, audited and known to this process at once."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import DatabaseUnavailable, Problem, Refusal, SlotInvalid
from photochanger.slots import creating
from photochanger.slots.bulk import BulkOutcome, change_many
from photochanger.slots.change import Check, Terms, change_held, hold, unknown, write_version
from photochanger.slots.fields import FIELDS, SLOT_ID, TEMPLATES, document
from photochanger.slots.journal import SlotChangeView, read_changes, undone
from photochanger.slots.passwords import Default, generated, hashed
from photochanger.slots.rows import SELECT_WHOLE
from photochanger.slots.signing import derived_key, shown

log = logging.getLogger(__name__)

Row = dict[str, Any]
Record = Callable[..., Awaitable[None]]

LAST_GENERATION: Final = 2_000_000_000
_LIST: Final = SELECT_WHOLE + " AND (archived_at IS NOT NULL) = $1 ORDER BY id"


@dataclass(frozen=True, slots=True)
class SlotDesk:
    """The slots, for those who administrate them.

    `defaults` gives the house's own t_sync and t_late, in seconds; `default_password` the stored form of the
    default ingest password, inside a transaction. `record(action, actor=, subject=, detail=)` keeps what was done,
    as `Audit.record` does: it raises nothing, and waits also where whoever asks has gone. `refresh` has this process
    read the slots again. `by` is everywhere the account that asks.

    Everything raises DatabaseUnavailable, and Refusal or SlotInvalid as `change.hold` and `change.plan_change` do.
    """

    db: Db
    check: Check
    defaults: Callable[[], tuple[float, float]]
    default_password: Default
    record: Record
    refresh: Callable[[], Awaitable[None]]
    secret: bytes = field(repr=False)

    def terms(self) -> Terms:
        """What a slot has to be measured by now."""
        return Terms(self.check, *self.defaults())

    async def all(self, *, archived: bool) -> list[Row]:
        """The rows of all slots in use, or of the archived ones, by id."""
        return [dict(row) for row in await self.db.fetch(_LIST, archived)]

    async def one(self, slot_id: str) -> Row:
        """The slot's row, archived or not. Raises Refusal (slot_not_found)."""
        found = SLOT_ID.fullmatch(slot_id)
        row = await self.db.fetchrow(SELECT_WHOLE + " AND id = $1", slot_id) if found else None
        if row is None:
            raise unknown(slot_id)
        return dict(row)

    async def create(
        self, slot_id: str | None, fields: Mapping[str, Any], password: str | None, *, by: str, like: str | None = None
    ) -> Row:
        """A new slot, perhaps like another one. Without a password it gets the default one, if there is one."""
        _require_changeable(slot_id or "slot", fields)
        row = await creating.create(
            self.db,
            slot_id,
            fields,
            self.terms(),
            stored_password=None if password is None else await hashed(password),
            default=self.default_password,
            by=by,
            like=like,
        )
        detail = {} if like is None else {"like": like}
        await self._after("slot.created" if like is None else "slot.duplicated", row, by, **detail)
        return row

    async def change(self, slot_id: str, fields: Mapping[str, Any], expected: int | None, *, by: str) -> Row:
        """Put the fields into the slot; the others stay."""
        _require_changeable(slot_id, fields)
        return await self._change(slot_id, fields, expected, by=by, action="changed")

    async def apply_preset(
        self, slot_id: str, name: str, preset: Mapping[str, Any], expected: int | None, *, by: str
    ) -> Row:
        """Put the document of the preset that is called `name` into the slot."""
        return await self._change(slot_id, preset, expected, by=by, action="preset_applied", preset=name)

    async def change_many(
        self,
        slot_ids: list[str] | None,
        fields: Mapping[str, Any],
        *,
        versions: Mapping[str, int],
        dry_run: bool,
        by: str,
    ) -> list[BulkOutcome]:
        """Put the fields into many slots, or into none; see `bulk.change_many`."""
        _require_changeable("the slots", fields)
        outcomes = await change_many(self.db, slot_ids, fields, self.terms(), versions=versions, by=by, dry_run=dry_run)
        changed = [each.slot_id for each in outcomes if each.changed]
        if changed and not dry_run:
            await self._tell("slot.changed_many", by, None, {"slots": changed, "fields": sorted(fields)})
        return outcomes

    async def archive(self, slot_id: str, expected: int | None, *, by: str) -> None:
        """Take the slot out of use."""
        await self._after("slot.archived", await creating.archive(self.db, slot_id, expected, by=by), by)

    async def bring_back(self, slot_id: str, expected: int | None, *, by: str) -> Row:
        """Take an archived slot into use again."""
        row = await creating.bring_back(self.db, slot_id, expected, self.terms(), default=self.default_password, by=by)
        await self._after("slot.brought_back", row, by)
        return row

    async def changes(self, slot_id: str, *, before: int | None, limit: int) -> list[SlotChangeView]:
        """A page of the slot's journal, newest first."""
        await self.one(slot_id)
        return await read_changes(self.db, slot_id, before=before, limit=limit)

    async def restore(self, slot_id: str, version: int, expected: int | None, *, by: str) -> Row:
        """Make the slot what it was at `version`, as a new version. Raises also Refusal (not_possible_now)."""
        async with self.db.transaction() as transaction:
            row = await hold(transaction, slot_id, expected)
            fields = await undone(transaction, row, version)
            after = await change_held(transaction, row, fields, self.terms(), by=by, action="restored")
        await self._after_change("slot.restored", row, after, by)
        return after

    async def set_password(
        self, slot_id: str, password: str | None, expected: int | None, *, by: str
    ) -> tuple[Row, str]:
        """Give the slot this password, or one that is made up; its row and the password."""
        chosen = generated() if password is None else password
        stored = await hashed(chosen)
        async with self.db.transaction() as transaction:
            row = await hold(transaction, slot_id, expected)
            merged = row | {"secret_hash": stored}
            row = await write_version(transaction, row, merged, by=by, action="password_changed")
        await self._after("slot.password_changed", row, by)
        return row, chosen

    async def new_signing_key(self, slot_id: str, expected: int | None, *, by: str) -> tuple[Row, str]:
        """Make the slot's signing key worthless and give it another one; its row and that key."""
        async with self.db.transaction() as transaction:
            row = await hold(transaction, slot_id, expected)
            generation = row["signing_generation"] + 1
            if generation > LAST_GENERATION:
                raise Refusal(
                    Reason.NOT_POSSIBLE_NOW, "This slot has had all the keys that there are: make a new slot."
                )
            merged = row | {"signing_generation": generation}
            row = await write_version(transaction, row, merged, by=by, action="signing_key_changed")
        await self._after("slot.signing_key_changed", row, by)
        return row, shown(derived_key(self.secret, slot_id, generation))

    async def after_templates(self, row: Row, action: str, *, by: str) -> None:
        """To be called once a template was bound or unbound."""
        await self._after(action, row, by)

    async def _change(
        self, slot_id: str, fields: Mapping[str, Any], expected: int | None, *, by: str, action: str, **detail: Any
    ) -> Row:
        async with self.db.transaction() as transaction:
            row = await hold(transaction, slot_id, expected)
            after = await change_held(transaction, row, fields, self.terms(), by=by, action=action)
        await self._after_change(f"slot.{action}", row, after, by, **detail)
        return after

    async def _after_change(self, action: str, row: Row, after: Row, by: str, **detail: Any) -> None:
        old, new = document(row), document(after)
        changed = [name for name in (*FIELDS, TEMPLATES) if old[name] != new[name]]
        if after["version"] != row["version"]:
            opened = {"auth": [row["auth"], after["auth"]]} if "auth" in changed else {}
            await self._after(action, after, by, fields=changed, **opened, **detail)

    async def _after(self, action: str, row: Row, by: str, **detail: Any) -> None:
        await self._tell(action, by, row["id"], {"version": row["version"], **detail})

    async def _tell(self, action: str, by: str, subject: str | None, detail: dict[str, Any]) -> None:
        await self.record(action, actor=by, subject=subject, detail=detail)
        try:  # it is done: what can go wrong from here on is no reason to say that it was not
            await self.refresh()
        except DatabaseUnavailable:
            log.warning("%s of %s was done, but this process learns of it a moment later", action, subject)


def _require_changeable(slot_id: str, fields: Mapping[str, Any]) -> None:
    """Raises SlotInvalid for what no document may set: the rest of a row, or what is no field at all."""
    problems = [
        Problem(field[:60], "cannot be changed here" if field in _FIXED else "there is no such field")
        for field in fields
        if field not in FIELDS and field != TEMPLATES
    ]
    if problems:
        raise SlotInvalid(slot_id, problems)


_FIXED: Final = frozenset(
    {
        "id", "version", "has_password", "password", "secret_hash", "ingest_url", "problems", "archived_at",
        "created_at", "updated_at", "updated_by",
    }
)  # fmt: skip
