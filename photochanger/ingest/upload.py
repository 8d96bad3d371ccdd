"""Receiving a photo: the body streams through the form parser into the spool file, in batches, off the loop."""

import hashlib
from collections.abc import AsyncIterable, Awaitable, Callable
from pathlib import Path

import trio

from photochanger.domain.reasons import Reason
from photochanger.errors import PictureError, Refusal
from photochanger.ingest.form import MAX_FIELDS_BYTES, Form, kept_fields
from photochanger.jobs.upload import Upload
from photochanger.media.files import make_private
from photochanger.media.probe import probe
from photochanger.media.spool import SpoolFile

BATCH = 512 * 1024
"""Bytes parsed, hashed and written in one go. Smaller costs thread hops, larger costs memory per photo."""
FORM_OVERHEAD = MAX_FIELDS_BYTES + 128 * 1024
"""What a form may weigh beyond its photo: fields and part headers."""


class Reception:
    """One photo on its way into `folder`. All methods but `close` block: one worker thread at a time.

    Every thread hop of a photo is paid for on the event loop, so opening the file rides with the first batch and
    the look at the picture with the last one. Of a `signed` request the raw body is hashed too, which costs as much
    again as the photo's own hash.
    """

    def __init__(
        self, content_type: str, folder: Path, *, max_photo: int, max_pixels: int, signed: bool = False
    ) -> None:
        self.signed = signed
        self._folder = folder
        self._max_pixels = max_pixels
        self._body = hashlib.sha256()
        self._spool: SpoolFile | None = None
        self._form = Form(content_type, self, max_photo=max_photo)

    @property
    def password(self) -> str | None:
        """The password, once its field has come whole."""
        return self._form.password

    @property
    def fields(self) -> dict[str, str]:
        """The form's fields that have come so far, whole."""
        return self._form.fields

    @property
    def body_sha256(self) -> bytes:
        """The hash of the raw body so far. Only of a `signed` one."""
        assert self.signed
        return self._body.digest()

    @property
    def size(self) -> int:
        """Bytes of the photo so far."""
        return self._spool.size if self._spool else 0

    def write(self, data: memoryview) -> None:
        """The form's sink: the photo's next bytes. Raises StorageUnavailable."""
        if self._spool is None:
            make_private(self._folder)
            self._spool = SpoolFile(self._folder / "payload")
        self._spool.write(data)

    def feed(self, batch: list[bytes]) -> None:
        """Parse the next bytes. Raises Refusal, StorageUnavailable."""
        data = b"".join(batch)
        if self.signed:
            self._body.update(data)
        self._form.write(data)

    def end(self, batch: list[bytes]) -> None:
        """Parse the last bytes and check that the form is whole. Raises Refusal, StorageUnavailable."""
        self.feed(batch)
        self._form.finish()

    def look(self) -> Upload:
        """Look at the picture, which has come whole. Raises Refusal, saying what is wrong with it."""
        if self._spool is None:
            raise Refusal(Reason.UNDECODABLE_IMAGE, "The photo is empty.")
        self._spool.close()
        try:
            found = probe(self._spool.path, max_pixels=self._max_pixels)
        except PictureError as error:
            raise Refusal(error.reason, error.detail) from error
        return Upload(
            path=self._spool.path,
            folder=self._folder,
            size=self._spool.size,
            sha256=bytes.fromhex(self._spool.sha256),
            name=self._form.photo_name,
            fields=kept_fields(self._form.fields),
            probe=found,
        )

    def end_and_look(self, batch: list[bytes]) -> Upload:
        """Both, in one go."""
        self.end(batch)
        return self.look()

    def close(self) -> None:
        """Close the file, however far it came. The folder is removed by whoever owns it."""
        if self._spool is not None:
            self._spool.close()


async def receive(
    body: AsyncIterable[bytes],
    reception: Reception,
    *,
    deadline: float,
    threads: trio.CapacityLimiter,
    authorize: Callable[[str | None], Awaitable[None]],
) -> Upload:
    """Receive the whole of `body`.

    `authorize` is given the password as soon as it has come, so that a wrong one is refused while most of the
    photo is still on its way; without one it is asked about None, before anyone looks at the picture. Of a signed
    request it is asked once the body has come whole, when `body_sha256` is the hash of all of it.
    Raises Refusal; `upload_timeout` when `deadline` (of Trio's clock) passes.
    """
    batch: list[bytes] = []
    size = 0
    authorized = False
    with trio.move_on_at(deadline):
        async for chunk in body:
            batch.append(chunk)
            size += len(chunk)
            if size >= BATCH:
                taken, batch, size = batch, [], 0
                await trio.to_thread.run_sync(reception.feed, taken, limiter=threads)
                if not authorized and not reception.signed and reception.password is not None:
                    await authorize(reception.password)
                    authorized = True
        if authorized:
            return await trio.to_thread.run_sync(reception.end_and_look, batch, limiter=threads)
        await trio.to_thread.run_sync(reception.end, batch, limiter=threads)
        await authorize(reception.password)
        return await trio.to_thread.run_sync(reception.look, limiter=threads)
    raise Refusal(Reason.UPLOAD_TIMEOUT)
