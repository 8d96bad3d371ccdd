"""What travels to a provider: the same pixels, nothing about the guest, and no work that is not needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from photochanger.domain.reasons import Reason
from photochanger.errors import PictureError, StorageUnavailable
from photochanger.media.formats.layout import Profile
from photochanger.media.prepare import prepare
from photochanger.media.probe import probe
from photochanger.media.vips import Image
from photochanger.providers.base import FileSlice, PreparedPhoto
from tests.lab import pictures
from tests.media.conftest import Keep
from tests.media.reading import decoded, difference, load, sent


def prepared(path: Path, out: Path, **options: Any) -> PreparedPhoto:
    return prepare(path, out, probe(path), **options)


def progressive_with_metadata() -> bytes:
    return pictures.with_all_metadata(pictures.progressive())


AS_IT_CAME: dict[str, Callable[[], bytes]] = {
    "photo": lambda: pictures.photo(300, 200),
    "photo with all metadata": lambda: pictures.with_all_metadata(pictures.photo(300, 200)),
    "progressive with all metadata": progressive_with_metadata,
    "sRGB profile and metadata": lambda: pictures.with_all_metadata(pictures.jpeg_with_profile("srgb")),
    "trailing garbage": lambda: pictures.trailing_garbage(pictures.photo(300, 200), pictures.GPS_MARK * 3),
    "thumbnail": lambda: pictures.with_exif(pictures.photo(300, 200), thumbnail=pictures.photo(64, 64)),
    "greyscale": lambda: pictures.with_all_metadata(pictures.grey()),
    "PNG with metadata": pictures.png_with_metadata,
    "PNG with garbage": lambda: pictures.png() + pictures.GPS_MARK,
    "palette PNG": pictures.png_palette,
    "WebP": pictures.webp,
    "WebP with metadata": pictures.webp_with_metadata,
    "WebP with garbage": lambda: pictures.webp() + pictures.GPS_MARK,
    "lossless WebP": lambda: pictures.webp(lossless=True),
}


@pytest.mark.parametrize("case", AS_IT_CAME)
def test_upright_srgb_photos_travel_with_the_same_pixels_and_without_metadata(
    case: str, keep: Keep, tmp_path: Path
) -> None:
    data = AS_IT_CAME[case]()
    path, out = keep(data), tmp_path / "out.jpg"
    photo = prepared(path, out)
    wire = sent(photo)
    assert photo.path == path
    assert not out.exists()
    assert len(wire) == photo.size
    assert pictures.GPS_MARK not in wire
    assert b"Exif" not in wire
    source = Image.new_from_buffer(data, "").copy_memory()
    assert difference(decoded(wire), source) == 0
    assert (photo.width, photo.height) == (source.width, source.height)
    again = probe(keep(wire))
    assert again.mime == photo.mime
    assert again.layout.size == len(wire)  # nothing is left to drop


def test_a_webp_no_longer_announces_what_was_left_out(keep: Keep, tmp_path: Path) -> None:
    """Byte 20 holds the flags of the extended header: EXIF is 8, XMP is 4."""
    wire = sent(prepared(keep(pictures.webp_with_metadata()), tmp_path / "out"))
    assert wire[12:16] == b"VP8X"
    assert wire[20] & 0x0C == 0
    assert int.from_bytes(wire[4:8], "little") == len(wire) - 8


def test_a_clean_photo_is_one_slice(keep: Keep, tmp_path: Path) -> None:
    data = pictures.photo(300, 200)
    assert prepared(keep(data), tmp_path / "out").parts == (FileSlice(0, len(data)),)


NORMALISED: dict[str, tuple[Callable[[], bytes], float]] = {
    "P3 profile": (pictures.jpeg_with_profile, 3),
    "CMYK": (pictures.cmyk, 16),
    "CMYK with profile": (lambda: pictures.cmyk(profile=True), 8),
    "16-bit PNG": (pictures.png16, 3),
    "turned PNG": (lambda: pictures.png_with_metadata(2), 100),
    "turned WebP": (lambda: pictures.webp_with_metadata(orientation=4), 100),
}


@pytest.mark.parametrize("case", NORMALISED)
def test_others_become_baseline_srgb(case: str, keep: Keep, tmp_path: Path) -> None:
    make, tolerance = NORMALISED[case]
    path, out = keep(make()), tmp_path / "out.jpg"
    photo = prepared(path, out)
    assert photo.path == out
    assert photo.mime == "image/jpeg"
    assert photo.size == out.stat().st_size
    found = probe(out)
    assert found.is_baseline_srgb
    assert found.layout.profile is Profile.NONE
    assert found.layout.size == photo.size
    assert (photo.width, photo.height) == (found.width, found.height)
    assert pictures.GPS_MARK not in sent(photo)
    assert difference(load(out), pictures.scene(300, 200)) < tolerance


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_photos_are_turned_upright(orientation: int, keep: Keep, tmp_path: Path) -> None:
    photo = prepared(keep(pictures.turned(orientation)), tmp_path / "out.jpg")
    assert (photo.width, photo.height) == (300, 200)
    assert difference(load(photo.path), pictures.scene(300, 200, noise=0)) < 3
    assert not probe(photo.path).needs_normalising


@pytest.mark.parametrize("orientation", [3, 4, 6])
def test_turning_a_large_photo_reads_rows_in_any_order(orientation: int, keep: Keep, tmp_path: Path) -> None:
    """Larger than what libvips holds back of a picture that it reads from top to bottom."""
    photo = prepared(keep(pictures.turned(orientation, 1500, 2000)), tmp_path / "out.jpg")
    assert (photo.width, photo.height) == (1500, 2000)
    assert probe(photo.path).is_baseline_srgb


def test_transparency_is_laid_on_white(keep: Keep, tmp_path: Path) -> None:
    photo = prepared(keep(pictures.png_alpha()), tmp_path / "out.jpg")
    picture = load(photo.path)
    assert min(picture.getpoint(299, 100)) > 245
    assert picture.getpoint(0, 10) == pytest.approx(pictures.scene(300, 200).getpoint(0, 10), abs=12)


def test_a_png_that_names_a_clear_colour_is_laid_on_white_too(keep: Keep, tmp_path: Path) -> None:
    black = Image.black(60, 40, bands=3).copy(interpretation="srgb").pngsave_buffer(keep="none")
    photo = prepared(keep(black[:33] + pictures.png_chunk(b"tRNS", bytes(6)) + black[33:]), tmp_path / "out.jpg")
    assert load(photo.path).min() > 250


def test_a_picture_with_a_senseless_profile_is_taken_for_srgb(keep: Keep, tmp_path: Path) -> None:
    data = pictures.with_segment(pictures.photo(300, 200), 0xE2, b"ICC_PROFILE\0\1\1" + b"nonsense" * 40)
    photo = prepared(keep(data), tmp_path / "out.jpg")
    assert difference(load(photo.path), decoded(pictures.photo(300, 200))) < 2


@pytest.mark.parametrize("make", [pictures.photo, lambda w, h: pictures.png(w, h), lambda w, h: pictures.cmyk(w, h)])
def test_a_large_photo_is_made_smaller_where_asked(
    make: Callable[[int, int], bytes], keep: Keep, tmp_path: Path
) -> None:
    photo = prepared(keep(make(900, 600)), tmp_path / "out.jpg", longest_side=300)
    assert (photo.width, photo.height) == (300, 200)
    assert probe(photo.path).is_baseline_srgb


def test_a_small_photo_is_never_enlarged(keep: Keep, tmp_path: Path) -> None:
    path = keep(pictures.photo(300, 200))
    assert prepared(path, tmp_path / "out.jpg", longest_side=301).path == path
    turned = keep(pictures.turned(6))
    assert prepared(turned, tmp_path / "out.jpg", longest_side=1000).width == 300


def test_a_tall_photo_is_measured_on_its_longest_side(keep: Keep, tmp_path: Path) -> None:
    photo = prepared(keep(pictures.turned(6, 600, 900)), tmp_path / "out.jpg", longest_side=300)
    assert (photo.width, photo.height) == (200, 300)
    upright = prepared(keep(pictures.photo(200, 900)), tmp_path / "out.jpg", longest_side=300)
    assert (upright.width, upright.height) == (67, 300)


def test_damage_behind_good_headers_is_found_where_it_is_decoded(keep: Keep, tmp_path: Path) -> None:
    data = pictures.with_exif(pictures.photo(300, 200), 6)
    scan = data.index(b"\xff\xda")
    frame = data.index(b"\xff\xc0")
    path, out = keep(data[:frame] + data[scan:]), tmp_path / "out.jpg"
    with pytest.raises(PictureError):
        prepared(path, out)
    data = pictures.png_with_metadata(6)
    path = keep(data[:20_000] + b"\0" * 64 + data[20_064:])
    with pytest.raises(PictureError) as refusal:
        prepared(path, out)
    assert refusal.value.reason is Reason.UNDECODABLE_IMAGE
    assert str(path) not in str(refusal.value)
    assert not out.exists()


def test_what_cannot_be_written_is_the_storage_s_failure(keep: Keep, tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        prepared(keep(pictures.turned(6)), tmp_path / "no such folder" / "out.jpg")
