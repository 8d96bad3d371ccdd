"""A provider's breaker: when it has become ill, photos go elsewhere at once instead of waiting in vain.

Closed: calls go through. Open: none does. Half-open: one at a time, the probe, tells whether it is well again.
Times are seconds of one monotonic clock.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from photochanger.domain.outcome import Verdict

Position = Literal["closed", "open", "half_open"]
Force = Literal["open", "closed"]

MANUAL = "manual"
"""The reason of a breaker that an operator opened."""

_MOST_SIGNALS = 256


class Signal(StrEnum):
    """What a call says about its provider's health."""

    WELL = "well"
    ILL = "ill"
    DOWN = "down"  # ill, and the next call cannot be better: no quota is left
    NEUTRAL = "neutral"


_ILL = {Verdict.OVERLOADED, Verdict.TRANSPORT, Verdict.BAD_ANSWER, Verdict.TIMEOUT}
_WELL = {Verdict.PICTURE, Verdict.NO_IMAGE, Verdict.REFUSED}


def signal_of(
    verdict: Verdict, *, retry_after: float | None = None, cut_after: float | None = None, p95: float | None = None
) -> Signal:
    """What an outcome says about the provider, not about the photo, our disk or our money.

    `retry_after` is the provider's own, in seconds. A call that was cancelled after `cut_after` seconds had hung
    when that is more than `p95` (`Latencies.hangs_after`): its rival won because of it.
    """
    if verdict in _WELL:
        return Signal.WELL
    if verdict in _ILL:
        return Signal.ILL
    if verdict is Verdict.QUOTA and retry_after is None:
        return Signal.DOWN
    if verdict is Verdict.CANCELLED and cut_after is not None and p95 is not None and cut_after > p95:
        return Signal.ILL
    return Signal.NEUTRAL


@dataclass(frozen=True, slots=True)
class BreakerState:
    """`since` is when this state began (None = it was never another), `until` when an open one lets a probe through.

    An open one without `until` does not do so by itself.
    """

    state: Position
    since: float | None
    until: float | None
    reason: str | None
    forced: bool


class Turn:
    """The right to make one call. Whoever got it hands it to `Breaker.ended` exactly when the call is over."""

    __slots__ = ("epoch", "over", "probe")

    def __init__(self, epoch: int, *, probe: bool) -> None:
        self.epoch = epoch
        self.probe = probe
        self.over = False


class Breaker:
    """Opens when of at least `least` calls within `window` seconds the share `share` was ill, at an ill one.

    It stays open for `open_for` seconds, twice as long after every failed probe, at most `longest`. A call that
    began before the last change says nothing about what is now and is not counted.
    """

    def __init__(
        self,
        *,
        window: float = 60.0,
        least: int = 5,
        share: float = 0.5,
        open_for: float = 15.0,
        longest: float = 120.0,
    ) -> None:
        self._window = window
        self._least = least
        self._share = share
        self._open_for = open_for
        self._longest = longest
        self._signals: deque[tuple[float, bool]] = deque(maxlen=max(_MOST_SIGNALS, least))  # when, ill
        self._epoch = 0
        self._since: float | None = None
        self._pause = 0.0  # seconds of the present opening
        self._until: float | None = None  # its end; None = closed
        self._reason: str | None = None
        self._probe: Turn | None = None
        self._forced: Force | None = None

    def admits(self, now: float) -> bool:
        """May a call be made? Only a look: `begin` takes the right to it."""
        position = self._position(now)
        return position == "closed" or (position == "half_open" and self._probe is None)

    def begin(self, now: float) -> Turn | None:
        """The right to make a call now, None when it may not be made. It must come back through `ended`."""
        if not self.admits(now):
            return None
        turn = Turn(self._epoch, probe=self._position(now) == "half_open")
        if turn.probe:
            self._probe = turn
        return turn

    def ended(self, turn: Turn, signal: Signal, now: float, *, reason: str) -> bool:
        """The call is over; True when that opened or closed the breaker. A second time changes nothing.

        `reason` says in a word what was wrong, should the breaker open. A probe that ended NEUTRAL (cancelled,
        never sent) makes room for the next one.
        """
        if turn.over or turn.epoch != self._epoch or self._forced is not None:
            turn.over = True
            return False
        turn.over = True
        if turn.probe:
            self._probe = None
            if signal is Signal.WELL:
                self._close(now)
            elif signal is not Signal.NEUTRAL:
                self._open(now, reason, min(self._pause * 2, self._longest))
            return signal is not Signal.NEUTRAL
        if signal is not Signal.NEUTRAL:
            self._signals.append((now, signal is not Signal.WELL))
        if signal is Signal.DOWN or (signal is Signal.ILL and self._is_ill(now)):
            self._open(now, reason, min(self._open_for, self._longest))
            return True
        return False

    def force(self, position: Force | None, now: float) -> bool:
        """Keep it open or closed whatever happens; None = by itself again, closed, with nothing remembered.

        True when that changed something.
        """
        if position == self._forced:
            return False
        self._close(now)
        self._forced = position
        if position == "open":
            self._reason = MANUAL
        return True

    def state(self, now: float) -> BreakerState:
        """What it does now, and why."""
        position = self._position(now)
        if position == "half_open":
            return BreakerState(position, self._until, None, self._reason, forced=False)
        return BreakerState(position, self._since, self._until, self._reason, self._forced is not None)

    def _position(self, now: float) -> Position:
        if self._forced is not None:
            return self._forced
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "half_open"

    def _is_ill(self, now: float) -> bool:
        while self._signals[0][0] <= now - self._window:
            self._signals.popleft()
        ill = sum(ill for _, ill in self._signals)
        return len(self._signals) >= self._least and ill >= self._share * len(self._signals)

    def _open(self, now: float, reason: str, pause: float) -> None:
        self._close(now)
        self._pause = pause
        self._until = now + pause
        self._reason = reason

    def _close(self, now: float) -> None:
        self._epoch += 1
        self._since = now
        self._until = None
        self._reason = None
        self._probe = None
        self._signals.clear()
