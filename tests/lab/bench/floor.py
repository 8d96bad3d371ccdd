"""The floor: a bare Trio server that does only what no server could leave out.

It receives the same bytes, hashes and writes them, posts them as streamed base64 JSON to the same provider, decodes
the answer's base64, decodes the picture once (two at a time) and returns it. No multipart, no database, no rows, no
previews, no HTTP library.
"""

import argparse
import base64
import binascii
import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

os.environ.setdefault("VIPS_CONCURRENCY", "1")  # read by libvips when it is first loaded

import pyvips
import trio

from tests.lab.bench.lines import async_questions, say
from tests.lab.bench.probe import probe_lag

BLOCK = 1 << 20
PIECE = 3 * 262_144  # a multiple of 3: base64 pieces can be put together
PREFIX = b'{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/jpeg","data":"'
SUFFIX = b'"}},{"text":"Turn this into a watercolour."}]}],"generationConfig":{"responseModalities":["IMAGE"]}}'


class Floor:
    """`longest_side` switches normalising on."""

    def __init__(self, provider_port: int, spool: Path) -> None:
        self._provider_port = provider_port
        self._spool = spool
        self._pictures = trio.CapacityLimiter(2)
        self.longest_side: int | None = None

    async def connection(self, stream: trio.SocketStream) -> None:
        """Requests until the client closes."""
        async with stream:
            try:
                while await self._request(stream):
                    pass
            except trio.BrokenResourceError:
                return

    async def _request(self, stream: trio.SocketStream) -> bool:
        head, rest = await _head(stream)
        if not head:
            return False
        if head.startswith(b"get "):
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
            return True
        if b"\r\nexpect: 100-continue" in head:
            await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        with tempfile.TemporaryFile(dir=self._spool) as file:
            await _receive(stream, _length(head), rest, file)
            sent = await self._normalised(file) if self.longest_side else file
            answer = await self._ask_provider(sent)
        picture = await trio.to_thread.run_sync(_picture, answer, limiter=self._pictures)
        await stream.send_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture
        )
        return True

    async def _ask_provider(self, file: BinaryIO) -> bytearray:
        size = file.seek(0, 2)
        file.seek(0)
        length = len(PREFIX) + len(SUFFIX) + 4 * ((size + 2) // 3)
        async with await trio.open_tcp_stream("127.0.0.1", self._provider_port) as stream:
            await stream.send_all(
                b"POST /v1beta/models/gemini-3.1-flash-image:generateContent HTTP/1.1\r\nHost: provider\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length + PREFIX
            )
            while piece := await trio.to_thread.run_sync(_encoded_piece, file):
                await stream.send_all(piece)
            await stream.send_all(SUFFIX)
            head, answer = await _head(stream)
            size = _length(head)
            while len(answer) < size:
                data = await stream.receive_some(BLOCK)
                if not data:
                    raise trio.BrokenResourceError
                answer += data
            return answer

    async def _normalised(self, file: BinaryIO) -> BinaryIO:
        assert self.longest_side
        small = await trio.to_thread.run_sync(_shrunk, file, self.longest_side, limiter=self._pictures)
        other: BinaryIO = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115 - small, and gone with its handle
        other.write(small)
        return other


async def _head(stream: trio.SocketStream) -> tuple[bytes, bytearray]:
    """Request or status line with headers, in lower case, and what came behind; empty when the other side closed."""
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = await stream.receive_some(BLOCK)
        if not more:
            return b"", bytearray()
        data += more
    return bytes(data[: end + 4]).lower(), data[end + 4 :]


def _length(head: bytes) -> int:
    found = re.search(rb"\r\ncontent-length: *(\d+)", head)
    assert found
    return int(found[1])


async def _receive(stream: trio.SocketStream, length: int, rest: bytearray, file: BinaryIO) -> None:
    digest = hashlib.sha256()
    block = bytearray(BLOCK)
    block[: len(rest)] = rest
    filled, left = len(rest), length - len(rest)
    view = memoryview(block)
    while filled or left > 0:
        while left > 0 and filled < BLOCK:
            got = await stream.socket.recv_into(view[filled:])
            if not got:
                raise trio.BrokenResourceError
            filled, left = filled + got, left - got
        await trio.to_thread.run_sync(_take, digest.update, file, view[:filled])
        filled = 0


def _take(hash_more: Callable[[memoryview], None], file: BinaryIO, data: memoryview) -> None:
    hash_more(data)
    file.write(data)


def _encoded_piece(file: BinaryIO) -> bytes:
    return base64.b64encode(file.read(PIECE))


def _picture(answer: bytearray) -> bytes:
    start = answer.index(b'"data": "') + len(b'"data": "')
    picture = binascii.a2b_base64(memoryview(answer)[start : answer.index(b'"', start)])
    pyvips.Image.jpegload_buffer(picture, access="sequential", fail_on="truncated").avg()
    return picture


def _shrunk(file: BinaryIO, longest_side: int) -> bytes:
    file.seek(0)
    form = file.read()
    start = form.index(b"\xff\xd8\xff")  # behind the form's fields, which nobody parses here
    small = pyvips.Image.thumbnail_buffer(form[start:], longest_side, height=longest_side, size="down")
    data: bytes = small.jpegsave_buffer(Q=92, keep="none", subsample_mode="on")
    return data


async def serve(provider_port: int, spool: Path, probe: Path) -> None:
    """Run until the bench closes stdin."""
    pyvips.cache_set_max(0)
    floor = Floor(provider_port, spool)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=256)
    async with trio.open_nursery() as nursery, async_questions() as questions:
        nursery.start_soon(partial(trio.serve_listeners, floor.connection, listeners))
        nursery.start_soon(probe_lag, probe)
        say(port=listeners[0].socket.getsockname()[1])
        async for question in questions:
            floor.longest_side = question["longest_side"]
            say(ok=True)
        nursery.cancel_scope.cancel()


def main() -> None:
    """Run the floor."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--provider-port", type=int, required=True)
    parser.add_argument("--spool", type=Path, required=True)
    parser.add_argument("--probe", type=Path, required=True)
    given = parser.parse_args()
    trio.run(serve, given.provider_port, given.spool, given.probe)


if __name__ == "__main__":
    main()
