"""A provider that hangs or is slower than the window: another one comes to the rescue, and both are booked."""

import shutil
from pathlib import Path

import pytest
import trio

from photochanger.jobs.attempt import NOT_NEEDED
from tests.house.policy import (
    FLASH,
    LITE,
    LOCAL,
    gemini,
    get,
    job_of,
    outcomes,
    reason_of,
    set_plans,
    shoot_at_once,
    the_bill_is_booked,
)
from tests.lab.house import Lab, running_house
from tests.lab.waiting import until

pytestmark = pytest.mark.alone


async def teach(lab: Lab, photo: bytes, model: str) -> None:
    """Let the house learn that this model is quick."""
    slots = [f"slot-{number:03d}" for number in range(12, 16)]
    for slot in slots:
        await set_plans(lab, gemini(model=model), slot=slot)
    shots = await shoot_at_once(lab, [(photo, slot) for slot in slots for _ in range(2)])
    assert {shot.status for shot in shots} == {200}
    await lab.rest()
    lab.simulator.calls.clear()
    await lab.house.db.execute("TRUNCATE job CASCADE")
    await trio.to_thread.run_sync(shutil.rmtree, lab.var / "media" / "originals")


async def test_a_look_to_the_rescue(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=3.0, reserve=1.0, on_timeout="store") as lab:
        await set_plans(lab, gemini("hang"), LOCAL)
        shot = await lab.shoot(small_photo)
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "local")
        assert shot.elapsed < 3.0
        await lab.rest()
        job = await job_of(lab, shot)
        assert (job["status"], job["reply_kind"], job["late"], job["retries"]) == ("done", "local", False, 0)
        hung, look = await lab.attempts(job["id"])
        assert (hung["provider"], hung["outcome"], hung["possibly_billed"]) == ("gemini", "cancelled", True)
        assert (hung["hedged"], hung["message"]) == (False, NOT_NEEDED)
        assert (look["provider"], look["outcome"], look["hedged"]) == ("local", "picture", True)
        assert job["cost_microusd"] == hung["cost_microusd"] == hung["estimate_microusd"] > look["cost_microusd"] == 0
        assert [call.client_gone for call in lab.simulator.calls] == [True]
        assert 'photochanger_hedges_total{kind="rescue",provider="local"} 1.0' in (await get(lab, "/metrics")).text
        await the_bill_is_booked(lab)


async def test_a_slot_may_forbid_second_calls(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=1.5) as lab:
        await set_plans(lab, gemini("hang"), gemini(model=LITE), hedge=False)
        shot = await lab.shoot(small_photo)
        assert reason_of(shot) == (504, "provider_timeout")
        await lab.rest()
        assert len(await outcomes(lab, await job_of(lab, shot))) == 1


async def test_a_slow_loser_is_kept_as_a_spare(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=3.0, reserve=1.0, t_late=20.0, on_timeout="store") as lab:
        await set_plans(lab, gemini("slow(4)"), LOCAL, keep_spares=True)
        await set_plans(lab, gemini("hang"), LOCAL, keep_spares=True, slot="slot-002", t_late_seconds=1)
        await set_plans(lab, gemini("slow(4)"), LOCAL, keep_spares=False, slot="slot-003")
        await set_plans(lab, gemini("slow(4)"), LOCAL, keep_spares=True, slot="slot-004")
        slots = ("slot-001", "slot-002", "slot-003", "slot-004")
        shots = await shoot_at_once(lab, [(small_photo, slot) for slot in slots])
        assert [shot.header("x-photochanger-result") for shot in shots] == ["local"] * 4
        group = lab.house.groups["gemini"]
        await until(lambda: (group.permits.in_use("live"), group.permits.in_use("late")) == (0, 3))
        async with lab.api() as client:
            order = {"everything": True, "confirm": "slot-004"}
            assert (await client.post("/api/slots/slot-004/cleanup", json=order)).status_code == 200
        assert set(lab.house.lanes.statistics().values()) == {(0, 0)}
        await lab.rest()
        spare, hung, none, emptied = [await job_of(lab, shot) for shot in shots]
        for job, outcome, billed in (
            (spare, "picture", False),
            (hung, "cancelled", True),
            (none, "cancelled", True),
            (emptied, "picture", False),
        ):
            assert (job["status"], job["reply_kind"], job["late"]) == ("done", "local", False)
            first, look = await lab.attempts(job["id"])
            assert (first["outcome"], first["possibly_billed"]) == (outcome, billed)
            assert look["outcome"] == "picture"
            assert job["cost_microusd"] == first["cost_microusd"] > 0
        [kept] = await lab.house.db.fetch("SELECT * FROM media_object WHERE scope = 'provider'")
        assert (kept["job_id"], kept["slot_id"]) == (spare["id"], "slot-001")
        assert (lab.var / "media" / kept["path"]).read_bytes().startswith(b"\xff\xd8")
        assert kept["expires_at"] > spare["deadline"]
        result = await lab.house.db.fetchrow("SELECT * FROM result WHERE job_id = $1", spare["id"])
        assert result is not None
        assert result["path"] != kept["path"]
        assert [path for path in (lab.var / "media").rglob(f"{emptied['id']}*") if path.is_file()] == []
        assert sorted(call.client_gone for call in lab.simulator.calls) == [False, False, True, True]
        assert await lab.count("result") == 4
        await the_bill_is_booked(lab)


async def test_a_quick_model_helps_a_slow_one(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    """Nothing is known of the slow one, so it is given all the time that the quick one leaves it."""
    async with running_house(tmp_path, postgres_url, t_sync=4.5, reserve=1.0) as lab:
        await teach(lab, small_photo, LITE)
        await set_plans(lab, gemini("slow(20)"), gemini(model=LITE))
        shot = await lab.shoot(small_photo)
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "fallback")
        await lab.rest()
        job = await job_of(lab, shot)
        assert (job["status"], job["reply_kind"]) == ("done", "fallback")
        assert await outcomes(lab, job) == [(FLASH, "cancelled"), (LITE, "picture")]
        slow, quick = await lab.attempts(job["id"])
        assert (slow["hedged"], slow["possibly_billed"]) == (False, True)
        assert (quick["hedged"], quick["possibly_billed"]) == (True, False)
        assert sorted((call.model, call.client_gone) for call in lab.simulator.calls) == [(FLASH, True), (LITE, False)]
        assert 'photochanger_hedges_total{kind="rescue",provider="gemini"} 1.0' in (await get(lab, "/metrics")).text
        await the_bill_is_booked(lab)


async def test_help_comes_early_when_a_call_takes_longer_than_its_kind(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=9.0, reserve=1.0, early_hedges=1.0) as lab:
        await teach(lab, small_photo, FLASH)
        await teach(lab, small_photo, LITE)
        await set_plans(lab, gemini("slow(20)"), gemini(model=LITE))
        shot = await lab.shoot(small_photo)
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "fallback")
        await lab.rest()
        job = await job_of(lab, shot)
        assert [each for _, each in await outcomes(lab, job)] == ["cancelled", "picture"]
        assert job["finished_at"] < job["deadline"]
        assert 'photochanger_hedges_total{kind="early",provider="gemini"} 1.0' in (await get(lab, "/metrics")).text
        await the_bill_is_booked(lab)
