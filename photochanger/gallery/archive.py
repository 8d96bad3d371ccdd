"""Results as one ZIP, made while it is sent: however large it becomes, a piece of one picture is in memory.

Pictures are stored as they are, since they would not get smaller. Each piece is one hop to a thread, so the socket's
pace is ours, and a client that goes leaves nothing behind but what `__aexit__` closes.
"""

import re
import zipfile
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import IO, Any, BinaryIO, Final
from uuid import UUID

import trio
from quart.wrappers.response import ResponseBody

from photochanger.db.facade import Db
from photochanger.jobs.workshop import utc_now
from photochanger.media.store import MediaStore

CHUNK: Final = 512 * 1024
"""Bytes per piece."""
PAGE: Final = 200
"""Rows that are read at once."""
MOST: Final = 20_000
"""Pictures in one archive: its table of contents is in memory until the end."""
MISSING: Final = "missing.txt"

# What had expired when the archive was begun is not asked for; what expires or vanishes after that is told as missing.
_WANTED: Final = """
SELECT job.id AS job_id, job.slot_id, job.created_at AS taken_at, result.path, result.mime, result.bytes,
       result.expires_at
FROM job JOIN result ON result.job_id = job.id
WHERE job.source = 'ingest' AND job.created_at >= greatest($1, now() - interval '8 days') AND job.created_at < $2
      AND result.expires_at > $3 AND result.rejected_at IS NULL AND (job.created_at, job.id) > ($4, $5)
"""
_OF_SLOT: Final = " AND job.slot_id = $6"
_NEXT: Final = f" ORDER BY job.created_at, job.id LIMIT {PAGE}"
_SOME: Final = f" LIMIT {MOST + 1}"
_COUNT: Final = "SELECT count(*) FROM ({}) AS found"

_readers = trio.CapacityLimiter(2)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which results: of photos taken from `start` until before `end`, of one slot or of all, not expired `at`."""

    start: datetime
    end: datetime
    at: datetime
    slot_id: str | None = None

    @property
    def first(self) -> tuple[datetime, UUID]:
        """Behind which the first of them is."""
        return self.start, UUID(int=0)

    @property
    def statement(self) -> str:
        """That asks for them."""
        return _WANTED if self.slot_id is None else _WANTED + _OF_SLOT

    def args(self, after: tuple[datetime, UUID]) -> tuple[Any, ...]:
        """For the statement, which then begins behind `after`."""
        return (self.start, self.end, self.at, *after) + (() if self.slot_id is None else (self.slot_id,))


async def count(db: Db, wanted: Wanted) -> int:
    """How many results that is; MOST + 1 for more than MOST. Raises DatabaseUnavailable."""
    found: int = await db.fetchval(_COUNT.format(wanted.statement + _SOME), *wanted.args(wanted.first))
    return found


class ArchiveBody(ResponseBody):
    """The ZIP of `wanted` as a response's body. A database or a disk that fails on the way cuts the connection."""

    def __init__(self, db: Db, media: MediaStore, wanted: Wanted) -> None:
        self._db = db
        self._media = media
        self._wanted = wanted
        self._after = wanted.first
        self._rows: deque[Any] = deque()
        self._has_more = True
        self._out = _Sink()
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._missing: list[str] = []
        self._source: BinaryIO | None = None
        self._entry: IO[bytes] | None = None
        self._ended = False

    async def __aenter__(self) -> AsyncIterable[bytes]:
        return self

    async def __aexit__(self, exc_type: type[BaseException], exc_value: BaseException, tb: TracebackType) -> None:
        with trio.CancelScope(shield=True):  # a moment's work in memory, in a thread for its table of contents
            await trio.to_thread.run_sync(self._close, limiter=_readers)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            if not self._rows and self._has_more:
                await self._read_page()
            # A thread once started is waited for, so no file gets lost to a cancellation.
            piece = await trio.to_thread.run_sync(self._go_on, limiter=_readers)
            if piece:
                return piece
        raise StopAsyncIteration

    async def _read_page(self) -> None:
        rows = await self._db.fetch(self._wanted.statement + _NEXT, *self._wanted.args(self._after))
        self._rows.extend(rows)
        self._has_more = len(rows) == PAGE
        if rows:
            self._after = (rows[-1]["taken_at"], rows[-1]["job_id"])

    # --- in a thread from here on ---

    def _go_on(self) -> bytes:
        """Until there is a piece to send, the rows are used up, or all is written."""
        while self._out.waiting < CHUNK:
            if self._source is not None:
                self._copy()
            elif self._rows:
                self._begin(self._rows.popleft())
            elif self._has_more:
                break
            else:
                self._end()
                break
        return self._out.take()

    def _begin(self, row: Any) -> None:
        name = entry_name(row)
        if row["expires_at"] <= utc_now():
            self._missing.append(name)
            return
        try:
            self._source = self._media.locate(row["path"]).open("rb", buffering=0)
        except FileNotFoundError:
            self._missing.append(name)
            return
        info = zipfile.ZipInfo(name, row["taken_at"].timetuple()[:6])
        info.file_size = row["bytes"]
        info.external_attr = 0o644 << 16
        self._entry = self._zip.open(info, "w")

    def _copy(self) -> None:
        assert self._source is not None
        assert self._entry is not None
        piece = self._source.read(CHUNK)
        if piece:
            self._entry.write(piece)
            return
        self._source.close()
        self._entry.close()
        self._source = self._entry = None

    def _end(self) -> None:
        if self._missing:
            lines = ["These pictures expired or were removed while this archive was made:", *self._missing, ""]
            self._zip.writestr(MISSING, "\r\n".join(lines))
        self._zip.close()
        self._ended = True

    def _close(self) -> None:
        """Also half way: what is still written goes nowhere."""
        try:
            if self._entry is not None:
                self._entry.close()
            self._zip.close()
        finally:
            if self._source is not None:
                self._source.close()


class _Sink:
    """What the archive is written into: a pipe that cannot be rewound, emptied piece by piece."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._taken = 0

    @property
    def waiting(self) -> int:
        """Bytes to be taken. No `__len__`: zipfile takes an empty file for a closed one."""
        return len(self._data)

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def tell(self) -> int:
        return self._taken + len(self._data)

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        piece = bytes(self._data)
        self._taken += len(piece)
        self._data.clear()
        return piece


def entry_name(row: Any) -> str:
    """A picture's name in the archive: its slot as a folder, its moment (UTC), and a part of its id."""
    extension = "png" if row["mime"] == "image/png" else "jpg"
    folder = re.sub(r"[^A-Za-z0-9_-]", "_", row["slot_id"])
    return f"{folder}/{row['taken_at']:%Y-%m-%d_%H-%M-%S}_{str(row['job_id'])[:8]}.{extension}"


def archive_name(slots: Sequence[str], start: datetime) -> str:
    """What the archive is called."""
    return "_".join(["photochanger", *slots, f"{start:%Y-%m-%d}"]) + ".zip"
