"""The promise: an answer no later than the window's end and half a second, whatever stands still."""

import os
import signal
from pathlib import Path

import pytest
import trio

from photochanger.db.home import find_home
from photochanger.db.postmaster import processes_of
from photochanger.demo.dslr import Shot
from tests.lab.house import Lab, running_house
from tests.lab.pictures import photo
from tests.lab.waiting import until

pytestmark = pytest.mark.alone

T_SYNC = 2.0
LATEST = 0.5
"""Seconds after the window in which the 504 must have come: what the product promises."""


def send(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        os.kill(process, number)


def is_504_in_time(shot: Shot, t_sync: float = T_SYNC) -> bool:
    assert (shot.status, (shot.problem or {}).get("failure_reason")) == (504, "provider_timeout"), shot
    assert t_sync - 0.1 <= shot.elapsed <= t_sync + LATEST, shot.elapsed
    return True


@pytest.mark.parametrize("scenario", ["hang", "drip(60)", "slow(60)"])
async def test_a_provider_that_hangs_is_cut_off(
    tmp_path: Path, postgres_url: str, small_photo: bytes, scenario: str
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=T_SYNC) as lab:
        lab.simulator.default(scenario)
        shot = await lab.shoot(small_photo)
        assert is_504_in_time(shot)
        await lab.rest()
        job = await lab.job()
        assert str(job["id"]) == shot.header("x-job-id") == (shot.problem or {}).get("job_id")
        assert (job["status"], job["failure_reason"]) == ("timeout", "provider_timeout")
        assert (job["reply_kind"], job["reply_status"]) == ("error", 504)
        [attempt] = await lab.attempts(job["id"])
        assert attempt["outcome"] == "timeout"
        assert attempt["possibly_billed"]
        assert job["cost_microusd"] == attempt["cost_microusd"] == attempt["estimate_microusd"] > 0
        [call] = lab.simulator.calls
        assert call.client_gone
        assert await lab.count("result") == 0


async def test_retries_end_with_the_window(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=T_SYNC) as lab:
        lab.simulator.default("no_image")
        shot = await lab.shoot(small_photo)
        assert (shot.status, (shot.problem or {}).get("failure_reason")) == (502, "provider_no_image")
        assert shot.elapsed < T_SYNC
        await lab.rest()
        job = await lab.job()
        assert job["status"] == "failed"
        assert len(await lab.attempts(job["id"])) == job["retries"] + 1 == len(lab.simulator.calls) > 1


async def test_waiting_for_a_place_counts(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=T_SYNC) as lab:
        lab.simulator.default("hang")
        shots: list[Shot] = []

        async def one() -> None:
            shots.append(await lab.shoot(small_photo))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(one)
        assert [is_504_in_time(shot) for shot in shots] == [True] * 5
        await lab.rest()
        assert len(lab.simulator.calls) == 2  # the slot's permits; the others were never sent, nor paid
        assert await lab.count("attempt") == 2
        assert await lab.house.db.fetchval("SELECT count(*) FROM job WHERE status = 'timeout'") == 5


async def test_a_booth_that_leaves_stops_the_work(lab: Lab, small_photo: bytes) -> None:
    lab.simulator.default("hang")
    shot = await lab.shoot(small_photo, timeout=1.0)
    assert (shot.verdict, shot.status) == ("original", None)
    await lab.rest()
    job = await lab.job()
    assert (job["status"], job["reply_kind"], job["reply_status"]) == ("timeout", "none", None)
    [attempt] = await lab.attempts(job["id"])
    assert (attempt["outcome"], attempt["possibly_billed"]) == ("cancelled", True)


async def test_fifteen_large_photos_at_once(tmp_path: Path, postgres_url: str) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(photo(6000, 4000, target_bytes=15_000_000))
    async with running_house(tmp_path, postgres_url, t_sync=10.0, provider_permits_live=15) as lab:
        lab.simulator.default("hang")
        shots: list[Shot] = []

        async def one(slot: str) -> None:
            shots.append(await lab.shoot(path, slot=slot))

        async with trio.open_nursery() as nursery:
            for number in range(1, 16):
                nursery.start_soon(one, f"slot-{number:03d}")
        assert [is_504_in_time(shot, 10.0) for shot in shots] == [True] * 15
        await lab.rest()


async def test_a_frozen_database_costs_no_photo_its_picture(tmp_path: Path, small_photo: bytes) -> None:
    async with running_house(tmp_path, None, t_sync=10.0) as lab:
        assert (await lab.shoot(small_photo)).verdict == "modified"
        servers = processes_of(find_home(tmp_path / "postgres").data)
        assert servers
        send(servers, signal.SIGSTOP)
        try:
            frozen = await lab.shoot(small_photo)
            lab.simulator.default("hang")
            hung = await lab.shoot(small_photo)
        finally:
            send(servers, signal.SIGCONT)
        assert frozen.verdict == "modified"
        assert is_504_in_time(hung, 10.0)
        await until(lambda: lab.house.db.state.available and not lab.house.journal.depth)
        await lab.rest()
        statuses = await lab.house.db.fetch("SELECT status, reply_kind FROM job ORDER BY created_at")
        assert [tuple(row) for row in statuses] == [("done", "ai"), ("done", "ai"), ("timeout", "error")]
