"""Single scenes on the jumping clock: rushes, floods, hangs and repeats, counted to the second."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import trio

from photochanger.domain.job import JobStatus, ReplyKind, Source
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Plan, Slot
from photochanger.jobs.origin import Origin
from photochanger.jobs.reply import ErrorReply
from tests.lab.virtual.behaviour import Behaviour, Kind
from tests.lab.virtual.check import check, nothing_held
from tests.lab.virtual.providers import ScriptedDriver
from tests.lab.virtual.studio import Studio, Visit, open_studio, run_virtual
from tests.lab.virtual.timelines import picture_cost

TEST = Origin(Source.UI_TEST)

Scene = Callable[[Studio], Awaitable[None]]


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def slot(number: int, provider: str = "one", **changes: Any) -> Slot:
    return Slot(f"slot-{number:03}", 1, provider, "edit", **changes)


def provider(name: str, kind: Kind = Kind.PICTURE, seconds: float = 5.0) -> ScriptedDriver:
    """It does always the same."""
    return ScriptedDriver(name, lambda: Behaviour(kind, seconds))


def play(
    slots: Sequence[Slot], drivers: Sequence[ScriptedDriver], scene: Scene, *, picture: float = 0.0, **sizes: Any
) -> Studio:
    """The studio after `scene`, checked. A look at a picture takes `picture` seconds."""

    async def main() -> Studio:
        async with open_studio(slots, drivers, **sizes) as studio:
            await scene(studio)
            await studio.rest()
            check(studio)
        return studio

    return run_virtual(main, cost=picture_cost(picture))


def seconds(visit: Visit) -> float:
    return visit.ended - visit.started


async def everyone(studio: Studio) -> None:
    """One photo from each booth, at the same moment."""
    async with trio.open_nursery() as booths:
        for number, slot_id in enumerate(studio.slots):
            booths.start_soon(studio.post, slot_id, number)


def test_fifteen_answers_together_leave_in_time() -> None:
    looks, window = 0.2, 48.0
    # Two picture threads, one of them kept free of verifications: three seconds for fifteen.
    one = provider("one", seconds=window - 15 * looks - 0.3)
    studio = play([slot(n) for n in range(1, 16)], [one], everyone, picture=looks, live=15)
    assert all(visit.got_picture for visit in studio.visits), studio.visits
    assert max(map(seconds, studio.visits)) <= window


@pytest.mark.parametrize("early", [0.5, 1.0, 2.0])
def test_fifteen_answers_too_close_to_the_end_make_nobody_late(early: float) -> None:
    one = provider("one", seconds=48.0 - early)
    studio = play([slot(n) for n in range(1, 16)], [one], everyone, picture=0.2, live=15)
    assert len(studio.visits) == 15  # and `check` has looked at the clock


def test_a_picture_that_is_looked_at_when_the_time_is_over_is_kept() -> None:
    studio = play([slot(1, t_late=0.0)], [provider("one", seconds=47.9)], everyone, picture=0.2)
    (job,) = studio.rows.jobs.values()
    assert (job.status, job.late, job.id in studio.rows.results) == (JobStatus.DONE, True, True)


def test_a_flood_pushes_nobody_else_out_of_the_window() -> None:
    async def scene(studio: Studio) -> None:
        async with trio.open_nursery() as booths:
            for number in range(200):
                booths.start_soon(studio.post, "slot-001", number)
                if number % 10 == 9:
                    booths.start_soon(studio.post, "slot-002", 1000 + number)
                await trio.sleep(0.5)

    flooding, other = slot(1, permits=30, mailbox=30), slot(2)
    studio = play([flooding, other], [provider("one")], scene, live=4, room=100)
    others = [visit for visit in studio.visits if visit.slot is other]
    flood = [visit for visit in studio.visits if visit.slot is flooding]
    assert len(others) == 20
    assert all(visit.got_picture for visit in others)
    # It never waits for more than one call of the flood to end.
    assert max(map(seconds, others)) <= 10.5
    assert not all(visit.got_picture for visit in flood)


def test_a_provider_that_hangs_for_all_slows_no_other_one() -> None:
    async def scene(studio: Studio) -> None:
        async with trio.open_nursery() as booths:
            for number in range(60):
                for slot_id in studio.slots:
                    booths.start_soon(studio.post, slot_id, 100 * number + int(slot_id[-3:]))
                await trio.sleep(6)

    slots = [slot(n, "one" if n <= 3 else "two", permits=4) for n in range(1, 6)]
    studio = play(slots, [provider("one", Kind.HANG), provider("two")], scene, room=100)
    well = [visit for visit in studio.visits if visit.slot.provider == "two"]
    assert len(well) == 120
    assert all(visit.got_picture for visit in well)
    assert max(map(seconds, well)) == pytest.approx(5.0, abs=0.01)
    assert not any(visit.got_picture for visit in studio.visits if visit.slot.provider == "one")


def test_what_cannot_be_booked_is_not_asked_for() -> None:
    async def main() -> Studio:
        async with open_studio([slot(1)], [provider("one")]) as studio:
            studio.rows.broken = True
            await everyone(studio)
            await studio.rest()
            nothing_held(studio)
            return studio

    studio = run_virtual(main)
    (visit,) = studio.visits
    assert studio.asked == []
    assert isinstance(visit.reply, ErrorReply)
    assert visit.reply.reason is Reason.STORAGE_UNAVAILABLE
    assert seconds(visit) <= 1.0


def test_twenty_posts_of_one_photo_are_one_call() -> None:
    async def scene(studio: Studio) -> None:
        async with trio.open_nursery() as booths:
            for _ in range(20):
                booths.start_soon(studio.post, "slot-001", 1)

    studio = play([slot(1)], [provider("one")], scene)
    assert [visit.got_picture for visit in studio.visits] == [True] * 20
    assert len(studio.asked) == 1
    assert len(studio.rows.jobs) == 1


def test_one_of_twenty_who_stays_keeps_the_call_alive() -> None:
    async def scene(studio: Studio) -> None:
        async with trio.open_nursery() as booths:
            for number in range(20):
                booths.start_soon(
                    partial(studio.post, "slot-001", 1, patience=1.0 + number / 10 if number != 7 else 60)
                )

    studio = play([slot(1, on_timeout="drop")], [provider("one")], scene)
    assert [visit.got_picture for visit in studio.visits if visit.reply] == [True]
    assert len(studio.asked) == 1


def test_when_the_last_of_them_has_left_it_is_cut_off() -> None:
    async def scene(studio: Studio) -> None:
        async with trio.open_nursery() as booths:
            for number in range(20):
                booths.start_soon(partial(studio.post, "slot-001", 1, patience=1.0 + number / 10))

    studio = play([slot(1, on_timeout="drop")], [provider("one", Kind.HANG)], scene)
    (asked,) = studio.asked
    assert asked.ended is not None
    assert asked.ended - asked.at == pytest.approx(2.9)


def test_a_repeat_after_the_504_gets_the_picture_that_was_on_its_way() -> None:
    async def scene(studio: Studio) -> None:
        assert not (await studio.post("slot-001", 1)).got_picture
        assert (await studio.post("slot-001", 1)).got_picture
        assert (await studio.post("slot-001", 1)).got_picture

    studio = play([slot(1, hedge=False)], [provider("one", seconds=55.0)], scene)
    assert [round(seconds(visit)) for visit in studio.visits] == [48, 7, 0]
    assert len(studio.asked) == 1


@pytest.mark.parametrize("resort", ["original", "local"])
def test_fifteen_last_resorts_together_leave_in_time(resort: str) -> None:
    one = provider("one", Kind.HANG)
    slots = [slot(n, last_resort=resort) for n in range(1, 16)]
    studio = play(slots, [one], everyone, picture=0.2, live=15, late=15)
    assert [visit.reply and visit.reply.kind for visit in studio.visits] == [ReplyKind(resort)] * 15


@pytest.mark.parametrize("after", [0.1, 4.9, 5.0, 5.05, 5.1, 5.3])
@pytest.mark.parametrize("on_timeout", ["drop", "store"])
def test_work_that_is_stopped_answers_all_who_wait_at_once(after: float, on_timeout: Any) -> None:
    """Before its call, just before its answer comes, while the picture is looked at (0.2 s), and when it is settled."""

    async def scene(studio: Studio) -> None:
        async with trio.open_nursery() as booths:
            for _ in range(3):
                booths.start_soon(studio.post, "slot-001", 1)
            booths.start_soon(studio.post, "slot-002", 2)  # another one's work is not touched
            await trio.sleep(after)
            studio.stop_one({"slot-001"})

    slots = [slot(1, on_timeout=on_timeout, permits=1), slot(2, "two")]
    studio = play(slots, [provider("one"), provider("two", seconds=9.0)], scene, picture=0.2)
    *stopped, other = sorted(studio.visits, key=lambda visit: visit.slot.id)
    assert other.got_picture
    if studio.stopped:
        replies = {visit.reply for visit in stopped}
        assert replies == {ErrorReply(Reason.CANCELLED)} or all(visit.got_picture for visit in stopped)
        assert all(seconds(visit) <= max(after, 5.2) + 0.3 for visit in stopped)
    else:
        assert all(visit.got_picture for visit in stopped)
    assert bool(studio.stopped) == (after < 5.3)


def test_early_help_is_for_guests() -> None:
    """A test's slow call is left alone; it neither saves up nor spends what booths have."""

    async def scene(studio: Studio) -> None:
        for number in range(30):
            assert (await studio.post("slot-001", number, origin=TEST)).got_picture
        assert len(studio.asked) == 30
        assert studio.workshop.hedges.allowed
        assert (await studio.post("slot-001", 100)).got_picture
        assert (len(studio.asked), studio.workshop.hedges.allowed) == (32, False)
        for number in range(30):
            await studio.post("slot-001", number, origin=TEST)
        assert not studio.workshop.hedges.allowed

    slow = slot(1, fallbacks=(Plan("two", "edit", {}),))
    studio = play([slow], [provider("one", seconds=30.0), provider("two")], scene)
    assert sum(row.hedged for row in studio.rows.attempts.values()) == 1


def test_four_tests_push_no_guest_out_of_the_lane() -> None:
    async def scene(studio: Studio) -> None:
        for number in range(8):
            await studio.post("slot-001", number)  # how long a call takes is known
        async with trio.open_nursery() as nursery:
            for number in range(10, 14):
                nursery.start_soon(partial(studio.post, "slot-001", number, origin=TEST))
            await trio.sleep(1)
            assert studio.lanes.statistics()["slot-001"] == (2, 2)
            assert (await studio.post("slot-001", 20)).got_picture

    studio = play([slot(1, permits=2, hedge=False)], [provider("one", seconds=20.0)], scene)
    assert len(studio.visits) == 13
    assert [round(seconds(visit)) for visit in studio.visits if visit.photo == 20] == [39]
