"""How the bench's processes talk: one JSON object per line on stdin, one per line back on stdout.

The end of stdin ends a process, so none outlives the bench.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import trio

Message = dict[str, Any]


def say(**message: Any) -> None:
    """Send one message to the bench."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def questions() -> Iterator[Message]:
    """The bench's messages, for programs of threads."""
    for line in sys.stdin:
        yield json.loads(line)


@asynccontextmanager
async def async_questions() -> AsyncIterator[trio.MemoryReceiveChannel[Message]]:
    """The bench's messages, for Trio programs."""
    send, receive = trio.open_memory_channel[Message](0)

    async def read() -> None:
        async with send, trio.lowlevel.FdStream(os.dup(0)) as stdin:
            data = b""
            async for chunk in stdin:
                *lines, data = (data + chunk).split(b"\n")
                for line in lines:
                    await send.send(json.loads(line))

    async with receive, trio.open_nursery() as nursery:
        nursery.start_soon(read)
        yield receive
        nursery.cancel_scope.cancel()
