"""What the booth prints instead: in time, whole, and never in the way of the picture that was asked for."""

import hashlib
from functools import partial
from pathlib import Path

import pytest
import trio

from photochanger.media.vips import Image
from tests.house.policy import gemini, get, job_of, outcomes, reason_of, set_plans, shoot_at_once, the_bill_is_booked
from tests.lab import http
from tests.lab.house import PASSWORD, Lab, running_house
from tests.lab.pictures import photo
from tests.lab.waiting import until

pytestmark = pytest.mark.alone

T_SYNC = 2.0
SLOTS = {"error": "slot-001", "original": "slot-002", "local": "slot-003"}


async def set_last_resorts(lab: Lab) -> None:
    for last_resort, slot in SLOTS.items():
        await lab.set_slot(slot, last_resort=last_resort, last_resort_settings={"look": "mono"})


def is_grey(data: bytes) -> bool:
    """No pixel of the picture has a colour."""
    image = Image.new_from_buffer(data, "")
    return image.bands == 1 or float((image[0] - image[2]).abs().max()) <= 4


async def test_at_the_end_of_the_window(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=T_SYNC) as lab:
        await set_last_resorts(lab)
        lab.simulator.default("hang")
        error, original, local = await shoot_at_once(lab, [(small_photo, slot) for slot in SLOTS.values()])
        assert reason_of(error) == (504, "provider_timeout")
        for shot, kind in ((original, "original"), (local, "local")):
            assert (shot.verdict, shot.status, shot.header("x-photochanger-result")) == ("modified", 200, kind)
            assert shot.header("content-type") == "image/jpeg"
            assert T_SYNC / 2 < shot.elapsed < T_SYNC  # before the window's end, and not long before it
        assert original.body == small_photo
        assert is_grey(local.body)
        assert not is_grey(small_photo)
        await lab.rest()
        for shot, kind in ((original, "original"), (local, "local")):
            job = await job_of(lab, shot)
            assert (job["status"], job["failure_reason"], job["late"]) == ("timeout", "provider_timeout", False)
            assert (job["reply_kind"], job["reply_status"]) == (kind, 200)
            [attempt] = await lab.attempts(job["id"])
            assert (attempt["outcome"], attempt["possibly_billed"]) == ("cancelled", True)
            assert (await get(lab, f"/public/results/{job['id']}")).status_code == 404
        metrics = (await get(lab, "/metrics")).text
        for kind in ("original", "local"):
            assert f'photochanger_last_resort_total{{kind="{kind}"}} 1.0' in metrics
        assert await lab.count("result") == 0
        await the_bill_is_booked(lab)


async def test_whoever_still_waits_for_a_place_gets_it_too(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=T_SYNC) as lab:
        await lab.set_slot("slot-002", last_resort="original", permits=1)
        await lab.set_slot("slot-003", last_resort="local", last_resort_settings={"look": "mono"}, permits=1)
        lab.simulator.default("hang")
        shots = await shoot_at_once(lab, [(small_photo, slot) for slot in ("slot-002", "slot-003") for _ in range(3)])
        kinds = [shot.header("x-photochanger-result") for shot in shots]
        assert kinds == ["original"] * 3 + ["local"] * 3
        assert all(shot.elapsed < T_SYNC for shot in shots)
        await lab.rest()
        assert len(lab.simulator.calls) == await lab.count("attempt") == 2
        rows = await lab.house.db.fetch("SELECT DISTINCT status, failure_reason, reply_status FROM job")
        assert [tuple(row) for row in rows] == [("timeout", "provider_timeout", 200)]


async def test_when_there_will_be_no_picture(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    """Refused, without quota, without a provider that can work: the booth is not kept waiting."""
    async with running_house(tmp_path, postgres_url, t_sync=9.0) as lab:
        await set_last_resorts(lab)
        expected = {"safety": (502, "provider_refused"), "error(403)": (502, "provider_error")}
        for scenario, refusal in expected.items():
            lab.simulator.default(scenario)
            error, original, local = await shoot_at_once(lab, [(small_photo, slot) for slot in SLOTS.values()])
            assert reason_of(error) == refusal
            assert (original.status, original.header("x-photochanger-result")) == (200, "original")
            assert (local.status, local.header("x-photochanger-result")) == (200, "local")
            assert original.body == small_photo
            assert is_grey(local.body)
            assert max(shot.elapsed for shot in (error, original, local)) < 6.0
            await lab.rest()
            for shot, kind in ((error, "error"), (original, "original"), (local, "local")):
                job = await job_of(lab, shot)
                assert (job["status"], job["failure_reason"]) == ("failed", refusal[1])
                assert (job["reply_kind"], job["reply_status"], job["late"]) == (kind, shot.status, False)
        calls = len(lab.simulator.calls)

        # Nothing is affordable: the slot says whether that is a refusal.
        for slot in SLOTS.values():
            await lab.set_slot(slot, budget_day_microusd=1, at_budget="last_resort")
        error, original, local = await shoot_at_once(lab, [(small_photo, slot) for slot in SLOTS.values()])
        assert reason_of(error) == (429, "budget_exhausted")
        assert (original.status, original.body) == (200, small_photo)
        assert (local.status, local.header("x-photochanger-result")) == (200, "local")
        await lab.rest()
        assert len(lab.simulator.calls) == calls
        assert (await job_of(lab, original))["failure_reason"] == "budget_exhausted"


async def test_the_late_picture_takes_the_link(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=T_SYNC, t_late=20.0, on_timeout="store") as lab:
        await set_last_resorts(lab)
        for slot in SLOTS.values():
            await lab.set_slot(slot, dedupe_seconds=60)
        lab.simulator.default("slow(3)")
        waiting = [(small_photo, SLOTS["original"]), (small_photo, SLOTS["local"])]
        shots = await shoot_at_once(lab, waiting)
        assert [shot.header("x-photochanger-result") for shot in shots] == ["original", "local"]
        for shot in shots:
            assert (await get(lab, f"/public/results/{shot.header('x-job-id')}")).status_code == 404
            assert (await job_of(lab, shot))["status"] == "processing"
        # The booth sends it once more while the provider still works: this time it gets what it asked for.
        [again] = await shoot_at_once(lab, waiting[:1])
        assert (again.status, again.header("x-photochanger-result")) == (200, "ai")
        assert again.header("x-job-id") == shots[0].header("x-job-id")
        await lab.rest()
        for shot, kind, late in ((shots[0], "ai", False), (shots[1], "local", True)):
            job = await job_of(lab, shot)
            assert (job["status"], job["reply_kind"], job["reply_status"], job["late"]) == ("done", kind, 200, late)
            assert [each for _, each in await outcomes(lab, job)] == ["picture"]
            linked = await get(lab, f"/public/results/{job['id']}")
            assert linked.status_code == 200
            assert linked.content != shot.body
        assert len(lab.simulator.calls) == 2
        await the_bill_is_booked(lab)


async def test_a_repeat_of_a_dropped_one_is_a_new_try(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=T_SYNC, on_timeout="drop") as lab:
        await lab.set_slot(last_resort="original", dedupe_seconds=60)
        lab.simulator.scenario("hang")
        first = await lab.shoot(small_photo)
        assert first.header("x-photochanger-result") == "original"
        again = await lab.shoot(small_photo)
        assert (again.status, again.header("x-photochanger-result")) == (200, "ai")
        assert again.header("x-job-id") != first.header("x-job-id")
        await lab.rest()
        assert len(lab.simulator.calls) == 2


async def test_a_slow_reader_gets_all_of_it(tmp_path: Path, postgres_url: str) -> None:
    """The job, whose file it is, is over long before the booth has read it."""
    large = photo(5000, 4000, 16_000_000)
    assert len(large) > 12_000_000
    async with running_house(tmp_path, postgres_url, t_sync=3.0) as lab:
        await set_plans(lab, gemini("hang"), last_resort="original")
        form = {"fileToUpload": ("large.jpg", large, "image/jpeg")}
        digest, size = hashlib.sha256(), 0
        lab.background.start_soon(partial(lab.shoot, large, stop_reading_after=1000, timeout=3.5))  # and one who leaves
        async with (
            http.client(timeout=60) as client,
            client.stream("POST", lab.url(), files=form, data={"password": PASSWORD}) as answer,
        ):
            assert (answer.status_code, answer.headers["x-photochanger-result"]) == (200, "original")
            await until(lambda: lab.house.lanes.in_flight == 0)
            job = await lab.job(answer.headers["x-job-id"])
            assert job["status"] == "timeout"
            assert {path.name for path in lab.temp_files()} == {"payload"}
            async for piece in answer.aiter_raw(1_000_000):
                digest.update(piece)
                size += len(piece)
                await trio.sleep(0.02)
        assert (size, digest.digest()) == (len(large), hashlib.sha256(large).digest())
        await lab.rest()
