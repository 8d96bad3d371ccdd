"""A crash while a provider works on: what it was paid for is followed to its end by the next process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from photochanger.providers.turbotext.simulator import TurbotextSimulator
from tests.house.test_process import fetch
from tests.lab.process import running_service
from tests.lab.waiting import until

PLAN = "provider = 'turbotext', operation = 'generate_image2image', settings = '{\"content\": \"oil\"}'"


@asynccontextmanager
async def running_turbotext(**options: Any) -> AsyncIterator[TurbotextSimulator]:
    simulator = TurbotextSimulator(**options)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.run)
        yield simulator
        nursery.cancel_scope.cancel()


async def killed_at_work(var: Path, url: str, simulator: TurbotextSimulator, photo: bytes) -> str:
    """Start a photo, kill the service once the provider's handle is durable; the job's id."""
    await fetch(url, f"UPDATE slot SET {PLAN}")
    async with (
        running_service(var, DATABASE_URL=url, TURBOTEXT_BASE_URL=simulator.base_url) as service,
        trio.open_nursery() as nursery,
    ):

        async def send() -> None:
            await service.shoot(photo)

        nursery.start_soon(send)

        async def has_handle() -> bool:
            return await fetch(url, "SELECT count(*) FROM attempt WHERE handle IS NOT NULL") == [(1,)]

        await until(has_handle)
        service.process.kill()
        await service.process.wait()
    [[job_id]] = await fetch(url, "SELECT id FROM job WHERE status = 'processing'")
    return str(job_id)


async def is_settled(url: str) -> bool:
    return await fetch(url, "SELECT count(*) FROM job WHERE status IN ('queued', 'processing')") == [(0,)]


@pytest.mark.parametrize(
    ("seconds", "status", "outcome", "billed"),
    [(4.0, "done", "picture", False), (600.0, "timeout", "timeout", True)],
    ids=["ends", "never ends"],
)
async def test_it_is_taken_up_again(
    seconds: float, status: str, outcome: str, billed: bool, tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_turbotext(seconds=seconds) as simulator:
        job_id = await killed_at_work(tmp_path, postgres_url, simulator, small_photo)
        if outcome == "timeout":
            await fetch(postgres_url, "UPDATE job SET deadline = now(), settle_by = now() + interval '4 s'")
        async with running_service(
            tmp_path, DATABASE_URL=postgres_url, TURBOTEXT_BASE_URL=simulator.base_url
        ) as service:
            await until(lambda: is_settled(postgres_url))
            rows = await fetch(postgres_url, "SELECT status, late, reply_kind, cost_microusd FROM job")
            assert rows == [(status, status == "done", "none", 20_000)]
            attempts = await fetch(postgres_url, "SELECT outcome, possibly_billed, cost_microusd FROM attempt")
            assert attempts == [(outcome, billed, 20_000)]
            picture = await service.get(f"/public/results/{job_id}")
            assert picture.status_code == (200 if status == "done" else 404)
            assert [path for path in (tmp_path / "media" / "temp").rglob("*") if path.is_file()] == []
            [call] = simulator.calls  # nothing was created a second time
            assert call.charged_microusd == 20_000
            assert await service.stop() == 0
