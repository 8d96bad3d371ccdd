"""What to do after an attempt. Until the window policy grows: one try again rule, and nothing else."""

from dataclasses import dataclass

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.window import Window

PAUSE = 0.25
"""Seconds before the second attempt; doubled for each further one, up to 4 s."""

_AGAIN = frozenset({Verdict.NO_IMAGE, Verdict.OVERLOADED, Verdict.TRANSPORT})

_REASONS = {
    Verdict.NO_IMAGE: Reason.PROVIDER_NO_IMAGE,
    Verdict.REFUSED: Reason.PROVIDER_REFUSED,
    Verdict.QUOTA: Reason.PROVIDER_QUOTA,
    Verdict.TIMEOUT: Reason.PROVIDER_TIMEOUT,
    Verdict.CANCELLED: Reason.PROVIDER_TIMEOUT,
    Verdict.STORAGE: Reason.STORAGE_UNAVAILABLE,
    Verdict.CRASHED: Reason.INTERNAL_ERROR,
}


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Start another attempt at `not_before`, a moment of the window's clock."""

    not_before: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Answer with this reason now."""

    reason: Reason


def after_failure(outcome: AttemptOutcome, attempts: int, window: Window, now: float) -> TryAgain | GiveUp:
    """The next step after `attempts` failed attempts, of which `outcome` was the last."""
    pause = min(PAUSE * 2 ** (attempts - 1), 4.0)
    if outcome.verdict in _AGAIN and window.remaining(now) > pause:
        return TryAgain(now + pause)
    return GiveUp(_REASONS.get(outcome.verdict, Reason.PROVIDER_ERROR))
