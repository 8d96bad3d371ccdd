"""Sending a file: streamed from worker threads, with a strong ETag, conditional requests and single byte ranges."""

import os
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import quote

import trio
from quart import Request, Response
from quart.wrappers.response import ResponseBody
from quart_trio.wrappers import TrioResponse
from werkzeug.datastructures import ContentRange, Headers
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import dump_options_header, parse_etags, quote_etag

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal, StorageUnavailable

CHUNK = 512 * 1024
"""Bytes per read; Quart's 8 KiB cost a hop to a thread each. Two reads are the whole of most pictures."""

_readers = trio.CapacityLimiter(8)


class FileChanged(OSError):
    """The file is not any more the one whose length was announced; the connection has to be cut."""


class FileBody(ResponseBody):
    """The bytes `start` to `stop` of a file of `size` bytes, opened when the response is being sent."""

    def __init__(self, path: Path, start: int, stop: int, size: int, limiter: trio.CapacityLimiter) -> None:
        self._path = path
        self._start = start
        self._size = size
        self._limiter = limiter
        self._left = stop - start
        self._file: BinaryIO | None = None
        self._first = b""

    async def __aenter__(self) -> AsyncIterable[bytes]:
        # A thread once started is waited for, so the file object cannot get lost to a cancellation.
        self._file, self._first = await trio.to_thread.run_sync(self._open, limiter=self._limiter)
        return self

    async def __aexit__(self, exc_type: type[BaseException], exc_value: BaseException, tb: TracebackType) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> tuple[BinaryIO, bytes]:
        file = self._path.open("rb", buffering=0)
        try:
            if os.fstat(file.fileno()).st_size != self._size:
                raise FileChanged(f"{self._path.name} has another size than a moment ago")
            file.seek(self._start)
            return file, file.read(min(CHUNK, self._left))
        except BaseException:
            file.close()
            raise

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self  # no generator: one that is left half way, as when a client goes, waits to be collected

    async def __anext__(self) -> bytes:
        if self._left <= 0:
            raise StopAsyncIteration
        assert self._file is not None
        chunk, self._first = self._first, b""
        if not chunk:
            chunk = await trio.to_thread.run_sync(self._file.read, min(CHUNK, self._left), limiter=self._limiter)
        if not chunk:
            raise FileChanged(f"{self._path.name} became shorter while it was sent")
        self._left -= len(chunk)
        return chunk


async def send_file(
    path: Path,
    *,
    mime: str,
    etag: str | None,
    request: Request,
    download_name: str | None = None,
    attachment: bool = False,
    cache_control: str = "no-store",
    limiter: trio.CapacityLimiter | None = None,
) -> Response:
    """The response that sends `path` as `mime`; for GET and HEAD also 304, 206 and 416 as the request asks.

    `etag` is opaque and must change with the content (a hash of it); None switches conditional requests and ranges
    off. `download_name` is the name to save it under. A file that changes after this returned cuts the connection
    rather than sending a wrong length. Several ranges at once are answered with the whole file, as RFC 9110 allows.

    Raises Refusal(NOT_FOUND) when there is no such file, StorageUnavailable when it cannot be read, and
    werkzeug's RequestedRangeNotSatisfiable for a range outside the file.
    """
    limiter = limiter or _readers
    size = await trio.to_thread.run_sync(_size, path, limiter=limiter)
    headers = Headers({"Cache-Control": cache_control})
    if download_name is not None or attachment:
        headers["Content-Disposition"] = _disposition(download_name, attachment)
    start, stop, status = 0, size, 200
    if etag is not None and request.method in ("GET", "HEAD"):
        headers["ETag"] = quote_etag(etag)
        headers["Accept-Ranges"] = "bytes"
        if parse_etags(request.headers.get("If-None-Match")).contains_weak(etag):
            return TrioResponse(None, status=304, headers=headers, content_type=mime)
        part = _part(request, etag, size)
        if part is not None:
            start, stop = part
            status = 206
            headers["Content-Range"] = ContentRange("bytes", start, stop, size).to_header()
    headers["Content-Length"] = str(stop - start)
    body = None if request.method == "HEAD" else FileBody(path, start, stop, size, limiter)
    return TrioResponse(body, status=status, headers=headers, content_type=mime)


async def stream_file(path: Path, *, mime: str, size: int, limiter: trio.CapacityLimiter | None = None) -> Response:
    """The response that sends the whole of `path`, whose `size` is known, whatever the request's method.

    Nothing is looked up before the response is sent: a file that is gone or has another size cuts the connection.
    """
    body = FileBody(path, 0, size, size, limiter or _readers)
    return TrioResponse(body, headers={"Content-Length": str(size)}, content_type=mime)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise Refusal(Reason.NOT_FOUND) from None
    except OSError as error:
        raise StorageUnavailable(f"{path.name} cannot be read: {error.strerror}") from error


def _part(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    """The part of the file that the request asks for; None for the whole of it."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1 or request.method != "GET":
        return None
    condition = request.headers.get("If-Range")
    if condition is not None and condition.strip() != quote_etag(etag):
        return None  # another version, a weak tag or a date, none of which vouches for the bytes
    start, _ = asked.ranges[0]
    if start < -size and size > 0:
        return 0, size  # a suffix longer than the file is the whole file
    part = asked.range_for_length(size)
    if part is None:
        raise RequestedRangeNotSatisfiable(size)
    return part


def _disposition(name: str | None, attachment: bool) -> str:
    options: dict[str, str | None] = {}
    if name is not None:
        name = "".join(character for character in name if character.isprintable())
        options["filename"] = name
        if not name.isascii():  # RFC 6266: the old parameter for old clients, the new one for the others
            suffix = Path(name).suffix
            options["filename"] = "picture" + (suffix if suffix.isascii() else "")
            options["filename*"] = f"UTF-8''{quote(name, safe='')}"
    return dump_options_header("attachment" if attachment else "inline", options)
