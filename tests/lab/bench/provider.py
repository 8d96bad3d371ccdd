"""The provider of the bench: reads a request without looking at it, waits, gives one fixed Gemini-shaped answer.

Threads on blocking sockets, and the kernel throws the request's body away unread (MSG_TRUNC): so it takes as
little of the machine as a provider on this machine can.
"""

import argparse
import base64
import json
import re
import socket
import threading
import time
from itertools import count
from pathlib import Path

from tests.lab.bench.lines import questions, say

BLOCK = 1 << 20
_NUMBER = b"0000000000"
"""Stands in the response id, where each answer gets its own."""


class Provider:
    """`delay` in seconds, from the request's last byte to the answer's first; may be changed while running."""

    def __init__(self, picture: bytes, delay: float) -> None:
        self.delay = delay
        self.requests = 0
        self._numbers = count(1)
        start, _, end = _answer(picture).rpartition(_NUMBER)
        self._start = memoryview(start)
        self._end = b"%010d" + end

    def serve(self, listener: socket.socket) -> None:
        """Accept for ever."""
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._connection, args=(connection,), daemon=True).start()

    def _connection(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            try:
                while self._exchange(connection):
                    pass
            except OSError:
                return

    def _exchange(self, connection: socket.socket) -> bool:
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = connection.recv(65536)
            if not more:
                return False
            data += more
        length = re.search(rb"\r\ncontent-length: *(\d+)", data[:end], re.IGNORECASE)
        if length is None:
            connection.sendall(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        left = int(length[1]) - (len(data) - end - 4)
        waste = bytearray(BLOCK)
        while left > 0:
            got = connection.recv_into(waste, min(left, BLOCK), socket.MSG_TRUNC)
            if not got:
                return False
            left -= got
        self.requests += 1
        if self.delay:
            time.sleep(self.delay)
        connection.sendall(self._start)
        connection.sendall(self._end % next(self._numbers))
        return True


def _answer(picture: bytes) -> bytes:
    body = json.dumps(
        {
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [
                            {"inlineData": {"mimeType": "image/jpeg", "data": base64.b64encode(picture).decode()}}
                        ],
                    },
                    "finishReason": "STOP",
                    "index": 0,
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 615,
                "candidatesTokenCount": 1232,
                "totalTokenCount": 1847,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
            },
            "modelVersion": "gemini-3.1-flash-image",
            "responseId": "response-" + _NUMBER.decode(),
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def main() -> None:
    """Run until the bench closes stdin."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--delay", type=float, default=0.2)
    given = parser.parse_args()
    provider = Provider(given.picture.read_bytes(), given.delay)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    threading.Thread(target=provider.serve, args=(listener,), daemon=True).start()
    say(port=listener.getsockname()[1])
    for question in questions():
        provider.delay = question.get("delay", provider.delay)
        say(delay=provider.delay, requests=provider.requests)


if __name__ == "__main__":
    main()
