"""The window: how long a booth waits, as a value. Times are of one monotonic clock, in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """`started` is the arrival of the request's first byte, `deadline` the moment the reply must have left.

    `reserve` is the least that verification, storing and sending need once a picture has come. `late` is how long
    the work itself may go on after the deadline: 0 where a picture that nobody waits for is of no use.
    """

    started: float
    deadline: float
    reserve: float = 1.5
    late: float = 0.0

    @classmethod
    def of(cls, started: float, t_sync: float, reserve: float = 1.5, late: float = 0.0) -> "Window":
        """The window of `t_sync` seconds; a reserve longer than half of it would leave nothing to work with."""
        return cls(started, started + t_sync, min(reserve, t_sync / 2), late)

    @property
    def settle_by(self) -> float:
        """When the work itself is given up."""
        return self.deadline + self.late

    def remaining(self, now: float) -> float:
        """Seconds left for work that must still be verified, stored and sent; negative when past."""
        return self.deadline - self.reserve - now
