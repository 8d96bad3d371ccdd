"""`/public/slots/{slot_id}`: a slot's last pictures, for whom the slot lets see them."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from quart import Blueprint, Response, request

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Refusal
from photochanger.gallery.items import Limit, Picture, picture
from photochanger.gallery.listing import NEWEST, Place, gallery
from photochanger.gallery.page import cacheable, shown
from photochanger.gallery.seals import Seals
from photochanger.web.access import Access
from photochanger.web.contract import Body, contract, json_body
from photochanger.web.inputs import read_query
from photochanger.web.paging import Cursor, PageMeta, read_cursor

FRESH = "max-age=5"
"""A guest waits for a picture that was just taken; a gallery that is closed or a picture that is rejected must go."""


class GalleryQuery(msgspec.Struct):
    """What a guest's page asks for."""

    limit: Limit = 10
    cursor: Cursor | None = None
    key: Annotated[str, msgspec.Meta(max_length=200, description="What opens a gallery that is not for all.")] = ""


class GalleryView(msgspec.Struct):
    """A slot's pictures, newest first. A page may be short before the end, or empty: go on while there is a cursor."""

    data: list[Picture]
    meta: PageMeta


HTML = Body("text/html", {"type": "string"})


def blueprint(db: Db, find_slot: Callable[[str], Slot | None], seals: Seals) -> Blueprint:
    """The route of the galleries. A gallery that is closed looks like a slot that is not there."""
    routes = Blueprint("public_gallery", __name__)

    @routes.get("/public/slots/<slot_id>")
    @contract(
        "A slot's last pictures; JSON, or a plain page for a browser. 404 where there is no gallery for the asker.",
        tag="gallery",
        access=Access.PUBLIC,
        responses={200: [json_body(GalleryView), HTML], 304: []},
        query=GalleryQuery,
        problems=(Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE),
        headers={200: {"ETag": "Of what is shown, for If-None-Match."}},
    )
    async def get_gallery(slot_id: str) -> Response:
        query = read_query(request, GalleryQuery)
        after = read_cursor(query.cursor, Place) or NEWEST
        slot = find_slot(slot_id)
        if slot is None or not _may_see(slot, query.key, seals):
            raise Refusal(Reason.NOT_FOUND)
        page = await gallery(db, slot, after, query.limit)
        pictures = [picture(row) for row in page.rows]
        view = GalleryView(pictures, page.meta)
        scope = "public" if slot.gallery == "public" else "private"
        body, mime = shown(request, view, [("", pictures)])
        return cacheable(request, body, mime, cache_control=f"{scope}, {FRESH}")

    return routes


def _may_see(slot: Slot, key: str, seals: Seals) -> bool:
    return slot.gallery == "public" or (slot.gallery == "token" and seals.opens(slot, key))
