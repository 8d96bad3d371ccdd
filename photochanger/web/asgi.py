"""Quart's side of one request: body in with backpressure, response out, one line in the access log."""

import logging
import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope
from quart_trio.asgi import TrioASGIHTTPConnection

from photochanger.web.body import Request

if TYPE_CHECKING:
    from quart import Quart

access_log = logging.getLogger("photochanger.access")

STARTED_AT = "photochanger.started_at"
"""Key of the scope: when the request's first byte arrived, a moment of `trio.current_time()`."""

ON_READ = "photochanger.on_read"
"""Key of the scope: what to await when the handler first waits for the body."""


UNLOGGED = ("/public/media/", "/public/share/", "/r/")
"""Paths that are logged without their end: whoever knows such a name may fetch pictures of guests."""

_SLASHES = re.compile("/+")

ON_DONE = "photochanger.on_done"
"""Key of the scope: what to call (sync) when the exchange is over, however it ended."""


def loggable(path: str) -> str:
    """A path, raw or decoded, as it may stand in a log: without what opens somebody's pictures."""
    plain = _SLASHES.sub("/", unquote(path))  # as the routes read it
    return next((f"{shown}…" for shown in UNLOGGED if plain.startswith(shown)), path)


class HTTPConnection(TrioASGIHTTPConnection):
    """One request as Quart sees it.

    Quart-Trio's own class buffers the body without bound and, when the server reports the end of the exchange,
    cancels the very task that is still busy with it. Here a disconnect cancels the handler only while there is
    no answer yet.
    """

    def __init__(self, app: "Quart", scope: HTTPScope) -> None:
        super().__init__(app, scope)
        self._scope = cast("dict[str, Any]", scope)  # with the keys above, which are not of ASGI
        self._scope.setdefault(STARTED_AT, trio.current_time())
        self._scope[ON_DONE] = []
        self._answered = False
        self._status = 499  # by custom: the client left before its answer
        self._sent = 0

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def counted(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
            await send(message)
            if message["type"] == "http.response.body":
                self._sent += len(message["body"])

        request = cast("Request", self._create_request_from_scope(counted))
        request.body.on_read = self._scope.get(ON_READ)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._take_body, nursery, request, receive)
                await self._answer(request, counted)
                nursery.cancel_scope.cancel()
        finally:
            for call in self._scope[ON_DONE]:
                call()
            self._log()

    async def _take_body(self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable) -> None:
        while (message := await receive())["type"] == "http.request":
            await request.body.feed(message["body"])
            if not message["more_body"]:
                request.body.set_complete()
        if not self._answered:
            nursery.cancel_scope.cancel()

    async def _answer(self, request: Request, send: ASGISendCallable) -> None:
        response = await self.app.handle_request(request)
        self._answered = True
        request.body.discard()  # what was not read by now never will be, and must not hold up the sender
        await self._send_response(send, response)

    def _log(self) -> None:
        path = loggable(self.scope["raw_path"].decode("ascii", "replace"))[:200]  # printable, without the query
        took = trio.current_time() - self._scope[STARTED_AT]
        sent = 0 if self.scope["method"] == "HEAD" else self._sent
        access_log.info("%s %s %d %.0f ms %d B", self.scope["method"], path, self._status, took * 1000, sent)
