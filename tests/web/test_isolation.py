"""Nothing that one client sends, and nothing that one handler does, reaches another connection."""

import logging
from collections.abc import AsyncIterator

import pytest
import trio
from quart import Response
from quart_trio import QuartTrio

from photochanger.web.app import create_app
from photochanger.web.limits import Limits
from tests.web.client import get, post
from tests.web.conftest import House
from tests.web.holding import Holding

UPGRADE = get(
    "/hi",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


@pytest.mark.parametrize("behind", [b"", b"\x81", b"x", b"\x81\x85abcd"])
async def test_websocket_upgrade_is_a_plain_request(house: House, behind: bytes) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    answer = await client.ask(UPGRADE + behind)
    assert (answer.status, answer.body) == (200, b"hi")
    other = await house.connect()
    assert (await other.ask(get("/hi"))).body == b"hi"


async def test_h2c_upgrade_is_a_plain_request(house: House) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    asking = get("/hi", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    assert (await client.ask(asking)).body == b"hi"
    assert (await client.ask(get("/hi"))).body == b"hi"


async def test_http2_by_prior_knowledge_is_refused(house: House) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    answer = await client.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
    assert answer.status == 505
    assert await client.closed() == b""
    assert (await (await house.connect()).ask(get("/hi"))).body == b"hi"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # TLS where none is spoken
        (b"GET /hi\r\n\r\n", 400),
        (b"GET /hi HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET hi HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET ?q HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /hi HTTP/1.1\r\nHost: x\r\nbad name: 1\r\n\r\n", 400),
        (b"POST /hi HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /hi HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST /hold HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /hi HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"a" * 70_000, 431),
        (get("/" + "a" * 70_000), 431),
        (get("/hi", *[f"X-{number}: 1" for number in range(200)]), 431),
    ],
)
async def test_what_is_not_our_http_is_told_so_and_closed(house: House, request_: bytes, status: int) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    await client.send(request_)
    answer = await client.answer()
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["failure_reason"] == "invalid_request"
    assert await client.closed() == b""
    assert (await (await house.connect()).ask(get("/hi"))).body == b"hi"


async def test_broken_chunk_cancels_the_handler(house: House) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(b"POST /sip HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    await holding.wait_entered()
    answer = await client.ask(b"zz\r\n")
    assert answer.status == 400
    await holding.wait_left()


@pytest.mark.parametrize("target", ["*", "http://x/hi"])
async def test_other_forms_of_targets_are_understood(house: House, target: str) -> None:
    await house.serve(Holding().app)
    client = await house.connect()
    assert (await client.ask(get(target))).status == (404 if target == "*" else 200)


def crashing_app() -> QuartTrio:
    app = create_app()

    @app.get("/group")
    async def group() -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise ValueError("secret text")

    @app.get("/crash")
    async def crash() -> str:
        raise ValueError("secret text")

    @app.get("/half")
    async def half() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"x" * 100
            raise ValueError("secret text")

        return Response(pieces(), headers={"Content-Length": "200"})

    @app.get("/short")
    async def short() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"x" * 100

        return Response(pieces(), headers={"Content-Length": "200"})

    @app.get("/header")
    async def header() -> Response:
        return Response("x", headers={"X-Bad": "a\x00b"})

    @app.get("/hi")
    async def hi() -> str:
        return "hi"

    return app


@pytest.mark.parametrize("path", ["/crash", "/group"])
async def test_a_crashing_handler_answers_500_and_keeps_the_connection(
    house: House, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    await house.serve(crashing_app())
    client = await house.connect()
    answer = await client.ask(get(path))
    assert (answer.status, answer.json["failure_reason"]) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert "secret text" in caplog.text
    assert (await client.ask(get("/hi"))).body == b"hi"


@pytest.mark.parametrize("path", ["/half", "/short"])
async def test_an_answer_that_breaks_off_cuts_the_connection(
    house: House, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    await house.serve(crashing_app())
    client = await house.connect()
    await client.send(get(path))
    received = await client.closed()
    assert received.endswith(b"\r\n\r\n" + b"x" * 100)
    await house.idle()
    assert "the application failed" in caplog.text
    assert (await (await house.connect()).ask(get("/hi"))).body == b"hi"


async def test_an_answer_that_cannot_be_sent_at_all_is_500(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.serve(crashing_app())
    client = await house.connect()
    answer = await client.ask(get("/header"))
    assert (answer.status, answer.json["failure_reason"]) == (500, "internal_error")
    assert caplog.records


async def test_an_exception_of_a_connection_ends_only_that_one(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*args: object) -> None:
        raise RuntimeError("a bug in the protocol")

    await house.serve(Holding().app)
    survivor = await house.connect()
    assert (await survivor.ask(get("/hi"))).body == b"hi"
    client = await house.connect()
    with monkeypatch.context() as patch:
        patch.setattr("photochanger.web.protocol.Protocol._objection", explode)
        await client.send(get("/hi"))
        await client.closed()
        await client.stream.aclose()
        await house.idle(besides=1)
    assert "a connection failed" in caplog.text
    assert (await survivor.ask(get("/hi"))).body == b"hi"
    assert (await (await house.connect()).ask(get("/hi"))).body == b"hi"


async def test_connections_over_the_limit_are_told_429(house: House) -> None:
    holding = Holding()
    await house.serve(holding.app, Limits(connections=3))
    held = [await house.connect() for _ in range(3)]
    for client in held:
        assert (await client.ask(get("/hi"))).body == b"hi"
    extra = await house.connect()
    await extra.send(post("/hold", b"x" * 100_000))
    answer = await extra.answer("POST")
    assert (answer.status, answer.json["failure_reason"]) == (429, "queue_full")
    assert answer.headers["retry-after"] == "1"
    assert await extra.closed() == b""
    held[0].close()
    await house.idle(besides=2)
    assert (await (await house.connect()).ask(get("/hi"))).body == b"hi"


async def test_fifty_crashes_at_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "photochanger")
    await house.serve(crashing_app())

    async def one(number: int) -> None:
        client = await house.connect()
        await client.send(get(["/half", "/crash", "/short", "/group"][number % 4], "Connection: close"))
        assert await client.closed()

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    await house.idle()
