"""Work stopped by hand: the booth hears at once, what may be spent is booked, a picture that is there is kept."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import trio

from photochanger.demo.dslr import Shot
from photochanger.errors import StorageUnavailable
from photochanger.jobs import settle as settle_module
from photochanger.jobs.attempt import Attempt
from photochanger.jobs.recover import Unfinished
from photochanger.media.store import StoredFile
from tests.history.asking import at_work, finished, job_id_of, refused, tell
from tests.house.policy import reason_of
from tests.house.shared import SharedHouse
from tests.lab.house import READER, Lab
from tests.lab.pictures import photo
from tests.lab.waiting import until

AT_ONCE = 8.0
"""Seconds; the window has 20, and the provider is silent."""


class Booths:
    """Booths that post while the test does something else; `shots` are what they got."""

    def __init__(self, lab: Lab, nursery: trio.Nursery) -> None:
        self.shots: list[Shot] = []
        self._lab = lab
        self._nursery = nursery

    def post(self, data: bytes, **options: Any) -> None:
        async def one() -> None:
            self.shots.append(await self._lab.shoot(data, **options))

        self._nursery.start_soon(one)


async def quiet(lab: Lab, **columns: Any) -> None:
    """A slot as it was at first, but for these columns; a provider that never answers."""
    first: dict[str, Any] = {"on_timeout": "drop", "last_resort": "error", "permits": 2, "dedupe_seconds": 0}
    await lab.set_slot(**(first | columns))
    lab.simulator.calls.clear()
    lab.simulator.default("hang")


async def who_stopped(lab: Lab, job_id: str) -> list[str]:
    """Who stopped it, as the audit journal has it."""
    rows = await lab.house.db.fetch(
        "SELECT actor FROM audit_event WHERE action = 'job.cancel' AND subject = $1", job_id
    )
    return [row["actor"] for row in rows]


async def settled(lab: Lab, job_id: str) -> dict[str, Any]:
    lab.simulator.default("ok")
    await lab.rest()
    return await lab.job(job_id)


def test_a_photo_at_work(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab)
        async with trio.open_nursery() as nursery:
            booths = Booths(lab, nursery)
            booths.post(small_photo)
            job_id = await at_work(lab)
            answer = await tell(lab, f"/api/jobs/{job_id}/cancel")
        told = answer.json()
        assert answer.status_code == 200
        assert (told["job_id"], told["status"], told["failure_reason"]) == (job_id, "cancelled", "cancelled")
        [shot] = booths.shots
        assert reason_of(shot) == (503, "cancelled")
        assert job_id_of(shot) == job_id
        assert shot.elapsed < AT_ONCE
        job = await settled(lab, job_id)
        assert (job["status"], job["failure_reason"]) == ("cancelled", "cancelled")
        assert (job["reply_kind"], job["reply_status"]) == ("error", 503)
        [attempt] = await lab.attempts(job["id"])
        assert (attempt["outcome"], attempt["possibly_billed"]) == ("cancelled", True)
        assert attempt["message"] == "an administrator stopped the work"
        assert attempt["cost_microusd"] == job["cost_microusd"] == told["cost_microusd"] > 0

    house.run(scene)


def test_a_last_resort_that_is_ready_is_given(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab, last_resort="original")
        async with trio.open_nursery() as nursery:
            booths = Booths(lab, nursery)
            booths.post(small_photo)
            job_id = await at_work(lab)
            assert (await tell(lab, f"/api/jobs/{job_id}/cancel")).status_code == 200
        [shot] = booths.shots
        assert (shot.status, shot.header("x-photochanger-result"), shot.body) == (200, "original", small_photo)
        job = await settled(lab, job_id)
        assert (job["status"], job["reply_kind"], job["reply_status"]) == ("cancelled", "original", 200)

    house.run(scene)


def test_all_who_wait_for_it_hear(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab, dedupe_seconds=60)
        async with trio.open_nursery() as nursery:
            booths = Booths(lab, nursery)
            for _ in range(3):
                booths.post(photo(200, 150))
            job_id = await at_work(lab)
            job = lab.house.lanes.find((await lab.job(job_id))["id"])
            assert job is not None
            await until(lambda: job.row.joined == 2)  # type: ignore[attr-defined]
            assert (await tell(lab, f"/api/jobs/{job_id}/cancel")).status_code == 200
        assert [reason_of(shot) for shot in booths.shots] == [(503, "cancelled")] * 3
        assert (await settled(lab, job_id))["joined"] == 2
        again = await lab.shoot(photo(200, 150))  # it came to nothing: whoever sends it again wants another try
        assert (again.status, again.header("idempotent-replayed")) == (200, None)

    house.run(scene)


def test_a_photo_that_waits_for_its_place(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab, permits=1)
        async with trio.open_nursery() as nursery:
            booths = Booths(lab, nursery)
            booths.post(small_photo)
            first = await at_work(lab)
            booths.post(photo(300, 200))
            await until(lambda: lab.house.lanes.statistics()["slot-001"] == (1, 1))
            await until(lambda: _newest_is_not(lab, first))
            waiting = str((await lab.job())["id"])
            assert (await tell(lab, f"/api/jobs/{waiting}/cancel")).json()["status"] == "cancelled"
            assert lab.house.lanes.statistics()["slot-001"] == (1, 0)
            assert (await tell(lab, f"/api/jobs/{first}/cancel")).json()["status"] == "cancelled"
        job = await settled(lab, waiting)
        assert (job["status"], job["started_at"], job["cost_microusd"]) == ("cancelled", None, 0)
        assert await lab.attempts(job["id"]) == []

    house.run(scene)


async def _newest_is_not(lab: Lab, job_id: str) -> bool:
    return str((await lab.job())["id"]) != job_id


def test_work_for_which_nobody_waits_any_more(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab, on_timeout="store")
        async with trio.open_nursery() as nursery:
            booths = Booths(lab, nursery)
            booths.post(small_photo, timeout=1.0)
            job_id = await at_work(lab)
        await until(lambda: lab.house.lanes.late == 1)
        assert booths.shots[0].status is None
        assert (await tell(lab, f"/api/jobs/{job_id}/cancel")).json()["status"] == "cancelled"
        job = await settled(lab, job_id)
        assert (job["status"], job["failure_reason"], job["reply_kind"]) == ("cancelled", "cancelled", "none")

    house.run(scene)


@pytest.mark.parametrize("on_timeout", ["drop", "store"])
def test_while_its_picture_is_looked_at(
    house: SharedHouse, monkeypatch: pytest.MonkeyPatch, small_photo: bytes, on_timeout: str
) -> None:
    """Where late pictures are kept, one that has come and turns out whole wins; then it could not be stopped."""
    looking, go_on = trio.Event(), trio.Event()
    verify = Attempt._verify

    async def slowly(self: Attempt, outcome: Any) -> Any:
        looking.set()
        await go_on.wait()
        return await verify(self, outcome)

    monkeypatch.setattr(Attempt, "_verify", slowly)

    async def scene(lab: Lab) -> None:
        await quiet(lab, on_timeout=on_timeout)
        lab.simulator.default("ok")
        answers = []

        async def cancel(job_id: str) -> None:
            answers.append(await tell(lab, f"/api/jobs/{job_id}/cancel"))

        async with trio.open_nursery() as nursery:
            booths = Booths(lab, nursery)
            booths.post(small_photo)
            await looking.wait()
            job_id = str((await lab.job())["id"])
            nursery.start_soon(cancel, job_id)
            job = lab.house.lanes.find((await lab.job(job_id))["id"])
            await until(lambda: job._is_given_up)  # type: ignore[union-attr]
            go_on.set()
        job_row = await settled(lab, job_id)
        [attempt] = await lab.attempts(job_row["id"])
        assert attempt["cost_microusd"] > 0
        if on_timeout == "store":
            assert refused(answers[0]) == (409, "not_possible_now")
            assert (booths.shots[0].verdict, job_row["status"], job_row["reply_kind"]) == ("modified", "done", "ai")
        else:
            assert answers[0].json()["status"] == "cancelled"
            assert (reason_of(booths.shots[0]), job_row["status"]) == ((503, "cancelled"), "cancelled")
        assert await who_stopped(lab, job_id) == ["serg"]

    house.run(scene)


def test_one_that_fails_although_it_was_stopped(
    house: SharedHouse, monkeypatch: pytest.MonkeyPatch, small_photo: bytes
) -> None:
    """Its picture turns out whole when it was given up already, and then the disk is full: who ordered that is told."""
    looking, go_on = trio.Event(), trio.Event()
    verify = Attempt._verify

    async def slowly(self: Attempt, outcome: Any) -> Any:
        looking.set()
        await go_on.wait()
        return await verify(self, outcome)

    async def full(*_args: Any) -> StoredFile:
        raise StorageUnavailable("no space left")

    monkeypatch.setattr(Attempt, "_verify", slowly)
    monkeypatch.setattr(settle_module, "_keep", full)

    async def scene(lab: Lab) -> None:
        await quiet(lab, on_timeout="store")
        lab.simulator.default("ok")
        answers = []

        async def cancel(job_id: str) -> None:
            answers.append(await tell(lab, f"/api/jobs/{job_id}/cancel"))

        async with trio.open_nursery() as nursery:
            Booths(lab, nursery).post(small_photo)
            await looking.wait()
            job_id = str((await lab.job())["id"])
            job = lab.house.lanes.find((await lab.job(job_id))["id"])
            nursery.start_soon(cancel, job_id)
            await until(lambda: job._is_given_up)  # type: ignore[union-attr]
            go_on.set()
        row = await settled(lab, job_id)
        assert (row["status"], row["failure_reason"]) == ("failed", "storage_unavailable")
        assert refused(answers[0]) == (409, "not_possible_now")
        assert await who_stopped(lab, job_id) == ["serg"]

    house.run(scene)


def test_while_it_is_settled(house: SharedHouse, monkeypatch: pytest.MonkeyPatch, small_photo: bytes) -> None:
    keeping, go_on = trio.Event(), trio.Event()
    keep = settle_module._keep

    async def slowly(*args: Any) -> StoredFile:
        keeping.set()
        await go_on.wait()
        return await keep(*args)

    monkeypatch.setattr(settle_module, "_keep", slowly)

    async def scene(lab: Lab) -> None:
        await quiet(lab)
        lab.simulator.default("ok")
        async with trio.open_nursery() as nursery:
            booths = Booths(lab, nursery)
            booths.post(small_photo)
            await keeping.wait()
            job_id = str((await lab.job())["id"])
            assert refused(await tell(lab, f"/api/jobs/{job_id}/cancel")) == (409, "not_possible_now")
            go_on.set()
        assert booths.shots[0].verdict == "modified"
        assert (await settled(lab, job_id))["status"] == "done"

    house.run(scene)


def test_what_cannot_be_stopped(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab)
        lab.simulator.default("ok")
        done = await finished(lab, small_photo)
        assert refused(await tell(lab, f"/api/jobs/{done}/cancel")) == (409, "not_possible_now")
        for unknown in (str(uuid4()), "nothing", "x" * 3000):
            assert refused(await tell(lab, f"/api/jobs/{unknown}/cancel")) == (404, "not_found")
        statement = "UPDATE job SET status = 'processing', finished_at = NULL WHERE id = $1"
        await lab.house.db.execute(statement, UUID(done))
        away = await tell(lab, f"/api/jobs/{done}/cancel")
        assert away.json()["detail"] == "It is not at work in this process."
        unfinished = Unfinished(UUID(done), "slot-001", uuid4(), "turbotext", "7", trio.current_time() + 60)
        lab.house.resumption.left = [unfinished]
        resumed = await tell(lab, f"/api/jobs/{done}/cancel")
        assert refused(resumed) == (409, "not_possible_now")
        assert "taken up after a restart" in resumed.json()["detail"]
        lab.house.resumption.left = []
        await lab.house.db.execute("UPDATE job SET status = 'done', finished_at = now() WHERE id = $1", UUID(done))
        assert refused(await tell(lab, f"/api/jobs/{done}/cancel", READER)) == (403, "forbidden")
        assert refused(await tell(lab, f"/api/jobs/{done}/cancel", None)) == (401, "unauthenticated")

    house.run(scene)
