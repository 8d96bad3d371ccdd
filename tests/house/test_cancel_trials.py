"""The routes by which administrators try, repeat and stop work, cancelled at every checkpoint they have."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from trio.lowlevel import current_task

from photochanger.history import routes as history_routes
from photochanger.history.cancel import stop
from photochanger.ingest.trials import Trials
from tests.lab.at_rest import PHOTO, AtRest, warm_house
from tests.lab.checkpoints import CancelAt, cancelling
from tests.lab.house import Lab
from tests.lab.waiting import until

Record = Callable[[str, object], None]
Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


@pytest.fixture
async def house(tmp_path: Path, postgres_url: str) -> AsyncIterator[tuple[Lab, AtRest]]:
    async with warm_house(tmp_path, postgres_url) as house:
        yield house


class Aim:
    """Where the part that is to be cancelled finds the instrument of the present run."""

    def __init__(self) -> None:
        self.at = CancelAt(0)

    def take(self) -> None:
        """The current task is the one: its connection breaks at the checkpoint."""
        connection = current_task().parent_nursery
        assert connection is not None
        self.at.watch(connection.cancel_scope.cancel)


async def at_every_checkpoint(
    house: tuple[Lab, AtRest], aim: Aim, ask: Ask
) -> list[tuple[int | None, list[dict[str, Any]]]]:
    """One request for each checkpoint, cancelled there, and the first that gets through: its status and its jobs."""
    lab, at_rest = house
    runs: list[tuple[int | None, list[dict[str, Any]]]] = []
    while True:
        status: int | None = None
        with cancelling(len(runs) + 1) as aim.at:
            try:
                async with lab.api() as client:
                    status = (await ask(client)).status_code
            except httpx.HTTPError:
                pass  # the connection was cut
            runs.append((status, await at_rest.check()))
        if not aim.at.reached:
            return runs


def kept(record: Record, what: str, runs: list[Any]) -> int:
    """The number of checkpoints at which `what` was cancelled, noted down."""
    covered = len(runs) - 1
    record(f"{what}: checkpoints cancelled", covered)
    print(f"{what}: cancelled at each of {covered} checkpoints")
    return covered


async def test_a_test_run(house: tuple[Lab, AtRest], monkeypatch: pytest.MonkeyPatch, record_property: Record) -> None:
    aim, test_run = Aim(), Trials.test_run

    async def watched(self: Trials, *args: Any) -> Any:
        aim.take()
        return await test_run(self, *args)

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        form = {"fileToUpload": ("a.jpg", PHOTO, "image/jpeg")}
        return await client.post("/api/slots/slot-001/test-run", files=form, data={"variants": "[{}, {}]"})

    monkeypatch.setattr(Trials, "test_run", watched)
    runs = await at_every_checkpoint(house, aim, ask)
    assert runs[-1][0] == 200
    for status, jobs in runs:
        assert status in (None, 200)
        assert len(jobs) in (0, 2)
        for job in jobs:
            assert (job["source"], job["status"]) in (("ui_test", "done"), ("ui_test", "timeout"))
    # Before the jobs took over, and while their answers were waited for.
    assert {len(jobs) for _, jobs in runs} == {0, 2}
    assert {job["status"] for _, jobs in runs for job in jobs} == {"done", "timeout"}
    assert kept(record_property, "test run", runs) >= 8


async def test_a_rerun(house: tuple[Lab, AtRest], monkeypatch: pytest.MonkeyPatch, record_property: Record) -> None:
    lab, at_rest = house
    aim, rerun = Aim(), Trials.rerun
    job_id = (await lab.shoot(PHOTO)).header("x-job-id")
    await at_rest.check()

    async def watched(self: Trials, *args: Any) -> Any:
        aim.take()
        return await rerun(self, *args)

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(f"/api/jobs/{job_id}/rerun", json={})

    monkeypatch.setattr(Trials, "rerun", watched)
    runs = await at_every_checkpoint(house, aim, ask)
    assert runs[-1][0] == 202
    for status, jobs in runs:
        assert status in (None, 202)
        # Once it is handed over, nobody's leaving ends it.
        assert [(job["source"], job["status"], job["reply_kind"]) for job in jobs] in ([], [("rerun", "done", "ai")])
    assert {len(jobs) for _, jobs in runs} == {0, 1}
    assert kept(record_property, "re-run", runs) >= 4


async def test_stopping(house: tuple[Lab, AtRest], monkeypatch: pytest.MonkeyPatch, record_property: Record) -> None:
    """Whoever asked may leave: the work is stopped from the first checkpoint on, and settled as ever."""
    lab, _ = house
    aim = Aim()

    async def watched(*args: Any) -> Any:
        aim.take()
        return await stop(*args)

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        lab.simulator._delay = 30.0
        try:
            lab.background.start_soon(partial(lab.shoot, PHOTO))
            await until(lambda: any(_calls(work) for work in lab.house.lanes._works))
            [work] = lab.house.lanes._works
            return await client.post(f"/api/jobs/{work.id}/cancel")
        finally:
            lab.simulator._delay = 0.0

    monkeypatch.setattr(history_routes, "stop", watched)
    runs = await at_every_checkpoint(house, aim, ask)
    assert runs[-1][0] == 200
    for _, [job] in runs:
        assert (job["status"], job["failure_reason"], job["reply_status"]) == ("cancelled", "cancelled", 503)
        events = "SELECT count(*) FROM audit_event WHERE action = 'job.cancel' AND subject = $1"
        assert await lab.house.db.fetchval(events, str(job["id"])) == 1
    assert kept(record_property, "stopping", runs) >= 1


def _calls(work: Any) -> bool:
    return bool(work._pursuit.running)
