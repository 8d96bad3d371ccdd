"""HTTP/1.1 of one connection: Hypercorn's protocol without upgrades, and without closing anything by itself.

Hypercorn recycles or closes a connection from within the application's task, pauses reading while a request is
answered, sends "100 Continue" before anybody wants the body, and speaks WebSocket and HTTP/2 when asked. Here the
protocol only notes what happened; the transport, whose task outlives every request, acts on it.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import h11
from hypercorn.protocol.events import Body, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.typing import ASGISendEvent

from photochanger.domain.reasons import Reason
from photochanger.web.problems import canned

_TARGETS = (b"/", b"http://", b"https://")


class Stream(HTTPStream):
    """One request and its answer."""

    responding = False
    """Whether the application has begun to answer."""

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if message is not None and message["type"] == "http.response.start":
            self.responding = True
        await super().app_send(message)

    async def handle(self, event: Event) -> None:
        """As Hypercorn, except that a closed connection cancels the application's task instead of telling it
        through a queue which that task may not be reading."""
        if isinstance(event, StreamClosed):
            self.closed = True
        else:
            await super().handle(event)

    async def _send_error_response(self, status_code: int) -> None:
        status, headers, body = canned(Reason.INTERNAL_ERROR, status=status_code)
        await self.send(Response(stream_id=self.stream_id, headers=headers, status_code=status))
        if self.scope["method"] != "HEAD":
            await self.send(Body(stream_id=self.stream_id, data=body))
        await self.send(EndBody(stream_id=self.stream_id))
        self.state = ASGIHTTPState.CLOSED


class Protocol(H11Protocol):
    """The state of one connection's current request.

    `on_finished` is called (in the application's task) when an answer has been sent whole or given up.
    """

    stream: Stream | None
    connection: h11.Connection
    max_fields: int
    closing: Callable[[], bool]
    on_finished: Callable[[], None]

    received = False
    """The request has arrived whole."""

    finished = False
    """The answer has left, or the application ended without finishing it."""

    refused: int | None = None
    """The status to answer a request with that is not HTTP as we speak it."""

    rest: bytes = b""
    """Bytes that came behind the request."""

    @property
    def answering(self) -> bool:
        """Whether the application has begun to answer the current request."""
        return self.stream is not None and self.stream.responding

    async def receive(self, data: bytes) -> None:
        """Take in bytes of the current request: its head starts the application, its body goes there.

        Waits while the application does not take the body.
        """
        self.connection.receive_data(data)
        pieces: list[bytes] = []
        while True:
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                self.refused = error.error_status_hint
                return
            if isinstance(event, h11.Data):
                pieces.append(event.data)
            elif isinstance(event, h11.Request):
                self.refused = self._objection(event)
                if self.refused is not None:
                    return
                await self._create_stream(event)
            else:
                break
        if self.stream is None:
            return
        self.received = isinstance(event, h11.EndOfMessage)
        if self.received:
            self.rest = self.connection.trailing_data[0]
        # From here on the transport may cancel us, when the application has answered without reading on.
        if pieces:
            await self.stream.handle(Body(stream_id=STREAM_ID, data=b"".join(pieces)))
        if self.received:
            await self.stream.handle(EndBody(stream_id=STREAM_ID))

    def _objection(self, request: h11.Request) -> int | None:
        if request.http_version not in (b"1.0", b"1.1"):
            return 505
        if not request.target.startswith(_TARGETS) and request.target != b"*":
            return 400
        if len(request.headers) > self.max_fields:
            return 431
        return None

    async def _create_stream(self, request: h11.Request) -> None:
        # Upgrade is ignored, as RFC 9110 §7.8 allows: WebSocket and h2c clients get a plain answer.
        self.stream = Stream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        self.keep_alive_requests += 1
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )

    async def stream_send(self, event: Event) -> None:
        if self.finished:
            return
        if isinstance(event, StreamClosed):
            self.finished = True
            self.on_finished()
            return
        if isinstance(event, Response) and (self.closing() or not self.received):
            # Answered before the request is whole: what the client still sends cannot be told from a new request.
            event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)

    async def send_continue(self) -> None:
        """Tell a client that asked with "Expect: 100-continue" to send the body."""
        if self.connection.they_are_waiting_for_100_continue and not self.finished:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    async def refuse(self, status: int) -> None:
        """Answer `status` in the application's stead, unless an answer has begun."""
        if self.connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        code, headers, body = canned(Reason.INVALID_REQUEST, status=status)
        headers = list(chain(headers, self.config.response_headers("h11")))
        await self._send_h11_event(h11.Response(status_code=code, headers=headers))
        if not (self.stream is not None and self.stream.scope["method"] == "HEAD"):
            await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    def next_cycle(self) -> bool:
        """Get ready for the connection's next request; False when it must be closed instead."""
        if self.connection.our_state is not h11.DONE or self.connection.their_state is not h11.DONE:
            return False
        # A fresh parser: what came behind the last request is ours to look through first.
        self.connection = h11.Connection(h11.SERVER, self.config.h11_max_incomplete_size)
        if self.stream is not None:
            self.stream.closed = True  # its task may still be about to say that it has ended
            self.stream = None
        self.received = self.finished = False
        self.rest = b""
        return True
