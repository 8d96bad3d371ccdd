"""The breaker: what opens it, what lets a probe through, what closes it, and what an operator may force."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from photochanger.domain.breaker import MANUAL, Breaker, BreakerState, Force, Signal, Turn, signal_of
from photochanger.domain.outcome import Verdict


def call(breaker: Breaker, signal: Signal, now: float = 0.0, reason: str = "overloaded") -> bool:
    turn = breaker.begin(now)
    assert turn is not None
    return breaker.ended(turn, signal, now, reason=reason)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(5):
        call(breaker, Signal.ILL, now)
    assert not breaker.admits(now)
    return breaker


@pytest.mark.parametrize(
    ("verdict", "signal"),
    {
        Verdict.PICTURE: Signal.WELL,
        Verdict.NO_IMAGE: Signal.WELL,
        Verdict.REFUSED: Signal.WELL,
        Verdict.OVERLOADED: Signal.ILL,
        Verdict.TRANSPORT: Signal.ILL,
        Verdict.BAD_ANSWER: Signal.ILL,
        Verdict.TIMEOUT: Signal.ILL,
        Verdict.QUOTA: Signal.DOWN,
        Verdict.BAD_PICTURE: Signal.NEUTRAL,
        Verdict.REJECTED: Signal.NEUTRAL,
        Verdict.STORAGE: Signal.NEUTRAL,
        Verdict.CRASHED: Signal.NEUTRAL,
        Verdict.UNAFFORDABLE: Signal.NEUTRAL,
        Verdict.CANCELLED: Signal.NEUTRAL,
    }.items(),
)
def test_every_outcome_says_one_thing_of_the_provider(verdict: Verdict, signal: Signal) -> None:
    assert signal_of(verdict) is signal


def test_no_outcome_was_forgotten() -> None:
    assert {signal_of(verdict) for verdict in Verdict} == set(Signal)


def test_a_quota_that_comes_back_by_itself_is_no_illness() -> None:
    assert signal_of(Verdict.QUOTA, retry_after=3.0) is Signal.NEUTRAL


@pytest.mark.parametrize(
    ("cut_after", "p95", "signal"),
    [(9.0, 10.0, Signal.NEUTRAL), (10.0, 10.0, Signal.NEUTRAL), (10.1, 10.0, Signal.ILL), (10.1, None, Signal.NEUTRAL)],
)
def test_a_cancelled_call_was_ill_only_where_it_had_hung(cut_after: float, p95: float | None, signal: Signal) -> None:
    assert signal_of(Verdict.CANCELLED, cut_after=cut_after, p95=p95) is signal


def test_four_ill_calls_are_too_few_and_the_fifth_opens_it() -> None:
    breaker = Breaker()
    assert [call(breaker, Signal.ILL, 1.0) for _ in range(4)] == [False] * 4
    assert breaker.state(1.0) == BreakerState("closed", None, None, None, forced=False)
    assert call(breaker, Signal.ILL, 2.0, reason="timeout")
    assert breaker.state(2.0) == BreakerState("open", 2.0, 17.0, "timeout", forced=False)
    assert breaker.begin(16.9) is None


def test_less_than_half_ill_leaves_it_closed_and_half_opens_it() -> None:
    breaker = Breaker()
    for _ in range(6):
        call(breaker, Signal.WELL)
    assert [call(breaker, Signal.ILL) for _ in range(6)] == [False] * 5 + [True]


def test_a_good_call_never_opens_it() -> None:
    breaker = Breaker()
    for _ in range(4):
        call(breaker, Signal.ILL)
    assert not call(breaker, Signal.WELL)
    assert breaker.admits(0.0)


def test_what_is_older_than_the_window_counts_no_more() -> None:
    breaker = Breaker(window=60.0)
    for _ in range(4):
        call(breaker, Signal.ILL, 0.0)
    assert not call(breaker, Signal.ILL, 60.0)
    assert breaker.admits(60.0)


def test_neutral_calls_do_not_count() -> None:
    breaker = Breaker()
    for _ in range(100):
        call(breaker, Signal.NEUTRAL)
    for _ in range(4):
        call(breaker, Signal.ILL)
    assert breaker.admits(0.0)


def test_no_quota_opens_it_at_once() -> None:
    breaker = Breaker()
    assert call(breaker, Signal.DOWN, 3.0, reason="quota")
    assert breaker.state(3.0).reason == "quota"
    assert not breaker.admits(3.0)


def test_after_the_pause_one_probe_goes_at_a_time() -> None:
    breaker = opened()
    assert breaker.state(15.0) == BreakerState("half_open", 15.0, None, "overloaded", forced=False)
    probe = breaker.begin(15.0)
    assert probe is not None
    assert probe.probe
    assert breaker.begin(15.0) is None
    breaker.ended(probe, Signal.NEUTRAL, 16.0, reason="cancelled")
    assert breaker.begin(16.0) is not None


def test_a_good_probe_closes_it_and_the_past_is_forgotten() -> None:
    breaker = opened()
    assert call(breaker, Signal.WELL, 15.0)
    assert breaker.state(15.0) == BreakerState("closed", 15.0, None, None, forced=False)
    for _ in range(4):
        call(breaker, Signal.ILL, 15.0)
    assert breaker.admits(15.0)
    call(breaker, Signal.ILL, 15.0)
    assert breaker.state(15.0).until == 30.0  # the pause is the first one again


def test_every_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(6):
        until = breaker.state(now).until
        assert until is not None
        pauses.append(until - now)
        now = until
        assert call(breaker, Signal.ILL, now)
    assert pauses == [15.0, 30.0, 60.0, 120.0, 120.0, 120.0]


@pytest.mark.parametrize("signal", [Signal.WELL, Signal.ILL, Signal.DOWN])
def test_a_call_from_before_the_change_is_not_asked(signal: Signal) -> None:
    breaker = Breaker()
    old = breaker.begin(0.0)
    assert old is not None
    for _ in range(5):
        call(breaker, Signal.ILL, 1.0)
    before = breaker.state(20.0)
    assert not breaker.ended(old, signal, 20.0, reason="timeout")
    assert breaker.state(20.0) == before
    probe = breaker.begin(20.0)
    assert probe is not None


def test_a_call_ends_once() -> None:
    breaker = Breaker()
    turn = breaker.begin(0.0)
    assert turn is not None
    for _ in range(10):
        breaker.ended(turn, Signal.ILL, 0.0, reason="overloaded")
    assert breaker.admits(0.0)


def test_an_operator_opens_it_until_the_operator_says_otherwise() -> None:
    breaker = Breaker()
    assert breaker.force("open", 5.0)
    assert not breaker.force("open", 6.0)
    assert breaker.state(1e9) == BreakerState("open", 5.0, None, MANUAL, forced=True)
    assert breaker.begin(1e9) is None
    assert breaker.force(None, 7.0)
    assert breaker.admits(7.0)


def test_an_operator_closes_it_whatever_the_calls_say() -> None:
    breaker = opened()
    breaker.force("closed", 1.0)
    for _ in range(20):
        assert not call(breaker, Signal.DOWN, 1.0)
    assert breaker.state(1.0) == BreakerState("closed", 1.0, None, None, forced=True)
    breaker.force(None, 2.0)
    assert breaker.admits(2.0)


class Life(RuleBasedStateMachine):
    """Calls begin and end in any order, time passes, an operator interferes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker()
        self.turns: list[Turn] = []
        self.forced: Force | None = None
        self.ill_since_closed = 0

    @rule(calls=st.integers(1, 8))
    def begin(self, calls: int) -> None:
        for _ in range(calls):
            admitted = self.breaker.admits(self.now)
            state = self.breaker.state(self.now).state
            turn = self.breaker.begin(self.now)
            assert (turn is not None) is admitted
            if turn is not None:
                assert state != "open"
                assert turn.probe is (state == "half_open")
                assert not turn.probe or all(other.epoch != turn.epoch for other in self.turns), "two probes"
                self.turns.append(turn)

    @precondition(lambda self: self.turns)
    @rule(data=st.data(), signal=st.sampled_from(Signal))
    def end(self, data: st.DataObject, signal: Signal) -> None:
        turn = self.turns.pop(data.draw(st.integers(0, len(self.turns) - 1)))
        before = self.breaker.state(self.now)
        changed = self.breaker.ended(turn, signal, self.now, reason="ill")
        after = self.breaker.state(self.now)
        assert changed is (before != after)
        if signal is Signal.NEUTRAL:
            assert before == after
        if before.state == "closed" and signal is Signal.WELL:
            assert not changed
        if before.state == "half_open" and turn.probe and changed:
            assert after.state == ("closed" if signal is Signal.WELL else "open")
        if before.state == "open":
            assert not changed
        if before.state == "closed" and changed:
            assert self.ill_since_closed >= 4 or signal is Signal.DOWN
        self.ill_since_closed = 0 if changed else self.ill_since_closed + (signal is Signal.ILL)

    @rule(signal=st.sampled_from([Signal.ILL, Signal.DOWN]))
    def five_ill_calls_open_it(self, signal: Signal) -> None:
        while self.forced is None and (turn := self.breaker.begin(self.now)) is not None and not turn.probe:
            self.breaker.ended(turn, signal, self.now, reason="ill")
        if self.forced is None and turn is not None:
            self.breaker.ended(turn, Signal.NEUTRAL, self.now, reason="not sent")
        self.ill_since_closed = 0

    @rule(seconds=st.sampled_from([0.1, 1.0, 14.9, 15.0, 30.0, 61.0, 121.0]))
    def time_makes_nothing_worse(self, seconds: float) -> None:
        admitted = self.breaker.admits(self.now)
        self.now += seconds
        assert self.breaker.admits(self.now) >= admitted

    @rule(position=st.sampled_from(["open", "closed", None]))
    def force(self, position: Force | None) -> None:
        assert self.breaker.force(position, self.now) is (position != self.forced)
        self.forced = position
        self.ill_since_closed = 0

    @invariant()
    def a_forced_state_wins(self) -> None:
        state = self.breaker.state(self.now)
        assert state.forced is (self.forced is not None)
        if self.forced is not None:
            assert state.state == self.forced
            assert self.breaker.admits(self.now) is (self.forced == "closed")

    @invariant()
    def it_never_admits_while_it_is_open(self) -> None:
        state = self.breaker.state(self.now)
        if state.state == "open":
            assert not self.breaker.admits(self.now)
            assert state.until is None or self.now < state.until <= self.now + 120.0
        if state.state == "closed":
            assert self.breaker.admits(self.now)

    @invariant()
    def it_always_comes_back(self) -> None:
        if self.forced is None and not any(turn.probe for turn in self.turns):
            assert self.breaker.admits(self.now + 120.0)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
