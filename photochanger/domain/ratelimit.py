"""A token bucket, the plainest rate limit: so much per second, and a burst that may come at once."""

from math import floor
from typing import Final

_ROUNDING: Final = 1e-9
"""Seconds that count as none: sums of floats are not exact."""


class Bucket:
    """Holds at most `burst` tokens and gets `rate` new ones per second; full at first.

    In any stretch of t seconds no more than burst + rate * t are taken. It has no clock: `now` is in seconds of
    whatever clock the caller keeps to.
    """

    def __init__(self, rate: float, burst: int) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a bucket needs a rate above zero and room for a token")
        self.rate = rate
        self.burst = burst
        # The one number that says all: a full bucket's moment lies in the past, each token taken moves it on.
        self._full_at = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 when there is one now."""
        # The last token is there when all but one of the missing ones could still be missing.
        seconds = self._full_at - (self.burst - 1) / self.rate - now
        return seconds if seconds > _ROUNDING else 0.0

    def take(self, now: float) -> bool:
        """Take a token. False, with nothing taken, when there is none."""
        if self.wait(now) > 0:
            return False
        self._full_at = max(self._full_at, now) + 1 / self.rate
        return True

    def left(self, now: float) -> int:
        """Whole tokens that are there."""
        missing = max(0.0, self.until_full(now) - _ROUNDING) * self.rate
        return max(0, floor(self.burst - missing))

    def until_full(self, now: float) -> float:
        """Seconds until nothing is missing."""
        return max(0.0, self._full_at - now)
