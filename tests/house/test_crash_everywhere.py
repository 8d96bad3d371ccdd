"""A bug at every checkpoint of job, attempt, lane and group: the booth hears at once, the others get their pictures.

What is counted is printed, and kept in the report: `pytest -s`, or `--junitxml`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.lowlevel import Task, current_task

from photochanger.demo.dslr import Shot
from photochanger.domain.outcome import AttemptOutcome
from photochanger.jobs.attempt import Attempt
from photochanger.jobs.job import Job
from photochanger.jobs.lanes import Lanes
from supervisors import Admission, Request, Supervisor
from tests.lab.at_rest import PHOTO, warm_house
from tests.lab.checkpoints import CrashAt
from tests.lab.house import Lab

AT_ONCE = 10.0
"""Seconds, where the window has 60: whoever was answered by then did not wait for its end."""

Record = Callable[[str, object], None]


def parent_of(attempt: Task) -> Task:
    assert attempt.parent_nursery is not None
    return attempt.parent_nursery.parent_task


class Scene:
    """Three photos at the same moment: two in slot-001, of which one is to meet the bug, and one in slot-002.

    The other two are held in the middle of their work, each in its attempt, until the first is done with.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
        self.crash: CrashAt | None = None
        self._where = where
        self._jobs: dict[Any, Job] = {}
        monkeypatch.setattr(Lanes, "_run", self._patched_run(Lanes._run))
        monkeypatch.setattr(Attempt, "_make", self._patched_attempt(Attempt._make))

    def open(self, at: int) -> CrashAt:
        self.crash = CrashAt(at)
        self.victim: Job | None = None
        self._held = 0
        self._others_are_held = trio.Event()
        self._over = trio.Event()
        return self.crash

    def _patched_run(self, run: Any) -> Any:
        async def patched(lanes: Lanes, work: Job, place: Request) -> None:
            self._jobs[current_task()] = work
            if self.crash is None or self.victim is not None or work.slot.id != "slot-001":
                await run(lanes, work, place)
                return
            self.victim = work
            await self._others_are_held.wait()
            try:
                whole = run(lanes, work, place)
                await (self.crash.drive(whole) if self._where == "job" else whole)
            finally:
                self._over.set()

        return patched

    def _patched_attempt(self, attempt: Any) -> Any:
        async def patched(it: Attempt, permit: Request) -> AttemptOutcome:
            whole = attempt(it, permit)
            if self.crash is not None and self._jobs[parent_of(current_task())] is not self.victim:
                self._held += 1
                if self._held == 2:
                    self._others_are_held.set()
                await self._over.wait()
            elif self.crash is not None and self._where == "attempt":
                whole = self.crash.drive(whole)
            outcome: AttemptOutcome = await whole
            return outcome

        return patched


async def shoot_three(lab: Lab) -> dict[str, Shot]:
    """The shots by their jobs' ids."""
    shots: dict[str, Shot] = {}

    async def one(slot: str) -> None:
        shot = await lab.shoot(PHOTO, slot=slot)
        assert shot.elapsed < AT_ONCE, shot
        shots[str(shot.header("x-job-id"))] = shot

    async with trio.open_nursery() as nursery:
        for slot in ("slot-001", "slot-001", "slot-002"):
            nursery.start_soon(one, slot)
    assert len(shots) == 3
    return shots


def restarts(lab: Lab) -> int:
    """Of everything in the tree, since it stands."""

    def count(snapshot: Any) -> int:
        return int(snapshot.restarts) + sum(map(count, snapshot.children))

    return count(lab.house.root.snapshot())


@pytest.mark.parametrize(("where", "fewest"), [("job", 9), ("attempt", 14)])
async def test_a_bug_in_one_photos_work(
    where: str,
    fewest: int,
    tmp_path: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    scene = Scene(monkeypatch, where)
    ended: set[tuple[str, int | None]] = set()
    async with warm_house(tmp_path, postgres_url) as (lab, at_rest):
        at, crashed = 0, True
        while crashed:
            at += 1
            crash = scene.open(at)
            shots = await shoot_three(lab)
            jobs = {str(job["id"]): job for job in await at_rest.check()}
            assert shots.keys() == jobs.keys()
            assert scene.victim is not None
            crashed, victim = crash.reached, str(scene.victim.id)
            for job_id, shot in shots.items():
                job = jobs[job_id]
                assert shot.status == job["reply_status"], (at, shot, job)
                if job_id != victim or shot.status == 200:
                    assert (shot.verdict, job["status"]) == ("modified", "done"), (at, shot, job)
                else:
                    assert (shot.status, (shot.problem or {})["failure_reason"]) == (500, "internal_error"), (at, shot)
                    assert (job["status"], job["failure_reason"]) == ("failed", "internal_error"), (at, job)
            ended.add((jobs[victim]["status"], jobs[victim]["reply_status"]))
        assert (shots[victim].verdict, restarts(lab)) == ("modified", 0)
    assert ended == {("failed", 500), ("done", 200)}
    covered = at - 1
    record_property(f"{where}: checkpoints crashed", covered)
    print(f"{where}: crashed at each of {covered} checkpoints, of {crash.passed} where {crash.sites} can raise")
    assert covered >= fewest


@pytest.mark.parametrize("woken", [False, True], ids=["about-to-wait", "woken"])
@pytest.mark.parametrize(("where", "actor"), [("lane", "slot-001"), ("group", "gemini")])
async def test_a_bug_in_an_actor(
    where: str,
    actor: str,
    woken: bool,
    tmp_path: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    crash = CrashAt(0, woken=woken)
    run = Admission.run

    async def watched(self: Admission, *, task_status: trio.TaskStatus[Any]) -> None:
        work = run(self, task_status=task_status)
        await (crash.drive(work) if self.name == actor else work)

    monkeypatch.setattr(Admission, "run", watched)
    async with warm_house(tmp_path, postgres_url, provider_permits_live=1) as (lab, at_rest):
        await lab.set_slot(permits=1)  # so that photos have to wait for the actor, in the lane and in the group
        keeper = lab.house.lanes.supervisor if where == "lane" else lab.house.providers
        at, crashed = 0, True
        while crashed:
            at += 1
            crash.aim(at)
            before = restarts(lab)
            shots = await shoot_three(lab)
            jobs = await at_rest.check()
            assert [shot.verdict for shot in shots.values()] == ["modified"] * 3, at
            assert [job["status"] for job in jobs] == ["done"] * 3
            crashed = crash.reached
            assert restarts(lab) - before == int(crashed), at
            crash.aim(0)
            await forgive(keeper, actor)
    covered = at - 1
    record_property(f"{where}: checkpoints crashed", covered)
    print(f"{where}: crashed at each of {covered} checkpoints")
    assert covered >= 2


async def forgive(keeper: Supervisor, actor: str) -> None:
    """Have the supervisor forget the actor's crash, so that it is not parked for too many of them."""
    keeper.request_restart(actor)
    await trio.testing.wait_all_tasks_blocked()
