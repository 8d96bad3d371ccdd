"""Every look is a picture of the same shape, visibly another one, and strength leads from the photo to it."""

from itertools import combinations
from typing import Any

import pytest

from photochanger.media.vips import Image
from photochanger.providers.local import looks
from photochanger.providers.local.settings import LOOK_NAMES
from tests.lab import pictures


@pytest.fixture(scope="module")
def photo() -> Any:
    return pictures.scene(480, 320).copy_memory()


def difference(one: Any, other: Any) -> float:
    return float((one - other).abs().avg())


def test_the_settings_name_every_look() -> None:
    assert set(LOOK_NAMES) == set(looks.LOOKS)


@pytest.mark.parametrize("look", LOOK_NAMES)
def test_a_look_is_a_visibly_different_picture_of_the_same_shape(look: str, photo: Any) -> None:
    changed = looks.apply(photo, look, 1.0)
    assert (changed.width, changed.height, changed.bands, changed.format, changed.interpretation) == (
        photo.width,
        photo.height,
        3,
        "uchar",
        "srgb",
    )
    assert difference(changed, photo) > 8  # steps of 255: seen at a glance
    assert changed.deviate() > 25  # still a picture, not a flat area


@pytest.mark.parametrize("look", LOOK_NAMES)
def test_a_look_keeps_what_is_light_and_what_is_dark(look: str, photo: Any) -> None:
    """The sun stays lighter than the sky, the sky lighter than hair: guests must be recognised."""
    grey = looks.apply(photo, look, 1.0).colourspace("b-w")
    sun, sky, hair = (grey.getpoint(x, y)[0] for x, y in ((394, 64), (250, 40), (165, 100)))
    assert sun > sky > hair


def test_looks_differ_from_each_other(photo: Any) -> None:
    made = {look: looks.apply(photo, look, 1.0).copy_memory() for look in LOOK_NAMES}
    for one, other in combinations(made, 2):
        assert difference(made[one], made[other]) > 6, (one, other)


@pytest.mark.parametrize("look", LOOK_NAMES)
def test_strength_leads_from_the_photo_to_the_look(look: str, photo: Any) -> None:
    assert difference(looks.apply(photo, look, 0.0), photo) == 0
    steps = [difference(looks.apply(photo, look, strength), photo) for strength in (0.25, 0.5, 0.75, 1.0)]
    assert steps == sorted(steps)
    assert steps[0] > 1


@pytest.mark.parametrize("look", LOOK_NAMES)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (300, 1), (7, 5), (2001, 3)])
def test_odd_shapes_are_no_problem(look: str, width: int, height: int) -> None:
    photo = (Image.black(width, height, bands=3) + 120).cast("uchar").copy(interpretation="srgb").copy_memory()
    changed = looks.apply(photo, look, 0.8).copy_memory()
    assert (changed.width, changed.height) == (width, height)


@pytest.mark.parametrize("grey", [0, 255])
@pytest.mark.parametrize("look", LOOK_NAMES)
def test_black_and_white_do_not_wrap_around(look: str, grey: int) -> None:
    photo = (Image.black(64, 64, bands=3) + grey).cast("uchar").copy(interpretation="srgb").copy_memory()
    middle = looks.apply(photo, look, 1.0).colourspace("b-w").getpoint(32, 32)[0]
    assert abs(middle - grey) < 80
