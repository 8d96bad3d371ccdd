"""Is there room on the disk for one more photo? Asked before anything is paid for."""

import trio

from photochanger.errors import StorageUnavailable
from photochanger.media.store import MediaStore

RESERVE = 128 * 1024 * 1024
"""Bytes that stay free for pictures whose photos are on their way already: a provider's answer is 64 MB at most."""
FRESH = 2.0
"""Seconds for which one look at the disk serves every photo."""


class Room:
    """Remembers how much the disk had left a moment ago."""

    def __init__(self, media: MediaStore, *, reserve: int = RESERVE) -> None:
        self._media = media
        self._reserve = reserve
        self._free = 0
        self._looked = -FRESH

    async def require(self, size: int) -> None:
        """Raise StorageUnavailable unless a photo of `size` bytes, its copy and its picture fit on the disk."""
        now = trio.current_time()
        if now - self._looked >= FRESH:
            self._free = await self._media.free_bytes()
            self._looked = now
        if self._free < self._reserve + 2 * size:
            raise StorageUnavailable(f"the disk is full: {self._free // 1_000_000} MB are left")
