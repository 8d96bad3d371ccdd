"""Reading back: the picture itself under `/public/results/{id}`."""

from quart import Blueprint, Response, request

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.gallery.queries import find_result, remove_expired
from photochanger.media.store import MediaStore
from photochanger.web.access import Access
from photochanger.web.contract import binary, contract
from photochanger.web.files import send_file
from photochanger.web.inputs import read_id


def blueprint(db: Db, media: MediaStore) -> Blueprint:
    """Needs no login: whoever knows the id was given it."""
    routes = Blueprint("gallery", __name__)

    @routes.get("/public/results/<job_id>")
    @contract(
        "The picture, with ETag and ranges.",
        tag="reading",
        access=Access.PUBLIC,
        responses={200: binary("image/jpeg", "image/png"), 206: binary("image/jpeg", "image/png"), 304: []},
        problems=(Reason.NOT_FOUND, Reason.RESULT_EXPIRED, Reason.DATABASE_UNAVAILABLE),
    )
    async def get_picture(job_id: str) -> Response:
        row = await find_result(db, read_id(job_id))
        if row is None:
            raise Refusal(Reason.NOT_FOUND)
        if row["expired"]:
            await remove_expired(db, media, row["job_id"])
            raise Refusal(Reason.RESULT_EXPIRED)
        return await send_file(media.locate(row["path"]), mime=row["mime"], etag=row["sha256"].hex(), request=request)

    return routes
