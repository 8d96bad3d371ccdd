"""The look at a picture before decoding: every odd picture gets the right answer, and hostile bytes get one too."""

import functools
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photochanger.domain.reasons import Reason
from photochanger.errors import PictureError, StorageUnavailable
from photochanger.media.formats import jpeg
from photochanger.media.formats.layout import Layout, Profile
from photochanger.media.probe import probe
from tests.lab import pictures
from tests.media.conftest import Keep

UNSUPPORTED, UNDECODABLE = Reason.UNSUPPORTED_MEDIA_TYPE, Reason.UNDECODABLE_IMAGE


def tall_jpeg_without_height() -> bytes:
    data = bytearray(pictures.photo(64, 64))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 7] = b"\0\0"
    return bytes(data)


def many_scans() -> bytes:
    """A progressive JPEG whose last scan is there 150 times."""
    data = pictures.progressive(64, 64)
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + data[scan:-2] * 150 + b"\xff\xd9"


def two_frames(*, after_scan: bool) -> bytes:
    """A JPEG that says its size twice: small first, then huge."""
    data = pictures.progressive(64, 64)
    frame = data.index(b"\xff\xc2")
    again = bytearray(data[frame : frame + 2 + struct.unpack(">H", data[frame + 2 : frame + 4])[0]])
    again[5:9] = b"\xff\xff\xff\xff"
    at = data.rindex(b"\xff\xda") if after_scan else data.index(b"\xff\xda")
    return data[:at] + bytes(again) + data[at:]


def webp_flagged_as_animated() -> bytes:
    data = bytearray(pictures.webp_with_metadata())
    data[20] |= 0x02
    return bytes(data)


def webp_on_another_canvas() -> bytes:
    data = bytearray(pictures.webp_with_metadata())
    data[24:27] = (400).to_bytes(3, "little")
    return bytes(data)


def header_only() -> bytes:
    """A JPEG that ends with its scan header, whose last bytes look like the end of an image."""
    data = pictures.photo(64, 64)
    scan = data.index(b"\xff\xda")
    return data[: scan + 12] + b"\xff\xd9"


BAD: dict[str, tuple[Callable[[], bytes], Reason, str]] = {
    "nothing": (lambda: b"", UNDECODABLE, "empty"),
    "GIF": (pictures.gif, UNSUPPORTED, "GIF"),
    "HEIC": (pictures.heic, UNSUPPORTED, "HEIC"),
    "AVIF": (lambda: b"\0\0\0\x1cftypavif" + bytes(40), UNSUPPORTED, "AVIF"),
    "video": (lambda: b"\0\0\0\x1cftypisom" + bytes(40), UNSUPPORTED, "video"),
    "PDF": (pictures.pdf, UNSUPPORTED, "PDF"),
    "HTML": (pictures.html, UNSUPPORTED, "HTML"),
    "HTML after a BOM": (lambda: b"\xef\xbb\xbf\n <HTML>", UNSUPPORTED, "HTML"),
    "SVG": (pictures.svg, UNSUPPORTED, "SVG"),
    "shell script": (pictures.shell_script, UNSUPPORTED, "script"),
    "TIFF": (lambda: b"II*\0" + bytes(60), UNSUPPORTED, "TIFF"),
    "WAV": (lambda: b"RIFF\x24\0\0\0WAVEfmt ", UNSUPPORTED, "audio"),
    "text": (lambda: b"hello", UNSUPPORTED, "not a picture"),
    "one byte": (lambda: b"\xff", UNSUPPORTED, "not a picture"),
    "half a JPEG": (pictures.half_jpeg, UNDECODABLE, "cut off"),
    "half a JPEG with a whole thumbnail": (pictures.half_jpeg_with_thumbnail, UNDECODABLE, "cut off"),
    "JPEG without its last byte": (lambda: pictures.photo(64, 64)[:-1], UNDECODABLE, "cut off"),
    "JPEG of a header": (header_only, UNDECODABLE, ""),
    "JPEG of three bytes": (lambda: b"\xff\xd8\xff", UNDECODABLE, "cut off"),
    "JPEG without height": (tall_jpeg_without_height, UNDECODABLE, "frame header"),
    "JPEG with a forged size": (pictures.forged_jpeg, UNDECODABLE, "too large"),
    "JPEG with two sizes": (lambda: two_frames(after_scan=False), UNDECODABLE, "two frame headers"),
    "JPEG with a second size behind a scan": (lambda: two_frames(after_scan=True), UNDECODABLE, "two frame headers"),
    "JPEG of 150 scans": (many_scans, UNDECODABLE, "scans"),
    "JPEG of fill bytes": (lambda: b"\xff\xd8" + b"\xff" * 100_000, UNDECODABLE, "segments"),
    "half a progressive JPEG": (lambda: pictures.progressive()[:9000], UNDECODABLE, "cut off"),
    "PNG bomb": (pictures.bomb_png, UNDECODABLE, "too large: 50000 x 50000"),
    "half a PNG": (lambda: pictures.png()[:30_000], UNDECODABLE, "cut off"),
    "PNG without IEND": (lambda: pictures.png()[:-12], UNDECODABLE, "cut off"),
    "PNG without pixels": (lambda: pictures.png()[:33] + pictures.png()[-12:], UNDECODABLE, "no pixels"),
    "PNG with a wrong checksum": (
        lambda: pictures.png().replace(b"\x08\x02\0\0\0", b"\x08\0\0\0\0", 1),
        UNDECODABLE,
        "",
    ),
    "half a WebP": (lambda: pictures.webp()[:4000], UNDECODABLE, "cut off"),
    "animated WebP": (pictures.animated_webp, UNDECODABLE, "animated"),
    "WebP that only says it is animated": (webp_flagged_as_animated, UNDECODABLE, "animated"),
    "WebP on another canvas": (webp_on_another_canvas, UNDECODABLE, "damaged"),
    "WebP of a header": (lambda: b"RIFF\4\0\0\0WEBP", UNDECODABLE, "damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures_are_refused_with_a_reason_and_a_name(case: str, keep: Keep) -> None:
    make, reason, word = BAD[case]
    with pytest.raises(PictureError) as refusal:
        probe(keep(make()))
    assert refusal.value.reason is reason
    assert word in refusal.value.detail


GOOD: dict[str, tuple[Callable[[], bytes], str, dict[str, Any]]] = {
    "photo": (lambda: pictures.photo(300, 200), "as it came", {"baseline": True, "channels": 3}),
    "trailing garbage": (lambda: pictures.trailing_garbage(pictures.photo(300, 200)), "as it came", {}),
    "progressive": (pictures.progressive, "as it came", {"progressive": True, "baseline": False}),
    "greyscale": (pictures.grey, "as it came", {"channels": 1}),
    "sRGB profile": (lambda: pictures.jpeg_with_profile("srgb"), "as it came", {"profile": Profile.SRGB}),
    "all metadata": (lambda: pictures.with_all_metadata(pictures.photo(300, 200)), "as it came", {}),
    "P3 profile": (pictures.jpeg_with_profile, "normalised", {"profile": Profile.OTHER}),
    "CMYK": (pictures.cmyk, "normalised", {"cmyk": True}),
    "CMYK with profile": (lambda: pictures.cmyk(profile=True), "normalised", {"profile": Profile.OTHER}),
    "PNG": (pictures.png, "as it came", {"channels": 3, "bit_depth": 8}),
    "palette PNG": (pictures.png_palette, "as it came", {"palette": True}),
    "PNG with alpha": (pictures.png_alpha, "normalised", {"alpha": True}),
    "16-bit PNG": (pictures.png16, "normalised", {"bit_depth": 16}),
    "WebP": (pictures.webp, "as it came", {}),
    "lossless WebP": (lambda: pictures.webp(lossless=True), "as it came", {}),
    "extended WebP": (pictures.webp_with_metadata, "as it came", {}),
    "turned WebP": (lambda: pictures.webp_with_metadata(orientation=3), "normalised", {"orientation": 3}),
    "turned PNG": (lambda: pictures.png_with_metadata(8), "normalised", {"orientation": 8}),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_pictures_are_described(case: str, keep: Keep) -> None:
    make, way, expected = GOOD[case]
    found = probe(keep(make()))
    assert {found.layout.width, found.layout.height} == {300, 200}
    assert found.needs_normalising is (way == "normalised")
    for name, value in expected.items():
        assert getattr(found.layout, name) == value, name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_is_read_in_both_byte_orders(orientation: int, order: str, keep: Keep) -> None:
    found = probe(keep(pictures.with_exif(pictures.photo(300, 200), orientation, order=order)))
    assert found.layout.orientation == orientation
    assert (found.width, found.height) == ((200, 300) if orientation >= 5 else (300, 200))


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_a_senseless_orientation_means_upright(value: int, keep: Keep) -> None:
    assert probe(keep(pictures.with_exif(pictures.photo(300, 200), value))).layout.orientation == 1


def test_the_pixel_limit_counts_pixels(keep: Keep) -> None:
    path = keep(pictures.photo(300, 200))
    assert probe(path, max_pixels=60_000).width == 300
    with pytest.raises(PictureError, match="too large"):
        probe(path, max_pixels=59_999)


def test_a_second_picture_inside_a_jpeg_does_not_travel(keep: Keep) -> None:
    """Phones append a preview with its own EXIF and announce it in APP2 "MPF"; the file then ends in an end marker."""
    first = pictures.photo(300, 200)
    whole = pictures.with_segment(first, 0xE2, b"MPF\0" + bytes(80)) + pictures.with_exif(pictures.photo(64, 64))
    assert whole.endswith(b"\xff\xd9")
    assert probe(keep(whole)).layout.size == len(first)


def test_metadata_between_the_scans_is_found(keep: Keep) -> None:
    data = pictures.progressive()
    scan = data.rindex(b"\xff\xda")
    comment = struct.pack(">BBH", 0xFF, 0xFE, len(pictures.GPS_MARK) + 2) + pictures.GPS_MARK
    assert probe(keep(data[:scan] + comment + data[scan:])).layout.size == len(data)


def test_a_thumbnail_in_the_jfif_header_is_left_out(keep: Keep) -> None:
    thumbnail = b"JFIF\0\1\1\0\0\1\0\1\2\2" + pictures.GPS_MARK[:12]
    plain = pictures.photo(300, 200)
    layout = probe(keep(pictures.with_segment(plain, 0xE0, thumbnail))).layout
    assert layout.size == len(plain) + 18
    assert b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" in b"".join(p for p in layout.parts if isinstance(p, bytes))


def test_the_profiles_of_libvips_are_told_apart_in_every_format(keep: Keep) -> None:
    for name, expected in (("srgb", Profile.SRGB), ("p3", Profile.OTHER)):
        image = pictures.scene(64, 48).icc_transform(name, input_profile="srgb")
        for suffix in (".jpg", ".png", ".webp"):
            data = image.write_to_buffer(suffix, keep="icc")
            assert probe(keep(data)).layout.profile is expected, (name, suffix)


def test_linear_light_with_the_primaries_of_srgb_is_not_srgb(keep: Keep) -> None:
    """The colourants alone do not make sRGB: the tone curve must be its own."""
    data = pictures.jpeg_with_profile("srgb")
    at = data.index(b"ICC_PROFILE\0") + 14
    length = struct.unpack(">H", data[at - 16 : at - 14])[0] - 16
    profile = bytearray(data[at : at + length])
    (count,) = struct.unpack_from(">I", profile, 128)
    for number in range(count):
        name, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            profile[offset : offset + 12] = b"curv\0\0\0\0\0\0\0\1"
            profile[offset + 12 : offset + 14] = b"\1\0"  # gamma 1.0
    assert probe(keep(data)).layout.profile is Profile.SRGB
    assert probe(keep(data[:at] + bytes(profile) + data[at + length :])).layout.profile is Profile.OTHER


def test_a_profile_in_several_segments_is_not_srgb(keep: Keep) -> None:
    data = pictures.jpeg_with_profile("srgb")
    at = data.index(b"ICC_PROFILE\0") + 12
    assert probe(keep(data[:at] + b"\1\2" + data[at + 2 :])).layout.profile is Profile.OTHER


def test_a_packed_profile_is_not_unpacked_without_bound(keep: Keep) -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    data = pictures.png(64, 48)
    path = keep(data[:33] + pictures.png_chunk(b"iCCP", b"x\0\0" + bomb) + data[33:])
    tracemalloc.start()
    try:
        assert probe(path).layout.profile is Profile.OTHER
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_the_walk_over_the_pixels_agrees_with_the_shortcut(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that ends in an end marker is not searched; where it is, across chunk borders, the result is the same."""
    data = pictures.photo(700, 500)
    short = probe(keep(data)).layout
    for chunk in (2, 3, 1000, 1 << 18):
        monkeypatch.setattr(jpeg, "_CHUNK", chunk)
        assert _without_parts(probe(keep(data + b"x")).layout) == _without_parts(short)
        assert probe(keep(data + b"x")).layout.size == len(data)


def _without_parts(layout: Layout) -> tuple[Any, ...]:
    return layout.width, layout.height, layout.channels, layout.baseline, layout.size


@pytest.mark.parametrize(("marker", "precision"), [(b"\xff\xc9", 8), (b"\xff\xca", 8), (b"\xff\xc1", 12)])
def test_codings_that_few_programs_read_are_normalised(marker: bytes, precision: int, keep: Keep) -> None:
    """Arithmetic coding, and 12 bits per channel: only the frame header says so."""
    data = bytearray(pictures.photo(64, 64))
    frame = data.index(b"\xff\xc0")
    data[frame : frame + 2] = marker
    data[frame + 4] = precision
    found = probe(keep(bytes(data)))
    assert found.needs_normalising
    assert not found.is_baseline_srgb


@pytest.mark.parametrize("marker", [b"\xff\xc3", b"\xff\xc5", b"\xff\xcf"])
def test_lossless_and_hierarchical_jpegs_are_refused(marker: bytes, keep: Keep) -> None:
    with pytest.raises(PictureError, match="not supported"):
        probe(keep(pictures.photo(64, 64).replace(b"\xff\xc0", marker, 1)))


def test_a_missing_file_is_the_storage_s_failure(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        probe(tmp_path / "none.jpg")


SEEDS: list[Callable[[], bytes]] = [
    lambda: pictures.with_all_metadata(pictures.photo(64, 48)),
    lambda: pictures.progressive(64, 48),
    lambda: pictures.cmyk(40, 30),
    lambda: pictures.jpeg_with_profile("srgb", 40, 30),
    lambda: pictures.png_with_metadata(3),
    lambda: pictures.png_alpha(40, 30),
    lambda: pictures.webp_with_metadata(40, 30, 6),
    lambda: pictures.webp(40, 30, lossless=True),
    pictures.animated_webp,
]


@functools.cache
def seed_bytes(number: int) -> bytes:
    return SEEDS[number]()


edit = st.tuples(st.sampled_from(["set", "delete", "insert", "cut"]), st.integers(0, 2000), st.binary(max_size=12))


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(SEEDS) - 1), st.lists(edit, max_size=6))
def test_damaged_files_are_described_or_refused_and_nothing_else(
    keep: Keep, seed: int, edits: list[tuple[str, int, bytes]]
) -> None:
    data = bytearray(seed_bytes(seed))
    for kind, where, piece in edits:
        at = where % (len(data) + 1)
        if kind == "set":
            data[at : at + len(piece)] = piece
        elif kind == "delete":
            del data[at : at + len(piece)]
        elif kind == "insert":
            data[at:at] = piece
        else:
            del data[max(at, 1) :]
    _described_or_refused(keep, bytes(data))


@settings(max_examples=250, deadline=None)
@given(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\0\0\0WEBP", b""]), st.binary(max_size=400))
def test_any_bytes_are_described_or_refused(keep: Keep, magic: bytes, rest: bytes) -> None:
    _described_or_refused(keep, magic + rest)


def _described_or_refused(keep: Keep, data: bytes) -> None:
    try:
        layout = probe(keep(data), max_pixels=1_000_000).layout
    except PictureError as refusal:
        if refusal.reason not in (UNSUPPORTED, UNDECODABLE) or not refusal.detail:
            raise
        return
    assert 0 < layout.width * layout.height <= 1_000_000
    assert 1 <= layout.orientation <= 8
    end = 0
    for part in layout.parts:
        if not isinstance(part, bytes):
            assert end <= part.offset
            end = part.offset + part.length
            assert end <= len(data)


def test_a_bomb_is_refused_in_little_memory(keep: Keep) -> None:
    """In a process of its own, so that the peak is this probe's."""
    script = (
        "import resource, sys; from pathlib import Path; from photochanger.media.probe import probe\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: probe(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    path = keep(pictures.bomb_png())
    ran = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True, timeout=60)
    name, grown = ran.stdout.split()
    assert name == "PictureError"
    assert int(grown) < 20_000  # KiB
