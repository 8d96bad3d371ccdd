"""A client that leaves while its request is held cancels the handler; once it is being answered, nothing does."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.web.client import Client, chunk, chunked, get, post
from tests.web.conftest import House
from tests.web.holding import Holding


async def fin(client: Client) -> None:
    client.close()


async def rst(client: Client) -> None:
    client.reset()


async def half(client: Client) -> None:
    await client.stream.send_eof()


Leave = Callable[[Client], Awaitable[None]]
every_way = pytest.mark.parametrize("leave", [fin, rst, half])


@every_way
@pytest.mark.parametrize(
    "behind",
    [b"", b"\r\n", b"garbage that is no request", get("/hi"), b"x" * 40_000],
    ids=["nothing", "empty line", "garbage", "next request", "much garbage"],
)
async def test_leaving_while_held_cancels_the_handler(house: House, leave: Leave, behind: bytes) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(post("/hold", b"photo" * 1000) + behind)
    await holding.wait_entered()
    await leave(client)
    await holding.wait_left()
    assert not holding.completed
    await house.idle()


@every_way
async def test_leaving_with_late_trailing_bytes_cancels_the_handler(house: House, leave: Leave) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(post("/hold", b"photo"))
    await holding.wait_entered()
    await client.send(b"late garbage")
    await leave(client)
    await holding.wait_left()
    await house.idle()


@every_way
@pytest.mark.parametrize("framing", [post("/hold", b"half a", length=100), chunked("/hold") + chunk(b"half a")])
async def test_leaving_in_the_middle_of_the_body_cancels_the_reader(house: House, leave: Leave, framing: bytes) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(framing)
    await wait_all_tasks_blocked(0.01)
    await leave(client)
    await house.idle()  # with the handler: a connection waits for its application's task
    assert not holding.entered.is_set()


async def test_half_closed_in_the_middle_of_the_body_is_told_400(house: House) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    await client.send(post("/hold", b"half a", length=100))
    await client.stream.send_eof()
    answer = await client.answer("POST")
    assert (answer.status, answer.json["failure_reason"]) == (400, "invalid_request")
    assert await client.closed() == b""


@every_way
async def test_leaving_while_the_handler_reads_no_further_cancels_it(house: House, leave: Leave) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(post("/sip", b"x" * 100_000, length=200_000))
    await holding.wait_entered()
    await leave(client)
    await holding.wait_left()
    await house.idle()


async def test_half_close_during_the_answer_does_not_cut_it(house: House) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(get("/stream"))
    await holding.wait_entered()
    await client.stream.send_eof()
    await wait_all_tasks_blocked(0.01)
    holding.release.set()
    answer = await client.answer()
    assert len(answer.body) == holding.pieces * 65536
    assert holding.completed
    await house.idle()


@pytest.mark.parametrize("leave", [fin, rst])
async def test_leaving_during_the_answer_stops_it(house: House, leave: Leave) -> None:
    holding = Holding()
    holding.pieces = 10_000
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(get("/stream"))
    await holding.wait_entered()
    await leave(client)
    holding.release.set()
    await holding.wait_left()
    assert not holding.completed
    await house.idle()


async def test_pipelined_bytes_beyond_the_limit_wait_in_the_kernel(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    size = 32_000_000
    sent = trio.Event()

    async def send_the_next() -> None:
        await client.send(post("/hold", b"y" * size))
        sent.set()

    await client.send(post("/hold", b"x"))
    await holding.wait_entered()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_the_next)
        await trio.sleep(60)  # as long as bytes flow, the clock stands still
        assert not sent.is_set()
        holding.release.set()
        assert (await client.answer("POST")).body == b"1"
        assert (await client.answer("POST")).body == str(size).encode()
