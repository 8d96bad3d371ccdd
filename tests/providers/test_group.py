"""A provider's group: who gets a permit, who is sent out of the late room, and how a call is made."""

from functools import partial

import pytest
import trio
import trio.testing

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal, StorageUnavailable
from photochanger.providers.base import Call
from photochanger.providers.group import MAILBOX
from tests.jobs.workbench import SaidDriver, giving
from tests.providers.calls import PICTURE, a_group, asked, call, nothing, once, taking


async def test_permits_are_given_out_then_places_then_nothing(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=2)
    requests = [asked(group) for _ in range(2)]
    assert all(request.granted for request in requests)
    requests += [asked(group) for _ in range(MAILBOX)]
    assert not requests[-1].granted
    assert group.ask("slot-001", float("inf")) is None
    for request in requests:
        request.withdraw()
    assert group.permits.in_use("live") == 0


async def test_a_hedge_takes_a_free_permit_or_none(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=1)
    hedge = asked(group, hedge=True)
    assert hedge.granted
    assert group.ask("slot-001", float("inf"), hedge=True) is None
    waiting = asked(group)
    hedge.withdraw()
    assert group.ask("slot-001", float("inf"), hedge=True) is None, "somebody waits for that one"
    waiting.withdraw()


async def test_a_full_late_room_drops_those_that_are_in_it_for_the_longest(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    group = a_group(taking(1), live=4, late=2)
    dropped: list[int] = []
    requests = [asked(group) for _ in range(4)]
    for number in (2, 0):
        assert group.become_late(requests[number], partial(dropped.append, number))
    assert (group.permits.in_use("live"), group.permits.in_use("late"), dropped) == (2, 2, [])
    assert group.become_late(requests[2], partial(dropped.append, 99))  # it is there already
    assert group.become_late(requests[3], partial(dropped.append, 3))
    assert dropped == [2]
    assert "the oldest call in it is dropped" in caplog.text
    assert group.become_late(requests[1], partial(dropped.append, 1))
    assert dropped == [2, 0]
    assert (group.permits.in_use("live"), group.permits.in_use("late")) == (0, 2)
    for request in requests:
        request.withdraw()
    assert (group.permits.in_use("live"), group.permits.in_use("late")) == (0, 0)


async def test_tests_come_after_all_booths(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=1)
    first, test, booth = asked(group), asked(group, live=False), asked(group)
    assert (group.has_room(live=True), group.has_room(live=False)) == (False, False)
    first.withdraw()
    assert group.ask("slot-001", float("inf"), hedge=True, live=False) is None, "two wait before it"
    async with trio.open_nursery() as nursery:
        await nursery.start(group.run)
        await trio.testing.wait_all_tasks_blocked()
        assert (booth.granted, test.granted) == (True, False)
        booth.withdraw()
        await trio.testing.wait_all_tasks_blocked()
        assert test.granted
        nursery.cancel_scope.cancel()
    test.withdraw()


async def test_a_tests_hedge_takes_what_nobody_waits_for(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=1)
    hedge = asked(group, hedge=True, live=False)
    waiting = asked(group, live=False)
    hedge.withdraw()
    assert (group.has_room(live=True), group.has_room(live=False)) == (True, False)
    assert group.ask("slot-001", float("inf"), hedge=True, live=False) is None
    asked(group, hedge=True).withdraw()  # a booth's goes before the test that waits
    waiting.withdraw()


async def test_tests_leave_the_late_room_first_and_make_no_room_for_themselves(
    autojump_clock: trio.testing.MockClock,
) -> None:
    group = a_group(taking(1), live=5, late=2)
    dropped: list[str] = []
    booth, test, newer, newest = asked(group), asked(group, live=False), asked(group), asked(group)
    assert group.become_late(booth, partial(dropped.append, "booth"))
    assert group.become_late(test, partial(dropped.append, "test"))
    assert group.become_late(newer, partial(dropped.append, "newer"))
    assert dropped == ["test"]
    late_test = asked(group, live=False)
    assert not group.become_late(late_test, lambda: pytest.fail("it was not let in"))
    assert group.become_late(newest, lambda: None)
    assert dropped == ["test", "booth"]
    for request in (booth, test, newer, newest, late_test):
        request.withdraw()
    assert (group.permits.in_use("live"), group.permits.in_use("late")) == (0, 0)


async def test_without_late_room_nothing_changes(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=1, late=0)
    request = asked(group)
    assert not group.become_late(request, lambda: pytest.fail("nobody was there"))
    assert group.permits.in_use("live") == 1
    request.withdraw()


async def test_live_again_it_is_no_longer_dropped(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=2, late=1)
    dropped: list[str] = []
    first, second = asked(group), asked(group)
    assert group.become_late(first, partial(dropped.append, "first"))
    group.become_live(first)
    assert (group.permits.in_use("live"), group.permits.in_use("late")) == (2, 0)
    assert group.become_late(second, partial(dropped.append, "second"))
    assert group.become_late(first, partial(dropped.append, "first"))
    assert dropped == ["second"]
    for request in (first, second):
        request.withdraw()


async def test_live_again_without_a_free_permit_it_keeps_the_late_one(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=1, late=1)
    first = asked(group)
    assert group.become_late(first, lambda: pytest.fail("it is awaited"))
    second = asked(group)
    group.become_live(first)
    assert (group.permits.in_use("live"), group.permits.in_use("late")) == (1, 1)
    assert not group.become_late(second, lambda: None)
    for request in (first, second):
        request.withdraw()


async def test_a_late_call_that_is_over_is_dropped_for_nobody(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=2, late=1)
    request = asked(group)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(group.attempt, call(), request, begin=nothing))
        await trio.testing.wait_all_tasks_blocked()
        assert group.become_late(request, lambda: pytest.fail("it is over"))
    dropped: list[str] = []
    other, newest = asked(group), asked(group)
    assert group.become_late(other, partial(dropped.append, "other"))
    assert group.become_late(newest, lambda: None)
    assert dropped == ["other"]
    newest.withdraw()


async def test_a_call_is_begun_with_its_permit_and_before_the_driver(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(3))
    seen: list[tuple[int, int]] = []

    async def begin() -> None:
        assert isinstance(group.driver, SaidDriver)
        seen.append((group.permits.in_use("live"), len(group.driver.calls)))
        assert group.running == 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(once, group, begin=begin))
        await trio.testing.wait_all_tasks_blocked()
        assert group.running == 1
    assert seen == [(1, 0)]
    assert (group.running, group.permits.in_use("live")) == (0, 0)


async def test_what_could_not_be_begun_is_not_called(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(giving(PICTURE))

    async def begin() -> None:
        raise StorageUnavailable("no room")

    with pytest.raises(StorageUnavailable):
        await once(group, begin=begin)
    assert isinstance(group.driver, SaidDriver)
    assert group.driver.calls == []
    assert group.permits.in_use("live") == 0


async def test_a_bug_in_a_driver_is_an_outcome(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(_call: Call) -> AttemptOutcome:
        raise RuntimeError("a bug")

    group = a_group(crash)
    assert await once(group) == AttemptOutcome(Verdict.CRASHED, possibly_billed=True)
    assert "a bug" in caplog.text
    assert (group.running, group.permits.in_use("live")) == (0, 0)


async def test_who_waits_for_a_parked_group_hears_at_once(autojump_clock: trio.testing.MockClock) -> None:
    group = a_group(taking(1), live=1)
    told: list[Reason] = []

    async def wait() -> None:
        try:
            await once(group)
        except Refusal as refusal:
            told.append(refusal.reason)

    async with asked(group), trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        group.on_parked(RuntimeError("a bug"))
    assert told == [Reason.PROVIDER_UNAVAILABLE]
    assert group.permits.in_use("live") == 0
