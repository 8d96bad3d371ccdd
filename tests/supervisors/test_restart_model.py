"""Random supervisors against the model: every start of every child at the predicted time, the predicted end."""

import itertools
import logging
from dataclasses import replace

import pytest
import trio
from hypothesis import event, given, settings
from hypothesis import strategies as st

from supervisors import Backoff, BootFailed, Strategy, Supervisor, SupervisorFailed
from tests.supervisors.lab import FOREVER, Diary, Script, Scripted, Steps, run_mock
from tests.supervisors.model import Outcome, Plan, predict

BACKOFF = Backoff(first=0.71, factor=2.03, max=7.9, jitter=0, reset_after=11.3)
PARK = Backoff(first=17.9, factor=1.51, max=47.3, jitter=0, reset_after=23.1)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> object:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def durations(low: int, high: int, grain: float) -> st.SearchStrategy[float]:
    """Seconds that are unlikely to add up to the same time by two ways."""
    return st.integers(low, high).flatmap(
        lambda whole: st.floats(0.001, 0.999).map(lambda part: (whole + part) * grain)
    )


scripts = st.builds(
    Script,
    start=durations(0, 4, 1.0) | st.just(FOREVER),
    start_ends=st.sampled_from(["up"] * 8 + ["crash", "return"]),
    up=durations(0, 5, 1.0) | durations(0, 30, 1.0) | st.just(FOREVER),
    ends=st.sampled_from(["crash", "crash", "finish"]),
)
first_scripts = st.builds(
    Script,
    start=durations(0, 2, 1.0),
    start_ends=st.sampled_from(["up"] * 19 + ["crash"]),
    up=durations(0, 5, 1.0) | durations(0, 30, 1.0) | st.just(FOREVER),
    ends=st.sampled_from(["crash", "crash", "finish"]),
)


@st.composite
def supervisors(draw: st.DrawFn) -> tuple[list[Plan], Strategy]:
    strategy: Strategy = draw(st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"]))
    plans = [
        Plan(
            name=f"child-{number}",
            restart=draw(st.sampled_from(["permanent", "permanent", "transient", "temporary"])),
            scripts=(draw(first_scripts), *draw(st.lists(scripts, max_size=5))),
            start_timeout=draw(durations(3, 6, 1.0)),
            park=strategy == "one_for_one" and draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    return [unlike_others(plan, number) for number, plan in enumerate(plans)], strategy


def unlike_others(plan: Plan, number: int) -> Plan:
    """Its times a little longer, each by a share of its own: simple numbers, which are drawn often, add up to the same
    moment by two ways, and of two things at one moment either may come first."""
    shares = (1 + 1e-4 * (place * 0.6180339887 % 1) for place in itertools.count(1 + 40 * number))
    scripts = tuple(
        replace(script, start=script.start * next(shares), up=script.up * next(shares)) for script in plan.scripts
    )
    return replace(plan, scripts=scripts, start_timeout=plan.start_timeout * next(shares))


def observe(plans: list[Plan], strategy: Strategy, intensity: int, period: float, stop_at: float) -> Outcome:
    diary = Diary()
    children = {plan.name: Scripted(plan.name, diary, plan.scripts) for plan in plans}
    root = Supervisor(
        "root",
        [
            children[plan.name].child(restart=plan.restart, start_timeout=plan.start_timeout, park=plan.park)
            for plan in plans
        ],
        strategy=strategy,
        intensity=intensity,
        period=period,
        backoff=BACKOFF,
        park_backoff=PARK,
    )
    steps = Steps()

    async def main() -> Outcome:
        ended, culprit = "stopped", ""
        before = len(steps.tasks)
        with trio.CancelScope() as timer:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop, nursery.cancel_scope)
                try:
                    await root.run()
                except BootFailed as error:
                    ended, culprit = "boot failed", error.child
                except SupervisorFailed as error:
                    ended, culprit = "too many restarts", error.child
                at = trio.current_time()
                nursery.cancel_scope.cancel()
        assert not timer.cancelled_caught
        assert len(steps.tasks) == before
        assert not diary.running
        for seen, plan in zip(root.snapshot().children, plans, strict=True):
            assert seen.restarts == max(len(diary.begins(plan.name)) - 1, 0)
            assert seen.state in ("stopped", "finished", "failed", "waiting")
        return Outcome({plan.name: diary.begins(plan.name) for plan in plans}, ended, culprit, at)  # type: ignore[arg-type]

    async def stop(scope: trio.CancelScope) -> None:
        await trio.sleep(stop_at)
        root.request_stop()

    return run_mock(main, steps)


@settings(max_examples=400, deadline=None)
@given(
    supervisor=supervisors(),
    intensity=st.integers(0, 15),
    period=durations(5, 60, 1.0),
    stop_at=durations(1, 20, 1.0) | durations(40, 150, 1.0),
)
def test_starts_restarts_parking_and_escalation_are_exactly_those_predicted(
    supervisor: tuple[list[Plan], Strategy], intensity: int, period: float, stop_at: float
) -> None:
    plans, strategy = supervisor
    expected = predict(plans, strategy, intensity, period, BACKOFF, PARK, stop_at)
    event(f"{expected.ended}")
    event(f"restarts: {min(sum(max(len(begins) - 1, 0) for begins in expected.begins.values()), 10)}")
    seen = observe(plans, strategy, intensity, period, stop_at)
    assert (seen.ended, seen.culprit) == (expected.ended, expected.culprit)
    assert seen.at == pytest.approx(expected.at)
    for name, begins in expected.begins.items():
        assert seen.begins[name] == pytest.approx(begins)
