"""Problems as OpenAPI responses: those that a route names, and those that follow from how it is made."""

from collections.abc import Mapping
from typing import Any, Final

from photochanger.domain.permission import Permission
from photochanger.domain.reasons import REASONS, Reason
from photochanger.web.access import Access
from photochanger.web.contract import Contract

_HEADERS: Final = {
    401: {"WWW-Authenticate": "How to prove who asks."},
    416: {"Content-Range": "How long the file is."},
    429: {"Retry-After": "Whole seconds after which it is worth trying again, where that is known."},
    503: {"Retry-After": "Whole seconds after which it is worth trying again, where that is known."},
}
_EXTRA: Final = {431: Reason.INVALID_REQUEST}
"""Statuses that are not the reason's own: the head of the request is too large."""
_TOGETHER: Final = 3
"""So many reasons share a response of the components; more are written out where they belong."""


class Responses:
    """Problem responses by status; those that several operations share lie in `components`."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self._problem = problem
        self._shared: dict[str, dict[str, Any]] = {}

    @property
    def components(self) -> dict[str, Any]:
        """What was referred to so far, by name."""
        return dict(sorted(self._shared.items()))

    def problems(self, found: Contract, *, changes: bool, in_path: bool) -> dict[str, Any]:
        """The problem responses of an operation that `changes` something or not; `in_path`: its path has parameters."""
        by_status: dict[int, list[Reason]] = {}
        for reason in dict.fromkeys((*found.problems, *_usual(found, changes=changes, in_path=in_path))):
            by_status.setdefault(REASONS[reason].status, []).append(reason)
        for status, reason in _EXTRA.items():
            by_status.setdefault(status, []).append(reason)
        if 206 in found.responses:
            by_status[416] = [Reason.INVALID_REQUEST]
        told: dict[str, Any] = {}
        for status, reasons in sorted(by_status.items()):
            told[str(status)] = self._response(status, sorted(reasons, key=list(Reason).index), found)
        return told

    def _response(self, status: int, reasons: list[Reason], found: Contract) -> dict[str, Any]:
        headers = {**_HEADERS.get(status, {}), **found.headers.get(status, {})}
        other = found.responses.get(status, [])
        response: dict[str, Any] = {
            "description": " ".join(f"`{reason.value}`: {REASONS[reason].en}" for reason in reasons)
        }
        if headers:
            response["headers"] = header_objects(headers)
        schema = {
            "allOf": [self._problem, {"properties": {"failure_reason": {"enum": [each.value for each in reasons]}}}]
        }
        response["content"] = {"application/problem+json": {"schema": schema}}
        if found.headers.get(status) or other or len(reasons) > _TOGETHER:
            return response
        name = "Or".join(each.value.title().replace("_", "") for each in reasons)
        if status != REASONS[reasons[0]].status:
            name += str(status)
        self._shared[name] = response
        return {"$ref": f"#/components/responses/{name}"}


def header_objects(headers: Mapping[str, str]) -> dict[str, Any]:
    """OpenAPI's way to tell headers and what they mean."""
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}


def _usual(found: Contract, *, changes: bool, in_path: bool) -> list[Reason]:
    """What follows from how the route is made."""
    # A request that is no HTTP, or one connection too many, is answered before any route is asked.
    usual = [Reason.INTERNAL_ERROR, Reason.INVALID_REQUEST, Reason.QUEUE_FULL]
    if in_path:
        usual.append(Reason.NOT_FOUND)
    if found.database:
        usual.append(Reason.DATABASE_UNAVAILABLE)
    if found.access is not Access.PUBLIC:
        usual.append(Reason.UNAUTHENTICATED)
        if isinstance(found.access, Permission) or changes:
            usual.append(Reason.FORBIDDEN)
    if found.request is not None:
        usual += [Reason.PAYLOAD_TOO_LARGE, Reason.UPLOAD_TIMEOUT]
        if found.request.media_type == "application/json":
            usual.append(Reason.VALIDATION_FAILED)
    if found.query is not None:
        usual.append(Reason.VALIDATION_FAILED)
    if found.versioned:
        usual += [Reason.PRECONDITION_REQUIRED, Reason.VERSION_CONFLICT]
    return usual
