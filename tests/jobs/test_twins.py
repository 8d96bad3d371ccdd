"""Repeats of a photo within one process: one job, one charge, and a new try where there was no picture."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import trio
import trio.testing

from photochanger.db.facade import Db
from photochanger.domain.job import ReplyKind
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import Refusal
from photochanger.jobs import twins as twins_module
from photochanger.jobs.job import Job
from photochanger.jobs.reply import PictureReply
from photochanger.jobs.twins import KEY_LIFE, Done, Twins, checked_key
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Workshop
from photochanger.media.filesystem import FilesystemStore
from photochanger.providers.group import ProviderGroup
from tests.jobs.workbench import SaidDriver, drawing, upload_in, workshop_in
from tests.lab import pictures

SLOT = Slot("slot-001", 3, "said", "edit", dedupe_seconds=60)
SHA = b"\x01" * 32
OTHER = b"\x02" * 32
PICTURE = PictureReply(ReplyKind.AI, Path("a.jpg"), "image/jpeg", 1, 2, 3)

Clock = trio.testing.MockClock


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return workshop_in(tmp_path, ProviderGroup(SaidDriver(drawing(b"")), live=1, late=0))


@pytest.fixture
def upload(workshop: Workshop) -> Upload:
    return upload_in(workshop, pictures.photo(64, 48), SLOT, sha256=SHA)


@pytest.fixture
def make(workshop: Workshop, upload: Upload) -> Callable[..., Job]:
    def make(slot: Slot = SLOT, sha256: bytes = SHA) -> Job:
        window = Window.of(trio.current_time(), 48.0)
        return Job(workshop, uuid4(), slot, replace(upload, sha256=sha256), window)

    return make


def some_twins(tmp_path: Path) -> Twins:
    """What only this process knows is asked of nobody else."""
    return Twins(cast(Db, None), FilesystemStore(tmp_path / "media"))


async def test_of_twenty_equal_photos_at_one_instant_one_becomes_a_job(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock
) -> None:
    twins, made, joined = some_twins(tmp_path), list[Job](), list[object]()

    async def booth() -> None:
        await trio.lowlevel.checkpoint()
        twin = twins.find(SLOT, SHA, None)
        if twin is None:
            made.append(make())
            twins.remember(made[-1], None)
        else:
            joined.append(twin)

    async with trio.open_nursery() as booths:
        for _ in range(20):
            booths.start_soon(booth)
    assert len(made) == 1
    assert joined == made * 19


@pytest.mark.parametrize(
    "other",
    [(replace(SLOT, id="slot-002"), SHA), (replace(SLOT, version=4), SHA), (SLOT, OTHER)],
    ids=["slot", "settings", "photo"],
)
async def test_another_slot_version_or_photo_is_no_repeat(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock, other: tuple[Slot, bytes]
) -> None:
    twins = some_twins(tmp_path)
    twins.remember(make(), None)
    assert twins.find(*other, None) is None


async def test_a_key_means_the_photo_that_it_came_with(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock
) -> None:
    twins, job = some_twins(tmp_path), make()
    twins.remember(job, "key-1")
    assert twins.find(SLOT, SHA, "key-1") is job
    assert twins.find(SLOT, SHA, "key-2") is job
    assert twins.find(SLOT, OTHER, "key-3") is None
    with pytest.raises(Refusal) as conflict:
        twins.find(SLOT, OTHER, "key-1")
    assert conflict.value.reason is Reason.IDEMPOTENCY_CONFLICT
    assert twins.find(replace(SLOT, id="slot-002"), OTHER, "key-1") is None  # that slot's own
    assert twins.find(replace(SLOT, version=4), SHA, "key-1") is job  # the request, whatever the settings became


async def test_without_dedupe_only_the_key_joins(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock
) -> None:
    twins, slot = some_twins(tmp_path), replace(SLOT, dedupe_seconds=0)
    job = make(slot)
    twins.remember(job, "key-1")
    assert twins.find(slot, SHA, None) is None
    assert twins.find(slot, SHA, "key-2") is None
    assert twins.find(slot, SHA, "key-1") is job


async def test_what_a_job_came_to_is_remembered_for_a_while(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock
) -> None:
    twins, job = some_twins(tmp_path), make()
    twins.remember(job, "key-1")
    await trio.sleep(300)  # a long job is as young as its answer
    job.on_settled(PICTURE)
    done = Done(job.id, PICTURE)
    assert twins.find(SLOT, SHA, None) == done
    await trio.sleep(SLOT.dedupe_seconds - 1)
    assert twins.find(SLOT, SHA, None) == done
    await trio.sleep(1)
    assert twins.find(SLOT, SHA, None) is None
    assert twins.find(SLOT, SHA, "key-1") == done
    await trio.sleep(KEY_LIFE)
    assert twins.find(SLOT, SHA, "key-1") is None
    assert twins.find(SLOT, OTHER, "key-1") is None


@pytest.mark.parametrize("came_to", [None, replace(PICTURE, data=b"only in memory")], ids=["nothing", "no file"])
async def test_who_got_no_picture_gets_another_try(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock, came_to: PictureReply | None
) -> None:
    twins, job = some_twins(tmp_path), make()
    twins.remember(job, "key-1")
    job.on_settled(came_to)
    assert twins.find(SLOT, SHA, None) is None
    assert twins.find(SLOT, SHA, "key-1") is None
    with pytest.raises(Refusal):
        twins.find(SLOT, OTHER, "key-1")
    again = make()
    twins.remember(again, "key-1")
    assert twins.find(SLOT, SHA, "key-1") is again


async def test_a_job_that_was_given_up_is_not_joined(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock
) -> None:
    twins, job = some_twins(tmp_path), make()
    twins.remember(job, "key-1")
    job.cancel()
    assert twins.find(SLOT, SHA, "key-1") is None


async def test_a_later_job_is_not_forgotten_when_an_earlier_one_ends(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock
) -> None:
    twins, first, second = some_twins(tmp_path), make(), make()
    twins.remember(first, None)
    twins.remember(second, None)
    first.on_settled(None)
    assert twins.find(SLOT, SHA, None) is second


async def test_a_picture_that_has_gone_is_forgotten(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock
) -> None:
    twins, job = some_twins(tmp_path), make()
    twins.remember(job, "key-1")
    job.on_settled(PICTURE)
    gone = twins.find(SLOT, SHA, "key-1")
    assert isinstance(gone, Done)
    twins.forget(gone, SLOT, SHA, "key-1")
    assert twins.find(SLOT, SHA, "key-1") is None
    newer = make()
    twins.remember(newer, "key-1")
    twins.forget(gone, SLOT, SHA, "key-1")  # a second repeat found the same file gone: the newer job stays
    assert twins.find(SLOT, SHA, "key-1") is newer
    twins.forget(gone, SLOT, OTHER, None)  # never known: nothing happens


async def test_memory_is_bounded(
    make: Callable[..., Job], tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twins_module, "MOST", 2)
    twins, jobs = some_twins(tmp_path), [make(sha256=bytes([number]) * 32) for number in range(3)]
    for number, job in enumerate(jobs):
        twins.remember(job, f"key-{number}")
    found: list[Any] = [
        twins.find(SLOT, job.upload.sha256, key) for number, job in enumerate(jobs) for key in (None, f"key-{number}")
    ]
    assert found == [None, None, jobs[1], jobs[1], jobs[2], jobs[2]]


@pytest.mark.parametrize("key", [None, "a", "x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324", '"quoted"'])
def test_keys_that_can_be_one(key: str | None) -> None:
    assert checked_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "tab\t", "line\n", "ключ", "\x7f"])
def test_keys_that_cannot(key: str) -> None:
    with pytest.raises(Refusal) as refused:
        checked_key(key)
    assert refused.value.reason is Reason.INVALID_REQUEST
