"""`/r/{token}`: a guest's own picture, by a link short enough for a QR code on the print."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from quart import Blueprint, Response, request

from photochanger.db.facade import Db
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.gallery import qr
from photochanger.gallery.addresses import Addresses
from photochanger.gallery.results import Results, download_name
from photochanger.gallery.seals import Seals
from photochanger.jobs.told import picture_url, preview_url
from photochanger.media.store import MediaStore
from photochanger.web.access import Access
from photochanger.web.contract import binary, contract, json_body
from photochanger.web.files import send_file
from photochanger.web.inputs import read_id, read_query
from photochanger.web.outputs import answer


class GuestQuery(msgspec.Struct):
    """How the picture is wanted. Other parameters mean nothing: messengers add some of their own."""

    download: Annotated[bool, msgspec.Meta(description="As a file to be saved, with a name.")] = False


class GuestView(msgspec.Struct):
    """A guest's picture. `url` and `preview_url` are paths at this service; width and height are in pixels."""

    taken_at: datetime
    url: str
    preview_url: str
    mime: str
    width: int
    height: int
    expires_at: datetime


class GuestLink(msgspec.Struct):
    """A guest's link, and where its QR code is; good as long as the picture is."""

    url: str
    qr_svg_url: str
    qr_png_url: str


def blueprint(db: Db, results: Results, media: MediaStore, seals: Seals, addresses: Addresses) -> Blueprint:
    """The routes of the guests' links."""
    routes = Blueprint("guests", __name__)

    @routes.get("/r/<token>")
    @contract(
        "A guest's picture: the picture itself, or its description for who prefers JSON. Before it is there: 404 "
        "with Retry-After.",
        tag="gallery",
        access=Access.PUBLIC,
        responses={
            200: [json_body(GuestView), *binary("image/jpeg", "image/png")],
            206: binary("image/jpeg", "image/png"),
            304: [],
        },
        query=GuestQuery,
        problems=(Reason.NOT_FOUND, Reason.RESULT_EXPIRED, Reason.DATABASE_UNAVAILABLE, Reason.STORAGE_UNAVAILABLE),
        headers={404: {"Retry-After": "Seconds after which the picture may be there; absent when it never will be."}},
    )
    async def get_guest(token: str) -> Response:
        query = read_query(request, GuestQuery)
        job_id = seals.job_of(token)
        if job_id is None:
            raise Refusal(Reason.NOT_FOUND)
        row = await results.for_guest(job_id)
        accepted = request.accept_mimetypes
        if not query.download and accepted.quality("application/json") > accepted.quality(row["mime"]):
            response = answer(GuestView(url=picture_url(job_id), preview_url=preview_url(job_id), **_facts(row)))
        else:
            response = await send_file(
                media.locate(row["path"]),
                mime=row["mime"],
                etag=row["sha256"].hex(),
                request=request,
                download_name=download_name(row),
                attachment=query.download,
            )
        response.headers["Vary"] = "Accept"
        return response

    @routes.get("/r/<token>/qr.svg")
    @contract(
        "The guest's link as a QR code, also before the picture is there.",
        tag="gallery",
        access=Access.PUBLIC,
        responses={200: qr.body("svg")},
        problems=(Reason.NOT_FOUND, Reason.INVALID_REQUEST),
    )
    async def get_svg(token: str) -> Response:
        return await code(token, "svg")

    @routes.get("/r/<token>/qr.png")
    @contract(
        "The same as a PNG.",
        tag="gallery",
        access=Access.PUBLIC,
        responses={200: qr.body("png")},
        problems=(Reason.NOT_FOUND, Reason.INVALID_REQUEST),
    )
    async def get_png(token: str) -> Response:
        return await code(token, "png")

    async def code(token: str, kind: qr.Kind) -> Response:
        if seals.job_of(token) is None:
            raise Refusal(Reason.NOT_FOUND)
        return await qr.respond(addresses.absolute(f"/r/{token}", request), kind, cached=addresses.are_fixed)

    @routes.get("/api/jobs/<job_id>/guest-link")
    @contract(
        "The link for the guest of a photo, also before its picture is there.",
        tag="gallery",
        access=Permission.SLOTS_WRITE,
        responses={200: [json_body(GuestLink)]},
        problems=(Reason.NOT_FOUND, Reason.INVALID_REQUEST, Reason.DATABASE_UNAVAILABLE),
    )
    async def get_link(job_id: str) -> Response:
        job = read_id(job_id)
        if await db.fetchval("SELECT id FROM job WHERE id = $1", job) is None:
            raise Refusal(Reason.NOT_FOUND)
        url = addresses.absolute(f"/r/{seals.guest(job)}", request)
        return answer(GuestLink(url, f"{url}/qr.svg", f"{url}/qr.png"))

    return routes


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("taken_at", "mime", "width", "height", "expires_at")}
