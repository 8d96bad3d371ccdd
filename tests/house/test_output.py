"""The shape, the kind and the weight of the picture that the booth gets, and of the photo that the provider gets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from photochanger.media.vips import Image
from tests.house.given import GivenAnswers, with_picture
from tests.house.shared import SharedHouse, shared_house
from tests.lab import pictures
from tests.lab.house import Lab
from tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def given() -> GivenAnswers:
    """Whatever picture a test wants the provider to draw."""
    return GivenAnswers()


@pytest.fixture(scope="module")
def house(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory, given: GivenAnswers
) -> Iterator[SharedHouse]:
    """A house with that provider."""

    async def furnish(lab: Lab) -> None:
        await lab.background.start(given.server.run)

    var = tmp_path_factory.mktemp("output")
    with shared_house(postgres_server, var, gemini_base_url=given.base_url, rate_burst=10_000) as house:
        house.run(furnish)
        yield house


async def delivered(lab: Lab, photo: bytes, **columns: Any) -> bytes:
    """What the booth gets for `photo` by a slot with these columns."""
    plain: dict[str, Any] = {
        "output": "as_is", "output_width": None, "output_height": None, "allow_png": False, "jpeg_quality": 92,
        "longest_side": None, "send_quality": 92,
    }  # fmt: skip
    await lab.set_slot(**(plain | columns))
    shot = await lab.shoot(photo)
    assert (shot.status, shot.verdict) == (200, "modified"), shot.why
    await lab.rest()
    mime = shot.header("content-type")
    loader = decode(shot.body).get("vips-loader")
    assert (mime, loader) in (("image/jpeg", "jpegload_buffer"), ("image/png", "pngload_buffer"))
    result = await lab.house.db.fetchrow("SELECT * FROM result ORDER BY created_at DESC LIMIT 1")
    assert result is not None
    image = decode(shot.body)
    assert (result["mime"], result["width"], result["height"]) == (mime, image.width, image.height)
    return shot.body


def decode(data: bytes) -> Any:
    return Image.new_from_buffer(data, "")


def size(data: bytes) -> tuple[int, int]:
    image = decode(data)
    return image.width, image.height


def is_baseline_srgb(data: bytes) -> bool:
    """A JPEG of the plainest kind: three bands, Huffman baseline, no other colour space and no turning."""
    image = decode(data)
    names = set(image.get_fields())
    return (
        data.startswith(b"\xff\xd8")
        and b"\xff\xc0" in data
        and b"\xff\xc2" not in data
        and (image.bands, image.interpretation, image.format) == (3, "srgb", "uchar")
        and not names & {"icc-profile-data", "exif-data", "orientation"}
    )


# --- shape ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """A slot's output, the size it makes of a 600x600 picture for a 320x240 photo, and whether there are margins."""

    columns: dict[str, Any]
    size: tuple[int, int]
    margins: str = ""


SHAPES = {
    "as it is": Shape({"output": "as_is"}, (600, 600)),
    "as it is, whatever pixels are asked for": Shape(
        {"output": "as_is", "output_width": 300, "output_height": 100}, (600, 600)
    ),
    "the photo's shape, all of the picture": Shape({"output": "fit"}, (800, 600), "sides"),
    "the photo's shape, cut": Shape({"output": "crop"}, (600, 450)),
    "given pixels, all of the picture": Shape(
        {"output": "fit", "output_width": 700, "output_height": 400}, (700, 400), "sides"
    ),
    "given pixels, upright": Shape(
        {"output": "fit", "output_width": 300, "output_height": 500}, (300, 500), "top and bottom"
    ),
    "given pixels, cut": Shape({"output": "crop", "output_width": 700, "output_height": 400}, (700, 400)),
    "given pixels, larger": Shape({"output": "crop", "output_width": 1200, "output_height": 900}, (1200, 900)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_that_the_slot_asks_for(house: SharedHouse, given: GivenAnswers, name: str) -> None:
    shape = SHAPES[name]
    given.play = with_picture(pictures.photo(600, 600))
    body = house.run(lambda lab: delivered(lab, pictures.photo(320, 240), **shape.columns))
    assert size(body) == shape.size
    assert is_baseline_srgb(body)
    image = decode(body)
    corners = [image(4, 4), image(image.width - 5, image.height - 5)]
    if shape.margins:
        assert all(min(corner) > 250 for corner in corners), corners
        middle = image(4, image.height // 2) if shape.margins == "sides" else image(image.width // 2, 4)
        assert min(middle) > 250
    else:
        assert not any(min(corner) > 250 for corner in corners), corners


def test_the_photos_shape_is_that_of_the_upright_photo(house: SharedHouse, given: GivenAnswers) -> None:
    given.play = with_picture(pictures.photo(600, 600))
    photo = pictures.turned(6, 300, 200)
    assert size(photo) == (200, 300)
    assert size(house.run(lambda lab: delivered(lab, photo, output="crop"))) == (600, 400)


# --- kind and weight --------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "png": (pictures.png, "image/png"),
    "png with transparency": (pictures.png_alpha, "image/png"),
    "png of 16 bits": (pictures.png16, "image/png"),
    "webp": (pictures.webp, "image/webp"),
    "progressive": (pictures.progressive, "image/jpeg"),
    "cmyk": (pictures.cmyk, "image/jpeg"),
    "grey": (pictures.grey, "image/jpeg"),
    "another profile": (pictures.jpeg_with_profile, "image/jpeg"),
    "turned": (lambda: pictures.turned(8), "image/jpeg"),
    "full of metadata": (lambda: pictures.with_all_metadata(pictures.progressive()), "image/jpeg"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_comes_a_baseline_srgb_jpeg_leaves(
    house: SharedHouse, given: GivenAnswers, small_photo: bytes, kind: str
) -> None:
    make, mime = KINDS[kind]
    given.play = with_picture(make(), mime)
    body = house.run(lambda lab: delivered(lab, small_photo))
    assert is_baseline_srgb(body)
    assert max(size(body)) == 300


def test_a_plain_jpeg_is_not_touched(house: SharedHouse, given: GivenAnswers, small_photo: bytes) -> None:
    plain = pictures.photo(400, 300)
    given.play = with_picture(plain)
    assert house.run(lambda lab: delivered(lab, small_photo, jpeg_quality=10)) == plain


def test_png_is_delivered_only_where_it_is_allowed(house: SharedHouse, given: GivenAnswers, small_photo: bytes) -> None:
    given.play = with_picture(pictures.png(), "image/png")
    png = house.run(lambda lab: delivered(lab, small_photo, allow_png=True))
    assert png.startswith(b"\x89PNG")
    jpeg = house.run(lambda lab: delivered(lab, small_photo, allow_png=False))
    assert jpeg.startswith(b"\xff\xd8")
    given.play = with_picture(pictures.photo(400, 300))
    assert house.run(lambda lab: delivered(lab, small_photo, allow_png=True)).startswith(b"\xff\xd8")
    given.play = with_picture(pictures.png(), "image/png")
    shaped = house.run(lambda lab: delivered(lab, small_photo, allow_png=True, output="crop"))
    assert shaped.startswith(b"\x89PNG")
    assert size(shaped) == (267, 200)


def test_the_jpeg_quality_is_the_slots(house: SharedHouse, given: GivenAnswers, small_photo: bytes) -> None:
    given.play = with_picture(pictures.png(600, 400), "image/png")
    low, high = (
        len(house.run(lambda lab, quality=quality: delivered(lab, small_photo, jpeg_quality=quality)))
        for quality in (30, 95)
    )
    assert low < high / 2


# --- what the provider gets -------------------------------------------------------------------------------------


def test_the_photo_travels_as_large_and_as_good_as_the_slot_says(house: SharedHouse, given: GivenAnswers) -> None:
    given.play = with_picture(pictures.photo(400, 300))
    photo = pictures.photo(1600, 1200)
    sent: list[bytes] = []
    for columns in ({}, {"longest_side": 800}, {"longest_side": 800, "send_quality": 40}, {"longest_side": 1600}):
        house.run(lambda lab, columns=columns: delivered(lab, photo, **columns))
        sent += given.pictures()
    assert [size(data) for data in sent] == [(1600, 1200), (800, 600), (800, 600), (1600, 1200)]
    whole, smaller, coarser, untouched = map(len, sent)
    assert whole == untouched
    assert smaller < whole / 2
    assert coarser < smaller / 1.5
