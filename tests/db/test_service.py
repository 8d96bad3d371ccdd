"""The `database` child: it starts what is needed, says what is wrong, and heals."""

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from photochanger.db.embedded import EmbeddedPostgres
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.db.postmaster import processes_of, read_pid_file
from photochanger.db.service import DatabaseService
from photochanger.db.target import Target
from photochanger.errors import ConfigError, DatabaseUnavailable
from tests.db.conftest import FAST, Server
from tests.db.rest import HANG_GUARD, server_connections

# ruff: noqa: ASYNC240 - a test may look at a file


@asynccontextmanager
async def running(
    folder: Path, *, url: str | None = None, schema: str = "public", ping_timeout: float = 5.0
) -> AsyncIterator[tuple[Db, DatabaseService]]:
    """A started service for the block."""
    async with open_loop() as loop:
        db = Db(loop)
        service = DatabaseService(
            db,
            url=url,
            schema=schema,
            embedded_folder=folder,
            ping_every=0.2,
            ping_timeout=ping_timeout,
            embedded_settings=FAST,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            yield db, service
            nursery.cancel_scope.cancel()
        assert not db.state.available


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    with trio.fail_after(HANG_GUARD):
        while not condition():  # noqa: ASYNC110 - of any kind
            await trio.sleep(0.01)


async def test_embedded_start(folder: Path) -> None:
    async with running(folder, schema="photos") as (db, service):
        assert db.state.available
        assert await db.fetchval("SELECT count(*) FROM slot") == 15
        assert await db.fetchval("SELECT count(*) FROM photos.slot") == 15
        assert service.dsn is not None
        assert service.dsn.startswith("postgresql://postgres@/")
    assert processes_of(folder / "data") == []


async def test_given_server(folder: Path, empty_postgres_url: str) -> None:
    url = empty_postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    async with running(folder, url=url) as (db, service):
        assert await db.fetchval("SELECT count(*) FROM slot") == 15
        assert service.dsn == empty_postgres_url
        await server_connections_with_probe(db)
    assert list(folder.iterdir()) == [], "nothing of an embedded server may be made"


async def server_connections_with_probe(db: Db) -> None:
    await db.probe(5)
    await server_connections(db)


async def test_the_embedded_server_is_killed(made: Path) -> None:
    """Held photos see DatabaseUnavailable for a moment; the service itself goes on."""
    async with running(made) as (db, _service):
        for round_number in range(2):
            failed = trio.Event()

            async def held(failed: trio.Event = failed) -> None:
                with pytest.raises(DatabaseUnavailable):
                    await db.execute("SELECT pg_sleep(60)")
                failed.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(held)
                await trio.sleep(0.1)
                os.kill(int(read_pid_file(made / "data")[0]), signal.SIGKILL)
            assert failed.is_set()
            await until(lambda: not db.state.available)
            await until(lambda: db.state.available)
            await db.execute("INSERT INTO settings (key, value) VALUES ($1, '1')", str(round_number))
            assert await db.fetchval("SELECT count(*) FROM settings") == round_number + 1


async def test_the_server_freezes_and_thaws(folder: Path, server: Server) -> None:
    async with running(folder / "unused", url=server.url, ping_timeout=0.5) as (db, _service):
        server.signal_all(signal.SIGSTOP)
        with trio.fail_after(HANG_GUARD), pytest.raises(DatabaseUnavailable):
            await db.fetchval("SELECT 1")  # told by the watch, long before the operation's own 30 s
        assert not db.state.available
        assert "no answer" in db.state.reason
        since = db.state.since
        with pytest.raises(DatabaseUnavailable):  # at once
            await db.fetchval("SELECT 1", timeout=0.001)
        assert db.state.since == since
        server.signal_all(signal.SIGCONT)
        await until(lambda: db.state.available)
        assert await db.fetchval("SELECT count(*) FROM slot") == 15
        await server_connections_with_probe(db)


async def test_one_lost_connection_is_no_outage(folder: Path, empty_postgres_url: str) -> None:
    async with running(folder, url=empty_postgres_url) as (db, _service):
        since = db.state.since
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable):
                await db.execute(
                    "DO $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(9); END $$"
                )
            await trio.sleep(0.3)  # longer than the time between two looks
        assert db.state.available
        assert db.state.since == since


async def test_boot_waits_for_a_server_that_comes_late(
    made: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    socket = made / "run"
    url = f"postgresql://user:geheim@/postgres?host={socket}".replace("user:geheim", "postgres:geheim")
    async with open_loop() as loop, trio.open_nursery() as nursery:
        db = Db(loop)
        service = DatabaseService(db, url=url, embedded_folder=folder / "unused", boot_patience=20)

        async def late() -> None:
            await trio.sleep(0.5)
            await nursery.start(EmbeddedPostgres(made, settings=FAST).run)

        nursery.start_soon(late)
        with trio.fail_after(HANG_GUARD):
            await nursery.start(service.run)
        assert await db.fetchval("SELECT count(*) FROM slot") == 15
        nursery.cancel_scope.cancel()
    assert "waiting for the database: no connection to" in caplog.text
    assert "geheim" not in caplog.text


async def test_boot_gives_up(folder: Path) -> None:
    async with open_loop() as loop:
        db = Db(loop)
        url = "postgresql://user:geheim@127.0.0.1:1/nothing"
        service = DatabaseService(db, url=url, embedded_folder=folder, boot_patience=0.3)
        with trio.fail_after(HANG_GUARD), pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/nothing") as caught:
            await service.run()
        assert "geheim" not in str(caught.value)


async def test_boot_gives_up_on_a_frozen_server(folder: Path, server: Server) -> None:
    async with open_loop() as loop:
        service = DatabaseService(Db(loop), url=server.url, embedded_folder=folder, boot_patience=0.5)
        server.signal_all(signal.SIGSTOP)
        with trio.fail_after(HANG_GUARD), pytest.raises(DatabaseUnavailable, match="did not answer"):
            await service.run()


async def test_boot_refuses_what_can_never_work(folder: Path, made: Path, postgres_url: str) -> None:
    async with open_loop() as loop:
        db = Db(loop)
        service = DatabaseService(db, url=postgres_url, embedded_folder=folder)
        await db.connect(Target.of(postgres_url))
        await db.execute("UPDATE alembic_version SET version_num = 'newer'")
        db.disconnect("prepared")
        with pytest.raises(ConfigError, match="newer PhotoChanger"):
            await service.run()

        async with running(made):
            with pytest.raises(ConfigError, match="another running PhotoChanger"):  # one failure, not a group of it
                await DatabaseService(db, url=None, embedded_folder=made, embedded_settings=FAST).run()


async def test_stopping_at_any_moment_leaves_no_process(made: Path) -> None:
    for milliseconds in (0, 20, 60, 120, 250, 500):
        async with open_loop() as loop:
            db = Db(loop)
            with trio.move_on_after(milliseconds / 1000):
                await DatabaseService(db, url=None, embedded_folder=made, embedded_settings=FAST).run()
            assert not db.state.available
        assert processes_of(made / "data") == []
