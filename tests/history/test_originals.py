"""The guest's photo, kept for a while after the reply; and worked on again."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import trio

from photochanger.jobs import job as job_module
from photochanger.jobs.originals import keep_original
from photochanger.media.filesystem import FilesystemStore
from tests.history.asking import ask, finished, job_id_of, refused, tell
from tests.house.policy import LOCAL
from tests.house.shared import SharedHouse
from tests.lab.house import READER, Lab, running_house
from tests.lab.pictures import photo
from tests.lab.waiting import until


async def original(lab: Lab, job_id: str) -> dict[str, Any] | None:
    """The row of a job's kept photo."""
    row = await lab.house.db.fetchrow(
        "SELECT * FROM media_object WHERE job_id = $1 AND scope = 'original'", UUID(job_id)
    )
    return dict(row) if row else None


async def the_rerun(lab: Lab, job_id: str, **options: Any) -> str:
    """The id of the job that runs this one's photo again."""
    answer = await tell(lab, f"/api/jobs/{job_id}/rerun", **({"json": {}} | options))
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert told["rerun_of"] == job_id
    assert answer.headers["location"] == told["job_url"] == f"/api/jobs/{told['job_id']}"
    return str(told["job_id"])


def test_the_photo_is_kept_as_it_came(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        job_id = await finished(lab, small_photo)
        row = await original(lab, job_id)
        assert row is not None
        day = datetime.now(UTC).date().isoformat()
        assert row["path"] == f"originals/{day}/{job_id}.jpg"
        assert timedelta(hours=23) < row["expires_at"] - datetime.now(UTC) < timedelta(hours=24)
        kept = lab.var / "media" / row["path"]
        assert kept.read_bytes() == small_photo
        assert kept.stat().st_mode & 0o077 == 0
        answer = await ask(lab, f"/api/jobs/{job_id}/original")
        assert (answer.status_code, answer.content) == (200, small_photo)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["etag"] == f'"{hashlib.sha256(small_photo).hexdigest()}"'
        assert refused(await ask(lab, f"/api/jobs/{job_id}/original", READER)) == (403, "forbidden")
        assert refused(await ask(lab, f"/api/jobs/{job_id}/original", None)) == (401, "unauthenticated")
        for unknown in (str(uuid4()), "x", "..%2f..%2fsecrets"):
            assert refused(await ask(lab, f"/api/jobs/{unknown}/original")) == (404, "not_found")

    house.run(scene)


def test_what_is_removed_before_it_is_kept_does_not_come_after_all(
    house: SharedHouse, monkeypatch: pytest.MonkeyPatch, small_photo: bytes
) -> None:
    """The rows are written with the job's end, the files come after the reply: a slot may be emptied in between."""
    emptied, waiting = trio.Event(), trio.Event()

    async def late(*args: Any) -> None:
        waiting.set()
        await emptied.wait()
        await keep_original(*args)

    monkeypatch.setattr(job_module, "keep_original", late)

    async def scene(lab: Lab) -> None:
        shot = await lab.shoot(small_photo, slot="slot-008")
        job_id = job_id_of(shot)
        await waiting.wait()
        order = {"everything": True, "confirm": "slot-008"}
        assert (await tell(lab, "/api/slots/slot-008/cleanup", json=order)).json()["kept"] == 0
        emptied.set()
        await lab.rest()
        assert [path for path in (lab.var / "media").rglob(f"{job_id}*") if path.is_file()] == []

    house.run(scene)


def test_photos_that_came_to_nothing_are_kept_too(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        lab.simulator.scenario("safety")
        job_id = await finished(lab, small_photo)
        assert (await ask(lab, f"/api/jobs/{job_id}/original")).content == small_photo

    house.run(scene)


def test_repeats_keep_none(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        await lab.set_slot("slot-002", dedupe_seconds=60)
        before = await lab.count("media_object")
        lab.simulator.scenario("slow(0.3)")
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(partial(lab.shoot, photo(210, 160), slot="slot-002"))
        await lab.shoot(photo(210, 160), slot="slot-002")
        await lab.rest()
        assert await lab.count("media_object") == before + 3  # result, preview, original

    house.run(scene)


async def test_where_nothing_is_to_be_kept_nothing_is(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, original_ttl_hours=0.0) as lab:
        job_id = await finished(lab, small_photo)
        assert await original(lab, job_id) is None
        assert not (lab.var / "media" / "originals").exists()
        assert refused(await ask(lab, f"/api/jobs/{job_id}/original")) == (404, "not_found")
        assert refused(await tell(lab, f"/api/jobs/{job_id}/rerun", json={})) == (409, "not_possible_now")


def test_a_disk_that_keeps_no_photo_costs_nobody_a_picture(
    house: SharedHouse, monkeypatch: pytest.MonkeyPatch, small_photo: bytes
) -> None:
    async def scene(lab: Lab) -> None:
        place = lab.var / "media" / "originals"
        moved = lab.var / "elsewhere"
        if place.exists():
            place.rename(moved)
        place.write_text("no folder")
        try:
            job_id = await finished(lab, small_photo)
            assert (await lab.job(job_id))["status"] == "done"
            assert refused(await tell(lab, f"/api/jobs/{job_id}/rerun", json={})) == (503, "storage_unavailable")
        finally:
            place.unlink()
            if moved.exists():
                moved.rename(place)
        assert refused(await ask(lab, f"/api/jobs/{job_id}/original")) == (404, "not_found")
        assert refused(await tell(lab, f"/api/jobs/{job_id}/rerun", json={})) == (409, "not_possible_now")
        await lab.rest()

    house.run(scene)


def test_a_photo_is_worked_on_again(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        lab.simulator.scenario("safety")
        first = await finished(lab, small_photo)
        again = await the_rerun(lab, first)
        await lab.rest()
        job, old = await lab.job(again), await lab.job(first)
        assert (job["status"], job["source"], job["reply_kind"]) == ("done", "rerun", "ai")
        assert (str(job["rerun_of"]), job["requested_by"]) == (first, "serg")
        for same in ("slot_id", "photo_name", "request_sha256", "request_bytes"):
            assert job[same] == old[same]
        assert (await ask(lab, f"/public/results/{again}", None)).status_code == 200
        assert await original(lab, again) is None
        assert (await ask(lab, f"/api/jobs/{again}/original")).content == small_photo  # its first job's
        # A re-run's photo is that of its first job.
        third = (await tell(lab, f"/api/jobs/{again}/rerun", json={})).json()
        assert third["rerun_of"] == first
        await lab.rest()
        assert [each["job_id"] for each in (await ask(lab, "/api/jobs", source="rerun", limit=2)).json()["data"]] == [
            third["job_id"],
            again,
        ]

    house.run(scene)


def test_a_rerun_goes_by_the_slot_as_it_is_now_and_by_what_it_is_told(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        job_id = await finished(lab, small_photo, slot="slot-005")
        await lab.set_slot("slot-005", is_active=False, dedupe_seconds=60)
        calls = len(lab.simulator.calls)
        size = {"output": "crop", "output_width": 64, "output_height": 64}
        again = await the_rerun(lab, job_id, json={"overrides": {**LOCAL, "fallbacks": [], **size}})
        await lab.rest()
        assert len(lab.simulator.calls) == calls
        job = await lab.job(again)
        assert (job["status"], job["reply_kind"], job["provider"]) == ("done", "local", "local")
        result = (await ask(lab, f"/api/results/{again}")).json()
        assert (result["width"], result["height"]) == (64, 64)
        for wrong, field in (
            ({"overrides": {"provider": "nobody"}}, "overrides.provider"),
            ({"overrides": {"settings": {"prompt": 7}}}, "overrides.settings.prompt"),
            ({"overrides": {"budget_day_microusd": 1}}, "overrides.budget_day_microusd"),
            ({"overrides": {"secret_hash": "x"}}, "overrides.secret_hash"),
            ({"overrides": {"t_sync": 3600}}, "overrides.t_sync"),
            ({"source": "ingest"}, "source"),
        ):
            answer = await tell(lab, f"/api/jobs/{job_id}/rerun", json=wrong)
            assert refused(answer) == (422, "validation_failed")
            assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert refused(await tell(lab, f"/api/jobs/{job_id}/rerun")) == (400, "invalid_request")
        assert refused(await tell(lab, f"/api/jobs/{uuid4()}/rerun", json={})) == (404, "not_found")
        assert refused(await tell(lab, f"/api/jobs/{job_id}/rerun", READER, json={})) == (403, "forbidden")
        await lab.rest()

    house.run(scene)


def test_a_photo_that_is_still_coming_is_told_as_such(
    house: SharedHouse, monkeypatch: pytest.MonkeyPatch, small_photo: bytes
) -> None:
    go_on, waiting = trio.Event(), trio.Event()

    async def late(*args: Any) -> None:
        waiting.set()
        await go_on.wait()
        await keep_original(*args)

    monkeypatch.setattr(job_module, "keep_original", late)

    async def scene(lab: Lab) -> None:
        async def detail(job_id: str) -> str:
            answer = await tell(lab, f"/api/jobs/{job_id}/rerun", json={})
            assert refused(answer) == (409, "not_possible_now")
            return str(answer.json()["detail"])

        lab.simulator.scenario("slow(0.5)")
        calls = len(lab.simulator.calls)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(lab.shoot, small_photo, slot="slot-010"))
            await until(lambda: len(lab.simulator.calls) > calls)
            job_id = str((await lab.job())["id"])
            assert await detail(job_id) == "Its photo is not kept yet: try again."  # at work
        await waiting.wait()
        assert await detail(job_id) == "Its photo is not kept yet: try again."  # there is its row
        go_on.set()
        await lab.rest()
        assert (await tell(lab, f"/api/jobs/{job_id}/rerun", json={})).status_code == 202
        await lab.rest()
        (lab.var / "media" / (await original(lab, job_id) or {})["path"]).unlink()
        statement = "UPDATE job SET finished_at = finished_at - interval '1 hour' WHERE id = $1"
        await lab.house.db.execute(statement, UUID(job_id))
        assert await detail(job_id) == "Its photo is kept no more."

    house.run(scene)


def test_a_rerun_is_no_twin_of_a_booths_photo(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        data = photo(220, 170)
        await lab.set_slot("slot-006", dedupe_seconds=600)
        first = await finished(lab, data, slot="slot-006")
        again = await the_rerun(lab, first)
        await lab.rest()
        shot = await lab.shoot(data, slot="slot-006")  # joins the booth's own job, not the re-run
        assert (shot.header("x-job-id"), shot.header("idempotent-replayed")) == (first, "true")
        assert (await lab.job(again))["joined"] == 0

    house.run(scene)


def test_limits_bound_reruns_too(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        job_id = await finished(lab, small_photo, slot="slot-007")
        path = f"/api/jobs/{job_id}/rerun"
        await lab.set_slot("slot-007", budget_day_microusd=1)
        assert refused(await tell(lab, path, json={})) == (429, "budget_exhausted")
        await lab.set_slot("slot-007", budget_day_microusd=None, rate_per_minute=1, rate_burst=1)
        assert (await tell(lab, path, json={})).status_code == 202
        answer = await tell(lab, path, json={})
        assert refused(answer) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1
        await lab.set_slot("slot-007", rate_per_minute=None, rate_burst=None)
        await lab.rest()

    house.run(scene)


def test_a_photo_that_goes_while_it_is_asked_for(
    house: SharedHouse, monkeypatch: pytest.MonkeyPatch, small_photo: bytes
) -> None:
    """Retention removes it: before it is lent, and while the new job already works on it."""
    lend = FilesystemStore.lend

    async def too_late(self: FilesystemStore, file: Path, folder: Path) -> Path | None:
        await trio.to_thread.run_sync(file.unlink)
        return await lend(self, file, folder)

    async def scene(lab: Lab) -> None:
        job_id = await finished(lab, small_photo)
        row = await original(lab, job_id)
        assert row is not None
        lab.simulator.scenario("slow(0.3)")
        calls = len(lab.simulator.calls)
        again = await the_rerun(lab, job_id)
        await lab.house.media.remove(row["path"])
        await until(lambda: len(lab.simulator.calls) > calls)
        await lab.rest()
        assert (await lab.job(again))["status"] == "done"
        assert refused(await tell(lab, f"/api/jobs/{job_id}/rerun", json={})) == (409, "not_possible_now")
        other = await finished(lab, small_photo)
        with monkeypatch.context() as patched:
            patched.setattr(FilesystemStore, "lend", too_late)
            assert refused(await tell(lab, f"/api/jobs/{other}/rerun", json={})) == (409, "not_possible_now")
        await lab.house.db.execute("UPDATE media_object SET cleaned_at = now() WHERE job_id = $1", UUID(job_id))
        assert refused(await tell(lab, f"/api/jobs/{job_id}/rerun", json={})) == (409, "not_possible_now")
        await lab.rest()

    house.run(scene)


async def test_a_rerun_for_which_no_picture_comes_ends_with_its_window(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=2.0, on_timeout="drop") as lab:
        job_id = await finished(lab, small_photo)
        lab.simulator.default("hang")
        again = await the_rerun(lab, job_id)
        await lab.rest()
        job = await lab.job(again)
        assert (job["status"], job["failure_reason"], job["reply_status"]) == ("timeout", "provider_timeout", 504)


async def test_held_reruns_finish_before_the_house_stops(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        job_id = await finished(lab, small_photo)
        lab.simulator.default("slow(0.5)")
        again = await the_rerun(lab, job_id)
        lab.house.draining = True
        assert refused(await tell(lab, f"/api/jobs/{job_id}/rerun", json={})) == (503, "draining")
        await lab.house.lanes.wait_idle()
        assert (await lab.job(again))["status"] == "done"
