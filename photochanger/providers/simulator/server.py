"""A small HTTP/1.1 server on Trio sockets whose answers can be slow, dripped, cut off or reset, exactly as asked.

h11 keeps the protocol; this module keeps the connection. Made for simulators on loopback, not for the open network.
"""

import logging
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import h11
import msgspec
import trio

log = logging.getLogger(__name__)

RECEIVE: Final = 256 * 1024
SEND: Final = 256 * 1024
IDLE: Final = 60.0
"""Seconds in which a request's head, and then its body, must have come."""
SEND_LIMIT: Final = 120.0
"""Seconds for one piece of an answer; a client that stops reading is let go."""


@dataclass(slots=True)
class Request:
    """One request. Header names are lower case. `size` counts the body's bytes, also when they were not kept."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    complete: bool = False
    client_gone: bool = False


class Answer:
    """The sending side of one exchange. `sent` counts body bytes; `status` is None until an answer began."""

    def __init__(self, connection: h11.Connection, stream: trio.abc.Stream, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self._stream = stream
        self._headers = headers
        self.status: int | None = None
        self.sent = 0
        self.cut_off = False

    async def json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """A whole JSON answer."""
        await self.whole(status, msgspec.json.encode(value), "application/json; charset=UTF-8", headers)

    async def whole(
        self,
        status: int,
        body: bytes | memoryview,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """A whole answer with its length."""
        await self.start(status, {"Content-Type": content_type, **(headers or {})}, len(body))
        await self.send(body)
        await self.end()

    async def start(self, status: int, headers: Mapping[str, str], length: int | None = None) -> None:
        """The head; without `length` the body goes out in chunks."""
        self.status = status
        head = {**self._headers, **headers}
        head |= {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
        await self._put(h11.Response(status_code=status, headers=list(head.items())))

    async def send(self, body: bytes | memoryview) -> None:
        """A piece of the body."""
        view = memoryview(body)
        for start in range(0, len(view), SEND):
            piece = bytes(view[start : start + SEND])
            await self._put(h11.Data(data=piece))
            self.sent += len(piece)

    async def end(self) -> None:
        """The end of the body. Bytes that were announced and not sent are a mistake of the simulator."""
        await self._put(h11.EndOfMessage())

    async def cut(self, *, reset: bool = False) -> None:
        """Close the connection here and now; with `reset` the client sees ECONNRESET."""
        self.cut_off = True
        plain = self._stream.transport_stream if isinstance(self._stream, trio.SSLStream) else self._stream
        if reset and isinstance(plain, trio.SocketStream):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(self._stream)

    async def _put(self, event: h11.Event) -> None:
        if data := self._connection.send(event):
            with trio.move_on_after(SEND_LIMIT) as patience:
                await self._stream.send_all(data)
            if patience.cancelled_caught:
                raise trio.BrokenResourceError("the client stopped reading")


class SimulatorServer:
    """Serves `handle(request, answer)` on `host:port`.

    `early(request, answer)` is asked before a body is read and returns True if it has answered (or cut) already;
    `keep(request)` says whether a body is wanted at all. A handler whose client goes away is cancelled, with
    `request.client_gone` set. Each connection's failure stays its own.
    """

    def __init__(
        self,
        handle: Callable[[Request, Answer], Awaitable[None]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        early: Callable[[Request, Answer], Awaitable[bool]] | None = None,
        keep: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        self._handle = handle
        self._early = early
        self._keep = keep
        self._ssl_context = ssl_context
        self._headers = dict(headers or {})
        self.host = host
        self.port = port
        self.connections = 0

    @property
    def base_url(self) -> str:
        """The address without trailing slash. With port 0 it is known once the server has started."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._ssl_context else 'http'}://{host}:{self.port}"

    async def run(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started with the port. A restarted server listens on the port it had."""
        listeners = await trio.open_tcp_listeners(self.port, host=self.host, backlog=256)
        self.port = int(listeners[0].socket.getsockname()[1])
        task_status.started(self.port)
        await trio.serve_listeners(self._connection, listeners)

    async def _connection(self, socket_stream: trio.SocketStream) -> None:
        stream: trio.abc.Stream = socket_stream
        if self._ssl_context is not None:
            stream = trio.SSLStream(socket_stream, self._ssl_context, server_side=True, https_compatible=True)
        self.connections += 1
        try:
            connection = h11.Connection(h11.SERVER)
            while await self._exchange(connection, stream):
                connection.start_next_cycle()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError) as gone:
            log.debug("connection over: %r", gone)
        except* Exception as broken:
            log.exception("a simulated exchange failed", exc_info=broken)
        finally:
            self.connections -= 1
            await trio.aclose_forcefully(stream)

    async def _exchange(self, connection: h11.Connection, stream: trio.abc.Stream) -> bool:
        """One request and its answer; True if another may follow on this connection."""
        request = None
        with trio.move_on_after(IDLE):
            request = await self._head(connection, stream)
        if request is None:
            return False
        answer = Answer(connection, stream, self._headers)
        if self._early is not None and await self._early(request, answer):
            return False
        with trio.move_on_after(IDLE):
            await self._body(connection, stream, request)
        if not request.complete:
            return False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, connection, stream, request, nursery.cancel_scope)
            await self._handle(request, answer)
            nursery.cancel_scope.cancel()
        return not (request.client_gone or answer.cut_off) and connection.states == {
            h11.CLIENT: h11.DONE,
            h11.SERVER: h11.DONE,
        }

    async def _head(self, connection: h11.Connection, stream: trio.abc.Stream) -> Request | None:
        event = await _next(connection, stream)
        if not isinstance(event, h11.Request):
            return None
        path, _, query = event.target.decode("latin-1").partition("?")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in event.headers}
        return Request(event.method.decode("ascii"), path, query, headers)

    async def _body(self, connection: h11.Connection, stream: trio.abc.Stream, request: Request) -> None:
        keep = self._keep(request)
        while isinstance(event := await _next(connection, stream), h11.Data):
            request.size += len(event.data)
            if keep:
                request.body += event.data
        request.complete = isinstance(event, h11.EndOfMessage)
        request.client_gone = not request.complete


async def _next(connection: h11.Connection, stream: trio.abc.Stream) -> h11.Event | type[h11.PAUSED]:
    while (event := connection.next_event()) is h11.NEED_DATA:
        if connection.they_are_waiting_for_100_continue:
            go_on = connection.send(h11.InformationalResponse(status_code=100, headers=[]))
            await stream.send_all(go_on or b"")
        connection.receive_data(bytes(await stream.receive_some(RECEIVE)))
    return event  # type: ignore[return-value]  # NEED_DATA is excluded above


async def _watch(
    connection: h11.Connection, stream: trio.abc.Stream, request: Request, working: trio.CancelScope
) -> None:
    """Cancel the work when the client closes its side; a request sent ahead of time is kept for later."""
    try:
        data = bytes(await stream.receive_some(RECEIVE))
    except trio.BrokenResourceError:
        data = b""
    except trio.ClosedResourceError:
        return  # the handler has cut the connection itself
    connection.receive_data(data)
    if not data:
        request.client_gone = True
        working.cancel()
