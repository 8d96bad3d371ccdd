"""What is measured: the floor and the service, each a process with a port, a probe and a way to post photos."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import trio

from tests.lab.bench.lines import Message
from tests.lab.bench.load import Target
from tests.lab.bench.measure import Stages, stages
from tests.lab.bench.workers import Worker, worker

PASSWORD = "bench-password"


@dataclass(frozen=True, slots=True)
class Contender:
    """One running server."""

    name: str
    worker: Worker
    probe: Path

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        return int(self.worker.ready["port"])

    @property
    def goal(self) -> Message:
        """The target as the load wants it."""
        return asdict(Target(self.port, "/api/ingest/{slot}", PASSWORD))

    async def stages(self) -> Stages:
        """Its own stage times, empty where it has none."""
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
            async with stream:
                await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                text = b""
                with trio.move_on_after(2.0):  # the floor keeps the connection open
                    async for data in stream:
                        text += data
        except (OSError, trio.BrokenResourceError):
            return {}
        return stages(text.decode(errors="replace"))


@asynccontextmanager
async def start_floor(name: str, provider_port: int, work: Path) -> AsyncIterator[Contender]:
    """The bare server."""
    spool, probe = work / f"{name}-spool", work / f"{name}-lag"
    spool.mkdir()
    arguments = ["--provider-port", str(provider_port), "--spool", str(spool), "--probe", str(probe)]
    async with worker("floor", *arguments, log=work / f"{name}.log", environment=os.environ) as child:
        yield Contender(name, child, probe)


@asynccontextmanager
async def start_service(name: str, provider_port: int, work: Path) -> AsyncIterator[Contender]:
    """The service as it is shipped, on an embedded PostgreSQL of its own, calling the bench's provider."""
    probe = work / f"{name}-lag"
    environment: Mapping[str, str] = {
        **{key: value for key, value in os.environ.items() if not key.startswith("DATABASE_")},
        "HOST": "127.0.0.1",
        "PORT": "0",
        "PHOTOCHANGER_VAR": str(work / "var"),
        "GEMINI_BASE_URL": f"http://127.0.0.1:{provider_port}",
        "INGEST_PASSWORD": PASSWORD,
    }
    arguments = ["--probe", str(probe)]
    log = work / f"{name}.log"
    async with worker("serve_with_probe", *arguments, log=log, environment=environment, start_timeout=120.0) as child:
        yield Contender(name, child, probe)
