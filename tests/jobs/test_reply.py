"""The reply cell: one answer, many waiters with their own deadlines, and who got what."""

from pathlib import Path

import pytest
import trio
import trio.testing

from photochanger.domain.job import ReplyKind
from photochanger.domain.reasons import Reason
from photochanger.jobs.reply import SETTLING_GRACE, ErrorReply, PictureReply, Reply, ReplyCell

PICTURE = PictureReply(ReplyKind.AI, Path("a.jpg"), "image/jpeg", 1, 2, 3)
STAND_IN = PictureReply(ReplyKind.ORIGINAL, Path("b.jpg"), "image/jpeg", 1, 2, 3, stand_in=True)
TIMEOUT = ErrorReply(Reason.PROVIDER_TIMEOUT)


class Abandoned:
    """Counts how often the job was told that nobody waits any more."""

    def __init__(self, cell: ReplyCell) -> None:
        self.times = 0
        cell.on_abandoned = self

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def cell() -> ReplyCell:
    return ReplyCell()


@pytest.fixture
def abandoned(cell: ReplyCell) -> Abandoned:
    return Abandoned(cell)


async def test_the_first_answer_stays(cell: ReplyCell, autojump_clock: trio.testing.MockClock) -> None:
    waiter = cell.join(trio.current_time() + 1)
    cell.resolve(PICTURE)
    cell.resolve(TIMEOUT)
    assert await cell.wait(waiter) is PICTURE
    assert cell.resolved is PICTURE


async def test_who_joins_after_the_answer_has_it(cell: ReplyCell, autojump_clock: trio.testing.MockClock) -> None:
    cell.resolve(PICTURE)
    assert await cell.wait(cell.join(trio.current_time() - 1)) is PICTURE
    assert cell.deadlines == []


async def test_each_waiter_has_its_own_deadline(
    cell: ReplyCell, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    start = trio.current_time()
    ends: dict[float, tuple[float, Reply]] = {}

    async def wait(seconds: float) -> None:
        waiter = cell.join(start + seconds)
        reply = await cell.wait(waiter)
        ends[seconds] = trio.current_time() - start, reply
        cell.leave(waiter, reply)

    for seconds in (30.0, 10.0, 20.0):
        nursery.start_soon(wait, seconds)
    await trio.testing.wait_all_tasks_blocked()
    assert cell.deadlines == [start + 10, start + 20, start + 30]
    await trio.sleep(25)
    assert cell.deadlines == [start + 30]
    cell.resolve(PICTURE)
    await trio.testing.wait_all_tasks_blocked()
    assert ends == {10.0: (10.0, TIMEOUT), 20.0: (20.0, TIMEOUT), 30.0: (25.0, PICTURE)}


async def test_a_picture_whose_rows_are_being_written_is_waited_for_a_little_longer(
    cell: ReplyCell, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    start = trio.current_time()
    cell.settling = True

    async def settle() -> None:
        await trio.sleep(10 + SETTLING_GRACE / 2)
        cell.resolve(PICTURE)

    nursery.start_soon(settle)
    assert await cell.wait(cell.join(start + 10)) is PICTURE


async def test_but_never_longer_than_the_promise(cell: ReplyCell, autojump_clock: trio.testing.MockClock) -> None:
    start = trio.current_time()
    cell.settling = True
    assert await cell.wait(cell.join(start + 10)) == TIMEOUT
    assert trio.current_time() - start <= 10.5


async def test_the_last_resort_goes_to_those_whose_time_has_come(
    cell: ReplyCell, abandoned: Abandoned, autojump_clock: trio.testing.MockClock
) -> None:
    now = trio.current_time()
    early, same, late = cell.join(now + 10), cell.join(now + 10), cell.join(now + 20)
    assert cell.answer_due(now + 9, STAND_IN) == 0
    assert cell.answer_due(now + 10, STAND_IN) == 2
    assert cell.answer_due(now + 10, STAND_IN) == 0
    assert (await cell.wait(early), await cell.wait(same)) == (STAND_IN, STAND_IN)
    assert (cell.deadlines, cell.resolved, abandoned.times) == ([now + 20], None, 0)
    cell.resolve(PICTURE)
    assert await cell.wait(late) is PICTURE
    assert await cell.wait(early) is STAND_IN  # it has been sent
    assert abandoned.times == 0


async def test_once_all_have_a_last_resort_the_job_is_told_and_only_once(
    cell: ReplyCell, abandoned: Abandoned, autojump_clock: trio.testing.MockClock
) -> None:
    now = trio.current_time()
    waiters = [cell.join(now + 10), cell.join(now + 10)]
    cell.answer_due(now + 10, STAND_IN)
    assert abandoned.times == 1
    for waiter in waiters:
        cell.leave(waiter, STAND_IN)
    assert abandoned.times == 1


async def test_the_last_unanswered_one_to_leave_abandons_the_job(
    cell: ReplyCell, abandoned: Abandoned, autojump_clock: trio.testing.MockClock
) -> None:
    now = trio.current_time()
    answered, patient, impatient = cell.join(now + 5), cell.join(now + 20), cell.join(now + 20)
    cell.answer_due(now + 5, STAND_IN)
    cell.leave(impatient, None)
    assert abandoned.times == 0
    cell.leave(patient, TIMEOUT)
    assert abandoned.times == 1
    cell.leave(answered, STAND_IN)  # was no longer waited for
    assert abandoned.times == 1


async def test_leaving_with_the_answer_abandons_nothing(
    cell: ReplyCell, abandoned: Abandoned, autojump_clock: trio.testing.MockClock
) -> None:
    waiter, other = cell.join(trio.current_time() + 5), cell.join(trio.current_time() + 5)
    cell.resolve(PICTURE)
    cell.leave(waiter, PICTURE)
    cell.leave(other, None)
    assert abandoned.times == 0


async def test_who_comes_back_can_abandon_it_again(
    cell: ReplyCell, abandoned: Abandoned, autojump_clock: trio.testing.MockClock
) -> None:
    cell.leave(cell.join(trio.current_time() + 5), None)
    cell.leave(cell.join(trio.current_time() + 5), None)
    assert abandoned.times == 2


async def test_what_the_booth_got_is_told_truly(cell: ReplyCell, autojump_clock: trio.testing.MockClock) -> None:
    assert cell.outlook(PICTURE) is None  # nobody there
    waiter = cell.join(trio.current_time() + 5)
    assert cell.outlook(PICTURE) is PICTURE  # somebody will get it
    cell.leave(waiter, TIMEOUT)
    assert cell.outlook(PICTURE) is TIMEOUT  # too late: it was told 504


async def test_a_504_is_remembered_whatever_others_get(cell: ReplyCell, autojump_clock: trio.testing.MockClock) -> None:
    told: list[Reply | None] = []
    cell.on_told_504 = lambda: told.append(cell.given)
    now = trio.current_time()
    first, gone, second, repeat = (cell.join(now + seconds) for seconds in (1, 9, 1, 9))
    assert not cell.told_504(PICTURE)
    assert cell.told_504(TIMEOUT)  # if that is what is left for them
    cell.leave(gone, None)
    cell.leave(first, TIMEOUT)
    cell.leave(second, TIMEOUT)
    assert told == [TIMEOUT]  # once
    cell.resolve(PICTURE)
    assert (cell.outlook(PICTURE), cell.given, cell.told_504(PICTURE)) == (PICTURE, PICTURE, True)
    cell.leave(repeat, PICTURE)
    assert (cell.given, cell.told_504(PICTURE)) == (PICTURE, True)


async def test_of_several_booths_the_best_answer_counts(
    cell: ReplyCell, autojump_clock: trio.testing.MockClock
) -> None:
    now = trio.current_time()
    gone, told, helped, patient = (cell.join(now + seconds) for seconds in (50, 1, 2, 50))
    cell.leave(gone, None)
    assert cell.outlook(TIMEOUT) is TIMEOUT
    cell.leave(told, TIMEOUT)
    cell.answer_due(now + 2, STAND_IN)
    assert cell.outlook(TIMEOUT) is STAND_IN  # it is on its way
    cell.leave(helped, STAND_IN)
    assert cell.outlook(TIMEOUT) is STAND_IN
    assert cell.outlook(PICTURE) is PICTURE  # the last one still waits
    cell.leave(patient, TIMEOUT)
    assert cell.outlook(PICTURE) is STAND_IN


async def test_files_stay_while_somebody_is_there_or_is_being_sent_one(
    cell: ReplyCell, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    gone: list[float] = []

    async def tidy() -> None:
        await cell.wait_until_all_left()
        gone.append(trio.current_time())

    waiter = cell.join(trio.current_time() + 5)
    nursery.start_soon(tidy)
    await trio.testing.wait_all_tasks_blocked()
    cell.leave(waiter, STAND_IN)
    release = cell.hold()
    await trio.testing.wait_all_tasks_blocked()
    assert not gone
    release()
    await trio.testing.wait_all_tasks_blocked()
    assert gone


async def test_whoever_comes_or_holds_meanwhile_is_not_forgotten(
    cell: ReplyCell, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """Whoever waits for all to be gone hears of it, whatever the order in which they come and go."""
    done = trio.Event()

    async def tidy() -> None:
        await cell.wait_until_all_left()
        done.set()

    first, second = cell.join(trio.current_time() + 5), cell.join(trio.current_time() + 5)
    nursery.start_soon(tidy)
    await trio.testing.wait_all_tasks_blocked()
    cell.leave(first, STAND_IN)
    release_first = cell.hold()
    third = cell.join(trio.current_time() + 5)
    cell.leave(second, STAND_IN)
    release_second = cell.hold()
    for leave in (release_first, release_second):
        leave()
        await trio.testing.wait_all_tasks_blocked()
        assert not done.is_set()
    cell.leave(third, None)
    await trio.testing.wait_all_tasks_blocked()
    assert done.is_set()
