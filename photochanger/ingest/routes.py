"""`POST /api/ingest/{slot_id}`: a photo in, the processed photo out, in the same request."""

from quart import Blueprint, Response, request

from photochanger.domain.reasons import Reason
from photochanger.ingest.service import Ingest
from photochanger.ingest.signature import HEADERS as SIGNATURE_HEADERS
from photochanger.ingest.signature import QUERY as SIGNATURE_QUERY
from photochanger.web.access import Access
from photochanger.web.contract import Body, binary, contract, json_body, parameter

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
LIMITS = {
    "RateLimit-Policy": "The rate limits of the house and of the slot: `q` photos at once, full again after `w` s.",
    "RateLimit": "What is left of them: `r` photos now, all of them in `t` s.",
}
HEADERS = LIMITS | {
    "X-Job-Id": "The job, for `/api/jobs/{job_id}`.",
    "X-PhotoChanger-Result": "Where the picture comes from: `ai`, `fallback`, `local` or `original`.",
    "Link": "The picture's public address.",
    "Idempotent-Replayed": "`true` for the answer to an earlier request with this photo or Idempotency-Key.",
}
RETRY_AFTER = {"Retry-After": "Whole seconds after which it is worth trying again, where that is known."}
SIGNATURE = (
    ("Used once: 16 to 128 of A-Z a-z 0-9 _ . -", "[A-Za-z0-9_.-]{16,128}"),
    ("Unix time in whole seconds, at most 300 from ours.", "[0-9]{1,11}"),
    ("`v1,` and the HMAC-SHA256 in base64; up to four, with spaces between.", ".+"),
    ("The body's SHA-256 in hexadecimal. Optional: with it a wrong signature is refused early.", "[0-9A-Fa-f]{64}"),
)
"""What each part of a signature is, in the order of `SIGNATURE_HEADERS` and `SIGNATURE_QUERY`."""
PARAMETERS = (
    parameter("Idempotency-Key", "header", "Repeats with this key get the answer to the first.", "[!-~]{1,255}"),
    *(parameter(name, "header", *what) for name, what in zip(SIGNATURE_HEADERS, SIGNATURE, strict=True)),
    *(parameter(name, "query", *what) for name, what in zip(SIGNATURE_QUERY, SIGNATURE, strict=True)),
)
PROBLEMS = (
    Reason.INVALID_REQUEST, Reason.INVALID_CREDENTIALS, Reason.SIGNATURE_EXPIRED, Reason.REPLAYED_NONCE,
    Reason.SLOT_NOT_FOUND, Reason.SLOT_DISABLED, Reason.UPLOAD_TIMEOUT, Reason.IDEMPOTENCY_CONFLICT,
    Reason.PAYLOAD_TOO_LARGE, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.UNDECODABLE_IMAGE,
    Reason.RATE_LIMITED, Reason.SLOT_BUSY, Reason.QUEUE_FULL, Reason.BUDGET_EXHAUSTED,
    Reason.INTERNAL_ERROR, Reason.PROVIDER_REFUSED, Reason.PROVIDER_NO_IMAGE, Reason.PROVIDER_ERROR,
    Reason.PROVIDER_QUOTA, Reason.PROVIDER_UNAVAILABLE, Reason.STORAGE_UNAVAILABLE,
    Reason.DATABASE_UNAVAILABLE, Reason.DRAINING, Reason.PROVIDER_TIMEOUT,
)  # fmt: skip


def blueprint(ingest: Ingest) -> Blueprint:
    """The booth's one route."""
    routes = Blueprint("ingest", __name__)

    @routes.post("/api/ingest/<path:slot_id>")
    @contract(
        "Process one photo: the processed picture is the answer.",
        tag="ingest",
        access=Access.PUBLIC,
        request=FORM,
        responses={200: [*binary("image/jpeg", "image/png"), json_body(DESCRIPTION)]},
        headers={200: HEADERS, 429: LIMITS | RETRY_AFTER, 503: RETRY_AFTER, 504: RETRY_AFTER},
        problems=PROBLEMS,
        parameters=PARAMETERS,
    )
    async def post_photo(slot_id: str) -> Response:
        return await ingest.handle(slot_id, request)

    return routes
