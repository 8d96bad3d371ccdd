"""One line per request: enough to see what happened, nothing that must not be kept."""

import logging

import pytest
import trio
from trio.testing import MockClock

from tests.web.client import get, post
from tests.web.conftest import House
from tests.web.holding import Holding


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "photochanger.access"]


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "photochanger.access")


async def test_one_line_per_request(house: House, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.ask(get("/hi?password=hunter2"))
    await client.ask(get("/no%0Awhere?x=1"))
    await client.ask(b"HEAD /hi HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.send(post("/hold", b"password=hunter2"))
    await trio.sleep(3)
    holding.release.set()
    await client.answer()
    client.close()
    await house.idle()
    assert [line.rsplit(" ", 4)[0] for line in lines(caplog)] == [
        "GET /hi 200",
        "GET /no%0Awhere 404",
        "HEAD /hi 200",
        "POST /hold 200",
    ]
    assert lines(caplog)[0].endswith(" ms 2 B")
    assert lines(caplog)[2].endswith(" ms 0 B")
    assert lines(caplog)[3] == "POST /hold 200 3000 ms 2 B"
    assert "hunter2" not in caplog.text


async def test_a_client_that_left_is_499(house: House, caplog: pytest.LogCaptureFixture) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(post("/hold", b"photo"))
    await holding.wait_entered()
    client.reset()
    await house.idle()
    assert lines(caplog)[0].startswith("POST /hold 499 ")
