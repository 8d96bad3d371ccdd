"""A real PostgreSQL for the tests: started once per run by our own embedded server, a fresh database per test.

The server runs in a process of its own that stops when its standard input ends, so it goes with the test run,
however that ends. Fixtures, imported by `tests/conftest.py`:

- `postgres_url`: a migrated database of the test's own, as DATABASE_URL would name it
- `empty_postgres_url`: the same without any table
- `db`: a connected `Db` on `postgres_url`

At the end of a test its connections must be gone: one that is left fails the test.
"""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
import trio

from photochanger.db import migrate
from photochanger.db.embedded import EmbeddedPostgres
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop, run_asyncio
from photochanger.db.target import Target

ROOT = Path(__file__).parent.parent
LEFT_OPEN_GRACE = 5.0  # seconds; the server needs a moment to see that a socket was closed
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "log_min_messages": "fatal",
}


@dataclass
class PostgresServer:
    """The server of this test run. `url` is an administrator's, on a database that no test uses."""

    url: str
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _template: str | None = None

    def create(self, template: str = "template1") -> str:
        """The URL of a new database."""
        name = f"test_{next(self._names)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")  # a third of the usual one's time
        return self.url.replace("/postgres?", f"/{name}?")

    def drop(self, url: str) -> int:
        """Drop a database; the number of connections that were still open to it after a short grace."""
        name = url.partition("?")[0].rpartition("/")[2]
        return run_asyncio(_drop(self.url, name))

    @property
    def template(self) -> str:
        """The name of a migrated database to copy."""
        if self._template is None:
            url = self.create()
            migrate.upgrade(url)
            self._template = url.partition("?")[0].rpartition("/")[2]
        return self._template

    def sql(self, statement: str) -> None:
        """Run one statement as the administrator."""
        run_asyncio(_execute(self.url, statement))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _drop(url: str, name: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        give_up = time.monotonic() + LEFT_OPEN_GRACE
        while True:
            left = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name)
            if not left or time.monotonic() > give_up:
                break
            await asyncio.sleep(0.02)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        return int(left)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test run."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.postgres"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for pytest; this process ends after it, not with it
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the PostgreSQL of the tests did not start"
        yield PostgresServer(json.loads(line)["url"])
        process.stdin.close()
        process.wait(60)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated database of the test's own."""
    yield from _database(postgres_server, postgres_server.template)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database of the test's own."""
    yield from _database(postgres_server, "template1")


def _database(server: PostgresServer, template: str) -> Iterator[str]:
    url = server.create(template)
    yield url
    if left := server.drop(url):
        pytest.fail(f"the test left {left} database connections open")


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Db]:
    """A connected `Db`, default schema and size."""
    async with open_loop() as loop:
        database = Db(loop)
        await database.connect(Target.of(postgres_url))
        try:
            yield database
        finally:
            database.disconnect("the test is over")


async def _serve(folder: Path) -> None:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(EmbeddedPostgres(folder, settings=SETTINGS).run)
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


def _where() -> str:
    """In memory where there is plenty of it: hundreds of databases are made and dropped, each of hundreds of files."""
    memory = "/dev/shm"
    plenty = 4 * 2**30
    return memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > plenty else "/tmp"


def _main() -> None:
    # Not pytest's tmp_path: that is closed to the account that PostgreSQL runs under when we are root.
    folder = Path(tempfile.mkdtemp(prefix="photochanger-tests-", dir=_where()))
    try:
        trio.run(_serve, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    os.umask(0o077)
    _main()
