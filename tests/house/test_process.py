"""The service as ops know it: a process that drains, survives kill -9, and says why it cannot start."""

import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import trio

from photochanger.db.loop import run_asyncio
from photochanger.demo.dslr import Shot
from tests.lab.house import running_simulator
from tests.lab.process import ROOT, Service, environment, process, running_service
from tests.lab.waiting import until


async def fetch(url: str, statement: str) -> list[tuple[object, ...]]:
    async def ask() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return await trio.to_thread.run_sync(run_asyncio, ask())


async def is_red(service: Service) -> bool:
    return (await service.get("/readyz")).status_code == 503


async def test_sigterm_lets_the_held_photo_finish(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    await fetch(postgres_url, "UPDATE slot SET dedupe_seconds = 0")  # the same photo is a new one here
    async with (
        running_simulator() as simulator,
        running_service(tmp_path, DATABASE_URL=postgres_url, GEMINI_BASE_URL=simulator.base_url) as service,
    ):
        first = await service.shoot(small_photo)
        simulator.default("slow(3)")
        held: list[Shot] = []

        async def hold() -> None:
            held.append(await service.shoot(small_photo))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold)
            await until(lambda: len(simulator.calls) == 2)
            service.process.send_signal(signal.SIGTERM)
            await until(lambda: is_red(service))
            refused = await service.shoot(small_photo, slot="slot-002")
            assert (refused.status, (refused.problem or {}).get("failure_reason")) == (503, "draining")
            # A guest, or a provider that fetches a link, is still served.
            link = f"/public/results/{first.header('x-job-id')}"
            picture = await service.get(link)
            assert picture.content == first.body
            assert picture.headers["connection"] == "close"
            assert (await service.get("/healthz")).json()["checks"]["service"] == "draining"
        assert held[0].verdict == "modified"
        with trio.fail_after(20):
            assert await service.process.wait() == 0
    assert await fetch(postgres_url, "SELECT status FROM job ORDER BY created_at") == [("done",), ("done",)]
    assert [path for path in (tmp_path / "media" / "temp").rglob("*") if path.is_file()] == []


async def test_what_a_kill_leaves_behind_is_settled_at_the_next_start(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    settings = {"DATABASE_URL": postgres_url}
    async with running_simulator() as simulator:
        settings["GEMINI_BASE_URL"] = simulator.base_url
        simulator.default("hang")
        async with running_service(tmp_path, **settings) as service, trio.open_nursery() as nursery:
            for number in range(1, 6):
                nursery.start_soon(_shoot_and_forget, service.shoot, small_photo, f"slot-{number:03d}")
            await until(lambda: len(simulator.calls) == 5)
            service.process.kill()
            await service.process.wait()
        assert await fetch(postgres_url, "SELECT count(*) FROM job WHERE status = 'processing'") == [(5,)]
        assert [path for path in (tmp_path / "media" / "temp").rglob("*") if path.is_file()]

        # One of them had reached the disk under its final name when the power went.
        [[saved]] = await fetch(postgres_url, "SELECT id FROM job WHERE slot_id = 'slot-003'")
        day = tmp_path / "media" / "results" / "2026-11-20"
        day.mkdir(parents=True, exist_ok=True)
        (day / f"{saved}.jpg").write_bytes(small_photo)

        simulator.default("ok")
        async with running_service(tmp_path, **settings) as service:
            rows = await fetch(postgres_url, "SELECT slot_id, status, reply_kind, late FROM job ORDER BY slot_id")
            assert [row[1] for row in rows] == ["failed", "failed", "done", "failed", "failed"]
            assert {row[2] for row in rows} == {"none"}
            assert rows[2][3] is True
            attempts = await fetch(
                postgres_url, "SELECT outcome, possibly_billed, cost_microusd = estimate_microusd FROM attempt"
            )
            assert attempts == [("timeout", True, True)] * 5
            costs = await fetch(postgres_url, "SELECT min(cost_microusd) > 0 FROM job")
            assert costs == [(True,)]
            assert [path for path in (tmp_path / "media" / "temp").rglob("*") if path.is_file()] == []
            picture = await service.get(f"/public/results/{saved}")
            assert (picture.status_code, picture.content) == (200, small_photo)
            assert (await service.shoot(small_photo)).verdict == "modified"
            assert await service.stop() == 0


async def _shoot_and_forget(shoot: object, photo: bytes, slot: str) -> None:
    await shoot(photo, slot=slot)  # type: ignore[operator]


async def test_two_signals_end_it_at_once(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with (
        running_simulator() as simulator,
        running_service(tmp_path, DATABASE_URL=postgres_url, GEMINI_BASE_URL=simulator.base_url) as service,
        trio.open_nursery() as nursery,
    ):
        simulator.default("hang")
        nursery.start_soon(_shoot_and_forget, service.shoot, small_photo, "slot-001")
        await until(lambda: bool(simulator.calls))
        service.process.send_signal(signal.SIGTERM)
        await until(lambda: is_red(service))
        await service.stop(signal.SIGINT, within=8.0)
    assert await fetch(postgres_url, "SELECT status FROM job") == [("timeout",)]
    assert await fetch(postgres_url, "SELECT possibly_billed FROM attempt") == [(True,)]


def run(tmp_path: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "photochanger", *arguments],
        cwd=ROOT, env=environment(tmp_path, **settings), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_what_cannot_start_says_why_in_one_line(tmp_path: Path, postgres_url: str) -> None:
    wrong = run(tmp_path, "serve", PORT="eighty")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "PORT" in wrong.stderr
    secret = "postgresql://user:hunter2@127.0.0.1:1/none"
    assert "hunter2" not in run(tmp_path, "migrate", DATABASE_URL=secret).stderr
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = run(tmp_path, "serve", PORT=taken.getsockname()[1], DATABASE_URL=postgres_url)
    assert busy.returncode == 1
    assert "Traceback" not in busy.stderr
    assert "in use" in busy.stderr


def test_migrate_brings_an_empty_database_up_to_date(tmp_path: Path, empty_postgres_url: str) -> None:
    for _ in range(2):
        done = run(tmp_path, "migrate", DATABASE_URL=empty_postgres_url)
        assert (done.returncode, done.stdout) == (0, "The database is up to date.\n"), done.stderr


async def test_a_signal_while_it_starts_is_an_end_and_no_failure(tmp_path: Path, postgres_url: str) -> None:
    env = environment(tmp_path, PORT=0, DATABASE_URL=postgres_url, LOG_LEVEL="INFO")
    log = tmp_path / "service.log"
    async with process(["serve"], env, log) as service:
        await until(lambda: "connected to" in log.read_text())
        service.send_signal(signal.SIGTERM)
        with trio.fail_after(30):
            assert await service.wait() == 0, log.read_text()
    assert "Traceback" not in log.read_text()
