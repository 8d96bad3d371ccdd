"""Connections are reused, and closed when they should be: by request, when idle, when the head does not come."""

from contextlib import suppress

import pytest
import trio
from quart import request
from trio.testing import MockClock

from photochanger.web.app import create_app
from photochanger.web.limits import Limits
from tests.web.client import get, post
from tests.web.conftest import House
from tests.web.holding import Holding


async def test_one_connection_answers_many_requests(house: House) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    for _ in range(20):
        assert (await client.ask(get("/hi"))).body == b"hi"
    assert house.server.connections == 1


async def test_connection_close_is_honoured(house: House) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    assert (await client.ask(get("/hi", "Connection: close"))).headers["connection"] == "close"
    assert await client.closed() == b""
    await house.idle()


async def test_http_1_0_without_host_is_answered_and_closed(house: House) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    assert (await client.ask(b"GET /hi HTTP/1.0\r\n\r\n")).body == b"hi"
    assert await client.closed() == b""


async def test_idle_connection_is_closed(house: House, autojump_clock: MockClock) -> None:
    await house.serve(Holding().app, Limits(keep_alive_timeout=5))
    client = await house.connect()
    await client.ask(get("/hi"))
    before = trio.current_time()
    assert await client.closed() == b""
    assert trio.current_time() - before == pytest.approx(5, abs=0.1)


async def test_held_request_is_not_closed(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(post("/hold", b"photo"))
    await holding.wait_entered()
    await trio.sleep(3600)
    holding.release.set()
    assert (await client.answer("POST")).body == b"5"


@pytest.mark.parametrize("start", [b"", b"GET /hi HTTP/1.1\r\nHost: x\r\n", b"\r\n\r\n"])
async def test_head_that_does_not_come_is_not_waited_for(house: House, autojump_clock: MockClock, start: bytes) -> None:
    await house.serve(Holding().app, Limits(head_timeout=10))
    client = await house.connect()
    if start:
        await client.send(start)
    before = trio.current_time()
    assert await client.closed() == b""
    assert trio.current_time() - before == pytest.approx(10, abs=0.1)


async def test_head_one_byte_per_second_is_cut(house: House, autojump_clock: MockClock) -> None:
    await house.serve(Holding().app, Limits(head_timeout=10))
    client = await house.connect()
    await client.ask(get("/hi"))
    before = trio.current_time()

    async def drip() -> None:
        with suppress(trio.BrokenResourceError):
            for byte in get("/hi", "X-Slow: " + "z" * 100):
                await client.send(bytes([byte]))
                await trio.sleep(1.5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        assert await client.closed() == b""
        nursery.cancel_scope.cancel()
    assert trio.current_time() - before == pytest.approx(10, abs=0.1)


async def test_body_may_take_its_time(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    holding.release.set()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(post("/hold", b"", length=20))
    for _ in range(20):
        await trio.sleep(3)
        await client.send(b"x")
    assert (await client.answer("POST")).body == b"20"


@pytest.mark.parametrize("stray", [b"\r\n", b"\n", b"\r\n\r\n"])
async def test_empty_lines_between_requests_are_skipped(house: House, stray: bytes) -> None:
    holding = Holding()
    holding.release.set()
    await house.serve(holding.app)
    client = await house.connect()
    for _ in range(3):
        assert (await client.ask(post("/hold", b"photo") + stray)).body == b"5"
    assert (await client.ask(stray + get("/hi"))).body == b"hi"


async def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    app = create_app()

    @app.post("/echo/<int:number>")
    async def echo(number: int) -> str:
        return f"{number}:{len(await request.get_data())}"

    await house.serve(app)
    client = await house.connect()
    requests = [post(f"/echo/{number}", b"b" * (number * 997)) for number in range(30)]
    await client.send(b"".join(requests))
    for number in range(30):
        assert (await client.answer("POST")).body == f"{number}:{number * 997}".encode()
