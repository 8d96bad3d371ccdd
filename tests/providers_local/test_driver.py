"""The local provider as a Driver: real photos in, real JPEGs out, every failure an outcome."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from photochanger.domain.outcome import Verdict
from photochanger.errors import ConfigError
from photochanger.media.prepare import prepare
from photochanger.media.probe import probe
from photochanger.media.threads import PictureThreads, Priority
from photochanger.media.verify import verify
from photochanger.providers.base import Call, Driver, FileSlice, PreparedPhoto
from photochanger.providers.local import LocalDriver, LocalSettings
from photochanger.providers.local.settings import LOOK_NAMES
from tests.lab import pictures


def call_for(tmp_path: Path, data: bytes, settings: LocalSettings, *, deadline: float | None = None) -> Call:
    path = tmp_path / "photo"
    path.write_bytes(data)
    photo = prepare(path, tmp_path / "prepared", probe(path))
    when = trio.current_time() + 60 if deadline is None else deadline
    return Call(photo, "look", settings, tmp_path / "answer", when)


@pytest.fixture
def driver() -> LocalDriver:
    return LocalDriver(PictureThreads(2))


@pytest.mark.parametrize("look", LOOK_NAMES)
async def test_every_look_is_a_deliverable_picture_for_nothing(look: str, driver: Driver, tmp_path: Path) -> None:
    settings = driver.parse_settings({"look": look})
    assert driver.model_of(settings) == look
    assert driver.estimate_microusd(settings) == 0
    call = call_for(tmp_path, pictures.photo(300, 200), settings)
    outcome = await driver.call(call)
    assert outcome.verdict is Verdict.PICTURE
    assert outcome.picture is not None
    assert (outcome.picture.path, outcome.picture.mime) == (call.out_path, "image/jpeg")
    assert (outcome.cost_microusd, outcome.possibly_billed) == (0, False)
    result = verify(call.out_path, tmp_path / "reply")
    assert (result.width, result.height, result.reencoded) == (300, 200, False)


PHOTOS: dict[str, Callable[[], bytes]] = {
    "turned": lambda: pictures.turned(6),
    "CMYK": pictures.cmyk,
    "greyscale": pictures.grey,
    "PNG with alpha": pictures.png_alpha,
    "16-bit PNG": pictures.png16,
    "palette PNG": pictures.png_palette,
    "WebP": pictures.webp,
    "progressive": pictures.progressive,
    "with metadata and garbage": lambda: pictures.trailing_garbage(
        pictures.with_all_metadata(pictures.photo(300, 200))
    ),
}


@pytest.mark.parametrize("kind", PHOTOS)
async def test_every_kind_of_photo_gets_its_look(kind: str, driver: LocalDriver, tmp_path: Path) -> None:
    call = call_for(tmp_path, PHOTOS[kind](), LocalSettings("sepia"))
    assert (await driver.call(call)).verdict is Verdict.PICTURE
    result = verify(call.out_path, tmp_path / "reply")
    assert (result.width, result.height, result.reencoded) == (300, 200, False)
    assert pictures.GPS_MARK not in call.out_path.read_bytes()


async def test_a_larger_photo_is_made_smaller(driver: LocalDriver, tmp_path: Path) -> None:
    call = call_for(tmp_path, pictures.photo(900, 600), LocalSettings("mono", longest_side=300))
    await driver.call(call)
    assert (probe(call.out_path).width, probe(call.out_path).height) == (300, 200)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"look": "noir"}, "^look: must be one of mono, "),
        ({"look": 3}, r"\$\.look"),
        ({"strength": 1.1}, r"\$\.strength"),
        ({"strength": "much"}, r"\$\.strength"),
        ({"longest_side": 255}, r"\$\.longest_side"),
        ({"longest_side": None}, r"\$\.longest_side"),
        ({"Look": "mono"}, "Look"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, object], word: str, driver: LocalDriver) -> None:
    with pytest.raises(ConfigError, match=word):
        driver.parse_settings(settings)


def test_settings_have_defaults(driver: LocalDriver) -> None:
    assert driver.parse_settings({}) == LocalSettings("vivid", 1.0, 2048)


async def test_a_damaged_photo_is_a_bad_picture_and_leaves_nothing(driver: LocalDriver, tmp_path: Path) -> None:
    data = pictures.png()
    (tmp_path / "photo").write_bytes(data[:20_000] + bytes(64) + data[20_064:])
    photo = PreparedPhoto(tmp_path / "photo", "image/png", 300, 200, (FileSlice(0, len(data)),), len(data))
    outcome = await driver.call(Call(photo, "look", LocalSettings(), tmp_path / "answer", trio.current_time() + 60))
    assert outcome.verdict is Verdict.BAD_PICTURE
    assert outcome.picture is None
    assert not (tmp_path / "answer").exists()


async def test_a_disk_that_takes_nothing_is_told_apart(driver: LocalDriver, tmp_path: Path) -> None:
    call = call_for(tmp_path, pictures.photo(300, 200), LocalSettings())
    blocked = Call(call.photo, call.operation, call.settings, tmp_path / "gone" / "answer", call.deadline)
    assert (await driver.call(blocked)).verdict is Verdict.STORAGE
    (tmp_path / "photo").unlink()
    assert (await driver.call(call)).verdict is Verdict.STORAGE


async def test_a_look_whose_turn_does_not_come_times_out_and_is_never_made(tmp_path: Path) -> None:
    threads, go = PictureThreads(1), threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(threads.run, Priority.VERIFY, go.wait, 60)
        await trio.testing.wait_all_tasks_blocked()
        call = call_for(tmp_path, pictures.photo(300, 200), LocalSettings(), deadline=trio.current_time() + 0.05)
        outcome = await LocalDriver(threads).call(call)
        assert outcome.verdict is Verdict.TIMEOUT
        go.set()
    assert not call.out_path.exists()
    assert threads.state().running == 0
