"""When the same request may be sent again: by what was answered, not by how often it was tried.

From PROVIDERS' tables: a retry helps where the answer was chance or load, never where it was a judgement.
"""

from collections.abc import Sequence
from typing import Final

from photochanger.domain.outcome import AttemptOutcome, Verdict

TRIES_PER_PLAN: Final = 6
"""Calls for one photo by one plan, whatever is answered."""
PAUSE: Final = 0.25
"""Seconds before the second try; doubled for each further one, up to LONGEST_PAUSE."""
LONGEST_PAUSE: Final = 4.0

_CHANCE: Final = frozenset({Verdict.NO_IMAGE, Verdict.OVERLOADED, Verdict.TRANSPORT})


def again(outcome: AttemptOutcome) -> int:
    """How many more tries this answer leaves sense in."""
    if outcome.again is not None:
        return outcome.again
    if outcome.verdict in _CHANCE or (outcome.verdict is Verdict.QUOTA and outcome.retry_after is not None):
        return TRIES_PER_PLAN
    return 0


def tries_left(outcomes: Sequence[AttemptOutcome]) -> int:
    """How often a plan may still be tried after these outcomes of it, oldest first."""
    left = TRIES_PER_PLAN
    for outcome in outcomes:
        left = min(left - 1, again(outcome))
    return left


def pause_before(outcome: AttemptOutcome, failures: int) -> float:
    """Seconds to wait after `outcome`, the last of `failures`: the provider's own delay, or a growing one of ours."""
    growing: float = min(PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
    return max(growing, outcome.retry_after or 0.0)


def weight_of(outcome: AttemptOutcome) -> int:
    """How much a failure speaks against asking the same provider next: half of one for what was chance, else one."""
    return 1 if outcome.verdict is Verdict.NO_IMAGE else 2
