"""The photo as it travels: untouched where that is good enough, converted once where a provider needs it."""

from pathlib import Path
from typing import Any

import pytest
import trio

from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Refusal
from photochanger.jobs.photo import Photo
from photochanger.jobs.workshop import Workshop
from photochanger.media.probe import probe
from photochanger.media.threads import PictureThreads, Priority
from photochanger.providers.base import PreparedPhoto
from photochanger.providers.group import ProviderGroup
from tests.jobs.workbench import SaidDriver, damaged, drawing, upload_in, workshop_in
from tests.lab import pictures

ALL = ("image/jpeg", "image/png", "image/webp")
JPEG_PNG = ("image/jpeg", "image/png")


class Counting(PictureThreads):
    """Counts how often pixels are worked on."""

    times = 0

    async def run(self, priority: Priority, *work: Any) -> Any:
        self.times += 1
        return await super().run(priority, *work)


@pytest.fixture
def threads() -> Counting:
    return Counting(2)


@pytest.fixture
def workshop(tmp_path: Path, threads: Counting) -> Workshop:
    return workshop_in(tmp_path, pictures=threads)


def taking(*accepts: str) -> ProviderGroup:
    return ProviderGroup(SaidDriver(drawing(b""), accepts=accepts), live=1, late=0)


def a_photo(workshop: Workshop, data: bytes, **slot: Any) -> Photo:
    it = Slot("slot-001", 1, "said", "edit", **slot)
    return Photo(workshop, upload_in(workshop, data, it), it)


def sent(photo: PreparedPhoto) -> bytes:
    whole = photo.path.read_bytes()
    parts = (part if isinstance(part, bytes) else whole[part.offset :][: part.length] for part in photo.parts)
    data = b"".join(parts)
    assert len(data) == photo.size
    return data


async def test_most_photos_travel_as_they_came(workshop: Workshop, threads: Counting) -> None:
    data = pictures.with_all_metadata(pictures.photo(300, 200))
    photo = a_photo(workshop, data)
    await photo.prepare()
    ready = await photo.for_group(taking(*JPEG_PNG))
    assert (ready.mime, ready.width, ready.height, threads.times) == ("image/jpeg", 300, 200, 0)
    assert pictures.GPS_MARK in data
    assert pictures.GPS_MARK not in sent(ready)


async def test_what_a_provider_does_not_take_is_converted_for_it_once(
    workshop: Workshop, threads: Counting, tmp_path: Path
) -> None:
    photo = a_photo(workshop, pictures.webp(300, 200))
    await photo.prepare()
    picky, easy = taking(*JPEG_PNG), taking(*ALL)
    assert (await photo.for_group(easy)).mime == "image/webp"
    assert threads.times == 0
    got: list[PreparedPhoto] = []

    async def ask(group: ProviderGroup) -> None:
        got.append(await photo.for_group(group))

    async with trio.open_nursery() as nursery:
        for _ in range(5):  # a second call comes while the first one still converts
            nursery.start_soon(ask, picky)
    nobody_else = taking(*JPEG_PNG)
    assert {id(ready) for ready in [*got, await photo.for_group(nobody_else)]} == {id(got[0])}
    assert (got[0].mime, got[0].width, got[0].height, threads.times) == ("image/jpeg", 300, 200, 1)
    (tmp_path / "sent").write_bytes(sent(got[0]))
    assert probe(tmp_path / "sent").mime == "image/jpeg"
    assert (await photo.for_group(easy)).mime == "image/webp"


async def test_what_is_turned_and_too_large_is_worked_on_once_for_all(workshop: Workshop, threads: Counting) -> None:
    photo = a_photo(workshop, pictures.turned(6, 600, 400), longest_side=300)
    await photo.prepare()
    await photo.prepare()
    assert threads.times == 1
    for group in (taking(*ALL), taking("image/jpeg")):
        ready = await photo.for_group(group)
        assert (ready.mime, ready.width, ready.height) == ("image/jpeg", 300, 200)
    assert threads.times == 1


async def test_two_conversions_of_one_photo_are_two_files(workshop: Workshop, threads: Counting) -> None:
    photo = a_photo(workshop, pictures.webp(600, 400))
    jpeg = await photo.for_group(taking("image/jpeg"))
    both = await photo.for_group(taking(*JPEG_PNG))
    assert jpeg.path != both.path
    assert threads.times == 2


async def test_damage_is_the_guests_to_know(workshop: Workshop) -> None:
    photo = a_photo(workshop, damaged(pictures.png_alpha()))
    with pytest.raises(Refusal) as refused:
        await photo.prepare()
    assert refused.value.reason is Reason.UNDECODABLE_IMAGE
