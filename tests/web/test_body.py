"""Bodies: backpressure, the hard cap, "100 Continue", and answers given before the body was read."""

from collections.abc import AsyncIterator

import pytest
import trio
from quart import request
from quart_trio import QuartTrio
from trio.testing import MockClock, wait_all_tasks_blocked

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.web.app import create_app
from photochanger.web.body import COLLECT_TIMEOUT, HIGH_WATER, MEMORY_LIMIT, Body, BodyTooLarge
from photochanger.web.limits import Limits
from photochanger.web.transport import READ_SIZE
from tests.web.client import GUARD, Client, chunk, chunked, get, post
from tests.web.conftest import House


def body_app(max_body_bytes: int = 2_000_000_000) -> QuartTrio:
    app = create_app(max_body_bytes=max_body_bytes)

    @app.post("/count")
    async def count() -> str:
        return str(sum([len(piece) async for piece in request.body]))

    @app.post("/whole")
    async def whole() -> str:
        data = await request.get_data()
        assert data == await request.get_data()
        return str(len(data))

    @app.post("/refuse")
    async def refuse() -> str:
        raise Refusal(Reason.INVALID_CREDENTIALS)

    @app.post("/peek")
    async def peek() -> str:
        async for _ in request.body:
            raise Refusal(Reason.INVALID_CREDENTIALS)
        return "empty"

    @app.get("/hi")
    async def hi() -> str:
        return "hi"

    return app


async def pour(client: Client, total: int, piece: int = 65536) -> None:
    for _ in range(0, total, piece):
        await client.send(b"x" * piece)


# Backpressure


async def test_a_handler_that_does_not_read_stops_the_client(house: House, autojump_clock: MockClock) -> None:
    app = create_app()
    bodies: list[Body] = []
    read = trio.Event()
    size = 64 * 1024 * 1024

    @app.post("/slow")
    async def slow() -> str:
        assert isinstance(request.body, Body)
        bodies.append(request.body)
        await read.wait()
        return str(sum([len(piece) async for piece in request.body]))

    await house.serve(app)
    client = await house.connect()
    done = trio.Event()

    async def send() -> None:
        await client.send(post("/slow", b"", length=size))
        await pour(client, size)
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.sleep(60)  # as long as bytes flow, the clock stands still
        assert not done.is_set()
        assert HIGH_WATER < bodies[0].buffered <= HIGH_WATER + READ_SIZE
        read.set()
        assert (await client.answer("POST")).body == str(size).encode()


async def test_feed_waits_and_discard_lets_it_go() -> None:
    body = Body(None, None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(body.feed, b"x" * (HIGH_WATER + 1))
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        body.discard()
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    await body.feed(b"x" * (HIGH_WATER * 2))
    assert body.buffered == 0


# The cap


@pytest.mark.parametrize("size", [999_999, 1_000_000])
async def test_up_to_the_cap_is_fine(house: House, size: int) -> None:
    await house.serve(body_app(1_000_000))
    client = await house.connect()
    assert (await client.ask(post("/count", b"x" * size))).body == str(size).encode()
    assert (await client.ask(chunked("/count") + chunk(b"x" * size) + b"0\r\n\r\n")).body == str(size).encode()


async def test_announced_beyond_the_cap_is_413_before_anything_is_sent(house: House) -> None:
    await house.serve(body_app(1_000_000))
    client = await house.connect()
    answer = await client.ask(post("/count", b"", "Expect: 100-continue", length=1_000_001))
    assert (answer.status, answer.json["failure_reason"]) == (413, "payload_too_large")
    assert answer.informational == []


async def test_chunked_beyond_the_cap_is_413_in_an_iterating_handler(house: House) -> None:
    await house.serve(body_app(1_000_000))
    client = await house.connect()
    await client.send(chunked("/count"))
    for _ in range(20):
        await client.send(chunk(b"x" * 100_000))
    answer = await client.answer("POST")
    assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_whole_bodies_have_a_smaller_cap(house: House) -> None:
    await house.serve(body_app())
    client = await house.connect()
    for request_ in (
        post("/whole", b"x" * MEMORY_LIMIT),
        chunked("/whole") + chunk(b"x" * MEMORY_LIMIT) + b"0\r\n\r\n",
    ):
        assert (await client.ask(request_)).body == str(MEMORY_LIMIT).encode()
    assert (await client.ask(post("/whole", b"", length=MEMORY_LIMIT + 1))).status == 413
    client = await house.connect()
    assert (await client.ask(chunked("/whole") + chunk(b"x" * (MEMORY_LIMIT + 1)))).status == 413


async def test_whole_bodies_that_do_not_come_are_408(house: House, autojump_clock: MockClock) -> None:
    await house.serve(body_app())
    client = await house.connect()
    began = trio.current_time()
    await client.send(post("/whole", b"half", length=8))
    answer = await client.answer()
    assert (answer.status, answer.json["failure_reason"]) == (408, "upload_timeout")
    assert trio.current_time() - began == pytest.approx(COLLECT_TIMEOUT)


async def test_the_cap_counts_what_was_read_already() -> None:
    body = Body(None, 1000)
    for _ in range(10):
        await body.feed(b"x" * 100)
        assert await anext(body) == b"x" * 100
    await body.feed(b"x")
    with pytest.raises(BodyTooLarge):
        await anext(body)


async def test_chunks_of_one_byte_are_joined_per_read(house: House) -> None:
    app = create_app()

    @app.post("/pieces")
    async def pieces() -> list[int]:
        return [len(piece) async for piece in request.body]

    await house.serve(app)
    client = await house.connect()
    await client.send(chunked("/pieces"))
    await client.send(chunk(b"x") * 20_000)
    sizes = (await client.ask(b"0\r\n\r\n")).json
    assert sum(sizes) == 20_000
    assert len(sizes) < 100


# 100 Continue


async def test_continue_is_sent_when_the_handler_reads(house: House) -> None:
    await house.serve(body_app())
    client = await house.connect()
    await client.send(post("/count", b"", "Expect: 100-continue", length=5))
    with trio.fail_after(GUARD):
        assert (await client.stream.receive_some(1000)).startswith(b"HTTP/1.1 100 ")
    assert (await client.ask(b"photo")).body == b"5"
    assert (await client.ask(get("/hi"))).body == b"hi"  # the connection is kept


async def test_refusal_before_reading_is_final_without_continue(house: House) -> None:
    await house.serve(body_app())
    client = await house.connect()
    answer = await client.ask(post("/refuse", b"", "Expect: 100-continue", length=5_000_000))
    assert (answer.status, answer.informational) == (401, [])
    assert answer.headers["connection"] == "close"
    assert await client.closed() == b""


async def test_a_client_that_does_not_wait_for_continue_is_served(house: House) -> None:
    await house.serve(body_app())
    client = await house.connect()
    answer = await client.ask(post("/count", b"photo", "Expect: 100-continue"))
    assert answer.body == b"5"


# Answers before the body was read


@pytest.mark.parametrize("path", ["/refuse", "/peek", "/nowhere"])
@pytest.mark.parametrize("size", [200_000, 30_000_000])
async def test_a_client_that_sends_first_and_reads_later_gets_the_refusal(house: House, path: str, size: int) -> None:
    await house.serve(body_app())
    client = await house.connect()
    await client.send(post(path, b"", length=size))
    await pour(client, size, 10_000)
    answer = await client.answer("POST")
    assert answer.status in (401, 404)
    assert answer.headers["connection"] == "close"
    client.close()
    await house.idle()


async def test_the_refusal_comes_while_the_client_still_sends(house: House) -> None:
    await house.serve(body_app())
    client = await house.connect()
    await client.send(post("/refuse", b"some", length=1_000_000))
    assert (await client.answer("POST")).status == 401
    await pour(client, 500_000, 10_000)
    client.close()
    await house.idle()


async def test_a_client_that_never_stops_sending_is_cut(house: House) -> None:
    await house.serve(body_app(), Limits(linger_bytes=1_000_000))
    client = await house.connect()
    await client.send(post("/refuse", b"", length=1_000_000_000))
    with pytest.raises(trio.BrokenResourceError):
        await pour(client, 1_000_000_000)
    await house.idle()


@pytest.mark.parametrize("interval", [None, 1.0])
async def test_a_client_that_neither_sends_nor_closes_is_not_waited_for(
    house: House, autojump_clock: MockClock, interval: float | None
) -> None:
    server = await house.serve(body_app(), Limits(linger_idle=5, linger_total=30))
    client = await house.connect()
    before = trio.current_time()
    assert (await client.ask(post("/refuse", b"", length=1_000_000))).status == 401
    while server.connections and trio.current_time() < before + 100:
        await trio.sleep(interval or 0.5)
        if interval is not None and server.connections:
            await client.send(b"x")
    assert trio.current_time() - before == pytest.approx(5 if interval is None else 30, abs=1.5)


async def test_both_sides_may_send_before_they_read(house: House) -> None:
    app = create_app()
    size = 30_000_000  # more than the sockets' buffers take in

    @app.post("/early")
    async def early() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(0, size, 10_000):
                yield b"x" * 10_000

        return pieces()

    await house.serve(app)
    client = await house.connect()
    with trio.fail_after(GUARD):
        await client.send(post("/early", b"", length=size + 1))
        await pour(client, size, 10_000)
        assert len((await client.answer("POST")).body) == size
