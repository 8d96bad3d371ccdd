"""Which picture the booth prints, whatever a server does."""

import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from photochanger.demo.dslr import Options, Shot, shoot
from tests.demo.server import Wire, keep_send_buffer_small, reset, serving

Handle = Callable[[Wire], Awaitable[None]]


def answering(data: bytes, *, close: bool = True) -> Handle:
    """Reads the whole request, then sends `data` and closes."""

    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.send(data)
        if not close:
            await wire.rest()

    return handle


async def shot_at(handle: Handle, photo: bytes, **more: object) -> Shot:
    async with serving(handle) as base:
        return await shoot(base, photo, options=Options(**more))  # type: ignore[arg-type]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def framed(body: bytes, status: str = "200 OK", kind: str = "image/jpeg") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("kind", ["length", "chunked", "until close", "png", "strange type", "after 102", "lower case"])
async def test_a_whole_picture_is_printed(kind: str, jpeg: bytes, png: bytes, tmp_path: Path) -> None:
    half = len(jpeg) // 2
    chunks = b"%X;x=y\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (
        half,
        jpeg[:half],
        len(jpeg) - half,
        jpeg[half:],
    )
    answers = {
        "length": framed(jpeg),
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
        "until close": b"HTTP/1.0 200\r\n\r\n" + jpeg,
        "png": framed(png),
        "strange type": framed(jpeg, kind="application/octet-stream"),
        "after 102": b"HTTP/1.1 102 Processing\r\n\r\n" + framed(jpeg),
        "lower case": framed(jpeg).lower().replace(b"http", b"HTTP")[: -len(jpeg)] + jpeg,
    }
    saved = tmp_path / "out.jpg"
    async with serving(answering(answers[kind])) as base:
        shot = await shoot(base, jpeg, save_to=saved)
    assert shot.verdict == "modified", shot.why
    assert shot.status == 200
    assert shot.path == saved
    assert saved.read_bytes() == shot.body == (png if kind == "png" else jpeg)
    assert names_in(tmp_path) == [saved.name]


def cases(jpeg: bytes) -> dict[str, tuple[bytes, str]]:
    half = jpeg[: len(jpeg) // 2]
    return {
        "half an image": (framed(half), "does not decode whole"),
        "cut off": (framed(jpeg)[:-100], "100 bytes before the reply's end"),
        "cut in a chunk": (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(jpeg) + half,
            "bytes before",
        ),
        "no end chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "inside the reply"),
        "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no size"),
        "html": (framed(b"<html>ok</html>", kind="image/jpeg"), "neither JPEG nor PNG"),
        "empty": (framed(b""), "empty"),
        "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "answered 204"),
        "201 with a picture": (framed(jpeg, "201 Created"), "answered 201"),
        "504": (framed(b"{}", "504 Gateway Timeout", "application/problem+json"), "answered 504"),
        "redirect": (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "answered 302"),
        "no reply": (b"", "without a reply"),
        "half a head": (b"HTTP/1.1 200 OK\r\nContent-", "inside the headers"),
        "not http": (b"SSH-2.0-x\r\n\r\n", "not HTTP/1.1"),
        "bad header": (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed"),
        "bad length": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "no number"),
        "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "no number"),
        "endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "too long"),
        "huge": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "too large"),
        "unknown coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "coding"),
    }


@pytest.mark.parametrize("case", cases(b"x" * 300))
async def test_anything_else_is_the_original(case: str, jpeg: bytes, tmp_path: Path) -> None:
    answer, why = cases(jpeg)[case]
    async with serving(answering(answer)) as base:
        shot = await shoot(base, jpeg, save_to=tmp_path / "out.jpg")
    assert shot.verdict == "original"
    assert why in shot.why
    assert shot.path is None
    assert not names_in(tmp_path)


async def test_an_early_refusal_keeps_the_body_back(jpeg: bytes) -> None:
    problem = {"status": 401, "failure_reason": "invalid_credentials"}
    rest: list[bytes] = []

    async def handle(wire: Wire) -> None:
        await wire.head()
        await wire.stays_silent()
        body = json.dumps(problem).encode()
        await wire.reply("401 Unauthorized", body, "Content-Type: application/problem+json", "Connection: close")
        rest.append(await wire.rest())

    shot = await shot_at(handle, jpeg, expect_wait=30)
    assert (shot.verdict, shot.status, shot.problem) == ("original", 401, problem)
    assert shot.header("Content-Type") == "application/problem+json"
    assert shot.body_bytes_sent == 0
    assert rest == [b""]


async def test_a_refusal_stops_the_upload(tmp_path: Path) -> None:
    size = 60_000_000
    photo = tmp_path / "big.jpg"
    with photo.open("wb") as file:
        file.truncate(size)

    async def handle(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await wire.stream.receive_some(1)
        await wire.send(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n")
        silent = False
        while not silent:  # a patient server reads on while anything comes
            with trio.move_on_after(0.3) as patience:
                await wire.stream.receive_some(1_000_000)
            silent = patience.cancelled_caught
        await wire.send(b"no")

    async with serving(handle) as base:
        shot = await shoot(base, photo)
    assert (shot.verdict, shot.status, shot.body) == ("original", 413, b"no")
    assert 0 < shot.body_bytes_sent < size


async def test_a_reset_in_the_upload(jpeg: bytes) -> None:
    async def handle(wire: Wire) -> None:
        await wire.head()
        reset(wire)

    shot = await shot_at(handle, jpeg * 20_000)
    assert (shot.verdict, shot.status) == ("original", None)
    assert "connection" in shot.why


async def test_nobody_listens(jpeg: bytes) -> None:
    async with serving(answering(b"")) as base:
        pass
    shot = await shoot(base, jpeg)
    assert (shot.verdict, shot.status) == ("original", None)
    assert shot.why.startswith("cannot connect")


@pytest.mark.parametrize(
    "answer", ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nx"]
)
async def test_the_timeout_cuts_hard(answer: str, jpeg: bytes, mock_clock: MockClock) -> None:
    cut = trio.Event()

    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.send(answer.encode())
        await trio.testing.wait_all_tasks_blocked(0.02)
        mock_clock.jump(50)
        with pytest.raises(trio.BrokenResourceError):
            await wire.rest()
        cut.set()

    async with serving(handle) as base:
        shot = await shoot(base, jpeg)
        await cut.wait()
    assert shot.verdict == "original"
    assert shot.why == "no whole reply within 50 s"
    assert shot.elapsed == pytest.approx(50, abs=0.1)
    assert shot.status == (200 if "\r\n\r\n" in answer else None)


async def test_a_dead_server_that_never_reads(jpeg: bytes, mock_clock: MockClock) -> None:
    async def handle(wire: Wire) -> None:
        for seconds in (1, 49):  # the wait for 100, then the rest of the patience
            await trio.testing.wait_all_tasks_blocked(0.05)
            mock_clock.jump(seconds)
        await trio.sleep_forever()

    shot = await shot_at(handle, jpeg * 20_000)
    assert (shot.verdict, shot.why) == ("original", "no whole reply within 50 s")
    assert 0 < shot.body_bytes_sent < len(jpeg) * 20_000


async def test_the_booth_cuts_its_upload(jpeg: bytes) -> None:
    got: list[int] = []
    cut = trio.Event()

    async def handle(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await wire.rest()
        got.append(len(wire.data))
        cut.set()

    async with serving(handle) as base:
        shot = await shoot(base, jpeg, options=Options(cut_upload_after=500))
        await cut.wait()
    assert (shot.verdict, shot.why) == ("original", "the booth cut the upload after 500 bytes")
    assert shot.body_bytes_sent == 500
    assert got[0] <= 500


async def test_the_booth_stops_reading(jpeg: bytes, mock_clock: MockClock) -> None:
    async def lose_patience() -> None:
        await trio.testing.wait_all_tasks_blocked(0.5)  # longer than any pause of a reader with a small buffer
        mock_clock.jump(50)

    async def handle(wire: Wire) -> None:
        keep_send_buffer_small(wire)
        await wire.request()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose_patience)
            with pytest.raises(trio.BrokenResourceError):
                await wire.send(framed(b"x" * 2_000_000))

    shot = await shot_at(handle, jpeg, stop_reading_after=1000)
    assert (shot.verdict, shot.why, shot.status) == ("original", "no whole reply within 50 s", 200)


async def test_https_is_verified(jpeg: bytes, certificate: Path) -> None:
    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.reply("200 OK", jpeg)

    trusting = ssl.create_default_context(cafile=str(certificate))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    async with serving(handle, tls=certificate) as base:
        shot = await shoot(base, jpeg * 5_000, options=Options(ssl_context=trusting))
    assert shot.verdict == "modified", shot.why


async def test_an_unknown_certificate_is_refused(jpeg: bytes, certificate: Path) -> None:
    async def handle(wire: Wire) -> None:
        raise AssertionError("nothing may be sent")

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def connection(stream: trio.SocketStream) -> None:
        async with stream:
            with pytest.raises(trio.BrokenResourceError):
                await trio.SSLStream(stream, context, server_side=True).do_handshake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, connection, listeners)
        shot = await shoot(f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}", jpeg)
        nursery.cancel_scope.cancel()
    assert shot.verdict == "original"
    assert "certificate" in shot.why.lower()


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "slot-001", "http://user:secret@x/"])
async def test_a_wrong_url_is_the_callers_mistake(url: str, jpeg: bytes) -> None:
    with pytest.raises(ValueError, match="URL"):
        await shoot(url, jpeg)


async def test_a_missing_photo_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await shoot("http://127.0.0.1:1/", tmp_path / "none.jpg")
