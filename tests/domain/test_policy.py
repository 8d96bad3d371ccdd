"""The policy by tables: what is started, when, and why there is no picture."""

from dataclasses import replace
from typing import Any

import pytest

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.policy import decide
from photochanger.domain.reasons import Reason
from photochanger.domain.situation import GiveUp, LastResort, PlanNow, Settle, Situation, Start, Step, Try, Wait
from tests.domain.situations import (
    DEADLINE,
    FIRST,
    FULL,
    LATEST,
    RESERVE,
    SECOND,
    alone,
    calling,
    failed,
    queued,
    situation,
)

CHANCE = {Verdict.NO_IMAGE, Verdict.OVERLOADED, Verdict.TRANSPORT}
REAL = set(Verdict) - CHANCE - {Verdict.PICTURE, Verdict.STORAGE}
VERIFIED = Try(1, 101.0, 109.0, AttemptOutcome(Verdict.PICTURE), verified=True)


def test_the_first_plan_begins_at_once() -> None:
    assert decide(situation()) == Start(0)


@pytest.mark.parametrize(
    "it",
    [
        situation(calling(), VERIFIED, now=110.0),
        situation(failed(Verdict.REFUSED), VERIFIED, now=DEADLINE - 0.1, lead=1.0),
        situation(calling(), VERIFIED, now=150.0, first=None, last=None, settle_by=200.0),
        situation(failed(Verdict.STORAGE), VERIFIED, plans=(replace(FIRST, admitted=False), SECOND)),
    ],
    ids=["beside a running call", "when the last resort is due", "when nobody waits", "when nothing else would go"],
)
def test_a_verified_picture_is_the_answer(it: Situation) -> None:
    assert decide(it) == Settle(1)


@pytest.mark.parametrize("verdict", sorted(CHANCE))
def test_what_was_chance_is_tried_again_after_a_pause(verdict: Verdict) -> None:
    assert decide(alone(failed(verdict), now=110.0)) == Wait(110.25)
    assert decide(alone(failed(verdict), now=110.25)) == Start(0)
    assert decide(alone(failed(verdict), failed(verdict, at=111.0), now=111.25)) == Wait(111.5)


@pytest.mark.parametrize("verdict", sorted(REAL | {Verdict.STORAGE}))
def test_what_was_a_judgement_is_not(verdict: Verdict) -> None:
    for now in (110.0, 111.0, 140.0):
        assert isinstance(decide(alone(failed(verdict), now=now)), GiveUp)


@pytest.mark.parametrize("verdict", sorted(REAL | {Verdict.OVERLOADED, Verdict.TRANSPORT}))
def test_after_a_real_failure_the_next_plan_goes_at_once(verdict: Verdict) -> None:
    assert decide(situation(failed(verdict), now=110.0)) == Start(1)


def test_no_image_is_asked_of_the_same_plan_once_more_first() -> None:
    once = failed(Verdict.NO_IMAGE)
    assert decide(situation(once, now=110.0)) == Wait(110.25)
    assert decide(situation(once, now=110.25)) == Start(0)
    assert decide(situation(once, failed(Verdict.NO_IMAGE, at=115.0), now=115.0)) == Start(1)


def test_a_plan_comes_back_when_the_others_have_failed_more() -> None:
    it = situation(failed(Verdict.OVERLOADED), failed(Verdict.REFUSED, plan=1, at=112.0), now=112.0)
    assert decide(it) == Start(0)


def test_with_our_own_disk_full_nobody_is_asked_again() -> None:
    assert decide(situation(failed(Verdict.STORAGE), now=110.0)) == GiveUp(Reason.STORAGE_UNAVAILABLE)


@pytest.mark.parametrize(
    ("verdict", "more"),
    [(Verdict.NO_IMAGE, 2), (Verdict.NO_IMAGE, 1), (Verdict.REFUSED, 1), (Verdict.QUOTA, 1), (Verdict.REFUSED, 0)],
)
def test_the_provider_says_how_often_more(verdict: Verdict, more: int) -> None:
    tries: list[Try] = []
    for _ in range(more + 1):
        assert decide(alone(*tries, now=130.0)) == Start(0)
        tries.append(failed(verdict, at=101.0 + len(tries), again=more))
    assert isinstance(decide(alone(*tries, now=130.0)), GiveUp)


@pytest.mark.parametrize("verdict", [Verdict.QUOTA, Verdict.OVERLOADED])
def test_the_provider_says_when_again(verdict: Verdict) -> None:
    told = failed(verdict, retry_after=7.0)
    assert decide(alone(told, now=110.0)) == Wait(117.0)
    assert decide(alone(told, now=117.0)) == Start(0)
    assert decide(situation(told, now=110.0)) == Start(1)  # another one need not be waited for


def test_a_delay_that_does_not_fit_is_not_waited_for() -> None:
    told = failed(Verdict.QUOTA, retry_after=26.6)  # 136.6 + 10 > 146.5
    assert decide(alone(told, now=110.0)) == GiveUp(Reason.PROVIDER_QUOTA)
    assert decide(alone(replace(told, outcome=AttemptOutcome(Verdict.QUOTA, retry_after=26.4)), now=110.0)) == Wait(
        136.4
    )


@pytest.mark.parametrize("guess", [True, False])
def test_nothing_starts_that_cannot_be_done_in_time(guess: bool) -> None:
    """What was measured must fit as often as not; while there is only a guess, there must be some time left."""
    latest = LATEST if guess else LATEST - FIRST.expected.p50
    plan, retry = replace(FIRST, measured=not guess), failed(Verdict.NO_IMAGE)
    for tries in ((), (retry,)):
        assert decide(alone(*tries, plan=plan, now=latest - 0.01)) == Start(0)
        assert isinstance(decide(alone(*tries, plan=plan, now=latest)), GiveUp)


def test_a_provider_that_nobody_asks_gets_a_photo_also_when_it_was_slow() -> None:
    slow = PlanNow(Expected(60.0, 80.0, 90.0), idle=True)
    assert decide(alone(plan=slow)) == Start(0)
    assert decide(alone(plan=replace(slow, idle=False))) == GiveUp(Reason.PROVIDER_TIMEOUT)
    assert isinstance(decide(alone(failed(Verdict.NO_IMAGE), plan=slow, now=111.0)), GiveUp)


def test_the_longest_window_of_those_who_wait_counts_for_a_start_the_shortest_for_a_hedge() -> None:
    assert decide(alone(failed(Verdict.NO_IMAGE), now=147.0, last=190.0)) == Start(0)
    late = situation(calling(), now=LATEST - SECOND.expected.p90, last=190.0, may_hedge_early=False)
    assert decide(late) == Start(1, hedge="rescue")
    assert isinstance(decide(replace(late, first=190.0)), Wait)


@pytest.mark.parametrize("change", [{"admitted": False}, {"affordable": False}, {"impossible": Reason.PROVIDER_ERROR}])
def test_who_cannot_be_asked_is_passed_over(change: dict[str, object]) -> None:
    cannot = replace(FIRST, **change)  # type: ignore[arg-type]
    assert decide(situation(plans=(cannot, SECOND))) == Start(1)
    assert decide(situation(failed(Verdict.NO_IMAGE), now=112.0, plans=(cannot, SECOND))) == Start(1)
    assert isinstance(decide(situation(plans=(cannot, cannot))), GiveUp)


def test_a_full_provider_is_queued_for_only_when_no_other_has_room() -> None:
    assert decide(situation(plans=(FULL, SECOND))) == Start(1)
    assert decide(situation(plans=(FULL, replace(SECOND, has_room=False)))) == Start(0)


def test_of_two_delays_the_shorter_one_is_waited_for() -> None:
    long, short = failed(Verdict.QUOTA, retry_after=20.0), failed(Verdict.QUOTA, plan=1, retry_after=7.0)
    assert decide(situation(long, short, now=110.0)) == Wait(117.0)
    assert decide(situation(long, short, now=117.0)) == Start(1)


def test_who_waits_for_a_permit_goes_where_one_is_free() -> None:
    assert decide(situation(queued(), now=105.0, plans=(FULL, SECOND))) == Start(1, instead=0)
    for second in (replace(SECOND, has_room=False), replace(SECOND, affordable=False)):
        assert decide(situation(queued(), now=105.0, plans=(FULL, second))) == Wait(105.5)


def test_but_not_back_to_where_it_failed_twice() -> None:
    failures = failed(Verdict.OVERLOADED, plan=1, at=101.0), failed(Verdict.OVERLOADED, plan=1, at=102.0)
    assert decide(situation(*failures, queued(), now=105.0, plans=(FULL, SECOND))) == Wait(105.5)
    ill = replace(FULL, admitted=False)
    assert decide(situation(*failures, queued(), now=105.0, plans=(ill, SECOND))) == Start(1, instead=2)


def test_who_has_a_permit_and_is_being_booked_stays() -> None:
    assert isinstance(decide(situation(Try(0, None), now=100.1)), Wait)


def test_a_permit_that_would_come_too_late_is_not_waited_for() -> None:
    too_late = LATEST - FIRST.expected.p50
    assert decide(alone(queued(), now=too_late - 0.1)) == Wait(too_late)
    assert decide(alone(queued(), now=too_late)) == GiveUp(Reason.PROVIDER_TIMEOUT)


def test_whoever_takes_over_from_a_queue_has_his_pause_first() -> None:
    too_late = LATEST - FIRST.expected.p50
    quick = replace(SECOND, expected=Expected(0.3, 0.6, 1.0))
    told = failed(Verdict.QUOTA, plan=1, at=too_late - 1.0, retry_after=3.0)
    assert decide(situation(told, queued(), now=too_late, plans=(FULL, quick))) == Wait(too_late + 2.0)
    assert decide(situation(told, queued(), now=too_late + 2.0, plans=(FULL, quick))) == Start(1, instead=1)


def test_when_nobody_waits_what_runs_goes_on_and_nothing_begins() -> None:
    late: dict[str, Any] = {"first": None, "last": None, "settle_by": 260.0}
    assert decide(situation(calling(), now=150.0, **late)) == Wait(260.0)
    for tries in ((), (failed(Verdict.NO_IMAGE),), (replace(calling(), stopping=True),)):
        assert isinstance(decide(situation(*tries, now=150.0, **late)), GiveUp)


def test_the_last_resort_leaves_its_lead_before_each_deadline() -> None:
    it = situation(calling(), now=140.0, may_hedge=False, lead=0.5)
    assert decide(it) == Wait(DEADLINE - 0.5)
    assert decide(replace(it, now=DEADLINE - 0.5)) == LastResort(DEADLINE)
    joined = replace(it, last=190.0, settle_by=190.0)
    assert decide(replace(joined, now=DEADLINE - 0.5)) == LastResort(DEADLINE)
    assert decide(replace(joined, first=190.0, now=DEADLINE - 0.5)) == Wait(189.5)
    assert decide(replace(it, lead=None)) == Wait(DEADLINE)  # it is not ready yet


@pytest.mark.parametrize("tries", [(), (failed(Verdict.NO_IMAGE),), (queued(),)], ids=["start", "retry", "give up"])
def test_it_goes_before_everything_else(tries: tuple[Try, ...]) -> None:
    assert decide(alone(*tries, now=DEADLINE - 0.4, lead=0.5)) == LastResort(DEADLINE)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.NO_IMAGE, Reason.PROVIDER_NO_IMAGE),
        (Verdict.REFUSED, Reason.PROVIDER_REFUSED),
        (Verdict.REJECTED, Reason.PROVIDER_ERROR),
        (Verdict.QUOTA, Reason.PROVIDER_QUOTA),
        (Verdict.OVERLOADED, Reason.PROVIDER_ERROR),
        (Verdict.TRANSPORT, Reason.PROVIDER_ERROR),
        (Verdict.BAD_ANSWER, Reason.PROVIDER_ERROR),
        (Verdict.BAD_PICTURE, Reason.PROVIDER_ERROR),
        (Verdict.STORAGE, Reason.STORAGE_UNAVAILABLE),
        (Verdict.TIMEOUT, Reason.PROVIDER_TIMEOUT),
        (Verdict.CANCELLED, Reason.PROVIDER_TIMEOUT),
        (Verdict.UNAVAILABLE, Reason.PROVIDER_UNAVAILABLE),
        (Verdict.UNAFFORDABLE, Reason.BUDGET_EXHAUSTED),
        (Verdict.CRASHED, Reason.INTERNAL_ERROR),
    ],
)
def test_each_kind_of_failure_has_its_reason(verdict: Verdict, reason: Reason) -> None:
    assert decide(alone(failed(verdict), now=LATEST)) == GiveUp(reason)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"admitted": False}, {"admitted": False}, Reason.PROVIDER_UNAVAILABLE),
        ({"affordable": False}, {"affordable": False}, Reason.BUDGET_EXHAUSTED),
        ({"affordable": False}, {"admitted": False}, Reason.PROVIDER_UNAVAILABLE),
        ({"impossible": Reason.PROVIDER_ERROR}, {"affordable": False}, Reason.BUDGET_EXHAUSTED),
        ({"impossible": Reason.PROVIDER_UNAVAILABLE}, {"admitted": False}, Reason.PROVIDER_UNAVAILABLE),
        ({"impossible": Reason.PROVIDER_ERROR}, {"impossible": Reason.PROVIDER_UNAVAILABLE}, Reason.PROVIDER_ERROR),
    ],
)
def test_so_has_not_asking(first: dict[str, object], second: dict[str, object], reason: Reason) -> None:
    plans = (replace(FIRST, **first), replace(SECOND, **second))  # type: ignore[arg-type]
    assert decide(situation(plans=plans)) == GiveUp(reason)


def test_the_reason_is_what_was_said_last_and_not_that_somebody_was_cut_off() -> None:
    said = (failed(Verdict.QUOTA), failed(Verdict.REFUSED, plan=1), failed(Verdict.CANCELLED))
    assert decide(situation(*said, now=147.0)) == GiveUp(Reason.PROVIDER_REFUSED)


@pytest.mark.parametrize("now", [DEADLINE - 0.001, DEADLINE, DEADLINE + 0.2])
def test_a_wait_always_ends_later(now: float) -> None:
    step: Step = decide(situation(calling(), now=now, may_hedge=False))
    assert isinstance(step, Wait)
    assert step.until > now


def test_the_reserve_is_kept_free() -> None:
    guess = replace(FIRST, measured=False)
    assert isinstance(decide(alone(plan=guess, now=LATEST)), GiveUp)
    assert decide(alone(plan=guess, now=LATEST, reserve=RESERVE / 2)) == Start(0)
