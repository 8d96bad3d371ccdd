"""What routes answer: JSON views, with the version of what they show."""

from collections.abc import Mapping
from typing import Any

import msgspec
from quart import Response


def answer(
    view: Any, *, status: int = 200, version: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """`view`, anything that msgspec encodes, as JSON that no cache keeps. `version` becomes the ETag."""
    response = Response(msgspec.json.encode(view), status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    if version is not None:
        response.headers["ETag"] = etag_of(version)
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def nothing() -> Response:
    """204: done, and there is nothing to say."""
    response = Response(b"", status=204)
    del response.headers["Content-Type"]
    response.headers["Cache-Control"] = "no-store"
    return response


def etag_of(version: int) -> str:
    """The ETag of a version: strong, in quotation marks."""
    return f'"{version}"'
