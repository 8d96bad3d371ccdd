"""The reply cell: one answer, many waiters, and who got what."""

from pathlib import Path

import pytest
import trio
import trio.testing

from photochanger.domain.job import ReplyKind
from photochanger.domain.reasons import Reason
from photochanger.jobs.reply import SETTLING_GRACE, ErrorReply, PictureReply, ReplyCell

PICTURE = PictureReply(ReplyKind.AI, Path("a.jpg"), "image/jpeg", 1, 2, 3)
TIMEOUT = ErrorReply(Reason.PROVIDER_TIMEOUT)


@pytest.fixture
def cell() -> ReplyCell:
    return ReplyCell()


async def test_the_first_answer_stays(cell: ReplyCell, autojump_clock: trio.testing.MockClock) -> None:
    cell.join()
    cell.resolve(PICTURE)
    cell.resolve(TIMEOUT)
    assert await cell.wait(trio.current_time() + 1) is PICTURE


async def test_at_the_deadline_the_waiter_answers_for_itself(
    cell: ReplyCell, autojump_clock: trio.testing.MockClock
) -> None:
    start = trio.current_time()
    assert await cell.wait(start + 10) == TIMEOUT
    assert trio.current_time() == start + 10


async def test_a_picture_whose_rows_are_being_written_is_waited_for_a_little_longer(
    cell: ReplyCell, autojump_clock: trio.testing.MockClock
) -> None:
    start = trio.current_time()
    cell.settling = True

    async def settle() -> None:
        await trio.sleep(10 + SETTLING_GRACE / 2)
        cell.resolve(PICTURE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(settle)
        assert await cell.wait(start + 10) is PICTURE


async def test_but_never_longer_than_the_promise(cell: ReplyCell, autojump_clock: trio.testing.MockClock) -> None:
    start = trio.current_time()
    cell.settling = True
    assert await cell.wait(start + 10) == TIMEOUT
    assert trio.current_time() - start <= 10.5


async def test_only_the_last_one_to_leave_abandons_the_job(
    cell: ReplyCell, autojump_clock: trio.testing.MockClock
) -> None:
    abandoned: list[bool] = []
    cell.on_abandoned = lambda: abandoned.append(True)
    cell.join()
    cell.join()
    cell.leave(None)
    assert not abandoned
    cell.leave(None)
    assert abandoned


async def test_leaving_with_the_answer_abandons_nothing(
    cell: ReplyCell, autojump_clock: trio.testing.MockClock
) -> None:
    cell.on_abandoned = lambda: pytest.fail("nobody abandoned it")
    cell.join()
    cell.resolve(PICTURE)
    cell.leave(PICTURE)


async def test_what_the_booth_got_is_told_truly(cell: ReplyCell, autojump_clock: trio.testing.MockClock) -> None:
    assert cell.outlook(PICTURE) is None  # nobody there
    cell.join()
    assert cell.outlook(PICTURE) is PICTURE  # somebody will get it
    cell.leave(TIMEOUT)
    assert cell.outlook(PICTURE) is TIMEOUT  # too late: it was told 504
