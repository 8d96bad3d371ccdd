"""Ways of sending a photo to a house: as the booth does, and as it should not be done.

Each is made in the table as a value, `booth(photo, ...)` or `wire(body, ...)`, and awaited with a `Lab` later.
"""

import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import trio
import trio.testing

from photochanger.demo.dslr import Connection, build_form, shoot, text_fields
from photochanger.demo.dslr.client import Shot
from photochanger.demo.dslr.connection import Origin
from photochanger.demo.dslr.options import Options
from tests.lab import pictures
from tests.lab.house import PASSWORD, Lab
from tests.lab.waiting import until
from tests.web.client import Client, chunk, chunked, get, post

BOUNDARY = "------------050208030904010200070605"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
START = f"--{BOUNDARY}\r\n".encode()
END = f"--{BOUNDARY}--\r\n".encode()
WRONG = "wrong-Пароль-13"

Data = bytes | Callable[[], bytes]
Leave = Literal["fin", "rst"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back. `status` None: the client left without an answer. `kept`: the connection can be used again."""

    status: int | None = None
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    kept: bool | None = None
    picture: bool = False
    """The booth would print it."""


Send = Callable[[Lab], Awaitable[Heard]]


# --- as the booth's program does it -----------------------------------------------------------------------------


def booth(
    photo: Data | None = None, *, slot: str = "slot-001", password: str | None = PASSWORD, **options: Any
) -> Send:
    """The booth's imitation, with `Options`; then one more request on the same connection, where it still lives."""
    # Patient, so that a refusal finds the body unsent on a slow machine, too.
    how = Options(**{"expect_wait": 30.0} | options)

    async def send(lab: Lab) -> Heard:
        connection = Connection()
        try:
            shot = await shoot(lab.url(slot), _data(photo), password=password, options=how, connection=connection)
            return _heard(shot, await _still_serves(lab, connection))
        finally:
            await connection.cut(hard=False)

    return send


def _heard(shot: Shot, kept: bool) -> Heard:
    return Heard(shot.status, dict(shot.headers), shot.body, kept, shot.verdict == "modified")


async def _still_serves(lab: Lab, connection: Connection) -> bool:
    """Whether `connection` was kept. The house has to answer on it, or else on a new one."""
    stream, kept = await connection.stream_to(Origin.of(lab.base_url, {}, "utf-8")[0], None)
    assert isinstance(stream, trio.SocketStream)
    answer = await Client(stream).ask(get("/healthz"))
    assert answer.status == 200
    return kept


# --- byte by byte -----------------------------------------------------------------------------------------------


def fields(extra: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """The booth's text fields, the password among them."""
    return [*text_fields(1_758_217_512, {}).items(), ("password", PASSWORD), *(extra or {}).items()]


def around(photo: Data | None = None, texts: list[tuple[str, str]] | None = None) -> Callable[[], bytes]:
    """The body of a whole form with a photo."""

    def build() -> bytes:
        whole = build_form(texts or fields(), file_name="IMG_0003.JPG", mime="image/jpeg", boundary=BOUNDARY)
        return whole.before + _data(photo) + whole.after

    return build


def part(name: str, value: bytes, file_name: str | None = None) -> bytes:
    """One part of a form, its boundary in front."""
    file = "" if file_name is None else f'; filename="{file_name}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def parts(*pieces: bytes) -> bytes:
    """A form of the password and these parts."""
    return part("password", PASSWORD.encode()) + b"".join(pieces) + END


def wire(
    body: Data,
    *,
    path: str = "/api/ingest/slot-001",
    content_type: str | None = CONTENT_TYPE,
    announced: int | None = None,
    then: Literal["wait", "half-close"] = "wait",
    pieces: int | None = None,
) -> Send:
    """Send `body` with a Content-Length that may lie, or in chunks of `pieces` bytes; then listen."""

    async def send(lab: Lab) -> Heard:
        data = _data(body)
        headers = [f"Content-Type: {content_type}"] if content_type is not None else []
        client = await _connect(lab)
        try:
            async with trio.open_nursery() as nursery:
                if pieces is None:
                    request = post(path, data, *headers, length=announced)
                else:
                    steps = range(0, len(data), pieces)
                    chunks = b"".join(chunk(data[start : start + pieces]) for start in steps)
                    request = chunked(path, *headers) + chunks + b"0\r\n\r\n"
                nursery.start_soon(_send_all, client, request, then == "half-close")
                answer = await client.answer("POST")
                nursery.cancel_scope.cancel()
            kept = answer.headers.get("connection", "").lower() != "close" and then == "wait"
            if kept:
                assert (await client.ask(get("/healthz"))).status == 200
            else:
                assert await client.closed() == b""  # a FIN, not a reset
            return Heard(
                answer.status, answer.headers, answer.body, kept, answer.headers["content-type"] == "image/jpeg"
            )
        finally:
            client.close()

    return send


async def _send_all(client: Client, request: bytes, half_close: bool) -> None:
    try:
        await client.send(request)
        if half_close:
            await client.stream.send_eof()
    except trio.BrokenResourceError:
        pass  # refused and closed while we were still sending: the answer tells


# --- and gone ---------------------------------------------------------------------------------------------------


async def begin(lab: Lab, *, slot: str = "slot-001", narrow: bool = False) -> Client:
    """A whole request is with the house; nothing has been read of its answer."""
    client = await _connect(lab, narrow=narrow)
    headers = [f"Content-Type: {CONTENT_TYPE}", "Connection: close"]
    await client.send(post(f"/api/ingest/{slot}", around()(), *headers))
    return client


def gone_while_sending(leave: Leave, *, share: float = 0.5) -> Send:
    """Leave when a part of the photo is with the house."""

    async def send(lab: Lab) -> Heard:
        body = around(large)()
        request = post("/api/ingest/slot-001", body, f"Content-Type: {CONTENT_TYPE}")
        client = await _connect(lab)
        await client.send(request[: int(len(request) * share)])
        await until(lambda: any(path.stat().st_size for path in lab.temp_files()))
        _leave(client, leave)
        return Heard()

    return send


def gone_while_waiting(leave: Leave | Literal["half-close"]) -> Send:
    """Leave when the provider is at work."""

    async def send(lab: Lab) -> Heard:
        lab.simulator.scenario("hang")
        before = len(lab.simulator.calls)
        client = await begin(lab)
        await until(lambda: len(lab.simulator.calls) > before and bool(lab.simulator.calls[-1].scenario))
        if leave == "half-close":
            await client.stream.send_eof()
            assert await client.closed() == b""
            client.close()
        else:
            _leave(client, leave)
        return Heard()

    return send


def gone_while_receiving(leave: Leave) -> Send:
    """Leave when a part of the picture has come and the house is still sending."""

    async def send(lab: Lab) -> Heard:
        client = await begin(lab, narrow=True)
        got = await client.stream.receive_some(600)
        assert got.startswith(b"HTTP/1.1 200 ")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert lab.house.server.connections == 1, "the house had sent all of it"
        _leave(client, leave)
        return Heard()

    return send


def half_closed_while_receiving() -> Send:
    """Say "I am done sending" while the picture comes: it comes all the same."""

    async def send(lab: Lab) -> Heard:
        client = await begin(lab, narrow=True)
        try:
            await until(client.stream.socket.is_readable)
            await client.stream.send_eof()
            answer = await client.answer("POST")
            assert await client.closed() == b""
            return Heard(answer.status, answer.headers, answer.body, kept=False, picture=True)
        finally:
            client.close()

    return send


def _leave(client: Client, leave: Leave) -> None:
    if leave == "rst":
        client.reset()
    else:
        client.close()


async def _connect(lab: Lab, *, narrow: bool = False) -> Client:
    """`narrow`: so little room on the way that the house cannot hand a whole picture to the kernel."""
    connected = trio.socket.socket()
    if narrow:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    await connected.connect(("127.0.0.1", lab.house.server.port))
    return Client(trio.SocketStream(connected))


def good() -> bytes:
    """A small upright sRGB photo."""
    return pictures.photo(320, 240)


def large() -> bytes:
    """More than the house reads in one go, and a good photo all the same: what follows its end is dropped."""
    return pictures.trailing_garbage(good(), bytes(3_000_000))


def _data(data: Data | None) -> bytes:
    if data is None:
        return good()
    return data() if callable(data) else data
