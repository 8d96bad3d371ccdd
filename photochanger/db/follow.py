"""Keeping what lies in memory in step with rows that others change."""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from photochanger.db.facade import Db
from photochanger.errors import DatabaseUnavailable

CHANNEL: Final = "photochanger_settings"
"""On which triggers announce that slots or settings have changed; what has, everybody reads for himself."""
REFRESH: Final = 30.0
"""Seconds after which the rows are read again even when nothing was announced: announcements may get lost."""


async def follow(db: Db, refresh: Callable[[], Awaitable[None]], task_status: trio.TaskStatus[None]) -> None:
    """Call `refresh` once, say "started", then on every announcement and every half minute, until cancelled.

    `refresh` raises DatabaseUnavailable when it could not read, and leaves everything as it was; the first time that
    is raised on.
    """
    await refresh()
    task_status.started()
    while True:
        try:
            async with db.listen(CHANNEL) as announcements:
                await refresh()
                while True:
                    with trio.move_on_after(REFRESH):
                        await announcements.receive()
                    await refresh()
        except (DatabaseUnavailable, trio.EndOfChannel):
            await trio.sleep(1.0)
