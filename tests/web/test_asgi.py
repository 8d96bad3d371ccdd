"""Quart's side of the connection by itself: it also behaves under a server that reports disconnects."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection

from photochanger.web.asgi import HTTPConnection
from tests.web.client import GUARD
from tests.web.holding import Holding

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]


async def exchange(app: QuartTrio, method: str, path: str, report_disconnect_at: str) -> list[Message]:
    """What `app` sends when the server reports a disconnect at the first message of that type (or at once)."""
    sent: list[Message] = []
    disconnected = trio.Event()
    if not report_disconnect_at:
        disconnected.set()
    requests = [{"type": "http.request", "body": b"photo", "more_body": False}]

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        await trio.testing.wait_all_tasks_blocked()
        sent.append(message)
        if message["type"] == report_disconnect_at:
            disconnected.set()
            await trio.testing.wait_all_tasks_blocked()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"x")],
    }
    with trio.fail_after(GUARD):
        await app(scope, receive, send)  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize(("connection", "whole"), [(HTTPConnection, True), (TrioASGIHTTPConnection, False)])
async def test_a_disconnect_does_not_cut_the_sending_of_an_answer(
    connection: type[TrioASGIHTTPConnection], whole: bool
) -> None:
    holding = Holding()
    holding.release.set()
    holding.app.asgi_http_class = connection  # the second is Quart-Trio's own, for comparison
    if not whole:
        holding.app.request_class = QuartTrio.request_class
    sent = await exchange(holding.app, "GET", "/stream", "http.response.start")
    assert holding.completed is whole
    assert (sent[-1].get("more_body") is False) is whole


async def test_a_disconnect_cancels_the_handler() -> None:
    holding = Holding()
    assert await exchange(holding.app, "POST", "/hold", "") == []
    assert not holding.completed
