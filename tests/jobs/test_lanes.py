"""Lanes: room per slot and in the house, jobs that outlive their lane's actor, and a quiet end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
import trio
import trio.testing

from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Refusal
from photochanger.jobs.lanes import Lanes
from supervisors import Admission, Request


class Work:
    """A job of the test's own: runs `body` once it has its place. `ends` is when that is expected to be over."""

    def __init__(
        self,
        slot: Slot,
        body: Callable[[], Awaitable[object]],
        *,
        ends: float = 0.0,
        service: float = 0.0,
        is_live: bool = True,
    ) -> None:
        self.id = uuid4()
        self.slot = slot
        self.body = body
        self.is_live = is_live
        self.awaited = True
        self.likely_end = ends
        self.usual_service = service
        self.place: Request | None = None
        self.scope = trio.CancelScope()
        self.started = False
        self.tidied = False

    async def run(self, place: Request) -> None:
        self.place = place
        with self.scope:
            async with place:
                self.started = True
                await self.body()

    def abandon(self) -> None:
        """Nobody waits any more: it goes on without its place."""
        self.awaited = False
        assert self.place is not None
        self.place.withdraw()

    async def tidy(self) -> None:
        self.tidied = True

    def cancel(self) -> None:
        self.scope.cancel()


def slot(slot_id: str = "slot-001", *, permits: int = 2, mailbox: int = 3) -> Slot:
    return Slot(slot_id, 1, "gemini", "edit", permits=permits, mailbox=mailbox)


@pytest.fixture
async def lanes(nursery: trio.Nursery) -> AsyncIterator[Lanes]:
    lanes = Lanes(room=10)
    await nursery.start(lanes.supervisor.run)
    await lanes.update([slot("slot-001"), slot("slot-002")])
    yield lanes
    nursery.cancel_scope.cancel()


async def test_work_is_found_while_it_is_there(lanes: Lanes) -> None:
    gate = trio.Event()
    works = [Work(slot(), gate.wait) for _ in range(3)]
    assert lanes.find(works[0].id) is None
    for work in works:
        lanes.submit(work, 100.0)
    assert [lanes.find(work.id) for work in works] == works  # waiting or at work
    gate.set()
    await lanes.wait_idle()
    assert lanes.find(works[0].id) is None


async def test_a_slot_has_so_many_places_and_so_many_chairs(lanes: Lanes) -> None:
    gate = trio.Event()
    works = [Work(slot(), gate.wait) for _ in range(5)]
    for work in works:
        lanes.submit(work, 100.0)
    await trio.testing.wait_all_tasks_blocked()
    assert [work.started for work in works] == [True, True, False, False, False]
    assert lanes.statistics()["slot-001"] == (2, 3)
    with pytest.raises(Refusal) as full:
        lanes.submit(Work(slot(), gate.wait), 100.0)
    assert full.value.reason is Reason.SLOT_BUSY
    assert full.value.retry_after
    other = Work(slot("slot-002"), gate.wait)
    lanes.submit(other, 100.0)
    gate.set()
    await lanes.wait_idle()
    assert all(work.started and work.tidied for work in (*works, other))
    assert lanes.statistics() == {"slot-001": (0, 0), "slot-002": (0, 0)}


async def test_the_house_has_a_bound_of_its_own(lanes: Lanes) -> None:
    gate = trio.Event()
    for number in range(10):
        lanes.submit(Work(slot(f"slot-00{1 + number % 2}"), gate.wait), 100.0)
    with pytest.raises(Refusal) as full:
        lanes.submit(Work(slot("slot-002"), gate.wait), 100.0)
    assert full.value.reason is Reason.QUEUE_FULL
    gate.set()
    await lanes.wait_idle()


async def test_the_room_may_be_changed_while_photos_are_in_it(lanes: Lanes) -> None:
    gate = trio.Event()
    for _ in range(2):
        lanes.submit(Work(slot(), gate.wait), 100.0)
    lanes.room = 1
    with pytest.raises(Refusal) as full:
        lanes.submit(Work(slot("slot-002"), gate.wait), 100.0)
    assert full.value.reason is Reason.QUEUE_FULL
    lanes.room = 3
    lanes.submit(Work(slot("slot-002"), gate.wait), 100.0)
    assert lanes.in_flight == 3
    gate.set()
    await lanes.wait_idle()


async def test_who_is_refused_hears_when_a_place_will_be_free(lanes: Lanes) -> None:
    now, gate = trio.current_time(), trio.Event()
    for ends in (now + 40.0, now + 12.5):
        lanes.submit(Work(slot(), gate.wait, ends=ends), 100.0)
    for _ in range(3):
        lanes.submit(Work(slot(), gate.wait, ends=now + 100, service=20.0), 100.0)
    with pytest.raises(Refusal) as full:
        lanes.submit(Work(slot(), gate.wait, service=20.0), 100.0)
    # Three wait: one from 12.5 s on, one from 32.5 s, one from 40 s; so the first of them is done at 52.5 s.
    assert (full.value.reason, full.value.retry_after) == (Reason.SLOT_BUSY, 53)
    gate.set()
    await lanes.wait_idle()


async def test_who_would_come_to_his_place_too_late_need_not_wait_for_it(lanes: Lanes) -> None:
    now, gate = trio.current_time(), trio.Event()
    for ends in (now + 40.0, now + 30.0):
        lanes.submit(Work(slot(), gate.wait, ends=ends), 100.0)
    with pytest.raises(Refusal) as refused:
        lanes.submit(Work(slot(), gate.wait), 100.0, latest_start=now + 29.0)
    assert (refused.value.reason, refused.value.retry_after) == (Reason.SLOT_BUSY, 30)
    assert lanes.statistics()["slot-001"] == (2, 0)
    lanes.submit(Work(slot(), gate.wait), 100.0, latest_start=now + 31.0)
    lanes.submit(Work(slot("slot-002"), gate.wait), 100.0, latest_start=now + 1.0)  # there a place is free
    gate.set()
    await lanes.wait_idle()


async def test_a_photo_that_nobody_waits_for_takes_no_room(lanes: Lanes) -> None:
    now, gate = trio.current_time(), trio.Event()
    late = [Work(slot(f"slot-00{1 + number % 2}"), gate.wait, ends=now + 2) for number in range(4)]
    for work in late:
        lanes.submit(work, 100.0)
    await trio.testing.wait_all_tasks_blocked()
    for work in late:
        work.abandon()
    assert (lanes.in_flight, lanes.late) == (4, 4)
    assert lanes.statistics() == {"slot-001": (0, 0), "slot-002": (0, 0)}
    lanes.submit(Work(slot(), gate.wait, ends=now + 7), 100.0, latest_start=now + 1.0)  # theirs are not in its way
    for number in range(1, 10):
        lanes.submit(Work(slot(f"slot-00{1 + number % 2}"), gate.wait, ends=now + 60), 100.0)
    with pytest.raises(Refusal) as full:
        lanes.submit(Work(slot("slot-002"), gate.wait), 100.0)
    assert (full.value.reason, full.value.retry_after) == (Reason.QUEUE_FULL, 7)
    assert (lanes.in_flight, lanes.late) == (14, 4)
    gate.set()
    await lanes.wait_idle()
    assert lanes.in_flight == 0


async def test_tests_wait_behind_guests_and_in_nobodys_way(lanes: Lanes) -> None:
    now, gates = trio.current_time(), [trio.Event(), trio.Event()]
    at_work = [Work(slot(), gate.wait, ends=now + 20, service=20, is_live=False) for gate in gates]
    waiting = [Work(slot(), trio.sleep_forever, ends=now + 40, service=20, is_live=False) for _ in range(3)]
    for work in (*at_work, *waiting):
        lanes.submit(work, 100.0)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(Refusal) as full:
        lanes.submit(Work(slot(), trio.sleep_forever, is_live=False), 100.0)
    assert full.value.reason is Reason.SLOT_BUSY
    guest = Work(slot(), trio.sleep_forever, ends=now + 40, service=20)
    with pytest.raises(Refusal):
        lanes.submit(guest, 100.0, latest_start=now + 19)  # those at work keep their places
    lanes.submit(guest, 100.0, latest_start=now + 21)
    with pytest.raises(Refusal):
        lanes.submit(Work(slot("slot-001"), trio.sleep_forever, is_live=False), 100.0, latest_start=now + 59)
    gates[0].set()
    await trio.testing.wait_all_tasks_blocked()
    assert guest.started
    assert not any(work.started for work in waiting)
    gates[1].set()
    await trio.testing.wait_all_tasks_blocked()
    assert [work.started for work in waiting] == [True, False, False]
    lanes.cancel_all()
    await lanes.wait_idle()


async def test_tests_take_no_room_in_the_house_from_guests(lanes: Lanes) -> None:
    lanes.room = 4
    tests = [Work(slot(f"slot-00{1 + number % 2}"), trio.sleep_forever, is_live=False) for number in range(3)]
    guests = [Work(slot(f"slot-00{1 + number % 2}"), trio.sleep_forever) for number in range(5)]
    for work in (*tests, *guests[:1]):
        lanes.submit(work, 100.0)
    with pytest.raises(Refusal) as full:
        lanes.submit(Work(slot(), trio.sleep_forever, is_live=False), 100.0)
    assert full.value.reason is Reason.QUEUE_FULL
    for work in guests[1:4]:
        lanes.submit(work, 100.0)
    with pytest.raises(Refusal) as full:
        lanes.submit(guests[4], 100.0)
    assert full.value.reason is Reason.QUEUE_FULL
    lanes.cancel_all()
    await lanes.wait_idle()


async def test_a_job_may_come_for_a_slot_that_was_never_there(lanes: Lanes) -> None:
    with pytest.raises(Refusal) as unknown:
        lanes.submit(Work(slot("slot-404"), trio.sleep_forever), 100.0)
    assert unknown.value.reason is Reason.SLOT_NOT_FOUND
    assert lanes.in_flight == 0


async def test_a_crashing_job_takes_nobody_along(lanes: Lanes, caplog: pytest.LogCaptureFixture) -> None:
    gate = trio.Event()

    async def crash() -> None:
        raise RuntimeError("a bug in a job")

    healthy = Work(slot(), gate.wait)
    broken = Work(slot(), crash)
    lanes.submit(healthy, 100.0)
    lanes.submit(broken, 100.0)
    await trio.testing.wait_all_tasks_blocked()
    assert broken.tidied
    assert not healthy.tidied
    assert lanes.statistics()["slot-001"] == (1, 0)
    assert "a bug in a job" in caplog.text
    gate.set()
    await lanes.wait_idle()


async def test_all_can_be_given_up_at_once(lanes: Lanes) -> None:
    works = [Work(slot(), trio.sleep_forever) for _ in range(4)]
    for work in works:
        lanes.submit(work, 100.0)
    assert lanes.in_flight == 4
    lanes.cancel_all()
    await lanes.wait_idle()
    assert all(work.tidied for work in works)
    assert lanes.statistics()["slot-001"] == (0, 0)


async def test_more_permits_let_those_who_wait_start(lanes: Lanes) -> None:
    gate = trio.Event()
    works = [Work(slot(), gate.wait) for _ in range(4)]
    for work in works:
        lanes.submit(work, 100.0)
    await lanes.update([slot(permits=4)])
    await trio.testing.wait_all_tasks_blocked()
    assert all(work.started for work in works)
    await lanes.update([slot(permits=1)])
    gate.set()
    await lanes.wait_idle()


async def test_more_chairs_let_more_photos_wait(lanes: Lanes) -> None:
    gate = trio.Event()
    for _ in range(5):
        lanes.submit(Work(slot(), gate.wait), 100.0)
    await lanes.update([slot(mailbox=4)])
    lanes.submit(Work(slot(), gate.wait), 100.0)
    assert lanes.statistics()["slot-001"] == (2, 4)
    gate.set()
    await lanes.wait_idle()


async def test_who_waits_in_a_lane_that_is_parked_hears_at_once(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    gate = trio.Event()
    told: list[Reason] = []

    class Waiting(Work):
        async def run(self, place: Request) -> None:
            try:
                await super().run(place)
            except Refusal as refusal:
                told.append(refusal.reason)

    works = [Waiting(slot(), gate.wait) for _ in range(4)]
    for work in works:
        lanes.submit(work, 1000.0)
    with monkeypatch.context() as patched:
        patched.setattr(Admission, "_hand_out", lambda self: fail())
        lanes.supervisor.request_restart("slot-001")
        await trio.sleep(4)
    assert told == [Reason.INTERNAL_ERROR] * 2
    assert [work.started for work in works] == [True, True, False, False]
    gate.set()
    await lanes.wait_idle()


def fail() -> None:
    raise RuntimeError("a bug in the lane")


async def test_before_the_start_and_after_the_end_photos_are_refused(nursery: trio.Nursery) -> None:
    lanes = Lanes(room=10)
    with pytest.raises(Refusal) as early:
        lanes.submit(Work(slot(), trio.sleep_forever), 100.0)
    assert early.value.reason is Reason.DRAINING
    await nursery.start(lanes.supervisor.run)
    await lanes.update([slot()])
    work = Work(slot(), trio.sleep_forever)
    lanes.submit(work, 100.0)
    await trio.testing.wait_all_tasks_blocked()
    lanes.supervisor.request_stop()
    await lanes.wait_idle()
    assert work.tidied
    with pytest.raises(Refusal):
        lanes.submit(Work(slot(), trio.sleep_forever), 100.0)
    assert lanes.statistics()["slot-001"] == (0, 0)


# Slots that are gone


async def test_a_slot_that_is_gone_takes_its_lane_along(lanes: Lanes) -> None:
    await lanes.update([slot("slot-002")])
    assert lanes.statistics().keys() == {"slot-002"}
    assert "slot-001" not in {child.name for child in lanes.supervisor.snapshot().children}
    with pytest.raises(Refusal) as refused:
        lanes.submit(Work(slot(), trio.sleep_forever), deadline=trio.current_time() + 9)
    assert refused.value.reason is Reason.SLOT_NOT_FOUND
    await lanes.update([slot("slot-001"), slot("slot-002")])
    work = Work(slot(), trio.lowlevel.checkpoint)
    lanes.submit(work, deadline=trio.current_time() + 9)
    await lanes.wait_idle()
    assert work.started


async def test_photos_at_work_keep_the_lane_of_their_slot_open(lanes: Lanes) -> None:
    go_on = trio.Event()
    works = [Work(slot(), go_on.wait) for _ in range(3)]
    for work in works:
        lanes.submit(work, deadline=trio.current_time() + 99)
    await trio.testing.wait_all_tasks_blocked()
    await lanes.update([slot("slot-002")])
    assert lanes.statistics()["slot-001"] == (2, 1)
    go_on.set()
    await lanes.wait_idle()
    assert all(work.started and work.tidied for work in works)
    assert lanes.statistics().keys() == {"slot-002"}
    assert "slot-001" not in {child.name for child in lanes.supervisor.snapshot().children}


async def test_a_slot_that_comes_back_meanwhile_keeps_its_lane(lanes: Lanes) -> None:
    go_on = trio.Event()
    lanes.submit(Work(slot(), go_on.wait), deadline=trio.current_time() + 99)
    await lanes.update([slot("slot-002")])
    await lanes.update([slot("slot-001"), slot("slot-002")])
    go_on.set()
    await lanes.wait_idle()
    assert lanes.statistics().keys() == {"slot-001", "slot-002"}
