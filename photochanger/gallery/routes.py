"""Reading back: `/api/jobs/{id}` and `/api/results/{id}`."""

from uuid import UUID

import msgspec
from quart import Blueprint, Response

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.gallery.queries import find_job, find_result
from photochanger.gallery.views import JobView, ResultView, job_fields, result_fields
from photochanger.web.access import Access
from photochanger.web.contract import contract, json_body


def blueprint(db: Db) -> Blueprint:
    """The reading routes. None of them needs a login: whoever knows the id was given it."""
    routes = Blueprint("gallery", __name__)

    @routes.get("/api/jobs/<job_id>")
    @contract(
        "How a photo's work stands.",
        tag="reading",
        access=Access.PUBLIC,
        responses={200: [json_body(JobView)]},
        problems=(Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE),
    )
    async def get_job(job_id: str) -> Response:
        job = await find_job(db, _id(job_id))
        if job is None or job["expired"]:
            raise Refusal(Reason.NOT_FOUND)
        return _json(JobView(url=_url(job["job_id"]) if job["expires_at"] else None, **job_fields(job)))

    @routes.get("/api/results/<job_id>")
    @contract(
        "What the result is, and where; 404 while there is none.",
        tag="reading",
        access=Access.PUBLIC,
        responses={200: [json_body(ResultView)]},
        problems=(Reason.NOT_FOUND, Reason.RESULT_EXPIRED, Reason.DATABASE_UNAVAILABLE),
    )
    async def get_result(job_id: str) -> Response:
        row = await find_result(db, _id(job_id))
        if row is None:
            raise Refusal(Reason.NOT_FOUND)
        if row["expired"]:
            raise Refusal(Reason.RESULT_EXPIRED)
        return _json(ResultView(sha256=row["sha256"].hex(), url=_url(row["job_id"]), **result_fields(row)))

    return routes


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refusal(Reason.NOT_FOUND) from None


def _url(job_id: UUID) -> str:
    return f"/public/results/{job_id}"


def _json(view: msgspec.Struct) -> Response:
    response = Response(msgspec.json.encode(view), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
