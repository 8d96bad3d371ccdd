"""The pictures that tests are made with are what their names say."""

import struct

import pytest

from photochanger.media.vips import Image
from tests.lab import pictures


@pytest.mark.parametrize(
    ("width", "height", "target"), [(1344, 896, 1_000_000), (640, 426, 60_000), (900, 600, 90_000)]
)
def test_a_photo_has_about_the_size_that_was_asked_for(width: int, height: int, target: int) -> None:
    data = pictures.photo(width, height, target)
    assert 0.9 * target < len(data) < 1.1 * target
    image = Image.new_from_buffer(data, "", fail_on="warning")
    assert (image.width, image.height) == (width, height)


def test_a_salted_photo_has_the_same_pixels_and_other_bytes() -> None:
    one, other = pictures.photo(64, 64), pictures.salted(pictures.photo(64, 64), "7")
    assert one != other
    assert (Image.new_from_buffer(one, "") - Image.new_from_buffer(other, "")).abs().max() == 0


@pytest.mark.parametrize(("width", "height"), [(300, 200), (2000, 1503)])
def test_a_bomb_is_a_valid_picture_of_black(width: int, height: int) -> None:
    data = pictures.bomb_png(width, height)
    image = Image.new_from_buffer(data, "", fail_on="warning")
    assert (image.width, image.height, image.max()) == (width, height, 0)


def test_the_full_bomb_is_small() -> None:
    data = pictures.bomb_png()
    assert len(data) < 3_000_000
    assert struct.unpack(">II", data[16:24]) == (50_000, 50_000)


def test_a_cmyk_jpeg_carries_adobe_s_marker() -> None:
    assert b"\xff\xee\0\x0eAdobe" in pictures.cmyk()


def test_the_animated_webp_has_several_pages() -> None:
    assert Image.new_from_buffer(pictures.animated_webp(), "", n=-1).get("n-pages") == 3
