"""The load: booths on blocking sockets, one thread each, with as little work of their own as possible.

The form's bytes are built once; per photo only 32 bytes of its comment segment change, and the reply's body is
thrown away by the kernel (MSG_TRUNC). Photos are posted as DSLR Remote Pro does: a connection each, the four headers,
`Expect: 100-continue`.
"""

import re
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from photochanger.demo.dslr import build_form, text_fields
from tests.lab.bench.lines import Message, questions, say

PATIENCE = 60.0
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """Where photos are posted: `path` has `{slot}` in it."""

    port: int
    path: str
    password: str


class PostFailed(Exception):
    """No picture came; the message says what came instead."""


class Ammunition:
    """One photo in memory with the form around it, shared by all booths."""

    def __init__(self, photo: Path, salt_at: int, password: str) -> None:
        data = photo.read_bytes()
        fields = [*text_fields(int(time.time()), {}).items(), ("password", password)]
        form = build_form(fields, file_name="IMG_0003.JPG", mime="image/jpeg")
        self._start = form.before + data[:salt_at]
        self._rest = memoryview(data)[salt_at + 32 :]
        self._after = form.after
        self._headers = (
            f"host: 127.0.0.1\r\ncontent-type: {form.content_type}\r\n"
            f"content-length: {form.overhead + len(data)}\r\nexpect: 100-continue\r\n\r\n"
        ).encode()

    def post(self, target: Target, slot: int) -> float:
        """Post one photo; seconds from connecting to the last byte of the picture. Raises PostFailed."""
        salt = secrets.token_hex(16).encode()
        path = target.path.format(slot=f"slot-{slot:03}")
        started = time.perf_counter()
        try:
            with socket.create_connection(("127.0.0.1", target.port), PATIENCE) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(f"POST {path} HTTP/1.1\r\n".encode() + self._headers)
                status, _, _ = _reply_head(connection)
                if status == 100:
                    connection.sendall(self._start + salt)
                    connection.sendall(self._rest)
                    connection.sendall(self._after)
                    status, length, begun = _reply_head(connection)
                if status != 200:
                    raise PostFailed(f"status {status}")
                _expect_jpeg(connection, length, begun)
        except OSError as error:
            raise PostFailed(type(error).__name__) from error
        return time.perf_counter() - started


def _reply_head(connection: socket.socket) -> tuple[int, int, bytes]:
    """Status, Content-Length, and what came behind the head."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = connection.recv(4096)
        if not more:
            raise PostFailed("no reply")
        data += more
    length = re.search(rb"\r\ncontent-length: *(\d+)", data[:end], re.IGNORECASE)
    return int(data[9:12]), int(length[1]) if length else 0, data[end + 4 :]


def _expect_jpeg(connection: socket.socket, length: int, begun: bytes) -> None:
    while len(begun) < 3:
        more = connection.recv(3 - len(begun))
        if not more:
            raise PostFailed("cut off")
        begun += more
    if not begun.startswith(b"\xff\xd8\xff"):
        raise PostFailed("no JPEG")
    left, waste = length - len(begun), bytearray(BLOCK)
    while left > 0:
        got = connection.recv_into(waste, min(left, BLOCK), socket.MSG_TRUNC)
        if not got:
            raise PostFailed("cut off")
        left -= got


class Tally:
    """What the booths got, together. `ends` are moments of CLOCK_MONOTONIC."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: list[float] = []
        self._seconds: list[float] = []
        self._failures: list[str] = []

    def post(self, ammunition: Ammunition, target: Target, slot: int) -> None:
        """Post one photo and note what came of it."""
        try:
            seconds = ammunition.post(target, slot)
        except PostFailed as failure:
            with self._lock:
                self._failures.append(str(failure))
            time.sleep(0.1)  # a server that refuses at once is not hammered
            return
        with self._lock:
            self._ends.append(time.monotonic())
            self._seconds.append(seconds)

    def message(self) -> Message:
        """For the bench."""
        return {"ends": self._ends, "seconds": self._seconds, "failures": self._failures}


def in_turn(targets: list[Target], ammunition: list[Ammunition], rounds: int) -> list[Message]:
    """One photo after the other, each target in turn, who begins changing with each round."""
    tallies = [Tally() for _ in targets]
    for number in range(rounds):
        order = list(range(len(targets)))
        for index in order if number % 2 else reversed(order):
            tallies[index].post(ammunition[index], targets[index], number % 15 + 1)
    return [tally.message() for tally in tallies]


def all_at_once(target: Target, ammunition: Ammunition, booths: int, duration: float) -> Message:
    """`booths` booths, each on its own slot, the next photo as soon as one is answered, for `duration` seconds."""
    tally, started = Tally(), time.monotonic()

    def booth(slot: int) -> None:
        while time.monotonic() < started + duration:
            tally.post(ammunition, target, slot)

    threads = [threading.Thread(target=booth, args=(slot,)) for slot in range(1, booths + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"started": started, "ended": time.monotonic(), **tally.message()}


def light_gets(port: int, path: str, seconds: float, interval: float) -> Message:
    """GETs on a kept connection, one each `interval`; their times in seconds. A failure takes a new connection.

    So does every 500th GET: servers announce that they close a connection after a thousand, which is not read here.
    """
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
    times: list[float] = []
    failures: list[str] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for _ in range(500):
                    if time.monotonic() >= until:
                        break
                    times.append(_get(connection, request))
                    time.sleep(interval)
        except (PostFailed, OSError) as failure:
            failures.append(f"GET {path}: {failure or type(failure).__name__}")
            time.sleep(0.1)
    return {"seconds": times, "failures": failures}


def _get(connection: socket.socket, request: bytes) -> float:
    begin = time.monotonic()
    connection.sendall(request)
    status, length, body = _reply_head(connection)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            raise PostFailed("cut off")
        body += more
    if status != 200:
        raise PostFailed(f"status {status}")
    return time.monotonic() - begin


def answer(question: Message) -> Message:
    """Make the measurement that the bench asks for."""
    kind = question.pop("kind")
    if kind == "gets":
        return light_gets(**question)
    photo, salt_at = Path(question.pop("photo")), question.pop("salt_at")
    targets = [Target(**target) for target in question.pop("targets")]
    ammunition = [Ammunition(photo, salt_at, target.password) for target in targets]
    if kind == "in_turn":
        return {"targets": in_turn(targets, ammunition, **question)}
    return all_at_once(targets[0], ammunition[0], **question)


def main() -> None:
    """Run until the bench closes stdin."""
    say(ok=True)
    for question in questions():
        say(**answer(question))


if __name__ == "__main__":
    main()
