"""A provider's picture counts only when it decodes whole. The same decoding gives the pixels of the preview."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photochanger.media.files import write_new
from photochanger.media.formats.layout import Format
from photochanger.media.pixels import IN_MEMORY, decoding, load, small, upright
from photochanger.media.prepare import QUALITY, to_jpeg
from photochanger.media.probe import MAX_PIXELS, Probe, probe
from photochanger.media.vips import Image

PREVIEW_SIDE = 512
KEPT_SIDE = 768
"""Pixels up to which a decoded picture is kept as it is: scaling it to the preview's size can wait until after the
reply, a larger one would take too much memory until then."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """A small decoded picture: rows of 8-bit RGB, at most KEPT_SIDE on the longest side."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Verified:
    """A picture that decodes whole and may be delivered from `path`. `reencoded` tells it from the provider's bytes."""

    path: Path
    mime: str
    width: int
    height: int
    reencoded: bool
    preview: Pixels


def verify(
    path: Path, reply_path: Path, *, allow_png: bool = False, quality: int = QUALITY, max_pixels: int = MAX_PIXELS
) -> Verified:
    """Decode the provider's picture at `path` whole and make it fit to be delivered. Blocks: use a picture thread.

    A baseline sRGB JPEG that is upright is delivered untouched, and so is an 8-bit sRGB PNG where `allow_png`.
    Anything else (PNG, WebP, progressive, CMYK, greyscale, turned by EXIF, another profile) is encoded anew to
    `reply_path`: as PNG, transparency kept, where it was one and `allow_png`; otherwise as baseline JPEG.

    What the provider called the picture does not matter, only its bytes do. Any complaint of the decoder counts as
    damage here, where a guest's own photo is treated more gently.

    Raises PictureError and StorageUnavailable; then nothing is left at `reply_path`.
    """
    it = probe(path, max_pixels=max_pixels)
    as_png = allow_png and it.format is Format.PNG
    if it.is_baseline_srgb or (as_png and _is_plain_png(it)):
        with decoding():
            preview = _preview(load(path, it, "warning", shrink=_shrink(it)))
        return Verified(path, it.mime, it.width, it.height, False, preview)
    with decoding():
        image = upright(path, it, "warning", flatten=not as_png)
        in_memory = image.width * image.height <= IN_MEMORY
        if in_memory:
            image = image.copy_memory()
        data = image.pngsave_buffer(keep="none", compression=3) if as_png else to_jpeg(image, quality)
        if not in_memory:
            image = upright(path, it, "warning", longest_side=PREVIEW_SIDE)
        preview = _preview(image)
    write_new(reply_path, data)
    return Verified(reply_path, "image/png" if as_png else "image/jpeg", it.width, it.height, True, preview)


def write_preview(pixels: Pixels, path: Path) -> int:
    """Write the WebP preview; its bytes. About 6 ms: the quickest effort is a tenth larger than the best.

    Raises StorageUnavailable.
    """
    image = Image.new_from_memory(pixels.data, pixels.width, pixels.height, 3, "uchar").copy(interpretation="srgb")
    data = small(image, PREVIEW_SIDE).webpsave_buffer(Q=80, effort=0, keep="none")
    write_new(path, data)
    return len(data)


def _is_plain_png(it: Probe) -> bool:
    layout = it.layout
    return layout.orientation == 1 and layout.bit_depth <= 8 and not it.has_foreign_profile


def _shrink(it: Probe) -> int:
    """How much smaller a JPEG may be decoded and still fill a preview: reading it whole is what verifies."""
    if it.format is not Format.JPEG:
        return 1
    longest, shortest = max(it.width, it.height), min(it.width, it.height)
    fitting = (factor for factor in (8, 4, 2) if longest // factor >= PREVIEW_SIDE and shortest >= factor)
    return next(fitting, 1)


def _preview(image: Any) -> Pixels:
    if max(image.width, image.height) > KEPT_SIDE:
        image = small(image, PREVIEW_SIDE)
    if image.hasalpha():
        image = image.flatten(background=255)
    if image.interpretation != "srgb" or image.format != "uchar":
        image = image.colourspace("srgb")
    return Pixels(image.write_to_memory(), image.width, image.height)
