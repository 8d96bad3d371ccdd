"""The processes of one data folder: whether the server is ready, and how to end one that outlived its parent."""

import logging
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import trio

log = logging.getLogger(__name__)

FAST_SHUTDOWN_TIMEOUT = 10.0
QUICK_SHUTDOWN_TIMEOUT = 3.0
KILL_TIMEOUT = 5.0
_POLL = 0.02


def read_pid_file(data: Path) -> list[str]:
    """The lines of postmaster.pid: process id first, "ready" in the eighth; empty when there is no such file."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def is_ready(data: Path, pid: int) -> bool:
    """Whether the server `pid` accepts connections on `data`."""
    lines = read_pid_file(data)
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def processes_of(data: Path) -> list[int]:
    """The living processes that work in `data`: every PostgreSQL process has it as its current folder.

    Without /proc only the server itself is found, by its command line.
    """
    proc = Path("/proc")
    if not (proc / "self" / "cwd").exists():
        return _server_by_ps(data)
    names = {os.fspath(data), f"{data} (deleted)"}
    found = []
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd") in names:  # noqa: PTH115 - the target may be gone
                    found.append(int(entry.name))
            except OSError:
                continue  # ended meanwhile, or another user's
    return found


def _server_by_ps(data: Path) -> list[int]:
    lines = read_pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return []
    command = ["/bin/ps", "-o", "command=", "-p", lines[0].strip()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)  # noqa: S603 - the id is a number
    return [int(lines[0])] if os.fspath(data) in done.stdout else []


async def stop_orphan(data: Path) -> bool:
    """End whatever still runs on `data` and remove its traces; True if there was something.

    The caller holds the lock of the home, so what runs belongs to nobody any more. It is stopped rather than
    adopted: a server that is no child of ours could not be waited for. Bounded by the three timeouts together.
    """
    left = await trio.to_thread.run_sync(processes_of, data)
    if left:
        log.warning("PostgreSQL of an earlier run is still there (process ids %s): stopping it", left)
        lines = read_pid_file(data)
        server = [pid for pid in left if lines and lines[0].strip() == str(pid)]
        _signal(left, signal.SIGCONT)
        _signal(server, signal.SIGINT)
        # Without their server the others end by themselves.
        if not await _ended(data, FAST_SHUTDOWN_TIMEOUT if server else QUICK_SHUTDOWN_TIMEOUT):
            _signal(await trio.to_thread.run_sync(processes_of, data), signal.SIGKILL)
            if not await _ended(data, KILL_TIMEOUT):
                raise OSError(f"PostgreSQL processes that cannot be ended still use {data}")
    (data / "postmaster.pid").unlink(missing_ok=True)
    return bool(left)


async def stop_child(process: trio.Process, data: Path) -> None:
    """End our own server: politely, quickly, then by force. Bounded; call it shielded. Returns when all is gone."""
    _signal(await trio.to_thread.run_sync(processes_of, data), signal.SIGCONT)  # a frozen one cannot stop
    for number, patience in (
        (signal.SIGINT, FAST_SHUTDOWN_TIMEOUT),
        (signal.SIGQUIT, QUICK_SHUTDOWN_TIMEOUT),
        (signal.SIGKILL, KILL_TIMEOUT),
    ):
        if process.returncode is None:
            process.send_signal(number)
            with trio.move_on_after(patience):
                await process.wait()
    # A server that was killed leaves its children; they notice and go, at the latest now.
    if not await _ended(data, QUICK_SHUTDOWN_TIMEOUT):
        _signal(await trio.to_thread.run_sync(processes_of, data), signal.SIGKILL)
        await _ended(data, KILL_TIMEOUT)


async def _ended(data: Path, patience: float) -> bool:
    with trio.move_on_after(patience):
        while await trio.to_thread.run_sync(processes_of, data):  # noqa: ASYNC110 - not our children
            await trio.sleep(_POLL)
        return True
    return False


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
