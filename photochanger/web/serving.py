"""The listening side: accepts connections, keeps their failures apart, and stops without cutting answers off."""

import logging

import trio
from hypercorn.config import Config
from quart_trio import QuartTrio

from photochanger.domain.reasons import Reason
from photochanger.web.limits import Limits
from photochanger.web.listeners import open_listeners
from photochanger.web.problems import canned
from photochanger.web.transport import Connection, Phase, linger

log = logging.getLogger("photochanger.web")

FAREWELL = 1.0
"""Seconds for a connection over the limit to hear that it is one too many."""

MAX_FAREWELLS = 100
"""Such connections at once; beyond that they are closed without a word."""

APP_SHUTDOWN = 5.0
"""Seconds for the application's own shutdown hooks."""


class Server:
    """Serves `app` on `host` (see open_listeners: "" and "fd://3" too) and `port` (0: any free port).

    `drain_grace` is how many seconds requests under way may take after `request_stop`; for held photos it has to be
    longer than their window. `run` may be called again after it ended; the port stays what it was.
    """

    def __init__(
        self,
        app: QuartTrio,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        drain_grace: float = 65.0,
        limits: Limits | None = None,
    ) -> None:
        self.port = port
        """The port listened on: the one asked for, or, once `run` has started, the one that was free."""
        self._app = app
        self._host = host
        self._drain_grace = drain_grace
        self._limits = limits or Limits()
        self._phase = Phase()
        self._stop = trio.Event()
        self._connections: set[Connection] = set()
        self._farewells = 0
        self._config = Config()
        self._config.include_server_header = False
        self._config.h11_max_incomplete_size = self._limits.head_bytes
        self._config.accesslog = None
        self._config.errorlog = log

    @property
    def connections(self) -> int:
        """Open connections that are being served, for metrics."""
        return len(self._connections)

    def begin_drain(self) -> None:
        """From now on every answer closes its connection. New ones are still served."""
        self._phase.closing = True

    def request_stop(self) -> None:
        """Accept nothing more, close idle connections, let requests under way finish; then `run` returns. For good."""
        self._phase.closing = True
        self._stop.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and serve; `task_status.started()` once connections are accepted.

        Returns after `request_stop` when the last connection has closed, at most `drain_grace` seconds later.
        Cancelled, it closes every connection at once. Raises OSError when the socket cannot be bound, and whatever
        the application's start-up hooks raise; failures of single connections are logged and go nowhere.
        """
        listeners = await open_listeners(self._host, self.port, user_timeout=self._limits.send_timeout)
        try:
            address = listeners[0].socket.getsockname()
            self.port = address[1] if isinstance(address, tuple) else 0
            async with trio.open_nursery() as background:
                self._app.nursery = background
                await self._app.startup()
                try:
                    await self._serve(listeners, task_status)
                finally:
                    with trio.move_on_after(APP_SHUTDOWN, shield=True):
                        await self._app.shutdown()
                    background.cancel_scope.cancel()
        finally:
            for listener in listeners:
                listener.socket.close()

    async def _serve(self, listeners: list[trio.SocketListener], task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as acceptors:
                await acceptors.start(self._accept, listeners, connections)
                task_status.started()
                log.info("listening on %s port %d", self._host or "every interface", self.port)
                await self._stop.wait()
                acceptors.cancel_scope.cancel()
            connections.cancel_scope.deadline = trio.current_time() + self._drain_grace
            self._phase.stopping = True
            for connection in self._connections:
                connection.stop()

    async def _accept(
        self,
        listeners: list[trio.SocketListener],
        connections: trio.Nursery,
        *,
        task_status: trio.TaskStatus[object],
    ) -> None:
        await trio.serve_listeners(self._handle, listeners, handler_nursery=connections, task_status=task_status)

    async def _handle(self, stream: trio.SocketStream) -> None:
        if len(self._connections) >= self._limits.connections:
            await self._turn_away(stream)
            return
        connection = Connection(self._app, self._config, self._limits, self._phase, stream)
        self._connections.add(connection)
        try:
            await connection.run()
        except* Exception:  # hypercorn#225: an exception of one connection used to end the whole server
            log.exception("a connection failed")
        finally:
            self._connections.discard(connection)

    async def _turn_away(self, stream: trio.SocketStream) -> None:
        self._farewells += 1
        try:
            if self._farewells <= MAX_FAREWELLS:
                _, headers, body = canned(Reason.QUEUE_FULL, retry_after=1)
                lines = b"".join(b"%s: %s\r\n" % header for header in headers)
                with trio.move_on_after(FAREWELL):
                    await stream.send_all(b"HTTP/1.1 429 Too Many Requests\r\n" + lines + b"\r\n" + body)
                    await linger(stream, self._limits)
        except trio.BrokenResourceError:
            pass
        finally:
            self._farewells -= 1
            await trio.aclose_forcefully(stream)
