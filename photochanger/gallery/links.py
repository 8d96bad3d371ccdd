"""`/public/media/{name}`: photos for providers that fetch them, as they travel: without metadata."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import trio
from quart import Blueprint, Response, request
from quart.wrappers.response import ResponseBody
from quart_trio.wrappers import TrioResponse

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.media.links import PATH, Gone, PublicLinks
from photochanger.providers.base import FileSlice
from photochanger.web.access import Access
from photochanger.web.contract import binary, contract
from photochanger.web.files import CHUNK, FileChanged

_readers = trio.CapacityLimiter(4)


def blueprint(links: PublicLinks) -> Blueprint:
    """The route of `links`. Fetches may be repeated; ranges are answered with the whole photo, as RFC 9110 allows."""
    routes = Blueprint("links", __name__)

    @routes.get(f"{PATH}<name>")
    @contract(
        "A guest's photo on its way to a provider; known to that provider only, and gone when the work is done.",
        tag="reading",
        access=Access.PUBLIC,
        database=False,
        responses={200: binary("image/jpeg", "image/png", "image/webp")},
        problems=(Reason.NOT_FOUND, Reason.RESULT_EXPIRED),
    )
    async def get_photo(name: str) -> Response:
        photo = links.find(name)
        if photo is None:
            raise Refusal(Reason.NOT_FOUND)
        if photo is Gone.GONE:
            raise Refusal(Reason.RESULT_EXPIRED)
        body = None if request.method == "HEAD" else PartsBody(photo.path, photo.parts, _readers)
        headers = {"Content-Length": str(photo.size), "Cache-Control": "no-store"}
        return TrioResponse(body, headers=headers, content_type=photo.mime)

    return routes


class PartsBody(ResponseBody):
    """`parts` one after the other, slices read from the file at `path`, at most CHUNK bytes at a time.

    The file is opened when the response is being sent; one that is gone or too short then cuts the connection.
    """

    def __init__(self, path: Path, parts: Sequence[bytes | FileSlice], limiter: trio.CapacityLimiter) -> None:
        self._path = path
        self._pieces = [piece for part in parts for piece in _pieces(part)]
        self._next = 0
        self._limiter = limiter
        self._file: BinaryIO | None = None

    async def __aenter__(self) -> AsyncIterable[bytes]:
        # A thread once started is waited for, so the file object cannot get lost to a cancellation.
        self._file = await trio.to_thread.run_sync(self._open, limiter=self._limiter)
        return self

    async def __aexit__(self, exc_type: type[BaseException], exc_value: BaseException, tb: TracebackType) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO:
        return self._path.open("rb")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._next == len(self._pieces):
            raise StopAsyncIteration
        piece = self._pieces[self._next]
        self._next += 1
        if isinstance(piece, bytes):
            return piece
        return await trio.to_thread.run_sync(self._read, piece, limiter=self._limiter)

    def _read(self, piece: FileSlice) -> bytes:
        assert self._file is not None
        self._file.seek(piece.offset)
        read = self._file.read(piece.length)
        if len(read) != piece.length:
            raise FileChanged(f"{self._path.name} became shorter while it was sent")
        return read


def _pieces(part: bytes | FileSlice) -> list[bytes | FileSlice]:
    if isinstance(part, bytes):
        return [part]
    end = part.offset + part.length
    return [FileSlice(start, min(CHUNK, end - start)) for start in range(part.offset, end, CHUNK)]
