"""Waiting for what nothing announces: a row, a log line, another process."""

import inspect
from collections.abc import Awaitable, Callable

import trio

GUARD = 30.0
"""Seconds after which a test gives up; it says nothing about how long things should take."""


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Return once `condition()` is true; it may be asynchronous."""
    with trio.fail_after(GUARD):
        while True:
            answer = condition()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await trio.sleep(0.005)
