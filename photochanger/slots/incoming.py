"""A template on its way in: the form streams into a temp file, off the loop, as a booth's photo does."""

from collections.abc import AsyncIterable
from pathlib import Path
from typing import Final

import trio

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.media.files import make_private
from photochanger.media.spool import SpoolFile
from photochanger.slots.templates import LARGEST_FILE
from photochanger.web.form import MAX_FIELDS_BYTES, FileForm

FILE_FIELD: Final = "file"
NAME_FIELD: Final = "name"
PATIENCE: Final = 60.0
"""Seconds in which a template has to come whole."""
LARGEST_BODY: Final = LARGEST_FILE + MAX_FIELDS_BYTES + 128 * 1024

_BATCH: Final = 512 * 1024
"""Bytes parsed and written in one go."""

_threads = trio.CapacityLimiter(2)


class Incoming:
    """One picture and its name on their way into `folder`. All methods but `close` block: one thread at a time."""

    def __init__(self, content_type: str, folder: Path) -> None:
        self._folder = folder
        self._spool: SpoolFile | None = None
        self._form = FileForm(
            content_type, self, file_field=FILE_FIELD, largest=LARGEST_FILE, thing="template", taker="This house"
        )

    @property
    def size(self) -> int:
        """Bytes of the picture so far."""
        return self._spool.size if self._spool else 0

    @property
    def name(self) -> str:
        """What people call it: the name that was given, or else the file's own."""
        return self._form.fields.get(NAME_FIELD, "").strip() or self._form.file_name or ""

    def write(self, data: memoryview) -> None:
        """The form's sink: the picture's next bytes. Raises StorageUnavailable."""
        if self._spool is None:
            make_private(self._folder)
            self._spool = SpoolFile(self._folder / "upload")
        self._spool.write(data)

    def feed(self, batch: list[bytes]) -> None:
        """Parse the next bytes. Raises Refusal, StorageUnavailable."""
        self._form.write(b"".join(batch))

    def end(self, batch: list[bytes]) -> Path:
        """Parse the last bytes; where the picture lies, which has come whole. Raises Refusal, StorageUnavailable."""
        self.feed(batch)
        self._form.finish()
        if self._spool is None:
            raise Refusal(Reason.UNDECODABLE_IMAGE, "The file is empty.")
        self._spool.close()
        return self._spool.path

    def close(self) -> None:
        """Close the file, however far it came. The folder is removed by whoever owns it."""
        if self._spool is not None:
            self._spool.close()


async def receive(body: AsyncIterable[bytes], incoming: Incoming) -> Path:
    """Receive the whole of `body`; where the picture lies. Raises Refusal (also `upload_timeout`)."""
    batch: list[bytes] = []
    size = 0
    try:
        with trio.move_on_after(PATIENCE):
            async for chunk in body:
                batch.append(chunk)
                size += len(chunk)
                if size >= _BATCH:
                    taken, batch, size = batch, [], 0
                    await trio.to_thread.run_sync(incoming.feed, taken, limiter=_threads)
            return await trio.to_thread.run_sync(incoming.end, batch, limiter=_threads)
        raise Refusal(Reason.UPLOAD_TIMEOUT)
    finally:
        incoming.close()
