"""The one rule so far: what may be tried again, and when not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.policy import GiveUp, TryAgain, after_failure
from photochanger.domain.reasons import Reason
from photochanger.domain.window import Window

AGAIN = {Verdict.NO_IMAGE, Verdict.OVERLOADED, Verdict.TRANSPORT}
WINDOW = Window.of(100.0, 48.0)


@pytest.mark.parametrize("verdict", sorted(AGAIN))
def test_what_a_retry_can_help_is_tried_again_while_there_is_time(verdict: Verdict) -> None:
    assert after_failure(AttemptOutcome(verdict), 1, WINDOW, 110.0) == TryAgain(110.25)
    assert isinstance(after_failure(AttemptOutcome(verdict), 1, WINDOW, 146.4), GiveUp)


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - AGAIN - {Verdict.PICTURE}))
def test_nothing_else_is(verdict: Verdict) -> None:
    assert isinstance(after_failure(AttemptOutcome(verdict), 1, WINDOW, 100.0), GiveUp)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.REFUSED, Reason.PROVIDER_REFUSED),
        (Verdict.NO_IMAGE, Reason.PROVIDER_NO_IMAGE),
        (Verdict.QUOTA, Reason.PROVIDER_QUOTA),
        (Verdict.TIMEOUT, Reason.PROVIDER_TIMEOUT),
        (Verdict.REJECTED, Reason.PROVIDER_ERROR),
        (Verdict.BAD_ANSWER, Reason.PROVIDER_ERROR),
        (Verdict.BAD_PICTURE, Reason.PROVIDER_ERROR),
        (Verdict.STORAGE, Reason.STORAGE_UNAVAILABLE),
        (Verdict.CRASHED, Reason.INTERNAL_ERROR),
    ],
)
def test_each_kind_of_failure_has_its_reason(verdict: Verdict, reason: Reason) -> None:
    assert after_failure(AttemptOutcome(verdict), 9, WINDOW, 147.9) == GiveUp(reason)


@given(
    verdict=st.sampled_from(sorted(set(Verdict) - {Verdict.PICTURE})),
    attempts=st.integers(1, 50),
    now=st.floats(100.0, 160.0),
)
def test_a_retry_never_starts_where_it_cannot_end(verdict: Verdict, attempts: int, now: float) -> None:
    step = after_failure(AttemptOutcome(verdict), attempts, WINDOW, now)
    if isinstance(step, TryAgain):
        assert now < step.not_before < WINDOW.deadline - WINDOW.reserve
