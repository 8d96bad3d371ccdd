"""A handler like that of ingest: reads the photo, then waits for a picture that does not come by itself."""

from collections.abc import AsyncIterator

import trio
from quart import request
from quart_trio import QuartTrio

from photochanger.web.app import create_app
from tests.web.client import GUARD


class Holding:
    """`POST /hold` waits for `release`; `POST /sip` reads one piece of its body, then waits; `GET /stream` sends
    `pieces` pieces of 64 KiB, the first at once, the others after `release`."""

    def __init__(self, app: QuartTrio | None = None) -> None:
        self.app = app if app is not None else create_app()
        self.entered = trio.Event()
        self.left = trio.Event()
        self.release = trio.Event()
        self.completed = False
        self.pieces = 64
        self.app.post("/hold")(self._hold)
        self.app.post("/sip")(self._sip)
        self.app.get("/stream")(self._stream)
        self.app.get("/hi")(self._hi)

    async def wait_entered(self) -> None:
        with trio.fail_after(GUARD):
            await self.entered.wait()

    async def wait_left(self) -> None:
        with trio.fail_after(GUARD):
            await self.left.wait()

    async def _hi(self) -> str:
        return "hi"

    async def _hold(self) -> str:
        size = 0
        async for piece in request.body:
            size += len(piece)
        return await self._wait(str(size))

    async def _sip(self) -> str:
        async for piece in request.body:
            return await self._wait(str(len(piece)))
        return "empty"

    async def _wait(self, answer: str) -> str:
        self.entered.set()
        try:
            await self.release.wait()
            self.completed = True
            return answer
        finally:
            self.left.set()

    async def _stream(self) -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                for _ in range(self.pieces):
                    yield b"x" * 65536
                    self.entered.set()
                    await self.release.wait()
                self.completed = True
            finally:
                self.left.set()

        return pieces()
