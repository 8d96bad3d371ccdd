"""A studio on the jumping clock: providers, lanes, a disk, and the booths that post to it."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TypeVar, cast
from uuid import UUID, uuid4

import trio
from trio.testing import MockClock

from photochanger.db.facade import Db
from photochanger.domain.policy import decide
from photochanger.domain.situation import Situation, Step
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import Refusal
from photochanger.jobs.activity import Activity
from photochanger.jobs.hedges import EarlyHedges
from photochanger.jobs.job import Job
from photochanger.jobs.lanes import Lanes
from photochanger.jobs.ledger import Ledger
from photochanger.jobs.origin import LIVE, Origin
from photochanger.jobs.reply import ErrorReply, PictureReply, Reply, Waiter
from photochanger.jobs.reserve import Reserve
from photochanger.jobs.shelf import TemplateShelf
from photochanger.jobs.twins import Done, Twins
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Lifetimes, Workshop
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.probe import probe
from photochanger.media.threads import PictureThreads
from photochanger.observability.metrics import Metrics
from photochanger.providers.group import ProviderGroup
from supervisors import unwrap
from tests.lab.pictures import photo, salted
from tests.lab.virtual.providers import Asked, ScriptedDriver
from tests.lab.virtual.rows import RecordingStore
from tests.lab.virtual.threads import Cost, free, inline_threads

T = TypeVar("T")
Policy = Callable[[Situation], Step]

RESERVE = 1.5
"""Seconds; the floor, as in the service's own settings."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One post of one photo. `reply` is None when the booth had gone; `job_id` when the post was refused.

    `waited` is False where there was no need to: the post was refused, or a finished twin was there. `left` is what
    lay ready for the booth when it went: a connection may be cut in the moment of the answer.
    """

    slot: Slot
    photo: int
    started: float
    ended: float
    reply: Reply | None
    job_id: UUID | None
    waited: bool
    left: Reply | None

    @property
    def got_picture(self) -> bool:
        """The one that was asked for, not a last resort."""
        return isinstance(self.reply, PictureReply) and not self.reply.stand_in


class Studio:
    """Made by `open_studio`. `visits` are those that have ended."""

    def __init__(
        self,
        root: Path,
        slots: Sequence[Slot],
        drivers: Sequence[ScriptedDriver],
        *,
        live: int,
        late: int,
        room: int,
        policy: Policy,
    ) -> None:
        self.slots = {slot.id: slot for slot in slots}
        self.drivers = {driver.name: driver for driver in drivers}
        self.rows = RecordingStore()
        self.media = FilesystemStore(root)
        self.pictures = PictureThreads(2)
        self.groups = {driver.name: ProviderGroup(driver, live=live, late=late) for driver in drivers}
        self.lanes = Lanes(room=room)
        self.twins = _Twins(self.media)
        self.workshop = Workshop(
            store=self.rows,
            media=self.media,
            pictures=self.pictures,
            groups=self.groups,
            metrics=Metrics(),
            activity=Activity(),
            ledger=Ledger(cap_day_microusd=None),
            hedges=EarlyHedges(0.1),
            reserve=Reserve(self.pictures, RESERVE),
            templates=TemplateShelf(self.media),
            lifetimes=Lifetimes(timedelta(hours=72)),
            max_pixels=10**8,
            decide=policy,
        )
        self.visits: list[Visit] = []
        self.stopped: set[UUID] = set()
        """Jobs that an administrator has given up."""

    @property
    def asked(self) -> list[Asked]:
        """All calls of all providers."""
        return [asked for driver in self.drivers.values() for asked in driver.asked]

    async def post(
        self, slot_id: str, number: int = 0, *, patience: float = float("inf"), origin: Origin = LIVE
    ) -> Visit:
        """What a booth does with photo `number`, as ingest does it. After `patience` seconds its connection is cut.

        With another `origin` it is what an administrator does who tries the slot.
        """
        slot, started = self.slots[slot_id], trio.current_time()
        got: Reply | None = None
        job_id: UUID | None = None
        waiter: Waiter | None = None
        try:
            photo = await self._receive(slot, number, started, origin)
        except Refusal as refusal:
            got = ErrorReply(refusal.reason, refusal.retry_after)
        else:
            if isinstance(photo, Done):
                got, job_id = photo.reply, photo.job_id
            else:
                job, waiter = photo
                job_id = job.id
                try:
                    with trio.move_on_after(patience):
                        got = await job.cell.wait(waiter)
                finally:
                    job.cell.leave(waiter, got)
        left = waiter.reply if waiter else None
        visit = Visit(slot, number, started, trio.current_time(), got, job_id, waiter is not None, left)
        self.visits.append(visit)
        return visit

    async def _receive(self, slot: Slot, number: int, started: float, origin: Origin) -> tuple[Job, Waiter] | Done:
        window = Window.of(started, slot.t_sync, RESERVE, late_of(slot))
        job_id = uuid4()
        is_ours = True
        try:
            upload = self._upload(self.media.temp_path(slot.id, str(job_id)), number)
            twin = self.twins.find(slot, upload.sha256, None) if origin.is_live else None
            if isinstance(twin, Done):
                return twin
            if twin is not None:
                is_ours = False
                return twin, twin.join(window, job_id)
            job = Job(self.workshop, job_id, slot, upload, window, origin)
            waiter = job.cell.join(window.deadline)
            self.lanes.submit(job, window.deadline, latest_start=job.latest_start)
            if origin.is_live:
                self.twins.remember(job, None)
            is_ours = False
            return job, waiter
        finally:
            if is_ours:
                await self.media.remove_temp(slot.id, str(job_id))

    def _upload(self, folder: Path, number: int) -> Upload:
        folder.mkdir(parents=True)
        path = folder / "payload"
        data = photo_bytes(number)
        path.write_bytes(data)
        return Upload(
            path=path,
            folder=folder,
            size=len(data),
            sha256=number.to_bytes(32, "big"),
            name=f"{number}.jpg",
            fields={},
            probe=probe(path),
        )

    def stop_one(self, slots: Container[str] | None = None) -> None:
        """What an administrator does: of all photos, or of those in these slots, the oldest is given up."""
        works = [work for work in self.lanes._works if slots is None or work.slot.id in slots]
        jobs = [work for work in works if isinstance(work, Job)]
        if jobs:
            oldest = min(jobs, key=lambda job: (job.window.started, job.id))
            if oldest.give_up():
                self.stopped.add(oldest.id)

    async def rest(self) -> None:
        """Until no photo is in flight and nothing is left to tidy."""
        await self.lanes.wait_idle()


class _Twins(Twins):
    """There was no process before this one."""

    def __init__(self, media: FilesystemStore) -> None:
        super().__init__(cast(Db, None), media)


def late_of(slot: Slot) -> float:
    """Seconds for which work goes on after the window."""
    return 0.0 if slot.on_timeout == "drop" else slot.t_late


@cache
def _plain_photo() -> bytes:
    return photo(64, 48)


def photo_bytes(number: int) -> bytes:
    """Photo `number`; no two are alike."""
    return salted(_plain_photo(), str(number))


@asynccontextmanager
async def open_studio(
    slots: Sequence[Slot],
    drivers: Sequence[ScriptedDriver],
    *,
    live: int = 8,
    late: int = 4,
    room: int = 30,
    policy: Policy = decide,
) -> AsyncIterator[Studio]:
    """A studio at work; at the end it comes to rest and is closed."""
    with quick_folder() as root:
        studio = Studio(root, slots, drivers, live=live, late=late, room=room, policy=policy)
        await studio.media.open()
        async with trio.open_nursery() as nursery:
            for group in studio.groups.values():
                await nursery.start(group.run)
            await nursery.start(studio.lanes.supervisor.run)
            await studio.lanes.update(slots)
            yield studio
            await studio.rest()
            nursery.cancel_scope.cancel()


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder for the run, in memory where the machine has one for that."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def run_virtual(main: Callable[[], Awaitable[T]], *, cost: Cost = free) -> T:
    """`main` on a clock that jumps to whatever comes next. What it raises comes out of its nurseries' groups."""
    clock = MockClock(autojump_threshold=0)
    clock.jump(1000)  # no real clock says 0
    with inline_threads(cost):
        try:
            result: T = trio.run(main, clock=clock)
        except BaseExceptionGroup as group:
            raise unwrap(group) from None
        return result
