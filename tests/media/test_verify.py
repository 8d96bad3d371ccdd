"""A provider's picture counts only when it decodes whole, and leaves as something that every booth can read."""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photochanger.errors import PictureError
from photochanger.media.pixels import load as load_lazily
from photochanger.media.pixels import upright
from photochanger.media.probe import Probe, probe
from photochanger.media.verify import verify, write_preview
from photochanger.media.vips import Image
from tests.lab import pictures
from tests.media.conftest import Keep
from tests.media.reading import decoded, difference, load
from tests.media.test_probe import BAD


def test_a_baseline_srgb_jpeg_is_delivered_untouched(keep: Keep, tmp_path: Path) -> None:
    path, reply = keep(pictures.photo(1344, 896)), tmp_path / "reply.jpg"
    result = verify(path, reply)
    assert (result.path, result.mime, result.width, result.height) == (path, "image/jpeg", 1344, 896)
    assert not result.reencoded
    assert not reply.exists()


REENCODED: dict[str, Callable[[], bytes]] = {
    "PNG": pictures.png,
    "palette PNG": pictures.png_palette,
    "16-bit PNG": pictures.png16,
    "PNG with alpha": pictures.png_alpha,
    "WebP": pictures.webp,
    "lossless WebP": lambda: pictures.webp(lossless=True),
    "progressive": pictures.progressive,
    "greyscale": pictures.grey,
    "CMYK": pictures.cmyk,
    "CMYK with profile": lambda: pictures.cmyk(profile=True),
    "P3": pictures.jpeg_with_profile,
    "turned": lambda: pictures.turned(6),
}


@pytest.mark.parametrize("case", REENCODED)
def test_anything_else_becomes_a_baseline_srgb_jpeg(case: str, keep: Keep, tmp_path: Path) -> None:
    path, reply = keep(REENCODED[case]()), tmp_path / "reply.jpg"
    result = verify(path, reply)
    assert result.reencoded
    assert (result.path, result.mime) == (reply, "image/jpeg")
    assert (result.width, result.height) == (300, 200)
    assert probe(reply).is_baseline_srgb
    assert pictures.GPS_MARK not in reply.read_bytes()
    assert difference(load(reply), upright(path, probe(path), "truncated")) < 4


@pytest.mark.parametrize("case", ["PNG", "palette PNG", "PNG with alpha"])
def test_an_8_bit_png_is_delivered_untouched_where_png_is_allowed(case: str, keep: Keep, tmp_path: Path) -> None:
    path, reply = keep(REENCODED[case]()), tmp_path / "reply.png"
    result = verify(path, reply, allow_png=True)
    assert (result.path, result.mime, result.reencoded) == (path, "image/png", False)
    assert not reply.exists()


def test_a_png_that_must_be_worked_on_stays_a_png_with_its_transparency(keep: Keep, tmp_path: Path) -> None:
    clear = pictures.png_alpha()
    turned = clear[:33] + pictures.png_chunk(b"eXIf", pictures.exif_block(6)) + clear[33:]
    result = verify(keep(turned), tmp_path / "reply.png", allow_png=True)
    assert (result.mime, result.reencoded, result.width, result.height) == ("image/png", True, 200, 300)
    picture = load(result.path)
    assert picture.hasalpha()
    assert picture.get_typeof("orientation") == 0
    expected = decoded(clear).rot90()
    assert difference(picture, expected) == 0
    deep = verify(keep(pictures.png16()), tmp_path / "reply.png", allow_png=True)
    assert (deep.mime, deep.reencoded) == ("image/png", True)
    assert load(deep.path).format == "uchar"


def test_a_jpeg_stays_a_jpeg_where_png_is_allowed(keep: Keep, tmp_path: Path) -> None:
    assert verify(keep(pictures.webp()), tmp_path / "reply", allow_png=True).mime == "image/jpeg"


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_whole_picture_does_not_count(case: str, keep: Keep, tmp_path: Path) -> None:
    make, reason, _ = BAD[case]
    reply = tmp_path / "reply.jpg"
    with pytest.raises(PictureError) as refusal:
        verify(keep(make()), reply)
    assert refusal.value.reason is reason
    assert not reply.exists()


SWEPT: dict[str, Callable[[], bytes]] = {
    "baseline": lambda: pictures.photo(701, 463),
    "large": lambda: pictures.photo(2500, 1667),
    "progressive": lambda: pictures.progressive(640, 400),
    "greyscale": lambda: pictures.grey(640, 400),
    "CMYK": lambda: pictures.cmyk(320, 200),
    "PNG": lambda: pictures.png(320, 200),
    "WebP": lambda: pictures.webp(320, 200),
    "lossless WebP": lambda: pictures.webp(320, 200, lossless=True),
}


@pytest.mark.parametrize("case", SWEPT)
def test_no_truncated_picture_counts(case: str, keep: Keep, tmp_path: Path) -> None:
    """Cut anywhere, also where a careless sender closed the file properly with an end marker after the cut."""
    data = SWEPT[case]()
    is_jpeg = data.startswith(b"\xff\xd8")
    where = random.Random(1)
    cuts = {where.randrange(1, len(data)) for _ in range(25)} | {len(data) - n for n in (1, 2, 3, 8, 32)}
    for cut in sorted(cuts):
        with pytest.raises(PictureError):
            verify(keep(data[:cut]), tmp_path / "reply")
    if is_jpeg:
        # The decoder's last strip is not checked for complaints, so stay off it.
        for cut in (c for c in cuts if c < len(data) * 0.85):
            with pytest.raises(PictureError):
                verify(keep(data[:cut] + b"\xff\xd9"), tmp_path / "reply")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(4, 64))
def test_bytes_overwritten_in_a_png_do_not_count(keep: Keep, seed: int, length: int) -> None:
    data = bytearray(pictures.png(64, 48))
    chance = random.Random(seed)
    at = chance.randrange(45, len(data) - 100)
    before = bytes(data)
    data[at : at + length] = chance.randbytes(length)
    if bytes(data) != before:
        with pytest.raises(PictureError):
            verify(keep(bytes(data)), Path("/nonexistent/reply"))


@pytest.mark.parametrize("shrink", [1, 2, 8])
def test_a_decoder_that_sees_another_size_than_the_probe_is_not_believed(shrink: int, keep: Keep) -> None:
    path = keep(pictures.photo(701, 463))
    found = probe(path)
    load_lazily(path, found, "warning", shrink=shrink)
    layout = found.layout
    for other in (
        dataclasses.replace(layout, width=layout.width + 2 * shrink),
        dataclasses.replace(layout, height=layout.height - 2 * shrink),
    ):
        with pytest.raises(PictureError, match="contradict"):
            load_lazily(path, Probe(other), "warning", shrink=shrink)


def test_the_preview_is_a_small_webp(keep: Keep, tmp_path: Path) -> None:
    path = keep(pictures.photo(896, 1344))
    result = verify(path, tmp_path / "reply")
    out = tmp_path / "preview.webp"
    size = write_preview(result.path, out)
    found = probe(out)
    assert (found.mime, found.width, found.height) == ("image/webp", 341, 512)
    assert size == out.stat().st_size == found.layout.size
    expected = load(path).thumbnail_image(512, height=512)
    assert difference(load(out), expected) < 4


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 4000), (4000, 1), (513, 1), (1024, 512)])
def test_previews_of_odd_shapes(width: int, height: int, keep: Keep, tmp_path: Path) -> None:
    data = Image.black(width, height, bands=3).copy(interpretation="srgb").jpegsave_buffer(keep="none")
    result = verify(keep(data), tmp_path / "reply")
    write_preview(result.path, tmp_path / "preview.webp")
    image = load(tmp_path / "preview.webp")
    assert max(image.width, image.height) == min(512, max(width, height))
