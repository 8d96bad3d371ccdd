"""Worker threads without threads: the function runs at once, and the clock says how long it took."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from unittest.mock import patch

import outcome
import trio

T = TypeVar("T")
Cost = Callable[[Callable[..., object]], float]


def free(_function: Callable[..., object]) -> float:
    """No time at all."""
    return 0.0


@contextmanager
def inline_threads(cost: Cost = free) -> Iterator[None]:
    """Inside, `trio.to_thread.run_sync` stays in its task. `cost` gives the seconds of a function, seen unwrapped.

    All else is as with a thread: the limiter is held, and only who may be abandoned hears of a cancellation before
    the end. Nothing is forced to disk.
    """

    async def run_sync(
        function: Callable[..., T],
        *args: Any,
        limiter: trio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        holder = object()
        limiter = limiter or trio.to_thread.current_default_thread_limiter()
        await limiter.acquire_on_behalf_of(holder)
        try:
            came_to = outcome.capture(function, *args)
            with trio.CancelScope(shield=not abandon_on_cancel):
                await trio.sleep(cost(_unwrapped(function)))
        finally:
            limiter.release_on_behalf_of(holder)
        return came_to.unwrap()

    with patch.object(trio.to_thread, "run_sync", run_sync), patch.object(os, "fsync", lambda _descriptor: None):
        yield


def _unwrapped(function: Callable[..., object]) -> Callable[..., object]:
    return function.func if isinstance(function, partial) else function
