"""A tiny real server for the tests: each connection is given to the test's own handler."""

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing


class Wire:
    """One accepted connection, seen as bytes."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self.data = bytearray()

    async def head(self) -> bytes:
        """The request line and headers, with the blank line."""
        while (end := self.data.find(b"\r\n\r\n")) < 0:
            await self._more()
        return self.take(end + 4)

    async def body(self, head: bytes) -> bytes:
        """As many bytes as the head announced."""
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(self.data) < length:
            await self._more()
        return self.take(length)

    async def request(self) -> tuple[bytes, bytes]:
        """Head, `100 Continue`, body."""
        head = await self.head()
        await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return head, await self.body(head)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def reply(self, status: str, body: bytes, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def take(self, count: int) -> bytes:
        taken = bytes(self.data[:count])
        del self.data[:count]
        return taken

    async def stays_silent(self) -> None:
        """Nothing comes, though everybody had time to send."""
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert isinstance(self.stream, trio.SocketStream)
        assert not self.data
        assert not self.stream.socket.is_readable()

    async def rest(self) -> bytes:
        """Everything until the client's orderly end."""
        while data := await self.stream.receive_some(65536):
            self.data += data
        return self.take(len(self.data))

    async def _more(self) -> None:
        data = await self.stream.receive_some(65536)
        if not data:
            raise EOFError("the client closed")
        self.data += data


@asynccontextmanager
async def serving(handle: Callable[[Wire], Awaitable[None]], *, tls: Path | None = None) -> AsyncIterator[str]:
    """Serve on loopback until the block ends; gives the base URL. An exception of `handle` fails the test.

    `tls` is a certificate with its key.
    """

    async def connection(stream: trio.SocketStream) -> None:
        async with stream:
            if tls is None:
                await handle(Wire(stream))
                return
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tls)
            secure = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            await secure.do_handshake()
            await handle(Wire(secure))

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, connection, listeners)
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


def keep_send_buffer_small(wire: Wire) -> None:
    assert isinstance(wire.stream, trio.SocketStream)
    wire.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def reset(wire: Wire) -> None:
    """Make the close that follows a reset."""
    assert isinstance(wire.stream, trio.SocketStream)
    wire.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
