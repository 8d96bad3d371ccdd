"""One TCP connection: reads requests, lets the application answer them, and closes in the right way at the end."""

import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.events import Event, RawData
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGIReceiveEvent, ASGISendEvent, ConnectionState
from hypercorn.utils import parse_socket_addr

from photochanger.web.asgi import ON_READ, STARTED_AT, loggable
from photochanger.web.limits import Limits
from photochanger.web.protocol import Protocol

log = logging.getLogger("photochanger.web")

READ_SIZE = 128 * 1024
"""Bytes of a body per read. Hypercorn's 64 KiB cost half as much CPU again; with 256 KiB and many uploads at once
the event loop lags twice as much."""

SEND_SIZE = 256 * 1024
"""Bytes that a client has `send_timeout` to take."""

STOP_LINGER = 1.0
"""Seconds left to clients that are still sending behind their answer once the server stops."""


class Phase:
    """What all connections of a server share: how far it is on its way down."""

    closing = False
    """Every answer says "Connection: close"."""

    stopping = False
    """Besides, no connection waits for another request."""


class Connection:
    """Serves one accepted stream.

    Three things end a request early: the client leaves (FIN, RST or half-close; the application's task is
    cancelled unless it has begun to answer), the bytes are not HTTP (likewise, then 400), or the connection breaks
    while an answer is sent (everything is cancelled). All of them are decided here, in the task that reads: it
    never waits for the application while a request is being answered, and it outlives every request.
    """

    def __init__(
        self, app: ASGIFramework, config: Config, limits: Limits, phase: Phase, stream: trio.SocketStream
    ) -> None:
        self._app = app
        self._config = config
        self._limits = limits
        self._phase = phase
        self._stream = stream
        self._send_lock = trio.Lock()
        self._reading = trio.CancelScope()
        self._answering = trio.CancelScope()
        self._lingering = trio.CancelScope()
        self._protocol: Protocol
        self._nursery: trio.Nursery
        self._woken = False
        self._gone = False
        """The client has closed its side, or the connection is broken."""
        self._broken = False
        """Nothing can be sent any more."""
        self._idle_since = trio.current_time()
        self._first_byte: float | None = None
        """When the current request began to arrive; None while there is none."""
        self._held = bytearray()
        """What came behind the request that is being answered."""
        self._held_since = 0.0
        self._read_at = 0.0

    async def run(self) -> None:
        """Serve until the connection ends, then close it. Whatever the application raised has been logged by then."""
        try:
            sock = self._stream.socket
            self._protocol = Protocol(
                self._app,  # type: ignore[arg-type] # only handed on to spawn_app below
                self._config,
                WorkerContext(None),
                self,  # type: ignore[arg-type] # of a task group Hypercorn's streams use spawn_app alone
                ConnectionState({}),
                False,
                parse_socket_addr(sock.family, sock.getpeername()),
                parse_socket_addr(sock.family, sock.getsockname()),
                self._send,
            )
            self._protocol.max_fields = self._limits.head_fields
            self._protocol.closing = lambda: self._phase.closing
            self._protocol.on_finished = self._wake
            async with trio.open_nursery() as self._nursery:
                await self._converse()
                if not self._protocol.answering:
                    self._answering.cancel()
            await self._part()
        except OSError as error:
            log.debug("connection lost: %r", error)  # a client that left before it was looked at
        finally:
            await trio.aclose_forcefully(self._stream)

    def stop(self) -> None:
        """Close at once if no request is under way, otherwise after its answer."""
        self._lingering.deadline = min(self._lingering.deadline, trio.current_time() + STOP_LINGER)
        if self._first_byte is None:
            self._reading.cancel()

    async def spawn_app(
        self,
        app: ASGIFramework,
        config: Config,
        scope: dict[str, Any],
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Start the application for one request; called by Hypercorn's stream when it has built the scope."""
        scope[STARTED_AT] = self._first_byte
        scope[ON_READ] = self._protocol.send_continue
        into_app, from_client = trio.open_memory_channel[ASGIReceiveEvent](0)
        self._answering = trio.CancelScope()
        self._nursery.start_soon(self._run_app, app, scope, from_client.receive, send, self._answering)
        return into_app.send

    async def _run_app(
        self,
        app: ASGIFramework,
        scope: Any,
        receive: ASGIReceiveCallable,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
        answering: trio.CancelScope,
    ) -> None:
        with answering:
            try:
                await app(scope, receive, send)
            except* Exception:  # one connection's failure stays its own
                path = loggable(scope["raw_path"].decode("ascii", "replace"))
                log.exception("the application failed while it answered %s %s", scope["method"], path)
            await send(None)  # answers 500 if there is no answer yet, and marks the end

    async def _converse(self) -> None:
        """Read requests until the connection has to end."""
        protocol = self._protocol
        while True:
            if protocol.finished and (self._phase.stopping or not self._next_request()):
                return
            with trio.CancelScope(deadline=self._deadline()) as self._reading:
                data = await self._read()
                self._reading.deadline = inf  # from here on we wait for the application, which has its own clock
                if not data:
                    self._gone = True
                    return
                await self._take(data)
                if protocol.refused is not None:
                    return
            if self._woken:
                self._woken = False
            elif self._reading.cancelled_caught:
                return  # nothing came in time, or stop()

    def _wake(self) -> None:
        """The answer has left: the reader, whatever it waits for, goes on to the next request."""
        self._woken = True
        self._reading.cancel()

    def _next_request(self) -> bool:
        self._held[:0] = self._protocol.rest
        if not self._protocol.next_cycle():
            return False
        self._skip_empty_lines(self._held)
        self._idle_since = trio.current_time()
        self._first_byte = self._held_since if self._held else None
        return True

    @staticmethod
    def _skip_empty_lines(data: bytearray) -> None:
        """RFC 9112 §2.2: some clients send an empty line too many behind a body."""
        del data[: len(data) - len(data.lstrip(b"\r\n"))]

    def _deadline(self) -> float:
        if self._protocol.stream is not None:
            return inf
        if self._first_byte is not None:
            return max(self._first_byte, self._idle_since) + self._limits.head_timeout
        if self._protocol.keep_alive_requests:
            return self._idle_since + self._limits.keep_alive_timeout
        return self._idle_since + self._limits.head_timeout

    async def _read(self) -> bytes | bytearray:
        """The next bytes: of the current request, or behind it; empty when the client is gone."""
        protocol, limits = self._protocol, self._limits
        if protocol.received:
            size = limits.pipelined_bytes - len(self._held) - len(protocol.rest)
            if size <= 0:
                await trio.sleep_forever()  # until the answer has left
        elif self._held:
            data = self._held[: limits.head_bytes]
            del self._held[: limits.head_bytes]
            return data
        else:
            # Head and start of the body may come together: a read of a head is as large as a head may be.
            size = limits.head_bytes if protocol.stream is None else READ_SIZE
        try:
            received = await self._stream.receive_some(size)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._break()
            return b""
        self._read_at = trio.current_time()
        return received

    async def _take(self, data: bytes | bytearray) -> None:
        protocol = self._protocol
        if not self._held and not protocol.rest:
            self._held_since = self._read_at
        if protocol.received:
            self._held += data
            return
        if self._first_byte is None:
            data = bytearray(data)
            self._skip_empty_lines(data)
            if not data:
                return
            self._first_byte = self._read_at
        await protocol.receive(bytes(data))

    async def _send(self, event: Event) -> None:
        """Send for the protocol, which also reports closing and idleness: those are this class's own affair.

        A client that takes too long loses the connection. So does one whose answer is cut by cancellation:
        that happens only when the connection ends anyway.
        """
        if not isinstance(event, RawData) or self._broken:
            return
        async with self._send_lock:
            view = memoryview(event.data)
            for start in range(0, len(view), SEND_SIZE):
                if not await self._send_piece(view[start : start + SEND_SIZE]):
                    self._break()
                    return

    async def _send_piece(self, piece: memoryview) -> bool:
        with trio.move_on_after(self._limits.send_timeout):
            try:
                await self._stream.send_all(piece)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return False
            return True
        log.info("a client did not take its answer for %s s and was cut off", self._limits.send_timeout)
        return False

    def _break(self) -> None:
        self._gone = self._broken = True
        self._nursery.cancel_scope.cancel()

    async def _part(self) -> None:
        """The end of a conversation: the last word, and time for the client to hear it."""
        protocol = self._protocol
        if self._broken:
            return
        half = protocol.stream is not None and not protocol.received
        if protocol.refused is not None:
            await protocol.refuse(protocol.refused)
        elif half and self._gone:
            await protocol.refuse(400)  # a body shorter than announced; a client that only half-closed can read it
        if not self._gone and (half or protocol.refused is not None or self._held or protocol.rest):
            seconds = STOP_LINGER if self._phase.stopping else self._limits.linger_total
            self._lingering.deadline = trio.current_time() + seconds
            with self._lingering:
                await linger(self._stream, self._limits)


async def linger(stream: trio.SocketStream, limits: Limits) -> None:
    """Close our side, then throw away what the client still sends until it closes too, within `limits`.

    Closing a socket that has unread bytes makes the kernel send a reset, which can destroy the answer before the
    client has read it (RFC 9112 §9.6). The caller bounds the time altogether.
    """
    left = limits.linger_bytes
    try:
        await stream.send_eof()
        while left > 0:
            with trio.move_on_after(limits.linger_idle) as pause:
                data = await stream.receive_some(READ_SIZE)
            if pause.cancelled_caught or not data:
                return
            left -= len(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # gone, which is what we waited for
