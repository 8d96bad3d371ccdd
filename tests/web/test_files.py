"""Files are sent exactly: lengths, ranges, conditions; and their handles are closed whatever happens."""

import os
from collections.abc import Iterator
from pathlib import Path

import h11
import pytest
import trio
from quart import Response, request
from quart_trio import QuartTrio

from photochanger.web.app import create_app
from photochanger.web.files import CHUNK, send_file, stream_file
from tests.web.client import Client, get, post
from tests.web.conftest import House

SIZE = 3 * CHUNK + 1234
CONTENT = os.urandom(SIZE)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def open_handles(picture: Path) -> Iterator[None]:
    """Whatever the test does, no descriptor of the picture stays open."""
    yield
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [link for link in links if str(link.readlink()).startswith(str(picture))]


pytestmark = pytest.mark.usefixtures("open_handles")


def file_app(path: Path, download_name: str | None = None) -> QuartTrio:
    app = create_app()

    @app.route("/file", methods=["GET", "POST"])
    async def file() -> Response:
        return await send_file(path, mime="image/jpeg", etag="abc", request=request, download_name=download_name)

    @app.post("/stream/<int:size>")
    async def stream(size: int) -> Response:
        return await stream_file(path, mime="image/png", size=size)

    return app


async def visit(house: House, path: Path) -> Client:
    await house.serve(file_app(path))
    return await house.connect()


async def test_the_whole_file(house: House, picture: Path) -> None:
    client = await visit(house, picture)
    answer = await client.ask(get("/file"))
    assert answer.status == 200
    assert answer.body == CONTENT
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == '"abc"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head(house: House, picture: Path) -> None:
    client = await visit(house, picture)
    answer = await client.ask(b"HEAD /file HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", str(SIZE))
    assert (await client.ask(get("/file"))).status == 200


@pytest.mark.parametrize(
    ("range_", "start", "stop"),
    [
        ("bytes=0-", 0, SIZE),
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=100-", 100, SIZE),
        ("bytes=-100", SIZE - 100, SIZE),
        (f"bytes=-{SIZE}", 0, SIZE),
        (f"bytes=-{SIZE * 10}", 0, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=10-{SIZE * 10}", 10, SIZE),
        (f"bytes={CHUNK - 1}-{CHUNK * 2}", CHUNK - 1, CHUNK * 2 + 1),
        ("Bytes = 5-6", 5, 7),
    ],
)
async def test_one_range(house: House, picture: Path, range_: str, start: int, stop: int) -> None:
    client = await visit(house, picture)
    answer = await client.ask(get("/file", f"Range: {range_}"))
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(stop - start)
    assert answer.body == CONTENT[start:stop]


@pytest.mark.parametrize("range_", [f"bytes={SIZE}-", f"bytes={SIZE * 2}-{SIZE * 3}"])
async def test_a_range_past_the_end_is_416(house: House, picture: Path, range_: str) -> None:
    client = await visit(house, picture)
    answer = await client.ask(get("/file", f"Range: {range_}"))
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{SIZE}")
    assert answer.json["failure_reason"] == "invalid_request"


@pytest.mark.parametrize(
    "range_", ["bytes=0-1,5-6", "bytes=5-1", "bytes=x-y", "bytes", "lines=0-1", "bytes=-0", "bytes=", "bytes=--5"]
)
async def test_other_ranges_mean_the_whole_file(house: House, picture: Path, range_: str) -> None:
    client = await visit(house, picture)
    answer = await client.ask(get("/file", f"Range: {range_}"))
    assert (answer.status, len(answer.body)) == (200, SIZE)


async def test_any_range_of_an_empty_file_is_416(house: House, picture: Path) -> None:
    os.truncate(picture, 0)
    client = await visit(house, picture)
    assert (await client.ask(get("/file"))).body == b""
    assert (await client.ask(get("/file", "Range: bytes=0-"))).status == 416
    assert (await client.ask(get("/file", "Range: bytes=-5"))).status == 416


@pytest.mark.parametrize(
    ("condition", "status"),
    [('"abc"', 206), ('"other"', 200), ('W/"abc"', 200), ("abc", 200), ("Fri, 20 Nov 2026 10:00:00 GMT", 200)],
)
async def test_if_range(house: House, picture: Path, condition: str, status: int) -> None:
    client = await visit(house, picture)
    assert (await client.ask(get("/file", "Range: bytes=0-9", f"If-Range: {condition}"))).status == status


@pytest.mark.parametrize("condition", ['"abc"', 'W/"abc"', '"x", "abc"', "*"])
async def test_not_modified(house: House, picture: Path, condition: str) -> None:
    client = await visit(house, picture)
    answer = await client.ask(get("/file", f"If-None-Match: {condition}", "Range: bytes=0-9"))
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", '"abc"')
    assert "content-length" not in answer.headers
    assert (await client.ask(get("/file", 'If-None-Match: "other"'))).status == 200


async def test_a_post_is_answered_whole(house: House, picture: Path) -> None:
    client = await visit(house, picture)
    request_ = (
        b'POST /file HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nRange: bytes=0-9\r\nIf-None-Match: "abc"\r\n\r\n'
    )
    assert len((await client.ask(request_)).body) == SIZE
    request_ = b"POST /stream/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % SIZE
    answer = await client.ask(request_)
    assert (answer.headers["content-type"], answer.headers["content-length"]) == ("image/png", str(SIZE))
    assert answer.body == CONTENT


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("guest.jpg", "inline; filename=guest.jpg"),
        ('a"b.jpg', 'inline; filename="a\\"b.jpg"'),
        ("фото.jpg", "inline; filename=picture.jpg; filename*=UTF-8''%D1%84%D0%BE%D1%82%D0%BE.jpg"),
        ("a\r\nX-Evil: 1.jpg", 'inline; filename="aX-Evil: 1.jpg"'),
    ],
)
async def test_names(house: House, picture: Path, name: str, header: str) -> None:
    await house.serve(file_app(picture, name))
    answer = await (await house.connect()).ask(get("/file"))
    assert "x-evil" not in answer.headers
    assert answer.headers["content-disposition"] == header


async def test_no_file_is_404(house: House, picture: Path, tmp_path: Path) -> None:
    client = await visit(house, tmp_path / "other.jpg")
    answer = await client.ask(get("/file"))
    assert (answer.status, answer.json["failure_reason"]) == (404, "not_found")


async def test_an_unreadable_place_is_503(house: House, picture: Path) -> None:
    client = await visit(house, picture / "beneath a file")
    answer = await client.ask(get("/file"))
    assert (answer.status, answer.json["failure_reason"]) == (503, "storage_unavailable")
    assert "beneath" not in answer.body.decode()


async def test_a_file_that_shrinks_cuts_the_connection(house: House, picture: Path) -> None:
    size = 64 * 1024 * 1024  # more than the sockets' buffers take in
    with picture.open("wb") as file:
        file.truncate(size)
    client = await visit(house, picture)
    await client.send(get("/file"))
    assert await client.stream.receive_some(1000)
    os.truncate(picture, 1000)
    with pytest.raises(h11.RemoteProtocolError):
        await client.answer()
    await house.idle()


@pytest.mark.parametrize("change", ["gone", "other size"])
async def test_a_file_that_is_another_when_it_is_opened_cuts_the_connection(
    house: House, picture: Path, change: str
) -> None:
    client = await visit(house, picture)
    if change == "gone":
        await trio.Path(picture).unlink()
    await client.send(post(f"/stream/{SIZE - (change != 'gone')}", b""))
    with pytest.raises(h11.RemoteProtocolError):
        await client.answer()
    await house.idle()


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_a_client_that_leaves_closes_the_file(house: House, picture: Path, leave: str) -> None:
    with picture.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    client = await visit(house, picture)
    await client.send(get("/file"))
    assert await client.stream.receive_some(1000)
    getattr(client, leave)()
    await house.idle()


async def test_thirty_at_once(house: House, picture: Path) -> None:
    await house.serve(file_app(picture))

    async def one(number: int) -> None:
        client = await house.connect()
        for _ in range(3):
            answer = await client.ask(get("/file", f"Range: bytes={number * 1000}-"))
            assert answer.body == CONTENT[number * 1000 :]

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(one, number)
