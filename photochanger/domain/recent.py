"""The last numbers of one kind, and what nine of ten of them do not exceed."""

from collections import deque
from typing import Final

KEEP: Final = 32


class Recent:
    """Remembers the last KEEP. `first_guess` stands in until there is one."""

    def __init__(self, first_guess: float) -> None:
        self._first_guess = first_guess
        self._seen: deque[float] = deque(maxlen=KEEP)

    def add(self, value: float) -> None:
        """One more; the oldest is forgotten."""
        self._seen.append(value)

    @property
    def p90(self) -> float:
        """Nine of ten do not exceed it."""
        return sorted(self._seen)[int(len(self._seen) * 0.9)] if self._seen else self._first_guess
