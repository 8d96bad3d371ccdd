"""The request body: bytes wait for the handler, so a slow handler slows the client down instead of filling memory.

Quart's own body has no upper bound on what it buffers and checks MAX_CONTENT_LENGTH only against what is
buffered at the moment, which a handler that iterates over a chunked body never reaches. Here the total is counted.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import trio
from quart_trio.wrappers.request import TrioBody, TrioRequest

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal

HIGH_WATER = 512 * 1024
"""Buffered bytes above which the sender has to wait."""

COLLECT_TIMEOUT = 15.0
"""Seconds in which such a body must be there; photos have a time of their own."""

MEMORY_LIMIT = 1024 * 1024
"""The largest body that `await body` (and with it `get_data`, `get_json`) collects in memory."""


class BodyTooLarge(Refusal):
    """The body is larger than the server accepts at all; raised in the handler that reads it."""

    def __init__(self, limit: int) -> None:
        super().__init__(Reason.PAYLOAD_TOO_LARGE, f"At most {limit} bytes are accepted here.")


class Body(TrioBody):
    """One request's body: iterate over it (chunks as they arrive) or await it (small bodies only).

    `max_content_length` is the hard cap in bytes on the whole body, announced or chunked; None means no cap.
    Both ways of reading raise BodyTooLarge. `on_read` is awaited once, when the handler first wants bytes
    that are not there yet: the moment to send "100 Continue".
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, None)
        self.memory_limit = MEMORY_LIMIT
        self.on_read: Callable[[], Awaitable[None]] | None = None
        self._limit = max_content_length
        self._expected = expected_content_length
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._total = 0
        self._ended = False
        self._discarding = False
        self._too_large: BodyTooLarge | None = None
        self._changed = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        if expected_content_length is not None:
            self._check(expected_content_length, max_content_length)

    @property
    def buffered(self) -> int:
        """Bytes that wait to be read."""
        return self._buffered

    def append(self, data: bytes) -> None:
        """Take in `data` without waiting; the cap is checked, the backlog is not."""
        if not data or self._discarding or self._too_large is not None:
            return
        self._total += len(data)
        self._check(self._total, self._limit)
        if self._too_large is None:
            self._pieces.append(data)
            self._buffered += len(data)
        self._changed.unpark_all()

    async def feed(self, data: bytes) -> None:
        """Take in `data`, then wait until less than HIGH_WATER bytes are unread."""
        self.append(data)
        while self._buffered > HIGH_WATER:
            await self._room.park()

    def set_complete(self) -> None:
        """No more data will come."""
        self._ended = True
        self._changed.unpark_all()

    def discard(self) -> None:
        """Nobody will read the rest: drop what is here and what still comes, and let the sender go on."""
        self._discarding = True
        self.clear()

    def clear(self) -> None:
        """Drop what is buffered."""
        self._pieces.clear()
        self._buffered = 0
        self._room.unpark_all()

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._too_large is not None:
                raise self._too_large
            if self._pieces:
                piece = self._pieces.popleft()
                self._buffered -= len(piece)
                if self._buffered <= HIGH_WATER:
                    self._room.unpark_all()
                return piece
            if self._ended:
                raise StopAsyncIteration
            if self.on_read is not None:
                on_read, self.on_read = self.on_read, None
                await on_read()
                continue
            await self._changed.park()

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._collect().__await__()

    async def _collect(self) -> bytes:
        # Kept as one piece afterwards: get_data() may be called again.
        if self._expected is not None:
            self._check(self._expected, self.memory_limit)
        collected = bytearray()
        with trio.move_on_after(COLLECT_TIMEOUT) as patience:
            async for piece in self:
                collected += piece
                self._check(len(collected), self.memory_limit)
        if patience.cancelled_caught:
            raise Refusal(Reason.UPLOAD_TIMEOUT, f"The body did not arrive within {COLLECT_TIMEOUT:.0f} s.")
        whole = bytes(collected)
        if whole:
            self._pieces.append(whole)
            self._buffered = len(whole)
        return whole

    def _check(self, size: int, limit: int | None) -> None:
        if limit is not None and size > limit and self._too_large is None:
            self._too_large = BodyTooLarge(limit)
            self.clear()


class Request(TrioRequest):
    """Quart's request with the body above."""

    body_class = Body
    body: Body
