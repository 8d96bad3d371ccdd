"""`POST /api/slots/{slot_id}/cleanup`: a slot's files, the expired ones or all of them, removed now."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from quart import Blueprint, Response, request

from photochanger.db.facade import Db
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Problem
from photochanger.gallery.slots import require_slot
from photochanger.media.retention import Retention
from photochanger.web.contract import contract, json_body
from photochanger.web.guard import caller
from photochanger.web.inputs import invalid, read_json
from photochanger.web.outputs import answer

Record = Callable[..., Awaitable[None]]


class CleanupOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What is removed. `everything` takes what has not expired too, and wants the slot's id in `confirm`."""

    everything: bool = False
    confirm: Annotated[str, msgspec.Meta(max_length=200)] = ""


class CleanupView(msgspec.Struct):
    """What was removed; `kept` files of the slot are still there: not expired, at work, or stuck on the disk."""

    removed_files: int
    freed_bytes: int
    kept: int


def blueprint(db: Db, retention: Retention, record: Record) -> Blueprint:
    """The route. `record` writes what was ordered into the audit journal."""
    routes = Blueprint("cleanup", __name__)

    @routes.post("/api/slots/<slot_id>/cleanup")
    @contract(
        "Remove what has expired of a slot, or all its files. Rows stay for statistics, jobs at work are not touched.",
        tag="gallery",
        access=Permission.SLOTS_WRITE,
        request=json_body(CleanupOrder),
        responses={200: [json_body(CleanupView)]},
        problems=(Reason.SLOT_NOT_FOUND, Reason.DATABASE_UNAVAILABLE),
    )
    async def clean(slot_id: str) -> Response:
        order = await read_json(request, CleanupOrder)
        await require_slot(db, slot_id)
        if order.everything and order.confirm != slot_id:
            raise invalid(Problem("confirm", "must be the id of the slot whose files are all to be removed"))
        # First, because a client that leaves half way has removed something all the same.
        detail = {"everything": order.everything}
        await record("slot_cleanup", actor=caller().username, subject=slot_id, detail=detail)
        swept = await (retention.empty(slot_id) if order.everything else retention.sweep(slot_id=slot_id))
        return answer(CleanupView(swept.removed_files, swept.freed_bytes, await retention.left(slot_id)))

    return routes
