"""Rows that PostgreSQL could not take yet, one durable file each, in the order in which they were written."""

import itertools
import logging
import os
import time
from pathlib import Path

import trio

from photochanger.errors import StorageUnavailable
from photochanger.media.entries import REJECTED, SUFFIX, waiting
from photochanger.media.files import sync_folder

log = logging.getLogger(__name__)

PART_AGE = 60.0
"""Seconds after which nobody is writing a half written entry any more: a disk write takes no minute."""
_PART = ".part"


class Journal:
    """A folder of entries. An entry exists only under its final name, so a crash leaves whole ones or none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counter = itertools.count()
        self._arrived = trio.Event()
        self.depth = 0
        """How many entries wait, as far as this process knows."""

    async def open(self) -> None:
        """Remove what a crash left half written long ago: it was never told to be durable. Raises nothing."""
        try:
            await trio.to_thread.run_sync(_remove_parts, self._folder)
        except OSError as error:
            log.error("half written journal entries cannot be removed: %s", error.strerror)

    async def append(self, data: bytes) -> None:
        """Write one entry and make it durable. Raises StorageUnavailable; then nothing is left behind."""
        # Names sort by time of writing; the counter separates entries of one clock tick.
        name = f"{time.time_ns():020d}-{next(self._counter):06d}{SUFFIX}"
        try:
            # Not abandoned on cancellation: the file is either whole or not there when this returns.
            await trio.to_thread.run_sync(_write_durably, self._folder / name, data)
        except OSError as error:
            raise StorageUnavailable(f"the journal cannot be written: {error.strerror}") from error
        self.depth += 1
        self._arrived.set()

    @property
    def has_news(self) -> bool:
        """Something was appended since `entries` was last called."""
        return self._arrived.is_set()

    async def entries(self) -> list[Path]:
        """All entries, oldest first."""
        self._arrived = trio.Event()
        found = await trio.to_thread.run_sync(waiting, self._folder)
        if not self.has_news:
            self.depth = len(found)
        return found

    async def wait_for_entries(self) -> None:
        """Return when something was appended since `entries` was last called, or was left from before."""
        if not await trio.to_thread.run_sync(waiting, self._folder):
            await self._arrived.wait()

    async def read(self, entry: Path) -> bytes:
        """The bytes of one entry."""
        return await trio.to_thread.run_sync(entry.read_bytes)

    async def remove(self, entry: Path) -> None:
        """Forget an entry that was written to PostgreSQL."""
        await trio.to_thread.run_sync(lambda: entry.unlink(missing_ok=True))
        self.depth -= 1

    async def reject(self, entry: Path) -> None:
        """Put an entry aside that can never be written, for a person to look at."""
        await trio.to_thread.run_sync(_put_aside, entry)
        self.depth -= 1


def _remove_parts(folder: Path) -> None:
    for part in folder.glob(f"*{_PART}"):
        if time.time() - part.stat().st_mtime >= PART_AGE:
            part.unlink(missing_ok=True)


def _write_durably(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temp = path.with_suffix(_PART)
    try:
        with temp.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temp.rename(path)
        sync_folder(path.parent)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise


def _put_aside(entry: Path) -> None:
    rejected = entry.parent / REJECTED
    rejected.mkdir(mode=0o700, exist_ok=True)
    entry.rename(rejected / entry.name)
