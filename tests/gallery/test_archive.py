"""ZIPs of an evening: what is in them, what is told as missing, how little memory they take, and what they leave."""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from photochanger.gallery import archive
from photochanger.gallery.archive import ArchiveBody, Wanted
from tests.gallery.conftest import Ask
from tests.gallery.given import HOUR, expire, now, picture, place, put_job, put_result, quiet
from tests.lab.house import Lab


def reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["failure_reason"]


async def unpacked(client: httpx.AsyncClient, path: str, **params: str) -> dict[str, bytes]:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as packed:
        assert packed.testzip() is None
        assert {info.compress_type for info in packed.infolist()} == {zipfile.ZIP_STORED}
        return {info.filename: packed.read(info) for info in packed.infolist()}


def test_an_evening_in_one_file(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        moment = now().replace(microsecond=123456) - HOUR
        first = await put_result(lab, slot, at=moment)
        second = await put_result(lab, slot, at=moment + timedelta(seconds=61), data=b"p" * 3_000_000, mime="image/png")
        await put_result(lab, slot, source="ui_test")
        await put_job(lab, slot, status="failed", reason="provider_error")
        old, rejected, expired = [await put_result(lab, slot, at=now() - n * HOUR) for n in (30, 2, 3)]
        await expire(lab, expired)
        async with lab.api() as client:
            await client.post(f"/api/results/{rejected}/reject")
            path = f"/api/slots/{slot}/results.zip"
            found = await unpacked(client, path)
            names = [
                f"{slot}/{moment:%Y-%m-%d_%H-%M-%S}_{str(first)[:8]}.jpg",
                f"{slot}/{moment + timedelta(seconds=61):%Y-%m-%d_%H-%M-%S}_{str(second)[:8]}.png",
            ]
            assert list(found) == names
            assert list(found.values()) == [picture(), b"p" * 3_000_000]
            assert list(await unpacked(client, path, to=(moment + timedelta(seconds=61)).isoformat())) == names[:1]
            start = (moment + timedelta(seconds=1)).astimezone().isoformat()
            assert list(await unpacked(client, path, **{"from": start})) == names[1:]
            long = await unpacked(client, path, **{"from": (now() - 40 * HOUR).isoformat()})
            assert any(str(old)[:8] in name for name in long)
            assert len(long) == 3
            await put_result(lab, "slot-004")
            all_of_them = await unpacked(client, "/api/results.zip")
            assert {slot, "slot-004"} <= {name.partition("/")[0] for name in all_of_them}

    ask(conversation)


def test_head_and_headers(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await put_result(lab, slot)
        async with lab.api() as client:
            path = f"/api/slots/{slot}/results.zip"
            got = await client.get(path)
            head = await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("content-type", "content-disposition", "cache-control"):
                assert head.headers[name] == got.headers[name]
            assert got.headers["content-disposition"].startswith(f'attachment; filename="photochanger_{slot}_20')
            assert got.headers["cache-control"] == "no-store"

    ask(conversation)


def test_questions_that_make_no_sense(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        async with lab.api() as client:
            path = f"/api/slots/{slot}/results.zip"
            assert reason(await client.get(path)) == (404, "not_found")
            assert (await client.head(path)).status_code == 404
            assert reason(await client.get("/api/slots/nothing/results.zip")) == (404, "slot_not_found")
            assert (await client.get("/api/slots/..%2f..%2fetc/results.zip")).status_code == 404
            for wrong in (
                {"from": "yesterday"},
                {"from": "2026-11-28T21:00:00"},  # whose?
                {"to": "0001-01-01T00:00:00+14:00"},
                {"to": "0001-01-01T00:00:00Z"},
                {"from": "9999-12-31T23:59:59-14:00"},
                {"from": "2026-11-28T21:00:00Z", "to": "2026-11-28T21:00:00Z"},
                {"from": "2026-11-28T21:00:00Z", "to": "2026-11-28T20:00:00Z"},
                {"form": "2026-11-28T21:00:00Z"},
                {"from": "\0"},
            ):
                assert reason(await client.get(path, params=wrong)) == (422, "validation_failed"), wrong
            for sensible in ({"from": "0001-01-01T00:00:00Z"}, {"to": "9999-12-31T23:59:59Z"}):
                assert reason(await client.get(path, params=sensible)) == (404, "not_found"), sensible

    ask(conversation)


def test_more_than_an_archive_holds_is_refused(ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        for _ in range(3):
            await put_result(lab, slot)
        async with lab.api() as client:
            monkeypatch.setattr("photochanger.gallery.archives.MOST", 2)
            response = await client.get(f"/api/slots/{slot}/results.zip")
            assert reason(response) == (422, "validation_failed")
            monkeypatch.setattr("photochanger.gallery.archives.MOST", 3)
            assert (await client.get(f"/api/slots/{slot}/results.zip")).status_code == 200

    ask(conversation)


def test_pages_of_rows_follow_each_other(ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PAGE", 2)
    monkeypatch.setattr(archive, "_NEXT", " ORDER BY job.created_at, job.id LIMIT 2")

    async def conversation(lab: Lab, slot: str) -> None:
        moment = now() - HOUR
        put = {str(await put_result(lab, slot, at=moment))[:8] for _ in range(7)}
        async with lab.api() as client:
            found = await unpacked(client, f"/api/slots/{slot}/results.zip")
        assert {name[-12:-4] for name in found} == put

    ask(conversation)


async def made(body: ArchiveBody, *, between: Callable[[], object] = lambda: None) -> bytes:
    """The whole archive; `between` is called after the first piece."""
    whole = b""
    async with body as pieces:
        async for piece in pieces:
            if not whole:
                between()
            whole += piece
    return whole


def test_what_vanishes_meanwhile_is_left_out_and_told(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        moment = now() - HOUR
        big = await put_result(lab, slot, at=moment, data=os.urandom(1_200_000))
        gone = await put_result(lab, slot, at=moment + timedelta(seconds=1))
        stays = await put_result(lab, slot, at=moment + timedelta(seconds=2))
        path = await lab.house.db.fetchval("SELECT path FROM result WHERE job_id = $1", gone)
        wanted = Wanted(moment - HOUR, now(), now(), slot)
        body = ArchiveBody(lab.house.db, lab.house.media, wanted)
        whole = await made(body, between=place(lab, path).unlink)
        with zipfile.ZipFile(io.BytesIO(whole)) as packed:
            assert packed.testzip() is None
            names = packed.namelist()
            assert [str(big)[:8] in names[0], str(stays)[:8] in names[1], names[2]] == [True, True, "missing.txt"]
            assert str(gone)[:8] in packed.read("missing.txt").decode()

    ask(conversation)


def test_what_expires_meanwhile_is_not_delivered(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        begun = now()
        job_id = await put_result(lab, slot, at=begun - HOUR, expires_at=begun + timedelta(milliseconds=1))
        with trio.fail_after(20):
            while now() <= begun + timedelta(milliseconds=1):
                await trio.testing.wait_all_tasks_blocked(0.01)
        wanted = Wanted(begun - 2 * HOUR, begun, begun, slot)
        whole = await made(ArchiveBody(lab.house.db, lab.house.media, wanted))
        with zipfile.ZipFile(io.BytesIO(whole)) as packed:
            assert packed.namelist() == ["missing.txt"]
            assert str(job_id)[:8] in packed.read("missing.txt").decode()

    ask(conversation)


def open_below(folder: str) -> list[str]:
    """The files of a folder that this process has open."""
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [link for link in links if link.startswith(folder)]


def resident() -> int:
    """Bytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_the_size_of_an_archive_is_not_the_memory_it_takes(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        size, count = 40_000_000, 8
        for n in range(count):
            job_id = await put_result(lab, slot, at=now() - n * HOUR, data=b"")
            path = await lab.house.db.fetchval("SELECT path FROM result WHERE job_id = $1", job_id)
            os.truncate(place(lab, path), size)  # holes take no room on the disk
            await lab.house.db.execute("UPDATE result SET bytes = $2 WHERE job_id = $1", job_id, size)
        async with lab.api() as client, client.stream("GET", f"/api/slots/{slot}/results.zip") as response:
            received, highest, before = 0, 0, resident()
            async for piece in response.aiter_raw(chunk_size=None):
                received += len(piece)
                highest = max(highest, resident())
        assert received > size * count
        assert highest - before < 40_000_000, (highest - before) / 1e6
        await quiet(lab)

    ask(conversation)


def test_entries_beyond_four_gigabytes_are_whole(ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1_000_000)  # as if that were four gigabytes

    async def conversation(lab: Lab, slot: str) -> None:
        data = [os.urandom(700_000) for _ in range(4)]
        for n, each in enumerate(data):
            await put_result(lab, slot, at=now() - HOUR + timedelta(seconds=n), data=each)
        async with lab.api() as client:
            response = await client.get(f"/api/slots/{slot}/results.zip")
        assert b"PK\x06\x06" in response.content  # the end record of ZIP64
        with zipfile.ZipFile(io.BytesIO(response.content)) as packed:
            assert [hashlib.sha256(packed.read(name)).digest() for name in packed.namelist()] == [
                hashlib.sha256(each).digest() for each in data
            ]

    ask(conversation)


def test_a_client_that_goes_leaves_nothing(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        for _ in range(3):
            await put_result(lab, slot, data=bytes(8_000_000))
        results = str(lab.var / "media" / "results")
        head = [f"GET /api/slots/{slot}/results.zip HTTP/1.1", "Host: x"]
        head += [f"{name}: {value}" for name, value in lab.bearer().items()]
        for pieces in (0, 1, 5):
            stream = await trio.open_tcp_stream("127.0.0.1", lab.house.server.port or 0)
            async with stream:
                await stream.send_all("\r\n".join([*head, "", ""]).encode())
                for _ in range(pieces):
                    assert await stream.receive_some(65536)
            await quiet(lab)
            assert open_below(results) == []

    ask(conversation)


def test_a_client_that_does_not_read_holds_back_the_reading(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        for _ in range(3):
            await put_result(lab, slot, data=bytes(20_000_000))
        taken: list[int] = []
        go_on = ArchiveBody._go_on

        def counted(self: ArchiveBody) -> bytes:
            piece = go_on(self)
            taken.append(len(piece))
            return piece

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ArchiveBody, "_go_on", counted)
            async with lab.api() as client, client.stream("GET", f"/api/slots/{slot}/results.zip") as response:
                assert response.status_code == 200
                read = -1
                with trio.fail_after(20):
                    while read != sum(taken):  # until nothing moves any more
                        read = sum(taken)
                        await trio.testing.wait_all_tasks_blocked(0.2)
                assert read < 30_000_000  # of sixty
        await quiet(lab)

    ask(conversation)


def test_names_in_an_archive_stay_in_their_folder() -> None:
    row = {"slot_id": "../../etc", "mime": "image/jpeg", "taken_at": datetime(2026, 11, 28, 21, 3, 7, tzinfo=UTC)}
    assert archive.entry_name(row | {"job_id": "0123456789"}) == "______etc/2026-11-28_21-03-07_01234567.jpg"
