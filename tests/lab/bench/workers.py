"""Child processes of the bench, from the bench's side."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from tests.lab.bench.lines import Message

ROOT = Path(__file__).parents[3]
STOP_GRACE = 30.0


class WorkerDied(Exception):
    """A process of the bench ended by itself; the message has the last lines that it wrote."""


class Worker:
    """One running child. `ready` is its first message."""

    def __init__(self, process: trio.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._data = b""
        self.pid = process.pid
        self.ready: Message = {}

    async def ask(self, **question: Any) -> Message:
        """Send a message and wait for the answer. Raises WorkerDied."""
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send_all(json.dumps(question).encode() + b"\n")
        except trio.BrokenResourceError:
            raise self._death() from None
        return await self.hear()

    async def hear(self) -> Message:
        """The next message. Raises WorkerDied."""
        assert self._process.stdout is not None
        while b"\n" not in self._data:
            data = await self._process.stdout.receive_some(65536)
            if not data:
                raise self._death()
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        message: Message = json.loads(line)
        return message

    def _death(self) -> WorkerDied:
        tail = self._log.read_text(errors="replace").strip().splitlines()[-8:]
        return WorkerDied(f"{self._log.stem} ended by itself:\n" + "\n".join(tail))


@asynccontextmanager
async def worker(
    module: str,
    *arguments: str,
    log: Path,
    environment: Mapping[str, str],
    start_timeout: float = 60.0,
    package: str = "bench",
) -> AsyncIterator[Worker]:
    """Run `tests.lab.<package>.<module>` for the block; its standard error goes to `log`."""
    command = [sys.executable, "-m", f"tests.lab.{package}.{module}", *arguments]
    with log.open("wb") as errors:
        process = await trio.lowlevel.open_process(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    child = Worker(process, log)
    try:
        with trio.move_on_after(start_timeout) as patience:
            child.ready = await child.hear()
        if patience.cancelled_caught:
            raise WorkerDied(f"{module} was not ready within {start_timeout:g} s; see {log}")
        yield child
    finally:
        with trio.CancelScope(shield=True):
            await _stop(process)


async def _stop(process: trio.Process) -> None:
    assert process.stdin is not None
    await process.stdin.aclose()
    with trio.move_on_after(STOP_GRACE) as patience:
        await process.wait()
    if patience.cancelled_caught:
        process.kill()
        await process.wait()
    assert process.stdout is not None
    await process.stdout.aclose()
