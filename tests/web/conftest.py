"""Servers on real sockets to talk to, and clients that are closed at the end of the test."""

from collections.abc import AsyncIterator

import pytest
import trio
from quart_trio import QuartTrio
from trio.testing import MockClock

from photochanger.web.limits import Limits
from photochanger.web.serving import Server
from tests.web.client import GUARD, Client


class House:
    """Runs one server in the test's nursery and connects to it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._clients: list[Client] = []
        self._ended = trio.Event()
        self.server: Server

    async def serve(self, app: QuartTrio, limits: Limits | None = None, *, drain_grace: float = 20.0) -> Server:
        self.server = Server(app, port=0, drain_grace=drain_grace, limits=limits)
        await self._nursery.start(self._run)
        return self.server

    async def _run(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self.server.run(task_status=task_status)
        self._ended.set()

    async def connect(self) -> Client:
        client = Client(await trio.open_tcp_stream("127.0.0.1", self.server.port))
        self._clients.append(client)
        return client

    async def ended(self) -> None:
        """Until `run` has returned."""
        with trio.fail_after(GUARD * 10):
            await self._ended.wait()

    async def idle(self, besides: int = 0) -> None:
        """Until the server has no connection left `besides` so many, and so no handler that runs for one."""
        with trio.fail_after(GUARD):
            while self.server.connections > besides:  # noqa: ASYNC110 # the server has no event for this
                await trio.sleep(0.01)

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def autojump_clock() -> MockClock:
    """As pytest-trio's, but time jumps only when the sockets have been quiet for 50 ms: on a busy machine the kernel
    may take a moment to carry bytes from one end of a connection to the other."""
    return MockClock(autojump_threshold=0.05)


@pytest.fixture
async def house(nursery: trio.Nursery) -> AsyncIterator[House]:
    house = House(nursery)
    yield house
    house.close()
