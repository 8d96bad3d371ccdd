"""Clears away what has lost its meaning: old failures, expired tokens, events from more than a year ago."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from photochanger.errors import DatabaseUnavailable

EVERY: Final = 60.0
"""Seconds."""


class Sweeper:
    """Calls each of `sweeps` once a minute. A child of the tree."""

    def __init__(self, sweeps: Sequence[Callable[[], Awaitable[None]]]) -> None:
        self._sweeps = sweeps

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sweep until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(EVERY)
            try:
                for sweep in self._sweeps:
                    await sweep()
            except DatabaseUnavailable:
                continue  # the database child has said so; what is old does no harm
