"""Links that administrators hand out: all galleries for a quarter of an hour, one slot's gallery for good."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from quart import Blueprint, Response, request

from photochanger.db.facade import Db
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Gallery, Slot
from photochanger.errors import Refusal
from photochanger.gallery import qr
from photochanger.gallery.addresses import Addresses
from photochanger.gallery.items import Picture, picture
from photochanger.gallery.listing import galleries
from photochanger.gallery.page import cacheable, shown
from photochanger.gallery.public import HTML
from photochanger.gallery.seals import SHARE_LIFE, Seals
from photochanger.jobs.workshop import utc_now
from photochanger.web.access import Access
from photochanger.web.contract import contract, json_body
from photochanger.web.guard import caller
from photochanger.web.inputs import read_query
from photochanger.web.outputs import answer

Record = Callable[..., Awaitable[None]]


class ShareQuery(msgspec.Struct):
    """How much of each slot is shown."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10, description="Pictures of each slot at most.")] = 10


class ShareLink(msgspec.Struct):
    """A link to the galleries of all slots, whatever each slot's own `gallery` says. Nobody can take it back."""

    url: str
    expires_at: datetime


class SharedSlot(msgspec.Struct):
    """A slot's last pictures, newest first."""

    slot_id: str
    pictures: list[Picture]


class ShareView(msgspec.Struct):
    """The galleries of all slots; slots without pictures are left out."""

    data: list[SharedSlot]
    expires_at: datetime


class GalleryLink(msgspec.Struct):
    """Where a slot's gallery is, and that as a QR code (an SVG document). `gallery` says who can open it."""

    url: str
    gallery: Gallery
    qr_svg: str


def blueprint(
    db: Db,
    find_slot: Callable[[str], Slot | None],
    all_slots: Callable[[], list[Slot]],
    seals: Seals,
    addresses: Addresses,
    record: Record,
) -> Blueprint:
    """The routes of the links. `record` writes what was handed out into the audit journal, never a token."""
    routes = Blueprint("shares", __name__)

    @routes.post("/api/share")
    @contract(
        "A link to the galleries of all slots, good for 15 minutes.",
        tag="gallery",
        access=Permission.SLOTS_WRITE,
        responses={201: [json_body(ShareLink)]},
    )
    async def share() -> Response:
        until = int(utc_now().timestamp()) + SHARE_LIFE
        url = addresses.absolute(f"/public/share/{seals.share(until)}", request)
        expires_at = datetime.fromtimestamp(until, UTC)
        await record("gallery_share", actor=caller().username, detail={"expires_at": expires_at.isoformat()})
        return answer(ShareLink(url, expires_at), status=201)

    @routes.get("/public/share/<token>")
    @contract(
        "The last pictures of all slots; JSON, or a plain page for a browser.",
        tag="gallery",
        access=Access.PUBLIC,
        responses={200: [json_body(ShareView), HTML], 304: []},
        query=ShareQuery,
        problems=(Reason.NOT_FOUND, Reason.RESULT_EXPIRED, Reason.DATABASE_UNAVAILABLE),
        headers={200: {"ETag": "Of what is shown, for If-None-Match."}},
    )
    async def get_share(token: str) -> Response:
        query = read_query(request, ShareQuery)
        until = seals.shared_until(token)
        if until is None:
            raise Refusal(Reason.NOT_FOUND)
        if until <= utc_now().timestamp():
            raise Refusal(Reason.RESULT_EXPIRED, "This link was good for 15 minutes.")
        found = await galleries(db, all_slots(), query.limit)
        data = [SharedSlot(slot_id, [picture(row) for row in rows]) for slot_id, rows in found.items() if rows]
        view = ShareView(data, datetime.fromtimestamp(until, UTC))
        body, mime = shown(request, view, [(each.slot_id, each.pictures) for each in data])
        return cacheable(request, body, mime, cache_control="private, max-age=5")

    @routes.get("/api/slots/<slot_id>/gallery-link")
    @contract(
        "The public link of a slot's gallery, with its QR code. 409 while the slot has no gallery.",
        tag="gallery",
        access=Permission.SLOTS_WRITE,
        responses={200: [json_body(GalleryLink)]},
        problems=(Reason.SLOT_NOT_FOUND, Reason.NOT_POSSIBLE_NOW, Reason.INVALID_REQUEST),
    )
    async def get_link(slot_id: str) -> Response:
        slot = find_slot(slot_id)
        if slot is None:
            raise Refusal(Reason.SLOT_NOT_FOUND)
        if slot.gallery == "off":
            raise Refusal(Reason.NOT_POSSIBLE_NOW, "This slot has no gallery: set its `gallery` to token or public.")
        key = f"?key={seals.gallery_key(slot)}" if slot.gallery == "token" else ""
        url = addresses.absolute(f"/public/slots/{slot.id}{key}", request)
        return answer(GalleryLink(url, slot.gallery, (await qr.draw(url, "svg")).decode()))

    return routes
