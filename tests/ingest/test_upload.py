"""Receiving: the raw body's hash, and when it is asked who sent it."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.ingest.upload import BATCH, Reception, receive
from photochanger.jobs.upload import Upload
from tests.ingest.test_form import CONTENT_TYPE, END, field, photo
from tests.lab import pictures

PHOTO = pictures.photo(1600, 1200, 2_000_000)
BODY = field(b"password", b"right") + photo(PHOTO) + field(b"time", b"1") + END + b"and an epilogue"


async def pieces(body: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


class Asked:
    """Notes what `authorize` was asked, and how much of the photo had come by then."""

    def __init__(self, folder: Path, *, signed: bool) -> None:
        self.reception = Reception(CONTENT_TYPE, folder, max_photo=10_000_000, max_pixels=10**8, signed=signed)
        self.calls: list[tuple[str | None, int]] = []
        self.sha256 = b""

    async def receive(self, body: bytes = BODY) -> Upload:
        try:
            return await receive(
                pieces(body),
                self.reception,
                deadline=trio.current_time() + 60,
                threads=trio.CapacityLimiter(1),
                authorize=self.authorize,
            )
        finally:
            self.reception.close()

    async def authorize(self, password: str | None) -> None:
        self.calls.append((password, self.reception.size))
        if self.reception.signed:
            self.sha256 = self.reception.body_sha256


async def test_a_password_is_asked_about_as_soon_as_it_has_come(tmp_path: Path) -> None:
    asked = Asked(tmp_path / "job", signed=False)
    upload = await asked.receive()
    [(password, size)] = asked.calls
    assert password == "right"
    assert size < BATCH * 2 < upload.size == len(PHOTO)


async def test_a_signed_body_is_asked_about_once_and_whole(tmp_path: Path) -> None:
    asked = Asked(tmp_path / "job", signed=True)
    upload = await asked.receive()
    assert asked.calls == [("right", len(PHOTO))]
    assert asked.sha256 == hashlib.sha256(BODY).digest()
    assert upload.sha256 == hashlib.sha256(PHOTO).digest()


async def test_whoever_is_refused_at_the_end_has_had_no_picture_looked_at(tmp_path: Path) -> None:
    asked = Asked(tmp_path / "job", signed=True)

    async def refuse(password: str | None) -> None:
        raise Refusal(Reason.INVALID_CREDENTIALS)

    asked.authorize = refuse  # type: ignore[method-assign]
    with pytest.raises(Refusal) as caught:
        await asked.receive(photo(b"this is no picture") + END)
    assert caught.value.reason is Reason.INVALID_CREDENTIALS
