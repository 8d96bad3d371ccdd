"""The generateContent request: JSON around the photo, which is read and encoded piece by piece while it is sent."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import msgspec
import pybase64
import trio

from photochanger.errors import StorageUnavailable
from photochanger.providers.base import FileSlice, PreparedPhoto
from photochanger.providers.gemini.settings import GeminiSettings
from photochanger.providers.http import RequestBody

CHUNK: Final = 3 * 176 * 1024
"""Bytes of the photo per piece. A multiple of 3, so that only the last piece is padded; 704 KiB once encoded. Each
piece costs a hop to a thread, and its memory for as long as it is being sent."""


def envelope(settings: GeminiSettings, mime: str) -> tuple[bytes, bytes]:
    """What stands before and after the photo's base64: the photo first, the prompt last, then the configuration.

    camelCase, as Google writes its replies; an unknown name would be answered with 400.
    """
    image: dict[str, Any] = {}
    if settings.aspect_ratio is not None:
        image["aspectRatio"] = settings.aspect_ratio
    if settings.image_size is not None:
        image["imageSize"] = settings.image_size
    config: dict[str, Any] = {"responseModalities": list(settings.response_modalities)}
    if image:
        config["imageConfig"] = image
    if settings.thinking_level is not None:
        config["thinkingConfig"] = {"thinkingLevel": settings.thinking_level}
    rest: dict[str, Any] = {"generationConfig": config}
    if settings.safety_thresholds:
        rest["safetySettings"] = [
            {"category": category, "threshold": threshold}
            for category, threshold in sorted(settings.safety_thresholds.items())
        ]
    encode = msgspec.json.encode
    before = b'{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":' + encode(mime) + b',"data":"'
    after = b'"}},' + encode({"text": settings.prompt}) + b"]}]," + encode(rest)[1:]
    return before, after


class PhotoBody(RequestBody):
    """`before`, the photo as base64, `after`. Holds one piece of the photo at a time.

    Used as a context manager: leaving it closes the file. Iterating raises StorageUnavailable when the photo
    cannot be read or is shorter than it was.
    """

    def __init__(self, before: bytes, photo: PreparedPhoto, after: bytes, limiter: trio.CapacityLimiter) -> None:
        size = sum(len(part) if isinstance(part, bytes) else part.length for part in photo.parts)
        self.length = len(before) + 4 * ((size + 2) // 3) + len(after)
        self._before: bytes | None = before
        self._after: bytes | None = after
        self._reader: _Reader | None = _Reader(photo.path, photo.parts, size)
        self._limiter = limiter

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    async def __anext__(self) -> bytes:
        if self._before is not None:
            piece, self._before = self._before, None
            return piece
        if self._reader is not None:
            # Not abandoned when cancelled: the file is closed only after the thread has left it.
            if self._reader.left:
                read = await trio.to_thread.run_sync(self._reader.read, limiter=self._limiter)
                # Encoded here, not in the thread: it takes microseconds, and memory allocated in threads stays in
                # their arenas (measured for 15 photos at once: 60 MB in threads, 14 MB here).
                return pybase64.b64encode(read)
            self._reader.close()
            self._reader = None
        if self._after is not None:
            piece, self._after = self._after, None
            self.finished = True
            return piece
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
