"""The service as a process of its own: started, asked, stopped or killed, as ops would."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import trio

from photochanger.demo.dslr import Options, Shot, shoot
from tests.lab import http
from tests.lab.leaks.sink import written

ROOT = Path(__file__).parent.parent.parent
PASSWORD = "process-tests"


@dataclass(slots=True)
class Service:
    """One running process; `log` is where its standard error goes."""

    process: trio.Process
    base_url: str
    log: Path

    async def shoot(self, photo: bytes, *, slot: str = "slot-001", password: str = PASSWORD) -> Shot:
        """Send a photo as the booth does."""
        return await shoot(f"{self.base_url}/api/ingest/{slot}", photo, password=password, options=Options())

    async def get(self, path: str) -> httpx.Response:
        """One GET on a connection of its own."""
        async with http.client() as client:
            return await client.get(self.base_url + path)

    async def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 60.0) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        with trio.fail_after(within):
            return await self.process.wait()


def free_port() -> int:
    """A port that was free a moment ago."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(var: Path, **settings: object) -> dict[str, str]:
    """The environment of a service under `var`: nothing of the caller's but what Python needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"PHOTOCHANGER_VAR": str(var)} | {name: str(value) for name, value in settings.items()}


@asynccontextmanager
async def running_service(var: Path, **settings: object) -> AsyncIterator[Service]:
    """`photochanger serve`, ready for photos; killed at the end if it still runs."""
    port = settings.pop("PORT", None) or free_port()
    base_url = f"http://127.0.0.1:{port}"
    own = {"PORT": port, "PUBLIC_BASE_URL": base_url, "INGEST_PASSWORD": PASSWORD, "T_SYNC_RESPONSE": 10}
    env = environment(var, **own, **settings)
    async with process(["serve"], env, var / "service.log") as child:
        service = Service(child, base_url, var / "service.log")
        with trio.fail_after(60):
            while not await _is_ready(service):
                assert child.poll() is None, service.log.read_text()
                await trio.sleep(0.05)
        yield service


@asynccontextmanager
async def process(arguments: list[str], env: Mapping[str, str], log: Path) -> AsyncIterator[trio.Process]:
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "photochanger", *arguments]
    with log.open("ab") as output:
        async with trio.open_nursery() as nursery:
            run = partial(
                trio.run_process, command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT, check=False
            )
            child: trio.Process = await nursery.start(run)
            try:
                yield child
            finally:
                if child.poll() is None:
                    child.kill()
    written(await trio.Path(log).read_text(errors="replace"), f"the log of `photochanger {arguments[0]}`")


async def _is_ready(service: Service) -> bool:
    try:
        return (await service.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False
