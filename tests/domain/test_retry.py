"""How often and when the same request may be sent again."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.retry import LONGEST_PAUSE, PAUSE, TRIES_PER_PLAN, again, pause_before, tries_left, weight_of

verdicts = st.sampled_from(list(Verdict))
outcomes = st.builds(
    AttemptOutcome,
    verdict=verdicts,
    retry_after=st.none() | st.floats(0, 120),
    again=st.none() | st.integers(0, 3),
)


@pytest.mark.parametrize(
    ("outcome", "more"),
    [
        (AttemptOutcome(Verdict.NO_IMAGE), TRIES_PER_PLAN),
        (AttemptOutcome(Verdict.OVERLOADED), TRIES_PER_PLAN),
        (AttemptOutcome(Verdict.TRANSPORT), TRIES_PER_PLAN),
        (AttemptOutcome(Verdict.QUOTA, retry_after=3.0), TRIES_PER_PLAN),
        (AttemptOutcome(Verdict.QUOTA, retry_after=0.0), TRIES_PER_PLAN),
        (AttemptOutcome(Verdict.QUOTA), 0),
        (AttemptOutcome(Verdict.REFUSED, retry_after=3.0), 0),
        (AttemptOutcome(Verdict.NO_IMAGE, again=2), 2),
        (AttemptOutcome(Verdict.OVERLOADED, again=0), 0),
        (AttemptOutcome(Verdict.REFUSED, again=1), 1),
    ],
)
def test_a_provider_knows_better_than_its_verdict(outcome: AttemptOutcome, more: int) -> None:
    assert again(outcome) == more


@pytest.mark.parametrize(
    "verdict", sorted(set(Verdict) - {Verdict.NO_IMAGE, Verdict.OVERLOADED, Verdict.TRANSPORT, Verdict.QUOTA})
)
def test_a_judgement_is_final(verdict: Verdict) -> None:
    assert again(AttemptOutcome(verdict)) == 0
    assert tries_left([AttemptOutcome(verdict)]) == 0


def test_tries_are_counted_down() -> None:
    stop = AttemptOutcome(Verdict.NO_IMAGE, again=1)
    chance = AttemptOutcome(Verdict.OVERLOADED)
    assert tries_left([]) == TRIES_PER_PLAN
    assert tries_left([chance]) == TRIES_PER_PLAN - 1
    assert tries_left([stop]) == 1
    assert tries_left([stop, stop]) == 0
    assert tries_left([stop, chance]) == 0  # its one more try is used up, whatever came of it
    assert tries_left([chance] * TRIES_PER_PLAN) == 0


@given(st.lists(outcomes, max_size=12))
def test_each_failure_leaves_fewer_tries_than_the_one_before(failures: list[AttemptOutcome]) -> None:
    counted = [tries_left(failures[:number]) for number in range(len(failures) + 1)]
    assert all(after < before for before, after in pairwise(counted))
    assert all(left <= again(last) for left, last in zip(counted[1:], failures, strict=True))


def test_pauses_grow_up_to_a_bound_and_are_never_shorter_than_asked_for() -> None:
    chance = AttemptOutcome(Verdict.OVERLOADED)
    assert [pause_before(chance, failures) for failures in range(1, 7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]
    assert (PAUSE, LONGEST_PAUSE) == (0.25, 4.0)
    asked = AttemptOutcome(Verdict.QUOTA, retry_after=3.0)
    assert [pause_before(asked, failures) for failures in (1, 4, 5)] == [3.0, 3.0, 4.0]


@given(verdicts)
def test_chance_speaks_half_as_much_against_a_provider(verdict: Verdict) -> None:
    assert weight_of(AttemptOutcome(verdict)) == (1 if verdict is Verdict.NO_IMAGE else 2)
