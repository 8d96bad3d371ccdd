"""Situations as the tables of the policy's tests need them: a window of 48 seconds from 100, two providers."""

from dataclasses import replace
from typing import Any

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.situation import PlanNow, Situation, Try

START = 100.0
DEADLINE = 148.0
RESERVE = 1.5
LATEST = DEADLINE - RESERVE
"""After this moment nothing is started."""

FIRST = PlanNow(Expected(10.0, 15.0, 20.0))
SECOND = PlanNow(Expected(5.0, 8.0, 9.0))


def situation(
    *tries: Try, now: float = START, plans: tuple[PlanNow, ...] = (FIRST, SECOND), **changes: Any
) -> Situation:
    """One booth waits until DEADLINE; the slot takes no late pictures."""
    plain = Situation(now, DEADLINE, DEADLINE, DEADLINE, RESERVE, plans, tries)
    return replace(plain, **changes)


def alone(*tries: Try, now: float = START, plan: PlanNow = FIRST, **changes: Any) -> Situation:
    """The same with the first plan only."""
    return situation(*tries, now=now, plans=(plan,), **changes)


def failed(verdict: Verdict, *, plan: int = 0, at: float = 110.0, **told: Any) -> Try:
    """An attempt that ended so."""
    return Try(plan, at - 1.0, at, AttemptOutcome(verdict, **told))


def queued(plan: int = 0) -> Try:
    """An attempt that waits for a permit."""
    return Try(plan, None, queued=True)


FULL = replace(FIRST, has_room=False)
"""The first plan's provider while somebody waits for its permits."""


def calling(plan: int = 0, *, since: float = START) -> Try:
    """An attempt whose call is being made."""
    return Try(plan, since)
