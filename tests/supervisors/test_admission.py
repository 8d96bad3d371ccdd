"""Who gets the next permit, who waits, and that none is lost: examples."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from supervisors import Admission, Permits, Request, RequestKind

settled = trio.testing.wait_all_tasks_blocked


@asynccontextmanager
async def running(admission: Admission) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        await nursery.start(admission.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def test_a_free_token_is_granted_at_once_even_without_the_actor() -> None:
    permits = Permits("lane", 1)
    request = Admission("lane", permits, 1).request(kind="live")
    assert request.granted
    async with request as permit:
        assert permit.kind == "live"
        assert permits.in_use("live") == 1
    assert permits.in_use("live") == 0


async def test_a_full_queue_says_so_and_the_queue_is_the_mailbox_of_the_snapshot() -> None:
    permits = Permits("lane", 1, 1)
    admission = Admission("lane", permits, 2)
    admission.request(kind="live")
    admission.request(kind="canary")
    admission.request(kind="live")
    with pytest.raises(trio.WouldBlock):
        admission.request(kind="canary")
    assert admission.request(kind="late").granted, "a free late token is not behind those who wait for live ones"
    seen = admission.statistics()
    assert (seen.depth, seen.capacity, seen.peak) == (2, 2, 2)
    assert (seen.waiting_live, seen.waiting_late, seen.waiting_canary) == (1, 0, 1)
    admission.request(kind="live")
    with pytest.raises(trio.WouldBlock):
        admission.request(kind="live")
    assert (seen.live_total, seen.live_in_use, seen.late_total, seen.late_in_use) == (1, 1, 1, 1)


async def order_of_grants(requests: list[tuple[RequestKind, str, float]], holders: list[str], tokens: int) -> list[int]:
    """The order in which the requests get their turn, while `holders` (keys) go on running."""
    permits = Permits("lane", tokens + 1)
    admission = Admission("lane", permits, 100)
    for key in holders:
        assert admission.request(kind="live", key=key).granted
    permits.resize(len(holders) + 1, 0)
    last = admission.request(kind="live", key="the last token")
    granted: list[int] = []

    async def wait(number: int, request: Request) -> None:
        async with request:
            granted.append(number)
            await settled()

    async with running(admission) as nursery:
        for number, (kind, key, latest_start) in enumerate(requests):
            nursery.start_soon(wait, number, admission.request(kind=kind, key=key, latest_start=latest_start))
        await settled()
        last.withdraw()
        for _ in requests:
            await settled()
            await settled()
    return granted


async def test_live_before_canary_however_long_it_waited() -> None:
    assert await order_of_grants([("canary", "", 1), ("live", "", 9), ("live", "", 8)], [], 0) == [2, 1, 0]


async def test_the_key_with_the_fewest_running_first_then_the_latest_start_then_first_come() -> None:
    requests: list[tuple[RequestKind, str, float]] = [
        ("live", "busy", 1),
        ("live", "quiet", 9),
        ("live", "idle", 9),
        ("live", "idle", 5),
        ("live", "idle", 9),
    ]
    assert await order_of_grants(requests, ["busy", "busy", "quiet"], 3) == [3, 2, 4, 1, 0]


async def test_the_load_is_counted_anew_with_each_grant() -> None:
    permits = Permits("lane", 3)
    admission = Admission("lane", permits, 10)
    first = [admission.request(kind="live", key="other") for _ in range(3)]
    waiting = [admission.request(kind="live", key=key) for key in ("a", "a", "b")]
    async with running(admission):
        for request in first[:2]:
            request.withdraw()
        await settled()
        assert [request.granted for request in waiting] == [True, False, True]


async def test_live_before_late_where_both_become_free_at_once() -> None:
    permits = Permits("lane", 0, 0)
    admission = Admission("lane", permits, 10)
    late_a, late_b = (admission.request(kind="late", key=key) for key in "ab")
    live_a = admission.request(kind="live", key="a")
    async with running(admission):
        permits.resize(1, 1)
        await settled()
        # a has one running by now, so the late token is b's
        assert [request.granted for request in (live_a, late_a, late_b)] == [True, False, True]


async def test_a_canary_waits_while_any_other_request_waits() -> None:
    permits = Permits("lane", 1, 0)
    admission = Admission("lane", permits, 10)
    late = admission.request(kind="late")
    canary = admission.request(kind="canary")
    async with running(admission):
        await settled()
        assert not canary.granted
        late.withdraw()
        await settled()
        assert canary.granted


async def test_nobody_overtakes_those_who_wait() -> None:
    permits = Permits("lane", 1)
    admission = Admission("lane", permits, 10)
    first = admission.request(kind="live")
    waiting = admission.request(kind="live")
    first.withdraw()  # the token is free, the actor has not come yet
    assert not admission.request(kind="live").granted
    assert admission.request_now(kind="live") is None
    async with running(admission):
        await settled()
        assert waiting.granted


async def test_what_may_not_queue_takes_only_what_is_free_and_awaited_by_nobody() -> None:
    permits = Permits("lane", 1, 1)
    admission = Admission("lane", permits, 10)
    hedge = admission.request_now(kind="live", key="a")
    assert hedge is not None
    assert hedge.granted
    assert admission.request_now(kind="live") is None
    admission.request(kind="live")
    late = admission.request_now(kind="late")
    assert late is not None
    hedge.withdraw()
    late.withdraw()
    assert admission.request_now(kind="live") is None
    assert admission.request_now(kind="late") is not None


async def test_canaries_take_no_place_in_the_queue_from_others() -> None:
    admission = Admission("lane", Permits("lane", 0, 0), 2)
    for _ in range(2):
        admission.request(kind="canary")
    with pytest.raises(trio.WouldBlock):
        admission.request(kind="canary")
    for _ in range(2):
        admission.request(kind="live")
    with pytest.raises(trio.WouldBlock):
        admission.request(kind="live")


async def test_of_what_may_not_queue_a_canary_comes_last() -> None:
    permits = Permits("lane", 1, 1)
    admission = Admission("lane", permits, 10)
    first = admission.request(kind="live")
    assert admission.request_now(kind="canary") is None
    waiting = admission.request(kind="canary")
    first.withdraw()
    assert (admission.has_room("live"), admission.has_room("canary")) == (True, False)
    assert admission.request_now(kind="canary") is None
    hedge = admission.request_now(kind="live")
    assert hedge is not None
    waiting.withdraw()
    hedge.withdraw()
    canary = admission.request_now(kind="canary")
    assert canary is not None
    assert permits.in_use("live") == 1


async def test_a_permit_is_changed_for_one_of_the_other_kind_and_the_first_is_free_again() -> None:
    permits = Permits("group", 1, 1)
    admission = Admission("group", permits, 10)
    first, second = admission.request(kind="live", key="a"), admission.request(kind="live", key="b")
    assert not second.become("late")  # it waits: there is nothing to change
    assert first.become("late")
    assert first.become("late")  # it is
    assert (permits.in_use("live"), permits.in_use("late")) == (0, 1)
    third = admission.request_now(kind="late")
    assert third is None
    assert not first.become("live")  # somebody waits for that one
    second.withdraw()
    assert first.become("live")
    first.withdraw()
    assert (permits.in_use("live"), permits.in_use("late")) == (0, 0)
