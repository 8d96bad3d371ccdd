"""`/public/results/{job_id}`: the picture itself, and its preview."""

from typing import Annotated

import msgspec
from quart import Blueprint, Response, request

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.gallery.previews import Previews
from photochanger.gallery.results import Results, download_name
from photochanger.media.store import MediaStore, preview_path
from photochanger.web.access import Access
from photochanger.web.contract import binary, contract
from photochanger.web.files import send_file
from photochanger.web.inputs import read_id, read_query


class PictureQuery(msgspec.Struct):
    """How a picture is wanted. Other parameters mean nothing: people add some to pass by caches."""

    download: Annotated[bool, msgspec.Meta(description="As a file to be saved, with a name.")] = False


def blueprint(results: Results, previews: Previews, media: MediaStore) -> Blueprint:
    """The routes of the pictures. None of them needs a login: whoever knows the id was given it."""
    routes = Blueprint("pictures", __name__)

    @routes.get("/public/results/<job_id>")
    @contract(
        "The picture, with ETag and ranges.",
        tag="reading",
        access=Access.PUBLIC,
        responses={200: binary("image/jpeg", "image/png"), 206: binary("image/jpeg", "image/png"), 304: []},
        query=PictureQuery,
        problems=(Reason.NOT_FOUND, Reason.RESULT_EXPIRED, Reason.DATABASE_UNAVAILABLE, Reason.STORAGE_UNAVAILABLE),
    )
    async def get_picture(job_id: str) -> Response:
        query = read_query(request, PictureQuery)
        row = await results.visible(read_id(job_id))
        return await send_file(
            media.locate(row["path"]),
            mime=row["mime"],
            etag=row["sha256"].hex(),
            request=request,
            download_name=download_name(row) if query.download else None,
            attachment=query.download,
        )

    @routes.get("/public/results/<job_id>/preview")
    @contract(
        "The picture in small (WebP, 512 pixels at most); made now when it was never made before.",
        tag="reading",
        access=Access.PUBLIC,
        responses={200: binary("image/webp"), 206: binary("image/webp"), 304: []},
        problems=(
            Reason.NOT_FOUND,
            Reason.RESULT_EXPIRED,
            Reason.QUEUE_FULL,
            Reason.DATABASE_UNAVAILABLE,
            Reason.STORAGE_UNAVAILABLE,
        ),
        headers={200: {"ETag": "Changes with the picture."}, 429: {"Retry-After": "Seconds."}},
    )
    async def get_preview(job_id: str) -> Response:
        row = await results.visible(read_id(job_id))

        async def send() -> Response:
            return await send_file(
                media.locate(preview_path(row["path"])),
                mime="image/webp",
                etag=f"{row['sha256'].hex()}-preview",
                request=request,
                cache_control="private, max-age=60",
            )

        try:
            return await send()
        except Refusal as refusal:
            if refusal.reason is not Reason.NOT_FOUND:
                raise
        await previews.make(row)
        return await send()

    return routes
