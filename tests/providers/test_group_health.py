"""What a group learns from its calls: how long they take, and whether its provider is well."""

from functools import partial

import pytest
import trio
import trio.testing

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal, StorageUnavailable
from photochanger.providers.group import ENOUGH
from tests.jobs.workbench import SaidDriver, giving
from tests.providers.calls import COLD, OVERLOADED, PICTURE, a_group, once, taking


async def test_a_provider_that_is_ill_is_left_alone_then_probed_then_asked_again(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    group = a_group(giving(OVERLOADED))
    assert isinstance(group.driver, SaidDriver)
    for _ in range(5):
        assert await once(group) == OVERLOADED
    assert "the breaker is open now (overloaded)" in caplog.text

    async def begin() -> None:
        pytest.fail("nothing is booked for a call that is not made")

    with pytest.raises(Refusal) as refused:
        await once(group, begin=begin)
    assert refused.value.reason is Reason.PROVIDER_UNAVAILABLE
    assert (len(group.driver.calls), group.permits.in_use("live")) == (5, 0)
    await trio.sleep(15)
    group.driver.doing = giving(PICTURE)
    assert await once(group) == PICTURE
    assert group.breaker.state(trio.current_time()).state == "closed"
    assert await once(group) == PICTURE


async def test_a_probe_that_was_not_made_makes_room_for_the_next(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(giving(AttemptOutcome(Verdict.QUOTA)))
    await once(group)  # none left at all: open at once
    await trio.sleep(15)

    async def fail() -> None:
        raise StorageUnavailable("no room")

    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await once(group, begin=fail)
    assert group.breaker.admits(trio.current_time())
    with trio.move_on_after(1):
        await once(group, begin=trio.sleep_forever)
    assert group.breaker.admits(trio.current_time())


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.NO_IMAGE, Verdict.STORAGE, Verdict.REJECTED])
async def test_what_says_nothing_of_its_health_opens_nothing(
    autojump_clock: trio.testing.MockClock, verdict: Verdict
) -> None:
    group = a_group(giving(AttemptOutcome(verdict)))
    for _ in range(10):
        await once(group)
    assert group.breaker.admits(trio.current_time())


async def test_pictures_tell_what_the_next_one_takes(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(2))
    assert (group.expected({}), group.measured({})) == (COLD, False)
    for number in range(ENOUGH):
        assert not group.measured({}), number
        await once(group)
    assert group.measured({})
    assert group.expected({}).p95 == pytest.approx(2.0, abs=0.1)
    assert group.latencies().keys() == {"one"}


async def test_each_model_takes_its_own_time(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(2))
    for _ in range(ENOUGH):
        await once(group, settings={"model": "quick"})
    assert (group.measured({"model": "quick"}), group.measured({"model": "slow"})) == (True, False)
    assert group.expected({"model": "slow"}) == COLD


async def test_the_wait_for_a_permit_is_no_service_time(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(2), live=1)
    async with trio.open_nursery() as nursery:
        await nursery.start(group.run)
        async with trio.open_nursery() as calls:
            for _ in range(ENOUGH):
                calls.start_soon(once, group)
        nursery.cancel_scope.cancel()
    assert group.expected({}).p95 == pytest.approx(2.0, abs=0.1)


async def test_quick_failures_do_not_make_a_provider_look_quick(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(giving(AttemptOutcome(Verdict.REFUSED)))
    for _ in range(20):
        await once(group)
    assert (group.expected({}), group.measured({})) == (COLD, False)


@pytest.mark.parametrize("own_timeout", [True, False])
async def test_calls_that_were_cut_off_took_at_least_so_long(
    autojump_clock: trio.testing.MockClock, own_timeout: bool
) -> None:
    seconds = 40.0
    group = a_group(taking(seconds, AttemptOutcome(Verdict.TIMEOUT)) if own_timeout else taking(1000))
    for _ in range(4):
        with trio.move_on_after(1000 if own_timeout else seconds):
            await once(group)
    assert group.expected({}).p95 == pytest.approx(seconds, abs=0.1)
    assert not group.measured({})
    assert (group.running, group.permits.in_use("live")) == (0, 0)


async def test_calls_that_hung_until_they_were_cut_off_open_the_breaker(
    autojump_clock: trio.testing.MockClock,
) -> None:
    group = a_group(taking(2))
    for _ in range(ENOUGH):
        await once(group)
    assert isinstance(group.driver, SaidDriver)
    group.driver.doing = taking(1000)
    for _ in range(20):
        if not group.breaker.admits(trio.current_time()):
            break
        with trio.move_on_after(10):  # five times as long as usual
            await once(group)
    assert not group.breaker.admits(trio.current_time())


async def test_calls_that_hang_tell_before_they_end(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1000), live=5)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as calls:
            for _ in range(5):
                calls.start_soon(once, group)
            await trio.sleep(COLD.p95 - 0.1)
            assert group.admits()
            await trio.sleep(0.2)
            assert not group.admits()
            assert not group.admits()  # each call counts once
            assert group.breaker.state(trio.current_time()).reason == "hung"
            scope.cancel()
    assert (group.running, group.permits.in_use("live")) == (0, 0)


async def test_calls_that_were_cut_off_early_do_not(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(2))
    for _ in range(20):
        with trio.move_on_after(1):
            await once(group)
    assert group.breaker.admits(trio.current_time())


@pytest.mark.parametrize("outcome", [AttemptOutcome(Verdict.QUOTA), OVERLOADED, AttemptOutcome(Verdict.TIMEOUT)])
async def test_what_a_test_comes_to_opens_nothing(
    autojump_clock: trio.testing.MockClock, outcome: AttemptOutcome
) -> None:
    group = a_group(giving(outcome))
    for _ in range(10):
        assert await once(group, live=False) == outcome
    assert group.breaker.admits(trio.current_time())
    assert (group.running, group.permits.in_use("live")) == (0, 0)


async def test_how_long_a_test_takes_is_not_learnt(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(30))
    for _ in range(ENOUGH):
        await once(group, live=False)
        with trio.move_on_after(20):
            await once(group, live=False)
    assert (group.expected({}), group.measured({})) == (COLD, False)


async def test_tests_that_hang_tell_nothing(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1000), live=5)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as calls:
            for _ in range(5):
                calls.start_soon(partial(once, group, live=False))
            await trio.sleep(COLD.p95 + 1)
            assert (group.running, group.idle) == (5, True)
            assert group.admits()
            scope.cancel()
    assert group.breaker.admits(trio.current_time())
    assert (group.running, group.permits.in_use("live")) == (0, 0)


async def test_a_test_goes_by_the_breaker_and_is_no_probe(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(giving(AttemptOutcome(Verdict.QUOTA)))
    assert isinstance(group.driver, SaidDriver)
    await once(group)
    with pytest.raises(Refusal) as refused:
        await once(group, live=False)
    assert refused.value.reason is Reason.PROVIDER_UNAVAILABLE
    await trio.sleep(15)
    group.driver.doing = taking(20)
    async with trio.open_nursery() as calls:
        calls.start_soon(partial(once, group, live=False))
        await trio.testing.wait_all_tasks_blocked()
        assert (group.running, group.breaker.state(trio.current_time()).state) == (1, "half_open")
        group.driver.doing = giving(PICTURE)
        assert await once(group) == PICTURE  # a guest need not wait for the test to find out
        assert group.breaker.state(trio.current_time()).state == "closed"
        group.driver.doing = giving(AttemptOutcome(Verdict.QUOTA))
        await once(group)
        await trio.sleep(15)
    assert group.breaker.state(trio.current_time()).state == "half_open"
    await once(group, live=False)
    assert group.breaker.state(trio.current_time()).state == "half_open"
