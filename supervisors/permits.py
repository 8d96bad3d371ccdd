"""Permits are tokens: what is not in the box is in use, and nothing else counts them."""

from collections.abc import Callable
from typing import Literal

import trio

TokenKind = Literal["live", "late"]

_MOST_TOKENS = 10_000


class Permit:
    """One token in use. Whoever holds it calls `release` in the end; a second release does nothing."""

    __slots__ = ("_box", "kind")

    def __init__(self, kind: TokenKind, box: "_Box") -> None:
        self.kind: TokenKind = kind
        self._box: _Box | None = box

    def release(self) -> None:
        """Put the token back. Never blocks; idempotent."""
        box, self._box = self._box, None
        if box is not None:
            box.put_back()

    def __repr__(self) -> str:
        return f"<{self.kind} permit, {'released' if self._box is None else 'in use'}>"


class _Box:
    """The free tokens of one kind, in a bounded memory channel. `made` tokens exist, `total` are wanted."""

    def __init__(self, kind: TokenKind) -> None:
        self.kind: TokenKind = kind
        self.total = 0
        self.made = 0
        self.on_free: Callable[[], None] = lambda: None
        self._send, self._receive = trio.open_memory_channel[Permit](_MOST_TOKENS)

    @property
    def free(self) -> int:
        return self._receive.statistics().current_buffer_used

    def take(self) -> Permit:
        return self._receive.receive_nowait()

    def put_back(self) -> None:
        if self.made > self.total:
            self.made -= 1  # retired
        else:
            self._send.send_nowait(Permit(self.kind, self))
            self.on_free()

    def resize(self, total: int) -> None:
        self.total = total
        while self.made > total and self.free:
            self._receive.receive_nowait()
            self.made -= 1
        grown = self.made < total
        while self.made < total:
            self._send.send_nowait(Permit(self.kind, self))
            self.made += 1
        if grown:
            self.on_free()


class Permits:
    """`live` and `late` tokens of one resource (a slot's lane, a provider).

    Resizable at any time, also below the number in use: what is too much retires as it comes back.
    """

    def __init__(self, name: str, live: int, late: int = 0) -> None:
        self.name = name
        self._boxes: dict[TokenKind, _Box] = {"live": _Box("live"), "late": _Box("late")}
        self.resize(live, late)

    def take_nowait(self, kind: TokenKind) -> Permit:
        """A free token. Raises trio.WouldBlock when there is none."""
        return self._boxes[kind].take()

    def resize(self, live: int, late: int) -> None:
        """Have so many tokens from now on. Raises ValueError for a number below 0 or above 10,000."""
        for total in (live, late):
            if not 0 <= total <= _MOST_TOKENS:
                raise ValueError(f"{self.name}: permits must be 0 to {_MOST_TOKENS}, not {total}")
        self._boxes["live"].resize(live)
        self._boxes["late"].resize(late)

    def total(self, kind: TokenKind) -> int:
        """How many tokens there are to be."""
        return self._boxes[kind].total

    def free(self, kind: TokenKind) -> int:
        """How many can be taken now."""
        return self._boxes[kind].free

    def in_use(self, kind: TokenKind) -> int:
        """How many are out; more than the total after a resize to less."""
        return self._boxes[kind].made - self._boxes[kind].free

    def on_free(self, call: Callable[[], None]) -> None:
        """Have `call` called (sync, without arguments) whenever tokens have become free. There is one such listener."""
        for box in self._boxes.values():
            box.on_free = call
