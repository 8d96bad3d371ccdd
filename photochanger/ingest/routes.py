"""`POST /api/ingest/{slot_id}`: a photo in, the processed photo out, in the same request."""

from quart import Blueprint, Response, request

from photochanger.domain.reasons import Reason
from photochanger.ingest.service import Ingest
from photochanger.web.openapi import Body, binary, contract, json_body

FORM = Body(
    "multipart/form-data",
    {
        "type": "object",
        "required": ["fileToUpload"],
        "properties": {
            "password": {"type": "string", "description": "The slot's password."},
            "fileToUpload": {"type": "string", "contentMediaType": "image/jpeg", "description": "The photo."},
        },
        "additionalProperties": {"type": "string", "description": "Kept with the job, never judged by."},
    },
)
DESCRIPTION = {
    "type": "object",
    "required": ["job_id", "result", "mime", "bytes", "width", "height", "url"],
    "properties": {
        "job_id": {"type": "string", "format": "uuid"},
        "result": {"enum": ["ai", "fallback", "local", "original"]},
        "mime": {"type": "string"},
        "bytes": {"type": "integer"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "url": {"type": "string"},
    },
}
HEADERS = {
    "X-Job-Id": "The job, for `/api/jobs/{job_id}`.",
    "X-PhotoChanger-Result": "Where the picture comes from: `ai`, `fallback`, `local` or `original`.",
    "Link": "The picture's public address.",
}
PROBLEMS = (
    Reason.INVALID_REQUEST, Reason.INVALID_CREDENTIALS, Reason.SLOT_NOT_FOUND, Reason.SLOT_DISABLED,
    Reason.UPLOAD_TIMEOUT, Reason.PAYLOAD_TOO_LARGE, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.UNDECODABLE_IMAGE,
    Reason.SLOT_BUSY, Reason.QUEUE_FULL, Reason.INTERNAL_ERROR, Reason.PROVIDER_REFUSED,
    Reason.PROVIDER_NO_IMAGE, Reason.PROVIDER_ERROR, Reason.PROVIDER_QUOTA, Reason.PROVIDER_UNAVAILABLE,
    Reason.STORAGE_UNAVAILABLE, Reason.DRAINING, Reason.PROVIDER_TIMEOUT,
)  # fmt: skip


def blueprint(ingest: Ingest) -> Blueprint:
    """The booth's one route."""
    routes = Blueprint("ingest", __name__)

    @routes.post("/api/ingest/<path:slot_id>")
    @contract(
        "Process one photo: the processed picture is the answer.",
        tag="ingest",
        request=FORM,
        responses={200: [*binary("image/jpeg", "image/png"), json_body(DESCRIPTION)]},
        headers={200: HEADERS},
        problems=PROBLEMS,
    )
    async def post_photo(slot_id: str) -> Response:
        return await ingest.handle(slot_id, request)

    return routes
