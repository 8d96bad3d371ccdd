"""How long to wait before the next restart, and how many restarts are too many."""

import random
from collections import deque
from dataclasses import dataclass

_LARGEST_EXPONENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential delays in seconds: `first`, `first * factor`, … up to `max`.

    Each delay is shortened by a random share of up to `jitter` (0 to 1), so that children which fell together do not
    rise together. After a run of at least `reset_after` seconds the count begins anew. For an intensity to be reached
    at all, its restarts with their delays must fit the period.
    """

    first: float = 0.1
    factor: float = 2.0
    max: float = 10.0
    jitter: float = 0.2
    reset_after: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.max:
            raise ValueError(f"backoff needs 0 <= first <= max, not {self.first} and {self.max}")
        if not 1 <= self.factor <= 10:
            raise ValueError(f"backoff factor must be 1 to 10, not {self.factor}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"backoff jitter must be 0 to 1, not {self.jitter}")
        if self.reset_after < 0:
            raise ValueError(f"backoff reset_after must not be negative, not {self.reset_after}")

    def delay(self, failures: int) -> float:
        """Seconds to wait after `failures` earlier failures in a row (0 = this is the first)."""
        longest = min(self.max, self.first * self.factor ** min(failures, _LARGEST_EXPONENT))
        return longest * (1 - self.jitter * random.random())  # noqa: S311 - spreads restarts, guards no secret


class RestartWindow:
    """Counts restarts: more than `intensity` of them within `period` seconds are too many.

    A restart exactly `period` old no longer counts. Intensity 0 means that the first restart is already too many.
    """

    def __init__(self, intensity: int, period: float) -> None:
        self._intensity = intensity
        self._period = period
        self._times: deque[float] = deque()

    def add(self, now: float) -> bool:
        """Count one restart at `now`; False when it was one too many."""
        self._times.append(now)
        while self._times[0] <= now - self._period:
            self._times.popleft()
        return len(self._times) <= self._intensity

    def clear(self) -> None:
        """Forget all of them."""
        self._times.clear()


class Recovery:
    """What follows a child's crash: how long to wait, when to park it, when it was one too many.

    With a `park_backoff` too many restarts park the child (and `window` is its own); a run of at least
    `park_backoff.reset_after` seconds ends the parking. Without one, too many restarts are the supervisor's affair.
    """

    def __init__(self, backoff: Backoff, park_backoff: Backoff | None, window: RestartWindow) -> None:
        self._backoff = backoff
        self._park_backoff = park_backoff
        self._window = window
        self._parked = False
        self._failures = 0

    def is_parked(self, uptime: float = 0.0) -> bool:
        """Parked, and still so after `uptime` seconds of running."""
        return self._parked and uptime < self._current.reset_after

    def release(self) -> None:
        """Forget all earlier crashes."""
        self._parked = False
        self._failures = 0
        self._window.clear()

    def after_crash(self, uptime: float, now: float) -> float | None:
        """Count a crash after `uptime` seconds of running: the seconds to wait, or None when it was one too many."""
        if uptime >= self._current.reset_after:
            self._failures = 0
            if self._parked:
                self.release()
        if not self._parked and not self._window.add(now):
            if self._park_backoff is None:
                return None
            self._parked = True
            self._failures = 0
        delay = self._current.delay(self._failures)
        self._failures += 1
        return delay

    @property
    def _current(self) -> Backoff:
        return self._park_backoff if self._parked and self._park_backoff is not None else self._backoff
