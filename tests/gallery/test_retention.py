"""Cleaning up: what is due goes whatever is in the way, what is not due stays, and nothing is done twice or half."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing
from prometheus_client.parser import text_string_to_metric_families

from photochanger.errors import StorageUnavailable
from photochanger.media import retention
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.retention import CLEANED_AGE, ORPHAN_AGE, TEMP_AGE, Retention, Swept
from photochanger.media.store import KeptFile, preview_path
from photochanger.observability.metrics import Metrics
from photochanger.settings.house import FIELDS
from tests.gallery.conftest import Ask
from tests.gallery.given import HOUR, cleaned, expire, files_of, now, place, put_job, put_media, put_result, quiet
from tests.lab.checkpoints import cancelling
from tests.lab.house import Lab

LONGEST_TTL = FIELDS["result_ttl_hours"].high * 3600
"""Seconds."""


def reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["failure_reason"]


async def due(lab: Lab, slot: str) -> int:
    """How many rows of a slot wait for their files to be removed."""
    open_rows = "SELECT count(*) FROM media_object WHERE slot_id = $1 AND cleaned_at IS NULL"
    return int(await lab.house.db.fetchval(open_rows + " AND expires_at <= clock_timestamp()", slot))


def aged(path: Path, seconds: float) -> None:
    """Have a file look as if it had been written so long ago."""
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


# --- what is due ------------------------------------------------------------------------------------------------


def test_files_of_every_kind_go_when_they_are_due(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot, preview=True)
        stays = await put_result(lab, slot, preview=True)
        for scope, path in (
            ("original", f"originals/2026-11-28/{job_id}.jpg"),
            ("provider", f"results/2026-11-28/{job_id}-spare-2.jpg"),
            ("temp", f"temp/{slot}/{job_id}/upload"),
        ):
            await put_media(lab, job_id, slot, scope, path, now() - HOUR)
        await expire(lab, job_id, timedelta())  # at exactly this moment
        assert len(files_of(lab, job_id)) == 4  # the fifth lies in a folder of that name
        swept = await lab.house.retention.sweep(slot_id=slot)
        assert (swept.removed_files, swept.stuck) == (5, 0)
        assert swept.freed_bytes > 300
        assert files_of(lab, job_id) == []
        assert await cleaned(lab, job_id) == {"result", "preview", "original", "provider", "temp"}
        assert len(files_of(lab, stays)) == 2
        assert await cleaned(lab, stays) == set()
        assert await lab.house.retention.sweep(slot_id=slot) == Swept()
        shutil.rmtree(place(lab, f"temp/{slot}"))

    ask(conversation)


def test_many_batches_are_one_round(ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(retention, "_NEXT", " ORDER BY expires_at, id LIMIT 3")

    async def conversation(lab: Lab, slot: str) -> None:
        moment = now() - 100 * HOUR
        put = [await put_result(lab, slot, at=moment, expires_at=moment + HOUR) for _ in range(5)]
        assert (await lab.house.retention.sweep(slot_id=slot)).removed_files == 5
        for job_id in put:
            assert await cleaned(lab, job_id) == {"result", "preview"}

    ask(conversation)


def test_a_file_that_will_not_go_blocks_nobody_and_is_tried_again(
    ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "_NEXT", " ORDER BY expires_at, id LIMIT 2")

    async def conversation(lab: Lab, slot: str) -> None:
        stuck = [await put_job(lab, slot) for _ in range(3)]
        for n, job_id in enumerate(stuck):
            path = f"results/2026-11-20/{job_id}.jpg"
            await put_media(lab, job_id, slot, "result", path, now() - (9 - n) * HOUR)
            place(lab, path).unlink()
            place(lab, path).mkdir()  # a folder in the file's place cannot be unlinked
        mad = await put_media(lab, stuck[0], slot, "result", f"results/{stuck[0]}", now() - 8 * HOUR)
        await lab.house.db.execute("UPDATE media_object SET path = '../../etc/passwd' WHERE id = $1", mad)
        goes = await put_result(lab, slot, at=now() - 3 * HOUR, expires_at=now() - HOUR)
        swept = await lab.house.retention.sweep(slot_id=slot)
        assert (swept.removed_files, swept.stuck) == (1, 4)
        assert await cleaned(lab, goes) == {"result", "preview"}
        assert await due(lab, slot) == 4
        assert "cannot be removed" in caplog.text
        for job_id in stuck:
            place(lab, f"results/2026-11-20/{job_id}.jpg").rmdir()
        swept = await lab.house.retention.sweep(slot_id=slot)
        assert (swept.removed_files, swept.stuck) == (0, 1)
        assert await due(lab, slot) == 1  # the path that leads out of the folder, for a person to look at
        await lab.house.db.execute("DELETE FROM media_object WHERE id = $1", mad)

    ask(conversation)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_between_file_and_row_is_repaired(
    ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class Crash(Exception):
        pass

    remove = FilesystemStore.remove

    async def crashing(self: FilesystemStore, path: str) -> int | None:
        if moment == "after":
            await remove(self, path)
        raise Crash

    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot, preview=True)
        await expire(lab, job_id)
        with monkeypatch.context() as patch:
            patch.setattr(FilesystemStore, "remove", crashing)
            with pytest.raises(Crash):
                await lab.house.retention.sweep(slot_id=slot)
        assert await cleaned(lab, job_id) == set()
        assert len(files_of(lab, job_id)) == (1 if moment == "after" else 2)
        await lab.house.retention.sweep(slot_id=slot)
        assert await cleaned(lab, job_id) == {"result", "preview"}
        assert files_of(lab, job_id) == []

    ask(conversation)


def test_it_can_be_cancelled_anywhere(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        at = 0
        while True:
            job_id = await put_result(lab, slot, preview=True)
            await expire(lab, job_id)
            at += 1
            with cancelling(at) as aim, trio.CancelScope() as scope, aim.watching(scope.cancel):
                await lab.house.retention.sweep(slot_id=slot)
            await quiet(lab)
            if not aim.reached:
                break
            await lab.house.retention.sweep(slot_id=slot)
            assert (files_of(lab, job_id), await cleaned(lab, job_id)) == ([], {"result", "preview"}), at
        assert at > 8
        assert await due(lab, slot) == 0

    ask(conversation)


def test_those_who_clean_at_once_share_the_work(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        put = [await put_result(lab, slot, at=now() - 9 * HOUR, expires_at=now() - HOUR) for _ in range(30)]
        swept: list[Swept] = []

        async def sweep() -> None:
            swept.append(await lab.house.retention.sweep(slot_id=slot))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(sweep)
        await lab.house.retention.sweep(slot_id=slot)
        assert sum((each for each in swept), Swept()).removed_files == 30  # each file is counted once
        for job_id in put:
            assert await cleaned(lab, job_id) == {"result", "preview"}

    ask(conversation)


def test_a_dry_run_counts_and_leaves_everything(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot, preview=True)
        await expire(lab, job_id)
        dry = Retention(lab.house.db, lab.house.media, Metrics(), dry_run=True)
        counted = await dry.sweep(slot_id=slot)
        assert counted.removed_files == 2
        assert len(files_of(lab, job_id)) == 2
        assert await cleaned(lab, job_id) == set()
        assert await lab.house.retention.sweep(slot_id=slot) == counted

    ask(conversation)


# --- files and rows that have lost each other ----------------------------------------------------------------------


def test_orphans_go_when_they_are_old_enough(ask: Callable[[Ask], None], caplog: pytest.LogCaptureFixture) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        kept = await put_result(lab, slot, preview=True)
        gone = await put_result(lab, slot)
        await expire(lab, gone)
        await lab.house.retention.sweep(slot_id=slot)
        unwritten, at_work = await put_job(lab, slot), await put_job(lab, slot, status="processing")
        folder = place(lab, "results/2026-11-20")
        originals = place(lab, "originals/2026-11-20")
        for each in (folder, originals):
            each.mkdir(parents=True, exist_ok=True)
        path = await lab.house.db.fetchval("SELECT path FROM result WHERE job_id = $1", gone)
        late = place(lab, preview_path(path))
        files = {
            "late": late,  # its row says that it is gone
            "unwritten": folder / f"{unwritten}.jpg",
            "stranger": folder / "no-name-of-ours.jpg",
            "original": originals / f"{unwritten}.jpg",
            "open": folder / f"{at_work}.jpg",  # the rows of its end could not be written at all
        }
        for file in files.values():
            file.write_bytes(b"x" * 10)
        path_kept = await lab.house.db.fetchval("SELECT path FROM result WHERE job_id = $1", kept)
        aged(place(lab, path_kept), 2 * ORPHAN_AGE)
        aged(place(lab, preview_path(path_kept)), 2 * ORPHAN_AGE)

        def there() -> set[str]:
            return {name for name, file in files.items() if file.exists()}

        assert (await lab.house.retention.sweep_orphans()).removed_files == 0
        assert there() == set(files)
        for file in files.values():
            aged(file, CLEANED_AGE)
        await lab.house.retention.sweep_orphans()
        assert there() == set(files) - {"late"}
        for name in there():
            aged(files[name], LONGEST_TTL - CLEANED_AGE - 60)
        await lab.house.retention.sweep_orphans()
        assert there() == set(files) - {"late"}
        for name in there():
            aged(files[name], 60 + 1)
        rejected = lab.house.config.journal_folder / "rejected" / "0001.json"
        rejected.parent.mkdir(parents=True)
        rejected.write_bytes(b"[]")  # PostgreSQL did not take the rows of somebody's picture
        assert (await lab.house.retention.sweep_orphans()).removed_files == 0
        rejected.unlink()
        rejected.parent.rmdir()
        assert (await lab.house.retention.sweep_orphans()).removed_files == 3
        assert there() == {"open"}
        await lab.house.db.execute("UPDATE job SET status = 'failed' WHERE id = $1", at_work)
        assert (await lab.house.retention.sweep_orphans()).removed_files == 1
        assert len(files_of(lab, kept)) == 2
        assert "no row keeps" in caplog.text

    ask(conversation)


def test_a_day_that_cannot_be_read_holds_up_no_other(
    ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept_files, remove_empty = FilesystemStore.kept_files, FilesystemStore.remove_empty

    async def reading(self: FilesystemStore, folder: str) -> list[KeptFile]:
        if folder == "results/2019-01-01":
            raise StorageUnavailable("The media folder cannot be read: Input/output error")
        return await kept_files(self, folder)

    async def removing(self: FilesystemStore, folder: str) -> None:
        if folder == "results/2019-01-02":
            raise StorageUnavailable("A folder cannot be removed: Device or resource busy")
        await remove_empty(self, folder)

    monkeypatch.setattr(FilesystemStore, "kept_files", reading)
    monkeypatch.setattr(FilesystemStore, "remove_empty", removing)

    async def conversation(lab: Lab, slot: str) -> None:
        unreadable, stuck = place(lab, "results/2019-01-01"), place(lab, "results/2019-01-02")
        last, temp = place(lab, "results/2019-01-03/no-name-of-ours.jpg"), place(lab, f"temp/{slot}/one")
        for folder in (unreadable, stuck, last.parent, temp):
            folder.mkdir(parents=True)
        last.write_bytes(b"x")
        aged(last, ORPHAN_AGE)
        aged(temp, TEMP_AGE)
        swept = await lab.house.retention.sweep_orphans()
        assert (swept.removed_files, swept.stuck) == (1, 2)
        assert (last.exists(), temp.exists()) == (False, False)
        assert "results/2019-01-01 cannot be cleaned up" in caplog.text
        for folder in (unreadable, stuck, last.parent, temp.parent):
            folder.rmdir()

    ask(conversation)


def test_a_day_of_very_many_files_holds_nobody_up(ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch) -> None:
    many = [KeptFile(f"results/2019-01-01/{number}.jpg", 1, 0.0) for number in range(40 * retention.LOOK)]

    async def folders(_self: FilesystemStore) -> list[str]:
        return ["results/2019-01-01"]

    async def files(_self: FilesystemStore, _folder: str) -> list[KeptFile]:
        return many

    monkeypatch.setattr(FilesystemStore, "kept_folders", folders)
    monkeypatch.setattr(FilesystemStore, "kept_files", files)

    async def conversation(lab: Lab, _slot: str) -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await trio.lowlevel.checkpoint()
            before = turns
            await lab.house.retention._sweep_folder("results/2019-01-01", dict.fromkeys(("results",), 0))
            assert turns - before >= 30
            nursery.cancel_scope.cancel()

    ask(conversation)


def test_old_folders_without_files_and_temp_folders_without_jobs_go(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        old, fresh = place(lab, "results/2020-01-01"), place(lab, "results/2020-01-02")
        temp, at_work = place(lab, f"temp/{slot}/one"), place(lab, f"temp/{slot}/two")
        for folder in (old, fresh, temp, at_work):
            folder.mkdir(parents=True, exist_ok=True)
        aged(old, 3 * 86_400)
        aged(temp, TEMP_AGE)
        await lab.house.retention.sweep_orphans()
        assert (old.exists(), fresh.exists(), temp.exists(), at_work.exists()) == (False, True, False, True)
        fresh.rmdir()
        shutil.rmtree(place(lab, f"temp/{slot}"))

    ask(conversation)


def test_what_was_removed_and_what_is_used_is_measured(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot, data=b"x" * 5000, preview=True)
        async with lab.api(None) as client:

            async def sample(name: str, **labels: str) -> float:
                text = (await client.get("/metrics")).text
                found = [
                    each.value
                    for family in text_string_to_metric_families(text)
                    for each in family.samples
                    if each.name == name and each.labels == labels
                ]
                return sum(found)

            await lab.house.retention.sweep_orphans()
            assert await sample("photochanger_media_bytes", kind="results") >= 5000
            assert await sample("photochanger_media_bytes", kind="previews") >= 7
            files = await sample("photochanger_media_removed_total", scope="result")
            size = await sample("photochanger_media_removed_bytes_total", scope="result")
            await expire(lab, job_id)
            await lab.house.retention.sweep(slot_id=slot)
            assert await sample("photochanger_media_removed_total", scope="result") == files + 1
            assert await sample("photochanger_media_removed_bytes_total", scope="result") == size + 5000

    ask(conversation)


# --- by hand ----------------------------------------------------------------------------------------------------


def test_an_administrator_removes_what_has_expired(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        expired, stays = await put_result(lab, slot, preview=True), await put_result(lab, slot, preview=True)
        other = await put_result(lab, "slot-005")
        await expire(lab, expired)
        await expire(lab, other)
        async with lab.api() as client:
            response = await client.post(f"/api/slots/{slot}/cleanup", json={})
            assert response.status_code == 200
            view = response.json()
            assert (view["removed_files"], view["kept"]) == (2, 2)
            assert view["freed_bytes"] > 0
            assert len(files_of(lab, stays)) == 2
            assert len(files_of(lab, other)) == 1  # another slot's
            await client.post("/api/slots/slot-005/cleanup", json={})
            assert files_of(lab, other) == []

    ask(conversation)


def test_everything_of_a_slot_goes_but_the_rows_and_the_jobs_at_work(
    ask: Callable[[Ask], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        results = [await put_result(lab, slot, preview=True) for _ in range(3)]
        at_work = await put_job(lab, slot, status="processing")
        original = f"originals/2026-11-28/{at_work}.jpg"
        await put_media(lab, at_work, slot, "original", original, now() + HOUR)
        other = await put_result(lab, "slot-006")
        async with lab.api() as client:
            for confirm in ("", "slot-001", slot.upper(), "x" * 201):
                order = {"everything": True, "confirm": confirm}
                response = await client.post(f"/api/slots/{slot}/cleanup", json=order)
                assert reason(response) == (422, "validation_failed"), confirm
                assert response.json()["errors"][0]["field"] == "confirm"
            assert len(files_of(lab, results[0])) == 2
            order = {"everything": True, "confirm": slot}
            with caplog.at_level("INFO"):
                view = (await client.post(f"/api/slots/{slot}/cleanup", json=order)).json()
            assert (view["removed_files"], view["kept"]) == (6, 1)
            assert "slot_cleanup" in caplog.text
            for job_id in results:
                assert files_of(lab, job_id) == []
                assert reason(await client.get(f"/public/results/{job_id}")) == (410, "result_expired")
                assert reason(await client.get(f"/public/results/{job_id}/preview")) == (410, "result_expired")
                assert await cleaned(lab, job_id) == {"result", "preview"}
            statement = "SELECT count(*) FROM job JOIN result ON result.job_id = job.id WHERE slot_id = $1"
            assert await lab.house.db.fetchval(statement, slot) == 3
            assert place(lab, original).exists()
            assert (await client.get(f"/public/results/{other}")).status_code == 200
            again = (await client.post(f"/api/slots/{slot}/cleanup", json=order)).json()
            assert (again["removed_files"], again["kept"]) == (0, 1)

    ask(conversation)


def test_orders_that_make_no_sense(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        async with lab.api() as client:
            path = f"/api/slots/{slot}/cleanup"
            wrong: tuple[object, ...] = ({"everything": "yes"}, {"all": True}, {"confirm": 7}, [])
            for body in wrong:
                assert reason(await client.post(path, json=body)) == (422, "validation_failed"), body
            assert reason(await client.post(path, content=b"{}")) == (400, "invalid_request")
            assert reason(await client.post("/api/slots/nothing/cleanup", json={})) == (404, "slot_not_found")
            assert reason(await client.post("/api/slots/%00/cleanup", json={})) == (404, "slot_not_found")
            await lab.house.db.execute("UPDATE slot SET archived_at = now() WHERE id = $1", slot)
            assert (await client.post(path, json={})).status_code == 200  # what is left of it can still be removed

    ask(conversation)


async def test_the_store_says_what_it_finds(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "media")
    assert await store.kept_folders() == []
    assert await store.kept_files("results/2026-11-28") == []
    assert await store.remove("results/2026-11-28/nothing.jpg") is None
    assert await store.size("results/2026-11-28/nothing.jpg") is None
    await store.remove_empty("results/2026-11-28")
    (tmp_path / "media" / "results" / "2026-11-28" / "folder.jpg").mkdir(parents=True)
    with pytest.raises(StorageUnavailable):
        await store.remove("results/2026-11-28/folder.jpg")
