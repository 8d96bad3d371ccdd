"""The same photo once more: one job, one charge, and everybody who waits gets its picture."""

from pathlib import Path
from typing import Any

import trio

from photochanger.demo.dslr import Shot
from tests.house.policy import FLASH, get, job_of, outcomes, post, reason_of, shoot_at_once, the_bill_is_booked
from tests.lab.house import Lab, running_house
from tests.lab.pictures import photo
from tests.lab.waiting import until

REPLAYED = "idempotent-replayed"


async def joined_once(lab: Lab, shots: list[Shot]) -> dict[str, Any]:
    """All of these were answered by one job with one picture that was paid for once; the job's row."""
    assert {shot.status for shot in shots} == {200}
    assert len({shot.body for shot in shots}) == 1
    [job_id] = {shot.header("x-job-id") for shot in shots}
    assert {shot.header("x-photochanger-result") for shot in shots} == {"ai"}
    await lab.rest()
    job = await lab.job(job_id)
    assert (job["status"], job["late"], job["reply_kind"], job["reply_status"]) == ("done", False, "ai", 200)
    assert [each for _, each in await outcomes(lab, job)] == ["picture"]
    return job


async def test_equal_photos_at_once_are_one_job(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=8.0) as lab:
        await lab.set_slot(dedupe_seconds=60, permits=1, mailbox=1)
        lab.simulator.default("slow(0.5)")
        two = await shoot_at_once(lab, [(small_photo, "slot-001")] * 2)
        assert (await joined_once(lab, two))["joined"] == 1
        other = photo(300, 200)
        twenty = await shoot_at_once(lab, [(other, "slot-001")] * 20)
        assert (await joined_once(lab, twenty))["joined"] == 19
        assert len(lab.simulator.calls) == 2
        assert await lab.count("job") == 2
        assert "photochanger_joined_total 20.0" in (await get(lab, "/metrics")).text

        # In another slot the same photo is another one.
        await lab.set_slot("slot-002", dedupe_seconds=60)
        assert (await lab.shoot(small_photo, slot="slot-002")).header(REPLAYED) is None
        await lab.rest()
        assert len(lab.simulator.calls) == await lab.count("job") == 3
        await the_bill_is_booked(lab)


async def test_one_of_twenty_keeps_the_work_alive(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    """Nineteen booths cut their connections, the first one among them; the slot drops what nobody waits for."""
    async with running_house(tmp_path, postgres_url, t_sync=8.0, on_timeout="drop") as lab:
        await lab.set_slot(dedupe_seconds=60)
        lab.simulator.default("slow(1.5)")
        gone: list[Shot] = []
        stayed: list[Shot] = []

        async def leave() -> None:
            gone.append(await lab.shoot(small_photo, timeout=1.0))

        async def stay() -> None:
            stayed.append(await lab.shoot(small_photo))

        async with trio.open_nursery() as booths:
            booths.start_soon(leave)
            await until(lambda: lab.house.lanes.in_flight == 1)
            for _ in range(18):
                booths.start_soon(leave)
            booths.start_soon(stay)
        assert [shot.status for shot in gone] == [None] * 19
        assert (await joined_once(lab, stayed))["joined"] == 19
        assert len(lab.simulator.calls) == 1
        await the_bill_is_booked(lab)


async def test_a_retry_after_504_gets_the_late_picture_live(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=2.0, t_late=20.0, on_timeout="store") as lab:
        await lab.set_slot(dedupe_seconds=60)
        lab.simulator.scenario("slow(3)")
        first = await lab.shoot(small_photo)
        assert reason_of(first) == (504, "provider_timeout")
        permits = lab.house.groups["gemini"].permits
        assert (permits.in_use("live"), permits.in_use("late")) == (0, 1)

        async def is_written() -> bool:
            row = await job_of(lab, first)
            told = ("processing", "error", 504, True)
            return (row["status"], row["reply_kind"], row["reply_status"], row["told_504"]) == told

        await until(is_written)  # before the work ends: a crash must not lose it
        seconds: list[Shot] = []

        async def again() -> None:
            seconds.append(await lab.shoot(small_photo))

        async with trio.open_nursery() as booths:
            booths.start_soon(again)
            # Somebody waits again: it is live work again.
            await until(lambda: (permits.in_use("live"), permits.in_use("late")) == (1, 0))
        [second] = seconds
        assert (second.status, second.header("x-photochanger-result")) == (200, "ai")
        assert second.header("x-job-id") == first.header("x-job-id")
        assert second.header(REPLAYED) is None  # it was not done before: this one waited for it
        await lab.rest()
        job = await job_of(lab, first)
        assert (job["status"], job["late"], job["joined"]) == ("done", False, 1)
        assert (job["reply_kind"], job["reply_status"], job["told_504"]) == ("ai", 200, True)
        assert len(lab.simulator.calls) == await lab.count("job") == 1
        await the_bill_is_booked(lab)


async def test_each_one_waits_for_his_own_window(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    """The first one's is over before the picture comes, the second one's is not; nothing is dropped between them."""
    async with running_house(tmp_path, postgres_url, t_sync=2.0, on_timeout="drop") as lab:
        await lab.set_slot(dedupe_seconds=60)
        lab.simulator.scenario("slow(2.5)")
        shots: list[Shot] = []

        async def shoot() -> None:
            shots.append(await lab.shoot(small_photo))

        async with trio.open_nursery() as booths:
            booths.start_soon(shoot)
            await trio.sleep(1.4)
            booths.start_soon(shoot)
        first, second = shots
        assert reason_of(first) == (504, "provider_timeout"), lab.simulator.calls
        job = await joined_once(lab, [second])
        assert (job["joined"], job["told_504"]) == (1, True)
        assert second.header("x-job-id") == first.header("x-job-id")
        assert len(lab.simulator.calls) == 1
        await the_bill_is_booked(lab)


async def test_a_retry_after_a_cut_connection_joins(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=8.0, on_timeout="store") as lab:
        await lab.set_slot(dedupe_seconds=60)
        lab.simulator.scenario("slow(2)")
        cut = await lab.shoot(small_photo, timeout=0.8)
        assert cut.status is None
        await until(lambda: lab.house.lanes.late == 1)
        assert (await joined_once(lab, [await lab.shoot(small_photo)]))["joined"] == 1
        assert len(lab.simulator.calls) == await lab.count("job") == 1
        await the_bill_is_booked(lab)


async def test_a_repeat_after_the_end_gets_the_picture_that_is_there(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=8.0) as lab:
        await lab.set_slot(dedupe_seconds=60, hedge=False)
        first = await lab.shoot(small_photo)
        await lab.rest()
        again = await lab.shoot(small_photo)
        assert (first.status, first.header(REPLAYED)) == (200, None)
        assert (again.status, again.header(REPLAYED)) == (200, "true")
        assert again.body == first.body
        for name in ("x-job-id", "x-photochanger-result", "content-type", "link"):
            assert again.header(name) == first.header(name) is not None
        assert len(lab.simulator.calls) == await lab.count("job") == 1

        # A picture that is gone is made again.
        for path in (lab.var / "media" / "results").rglob("*.jpg"):
            path.unlink()
        anew = await lab.shoot(small_photo)
        assert (anew.status, anew.header(REPLAYED)) == (200, None)
        assert len(lab.simulator.calls) == await lab.count("job") == 2

        # Other settings make another picture.
        await lab.set_slot(jpeg_quality=80)
        changed = await lab.shoot(small_photo)
        assert (changed.status, changed.header(REPLAYED)) == (200, None)
        assert changed.header("x-job-id") != anew.header("x-job-id")
        assert len(lab.simulator.calls) == await lab.count("job") == 3

        # So does a slot that joins nothing.
        await lab.set_slot(dedupe_seconds=0)
        fresh = [await lab.shoot(small_photo) for _ in range(2)]
        assert [shot.header(REPLAYED) for shot in fresh] == [None, None]
        assert len(lab.simulator.calls) == await lab.count("job") == 5
        await lab.rest()
        await the_bill_is_booked(lab)


async def test_what_came_to_nothing_is_tried_again(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=8.0) as lab:
        await lab.set_slot(dedupe_seconds=60)
        lab.simulator.scenario("safety")
        assert reason_of(await lab.shoot(small_photo)) == (502, "provider_refused")
        again = await lab.shoot(small_photo)
        assert (again.status, again.header(REPLAYED)) == (200, None)

        key = {"Idempotency-Key": "guest-9"}
        other = photo(300, 200)
        lab.simulator.scenario("safety")
        assert (await post(lab, other, headers=key)).status_code == 502
        answer = await post(lab, other, headers=key)
        assert (answer.status_code, REPLAYED in answer.headers) == (200, False)
        await lab.rest()
        assert len(lab.simulator.calls) == await lab.count("job") == 4


async def test_a_repeat_needs_no_room_no_rate_and_no_money(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    """It costs nothing, running or done; a new photo is refused at the same moment."""
    async with running_house(
        tmp_path, postgres_url, t_sync=8.0, budget_day_usd=0.07, queue_max_in_flight_jobs=1, rate_burst=1000
    ) as lab:
        await lab.set_slot(dedupe_seconds=60, permits=1, mailbox=1, rate_per_minute=1, rate_burst=1)
        lab.simulator.default("slow(1)")
        other = photo(300, 200)
        first, second = await shoot_at_once(lab, [(small_photo, "slot-001")] * 2)
        await joined_once(lab, [first, second])
        refused = await lab.shoot(other)
        assert reason_of(refused) == (429, "rate_limited")
        poor = await lab.shoot(other, slot="slot-002")
        assert reason_of(poor) == (429, "budget_exhausted")
        for shot in (refused, poor):
            assert int(shot.header("retry-after") or 0) >= 1
        again = await lab.shoot(small_photo)
        assert (again.status, again.header(REPLAYED), again.body) == (200, "true", first.body)
        await lab.rest()
        assert len(lab.simulator.calls) == await lab.count("job") == 1
        assert lab.temp_files() == []


async def test_a_restart_forgets_no_picture(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=8.0) as lab:
        await lab.set_slot(dedupe_seconds=60)
        first = await lab.shoot(small_photo)
        keyed = await post(lab, photo(300, 200), headers={"Idempotency-Key": "guest-7"})
        assert first.status == keyed.status_code == 200
        version = await lab.house.db.fetchval("SELECT version FROM slot WHERE id = 'slot-001'")
        await lab.rest()
    async with running_house(tmp_path, postgres_url, t_sync=8.0) as lab:
        # What the lab changes at its start makes a new version of the slot: take that back.
        await lab.house.db.execute("UPDATE slot SET dedupe_seconds = 60, version = $1 WHERE id = 'slot-001'", version)
        await lab.house.slots.refresh()
        again = await lab.shoot(small_photo)
        assert (again.status, again.header(REPLAYED), again.body) == (200, "true", first.body)
        assert again.header("x-job-id") == first.header("x-job-id")
        assert again.header("x-photochanger-result") == "ai"
        with_key = await post(lab, photo(300, 200), headers={"Idempotency-Key": "guest-7"})
        assert (with_key.status_code, with_key.headers[REPLAYED]) == (200, "true")
        assert with_key.content == keyed.content
        conflict = await post(lab, small_photo, headers={"Idempotency-Key": "guest-7"})
        assert (conflict.status_code, conflict.json()["failure_reason"]) == (409, "idempotency_conflict")
        assert not lab.simulator.calls
        await lab.rest()


async def test_idempotency_keys(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    """They join where equal photos alone do not, and they mean one photo."""
    async with running_house(tmp_path, postgres_url, t_sync=8.0) as lab:
        key = {"Idempotency-Key": "guest-8"}
        lab.simulator.scenario("slow(0.5)")
        answers = {}

        async def one(number: int) -> None:
            answers[number] = await post(lab, small_photo, headers=key)

        async with trio.open_nursery() as booths:
            booths.start_soon(one, 1)
            booths.start_soon(one, 2)
        assert [answer.status_code for answer in answers.values()] == [200, 200]
        assert answers[1].content == answers[2].content
        done = await post(lab, small_photo, headers=key)
        assert (done.status_code, done.headers[REPLAYED]) == (200, "true")
        # A key outlives a change of the slot: it is the same request.
        await lab.set_slot(jpeg_quality=80)
        assert (await post(lab, small_photo, headers=key)).headers[REPLAYED] == "true"
        assert len(lab.simulator.calls) == 1
        job = await lab.job()
        assert (job["idempotency_key"], job["joined"]) == ("guest-8", 1)

        conflict = await post(lab, photo(300, 200), headers=key)
        assert (conflict.status_code, conflict.json()["failure_reason"]) == (409, "idempotency_conflict")
        for malformed in ("", "two words", "x" * 256):
            answer = await post(lab, small_photo, headers={"Idempotency-Key": malformed})
            assert (answer.status_code, answer.json()["failure_reason"]) == (400, "invalid_request"), malformed
        elsewhere = await post(lab, photo(300, 200), slot="slot-002", headers=key)
        assert (elsewhere.status_code, REPLAYED in elsewhere.headers) == (200, False)
        await lab.rest()
        assert [model for model, _ in await outcomes(lab, job)] == [FLASH]
        assert len(lab.simulator.calls) == await lab.count("job") == 2


async def test_a_key_that_came_with_a_repeat_is_kept_too(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=8.0) as lab:
        await lab.set_slot(dedupe_seconds=60)
        first = await lab.shoot(small_photo)
        key = {"Idempotency-Key": "guest-10"}
        repeat = await post(lab, small_photo, headers=key)
        assert (first.status, repeat.status_code, repeat.headers.get(REPLAYED)) == (200, 200, "true")
        # The photo alone would mean a new one now; the key still means the old one, and no other photo.
        await lab.set_slot(jpeg_quality=80)
        again = await post(lab, small_photo, headers=key)
        assert (again.status_code, again.headers.get(REPLAYED)) == (200, "true")
        assert again.content == first.body
        assert (await post(lab, photo(300, 200), headers=key)).status_code == 409
        assert len(lab.simulator.calls) == 1
        await lab.rest()
