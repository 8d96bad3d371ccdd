"""Gemini's Files API: pictures too large to travel inside the request are put there, referred to, and deleted again.

Storing costs nothing, and files that nobody deletes die after 48 hours. From Google's SDK and its sample scripts.
"""

import logging
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec
import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.errors import StorageUnavailable
from photochanger.providers.base import PreparedPhoto
from photochanger.providers.gemini.outcomes import from_error
from photochanger.providers.gemini.reading import RawBody, bytes_of
from photochanger.providers.gemini.remote import RemoteFile, decode_file
from photochanger.providers.gemini.request import FileReference
from photochanger.providers.gemini.wire import BadAnswer, decode_error
from photochanger.providers.http import Exchange, Outbound, ReplyTooLarge, RequestBody, SmallBody, TransportFailed

log = logging.getLogger(__name__)

CLEANUP: Final = 2.0
"""Seconds in which the files of one call are deleted, also after it was cancelled; then they are left to die."""

RESENDS: Final = 3
RESEND_WAIT: Final = 1.0
"""An upload whose answer does not say how it went is sent again, as Google's SDK does: so often, after so many seconds,
twice as many each time."""

POLL: Final = 0.5
"""Seconds between two looks at a file that is being processed. Pictures are ready at once, as a rule."""

REPLY_LIMIT: Final = 64 * 1024
ADDRESS_LIMIT: Final = 4096

_NAME = re.compile(r"files/[a-z0-9-]{1,40}")


class NotUploaded(Exception):
    """A picture could not be put at Gemini's. `outcome` is that of the attempt; nothing of it was billed."""

    def __init__(self, outcome: AttemptOutcome) -> None:
        super().__init__(outcome.verdict.value)
        self.outcome = outcome


class Files:
    """Uploads over `outbound` to `base`. `headers` carry the key, and go to `base` only."""

    def __init__(
        self, outbound: Outbound, base: SplitResult, headers: Mapping[str, str], limiter: trio.CapacityLimiter
    ) -> None:
        self._outbound = outbound
        self._base = base
        self._headers = headers
        self._limiter = limiter

    @asynccontextmanager
    async def lent(self, photos: Sequence[PreparedPhoto]) -> AsyncIterator[list[FileReference]]:
        """References to `photos`, good inside the block. Raises NotUploaded.

        However the block ends, the files are deleted: shielded, within CLEANUP seconds, a failure is only logged. They
        get names of ours, so that one can be deleted whose upload was broken off before it was answered.
        """
        begun: dict[str, bool] = {}
        try:
            yield [await self._upload(photo, begun) for photo in photos]
        finally:
            await self._delete(begun)

    async def _upload(self, photo: PreparedPhoto, begun: dict[str, bool]) -> FileReference:
        """`begun` gets the file's name before its first byte leaves, and True once it is known to be there."""
        try:
            name = f"files/{secrets.token_hex(16)}"
            address = await self._start(photo, name)
            begun[name] = False
            file = await self._finish(photo, address)
            if not _NAME.fullmatch(file.name):
                raise BadAnswer("the uploaded file has no proper name")
            del begun[name]
            begun[file.name] = True
            file = await self._active(file)
        except TransportFailed as error:
            raise NotUploaded(AttemptOutcome(Verdict.TRANSPORT, message=str(error))) from None
        except StorageUnavailable as error:
            raise NotUploaded(AttemptOutcome(Verdict.STORAGE, message=str(error))) from None
        except (BadAnswer, ReplyTooLarge) as error:
            raise NotUploaded(AttemptOutcome(Verdict.BAD_ANSWER, http_status=200, message=str(error))) from None
        return FileReference(file.uri, photo.mime)

    async def _start(self, photo: PreparedPhoto, name: str) -> str:
        """Announce the file; the address that takes its bytes."""
        headers = {
            "Content-Type": "application/json",
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(bytes_of(photo)),
            "X-Goog-Upload-Header-Content-Type": photo.mime,
            **self._headers,
        }
        body = SmallBody(msgspec.json.encode({"file": {"name": name}}))
        exchange = await self._run("POST", f"{self._base.geturl()}/upload/v1beta/files", headers, body)
        return self._own(exchange.headers.get("x-goog-upload-url", ""))

    def _own(self, address: str) -> str:
        """`address` when it leads to the host we were told to talk to; photos go nowhere else. Raises BadAnswer."""
        try:
            parts = urlsplit(address)
            own = _origin(parts) == _origin(self._base) and parts.username is None and parts.password is None
        except ValueError:
            own = False
        if not own or len(address) > ADDRESS_LIMIT or not re.fullmatch(r"[!-~]+", address):
            raise BadAnswer("the address for the upload is missing, or not on the provider's own host")
        return parts._replace(fragment="").geturl()

    async def _finish(self, photo: PreparedPhoto, address: str) -> RemoteFile:
        """All bytes in one request. The address is the permission, so it gets no key."""
        headers = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"}
        wait = RESEND_WAIT
        for left in reversed(range(RESENDS + 1)):
            with RawBody(photo, self._limiter) as body:
                exchange = await self._run("POST", address, headers, body)
            status = exchange.headers.get("x-goog-upload-status", "").lower()
            if status == "final":
                return decode_file(exchange.body, wrapped=True)
            if status or not left:
                break
            await trio.sleep(wait)
            wait *= 2
        raise BadAnswer(f"the upload ended as {status[:40]!r}")

    async def _active(self, file: RemoteFile) -> RemoteFile:
        """The file once it may be used; bounded by the caller's deadline."""
        while file.state not in (None, "ACTIVE"):
            if file.state == "FAILED":
                message = "Gemini could not process an uploaded picture"
                raise NotUploaded(
                    AttemptOutcome(Verdict.REJECTED, http_status=200, error_code="FILE_FAILED", message=message)
                )
            await trio.sleep(POLL)
            exchange = await self._run("GET", self._address(file.name), self._headers, SmallBody(b""))
            state = decode_file(exchange.body, wrapped=False).state
            file = RemoteFile(file.name, file.uri, state)
        return file

    def _address(self, name: str) -> str:
        return f"{self._base.geturl()}/v1beta/{name}"

    async def _run(self, method: str, url: str, headers: Mapping[str, str], body: RequestBody) -> Exchange:
        """One exchange, ended with a 200. Raises NotUploaded for other statuses, and what `Outbound.run` raises."""
        exchange = Exchange(method, url, headers, body)
        try:
            await self._outbound.run(exchange, cap=REPLY_LIMIT)
        except TransportFailed:
            if exchange.status in (None, 200):
                raise
        if exchange.status != 200:
            header = exchange.headers.get("retry-after")
            raise NotUploaded(from_error(exchange.status or 0, decode_error(exchange.body), header))
        return exchange

    async def _delete(self, begun: Mapping[str, bool]) -> None:
        if not begun:
            return
        gone: set[str] = set()
        with trio.move_on_after(CLEANUP, shield=True):
            async with trio.open_nursery() as nursery:
                for name, whole in begun.items():
                    nursery.start_soon(self._delete_one, name, whole, gone)
        for name in begun:
            if name not in gone:
                log.warning("%s could not be deleted at Gemini's; it dies by itself after 48 hours", name)

    async def _delete_one(self, name: str, whole: bool, gone: set[str]) -> None:
        exchange = Exchange("DELETE", self._address(name), self._headers, SmallBody(b""))
        with suppress(TransportFailed, ReplyTooLarge):
            await self._outbound.run(exchange, cap=REPLY_LIMIT)
        # A file that is not there is answered with 403; so is an upload that was broken off before its end.
        if exchange.status == 200 or (not whole and exchange.status in (403, 404)):
            gone.add(name)


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
