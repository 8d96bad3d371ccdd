"""The Quart application without routes: request and body classes, errors, and headers of every response."""

from collections.abc import Callable, Iterator
from typing import Any, cast

from quart import Request as QuartRequest
from quart import Response
from quart.typing import ResponseReturnValue
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from photochanger.errors import PhotoChangerError
from photochanger.web import problems
from photochanger.web.asgi import ON_DONE, STARTED_AT, HTTPConnection
from photochanger.web.body import Request

MAX_BODY = 2_000_000_000
"""Bytes; what a slot accepts is far less and is checked by ingest."""


class App(QuartTrio):
    """Quart-Trio with our connection, request and body, and with exception groups taken apart."""

    asgi_http_class = HTTPConnection
    request_class = Request

    async def handle_user_exception(
        self, error: Exception | BaseExceptionGroup[BaseException]
    ) -> HTTPException | ResponseReturnValue:
        """Answer what a handler raised. Of a group the answer tells one failure: a bug before anything expected.

        Quart-Trio would answer the first exception of a group that some handler takes and forget the others.
        """
        if not isinstance(error, BaseExceptionGroup):
            return await super().handle_user_exception(error)
        cancelled_or_worse = error.split(Exception)[1]
        if cancelled_or_worse is not None:
            raise error
        leaves = list(_leaves(error))
        bugs = [leaf for leaf in leaves if not isinstance(leaf, PhotoChangerError | HTTPException)]
        if bugs and len(leaves) > 1:
            return await problems.bug(error)
        return await super().handle_user_exception(leaves[0])


def create_app(*, max_body_bytes: int = MAX_BODY) -> App:
    """An application that answers every failure as a problem document and has no routes yet.

    `max_body_bytes` bounds every request's body, announced or chunked (BodyTooLarge in the handler that reads it).
    """
    app = App("photochanger.web", static_folder=None, template_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=max_body_bytes,
        BODY_TIMEOUT=None,
        RESPONSE_TIMEOUT=None,
        PROPAGATE_EXCEPTIONS=False,  # whatever QUART_DEBUG says: a failure is answered, never raised to the server
    )
    app.debug = False
    # "//" is no other way to write "/": the redirect would name whatever host the request names.
    app.url_map.merge_slashes = False
    app.register_error_handler(PhotoChangerError, problems.expected)
    app.register_error_handler(HTTPException, problems.http)
    app.register_error_handler(Exception, problems.bug)
    app.after_request(_common_headers)
    return app


def started_at(request: QuartRequest) -> float:
    """When the request's first byte arrived: a moment of `trio.current_time()`."""
    moment: float = cast("dict[str, Any]", request.scope)[STARTED_AT]
    return moment


def when_done(request: QuartRequest, call: Callable[[], object]) -> None:
    """Have `call` called (sync) once the answer was sent, or the client has gone."""
    cast("dict[str, Any]", request.scope)[ON_DONE].append(call)


async def _common_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _leaves(error: BaseException) -> Iterator[Exception]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    elif isinstance(error, Exception):
        yield error
