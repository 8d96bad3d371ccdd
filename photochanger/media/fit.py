"""The shape in which a picture is delivered: what of it is kept, where it lies, how large it becomes."""

from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from photochanger.domain.slot import Output
from photochanger.media.probe import MAX_PIXELS

SMALLEST: Final = 16
LARGEST: Final = 20_000
"""Pixels per side that a slot may ask for: below, nothing is to be seen; JPEG itself ends at 65,535."""

_WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class Fit:
    """What a slot asks for. With `exact` the picture gets `width` x `height` pixels, otherwise only their aspect.

    "crop" cuts away evenly on both sides what is too much; "fit" keeps all of it and adds margins; "as_is" asks for
    nothing. A picture is enlarged only for an exact size.
    """

    mode: Output
    width: int
    height: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """What to do with one picture, in this order: cut out a part, bring it to a size, lay it on a canvas.

    The part is `width` x `height` pixels at `left`, `top`; it becomes `inner_width` x `inner_height` and lies in the
    middle of the canvas.
    """

    left: int
    top: int
    width: int
    height: int
    inner_width: int
    inner_height: int
    canvas_width: int
    canvas_height: int


def fit_of(
    output: Output, slot_width: int | None, slot_height: int | None, photo_width: int, photo_height: int
) -> Fit | None:
    """What a slot's output asks for a photo, whose sides are those of the upright photo; None for nothing.

    A size that no check would let through, as no picture can have it, counts as not given.
    """
    if output == "as_is":
        return None
    if _is_side(slot_width) and _is_side(slot_height) and slot_width * slot_height <= MAX_PIXELS:
        return Fit(output, slot_width, slot_height, exact=True)
    return Fit(output, photo_width, photo_height, exact=False)


def place(fit: Fit | None, width: int, height: int, *, max_pixels: int) -> Placement | None:
    """How a picture of `width` x `height` gets what `fit` asks for; None when it has it already.

    An aspect counts as met when one side is what the other asks for, to half a pixel. Margins that would make more
    than `max_pixels`, or sides beyond LARGEST, make the picture smaller instead.
    """
    if fit is None or fit.mode == "as_is":
        return None
    if (width, height) == (fit.width, fit.height) or (not fit.exact and _has_aspect(fit, width, height)):
        return None
    if fit.mode == "crop":
        part_width, part_height = _shaped(fit, width, height, inside=True)
        left, top = (width - part_width) // 2, (height - part_height) // 2
        whole = (fit.width, fit.height) if fit.exact else (part_width, part_height)
        return Placement(left, top, part_width, part_height, *whole, *whole)
    canvas_width, canvas_height = (fit.width, fit.height) if fit.exact else _canvas(fit, width, height, max_pixels)
    scale = min(canvas_width / width, canvas_height / height)
    inner_width = min(max(round(width * scale), 1), canvas_width)
    inner_height = min(max(round(height * scale), 1), canvas_height)
    return Placement(0, 0, width, height, inner_width, inner_height, canvas_width, canvas_height)


def laid_out(image: Any, it: Placement) -> Any:
    """The picture `image` (8-bit sRGB, with transparency or without) as `it` says. Margins are white, or clear.

    All of `image` is decoded, also what is cut away: damage there counts as anywhere else.
    """
    if (it.width, it.height) != (image.width, image.height):
        image = image.copy_memory().crop(it.left, it.top, it.width, it.height)
    if (it.inner_width, it.inner_height) != (it.width, it.height):
        image = _resized(image, it.inner_width, it.inner_height)
    if (it.inner_width, it.inner_height) != (it.canvas_width, it.canvas_height):
        left, top = (it.canvas_width - it.inner_width) // 2, (it.canvas_height - it.inner_height) // 2
        margin = [_WHITE, _WHITE, _WHITE, 0] if image.hasalpha() else [_WHITE, _WHITE, _WHITE]
        image = image.embed(left, top, it.canvas_width, it.canvas_height, extend="background", background=margin)
    return image


def _resized(image: Any, width: int, height: int) -> Any:
    across, down = width / image.width, height / image.height
    if not image.hasalpha():
        return image.resize(across, vscale=down)
    # Colours count as much as they are seen, or a clear edge would bleed into the picture.
    return image.premultiply().resize(across, vscale=down).unpremultiply().cast("uchar").copy(interpretation="srgb")


def _is_side(pixels: int | None) -> TypeGuard[int]:
    return pixels is not None and SMALLEST <= pixels <= LARGEST


def _has_aspect(fit: Fit, width: int, height: int) -> bool:
    return 2 * abs(width * fit.height - height * fit.width) <= max(fit.width, fit.height)


def _shaped(fit: Fit, width: int, height: int, *, inside: bool) -> tuple[int, int]:
    """The largest sides of the asked aspect inside the picture's, or the smallest around them."""
    is_wider = width * fit.height > height * fit.width
    if is_wider == inside:
        return max(_divided(height * fit.width, fit.height), 1), height
    return width, max(_divided(width * fit.height, fit.width), 1)


def _canvas(fit: Fit, width: int, height: int, max_pixels: int) -> tuple[int, int]:
    around = _shaped(fit, width, height, inside=False)
    scale = min(1.0, LARGEST / max(around), (max_pixels / (around[0] * around[1])) ** 0.5)
    return around if scale == 1 else _shaped(fit, *(max(int(side * scale), 1) for side in around), inside=True)


def _divided(dividend: int, divisor: int) -> int:
    """The nearest whole number; of two as near, the larger."""
    return (2 * dividend + divisor) // (2 * divisor)
