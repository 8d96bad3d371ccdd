"""One line per request: enough to see what happened, nothing that must not be kept."""

import logging
from collections.abc import AsyncIterator

import pytest
import trio
from quart import Response
from trio.testing import MockClock

from photochanger.web.app import create_app
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


@pytest.mark.parametrize("path", ["/r/{}", "/public/share/{}", "/public/media/{}", "/%72/{}", "//r//{}"])
async def test_what_opens_pictures_of_guests_is_in_no_log(
    house: House, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """Neither where all goes well, nor where a handler has a bug, nor where its answer breaks off."""
    app, token = create_app(), "Zm9yIGEgZ3Vlc3Q"

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 10
        raise ZeroDivisionError

    async def fails(token: str, how: str) -> Response:
        if how == "bug":
            raise ZeroDivisionError
        return Response(broken() if how == "half" else b"x" * 10)

    for number, route in enumerate(("/r", "/public/share", "/public/media")):
        app.add_url_rule(f"{route}/<token>/<how>", f"fails{number}", fails)
    await house.serve(app)
    for how in ("well", "bug", "half"):
        client = await house.connect()
        await client.send(get(path.format(f"{token}/{how}")))
        await (client.closed() if how == "half" and "//" not in path else client.answer())
        client.close()
    await house.idle()
    assert len(lines(caplog)) == 3
    assert token not in caplog.text
    if "//" not in path:  # which is redirected
        assert "failed" in caplog.text
        assert "the application failed" in caplog.text


async def test_a_client_that_left_is_499(house: House, caplog: pytest.LogCaptureFixture) -> None:
    holding = Holding()
    await house.serve(holding.app)
    client = await house.connect()
    await client.send(post("/hold", b"photo"))
    await holding.wait_entered()
    client.reset()
    await house.idle()
    assert lines(caplog)[0].startswith("POST /hold 499 ")
