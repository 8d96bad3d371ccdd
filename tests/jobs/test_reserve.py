"""What a picture still needs once it has come: from what that took lately, and never too much."""

import threading
from functools import partial

import pytest
import trio
import trio.testing

from photochanger.domain.recent import KEEP
from photochanger.jobs.reserve import FIRST_GUESS, Reserve
from photochanger.media.threads import PictureThreads, Priority
from tests.lab.waiting import until


def test_there_is_a_floor_and_a_ceiling() -> None:
    reserve = Reserve(PictureThreads(2), 1.5)
    assert reserve.seconds(48.0, None) == 1.5
    assert reserve.seconds(2.0, None) == 1.0, "half of the window is left for the work"
    slow_line = FIRST_GUESS / 1000
    assert reserve.seconds(48.0, slow_line) == 24.0


def test_a_slow_line_needs_time_for_the_answer() -> None:
    reserve = Reserve(PictureThreads(2), 1.5)
    assert reserve.seconds(48.0, FIRST_GUESS / 10) == pytest.approx(10.0, abs=0.1)
    for _ in range(KEEP):
        reserve.stored(0.5, 4_000_000)
    assert reserve.seconds(48.0, 1_000_000.0) == pytest.approx(4.5)
    assert reserve.sending(2_000_000, 1_000_000.0) == 2.0
    assert reserve.sending(2_000_000, None) == 0.0


def test_a_slow_disk_counts() -> None:
    reserve = Reserve(PictureThreads(2), 0.5)
    for _ in range(KEEP):
        reserve.stored(3.0, 1)
    assert reserve.seconds(48.0, None) == pytest.approx(3.0)


async def test_so_do_verifications_that_come_first(nursery: trio.Nursery) -> None:
    threads, free = PictureThreads(3), threading.Event()
    reserve = Reserve(threads, 0.0)

    def look(seconds: float) -> None:
        threading.Event().wait(seconds)

    await threads.run(Priority.VERIFY, look, 0.2)
    usual = threads.usual(Priority.VERIFY)
    alone = reserve.seconds(1000.0, None)
    assert alone == pytest.approx(usual + 0.02)
    try:
        for _ in range(6):  # two at work, four wait
            nursery.start_soon(partial(threads.run, Priority.VERIFY, free.wait))
        await until(lambda: threads.state().queued[Priority.VERIFY] == 4)
        assert reserve.seconds(1000.0, None) == pytest.approx(alone + 2 * usual)
    finally:
        free.set()
