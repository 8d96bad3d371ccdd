"""Failures as RFC 9457 problem documents: every error the service answers has this one shape."""

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from quart import Response, g, has_request_context, request
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from photochanger.domain.reasons import REASONS, Reason
from photochanger.errors import DatabaseUnavailable, PictureError, Problem, Refusal, SlotInvalid, StorageUnavailable
from photochanger.web.asgi import loggable
from photochanger.web.contract import FieldError
from photochanger.web.russian.translate import russian

log = logging.getLogger("photochanger.web")

MIME = "application/problem+json"
UNAVAILABLE_RETRY_AFTER = 5
"""Seconds a caller is asked to wait when the database or the disk is away: a restart usually takes less."""

_BY_STATUS = {
    404: Reason.NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    408: Reason.UPLOAD_TIMEOUT,
    410: Reason.RESULT_EXPIRED,
    413: Reason.PAYLOAD_TOO_LARGE,
    415: Reason.UNSUPPORTED_MEDIA_TYPE,
}


def document(
    reason: Reason,
    *,
    detail: str = "",
    status: int | None = None,
    retry_after: int | None = None,
    job_id: UUID | str | None = None,
    result_url: str | None = None,
    errors: Sequence[Problem] = (),
    language: str = "en",
) -> dict[str, Any]:
    """The members of one problem. Those that are not known are left out."""
    info = REASONS[reason]
    tell = russian if language == "ru" else str
    members: dict[str, Any] = {
        "type": f"urn:photochanger:problem:{reason}",
        "title": info.ru if language == "ru" else info.en,
        "status": status or info.status,
        "failure_reason": str(reason),
    }
    if detail:
        members["detail"] = tell(detail)
    if job_id is not None:
        members["job_id"] = str(job_id)
    if retry_after is not None:
        members["retry_after"] = retry_after
    if result_url is not None:
        members["result_url"] = result_url
    if errors:
        members["errors"] = [{"field": error.field, "message": tell(error.message)} for error in errors]
    return members


def problem(
    reason: Reason,
    *,
    detail: str = "",
    status: int | None = None,
    retry_after: int | None = None,
    job_id: UUID | str | None = None,
    result_url: str | None = None,
    errors: Sequence[Problem] = (),
    headers: Iterable[tuple[str, str]] = (),
) -> Response:
    """The response that tells the current request of `reason`, in the language it asks for (English or Russian).

    `status` overrides the reason's own; `retry_after` is in whole seconds and is sent as a header too. Without
    `job_id` the one that the handler left in `quart.g.job_id` is told.
    """
    language = "en"
    if has_request_context():
        language = asked_language()
        job_id = job_id or g.get("job_id")
    members = document(
        reason,
        detail=detail,
        status=status,
        retry_after=retry_after,
        job_id=job_id,
        result_url=result_url,
        errors=errors,
        language=language,
    )
    response = TrioResponse(_dump(members), status=members["status"], content_type=MIME)
    for name, value in headers:
        response.headers.add(name, value)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Language"] = language
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    if reason is Reason.UNAUTHENTICATED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="photochanger"'
    if "job_id" in members:
        response.headers["X-Job-Id"] = members["job_id"]
    return response


def canned(
    reason: Reason, *, status: int | None = None, retry_after: int | None = None
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of a problem for requests that never reach the application; always closes."""
    members = document(reason, status=status, retry_after=retry_after)
    body = _dump(members)
    headers = [
        (b"content-type", MIME.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return members["status"], headers, body


async def expected(error: Exception) -> Response:
    """The answer to a failure of the photochanger.errors family; anything else is treated as a bug."""
    match error:
        case Refusal():
            return problem(
                error.reason,
                detail=error.detail,
                retry_after=error.retry_after,
                job_id=error.job_id,
                result_url=error.result_url,
                errors=error.errors,
            )
        case SlotInvalid():
            return problem(Reason.VALIDATION_FAILED, errors=error.problems)
        case PictureError():
            return problem(error.reason, detail=error.detail)
        case DatabaseUnavailable():
            reason = Reason.DATABASE_UNAVAILABLE
        case StorageUnavailable():
            reason = Reason.STORAGE_UNAVAILABLE
        case _:
            return await bug(error)
    # Their texts are for the log: they may name hosts and paths.
    log.warning("%s: %s", reason, error)
    return problem(reason, retry_after=UNAVAILABLE_RETRY_AFTER)


async def http(error: HTTPException) -> Response | WerkzeugResponse:
    """The answer to what Quart and Werkzeug raise: the status and headers stay theirs, the shape becomes ours."""
    if isinstance(error.response, Response | WerkzeugResponse):
        return error.response
    status = error.code or 500
    fallback = Reason.INTERNAL_ERROR if status >= 500 else Reason.INVALID_REQUEST
    dropped = {"content-type", "content-length"}
    headers = [(name, value) for name, value in error.get_headers() if name.lower() not in dropped]
    return problem(_BY_STATUS.get(status, fallback), status=status, headers=headers)


async def bug(error: BaseException) -> Response:
    """The answer to a failure that nobody expected: logged whole, told without any of its text."""
    where = f"{request.method} {loggable(request.path)!r}" if has_request_context() else "a request"
    log.error("%s failed", where, exc_info=error)
    return problem(Reason.INTERNAL_ERROR)


def here(text: str) -> str:
    """A sentence of ours in the language that the current request asks for, where it is known there."""
    return russian(text) if has_request_context() and asked_language() == "ru" else text


def field_errors(problems: Iterable[Problem]) -> list[FieldError]:
    """The same as JSON shows them outside of a refusal, in the language that the current request asks for."""
    return [FieldError(problem.field, here(problem.message)) for problem in problems]


def asked_language() -> str:
    """The language that the current request asks for: `en` or `ru`."""
    # Not best_match(): it would answer "en-GB, ru;q=0.5" in Russian, the only exact match.
    for tag, quality in request.accept_languages:
        primary = tag.partition("-")[0].lower()
        if primary in ("en", "ru") and quality > 0:
            return str(primary)
    return "en"


def _dump(members: dict[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
