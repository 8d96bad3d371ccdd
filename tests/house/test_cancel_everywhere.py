"""Handler, job and attempt, cancelled at every checkpoint they have: nothing is left behind, and no row lies.

What is counted is printed, and kept in the report: `pytest -s`, or `--junitxml`.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from quart import Request as HttpRequest
from quart import Response
from trio.lowlevel import Task, current_task

from photochanger.demo.dslr import Shot
from photochanger.ingest.service import Ingest
from photochanger.jobs.attempt import Attempt
from photochanger.jobs.job import Job
from photochanger.jobs.lanes import Lanes
from supervisors import Request
from tests.lab.at_rest import PHOTO, AtRest, warm_house
from tests.lab.checkpoints import CancelAt, cancelling
from tests.lab.house import Lab

AT_ONCE = 10.0
"""Seconds, where the window has 60: whoever was answered by then did not wait for its end."""

Run = tuple[Shot, list[dict[str, Any]]]
Record = Callable[[str, object], None]


class Aim:
    """Where the part that is to be cancelled finds the instrument of the present run."""

    def __init__(self) -> None:
        self.at = CancelAt(0)


@pytest.fixture
def aim() -> Aim:
    return Aim()


@pytest.fixture
async def house(tmp_path: Path, postgres_url: str) -> AsyncIterator[tuple[Lab, AtRest]]:
    async with warm_house(tmp_path, postgres_url) as house:
        yield house


async def at_every_checkpoint(house: tuple[Lab, AtRest], aim: Aim) -> list[Run]:
    """One photo for each checkpoint, cancelled there; and the first that gets through, because there is no such."""
    lab, at_rest = house
    runs: list[Run] = []
    while True:
        with cancelling(len(runs) + 1) as aim.at:
            shot = await lab.shoot(PHOTO)
            runs.append((shot, await at_rest.check()))
        assert shot.elapsed < AT_ONCE, (len(runs), shot)
        if not aim.at.reached:
            [job] = runs[-1][1]
            assert (shot.verdict, job["status"], job["reply_kind"]) == ("modified", "done", "ai")
            return runs


def kept(record: Record, what: str, runs: list[Run]) -> int:
    """The number of checkpoints at which `what` was cancelled, noted down."""
    covered = len(runs) - 1
    record(f"{what}: checkpoints cancelled", covered)
    print(f"{what}: cancelled at each of {covered} checkpoints")
    return covered


async def test_the_handler(
    house: tuple[Lab, AtRest], aim: Aim, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    handle = Ingest.handle

    async def watched(self: Ingest, slot_id: str, request: HttpRequest) -> Response:
        connection = current_task().parent_nursery
        assert connection is not None
        aim.at.watch(connection.cancel_scope.cancel)  # what happens when the connection breaks
        return await handle(self, slot_id, request)

    monkeypatch.setattr(Ingest, "handle", watched)
    runs = await at_every_checkpoint(house, aim)
    for shot, jobs in runs[:-1]:
        if shot.status is not None:  # cancelled while the answer was on its way, or just after
            assert shot.status == 200
        if shot.verdict == "modified":
            assert jobs
        for job in jobs:
            assert (job["status"], job["reply_kind"]) in (("timeout", "none"), ("done", "ai"), ("done", "none"))
    # Before the job took over, while its booth waited, and when it had answered.
    assert {jobs[0]["status"] if jobs else "" for _, jobs in runs[:-1]} == {"", "timeout", "done"}
    assert {shot.status for shot, _ in runs} == {None, 200}
    assert kept(record_property, "handler", runs) >= 12


async def test_the_job(
    house: tuple[Lab, AtRest], aim: Aim, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    run = Lanes._run

    async def watched(self: Lanes, work: Job, place: Request) -> None:
        # From outside, as the nursery of the jobs is cancelled when the lanes are torn down.
        with trio.CancelScope() as scope, aim.at.watching(scope.cancel):
            await run(self, work, place)

    monkeypatch.setattr(Lanes, "_run", watched)
    runs = await at_every_checkpoint(house, aim)
    assert every_booth_was_told_what_the_rows_say(runs)
    assert kept(record_property, "job", runs) >= 15


def parent_of(attempt: Task) -> Task:
    assert attempt.parent_nursery is not None
    return attempt.parent_nursery.parent_task


async def test_the_attempt(
    house: tuple[Lab, AtRest], aim: Aim, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    run, attempt = Lanes._run, Attempt.run
    present: dict[Any, Job] = {}

    async def known(self: Lanes, work: Job, place: Request) -> None:
        present[current_task()] = work
        await run(self, work, place)

    async def watched(self: Attempt) -> None:
        # As at the end of the window, or when the last one who waited has gone.
        with aim.at.watching(present[parent_of(current_task())].cancel):
            await attempt(self)

    monkeypatch.setattr(Lanes, "_run", known)
    monkeypatch.setattr(Attempt, "run", watched)
    runs = await at_every_checkpoint(house, aim)
    assert every_booth_was_told_what_the_rows_say(runs)
    assert kept(record_property, "attempt", runs) >= 12


def every_booth_was_told_what_the_rows_say(runs: list[Run]) -> bool:
    for shot, [job] in runs:
        assert shot.header("x-job-id") == str(job["id"])
        if job["status"] == "done":
            assert (shot.verdict, shot.status, job["reply_status"]) == ("modified", 200, 200)
        else:
            assert (job["status"], job["failure_reason"], job["reply_status"]) == ("timeout", "provider_timeout", 504)
            assert shot.status == 504
    # Before the provider was called, while it was, when its picture had come, and when all was settled.
    assert {job["status"] for _, [job] in runs} == {"timeout", "done"}
    outcomes = [tuple(attempt["outcome"] for attempt in job["attempts"]) for _, [job] in runs]
    assert {("cancelled",), ("picture",)} <= set(outcomes) <= {(), ("cancelled",), ("picture",)}
    return True
