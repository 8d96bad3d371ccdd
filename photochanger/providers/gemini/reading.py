"""Pictures read piece by piece while they are sent: never one whole in memory."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import trio

from photochanger.errors import StorageUnavailable
from photochanger.providers.base import FileSlice, PreparedPhoto
from photochanger.providers.http import RequestBody

CHUNK: Final = 3 * 176 * 1024
"""Bytes of a picture per piece. A multiple of 3, so that in base64 only the last piece is padded; 704 KiB once
encoded. Each piece costs a hop to a thread, and its memory for as long as it is being sent."""


def bytes_of(photo: PreparedPhoto) -> int:
    """What the parts of `photo` come to."""
    return sum(len(part) if isinstance(part, bytes) else part.length for part in photo.parts)


class ReadingBody(RequestBody):
    """A body that has at most one picture file open. A context manager: leaving it closes the file.

    Iterating raises StorageUnavailable when a picture cannot be read or is shorter than it was.
    """

    def __init__(self, limiter: trio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._reader: _Reader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _open(self, photo: PreparedPhoto) -> None:
        self._close()
        self._reader = _Reader(photo.path, photo.parts, bytes_of(photo))

    async def _read(self) -> memoryview | None:
        """The next piece of the picture that was opened, good until the next call; None behind its last one."""
        if self._reader is None:
            return None
        if self._reader.left:
            # Not abandoned when cancelled: the file is closed only after the thread has left it.
            return await trio.to_thread.run_sync(self._reader.read, limiter=self._limiter)
        self._close()
        return None

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class RawBody(ReadingBody):
    """One picture as it is."""

    def __init__(self, photo: PreparedPhoto, limiter: trio.CapacityLimiter) -> None:
        super().__init__(limiter)
        self.length = bytes_of(photo)
        self._open(photo)

    async def __anext__(self) -> bytes:
        piece = await self._read()
        if piece is not None:
            return bytes(piece)
        self.finished = True
        raise StopAsyncIteration


class _Reader:
    """The parts of the photo, read through one buffer; used by one thread at a time."""

    def __init__(self, path: Path, parts: Sequence[bytes | FileSlice], size: int) -> None:
        self._path = path
        # Views, so that a long literal is not copied again for every piece taken from it.
        self._parts = [memoryview(part) if isinstance(part, bytes) else part for part in reversed(parts)]
        self.left = size
        self._file: BinaryIO | None = None
        self._buffer = bytearray(min(CHUNK, size))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._buffer = bytearray()

    def read(self) -> memoryview:
        """The next CHUNK bytes, fewer at the end; valid until the next call. Blocks. Raises StorageUnavailable."""
        room = memoryview(self._buffer)[: min(CHUNK, self.left)]
        filled = 0
        while filled < len(room):
            filled += self._fill(room[filled:])
        self.left -= filled
        return room

    def _fill(self, room: memoryview) -> int:
        """Copy from the part at hand, keeping what does not fit for the next time."""
        part = self._parts.pop()
        if isinstance(part, memoryview):
            take = min(len(part), len(room))
            room[:take] = part[:take]
            if take < len(part):
                self._parts.append(part[take:])
            return take
        if part.length == 0:
            return 0
        try:
            if self._file is None:
                self._file = self._path.open("rb", buffering=0)
            self._file.seek(part.offset)
            take = self._file.readinto(room[: part.length])  # type: ignore[attr-defined]  # an unbuffered file has it
        except OSError as error:
            raise StorageUnavailable(f"the photo cannot be read: {error.strerror}") from error
        if not take:
            raise StorageUnavailable("the photo became shorter while it was sent")
        if take < part.length:
            self._parts.append(FileSlice(part.offset + take, part.length - take))
        return int(take)
