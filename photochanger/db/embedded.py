"""PostgreSQL as a child process of ours, for those who have no server: made, started, watched and stopped here.

It listens on a Unix socket in a folder that only its account can enter, and on no port.
"""

import logging
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trio

from photochanger.db.home import Home, find_home, only_one
from photochanger.db.postmaster import is_ready, stop_child, stop_orphan
from photochanger.db.programs import Programs, find_programs, make_reachable
from photochanger.errors import ConfigError, DatabaseUnavailable

log = logging.getLogger(__name__)

READY_TIMEOUT = 60.0  # long, for the recovery after a crash
_POLL = 0.01

# For one machine and one service: durable, and small.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "40",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "random_page_cost": "1.1",  # of disks that do not turn: an index is worth its while sooner
    "huge_pages": "off",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "max_logical_replication_workers": "0",
    "max_parallel_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "logging_collector": "off",
}
_SINCE = {"io_method": 18}


class EmbeddedPostgres:
    """A server whose data lives in `folder` (see `home.py` for the exception to that).

    `progress` is told in a few words what takes time. `settings` go over our own; tests switch fsync off.
    """

    def __init__(
        self,
        folder: Path,
        *,
        progress: Callable[[str], None] = log.info,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._progress = progress
        self._settings = {**_SETTINGS, **(settings or {})}

    async def run(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the server and watch it until cancelled; `started` gets the address, without a password.

        An orphan of an earlier run is stopped first. Raises DatabaseUnavailable when the server does not
        start or ends by itself (run it again), ConfigError when it never can. A cancelled run needs up to
        about 20 s in the worst case, normally 0.1 s: the server is shut down properly.
        """
        home = await trio.to_thread.run_sync(find_home, self._folder)
        with only_one(home):
            await stop_orphan(home.data)
            programs = await trio.to_thread.run_sync(self._prepare, home)
            await self._make_cluster(home, programs)
            socket = await trio.to_thread.run_sync(home.socket_folder)
            try:
                await self._serve(home, programs, socket, task_status)
            finally:
                shutil.rmtree(socket, ignore_errors=True)

    def _prepare(self, home: Home) -> Programs:
        home.claim()
        programs = make_reachable(find_programs(), home.account, home.folder)
        version = home.data / "PG_VERSION"
        if version.is_file() and version.read_text().strip() != programs.major:
            raise ConfigError(
                f"{home.data} was made by PostgreSQL {version.read_text().strip()}, this is {programs.major}: "
                "dump and load it, or delete the folder to begin anew"
            )
        return programs

    async def _make_cluster(self, home: Home, programs: Programs) -> None:
        if (home.data / "PG_VERSION").is_file():
            return
        self._progress(f"making a PostgreSQL {programs.major} data folder, once")
        # Under another name until it is whole: a start that was interrupted leaves nothing to trip over.
        unfinished = await trio.to_thread.run_sync(home.fresh_folder, home.folder / "data.new")
        command = [programs.bin / "initdb", "-D", unfinished, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        command += ["--locale=C", "--wal-segsize=4", "--no-instructions"]
        if int(programs.major) >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._settings["fsync"] == "off":
            command += ["--no-sync"]
        drop = home.account.popen if home.account else {}
        # A kill is a good stop here: nothing of value is there yet.
        done = await trio.run_process(
            [str(part) for part in command],
            cwd="/",
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            **drop,
        )
        if done.returncode:
            raise DatabaseUnavailable(f"initdb failed: {_tail(done.stderr)}")
        unfinished.rename(home.data)

    async def _serve(self, home: Home, programs: Programs, socket: Path, task_status: trio.TaskStatus[str]) -> None:
        self._progress(f"starting PostgreSQL {programs.version}")
        process = await _start(home, programs, {**self._settings, "unix_socket_directories": str(socket)})
        try:
            with trio.move_on_after(READY_TIMEOUT):
                while process.poll() is None and not is_ready(home.data, process.pid):  # noqa: ASYNC110 - a file
                    await trio.sleep(_POLL)
            if process.returncode is None and is_ready(home.data, process.pid):
                task_status.started(f"postgresql://postgres@/postgres?host={quote(str(socket), safe='')}")
                await process.wait()
        finally:
            with trio.CancelScope(shield=True):  # bounded inside
                code = process.returncode
                await stop_child(process, home.data)
        said = home.log.read_bytes() if home.log.is_file() else b""
        raise DatabaseUnavailable(f"the embedded PostgreSQL ended (exit code {code}): {_tail(said)}")


async def _start(home: Home, programs: Programs, settings: Mapping[str, str]) -> trio.Process:
    command = [str(programs.bin / "postgres"), "-D", str(home.data)]
    for key, value in settings.items():
        if int(programs.major) >= _SINCE.get(key, 0):
            command += ["-c", f"{key}={value}"]
    drop: dict[str, Any] = home.account.popen if home.account else {}
    log_file = await trio.to_thread.run_sync(partial(home.log.open, "wb"))
    with log_file:
        home.give(log_file.fileno())
        # A session of its own: Ctrl-C in the terminal is for us, we stop it when nobody needs it any more.
        return await trio.lowlevel.open_process(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **drop,
        )


def _tail(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return " | ".join(lines[-3:]) or "it said nothing"
