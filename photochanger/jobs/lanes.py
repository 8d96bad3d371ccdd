"""Lanes: how many photos of a slot are worked on at once, and the nursery in which every photo's job lives."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import trio

from photochanger.domain.lane import expected_start
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Refusal
from supervisors import Admission, Child, Permits, Request, Supervisor

log = logging.getLogger(__name__)


class Work(Protocol):
    """What a lane runs: a job that waits for its place and then does its work. It never raises."""

    @property
    def id(self) -> UUID:
        """By which it is found."""

    slot: Slot
    is_live: bool
    """A booth waits for it. What is not comes after all that are, and is in nobody's way before it is at work."""
    awaited: bool
    """Somebody waits for it; if not, it takes no room from others."""

    @property
    def likely_end(self) -> float:
        """When its place is free again, as far as can be told; of Trio's clock."""

    @property
    def usual_service(self) -> float:
        """Seconds that a photo of its slot holds a place, 0 while that is not known."""

    async def run(self, place: Request) -> None:
        """Wait for `place`, work, settle."""

    async def tidy(self) -> None:
        """What is left to do once nobody waits any more."""

    def cancel(self) -> None:
        """Give the work up: it settles and answers at once. Synchronous."""


@dataclass(slots=True)
class Lane:
    """One slot's room: as many photos at work as there are `permits`, and a few more that wait for `admission`."""

    permits: Permits
    admission: Admission


class Lanes:
    """The part of the tree under which jobs run.

    `room` bounds the photos in the whole house, waiting ones included; it may be changed at any time. Tests and re-runs
    find no room where photos of booths have taken it, but take none from these. Jobs live in a nursery of their own,
    beside the lanes: a lane that crashes and restarts takes no photo along.
    """

    def __init__(self, *, room: int) -> None:
        self.room = room
        self._nursery: trio.Nursery | None = None
        self._works: dict[Work, Request] = {}
        """With the place of each, in its lane."""
        self._alive = 0
        self._idle = trio.Event()
        self._idle.set()
        self._lanes: dict[str, Lane] = {}
        self._gone: set[str] = set()
        self.supervisor = Supervisor("lanes", [Child("jobs", self._hold_jobs)])

    @property
    def in_flight(self) -> int:
        """Photos accepted and not yet finished, late ones included."""
        return len(self._works)

    @property
    def late(self) -> int:
        """Photos at work for which nobody waits any more."""
        return sum(not work.awaited for work in self._works)

    def find(self, work_id: UUID) -> Work | None:
        """The work of this id, while it is at work in this process."""
        return next((work for work in self._works if work.id == work_id), None)

    def statistics(self) -> dict[str, tuple[int, int]]:
        """Per slot: photos at work, photos waiting for their place."""
        return {
            slot_id: (lane.permits.in_use("live"), lane.admission.statistics().depth)
            for slot_id, lane in self._lanes.items()
        }

    def submit(self, work: Work, deadline: float, *, latest_start: float | None = None) -> None:
        """Hand `work` over; from here on it owns everything that it holds. Synchronous: no checkpoint inside.

        Whoever cannot begin by `latest_start`, as far as can be told from those before him, need not wait for it.
        Raises Refusal: slot_busy, queue_full, draining. Then nothing was handed over.
        """
        if self._nursery is None:
            raise Refusal(Reason.DRAINING, retry_after=5)
        ends = [other.likely_end for other in self._works if other.awaited and (other.is_live or not work.is_live)]
        if len(ends) >= self.room:
            raise Refusal(Reason.QUEUE_FULL, retry_after=self._pause(min(ends)))
        lane = self._lanes.get(work.slot.id)
        if lane is None:
            raise Refusal(Reason.SLOT_NOT_FOUND)
        start = self._expected_start(lane, work)
        if latest_start is not None and start > latest_start:
            raise Refusal(Reason.SLOT_BUSY, retry_after=self._pause(start))
        try:
            place = lane.admission.request(kind="live" if work.is_live else "canary", latest_start=deadline)
        except trio.WouldBlock:
            raise Refusal(Reason.SLOT_BUSY, retry_after=self._pause(start)) from None
        self._works[work] = place
        self._alive += 1
        if self._idle.is_set():
            self._idle = trio.Event()
        self._nursery.start_soon(self._run, work, place, name=f"job in {work.slot.id}")

    async def update(self, slots: Iterable[Slot]) -> None:
        """Follow the slots, all that are in use: new ones get a lane, changed ones are resized, others lose theirs.

        Running photos are not touched: the lane of a slot that is gone is closed once its last photo is.
        """
        slots = list(slots)
        self._gone = self._lanes.keys() - {slot.id for slot in slots}
        for slot_id in list(self._gone):
            await self._close_if_done(slot_id)
        for slot in slots:
            lane = self._lanes.get(slot.id)
            if lane is None:
                try:
                    await self.supervisor.add(self._open(slot))
                except BaseException:
                    del self._lanes[slot.id]  # nobody would hand out its places
                    raise
            else:
                lane.permits.resize(slot.permits, 0)
                lane.admission.capacity = slot.mailbox

    def cancel_all(self) -> None:
        """Give up every photo in flight."""
        for work in list(self._works):
            work.cancel()

    async def wait_idle(self) -> None:
        """Return when no photo is in flight and nothing is left to tidy."""
        while self._alive:
            await self._idle.wait()

    def _expected_start(self, lane: Lane, work: Work) -> float:
        """A test that is at work holds its place until it ends; one that only waits is in no guest's way."""
        queue = lane.admission.statistics()
        waiting = queue.waiting_live if work.is_live else queue.depth
        ends = [
            other.likely_end for other, place in self._works.items() if place.granted and other.slot.id == work.slot.id
        ]
        return expected_start(trio.current_time(), lane.permits.total("live"), ends, waiting, work.usual_service)

    def _pause(self, until: float) -> int:
        return max(1, math.ceil(until - trio.current_time()))

    async def _close_if_done(self, slot_id: str) -> None:
        """Take the lane of a slot that is gone off the tree, unless a photo still needs it."""
        if slot_id not in self._gone or any(work.slot.id == slot_id for work in self._works):
            return
        self._gone.discard(slot_id)
        del self._lanes[slot_id]  # with the name free at once, a slot that comes back gets a new lane
        await self.supervisor.remove(slot_id)

    def _open(self, slot: Slot) -> Child:
        permits = Permits(slot.id, slot.permits)
        admission = Admission(slot.id, permits, slot.mailbox)
        self._lanes[slot.id] = Lane(permits, admission)

        def on_parked(_crash: BaseException) -> None:
            # The lane is started again only slowly: whoever waits for a place is told at once.
            admission.fail_waiting(Refusal(Reason.INTERNAL_ERROR))

        return Child(slot.id, admission.run, park=True, on_parked=on_parked, mailboxes=(admission,))

    async def _hold_jobs(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def _run(self, work: Work, place: Request) -> None:
        try:
            try:
                await work.run(place)
            finally:
                self._works.pop(work, None)
                await work.tidy()
                await self._close_if_done(work.slot.id)
        except Exception:
            # A job answers for its own failures; if one gets here all the same, it must not end the others.
            log.exception("a job of %s left an exception behind", work.slot.id)
        finally:
            self._alive -= 1
            if not self._alive:
                self._idle.set()
