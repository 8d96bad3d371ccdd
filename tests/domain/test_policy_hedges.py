"""When a second call is set beside a slow one, and when not."""

from dataclasses import replace
from typing import Any

import pytest

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import Verdict
from photochanger.domain.policy import EARLIER, LOOK_FOR_HANGS, decide
from photochanger.domain.policy import RESCUE as MARGIN
from photochanger.domain.reasons import Reason
from photochanger.domain.situation import GiveUp, PlanNow, Situation, Start, Step, Wait
from tests.domain.situations import (
    DEADLINE,
    FIRST,
    FULL,
    LATEST,
    RESERVE,
    SECOND,
    START,
    alone,
    calling,
    failed,
    situation,
)

EARLY = START + FIRST.expected.p95
RESCUE = LATEST - MARGIN * SECOND.expected.p95
RESCUE_BY_THE_FIRST = LATEST - MARGIN * FIRST.expected.p95


def next_step(it: Situation) -> tuple[float, Step]:
    """What is done next and when, if nothing changes until then: the policy looks round now and then."""
    step = decide(it)
    while isinstance(step, Wait) and step.until < it.settle_by:
        it = replace(it, now=step.until)
        step = decide(it)
    return at(it.now, step)


def at(moment: float, step: Step) -> tuple[float, Step]:
    """This step at this moment, to the microsecond."""
    return round(moment, 6), step


def test_early_once_the_call_takes_longer_than_most() -> None:
    assert next_step(situation(calling())) == at(EARLY, Start(1, hedge="early"))
    assert decide(situation(calling(), now=EARLY)) == Start(1, hedge="early")


def test_early_only_under_the_ceiling_rescue_without_it() -> None:
    assert next_step(situation(calling(), may_hedge_early=False)) == at(RESCUE, Start(1, hedge="rescue"))


def test_the_earlier_of_the_two() -> None:
    slow = replace(FIRST, expected=Expected(10.0, 30.0, 40.0))
    assert next_step(situation(calling(), plans=(slow, SECOND))) == at(RESCUE, Start(1, hedge="rescue"))


def test_in_a_short_window_the_first_call_still_has_its_usual_time() -> None:
    """Otherwise every photo would be asked for twice."""
    short: dict[str, Any] = {"first": 122.0, "last": 122.0}  # the margin alone would say 109.7
    patience, step = next_step(situation(calling(), may_hedge_early=False, **short))
    assert step == Start(1, hedge="rescue")
    assert START + FIRST.expected.p50 <= patience <= START + FIRST.expected.p90
    shorter: dict[str, Any] = {"first": 115.0, "last": 115.0}  # or half of what there is
    assert next_step(situation(calling(), **shorter)) == at((START + 115.0) / 2, Start(1, hedge="rescue"))
    least = patience + EARLIER + SECOND.expected.p50 + RESERVE + 0.001
    for now in (patience, patience + EARLIER / 2):  # the clock may be late
        edge = situation(calling(), now=now, first=least, last=least, may_hedge_early=False)
        assert decide(edge) == Start(1, hedge="rescue")


def test_none_that_would_come_too_late_itself() -> None:
    last_moment = LATEST - SECOND.expected.p50
    assert decide(situation(calling(), now=last_moment - 0.01)) == Start(1, hedge="early")
    assert isinstance(decide(situation(calling(), now=last_moment)), Wait)
    guess = replace(SECOND, measured=False, idle=True)  # a guess is good enough for a start, not for a second one
    assert isinstance(decide(situation(calling(), now=last_moment, plans=(FIRST, guess))), Wait)


@pytest.mark.parametrize(
    "change",
    [{"affordable": False}, {"admitted": False}, {"impossible": Reason.PROVIDER_ERROR}],
    ids=["the budget", "the breaker", "its set-up"],
)
@pytest.mark.parametrize("now", [EARLY, RESCUE, RESCUE + 1])
def test_who_must_not_be_asked_is_no_help(change: dict[str, object], now: float) -> None:
    plans = (replace(FIRST, affordable=False), replace(SECOND, **change))  # type: ignore[arg-type]
    assert isinstance(decide(situation(calling(), now=now, plans=plans)), Wait)


@pytest.mark.parametrize("now", [EARLY, RESCUE, RESCUE + 1])
def test_a_slot_may_forbid_them(now: float) -> None:
    assert isinstance(decide(situation(calling(), now=now, may_hedge=False)), Wait)


def test_they_take_a_free_permit_or_none() -> None:
    full = replace(SECOND, has_room=False)
    assert decide(situation(calling(), now=EARLY, plans=(FIRST, full))) == Wait(EARLY + 0.5)
    assert decide(situation(calling(), now=RESCUE, plans=(FULL, full))) == Wait(RESCUE + 0.5)


def test_when_the_others_are_full_the_same_provider_is_asked_anew() -> None:
    plans = (FIRST, replace(SECOND, has_room=False))
    assert next_step(situation(calling(), plans=plans)) == at(RESCUE_BY_THE_FIRST, Start(0, hedge="rescue"))


def test_who_has_room_helps_before_who_has_failed_less_and_is_full() -> None:
    plans = (FIRST, replace(SECOND, has_room=False), SECOND)
    stumbled = failed(Verdict.OVERLOADED, plan=2, at=110.0)
    assert decide(situation(calling(), stumbled, now=RESCUE, plans=plans)) == Start(2, hedge="early")


def test_no_third_call() -> None:
    third = PlanNow(Expected(1.0, 2.0, 3.0))
    plans = (FIRST, SECOND, third)
    both = (calling(), calling(1, since=105.0))
    for now in (EARLY, RESCUE, 140.0, 144.0):
        assert isinstance(decide(situation(*both, now=now, plans=plans)), Wait)
    one_ended = (failed(Verdict.NO_IMAGE), both[1])
    assert isinstance(decide(situation(*one_ended, now=140.0, plans=plans)), Start)
    one_given_up = (replace(both[0], stopping=True), both[1])
    assert isinstance(decide(situation(*one_given_up, now=140.0, plans=plans)), Start)


def test_the_best_of_several_helps() -> None:
    third = PlanNow(Expected(1.0, 2.0, 3.0))
    for second in (replace(SECOND, has_room=False), replace(SECOND, affordable=False)):
        assert decide(situation(calling(), now=RESCUE, plans=(FIRST, second, third))) in (
            Start(2, hedge="early"),
            Start(2, hedge="rescue"),
        )


def test_with_nobody_else_the_same_provider_is_asked_anew_but_only_at_the_end() -> None:
    assert EARLY < RESCUE_BY_THE_FIRST
    assert next_step(alone(calling())) == at(RESCUE_BY_THE_FIRST, Start(0, hedge="rescue"))


def test_a_call_that_runs_counts_as_a_try() -> None:
    once_more = failed(Verdict.NO_IMAGE, again=1)
    assert isinstance(decide(alone(once_more, calling(since=111.0), now=RESCUE_BY_THE_FIRST)), Wait)


def test_a_helper_that_failed_helps_again_only_after_its_pause() -> None:
    overloaded = failed(Verdict.OVERLOADED, plan=1, at=RESCUE, retry_after=2.0)
    assert decide(situation(calling(), overloaded, now=RESCUE)) == Wait(RESCUE + 2)
    refused = failed(Verdict.REFUSED, plan=1, at=EARLY)
    assert next_step(situation(calling(), refused, now=EARLY)) == at(RESCUE_BY_THE_FIRST, Start(0, hedge="rescue"))


def test_what_is_being_booked_is_helped_too() -> None:
    booking = replace(calling(), begun=None)
    assert next_step(situation(booking)) == at(RESCUE, Start(1, hedge="rescue"))


def test_when_the_provider_has_become_ill_meanwhile_another_one_helps_at_once() -> None:
    ill = replace(FIRST, admitted=False, ill=True)
    assert decide(situation(calling(), now=101.0, plans=(ill, SECOND))) == Start(1, hedge="rescue")
    assert isinstance(decide(alone(calling(), now=101.0, plan=ill)), Wait)
    assert isinstance(decide(situation(calling(), now=101.0, plans=(ill, replace(SECOND, affordable=False)))), Wait)
    look: Step = decide(situation(calling()))
    assert look == Wait(START + LOOK_FOR_HANGS), "nothing announces that it has"


def test_no_second_job_where_that_would_be_paid_for_twice() -> None:
    once = replace(FIRST, once=True)
    step = decide(replace(alone(calling(), now=RESCUE_BY_THE_FIRST), plans=(once,)))
    assert isinstance(step, Wait)


MAKESHIFT = PlanNow(Expected(0.3, 0.6, 1.0), makeshift=True)
MAKESHIFT_MOMENT = LATEST - MARGIN * 1.0


def test_a_makeshift_comes_only_when_nothing_else_can_come_any_more() -> None:
    plans = (FIRST, MAKESHIFT)
    assert decide(situation(calling(), now=EARLY, plans=plans)) != Start(1, hedge="early")
    once = (replace(FIRST, once=True), MAKESHIFT)
    assert next_step(situation(calling(), plans=once)) == at(MAKESHIFT_MOMENT, Start(1, hedge="rescue"))
    both = (calling(), calling(1, since=120.0))
    assert next_step(situation(*both, plans=(FIRST, SECOND, MAKESHIFT))) == at(
        MAKESHIFT_MOMENT, Start(2, hedge="rescue")
    )


def test_a_makeshift_is_no_second_call_that_could_be_switched_off() -> None:
    it = situation(calling(), plans=(FIRST, MAKESHIFT), may_hedge=False, now=MAKESHIFT_MOMENT)
    assert decide(it) == Start(1, hedge="rescue")


def test_a_makeshift_is_not_lost_by_a_timer_that_comes_late() -> None:
    """It costs nothing, and without it there would be nothing: the reserve is no reason to leave it."""
    quick = replace(MAKESHIFT, expected=Expected(0.03, 0.04, 0.05))
    for makeshift in (MAKESHIFT, quick):
        for late in (0.2, RESERVE / 2):
            it = situation(calling(), plans=(FIRST, makeshift), now=LATEST + late)
            assert decide(it) == Start(1, hedge="rescue")
            refused = failed(Verdict.REFUSED, at=LATEST)
            assert decide(situation(refused, plans=(FIRST, makeshift), now=LATEST + late)) == Start(1)
    it = situation(calling(), plans=(FIRST, quick), may_hedge=False)
    assert next_step(it) == at(LATEST - 0.03 - EARLIER, Start(1, hedge="rescue"))
    refused = failed(Verdict.REFUSED, at=LATEST)
    assert isinstance(decide(situation(refused, plans=(FIRST, MAKESHIFT), now=DEADLINE - 0.3)), GiveUp)


def test_a_makeshift_waits_for_a_pause_and_for_a_permit_of_what_was_asked_for() -> None:
    full = (replace(FIRST, has_room=False), MAKESHIFT)
    assert decide(situation(plans=full)) == Start(0)
    queued = replace(calling(), begun=None, queued=True)
    assert isinstance(decide(situation(queued, plans=full)), Wait)
    paused = failed(Verdict.QUOTA, at=101.0, retry_after=5.0)
    assert isinstance(decide(situation(paused, now=101.0, plans=(FIRST, MAKESHIFT))), Wait)
    refused = failed(Verdict.REFUSED, at=101.0)
    assert decide(situation(refused, now=101.0, plans=(FIRST, MAKESHIFT))) == Start(1)
