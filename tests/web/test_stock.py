"""What Hypercorn 0.18 and Quart-Trio 0.12 do unmended. A test that fails here tells that a mend may be retired."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request, send_file
from quart_trio import QuartTrio
from trio.testing import MockClock

from tests.web.client import Client, chunk, chunked, get, post
from tests.web.holding import Holding
from tests.web.test_isolation import UPGRADE


class Stock:
    """A server of the unmended pair."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._clients: list[Client] = []
        self.scope = trio.CancelScope()
        self.failure: BaseException | None = None

    async def serve(self, app: QuartTrio) -> None:
        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.errorlog = None
        await self._nursery.start(self._run, app, config)

    async def _run(self, app: QuartTrio, config: Config, *, task_status: trio.TaskStatus[list[str]]) -> None:
        with self.scope:
            try:
                async with trio.open_nursery() as nursery:
                    binds = await nursery.start(lambda task_status: serve(app, config, task_status=task_status))
                    self.port = int(binds[0].rpartition(":")[2])
                    task_status.started(binds)
            except* Exception as failure:  # noqa: BLE001 # the subject of a test
                self.failure = failure

    async def connect(self) -> Client:
        client = Client(await trio.open_tcp_stream("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    def close(self) -> None:
        self.scope.cancel()
        for client in self._clients:
            client.close()


@pytest.fixture
async def stock(nursery: trio.Nursery) -> AsyncIterator[Stock]:
    stock = Stock(nursery)
    yield stock
    stock.close()


async def test_connections_never_close(stock: Stock, autojump_clock: MockClock) -> None:
    await stock.serve(Holding(QuartTrio(__name__)).app)
    client = await stock.connect()
    await client.ask(get("/hi", "Connection: close"))
    with trio.move_on_after(50) as waited:
        await client.closed()
    assert waited.cancelled_caught


async def test_a_slow_handler_takes_the_whole_body_into_memory(stock: Stock, autojump_clock: MockClock) -> None:
    app = QuartTrio(__name__)
    entered = trio.Event()

    @app.post("/slow")
    async def slow() -> str:
        entered.set()
        await trio.Event().wait()
        return ""

    await stock.serve(app)
    client = await stock.connect()
    await client.send(post("/slow", b"", length=100_000_000))
    for _ in range(400):
        await client.send(b"x" * 250_000)
    assert entered.is_set()


async def test_chunked_bodies_pass_max_content_length(stock: Stock) -> None:
    app = QuartTrio(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1000

    @app.post("/count")
    async def count() -> str:
        return str(sum([len(piece) async for piece in request.body]))

    await stock.serve(app)
    client = await stock.connect()
    await client.send(chunked("/count"))
    for _ in range(20):
        await client.send(chunk(b"x" * 500))
        await trio.testing.wait_all_tasks_blocked(0.001)
    assert (await client.ask(b"0\r\n\r\n")).body == b"10000"


async def test_continue_is_sent_before_a_refusal(stock: Stock) -> None:
    await stock.serve(QuartTrio(__name__))
    client = await stock.connect()
    answer = await client.ask(post("/nowhere", b"", "Expect: 100-continue", length=5))
    assert (answer.status, answer.informational) == (404, [100])


async def test_a_websocket_upgrade_with_a_trailing_byte_ends_the_server(stock: Stock) -> None:
    await stock.serve(QuartTrio(__name__))
    client = await stock.connect()
    await client.send(UPGRADE + b"x")
    with trio.fail_after(20):
        while stock.failure is None:  # noqa: ASYNC110 # set from within the stock server
            await trio.sleep(0.01)


async def test_trailing_bytes_hide_that_the_client_left(stock: Stock, autojump_clock: MockClock) -> None:
    holding = Holding(QuartTrio(__name__))
    await stock.serve(holding.app)
    client = await stock.connect()
    await client.send(post("/hold", b"photo") + b"garbage")
    await holding.wait_entered()
    client.close()
    await trio.sleep(50)
    assert not holding.left.is_set()


async def test_http2_by_prior_knowledge_is_spoken(stock: Stock) -> None:
    await stock.serve(QuartTrio(__name__))
    client = await stock.connect()
    await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    assert not (await client.stream.receive_some(1000)).startswith(b"HTTP/1.1")


async def test_send_file_answers_a_suffix_range_with_500(stock: Stock, tmp_path: Path) -> None:
    app = QuartTrio(__name__)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)

    @app.get("/file")
    async def file() -> Response:
        return await send_file(path, conditional=True, mimetype="image/jpeg")

    await stock.serve(app)
    client = await stock.connect()
    assert (await client.ask(get("/file", "Range: bytes=0-99"))).status == 206
    assert (await client.ask(get("/file", "Range: bytes=-100"))).status == 500
