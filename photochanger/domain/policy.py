"""The window as one budget: what to do next for a photo. A pure function of a Situation; the job only carries out.

Order of the questions: is there a picture; does anybody wait; is it time for the last resort; is a call running that
should be helped by a second one; is there anything worth starting. Times are of one monotonic clock, in seconds.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.retry import pause_before, tries_left, weight_of
from photochanger.domain.situation import (
    GiveUp,
    HedgeKind,
    LastResort,
    Settle,
    Situation,
    Start,
    Step,
    Wait,
)

MOST_AT_ONCE: Final = 2
"""Calls for one photo at the same moment."""
LOOK_AGAIN: Final = 0.5
"""Seconds between two looks for a free permit: nothing announces one to those who do not queue."""

RESCUE: Final = 1.2
"""Of the next provider's p95, the time that a rescue has. With its p90, one rescued photo in ten was lost by design:
97 % answered where 30 % of the calls hang, against 99 % (`make bench-policy`)."""
LOOK_FOR_HANGS: Final = 2.0
"""Seconds between two looks whether the provider of a running call has become ill."""
EARLIER: Final = 0.1
"""Seconds by which the last possible moment for a second call is anticipated: no timer ends exactly when it should."""
SOON: Final = 1.0
"""Seconds that a pause may take without another plan being preferred for it."""

_TICK: Final = 0.02
"""The shortest wait: somebody whose deadline is now leaves by himself."""


def decide(it: Situation) -> Step:
    """The next step. After each one that changes something, ask again."""
    for number, each in enumerate(it.tries):
        if each.verified:
            return Settle(number)
    running = [number for number, each in enumerate(it.tries) if each.ended is None and not each.stopping]
    if it.first is None or it.last is None:
        return Wait(it.settle_by) if running else GiveUp(_reason(it))
    wake = it.last
    if it.lead is not None:
        if it.now >= it.first - it.lead:
            return LastResort(it.first)
        wake = min(wake, it.first - it.lead)
    step = _help(it, it.first, running) if running else _begin(it)
    return Wait(max(min(wake, step.until), it.now + _TICK)) if isinstance(step, Wait) else step


def _begin(it: Situation) -> Step:
    """Nothing runs: the best plan, now or after its pause."""
    best = _best(it, range(len(it.plans)))
    if best is None:
        return GiveUp(_reason(it))
    ready = _ready_at(it, best)
    return Start(best) if ready <= it.now else Wait(ready)


def _help(it: Situation, first: float, running: Sequence[int]) -> Step:
    """Something runs or waits for a permit: leave it alone, take it elsewhere, or set a second call beside it."""
    waiting = [number for number in running if it.tries[number].queued]
    busy = {it.tries[number].plan for number in running}
    others = [plan for plan in range(len(it.plans)) if plan not in busy]
    if waiting:
        return _elsewhere(it, waiting[0], others)
    paid = it.may_hedge and len(running) < MOST_AT_ONCE
    wake = min(it.settle_by, it.now + LOOK_FOR_HANGS) if paid else it.settle_by
    for plans, may_be_early in _helpers(it, busy, others, paid=paid):
        best = _best(it, plans, surely=True)
        if best is None:
            continue
        moment, kind = _hedge_moment(it, first, running[0], best, may_be_early=may_be_early)
        moment = max(moment, _ready_at(it, best))
        has_room = it.plans[best].has_room
        if it.now >= moment and has_room:
            return Start(best, hedge=kind)
        wake = min(wake, moment if it.now < moment else it.now + LOOK_AGAIN)
        if has_room:
            break
    return Wait(wake)


def _helpers(
    it: Situation, busy: Iterable[int], others: Sequence[int], *, paid: bool
) -> Iterator[tuple[list[int], bool]]:
    """Who may help, in groups, the best first, and whether early."""
    if paid:
        yield [plan for plan in others if not it.plans[plan].makeshift], True
        # When nobody else can help, the same provider, asked anew, may; once it is known how long it takes.
        yield [plan for plan in busy if it.plans[plan].measured and not it.plans[plan].once], False
    yield [plan for plan in others if it.plans[plan].makeshift], False


def _elsewhere(it: Situation, number: int, others: Sequence[int]) -> Step:
    """Whoever waits for a permit goes where one is free, unless that is where it failed; it is no second call."""
    queued = it.tries[number].plan
    best = _best(it, others)
    if best is not None and it.plans[best].has_room and _ready_at(it, best) <= it.now:
        better = not it.plans[best].makeshift and _rank(it, best) < _rank(it, queued)
        if better or not it.plans[queued].admitted:
            return Start(best, instead=number)
    latest = _latest_start(it, queued)
    if it.now < latest:
        return Wait(min(it.now + LOOK_AGAIN, latest))
    # A permit that comes too late would only cost money.
    if best is None:
        return GiveUp(_reason(it))
    ready = _ready_at(it, best)
    return Start(best, instead=number) if ready <= it.now else Wait(ready)


def _hedge_moment(
    it: Situation, first: float, beside: int, plan: int, *, may_be_early: bool
) -> tuple[float, HedgeKind]:
    """When a call by `plan` is set beside the running one, and in which name.

    Rescue: when only RESCUE times the p95 of the next one and the reserve are left; at once, when the running call's
    provider has become ill. Yet not before the running call has had the time that most of its kind need, or half of
    what there is (calls that hang make all of them look long), as long as the next one would then still fit: in a
    short window every photo would be asked for twice.
    """
    running = it.tries[beside]
    begun = running.begun if running.begun is not None else it.now
    own, other = it.plans[running.plan].expected, it.plans[plan].expected
    if it.plans[running.plan].ill and may_be_early:
        return begun, "rescue"  # there is nothing to wait for
    patience = 0.0 if running.begun is None else min((own.p50 + own.p90) / 2, (first - begun) / 2)
    last = first - it.reserve - other.p50 - EARLIER
    rescue = min(max(first - it.reserve - RESCUE * other.p95, begun + patience), last)
    early = begun + own.p95
    if may_be_early and it.may_hedge_early and early < rescue:
        return early, "early"
    return rescue, "rescue"


def _best(it: Situation, plans: Iterable[int], *, surely: bool = False) -> int | None:
    """The plan to start next, of those that may be started and would be done in time."""
    usable = [
        plan for plan in plans if _usable(it, plan) and _ready_at(it, plan) < _latest_start(it, plan, surely=surely)
    ]
    return min(usable, key=lambda plan: (it.plans[plan].makeshift, _rank(it, plan)), default=None)


def _usable(it: Situation, plan: int) -> bool:
    if any(each.outcome is not None and each.outcome.verdict is Verdict.STORAGE for each in it.tries):
        return False  # our own disk: the next answer could not be kept either
    now = it.plans[plan]
    asked = sum(each.plan == plan and each.ended is None for each in it.tries)
    return now.impossible is None and now.admitted and now.affordable and tries_left(_outcomes(it, plan)) > asked


def _latest_start(it: Situation, plan: int, *, surely: bool = False) -> float:
    """Before this moment a call must begin, to be done in time as often as not.

    Except for second calls a guess is not enough to refuse: while nothing was measured, or while nothing runs that
    could be, a photo goes ahead. How else would it be known. A makeshift costs nothing: it is tried as long as there is
    any time, because a timer came late, say.
    """
    assert it.last is not None
    now = it.plans[plan]
    if now.makeshift:
        return it.last - now.expected.p50
    goes_ahead = not surely and (not now.measured or (now.idle and not it.tries))
    return it.last - it.reserve - (0.0 if goes_ahead else now.expected.p50)


def _rank(it: Situation, plan: int) -> tuple[float, int, bool, int]:
    """Ready soon before ready later; what has failed least, a full provider counting as one failure; the order."""
    failures = sum(weight_of(outcome) for outcome in _outcomes(it, plan)) // 2
    ready, full = _ready_at(it, plan), not it.plans[plan].has_room
    return ready if ready > it.now + SOON else 0.0, failures + full, full, plan


def _ready_at(it: Situation, plan: int) -> float:
    """When this plan may be tried (again)."""
    ended = [each for each in it.tries if each.plan == plan and each.outcome is not None and each.ended is not None]
    if not ended:
        return it.now
    last = max(ended, key=lambda each: each.ended or 0.0)
    assert last.outcome is not None
    assert last.ended is not None
    # A delay that was asked for counts, whatever was answered since.
    asked = max((each.ended or 0.0) + (each.outcome.retry_after or 0.0) for each in ended if each.outcome is not None)
    return max(it.now, asked, last.ended + pause_before(last.outcome, len(ended)))


def _outcomes(it: Situation, plan: int) -> list[AttemptOutcome]:
    ended = sorted(
        (each for each in it.tries if each.plan == plan and each.outcome is not None),
        key=lambda each: each.ended or 0.0,
    )
    return [each.outcome for each in ended if each.outcome is not None]


_REASONS: Final = {
    Verdict.NO_IMAGE: Reason.PROVIDER_NO_IMAGE,
    Verdict.REFUSED: Reason.PROVIDER_REFUSED,
    Verdict.QUOTA: Reason.PROVIDER_QUOTA,
    Verdict.TIMEOUT: Reason.PROVIDER_TIMEOUT,
    Verdict.CANCELLED: Reason.PROVIDER_TIMEOUT,
    Verdict.STORAGE: Reason.STORAGE_UNAVAILABLE,
    Verdict.CRASHED: Reason.INTERNAL_ERROR,
    Verdict.UNAFFORDABLE: Reason.BUDGET_EXHAUSTED,
    Verdict.UNAVAILABLE: Reason.PROVIDER_UNAVAILABLE,
}


def _reason(it: Situation) -> Reason:
    """Why there is no picture: a refusal, or what the last real answer said; without any, what kept us from asking."""
    said = [each.outcome for each in it.tries if each.outcome is not None]
    real = [outcome for outcome in said if outcome.verdict not in (Verdict.CANCELLED, Verdict.UNAFFORDABLE)]
    if any(outcome.verdict is Verdict.REFUSED for outcome in real):
        return Reason.PROVIDER_REFUSED  # whatever followed it: a refusal is no failure, and another photo will do
    if real:
        return _REASONS.get(real[-1].verdict, Reason.PROVIDER_ERROR)
    if any(outcome.verdict is Verdict.UNAFFORDABLE for outcome in said):
        return Reason.BUDGET_EXHAUSTED
    if said:
        return Reason.PROVIDER_TIMEOUT
    possible = [plan for plan in it.plans if plan.impossible is None]
    if not possible:
        return next((plan.impossible for plan in it.plans if plan.impossible), Reason.PROVIDER_ERROR)
    if all(not plan.affordable for plan in possible):
        return Reason.BUDGET_EXHAUSTED
    if all(not plan.admitted for plan in possible if plan.affordable):
        return Reason.PROVIDER_UNAVAILABLE
    return Reason.PROVIDER_TIMEOUT
