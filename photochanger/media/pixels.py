"""Decoding: from a file that was probed to an upright 8-bit sRGB picture, lazily, strip by strip where possible."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from photochanger.media.formats.layout import Format, damaged
from photochanger.media.probe import Probe
from photochanger.media.vips import Error, Image

Strictness = Literal["truncated", "warning"]
"""When decoding fails: "truncated" = pixels are missing; "warning" = the decoder complained of anything at all."""

_WHITE = 255
_SEVERAL_ROWS = frozenset({3, 4, 5, 6, 7, 8})
"""Turns that need later rows first, so that the picture has to be in memory."""


@contextmanager
def decoding() -> Iterator[None]:
    """libvips' failures inside become PictureError: after a probe they mean that the pixels are damaged."""
    try:
        yield
    except Error as error:
        raise damaged("The picture is damaged: it cannot be decoded whole.") from error


def load(path: Path, probe: Probe, strictness: Strictness, *, shrink: int = 1) -> Any:
    """The stored picture, not decoded yet. `shrink` (1, 2, 4, 8) lets a JPEG decode smaller, still reading all of it.

    Raises PictureError, also when libvips sees another size than the probe did (a file made to fool one of them).
    """
    options = {"shrink": shrink} if probe.format is Format.JPEG else {}
    image = Image.new_from_file(str(path), access="sequential", fail_on=strictness, **options)
    layout = probe.layout
    if abs(image.width * shrink - layout.width) >= shrink or abs(image.height * shrink - layout.height) >= shrink:
        raise damaged("The picture's headers contradict each other.")
    return image


def upright(
    path: Path, probe: Probe, strictness: Strictness, *, longest_side: int | None = None, flatten: bool = True
) -> Any:
    """The picture as it should be seen: turned, 8-bit sRGB of three channels, transparency on white if `flatten`.

    Decoding happens when the picture is used, so use it inside `decoding()`. Only ever made smaller.
    """
    layout = probe.layout
    image = load(path, probe, strictness)
    if longest_side is not None and max(layout.width, layout.height) > longest_side:
        image = Image.thumbnail(
            str(path),
            longest_side,
            height=longest_side,
            size="down",
            no_rotate=True,
            fail_on=strictness,
            **({"output_profile": "srgb"} if _has_foreign_profile(image, probe) else {}),
        )
    elif _has_foreign_profile(image, probe):
        image = image.icc_transform("srgb", embedded=True)  # a profile that is nonsense is taken for sRGB
    if image.interpretation != "srgb" or image.format != "uchar":
        image = image.colourspace("srgb")
    if flatten and image.hasalpha():
        image = image.flatten(background=_WHITE)
    return _turned(image, layout.orientation)


def _has_foreign_profile(image: Any, probe: Probe) -> bool:
    """Only asked for where there is one: a conversion from sRGB to sRGB would cost ten times the decoding."""
    return probe.has_foreign_profile and bool(image.get_typeof("icc-profile-data"))


def _turned(image: Any, orientation: int) -> Any:
    """`image` turned as EXIF's `orientation` asks: 2-4 are mirrored or upside down, 5-8 lie on a side."""
    if orientation in _SEVERAL_ROWS:
        image = image.copy_memory()
    if orientation in (3, 4):
        image = image.rot180()
    elif orientation in (5, 6):
        image = image.rot90()
    elif orientation in (7, 8):
        image = image.rot270()
    return image.fliphor() if orientation in (2, 4, 5, 7) else image
