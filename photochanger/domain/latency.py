"""How long a provider's calls take, as a value: before any was measured, and from the recent ones."""

from collections import deque
from dataclasses import dataclass

_COLD_CALLS = 8
"""Complete calls after which the cold start counts no more."""
_SLACK = 1e-9  # products of many fractions


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds of service, without queueing, that half, 90 % and 95 % of the calls do not exceed."""

    p50: float
    p90: float
    p95: float


class Latencies:
    """What to expect of the next call, from the last `keep` calls that are not older than `max_age` seconds.

    A call that was cut off is a censored sample: it took at least so long. The estimate is Kaplan and Meier's, so
    that such a call counts for what it says and no more. The cold start counts as eight calls: half took its p50,
    40 % its p90, 10 % its p95; every complete call takes the place of one of them. A quantile that the complete
    calls do not reach is the longest call seen, complete or not. Times are of one monotonic clock.
    """

    def __init__(self, cold: Expected, *, keep: int = 64, max_age: float = 900.0) -> None:
        self._cold = ((cold.p50, 0.5), (cold.p90, 0.4), (cold.p95, 0.1))
        self._max_age = max_age
        self._samples: deque[tuple[float, float, bool]] = deque(maxlen=keep)  # when, seconds, complete
        self._expected: Expected | None = cold
        self._hangs_after: float | None = None

    def took(self, seconds: float, now: float, *, complete: bool) -> None:
        """A call ended after so long; `complete` False = it was cut off and would have taken longer."""
        self._samples.append((now, max(seconds, 0.0), complete))
        self._expected = self._hangs_after = None

    def now(self, now: float) -> Expected:
        """What to expect. Computed again only when a sample has come or has become too old."""
        self._forget(now)
        if self._expected is None:
            self._expected = self._estimate([(seconds, not complete, 1.0) for _, seconds, complete in self._samples])
        return self._expected

    def hangs_after(self, now: float) -> float:
        """The p95 of the calls that ended by themselves: one that was cut off later than that had hung.

        `now` would not tell: it grows with every call that is cut off, so a provider that goes on hanging would soon
        look as if it were merely slow.
        """
        self._forget(now)
        if self._hangs_after is None:
            complete = [(seconds, False, 1.0) for _, seconds, complete in self._samples if complete]
            # Never less than was expected: after a quiet time the first answers are the quick ones.
            self._hangs_after = max(self._estimate(complete).p95, self._cold[-1][0])
        return self._hangs_after

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][0] <= now - self._max_age:
            self._samples.popleft()
            self._expected = self._hangs_after = None

    def _estimate(self, calls: list[tuple[float, bool, float]]) -> Expected:
        """From seconds, "was cut off" (so that these come after those that ended at the same length) and weight."""
        cold_calls = _COLD_CALLS - sum(not cut_off for _, cut_off, _ in calls)
        if cold_calls > 0:
            calls += [(seconds, False, share * cold_calls) for seconds, share in self._cold]
        calls.sort()
        at_risk = sum(weight for _, _, weight in calls)
        still_running = 1.0
        found: list[float] = []
        left = iter((0.5, 0.1, 0.05))
        wanted = next(left, None)
        for seconds, cut_off, weight in calls:
            if not cut_off:
                still_running *= max(1.0 - weight / at_risk, 0.0)
                while wanted is not None and still_running <= wanted + _SLACK:
                    found.append(seconds)
                    wanted = next(left, None)
            at_risk -= weight
        # What is not reached is at least the longest call seen, and until more is known no less than was expected.
        unreached = [max(calls[-1][0], cold) for cold, _ in self._cold]
        found += unreached[len(found) :]
        return Expected(*found)
