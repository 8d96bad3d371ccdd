"""How fast the roll-up counts, and what photos feel of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import trio

from photochanger.db.facade import Db
from photochanger.domain.histogram import BOUNDS
from photochanger.domain.job import JobStatus, ReplyKind
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.records import AttemptRow, Change, JobRow
from photochanger.jobs.journal import Journal
from photochanger.jobs.store import JobStore
from photochanger.stats.counting import count_photos
from photochanger.stats.rollup import Rollup
from tests.lab.bench.measure import percentile

_LARGE: Final = 20_000
_TOLD: Final = 200_000
_ALONE: Final = 15.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
RATE: Final = 50.0
"""Photos a second."""


@dataclass(frozen=True, slots=True)
class Speed:
    """`photos` were counted; `counted` and `written` are a second's. `lags` and `saves` (of a photo's end): seconds."""

    photos: int
    counted: float
    written: float
    lags: list[float]
    saves: list[float]


async def count_all(db: Db, say: Callable[[str], None]) -> None:
    """Count all that was filled in: by the roll-up's statement, in large batches and without a rest."""
    started, photos, found = time.perf_counter(), 0, _LARGE
    while found == _LARGE:
        found = await db.fetchval(count_photos(_LARGE), _EPOCH, datetime.now(UTC), BOUNDS, timeout=600)
        photos += found
        if photos % _TOLD == 0:
            say(f"{photos:,} photos counted, {photos / (time.perf_counter() - started):.0f}/s")
    rollup = Rollup(db, ready=lambda: False)
    await rollup.catch_up()
    await rollup.forget()
    say(f"{photos:,} photos counted in {time.perf_counter() - started:.0f} s")


async def beside_photos(db: Db, work: Path, *, counting: bool) -> Speed:
    """Write RATE photos a second, and all that time count the backlog that there is beside them, or not."""
    store = JobStore(db, Journal(work / "journal"))
    lags: list[float] = []
    saves: list[float] = []
    photos = 0
    started = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_probe, lags)
        async with trio.open_nursery() as both:
            is_over = trio.Event()
            both.start_soon(_write, store, saves, is_over)
            if counting:
                photos = await Rollup(db, ready=lambda: False).catch_up()
            else:
                await trio.sleep(_ALONE)
            taken = time.perf_counter() - started
            written = len(saves) / taken
            is_over.set()
        nursery.cancel_scope.cancel()
    return Speed(photos, photos / taken, written, lags, saves)


async def _probe(lags: list[float]) -> None:
    while True:
        due = trio.current_time() + 0.005
        await trio.sleep_until(due)
        lags.append(trio.current_time() - due)


async def _write(store: JobStore, saves: list[float], is_over: trio.Event) -> None:
    next_at = trio.current_time()
    async with trio.open_nursery() as nursery:
        while not is_over.is_set():
            nursery.start_soon(_photo, store, saves)
            next_at += 1 / RATE
            await trio.sleep_until(next_at)


async def _photo(store: JobStore, saves: list[float]) -> None:
    now = datetime.now(UTC)
    job = JobRow(
        id=uuid4(),
        slot_id="slot-001",
        slot_version=1,
        provider="gemini",
        deadline=now + timedelta(seconds=48),
        settle_by=now + timedelta(seconds=48),
        request_bytes=1,
        request_sha256=b"\0" * 32,
        photo_name=None,
        created_at=now,
        status=JobStatus.PROCESSING,
        started_at=now,
    )
    call = AttemptRow(uuid4(), job.id, 1, "gemini", "gemini-3.1-flash-image", now)
    await store.save(Change(job, (call,)))
    done = replace(
        job, status=JobStatus.DONE, reply_kind=ReplyKind.AI, reply_status=200, replied_at=now, finished_at=now
    )
    ended = call.ended(AttemptOutcome(Verdict.PICTURE, finish_reason="STOP"), now, 0.1)
    started = trio.current_time()
    await store.save(Change(done, (ended,)))
    saves.append(trio.current_time() - started)


def told(name: str, values: list[float]) -> str:
    """A list of seconds in words."""
    p50, p95 = (percentile(values, share) * 1000 for share in (50, 95))
    return f"{name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, longest {max(values) * 1000:.0f} ms"
