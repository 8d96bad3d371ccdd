"""The picture and its preview: made at the first look, once; rejected, expired, damaged and lost ones."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
import pyvips
import trio

from photochanger.media.filesystem import FilesystemStore
from photochanger.media.store import preview_path
from photochanger.media.threads import PictureThreads, Priority
from tests.gallery.conftest import Ask
from tests.gallery.given import cleaned, expire, files_of, picture, place, put_job, put_result, quiet
from tests.lab.house import Lab
from tests.lab.waiting import until

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["failure_reason"]


def test_a_preview_that_was_never_made_is_made_once(
    ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Priority] = []
    run = PictureThreads.run

    async def counted(self: PictureThreads, priority: Priority, *rest: object) -> object:
        made.append(priority)
        return await run(self, priority, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(PictureThreads, "run", counted)

    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        await lab.house.db.execute("DELETE FROM media_object WHERE job_id = $1 AND scope = 'preview'", job_id)
        answers: list[httpx.Response] = []

        async def look() -> None:
            answers.append(await client.get(f"/public/results/{job_id}/preview"))

        async with lab.api(None) as client, trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(look)
        assert {(each.status_code, each.headers["content-type"]) for each in answers} == {(200, "image/webp")}
        assert len({each.content for each in answers}) == 1
        assert made == [Priority.PREVIEW]
        shown = pyvips.Image.new_from_buffer(answers[0].content, "")
        assert (shown.width, shown.height) == (64, 48)
        rows = await lab.house.db.fetch("SELECT scope, path, expires_at FROM media_object WHERE job_id = $1", job_id)
        by_scope = {row["scope"]: row for row in rows}
        assert by_scope.keys() == {"result", "preview"}
        assert by_scope["preview"]["path"] == preview_path(by_scope["result"]["path"])
        assert by_scope["preview"]["expires_at"] == by_scope["result"]["expires_at"]
        assert lab.temp_files() == []
        async with lab.api(None) as client:
            etag = answers[0].headers["etag"]
            again = await client.get(f"/public/results/{job_id}/preview", headers={"If-None-Match": etag})
            assert again.status_code == 304
        assert made == [Priority.PREVIEW]

    ask(conversation)


def test_a_look_that_is_given_up_leaves_nothing_and_the_next_one_makes_it(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        pictures = lab.house.pictures
        going_on = trio.Event()

        async def occupy(started: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            await pictures._take_turn(Priority.PREVIEW)
            started.started()
            await going_on.wait()
            pictures._pass_on(Priority.PREVIEW)

        async with trio.open_nursery() as nursery:
            for _ in range(pictures.per_kind):
                await nursery.start(lambda task_status: occupy(task_status))
            async with lab.api(None) as client:
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as looks:
                        looks.start_soon(client.get, f"/public/results/{job_id}/preview")
                        await until(lambda: pictures.state().queued[Priority.PREVIEW] == 1)
                        scope.cancel()
            await until(lambda: pictures.state().queued[Priority.PREVIEW] == 0)
            going_on.set()
        await quiet(lab)
        assert files_of(lab, job_id) == [f"{job_id}.jpg"]
        async with lab.api(None) as client:
            assert (await client.get(f"/public/results/{job_id}/preview")).status_code == 200

    ask(conversation)


def test_what_has_no_preview(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        damaged = await put_result(lab, slot, data=b"no picture at all")
        lost = await put_result(lab, slot)
        for path in (lab.var / "media" / "results").rglob(f"{lost}*"):
            path.unlink()
        at_work = await put_job(lab, slot, status="processing")
        async with lab.api(None) as client:
            for job_id in (damaged, lost, at_work, UNKNOWN, "x", "..%2f..%2fetc%2fpasswd", "%00", "1" * 3000):
                response = await client.get(f"/public/results/{job_id}/preview")
                assert reason(response) == (404, "not_found"), job_id
        assert lab.temp_files() == []

    ask(conversation)


def test_what_was_rejected_is_nowhere(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot, preview=True)
        guest = f"/r/{lab.house.seals.guest(job_id)}"
        async with lab.api() as client:
            paths = (f"/public/results/{job_id}", f"/public/results/{job_id}/preview", guest)
            for path in paths:
                assert (await client.get(path)).status_code == 200
            await client.post(f"/api/results/{job_id}/reject")
            for path in paths:
                assert reason(await client.get(path)) == (404, "not_found")
                assert reason(await client.get(path, headers={"Range": "bytes=0-1"})) == (404, "not_found")
            await client.post(f"/api/results/{job_id}/undecide")
            for path in paths:
                assert (await client.get(path)).status_code == 200

    ask(conversation)


def test_what_expired_is_gone_everywhere_with_its_files(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        for path in ("/public/results/{id}", "/public/results/{id}/preview", "/r/{token}"):
            job_id = await put_result(lab, slot, preview=True)
            await expire(lab, job_id, timedelta())  # at exactly this moment
            async with lab.api(None) as client:
                asked = path.format(id=job_id, token=lab.house.seals.guest(job_id))
                assert reason(await client.get(asked)) == (410, "result_expired")
            assert files_of(lab, job_id) == []
            assert await cleaned(lab, job_id) == {"result", "preview"}

    ask(conversation)


def test_a_picture_is_saved_under_a_name(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        taken = await lab.house.db.fetchval("SELECT created_at FROM job WHERE id = $1", job_id)
        name = f"{taken:%Y-%m-%d_%H-%M-%S}_{str(job_id)[:8]}.jpg"
        async with lab.api(None) as client:
            path = f"/public/results/{job_id}"
            saved = await client.get(path, params={"download": "1"})
            assert (saved.status_code, saved.content) == (200, picture())
            assert saved.headers["content-disposition"] == f"attachment; filename={name}"
            plain = await client.get(path, params={"cache-buster": "17"})
            assert plain.status_code == 200
            assert "content-disposition" not in plain.headers
            refused = await client.get(path, params={"download": "x\r\nSet-Cookie: a=b"})
            assert reason(refused) == (422, "validation_failed")
            assert "set-cookie" not in refused.headers
            other = await client.get(path, params={"download": "0"})
            assert "content-disposition" not in other.headers

    ask(conversation)


def test_a_picture_that_is_being_sent_survives_its_removal(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        data = picture() + bytes(6_000_000)  # more than the sockets between hold
        job_id = await put_result(lab, slot, data=data)
        async with lab.api(None) as client, client.stream("GET", f"/public/results/{job_id}") as response:
            assert response.status_code == 200
            await expire(lab, job_id)
            swept = await lab.house.retention.sweep(slot_id=slot)
            assert (swept.removed_files, swept.freed_bytes, swept.stuck) == (1, len(data), 0)
            assert files_of(lab, job_id) == []
            assert await response.aread() == data

    ask(conversation)


def test_a_disk_that_is_gone_is_told(ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        folder = place(lab, "temp/previews")
        folder.mkdir(exist_ok=True)
        (folder / str(job_id)).write_bytes(b"in the way")
        async with lab.api(None) as client:
            response = await client.get(f"/public/results/{job_id}/preview")
            assert reason(response) == (503, "storage_unavailable")
        (folder / str(job_id)).unlink()
        assert isinstance(lab.house.media, FilesystemStore)

    ask(conversation)


def test_ids_are_compared_as_ids(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        async with lab.api(None) as client:
            assert (await client.get(f"/public/results/{str(job_id).upper()}")).status_code == 200
            assert (await client.get(f"/public/results/{uuid.uuid4()}")).status_code == 404

    ask(conversation)
