"""Approving and rejecting: what a moderated slot shows to guests is decided by a person."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import trio
from quart import Blueprint, Response, request

from photochanger.db.facade import Db
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.gallery.items import Limit
from photochanger.gallery.listing import NEWEST, Place, State, desk
from photochanger.gallery.slots import require_slot
from photochanger.jobs.told import picture_url, preview_url
from photochanger.web.contract import contract, json_body
from photochanger.web.guard import caller
from photochanger.web.inputs import read_id, read_query
from photochanger.web.outputs import answer
from photochanger.web.paging import Cursor, PageMeta, read_cursor

Decision = Literal["approve", "reject", "undecide"]
Record = Callable[..., Awaitable[None]]

# The row is locked, so of two who decide at once the second sees what the first did; and the clock is looked at when
# the lock is held, so that nobody decides on what expired while he waited.
_HELD: Final = """
SELECT result.id, result.approved_at, result.rejected_at, result.decided_by, result.expires_at, job.slot_id
FROM result JOIN job ON job.id = result.job_id WHERE result.job_id = $1 FOR UPDATE OF result
"""
_DECIDE: Final = """
UPDATE result SET approved_at = CASE WHEN $2 = 'approve' THEN clock_timestamp() END,
       rejected_at = CASE WHEN $2 = 'reject' THEN clock_timestamp() END,
       decided_by = CASE WHEN $2 <> 'undecide' THEN $3 END
WHERE id = $1 AND expires_at > clock_timestamp()
RETURNING approved_at, rejected_at, decided_by, expires_at
"""
_STILL: Final = "SELECT expires_at > clock_timestamp() FROM result WHERE id = $1"


class DecisionView(msgspec.Struct):
    """What was decided of a result, and by whom; all three are null while nothing is."""

    job_id: UUID
    slot_id: str
    approved_at: datetime | None
    rejected_at: datetime | None
    decided_by: str | None
    expires_at: datetime


class DeskQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which results a moderator looks at."""

    state: State = "pending"
    limit: Limit = 20
    cursor: Cursor | None = None


class DeskItem(msgspec.Struct):
    """A result that can be decided on; `preview_url` and `url` answer 404 once it is rejected."""

    job_id: UUID
    taken_at: datetime
    url: str
    preview_url: str
    width: int
    height: int
    expires_at: datetime
    approved_at: datetime | None
    rejected_at: datetime | None
    decided_by: str | None


class DeskView(msgspec.Struct):
    """Results, newest first. A page may be short before the end, or empty: go on while there is a cursor."""

    data: list[DeskItem]
    meta: PageMeta


def blueprint(db: Db, record: Record) -> Blueprint:
    """The routes of the moderators. `record` writes every decision into the audit journal."""
    routes = Blueprint("moderation", __name__)

    def deciding(decision: Decision, summary: str) -> None:
        async def handler(job_id: str) -> Response:
            return answer(await decide(db, read_id(job_id), decision, caller().username, record))

        handler.__name__ = decision
        described = contract(
            summary,
            tag="gallery",
            access=Permission.SLOTS_WRITE,
            responses={200: [json_body(DecisionView)]},
            problems=(Reason.NOT_FOUND, Reason.RESULT_EXPIRED, Reason.DATABASE_UNAVAILABLE),
        )
        routes.post(f"/api/results/<job_id>/{decision}")(described(handler))

    deciding("approve", "Let guests see a result, until it expires. Again changes nothing.")
    deciding("reject", "Take a result from all guests: gallery, link, preview and picture answer 404.")
    deciding("undecide", "Take a decision back.")

    @routes.get("/api/slots/<slot_id>/moderation")
    @contract(
        "The results of a slot that wait for a decision, or were decided on, newest first.",
        tag="gallery",
        access=Permission.SLOTS_WRITE,
        responses={200: [json_body(DeskView)]},
        query=DeskQuery,
        problems=(Reason.SLOT_NOT_FOUND, Reason.DATABASE_UNAVAILABLE),
    )
    async def get_desk(slot_id: str) -> Response:
        query = read_query(request, DeskQuery)
        after = read_cursor(query.cursor, Place) or NEWEST
        await require_slot(db, slot_id)
        page = await desk(db, slot_id, query.state, after, query.limit)
        return answer(DeskView([_item(row) for row in page.rows], page.meta))

    return routes


async def decide(db: Db, job_id: UUID, decision: Decision, by: str, record: Record) -> DecisionView:
    """Decide on a job's result; a decision that is there already keeps its time and its author.

    Raises Refusal (not_found, result_expired) and DatabaseUnavailable.
    """
    # Shielded, so that nobody who leaves early decides without its being told; every step is bounded by the database.
    with trio.CancelScope(shield=True):
        async with db.transaction() as transaction:
            held = await transaction.fetchrow(_HELD, job_id)
            if held is None:
                raise Refusal(Reason.NOT_FOUND)
            changes = _state(held) != decision
            if changes:
                row = await transaction.fetchrow(_DECIDE, held["id"], decision, by)
            else:
                row = held if await transaction.fetchval(_STILL, held["id"]) else None
            if row is None:
                raise Refusal(Reason.RESULT_EXPIRED)
        if changes:
            detail = {"slot_id": held["slot_id"], "before": _state(held)}
            await record(f"result_{decision}", actor=by, subject=str(job_id), detail=detail)
        told = {name: row[name] for name in ("approved_at", "rejected_at", "decided_by", "expires_at")}
        return DecisionView(job_id=job_id, slot_id=held["slot_id"], **told)
    raise AssertionError("unreachable")


def _state(row: Mapping[str, Any]) -> Decision:
    """The decision that made the row what it is."""
    if row["rejected_at"] is not None:
        return "reject"
    return "undecide" if row["approved_at"] is None else "approve"


def _item(row: Mapping[str, Any]) -> DeskItem:
    return DeskItem(url=picture_url(row["job_id"]), preview_url=preview_url(row["job_id"]), **row)
