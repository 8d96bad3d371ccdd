"""What the imitation puts on the wire, byte for byte, in each of its manners."""

import re
import tracemalloc
from functools import partial
from pathlib import Path

import trio

from photochanger.demo.dslr import Connection, Options, shoot, shoot_together, text_fields
from tests.demo.server import Wire, serving


async def post_once(photo: bytes | Path, reply: bytes, *, password: str | None = None, **options: object) -> bytes:
    """One accepted shot; the request's head and body as the server got them."""
    seen = bytearray()

    async def handle(wire: Wire) -> None:
        head, body = await wire.request()
        seen.extend(head + body)
        await wire.reply("200 OK", reply, "Content-Type: image/jpeg")

    async with serving(handle) as base:
        shot = await shoot(f"{base}/in/slot-001", photo, password=password, options=Options(**options))  # type: ignore[arg-type]
    assert shot.verdict == "modified", shot.why
    return bytes(seen)


def field_names(request: bytes) -> list[str]:
    return [name.decode() for name in re.findall(rb'form-data; name="([^"]*)"', request)]


async def test_only_the_captured_headers_in_their_order(jpeg: bytes) -> None:
    request = await post_once(jpeg, jpeg)
    head, _, body = request.partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /in/slot-001 HTTP/1.1"
    assert [header.split(": ")[0] for header in headers] == ["host", "content-type", "content-length", "expect"]
    assert re.fullmatch(r"host: 127\.0\.0\.1:\d+", headers[0])
    boundary = headers[1].removeprefix("content-type: multipart/form-data; boundary=")
    assert headers[2] == f"content-length: {1228 + len(jpeg)}"
    assert headers[3] == "expect: 100-continue"
    assert body.endswith(jpeg + f"\r\n--{boundary}--\r\n".encode())
    assert field_names(body) == [*text_fields(0, {}), "fileToUpload"]


async def test_no_body_byte_before_100_continue(jpeg: bytes) -> None:
    async def handle(wire: Wire) -> None:
        head = await wire.head()
        await wire.stays_silent()
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await wire.body(head)
        await wire.reply("200 OK", jpeg)

    async with serving(handle) as base:
        shot = await shoot(base, jpeg, options=Options(expect_wait=30))
    assert shot.verdict == "modified"
    assert shot.continue_after is not None
    assert 0 < shot.continue_after < shot.elapsed < 30


async def test_the_body_goes_when_100_continue_stays_away(jpeg: bytes) -> None:
    async def handle(wire: Wire) -> None:
        await wire.body(await wire.head())
        await wire.reply("200 OK", jpeg)

    async with serving(handle) as base:
        shot = await shoot(base, jpeg, options=Options(expect_wait=0.05))
    assert shot.verdict == "modified"
    assert shot.continue_after is None
    assert shot.body_bytes_sent == len(jpeg) + 1228


async def test_password_places(jpeg: bytes) -> None:
    plain = field_names(await post_once(jpeg, jpeg, password="123456"))
    assert plain[-2:] == ["password", "fileToUpload"]
    last = field_names(await post_once(jpeg, jpeg, password="123456", password_last=True))
    assert last[-2:] == ["fileToUpload", "password"]
    first = field_names(await post_once(jpeg, jpeg, password="123456", file_first=True))
    assert first == ["fileToUpload", *plain[:-1]]
    request = await post_once(jpeg, jpeg, password="", file_first=True, password_last=True)
    assert field_names(request)[-1] == "password"
    assert b'name="password"\r\n\r\n\r\n--' in request


async def test_survey_fields_code_page_and_missing_hash(jpeg: bytes) -> None:
    survey = {"survey1_Имя": "Аня", "user_id": "Студия"}
    request = await post_once(jpeg, jpeg, fields=survey, encoding="cp1251", send_hash=False, file_name="Фото.JPG")
    assert b"hash" not in request
    assert 'name="survey1_Имя"\r\n\r\nАня\r\n'.encode("cp1251") in request
    assert 'name="user_id"\r\n\r\nСтудия\r\n'.encode("cp1251") in request
    assert 'filename="Фото.JPG"'.encode("cp1251") in request
    announced = int(re.findall(rb"content-length: (\d+)", request)[0])
    assert len(request.partition(b"\r\n\r\n")[2]) == announced


async def test_tokens_in_the_url(jpeg: bytes) -> None:
    request = await post_once(jpeg, jpeg, query={"style": "Аня", "n": "1&2"}, encoding="cp1251")
    assert request.startswith(b"POST /in/slot-001?style=%C0%ED%FF&n=1%262 HTTP/1.1\r\n")


async def test_png_is_sent_as_png(jpeg: bytes, png: bytes) -> None:
    request = await post_once(png, jpeg)
    assert b'filename="IMG_0003.PNG"\r\nContent-Type: image/png\r\n\r\n\x89PNG' in request


async def test_keep_alive_off_says_so(jpeg: bytes) -> None:
    assert b"\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n" in await post_once(jpeg, jpeg, keep_alive=False)


async def test_a_file_is_streamed(jpeg: bytes, tmp_path: Path) -> None:
    size, got = 40_000_000, 0
    photo = tmp_path / "photo.jpg"
    with photo.open("wb") as file:
        file.write(jpeg)
        file.truncate(size)

    async def handle(wire: Wire) -> None:
        nonlocal got
        await wire.head()
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while got < size + 1228:
            got += len(await wire.stream.receive_some(65536))
        await wire.reply("200 OK", jpeg)

    async with serving(handle) as base:
        tracemalloc.start()
        shot = await shoot(base, photo)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert shot.verdict == "modified"
    assert got == shot.body_bytes_sent == size + 1228
    assert peak < 5_000_000


async def test_a_connection_is_used_again_until_the_server_closes_it(jpeg: bytes) -> None:
    connections: list[int] = []
    closed = trio.Event()

    async def handle(wire: Wire) -> None:
        connections.append(0)
        for _ in range(2):
            try:
                await wire.request()
            except EOFError:
                return
            connections[-1] += 1
            await wire.reply("200 OK", jpeg)
        await wire.stream.aclose()
        closed.set()

    async with serving(handle) as base:
        connection = Connection()
        first = await shoot(base, jpeg, connection=connection)
        second = await shoot(base, jpeg, connection=connection)
        await closed.wait()
        third = await shoot(base, jpeg, connection=connection)
        alone = await shoot(base, jpeg)
        await connection.cut(hard=False)
    assert [shot.verdict for shot in (first, second, third, alone)] == ["modified"] * 4
    assert [shot.reused for shot in (first, second, third, alone)] == [False, True, False, False]
    assert connections == [2, 1, 1]


async def test_connection_close_is_respected(jpeg: bytes) -> None:
    ends: list[bytes] = []

    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.reply("200 OK", jpeg, "Connection: close")
        ends.append(await wire.rest())  # an orderly end: a reset would raise here

    async with serving(handle) as base:
        connection = Connection()
        for _ in range(2):
            assert not (await shoot(base, jpeg, connection=connection)).reused
    assert ends == [b"", b""]


async def test_two_posts_at_once(jpeg: bytes) -> None:
    arrived: list[None] = []
    both = trio.Event()

    async def handle(wire: Wire) -> None:
        await wire.request()
        arrived.append(None)
        if len(arrived) == 2:
            both.set()
        await both.wait()
        await wire.reply("200 OK", jpeg)

    async with serving(handle) as base:
        post = partial(shoot, base, jpeg, options=Options(timeout=20))
        shots = await shoot_together([post, post])
    assert [shot.verdict for shot in shots] == ["modified", "modified"]


async def test_slow_upload_keeps_its_pace(jpeg: bytes, autojump_clock: trio.testing.MockClock) -> None:
    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.reply("200 OK", jpeg)

    async with serving(handle) as base:
        shot = await shoot(base, jpeg, options=Options(upload_rate=100, timeout=1000, expect_wait=0))
    assert shot.verdict == "modified"
    seconds = (len(jpeg) + 1228) / 100
    assert seconds * 0.99 <= shot.elapsed <= seconds + 2


async def test_one_byte_per_second_is_one_byte_per_second(mock_clock: trio.testing.MockClock, jpeg: bytes) -> None:
    async def handle(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        for _ in range(5):
            assert len(await wire.stream.receive_some(65536)) == 1
            await trio.testing.wait_all_tasks_blocked(0.01)
            mock_clock.jump(1)
        await wire.reply("408 Request Timeout", b"")

    async with serving(handle) as base:
        shot = await shoot(base, jpeg, options=Options(upload_rate=1))
    assert shot.status == 408
    assert 5 <= shot.body_bytes_sent <= 6
