"""Reading HTTP/1.1 replies from a byte source, strictly: the imitation also judges how the service frames them."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5]\d\d)(?: .*)?")


class BrokenReply(Exception):
    """The reply ended early, is not HTTP/1.1, or is too large; the message is a short sentence without a stop."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of one reply; header names in lower case, in the order received."""

    status: int
    headers: tuple[tuple[str, str], ...]
    minor: int = 1

    def get(self, name: str) -> str | None:
        """The first header of that name (lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def until_close(self) -> bool:
        """The body's end is told by nothing but the end of the connection."""
        framed = self.get("content-length") is not None or self.get("transfer-encoding") is not None
        return not framed and self.status not in (204, 304)

    @property
    def persistent(self) -> bool:
        """The connection may carry another request."""
        return self.minor == 1 and not self.until_close and (self.get("connection") or "").lower() != "close"


class ReplyReader:
    """Takes replies one after the other from `receive`, which gives b"" at the end of the stream.

    What `receive` raises passes through; a reply that cannot be read raises BrokenReply.
    """

    def __init__(self, receive: Callable[[], Awaitable[bytes | bytearray]]) -> None:
        self._receive = receive
        self._data = bytearray()

    @property
    def clean(self) -> bool:
        """Nothing came that belongs to no reply."""
        return not self._data

    async def head(self) -> Head:
        """The next status line and headers, informational ones (1xx) included."""
        while (end := self._data.find(b"\r\n\r\n")) < 0:
            if len(self._data) > HEAD_LIMIT:
                raise BrokenReply("the reply's headers are too long")
            await self._more("the connection ended " + ("inside the headers" if self._data else "without a reply"))
        first, *lines = bytes(self._data[:end]).decode("latin-1").split("\r\n")
        del self._data[: end + 4]
        status = _STATUS_LINE.fullmatch(first)
        if status is None:
            raise BrokenReply("the reply is not HTTP/1.1")
        return Head(int(status[2]), tuple(_header(line) for line in lines), int(status[1]))

    async def body(self, head: Head, limit: int) -> bytes:
        """The body of the reply whose head was read last; more than `limit` bytes are refused."""
        if head.status in (204, 304):
            return b""
        coding, length = head.get("transfer-encoding"), head.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise BrokenReply("the reply's transfer coding is unknown")
            return await self._chunked(limit)
        if length is not None:
            if not re.fullmatch(r"\d{1,15}", length):
                raise BrokenReply("the reply's Content-Length is no number")
            return await self._exactly(int(length), limit)
        while await self._more(None):
            _check(len(self._data), limit)
        return self._take(len(self._data))

    async def _chunked(self, limit: int) -> bytes:
        body = bytearray()
        while size := await self._chunk_size():
            body += await self._exactly(size, limit - len(body))
            if await self._exactly(2, 2) != b"\r\n":
                raise BrokenReply("a chunk of the reply has no end")
        while await self._line():
            pass  # trailers say nothing to a booth
        return bytes(body)

    async def _chunk_size(self) -> int:
        size = (await self._line()).split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,12}", size):
            raise BrokenReply("a chunk of the reply has no size")
        return int(size, 16)

    async def _line(self) -> bytes:
        while (end := self._data.find(b"\r\n")) < 0:
            _check(len(self._data), HEAD_LIMIT)
            await self._more("the connection ended inside the reply")
        return self._take(end + 2)[:-2]

    async def _exactly(self, count: int, limit: int) -> bytes:
        _check(count, limit)
        while len(self._data) < count:
            await self._more(f"the connection ended {count - len(self._data)} bytes before the reply's end")
        return self._take(count)

    def _take(self, count: int) -> bytes:
        taken = bytes(memoryview(self._data)[:count])
        del self._data[:count]
        return taken

    async def _more(self, otherwise: str | None) -> bool:
        """Wait for bytes; at the end of the stream raise BrokenReply(otherwise), or return False when it is None."""
        data = await self._receive()
        self._data += data
        if not data and otherwise is not None:
            raise BrokenReply(otherwise)
        return bool(data)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise BrokenReply("a header of the reply is malformed")
    return name.lower(), value.strip(" \t")


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise BrokenReply("the reply is too large")
