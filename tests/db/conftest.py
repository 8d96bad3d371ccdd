"""A PostgreSQL of the test's own, for tests that freeze, kill or restart it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from photochanger.db.embedded import EmbeddedPostgres
from photochanger.db.postmaster import processes_of, read_pid_file

FAST = {"fsync": "off", "log_min_messages": "fatal"}


@dataclass
class Server:
    """A running embedded server: `url` to reach it, `data` its data folder."""

    url: str
    data: Path

    @property
    def pid(self) -> int:
        """The server's own process."""
        return int(read_pid_file(self.data)[0])

    def signal_all(self, number: signal.Signals) -> None:
        """Signal the server and all its children."""
        for pid in processes_of(self.data):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that an unprivileged PostgreSQL can reach, also when we are root."""
    path = Path(tempfile.mkdtemp(prefix="pcdb-", dir="/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        for pid in processes_of(path / "data"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """A folder with a data folder made by `initdb`, to be copied: that is faster than making one per test."""

    async def make(folder: Path) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(EmbeddedPostgres(folder, settings=FAST).run)
            nursery.cancel_scope.cancel()

    path = Path(tempfile.mkdtemp(prefix="pcdb-", dir="/tmp"))
    path.chmod(0o711)
    try:
        trio.run(make, path)
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def made(folder: Path, cluster: Path) -> Path:
    """`folder` as an earlier, properly ended run has left it."""
    subprocess.run(["cp", "-a", cluster / "data", folder], check=True)
    return folder


@pytest.fixture
async def server(made: Path) -> AsyncIterator[Server]:
    """A fresh server, stopped at the end whatever the test has done to it."""
    async with trio.open_nursery() as nursery:
        url = await nursery.start(EmbeddedPostgres(made, settings=FAST).run)
        server = Server(url, made / "data")
        try:
            yield server
        finally:
            server.signal_all(signal.SIGCONT)
            nursery.cancel_scope.cancel()
