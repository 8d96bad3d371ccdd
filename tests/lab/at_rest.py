"""What must be true of a house once the photos in it are done with, whatever happened to them."""

import gc
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import trio
import trio.testing

from photochanger.db.pool import RESERVED, SIZE
from photochanger.domain.reasons import REASONS, Reason
from tests.lab import garbage
from tests.lab.house import Lab, running_house
from tests.lab.pictures import photo

PHOTO = photo(160, 120)
_IO_TASK = "trio_asyncio.BaseTrioEventLoop._io_task"  # one for each connection of the pool
_POSTGRES = "connection to PostgreSQL"  # the server of the tests has a Unix socket
PATIENCE = 20.0
"""Seconds until what is on its way out must have left."""

_JOBS = """
SELECT job.*, result.path AS result_path,
       coalesce((SELECT jsonb_agg(attempt ORDER BY number) FROM attempt WHERE job_id = job.id), '[]') AS attempts
FROM job LEFT JOIN result ON result.job_id = job.id WHERE job.id <> ALL($1) ORDER BY created_at
"""


class AtRest:
    """A house at rest as it was, to be compared with the same house later. Make it by `of`, in a house warmed up."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._looked_at: set[UUID] = set()
        self._limiters: list[trio.CapacityLimiter] = []
        self._before: tuple[Any, ...] = ()

    @classmethod
    async def of(cls, lab: Lab) -> Self:
        """The house as it is now; every row that is there is checked."""
        at_rest = cls(lab)
        made = (found for found in gc.get_objects() if type(found) is trio.CapacityLimiter)
        at_rest._limiters = [*garbage.LIMITERS, *made]
        await lab.rest()
        at_rest._before = at_rest._present()
        assert at_rest._before[1][_POSTGRES] == 0, at_rest._before
        await at_rest.check()
        return at_rest

    async def check(self) -> list[dict[str, Any]]:
        """Wait until all is quiet; the jobs that are new since the last time, with their `attempts`, all of them true.

        Nothing is left: no task, socket, file, thread, permit, token, database connection or journal entry. Every
        job is settled, its files are there exactly when it is done, and what the provider did is booked.
        """
        await self._quiet()
        await self._lab.rest()
        assert list((self._lab.var / "media" / "temp").glob("*/*")) == []
        jobs = [dict(row) for row in await self._lab.house.db.fetch(_JOBS, list(self._looked_at))]
        for job in jobs:
            _is_true(job)
        self._looked_at |= {job["id"] for job in jobs}
        self._files_are_those_of(jobs)
        _is_booked(len(self._lab.simulator.calls), [attempt for job in jobs for attempt in job["attempts"]])
        self._lab.simulator.calls.clear()
        return jobs

    async def _quiet(self) -> None:
        with trio.move_on_after(PATIENCE):
            while self._present() != self._before:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert self._present() == self._before, (self._present(), self._before)

    def _present(self) -> tuple[Any, ...]:
        """What must be the same again; of the connections to PostgreSQL, how many there are beside the pool's own."""
        pool = self._lab.house.db.pool_state
        assert pool is not None
        open_now = Counter(_descriptors())
        open_now[_POSTGRES] -= pool.open
        return (
            Counter(task.name for task in _tasks(trio.lowlevel.current_root_task()) if _IO_TASK not in task.name),
            open_now,
            [(n, limiter) for n, limiter in enumerate(self._limiters) if limiter.borrowed_tokens],
            (pool.leased, pool.mending, pool.waiting),
            self._lab.house.lanes.in_flight,
            self._lab.house.journal.depth,
            self._lab.house.workshop.activity.waiting,
        )

    def _files_are_those_of(self, jobs: list[dict[str, Any]]) -> None:
        """The results' folder holds what the rows say; checked files are removed, so that the next look is quick."""
        media = self._lab.var / "media"
        found = {path for path in (media / "results").rglob("*") if path.is_file()}
        results = {media / job["result_path"] for job in jobs if job["result_path"]}
        previews = {path.with_name(f"{path.stem}_preview.webp") for path in results}
        assert results <= found <= results | previews
        for path in found:
            path.unlink()


def _is_true(job: dict[str, Any]) -> None:
    done = job["status"] == "done"
    assert done or job["status"] in ("failed", "timeout", "cancelled"), job
    assert job["finished_at"] is not None, job
    assert done == (job["failure_reason"] is None) == (job["result_path"] is not None), job
    match job["reply_kind"]:
        case "ai":
            assert job["reply_status"] == 200, job
        case "error":
            reason = Reason(job["failure_reason"] or Reason.PROVIDER_TIMEOUT)
            assert job["reply_status"] == REASONS[reason].status, job
        case "none":
            assert job["reply_status"] is None, job
        case other:
            raise AssertionError(other)
    assert job["late"] == (done and job["reply_kind"] != "ai"), job
    assert job["cost_microusd"] == sum(attempt["cost_microusd"] for attempt in job["attempts"]), job
    for attempt in job["attempts"]:
        assert attempt["outcome"] is not None, job
        assert attempt["finished_at"] is not None, job
        if attempt["possibly_billed"] or attempt["outcome"] == "picture":
            assert attempt["cost_microusd"] > 0, job


def _is_booked(calls: int, attempts: list[dict[str, Any]]) -> None:
    """The simulator knows the requests that came to it whole: each of them can have been charged."""
    pictures = sum(attempt["outcome"] == "picture" for attempt in attempts)
    paid = sum(attempt["cost_microusd"] > 0 for attempt in attempts)
    assert pictures <= calls <= paid, (calls, attempts)


def _descriptors() -> Iterator[str]:
    """What is open in this process."""
    for path in Path("/dev/fd").iterdir():
        try:
            kind = path.readlink().name
            if not kind.startswith("socket:"):
                yield kind
                continue
            borrowed = socket.socket(fileno=int(path.name))
        except OSError:
            continue  # closed meanwhile, as is the one that lists the folder
        try:
            peer = str(borrowed.getpeername())
        except OSError:
            peer = "nobody"
        finally:
            borrowed.detach()
        yield _POSTGRES if ".s.PGSQL." in peer else f"{kind} with {peer}"


def _tasks(task: trio.lowlevel.Task | None) -> Iterator[trio.lowlevel.Task]:
    if task is not None:
        yield task
        for nursery in task.child_nurseries:
            for child in nursery.child_tasks:
                yield from _tasks(child)


@asynccontextmanager
async def warm_house(var: Path, database_url: str, **changes: Any) -> AsyncIterator[tuple[Lab, AtRest]]:
    """A house with a window far longer than any test, whose provider answers at once, warmed up and at rest."""
    async with running_house(var, database_url, answer=photo(64, 48), t_sync=60.0, **changes) as lab:
        async with trio.open_nursery() as nursery:
            for settling in [True] * RESERVED + [False] * (SIZE - RESERVED):
                nursery.start_soon(partial(lab.house.db.execute, "SELECT pg_sleep(0.2)", settling=settling))
        for slot in ("slot-001", "slot-002"):
            assert (await lab.shoot(PHOTO, slot=slot)).verdict == "modified"
        yield lab, await AtRest.of(lab)
    gc.collect()  # what was left to the collector complains in the test that left it
