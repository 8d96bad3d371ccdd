"""The gallery's own work, cancelled at every checkpoint it has: nothing is left, the next one finds all in order."""

import io
import zipfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import trio

from photochanger.gallery.archive import ArchiveBody, Wanted
from photochanger.gallery.moderation import decide
from photochanger.gallery.previews import Previews
from tests.gallery.conftest import Ask
from tests.gallery.given import HOUR, cleaned, files_of, now, put_result, quiet
from tests.lab.checkpoints import cancelling
from tests.lab.house import Lab

_ROW = """
SELECT job_id, job.slot_id, path, result.expires_at FROM result JOIN job ON job.id = result.job_id WHERE job_id = $1
"""


async def at_every_checkpoint(work: Callable[[], Awaitable[object]], look: Callable[[], Awaitable[None]]) -> int:
    """Cancel `work` at its first checkpoint, its second and so on, and `look` after each; how many there were."""
    at = 0
    while True:
        at += 1
        with cancelling(at) as aim, trio.CancelScope() as scope, aim.watching(scope.cancel):
            await work()
        await look()
        if not aim.reached:
            return at - 1


def test_a_preview_that_is_being_made(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        previews = Previews(lab.house.db, lab.house.media, lab.house.pictures)
        job_id = await put_result(lab, slot)
        row = await lab.house.db.fetchrow(_ROW, job_id)
        assert row is not None

        async def look() -> None:
            await quiet(lab)
            assert previews.waiting == 0
            assert previews._making == {}
            assert f"{job_id}.jpg" in files_of(lab, job_id)
            for path in (lab.var / "media" / "results").rglob(f"{job_id}_preview.webp"):
                path.unlink()

        assert await at_every_checkpoint(lambda: previews.make(row), look) >= 6

    ask(conversation)


def test_an_archive_that_is_being_sent(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        for n in range(2):
            await put_result(lab, slot, at=now() - HOUR + timedelta(seconds=n), data=bytes(1_200_000))
        wanted = Wanted(now() - 2 * HOUR, now(), now(), slot)
        results = str(lab.var / "media" / "results")
        whole = b""

        async def work() -> None:
            nonlocal whole
            whole = b""
            async with ArchiveBody(lab.house.db, lab.house.media, wanted) as pieces:
                async for piece in pieces:
                    whole += piece

        async def look() -> None:
            await quiet(lab)
            assert open_below(results) == []

        assert await at_every_checkpoint(work, look) >= 8
        with zipfile.ZipFile(io.BytesIO(whole)) as packed:
            assert len(packed.namelist()) == 2
            assert packed.testzip() is None

    ask(conversation)


def test_a_decision(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        told: list[str] = []

        async def record(action: str, **_: Any) -> None:
            told.append(action)

        async def look() -> None:
            await quiet(lab)
            row = await lab.house.db.fetchrow("SELECT * FROM result WHERE job_id = $1", job_id)
            assert row is not None
            assert (row["approved_at"] is None) == (row["decided_by"] is None)
            assert told == ([] if row["approved_at"] is None else ["result_approve"])  # never one without the other
            told.clear()
            await lab.house.db.execute(
                "UPDATE result SET approved_at = NULL, decided_by = NULL WHERE job_id = $1", job_id
            )

        def work() -> Awaitable[object]:
            return decide(lab.house.db, job_id, "approve", "serg", record)

        assert await at_every_checkpoint(work, look) >= 4

    ask(conversation)


def test_everything_of_a_slot_being_removed(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        put = [await put_result(lab, slot, preview=True)]

        async def look() -> None:
            await quiet(lab)
            await lab.house.retention.empty(slot)
            assert files_of(lab, put[-1]) == []
            assert await cleaned(lab, put[-1]) == {"result", "preview"}
            put.append(await put_result(lab, slot, preview=True))

        assert await at_every_checkpoint(lambda: lab.house.retention.empty(slot), look) >= 10

    ask(conversation)


def open_below(folder: str) -> list[str]:
    """The files of a folder that this process has open."""
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [link for link in links if link.startswith(folder)]
