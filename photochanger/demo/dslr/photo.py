"""The photo to send: bytes in memory or a file that is read piece by piece."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import trio

from photochanger.demo.dslr.picture import mime_of

PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Photo:
    """An open photo. `size` in bytes; `mime` by its first bytes, image/jpeg where they say nothing."""

    size: int
    mime: str
    file: BinaryIO

    @classmethod
    @asynccontextmanager
    async def open(cls, photo: bytes | Path) -> AsyncIterator["Photo"]:
        """Open a photo for the block. Raises OSError when the file cannot be read."""
        if isinstance(photo, bytes):
            yield cls(len(photo), mime_of(photo[:16]) or "image/jpeg", BytesIO(photo))
            return
        file = await trio.to_thread.run_sync(photo.open, "rb")
        try:
            start = await trio.to_thread.run_sync(file.read, 16)
            size = file.seek(0, 2)
            file.seek(0)
            yield cls(size, mime_of(start) or "image/jpeg", file)
        finally:
            file.close()

    async def read(self) -> bytes:
        """The next piece, b"" at the end."""
        if isinstance(self.file, BytesIO):
            return self.file.read(PIECE)
        return await trio.to_thread.run_sync(self.file.read, PIECE)
