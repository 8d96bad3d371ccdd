"""`/api/results.zip` and `/api/slots/{slot_id}/results.zip`: an evening's pictures in one file."""

from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from quart import Blueprint, Response, request
from quart_trio.wrappers import TrioResponse

from photochanger.db.facade import Db
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Problem, Refusal
from photochanger.gallery.archive import MOST, ArchiveBody, Wanted, archive_name, count
from photochanger.gallery.slots import require_slot
from photochanger.jobs.workshop import utc_now
from photochanger.media.store import MediaStore
from photochanger.web.contract import Body, contract
from photochanger.web.inputs import in_utc, invalid, read_query

MIME: Final = "application/zip"
EVENING: Final = timedelta(hours=24)

_Moment = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, with its offset.")]
_ZIP: Final = Body(MIME, {"type": "string", "contentMediaType": MIME})
_HEADERS: Final = {200: {"Content-Disposition": "A name to save it under."}}
_PROBLEMS: Final = (Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE)


class ArchiveQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which photos: taken from `from` (24 hours before `to` by default) until before `to` (now by default)."""

    start: _Moment | None = msgspec.field(name="from", default=None)
    end: _Moment | None = msgspec.field(name="to", default=None)


def blueprint(db: Db, media: MediaStore) -> Blueprint:
    """The routes of the archives."""
    routes = Blueprint("archives", __name__)

    @routes.get("/api/results.zip")
    @contract(
        "The results of an evening, of all slots, as a ZIP; rejected ones are left out. 404 when there are none.",
        tag="gallery",
        access=Permission.SLOTS_WRITE,
        responses={200: [_ZIP]},
        query=ArchiveQuery,
        problems=_PROBLEMS,
        headers=_HEADERS,
    )
    async def get_archive() -> Response:
        return await archive(None)

    @routes.get("/api/slots/<slot_id>/results.zip")
    @contract(
        "The same of one slot.",
        tag="gallery",
        access=Permission.SLOTS_WRITE,
        responses={200: [_ZIP]},
        query=ArchiveQuery,
        problems=(*_PROBLEMS, Reason.SLOT_NOT_FOUND),
        headers=_HEADERS,
    )
    async def get_slot_archive(slot_id: str) -> Response:
        return await archive(slot_id)

    async def archive(slot_id: str | None) -> Response:
        wanted = _wanted(read_query(request, ArchiveQuery), slot_id)
        if slot_id is not None:
            await require_slot(db, slot_id)
        found = await count(db, wanted)
        if not found:
            raise Refusal(Reason.NOT_FOUND, "There is no result of that time.")
        if found > MOST:
            raise invalid(Problem("from", f"that are more than {MOST} pictures: ask for a shorter time"))
        body = None if request.method == "HEAD" else ArchiveBody(db, media, wanted)
        name = archive_name([] if slot_id is None else [slot_id], wanted.start)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return TrioResponse(body, headers=headers, content_type=MIME)

    return routes


def _wanted(query: ArchiveQuery, slot_id: str | None) -> Wanted:
    now = utc_now()
    end = in_utc("to", query.end) or now
    try:
        start = in_utc("from", query.start) or end - EVENING
    except OverflowError:
        raise invalid(Problem("to", "is too early")) from None
    if start >= end:
        raise invalid(Problem("from", "must be before `to`"))
    return Wanted(start, end, now, slot_id)
