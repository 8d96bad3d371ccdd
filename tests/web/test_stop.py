"""Going down: answers under way finish, everybody else is let go, and nothing can hold the server up for ever."""

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from photochanger.web.limits import Limits
from photochanger.web.serving import Server
from tests.web.client import Client, get, post
from tests.web.conftest import House
from tests.web.holding import Holding


async def test_idle_connections_are_closed_at_once(house: House, autojump_clock: MockClock) -> None:
    server = await house.serve(Holding().app, Limits(keep_alive_timeout=100, head_timeout=100))
    asked, silent = await house.connect(), await house.connect()
    await asked.ask(get("/hi"))
    before = trio.current_time()
    server.request_stop()
    assert (await asked.closed(), await silent.closed()) == (b"", b"")
    await house.ended()
    assert trio.current_time() - before < 1


async def test_held_requests_finish(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    server = await house.serve(holding.app, drain_grace=60)
    clients = [await house.connect() for _ in range(5)]
    for client in clients:
        await client.send(post("/hold", b"photo"))
    await trio.sleep(1)
    server.request_stop()
    await trio.sleep(55)
    with pytest.raises(OSError, match="failed"):
        await trio.open_tcp_stream("127.0.0.1", server.port)
    holding.release.set()
    for client in clients:
        answer = await client.answer("POST")
        assert (answer.body, answer.headers["connection"]) == (b"5", "close")
        assert await client.closed() == b""
    await house.ended()


async def test_uploads_under_way_finish(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    holding.release.set()
    server = await house.serve(holding.app)
    body, head = await house.connect(), await house.connect()
    await body.send(post("/hold", b"ph", length=5))
    await head.send(get("/hi")[:10])
    await trio.sleep(1)
    server.request_stop()
    await trio.sleep(1)
    assert (await body.ask(b"oto")).body == b"5"
    assert (await head.ask(get("/hi")[10:])).body == b"hi"
    await house.ended()


async def test_after_the_grace_connections_are_closed_hard(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    server = await house.serve(holding.app, drain_grace=7)
    client = await house.connect()
    await client.send(post("/hold", b"photo"))
    await holding.wait_entered()
    before = trio.current_time()
    server.request_stop()
    assert await client.closed() == b""
    await house.ended()
    assert trio.current_time() - before == pytest.approx(7, abs=0.1)
    assert holding.left.is_set()
    assert not holding.completed


async def test_a_client_that_does_not_read_cannot_block_the_stop(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    holding.release.set()
    holding.pieces = 2000
    server = await house.serve(holding.app, Limits(send_timeout=1000), drain_grace=7)
    client = await house.connect()
    await client.send(get("/stream"))
    await holding.wait_entered()
    await trio.sleep(1)
    server.request_stop()
    await house.ended()
    assert holding.left.is_set()
    assert not holding.completed


async def test_a_client_that_does_not_read_is_cut_off(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    holding.release.set()
    holding.pieces = 2000
    await house.serve(holding.app, Limits(send_timeout=30))
    client = await house.connect()
    before = trio.current_time()
    await client.send(get("/stream"))
    await holding.wait_left()
    assert trio.current_time() - before == pytest.approx(30, abs=0.5)
    await house.idle()


async def test_a_client_that_reads_slowly_is_served(house: House, autojump_clock: MockClock) -> None:
    holding = Holding()
    holding.release.set()
    holding.pieces = 300
    await house.serve(holding.app, Limits(send_timeout=30))
    client = await house.connect()
    await client.send(get("/stream"))
    await holding.wait_entered()
    received = 0
    while not holding.left.is_set():
        await trio.sleep(20)
        for _ in range(32):
            received += len(await client.stream.receive_some(65536))
    assert holding.completed
    assert received > 0


async def test_a_refused_client_that_goes_on_sending_does_not_hold_up_the_stop(
    house: House, autojump_clock: MockClock
) -> None:
    server = await house.serve(Holding().app, Limits(linger_idle=100, linger_total=1000), drain_grace=500)
    client = await house.connect()
    assert (await client.ask(post("/nowhere", b"x", length=1000))).status == 404
    await trio.sleep(1)
    assert server.connections == 1
    before = trio.current_time()
    server.request_stop()
    await house.ended()
    assert trio.current_time() - before < 2


async def test_drain_answers_and_closes_every_connection(house: House) -> None:
    server = await house.serve(Holding().app)
    kept = await house.connect()
    assert "connection" not in (await kept.ask(get("/hi"))).headers
    server.begin_drain()
    fresh = await house.connect()
    for client in (kept, fresh):
        answer = await client.ask(get("/hi"))
        assert (answer.body, answer.headers["connection"]) == (b"hi", "close")
        assert await client.closed() == b""
    assert (await (await house.connect()).ask(get("/hi"))).body == b"hi"


async def test_cancelling_leaves_nothing(autojump_clock: MockClock) -> None:
    holding = Holding()
    server = Server(holding.app, port=0)
    clients: list[Client] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        for _ in range(3):
            clients.append(Client(await trio.open_tcp_stream("127.0.0.1", server.port)))
        await clients[0].ask(get("/hi"))
        await clients[1].send(post("/hold", b"photo"))
        await clients[2].send(post("/hold", b"ph", length=5))
        await holding.wait_entered()
        before = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - before < 1
    assert holding.left.is_set()
    assert server.connections == 0
    for client in clients:
        with suppress(trio.BrokenResourceError):
            assert await client.closed() == b""
        client.close()
    with pytest.raises(OSError, match="failed"):
        await trio.open_tcp_stream("127.0.0.1", server.port)


async def test_it_can_be_run_again_on_the_same_port() -> None:
    server = Server(Holding().app, port=0)
    ports = set()
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            ports.add(server.port)
            client = Client(await trio.open_tcp_stream("127.0.0.1", server.port))
            assert (await client.ask(get("/hi"))).body == b"hi"
            client.close()
            nursery.cancel_scope.cancel()
    assert len(ports) == 1


async def test_stop_before_run_returns_at_once() -> None:
    server = Server(Holding().app, port=0)
    server.request_stop()
    with trio.fail_after(20):
        await server.run()
