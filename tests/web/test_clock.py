"""Every request knows when its first byte arrived; windows are counted from there."""

import pytest
import trio
from quart import request
from quart_trio import QuartTrio
from trio.testing import MockClock

from photochanger.web.app import create_app, started_at
from photochanger.web.asgi import STARTED_AT
from tests.web.client import get, post
from tests.web.conftest import House


def clock_app(held: float = 0.0) -> QuartTrio:
    app = create_app()

    @app.route("/when", methods=["GET", "POST"])
    async def when() -> str:
        await request.get_data()
        await trio.sleep(held)
        assert started_at(request) == request.scope[STARTED_AT]  # type: ignore[literal-required]
        return repr(started_at(request))

    return app


async def test_it_is_the_first_byte_not_the_whole_head_nor_the_connect(house: House, autojump_clock: MockClock) -> None:
    await house.serve(clock_app())
    client = await house.connect()
    for pause in (7, 4, 3):  # the second and third on the kept connection
        await trio.sleep(pause)
        first = trio.current_time()
        whole = post("/when", b"photo")
        await client.send(whole[:1])
        await trio.sleep(2)
        await client.send(whole[1:-1])
        await trio.sleep(9)
        await client.send(whole[-1:])
        assert float((await client.answer("POST")).body) == pytest.approx(first, abs=0.05)


async def test_empty_lines_do_not_start_it(house: House, autojump_clock: MockClock) -> None:
    await house.serve(clock_app())
    client = await house.connect()
    await client.send(b"\r\n")
    await trio.sleep(3)
    first = trio.current_time()
    assert float((await client.ask(get("/when"))).body) == pytest.approx(first, abs=0.05)


async def test_pipelined_request_counts_from_its_own_first_byte(house: House, autojump_clock: MockClock) -> None:
    await house.serve(clock_app(held=10))
    client = await house.connect()
    first = trio.current_time()
    await client.send(post("/when", b"photo"))
    await trio.sleep(2)
    second = trio.current_time()
    await client.send(post("/when", b"photo"))
    assert float((await client.answer("POST")).body) == pytest.approx(first, abs=0.05)
    assert float((await client.answer("POST")).body) == pytest.approx(second, abs=0.05)


async def test_pipelined_in_one_packet_counts_from_that_packet(house: House, autojump_clock: MockClock) -> None:
    await house.serve(clock_app(held=10))
    client = await house.connect()
    first = trio.current_time()
    await client.send(get("/when") * 3)
    for _ in range(3):
        assert float((await client.answer()).body) == pytest.approx(first, abs=0.05)
