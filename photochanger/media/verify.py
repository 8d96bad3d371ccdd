"""A provider's picture counts only when it decodes whole. What nobody waits for, its preview, is made later."""

from dataclasses import dataclass
from pathlib import Path

from photochanger.media.files import write_new
from photochanger.media.fit import Fit, laid_out, place
from photochanger.media.formats.layout import Format
from photochanger.media.pixels import decoding, load, upright
from photochanger.media.prepare import QUALITY, to_jpeg
from photochanger.media.probe import MAX_PIXELS, Probe, probe
from photochanger.media.vips import Image

PREVIEW_SIDE = 512
_SHRINKS = (8, 4, 2)
"""Sizes in which a JPEG can be decoded more cheaply than whole, all of its data read all the same."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A picture that decodes whole and may be delivered from `path`. `reencoded` tells it from the provider's bytes."""

    path: Path
    mime: str
    width: int
    height: int
    reencoded: bool


def verify(
    path: Path,
    reply_path: Path,
    *,
    allow_png: bool = False,
    quality: int = QUALITY,
    max_pixels: int = MAX_PIXELS,
    fit: Fit | None = None,
) -> Verified:
    """Decode the provider's picture at `path` whole and make it fit to be delivered. Blocks: use a picture thread.

    A baseline sRGB JPEG that is upright is delivered untouched, and so is an 8-bit sRGB PNG where `allow_png`.
    Anything else (PNG, WebP, progressive, CMYK, greyscale, turned by EXIF, another profile) and what has not the
    shape that `fit` asks for is encoded anew to `reply_path`: as PNG, transparency kept, where it was one and
    `allow_png`; otherwise as baseline JPEG.

    What the provider called the picture does not matter, only its bytes do. Any complaint of the decoder counts as
    damage here, where a guest's own photo is treated more gently.

    Raises PictureError and StorageUnavailable; then nothing is left at `reply_path`.
    """
    it = probe(path, max_pixels=max_pixels)
    as_png = allow_png and it.format is Format.PNG
    placement = place(fit, it.width, it.height, max_pixels=max_pixels)
    if placement is None and (it.is_baseline_srgb or (as_png and _is_plain_png(it))):
        with decoding():
            load(path, it, "warning", shrink=_shrink(it)).avg()
        return Verified(path, it.mime, it.width, it.height, False)
    with decoding():
        image = upright(path, it, "warning", flatten=not as_png)
        if placement is not None:
            image = laid_out(image, placement)
        data = image.pngsave_buffer(keep="none", compression=3) if as_png else to_jpeg(image, quality)
    write_new(reply_path, data)
    return Verified(reply_path, "image/png" if as_png else "image/jpeg", image.width, image.height, True)


def write_preview(picture: Path, path: Path) -> int:
    """Write the WebP preview of a verified picture; its bytes. Nobody waits for it, so it decodes anew.

    The quickest effort is a tenth larger than the best. Raises PictureError and StorageUnavailable.
    """
    with decoding():
        image = Image.thumbnail(str(picture), PREVIEW_SIDE, height=PREVIEW_SIDE, size="down")
        if image.hasalpha():
            image = image.flatten(background=255)
        data = image.webpsave_buffer(Q=80, effort=0, keep="none")
    write_new(path, data)
    return len(data)


def _is_plain_png(it: Probe) -> bool:
    layout = it.layout
    return layout.orientation == 1 and layout.bit_depth <= 8 and not it.has_foreign_profile


def _shrink(it: Probe) -> int:
    """How much smaller to decode: the smaller, the cheaper, and reading it whole is what verifies."""
    if it.format is not Format.JPEG:
        return 1
    return next((factor for factor in _SHRINKS if min(it.width, it.height) >= factor), 1)
