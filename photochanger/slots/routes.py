"""`/api/slots`: slots listed, read, made, changed, archived, and taken back to an earlier version."""

from collections.abc import Mapping
from typing import Any

import msgspec
from quart import Blueprint, Response, request

from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Problem
from photochanger.slots.desk import Row, SlotDesk
from photochanger.slots.journal import ChangePlace
from photochanger.slots.passwords import LONGEST, SHORTEST, generated
from photochanger.slots.showing import Showing
from photochanger.slots.views import (
    BulkBody,
    BulkIn,
    BulkLine,
    BulkMeta,
    BulkView,
    ChangesQuery,
    CountMeta,
    CreatedSlotView,
    PasswordView,
    RestoreIn,
    SigningKeyView,
    SlotChangeIn,
    SlotChangeList,
    SlotCreateIn,
    SlotDuplicateIn,
    SlotList,
    SlotPasswordIn,
    SlotsQuery,
    SlotView,
)
from photochanger.web.contract import contract, json_body
from photochanger.web.guard import caller
from photochanger.web.inputs import invalid, read_json, read_query, required_version
from photochanger.web.outputs import answer, nothing
from photochanger.web.paging import page_of, read_cursor

TAG = "slots"
ACCESS = Permission.SLOTS_WRITE
READING = (Reason.SLOT_NOT_FOUND, Reason.DATABASE_UNAVAILABLE)
CHANGING = (*READING, Reason.VALIDATION_FAILED, Reason.NOT_POSSIBLE_NOW)
ETAG = {"ETag": "The version that this is."}
LOCATION = {"Location": "Where it is now."}


def blueprint(desk: SlotDesk, showing: Showing) -> Blueprint:
    """The routes of slots themselves. All need `slots:write`."""
    routes = Blueprint("slots", __name__)

    def shown(row: Row, **besides: Any) -> Response:
        view = showing.view(row, desk.terms(), request.host_url) | besides
        return answer(view, version=row["version"])

    @routes.get("/api/slots")
    @contract(
        "The slots.",
        tag=TAG,
        access=ACCESS,
        query=SlotsQuery,
        responses={200: [json_body(SlotList)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
    )
    async def list_slots() -> Response:
        query = read_query(request, SlotsQuery)
        rows = await desk.all(archived=query.archived)
        lines = await showing.lines(rows, query, desk.terms(), request.host_url)
        return answer(SlotList(lines, CountMeta(len(lines))))

    @routes.post("/api/slots")
    @contract(
        "A new slot. With neither `password` nor `generate_password` it gets the default ingest password.",
        tag=TAG,
        access=ACCESS,
        request=json_body(SlotCreateIn),
        responses={201: [json_body(CreatedSlotView)]},
        headers={201: ETAG | LOCATION},
        problems=(Reason.NOT_POSSIBLE_NOW, Reason.DATABASE_UNAVAILABLE),
    )
    async def create_slot() -> Response:
        return await made(await read_json(request, dict[str, Any]), None)

    @routes.get("/api/slots/<slot_id>")
    @contract(
        "A slot as it is set up, archived or not.",
        tag=TAG,
        access=ACCESS,
        responses={200: [json_body(SlotView)]},
        headers={200: ETAG},
        problems=READING,
    )
    async def get_slot(slot_id: str) -> Response:
        return shown(await desk.one(slot_id))

    @routes.put("/api/slots/<slot_id>")
    @contract(
        "Change fields of a slot; those that are not given stay. Refused where the slot could not work then.",
        tag=TAG,
        access=ACCESS,
        request=json_body(SlotChangeIn),
        responses={200: [json_body(SlotView)]},
        headers={200: ETAG},
        problems=CHANGING,
        versioned=True,
    )
    async def change_slot(slot_id: str) -> Response:
        expected = required_version(request)
        fields = await read_json(request, dict[str, Any])
        return shown(await desk.change(slot_id, fields, expected, by=caller().username))

    @routes.delete("/api/slots/<slot_id>")
    @contract(
        "Archive a slot: photos at work finish, new ones are answered 404. Its journal and its statistics stay.",
        tag=TAG,
        access=ACCESS,
        responses={204: []},
        problems=(*READING, Reason.NOT_POSSIBLE_NOW),
        versioned=True,
    )
    async def archive_slot(slot_id: str) -> Response:
        await desk.archive(slot_id, required_version(request), by=caller().username)
        return nothing()

    @routes.post("/api/slots/<slot_id>/restore-archived")
    @contract(
        "Take an archived slot into use again; switched off, if it could not work now.",
        tag=TAG,
        access=ACCESS,
        responses={200: [json_body(SlotView)]},
        headers={200: ETAG},
        problems=(*READING, Reason.NOT_POSSIBLE_NOW),
        versioned=True,
    )
    async def restore_archived_slot(slot_id: str) -> Response:
        return shown(await desk.bring_back(slot_id, required_version(request), by=caller().username))

    @routes.post("/api/slots/<slot_id>/duplicate")
    @contract(
        "A new slot with the settings and templates of this one, and secrets of its own.",
        tag=TAG,
        access=ACCESS,
        request=json_body(SlotDuplicateIn),
        responses={201: [json_body(CreatedSlotView)]},
        headers={201: ETAG | LOCATION},
        problems=CHANGING,
    )
    async def duplicate_slot(slot_id: str) -> Response:
        given = await read_json(request, SlotDuplicateIn)
        return await made(msgspec.to_builtins(given), slot_id)

    @routes.post("/api/slots/bulk")
    @contract(
        "One change for many slots: all of them take it, or none does. `errors` name the slot first.",
        tag=TAG,
        access=ACCESS,
        request=json_body(BulkIn),
        responses={200: [json_body(BulkView)]},
        problems=(*CHANGING, Reason.VERSION_CONFLICT),
    )
    async def change_many_slots() -> Response:
        body = await read_json(request, BulkBody)
        outcomes = await desk.change_many(
            None if isinstance(body.slots, str) else body.slots,
            body.change,
            versions=body.versions,
            dry_run=body.dry_run,
            by=caller().username,
        )
        lines = [BulkLine(each.slot_id, each.version, each.changed) for each in outcomes]
        return answer(BulkView(lines, BulkMeta(body.dry_run, len(lines))))

    @routes.get("/api/slots/<slot_id>/changes")
    @contract(
        "What was changed in a slot, when and by whom; newest first.",
        tag=TAG,
        access=ACCESS,
        query=ChangesQuery,
        responses={200: [json_body(SlotChangeList)]},
        problems=READING,
    )
    async def list_slot_changes(slot_id: str) -> Response:
        query = read_query(request, ChangesQuery)
        after = read_cursor(query.cursor, ChangePlace)
        found = await desk.changes(slot_id, before=after and after.version, limit=query.limit + 1)
        return answer(SlotChangeList(*page_of(found, query.limit, lambda change: ChangePlace(change.version))))

    @routes.post("/api/slots/<slot_id>/restore")
    @contract(
        "Make a slot what it was at an earlier version, as a new version. Secrets stay as they are.",
        tag=TAG,
        access=ACCESS,
        request=json_body(RestoreIn),
        responses={200: [json_body(SlotView)]},
        headers={200: ETAG},
        problems=CHANGING,
        versioned=True,
    )
    async def restore_slot(slot_id: str) -> Response:
        expected = required_version(request)
        version = (await read_json(request, RestoreIn)).version
        return shown(await desk.restore(slot_id, version, expected, by=caller().username))

    @routes.post("/api/slots/<slot_id>/password")
    @contract(
        "Give a slot another password: the given one, or one that is made up and shown this once.",
        tag=TAG,
        access=ACCESS,
        request=json_body(SlotPasswordIn),
        responses={200: [json_body(PasswordView)]},
        headers={200: ETAG},
        problems=CHANGING,
        versioned=True,
    )
    async def change_slot_password(slot_id: str) -> Response:
        expected = required_version(request)
        given = (await read_json(request, SlotPasswordIn)).password
        password = None if given is msgspec.UNSET else given
        row, chosen = await desk.set_password(slot_id, password, expected, by=caller().username)
        view = PasswordView(row["id"], row["version"], chosen if password is None else None)
        return answer(view, version=row["version"])

    @routes.post("/api/slots/<slot_id>/signing-key")
    @contract(
        "Give a slot another signing key, shown this once; the one before is worth nothing any more.",
        tag=TAG,
        access=ACCESS,
        responses={200: [json_body(SigningKeyView)]},
        headers={200: ETAG},
        problems=(*READING, Reason.NOT_POSSIBLE_NOW),
        versioned=True,
    )
    async def change_slot_signing_key(slot_id: str) -> Response:
        row, key = await desk.new_signing_key(slot_id, required_version(request), by=caller().username)
        view = SigningKeyView(row["id"], row["version"], row["signing_generation"], key)
        return answer(view, version=row["version"])

    async def made(given: Mapping[str, Any], like: str | None) -> Response:
        fields = dict(given)
        slot_id, password, made_up = _identity(fields)
        row = await desk.create(slot_id, fields, password, by=caller().username, like=like)
        view = showing.view(row, desk.terms(), request.host_url) | {"password": password if made_up else None}
        headers = {"Location": f"/api/slots/{row['id']}"}
        return answer(view, status=201, version=row["version"], headers=headers)

    return routes


def _identity(fields: dict[str, Any]) -> tuple[str | None, str | None, bool]:
    """Taken out of the fields of a new slot: its id, its password, whether that was made up.

    Raises Refusal (validation_failed).
    """
    nulls = [name for name in ("id", "password") if fields.get(name, ...) is None]
    problems = [Problem(name, "cannot be null: leave it out") for name in nulls]
    slot_id, password = fields.pop("id", None), fields.pop("password", None)
    generate = fields.pop("generate_password", False)
    if slot_id is not None and not isinstance(slot_id, str):
        problems.append(Problem("id", "must be text"))
    if not isinstance(generate, bool):
        problems.append(Problem("generate_password", "must be true or false"))
    elif generate and password is not None:
        problems.append(Problem("password", "give one, or have one made up, not both"))
    if password is not None and (not isinstance(password, str) or not SHORTEST <= len(password) <= LONGEST):
        problems.append(Problem("password", f"must be text of {SHORTEST} to {LONGEST} characters"))
    if problems:
        raise invalid(*problems)
    return slot_id, generated() if generate else password, generate
