"""A picture that comes after the window: dropped, stored or asked for, and what it may hold up meanwhile."""

from pathlib import Path

import trio

from photochanger.demo.dslr import Shot
from photochanger.jobs.attempt import NO_LATE_ROOM
from tests.house.policy import get, job_of, outcomes, reason_of, shoot_at_once, the_bill_is_booked
from tests.lab.house import running_house
from tests.lab.waiting import until


async def test_drop_store_and_poll(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=2.0, t_late=20.0) as lab:
        slots = {"drop": "slot-001", "store": "slot-002", "poll": "slot-003"}
        for on_timeout, slot in slots.items():
            await lab.set_slot(slot, on_timeout=on_timeout)
        lab.simulator.default("slow(3)")
        shots = await shoot_at_once(lab, [(small_photo, slot) for slot in slots.values()])
        assert [reason_of(shot) for shot in shots] == [(504, "provider_timeout")] * 3
        assert all(1.9 <= shot.elapsed <= 2.5 for shot in shots)
        drop, store, poll = [str(shot.header("x-job-id")) for shot in shots]

        body = shots[2].problem or {}
        assert (body["job_id"], body["result_url"], body["retry_after"]) == (poll, f"/api/results/{poll}", 5)
        assert shots[2].header("retry-after") == "5"
        for shot in shots[:2]:
            assert "result_url" not in (shot.problem or {})
            assert shot.header("retry-after") is None
        for job_id in (drop, store, poll):
            assert (await get(lab, f"/api/results/{job_id}")).status_code == 404
        # Nobody waits: places and live permits are free before the pictures have come.
        assert lab.house.lanes.statistics()["slot-002"] == (0, 0)
        assert lab.house.groups["gemini"].permits.in_use("live") == 0
        assert lab.house.groups["gemini"].permits.in_use("late") == 2

        await lab.rest()
        for job_id in (store, poll):
            answer = await get(lab, f"/api/results/{job_id}")
            assert answer.status_code == 200
            assert (await get(lab, answer.json()["url"])).headers["content-type"] == "image/jpeg"
            job = await lab.job(job_id)
            assert (job["status"], job["failure_reason"], job["late"]) == ("done", None, True)
            assert (job["reply_kind"], job["reply_status"]) == ("error", 504)
            assert job["deadline"] < job["finished_at"] < job["settle_by"]
            [attempt] = await lab.attempts(job["id"])
            assert (attempt["outcome"], attempt["possibly_billed"]) == ("picture", False)
        job = await lab.job(drop)
        assert (job["status"], job["failure_reason"], job["late"]) == ("timeout", "provider_timeout", False)
        assert job["deadline"] == job["settle_by"]
        [attempt] = await lab.attempts(job["id"])
        assert (attempt["outcome"], attempt["possibly_billed"]) == ("timeout", True)
        assert (await get(lab, f"/api/results/{drop}")).status_code == 404
        assert sorted(call.client_gone for call in lab.simulator.calls) == [False, False, True]
        metrics = (await get(lab, "/metrics")).text
        assert 'photochanger_late_total{outcome="done"} 2.0' in metrics
        assert 'photochanger_late_total{outcome="timeout"}' not in metrics  # what was dropped did not go on
        await the_bill_is_booked(lab)


async def test_late_work_holds_up_no_guest(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(
        tmp_path, postgres_url, t_sync=2.0, t_late=20.0, on_timeout="store", provider_permits_live=1
    ) as lab:
        await lab.set_slot(permits=1, mailbox=1)
        lab.simulator.scenario("slow(4)")
        late = await lab.shoot(small_photo)
        assert late.status == 504
        quick = await lab.shoot(small_photo)
        assert (quick.status, quick.header("x-photochanger-result")) == (200, "ai")
        assert (await job_of(lab, late))["status"] == "processing"
        await lab.rest()
        job = await job_of(lab, late)
        assert (job["status"], job["late"]) == ("done", True)
        assert (await job_of(lab, quick))["late"] is False
        assert len(lab.simulator.calls) == 2
        await the_bill_is_booked(lab)


async def test_the_time_for_late_work_ends(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=1.2, t_late=0.7, on_timeout="store") as lab:
        lab.simulator.default("hang")
        shot = await lab.shoot(small_photo)
        assert reason_of(shot) == (504, "provider_timeout")
        assert (await job_of(lab, shot))["status"] == "processing"
        await lab.rest()
        job = await job_of(lab, shot)
        assert (job["status"], job["failure_reason"], job["late"]) == ("timeout", "provider_timeout", False)
        assert (job["reply_kind"], job["reply_status"]) == ("error", 504)
        assert job["finished_at"] >= job["settle_by"] > job["deadline"]
        [attempt] = await lab.attempts(job["id"])
        assert (attempt["outcome"], attempt["possibly_billed"], attempt["message"]) == (
            "timeout",
            True,
            "its time was over",
        )
        assert job["cost_microusd"] == attempt["cost_microusd"] == attempt["estimate_microusd"] > 0
        assert [call.client_gone for call in lab.simulator.calls] == [True]
        assert (await get(lab, f"/api/results/{job['id']}")).status_code == 404


async def test_a_full_room_for_late_work_drops_the_oldest(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(
        tmp_path, postgres_url, t_sync=2.0, t_late=20.0, on_timeout="poll", provider_permits_late=1
    ) as lab:
        group = lab.house.groups["gemini"]
        lab.simulator.scenario("hang", "slow(3)")
        shots: dict[str, Shot] = {}

        async def shoot(slot: str) -> None:
            shots[slot] = await lab.shoot(small_photo, slot=slot)

        async with trio.open_nursery() as booths:
            booths.start_soon(shoot, "slot-001")
            await until(lambda: len(lab.simulator.calls) == 1)
            booths.start_soon(shoot, "slot-002")
            await until(lambda: "slot-001" in shots and group.permits.in_use("late") == 1)
        first, second = shots["slot-001"], shots["slot-002"]
        assert "result_url" in (first.problem or {})
        assert "result_url" in (second.problem or {})
        await lab.rest()
        dropped = await job_of(lab, first)
        assert (dropped["status"], dropped["failure_reason"]) == ("timeout", "provider_timeout")
        [attempt] = await lab.attempts(dropped["id"])
        assert (attempt["outcome"], attempt["possibly_billed"]) == ("cancelled", True)
        assert attempt["message"] == NO_LATE_ROOM
        assert dropped["finished_at"] < dropped["settle_by"]
        kept = await job_of(lab, second)
        assert (kept["status"], kept["late"]) == ("done", True)
        assert group.permits.in_use("late") == 0


async def test_without_a_room_for_late_work_there_is_none(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=1.2, on_timeout="poll", provider_permits_late=0) as lab:
        lab.simulator.default("hang")
        shot = await lab.shoot(small_photo)
        assert reason_of(shot) == (504, "provider_timeout")
        await lab.rest()
        job = await job_of(lab, shot)
        assert job["status"] == "timeout"
        [attempt] = await lab.attempts(job["id"])
        assert (attempt["outcome"], attempt["message"]) == ("cancelled", NO_LATE_ROOM)


async def test_a_booth_that_has_gone_is_no_reason_to_stop(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    """Its work goes on and is found later; but nothing new is begun for it."""
    async with running_house(tmp_path, postgres_url, t_sync=8.0, on_timeout="store") as lab:
        lab.simulator.scenario("slow(1.5)", "slow(1.5)+no_image")
        finished, drawn_for_nobody = await shoot_at_once(
            lab, [(small_photo, "slot-001"), (small_photo, "slot-001")], timeout=1.0
        )
        assert finished.status is drawn_for_nobody.status is None
        await until(lambda: lab.house.lanes.late == 2)
        assert lab.house.lanes.statistics()["slot-001"] == (0, 0)
        await lab.rest()
        rows = await lab.house.db.fetch("SELECT * FROM job ORDER BY status")
        done, failed = [dict(row) for row in rows]
        assert (done["status"], done["late"], done["reply_kind"], done["reply_status"]) == ("done", True, "none", None)
        assert (failed["status"], failed["failure_reason"]) == ("failed", "provider_no_image")
        assert (failed["late"], failed["reply_kind"], failed["retries"]) == (False, "none", 0)
        assert [each for _, each in await outcomes(lab, done)] == ["picture"]
        assert [each for _, each in await outcomes(lab, failed)] == ["no_image"]
        assert len(lab.simulator.calls) == 2
        assert (await get(lab, f"/api/results/{done['id']}")).status_code == 200
        await the_bill_is_booked(lab)


async def test_a_booth_that_leaves_between_two_tries_ends_the_work(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    """Nothing runs and nobody waits: the pause before the next try is not waited for."""
    async with running_house(tmp_path, postgres_url, t_sync=8.0, on_timeout="store") as lab:
        lab.simulator.scenario("quota_wait(4)")
        shot = await lab.shoot(small_photo, timeout=1.0)
        assert shot.status is None
        with trio.fail_after(2.0):  # far less than the pause
            await lab.house.lanes.wait_idle()
        await lab.rest()
        job = await lab.job()
        assert (job["status"], job["reply_kind"], job["cost_microusd"]) == ("timeout", "none", 0)
        assert [each for _, each in await outcomes(lab, job)] == ["quota"]
        assert len(lab.simulator.calls) == 1
