"""The last resort: as the photo came, or drawn here in the slot's shape, or none."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from photochanger.domain.job import ReplyKind
from photochanger.domain.slot import Slot
from photochanger.jobs.reply import ReplyCell, Waiter
from photochanger.jobs.stand_in import SEND_LEAD, StandIn
from photochanger.jobs.upload import Upload
from photochanger.media.fit import fit_of
from photochanger.media.probe import probe
from tests.jobs.workbench import damaged, upload_in, workshop_in
from tests.lab import pictures


class Scene:
    """One photo, its slot and those who wait for it."""

    def __init__(self, root: Path, data: bytes, upload: dict[str, Any] | None = None, **slot: Any) -> None:
        self.slot = Slot("slot-001", 1, "gemini", "edit", **slot)
        self.workshop = workshop_in(root)
        self.upload: Upload = upload_in(self.workshop, data, self.slot, **(upload or {}))
        self.cell = ReplyCell()
        seen, it = self.upload.probe, self.slot
        fit = fit_of(it.output, it.output_width, it.output_height, seen.width, seen.height)
        self.stand_in = StandIn(self.workshop, it, self.upload, self.cell, fit)

    def waiters(self, *seconds: float) -> list[Waiter]:
        return [self.cell.join(trio.current_time() + each) for each in seconds]


async def test_the_original_is_the_file_as_it_came(tmp_path: Path) -> None:
    data = pictures.turned(6)  # with its metadata: it is the guest's own
    scene = Scene(tmp_path, data, last_resort="original")
    assert scene.stand_in.lead is None
    await scene.stand_in.make()
    reply = scene.stand_in.reply
    assert reply is not None
    assert (reply.kind, reply.stand_in, reply.mime) == (ReplyKind.ORIGINAL, True, "image/jpeg")
    assert reply.path.read_bytes() == data
    assert reply.size == len(data)
    assert (reply.width, reply.height) == (300, 200)


@pytest.mark.parametrize(
    ("data", "allow_png", "mime"),
    [
        (pictures.png(), False, "image/jpeg"),
        (pictures.png(), True, "image/png"),
        (pictures.webp(), True, "image/jpeg"),
    ],
    ids=["png", "an allowed png", "webp"],
)
async def test_an_original_that_a_printer_may_not_read_is_made_jpeg(
    tmp_path: Path, data: bytes, allow_png: bool, mime: str
) -> None:
    scene = Scene(tmp_path, data, last_resort="original", allow_png=allow_png)
    await scene.stand_in.make()
    reply = scene.stand_in.reply
    assert reply is not None
    assert (reply.kind, reply.stand_in, reply.mime) == (ReplyKind.ORIGINAL, True, mime)
    found = probe(reply.path)
    assert (found.mime, found.width, found.height) == (mime, 300, 200)
    assert reply.size == reply.path.stat().st_size
    assert (reply.path.read_bytes() == data) == (mime == "image/png")
    assert found.is_baseline_srgb == (mime == "image/jpeg")
    assert reply.path.parent == scene.upload.folder, "it goes with the job"


@pytest.mark.parametrize(
    ("output", "size"),
    [
        ({}, (300, 200)),
        ({"output": "crop", "output_width": 120, "output_height": 180}, (120, 180)),
        ({"output": "fit", "output_width": 400, "output_height": 400}, (400, 400)),
    ],
)
async def test_a_local_one_has_the_slots_shape(tmp_path: Path, output: dict[str, Any], size: tuple[int, int]) -> None:
    scene = Scene(
        tmp_path, pictures.photo(300, 200), last_resort="local", last_resort_settings={"look": "sepia"}, **output
    )
    await scene.stand_in.make()
    reply = scene.stand_in.reply
    assert reply is not None
    assert (reply.kind, reply.stand_in, reply.mime) == (ReplyKind.LOCAL, True, "image/jpeg")
    assert (reply.width, reply.height) == size
    found = probe(reply.path)
    assert ((found.width, found.height), reply.size) == (size, reply.path.stat().st_size)
    assert reply.path.parent == scene.upload.folder, "it goes with the job"


@pytest.mark.parametrize(
    ("data", "slot"),
    [
        (pictures.photo(64, 48), {"last_resort": "error"}),
        (pictures.photo(64, 48), {"last_resort": "local", "last_resort_settings": {"look": "no such look"}}),
        (damaged(pictures.png()), {"last_resort": "local"}),
    ],
    ids=["none wanted", "wrong settings", "a damaged photo"],
)
async def test_where_there_is_none(tmp_path: Path, data: bytes, slot: dict[str, Any]) -> None:
    scene = Scene(tmp_path, data, **slot)
    waiter = scene.waiters(0.0)[0]
    await scene.stand_in.make()
    assert (scene.stand_in.reply, scene.stand_in.lead) == (None, None)
    scene.stand_in.give(trio.current_time())
    scene.stand_in.give_to_those_due()
    assert waiter.reply is None


async def test_a_full_disk_leaves_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(tmp_path, pictures.photo(64, 48), last_resort="local")
    (scene.upload.folder / "stand-in").mkdir()
    await scene.stand_in.make()
    assert scene.stand_in.reply is None
    assert "slot-001: its last resort could not be made" in caplog.text


async def test_it_leaves_in_time_for_its_way(tmp_path: Path) -> None:
    line = {"size": 1_000_000, "seconds": 2.0}
    scene = Scene(tmp_path, pictures.photo(64, 48), line, last_resort="original", t_sync=48.0)
    await scene.stand_in.make()
    assert scene.stand_in.lead == pytest.approx(SEND_LEAD + 2.0)
    slow = Scene(tmp_path / "slow", pictures.photo(64, 48), line, last_resort="original", t_sync=4.0)
    await slow.stand_in.make()
    assert slow.stand_in.lead == 1.0, "a quarter of the window at most"


async def test_only_those_get_it_for_whom_it_is_time(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    scene = Scene(tmp_path, pictures.photo(64, 48), last_resort="original")
    early, late = scene.waiters(10.0, 20.0)
    scene.stand_in.give_to_those_due()
    await scene.stand_in.make()
    scene.stand_in.give_to_those_due()
    assert early.reply is None
    await trio.sleep(10.0 - SEND_LEAD)
    scene.stand_in.give_to_those_due()
    assert (early.reply, late.reply) == (scene.stand_in.reply, None)
    scene.stand_in.give(late.deadline)
    assert late.reply is scene.stand_in.reply


async def test_a_refusal_waits_for_it_but_not_past_the_deadline(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    scene = Scene(tmp_path, pictures.photo(64, 48), last_resort="original")
    await scene.stand_in.wait_for()  # nobody is there: nothing to wait for
    scene.waiters(10.0)
    start = trio.current_time()
    await scene.stand_in.wait_for()
    assert trio.current_time() - start == pytest.approx(10.0 - SEND_LEAD)
    await scene.stand_in.make()
    scene.waiters(100.0)
    await scene.stand_in.wait_for()
    assert trio.current_time() - start < 10.0


async def test_once_the_photo_is_answered_it_is_not_drawn_any_more(tmp_path: Path) -> None:
    scene = Scene(tmp_path, pictures.photo(64, 48), last_resort="local")
    scene.stand_in.not_needed()
    await scene.stand_in.make()
    assert scene.stand_in.reply is None
    assert not (scene.upload.folder / "stand-in").exists()
