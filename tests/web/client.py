"""A raw HTTP/1.1 client over a Trio socket: sends exactly the bytes it is told to, reads answers one by one."""

import socket
import struct
from dataclasses import dataclass, field
from typing import Any

import h11
import msgspec
import trio

from tests.lab.leaks.sink import TOLD, written

GUARD = 60.0
"""Seconds after which a test hangs rather than waits."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    informational: list[int] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Client:
    """One connection. Readers raise h11.RemoteProtocolError when the answer is cut."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._left = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer; `method` is that of its request."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        if self._left:  # an empty piece would mean the end of the connection
            parser.receive_data(self._left)
        answer = Answer(0, {}, b"")
        body = bytearray()
        with trio.fail_after(GUARD):
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    parser.receive_data(bytes(await self.stream.receive_some(65536)))
                elif isinstance(event, h11.InformationalResponse):
                    answer.informational.append(event.status_code)
                elif isinstance(event, h11.Response):
                    answer.status = event.status_code
                    answer.headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    raise AssertionError(f"the connection ended before an answer: {event}")
        self._left = parser.trailing_data[0]
        answer.body = bytes(body)
        if answer.headers.get("content-type", "").startswith(TOLD):
            written(answer.body.decode(errors="replace"), f"an answer {answer.status}")
        return answer

    async def ask(self, request: bytes) -> Answer:
        await self.send(request)
        """Send a request, or the rest of one, and read the answer."""
        return await self.answer("HEAD" if request.startswith(b"HEAD ") else "GET")

    async def closed(self) -> bytes:
        """Wait until the server closes; returns what it still sent. Raises BrokenResourceError on a reset."""
        rest = bytearray(self._left)
        with trio.fail_after(GUARD):
            while data := await self.stream.receive_some(65536):
                rest += data
        return bytes(rest)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.socket.close()

    def close(self) -> None:
        self.stream.socket.close()


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    announced = len(body) if length is None else length
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {announced}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", *headers, "", ""]).encode()
