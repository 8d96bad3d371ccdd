"""The window: how long a booth waits, as a value. Times are of one monotonic clock, in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """`started` is the arrival of the request's first byte, `deadline` the moment the reply must have left.

    `reserve` is what verification, storing and sending still need once a picture has come.
    """

    started: float
    deadline: float
    reserve: float = 1.5

    @classmethod
    def of(cls, started: float, t_sync: float, reserve: float = 1.5) -> "Window":
        """The window of `t_sync` seconds; a reserve longer than half of it would leave nothing to work with."""
        return cls(started, started + t_sync, min(reserve, t_sync / 2))

    @property
    def settle_by(self) -> float:
        """When the work itself is given up. With `drop`, the only rule so far, that is the deadline."""
        return self.deadline

    def remaining(self, now: float) -> float:
        """Seconds left for work that must still be verified, stored and sent; negative when past."""
        return self.deadline - self.reserve - now
