"""The caretaker: every minute it removes what has expired, every hour what nobody knows any more."""

import logging
import math
from collections.abc import Callable
from typing import Final

import trio

from photochanger.errors import DatabaseUnavailable, StorageUnavailable
from photochanger.media.retention import Retention

log = logging.getLogger(__name__)

EVERY: Final = 60.0
"""Seconds between two rounds."""
ORPHANS_EVERY: Final = 3600.0
"""Seconds between two looks at all files."""


class Caretaker:
    """`enabled` is asked before each round: an administrator may want to keep everything for a while."""

    def __init__(self, retention: Retention, *, enabled: Callable[[], bool]) -> None:
        self._retention = retention
        self.enabled = enabled

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Round after round. A child of the tree; what cannot be done now is done in a later round."""
        task_status.started()
        looked = -math.inf
        while True:
            if self.enabled():
                try:
                    swept = await self._retention.sweep()
                    if trio.current_time() - looked >= ORPHANS_EVERY:
                        looked = trio.current_time()  # also where it fails: trouble with a disk stays for a while
                        swept += await self._retention.sweep_orphans()
                    if swept.removed_files:
                        log.info("%d files were removed, %d bytes", swept.removed_files, swept.freed_bytes)
                except (DatabaseUnavailable, StorageUnavailable) as error:
                    log.warning("cleaning up has to wait: %s", error)
            await trio.sleep(EVERY)
