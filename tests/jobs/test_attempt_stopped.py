"""One attempt that is given up, or that nobody waits for any more: what it cost, and where it goes on."""

import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.jobs import attempt as attempt_module
from photochanger.jobs.attempt import NO_LATE_ROOM, NOT_NEEDED, Attempt
from photochanger.media.threads import Priority
from photochanger.media.verify import Verified, verify
from photochanger.providers.base import Call
from tests.jobs.one_attempt import Bench, open_bench, told
from tests.jobs.workbench import PRICE, drawing
from tests.lab import pictures
from tests.lab.waiting import until


@pytest.fixture
async def bench(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path, nursery) as bench:
        yield bench


async def test_stopped_while_it_waits_for_a_permit_it_has_never_been(bench: Bench) -> None:
    async with bench.group.admission.request(kind="live"):
        attempt = bench.start()
        await trio.testing.wait_all_tasks_blocked()
        attempt.stop(NOT_NEEDED)
        await trio.testing.wait_all_tasks_blocked()
        assert bench.group.admission.statistics().depth == 0
    assert attempt.never_made
    assert (attempt.row, attempt.ended is not None) == (None, True)


async def test_stopped_before_it_runs_it_gives_its_permit_back(bench: Bench) -> None:
    attempt = bench.attempt()
    attempt.stop(NOT_NEEDED)
    await attempt.run()
    assert (attempt.never_made, attempt.row, bench.driver.calls) == (True, None, [])


async def test_stopped_while_it_is_being_booked_it_cost_nothing(bench: Bench) -> None:
    async def slow(_attempt: Attempt) -> None:
        await trio.sleep_forever()

    bench.book = slow
    attempt = bench.start()
    await trio.testing.wait_all_tasks_blocked()
    assert bench.money == (0, PRICE)
    attempt.stop(NOT_NEEDED)
    await until(lambda: attempt.ended is not None)
    assert told(attempt) == ("cancelled", 0, False, NOT_NEEDED)
    assert bench.driver.calls == []
    assert bench.money == (0, 0)


async def test_stopped_while_the_provider_works_it_may_have_been_billed(bench: Bench) -> None:
    attempt = bench.start()
    await trio.testing.wait_all_tasks_blocked()
    assert attempt.costs_money
    attempt.stop(NOT_NEEDED)
    attempt.stop("said later")
    await until(lambda: attempt.ended is not None)
    assert told(attempt) == ("cancelled", PRICE, True, NOT_NEEDED)
    assert bench.money == (PRICE, 0)


async def test_out_of_time_is_another_end_than_not_needed(bench: Bench) -> None:
    attempt = bench.start()
    await trio.testing.wait_all_tasks_blocked()
    attempt.stop("its time was over", Verdict.TIMEOUT)
    await until(lambda: attempt.ended is not None)
    assert told(attempt) == ("timeout", PRICE, True, "its time was over")


@dataclass
class Busy:
    """All picture threads are taken until `free` is set."""

    free: threading.Event


@pytest.fixture
async def busy(bench: Bench) -> AsyncIterator[Busy]:
    busy = Busy(threading.Event())
    threads = bench.workshop.pictures
    bench.nursery.start_soon(partial(threads.run, Priority.VERIFY, busy.free.wait))
    await until(lambda: threads.state().running == 1)
    try:
        yield busy
    finally:
        busy.free.set()
        await until(lambda: threads.state().running == 0)


def queued(bench: Bench, priority: Priority) -> int:
    return bench.workshop.pictures.state().queued[priority]


async def test_stopped_while_its_picture_is_looked_at_its_price_is_known(bench: Bench, busy: Busy) -> None:
    bench.driver.doing = drawing(pictures.photo(80, 60), cost=12_345)
    attempt = bench.start()
    await until(lambda: queued(bench, Priority.VERIFY) == 1)
    assert attempt.is_running
    assert bench.group.permits.in_use("live") == 0  # the provider is done with it
    attempt.stop(NOT_NEEDED)
    await until(lambda: attempt.ended is not None)
    assert told(attempt) == ("picture", 12_345, False, NOT_NEEDED)
    assert (attempt.verified, attempt.seen().verified) == (None, False)
    assert bench.money == (12_345, 0)


async def test_stopped_while_its_picture_is_being_decoded_its_row_says_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = threading.Event()

    def slow(*args: Any, **options: Any) -> Verified:
        decode.wait()
        return verify(*args, **options)

    monkeypatch.setattr(attempt_module, "verify", slow)
    bench.driver.doing = drawing(pictures.photo(80, 60))
    attempt = bench.start()
    await until(lambda: bench.workshop.pictures.state().running == 1)
    attempt.stop(NOT_NEEDED)
    await trio.testing.wait_all_tasks_blocked()
    assert attempt.ended is None, "a thread cannot be cut off"
    decode.set()
    await until(lambda: attempt.ended is not None)
    assert told(attempt) == ("picture", PRICE, False, NOT_NEEDED)
    assert attempt.verified is not None


async def test_a_picture_that_is_looked_at_needs_no_late_room(bench: Bench, busy: Busy) -> None:
    """And nobody is sent out of it for its sake."""
    late = bench.start()
    await trio.testing.wait_all_tasks_blocked()
    late.become_late()
    bench.driver.doing = drawing(pictures.photo(80, 60))
    attempt = bench.start(2)
    await until(lambda: queued(bench, Priority.VERIFY) == 1)
    attempt.become_late()
    busy.free.set()
    await until(lambda: attempt.ended is not None)
    assert attempt.verified is not None
    assert told(attempt) == ("picture", PRICE, False, None)
    assert late.is_running
    late.stop(NOT_NEEDED)


async def test_late_pictures_are_looked_at_after_those_of_booths_that_wait(bench: Bench, busy: Busy) -> None:
    gate = trio.Event()

    async def draw(call: Call) -> AttemptOutcome:
        await gate.wait()
        return await drawing(pictures.photo(80, 60))(call)

    bench.driver.doing = draw
    attempt = bench.start()
    await trio.testing.wait_all_tasks_blocked()
    attempt.become_late()
    gate.set()
    await until(lambda: queued(bench, Priority.LATE) == 1)
    assert queued(bench, Priority.VERIFY) == 0
    busy.free.set()
    await until(lambda: attempt.ended is not None)


async def test_late_work_leaves_the_live_permit_to_the_next_guest(bench: Bench) -> None:
    first = bench.start(1)
    await trio.testing.wait_all_tasks_blocked()
    second = bench.start(2)
    first.become_late()
    await trio.testing.wait_all_tasks_blocked()
    assert (first.is_running, second.is_running) == (True, True)
    second.become_late()  # the room is full: the oldest goes
    await until(lambda: first.ended is not None)
    assert told(first) == ("cancelled", PRICE, True, NO_LATE_ROOM)
    assert second.is_running
    third = bench.start(3)
    second.become_live()  # somebody waits for it again, so it is not in the way of newer late work
    await trio.testing.wait_all_tasks_blocked()
    third.become_late()
    await until(lambda: third.ended is not None)
    assert second.is_running
    second.stop(NOT_NEEDED)


async def test_without_late_room_it_ends_at_once(bench: Bench) -> None:
    bench.group.permits.resize(1, 0)
    attempt = bench.start()
    await trio.testing.wait_all_tasks_blocked()
    attempt.become_late()
    await until(lambda: attempt.ended is not None)
    assert told(attempt) == ("cancelled", PRICE, True, NO_LATE_ROOM)


async def test_nobody_waits_for_one_that_has_not_begun(bench: Bench) -> None:
    async with bench.group.admission.request(kind="live"):
        attempt = bench.start()
        await trio.testing.wait_all_tasks_blocked()
        attempt.become_late()
        await until(lambda: attempt.ended is not None)
    assert attempt.never_made


async def test_a_spare_ends_by_itself(bench: Bench) -> None:
    attempt = bench.start()
    await trio.testing.wait_all_tasks_blocked()
    attempt.go_on_until(trio.current_time() + 0.05)
    await until(lambda: attempt.ended is not None)
    assert told(attempt) == ("cancelled", PRICE, True, None)


async def test_cancelled_from_outside_its_row_is_ended_too(bench: Bench) -> None:
    attempt = bench.attempt()
    with trio.CancelScope() as outside:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attempt.run)
            await trio.testing.wait_all_tasks_blocked()
            outside.cancel()
    assert told(attempt) == ("cancelled", PRICE, True, None)
    assert bench.money == (PRICE, 0)
