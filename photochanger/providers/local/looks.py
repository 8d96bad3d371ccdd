"""The looks: each turns an upright 8-bit sRGB picture that is in memory into another one of the same size.

They are built from tables (256 entries per channel), colour matrices and blurs made on a small copy, so that a
picture of 2048 pixels takes about a tenth of a second.
"""

from collections.abc import Callable
from itertools import pairwise
from math import exp
from typing import Any, Final

from photochanger.media.vips import Image

Look = Callable[[Any], Any]
Colour = tuple[int, int, int]

_LUMA = (0.36, 0.54, 0.10)
"""Shares of red, green and blue in grey: a little more red than in television's, which is kind to skin."""

_DRAWING = 1024


def mono(picture: Any) -> Any:
    """Black and white with deep shadows, as a portrait film gives it."""
    return _spread(_grey(picture).maplut(_curve(lambda x: _contrast(x, 5.2))))


def sepia(picture: Any) -> Any:
    """An old print: warm brown shadows, cream light."""
    tones = _toned([(0, (22, 12, 6)), (70, (88, 58, 34)), (160, (186, 148, 104)), (255, (255, 243, 218))])
    return _grey(picture).maplut(_curve(lambda x: _contrast(x, 3.2))).maplut(tones)


def vivid(picture: Any) -> Any:
    """Stronger colours and a crisper picture, for prints."""
    richer = _saturated(picture, 1.42).maplut(_curve(lambda x: _contrast(x, 3.4)))
    return _bytes(richer + (richer - _blurred(richer, 0.002)) * 0.6)


def cinema(picture: Any) -> Any:
    """Film colours: teal shadows, amber light, blacks that are not quite black."""
    graded = _saturated(picture, 0.92)
    red = _curve(lambda x: 0.03 + 0.97 * _contrast(x, 4.2))
    green = _curve(lambda x: 0.05 + 0.92 * _contrast(x, 3.2))
    blue = _curve(lambda x: 0.13 + 0.70 * _contrast(x, 2.2))
    return _darkened_edges(graded.maplut(red.bandjoin([green, blue])), 0.30)


def poster(picture: Any) -> Any:
    """A printed poster: few flat colours and dark outlines.

    Grain is taken out and outlines are found on a copy of `_DRAWING` pixels; colours are made few only after that
    copy was enlarged, so that their borders are smooth curves.
    """
    scale = min(1.0, _DRAWING / max(picture.width, picture.height))
    drawing = picture.resize(scale, kernel="linear") if scale < 1 else picture
    if min(drawing.width, drawing.height) >= 3:  # the size of the median's window
        drawing = drawing.median(3).median(3)
    drawing = drawing.gaussblur(1.2).copy_memory()
    outlines = _bytes(_grey(drawing).sobel() * 1.9 - 40)
    smooth, lines = (_fitted(layer, picture, "cubic") for layer in (drawing, 255 - outlines.gaussblur(0.7)))
    flat = _saturated(smooth, 1.45).maplut(_curve(lambda x: round(_contrast(x, 2.4) * 6) / 6))
    return _bytes(flat * (lines / 255))


def vignette(picture: Any) -> Any:
    """Warm light in the middle, dark corners: the eye goes to the face."""
    warm = _saturated(picture, 1.1) * [1.06, 1.01, 0.90]
    return _darkened_edges(_bytes(warm).maplut(_curve(lambda x: _contrast(x, 2.6))), 0.78)


def soft_glow(picture: Any) -> Any:
    """Light that bleeds softly over its edges, as with a silk filter before the lens."""
    glow = _blurred(picture.maplut(_curve(lambda x: x**1.25)), 0.016)
    screened = 255 - (255 - picture) * (255 - glow * 0.72) / 255
    return _saturated(_bytes(screened).maplut(_curve(lambda x: x**1.32)), 1.12)


def duotone(picture: Any) -> Any:
    """Two inks: deep violet shadows, coral and yellow light."""
    tones = _toned([(0, (26, 12, 72)), (90, (128, 24, 122)), (170, (248, 104, 96)), (255, (255, 236, 170))])
    return _grey(picture).maplut(_curve(lambda x: _contrast(x, 4.0))).maplut(tones)


LOOKS: Final[dict[str, Look]] = {
    look.__name__: look for look in (mono, sepia, vivid, cinema, poster, vignette, soft_glow, duotone)
}


def apply(picture: Any, look: str, strength: float) -> Any:
    """`picture` in the named look; at a strength below 1 the picture shows through. Same size, 8-bit sRGB."""
    changed = LOOKS[look](picture)
    if strength < 1:
        changed = _bytes(picture * (1 - strength) + changed * strength)
    return changed.copy(interpretation="srgb")


# --- what looks are made of ---


def _contrast(x: float, strength: float) -> float:
    """A smooth S over 0 to 1: shadows darker, lights lighter, both ends where they were."""
    low, high = 1 / (1 + exp(strength / 2)), 1 / (1 + exp(-strength / 2))
    return (1 / (1 + exp(-strength * (x - 0.5))) - low) / (high - low)


def _curve(function: Callable[[float], float]) -> Any:
    """A table for `maplut` of what `function` makes of 0 to 1."""
    return _table([[min(max(round(function(x / 255) * 255), 0), 255)] for x in range(256)])


def _toned(stops: list[tuple[int, Colour]]) -> Any:
    """A table from grey to colour, linear between `stops`."""
    rows = []
    for (start, left), (end, right) in pairwise(stops):
        last = end == 255
        for value in range(start, end + last):
            share = (value - start) / (end - start)
            rows.append([round(a + (b - a) * share) for a, b in zip(left, right, strict=True)])
    return _table(rows)


def _table(rows: list[list[int]]) -> Any:
    data = bytes(value for row in rows for value in row)
    return Image.new_from_memory(data, len(rows), 1, len(rows[0]), "uchar").copy()


def _bytes(picture: Any) -> Any:
    """Values cut to 0-255 and kept as bytes."""
    return picture.cast("uchar")


def _grey(picture: Any) -> Any:
    return _bytes(picture.recomb([list(_LUMA)]))


def _spread(grey: Any) -> Any:
    return grey.bandjoin([grey, grey])


def _saturated(picture: Any, amount: float) -> Any:
    """Colours moved away from grey (`amount` above 1) or towards it."""
    rows = [
        [share * (1 - amount) + (amount if row == column else 0) for column, share in enumerate(_LUMA)]
        for row in range(3)
    ]
    return _bytes(picture.recomb(rows))


def _blurred(picture: Any, radius: float) -> Any:
    """Blurred over `radius` of the longest side. A wide blur is made on a small copy: the eye sees no difference."""
    sigma = radius * max(picture.width, picture.height)
    shrink = max(1.0, sigma / 2.5)
    small = picture.resize(1 / shrink, kernel="linear") if shrink > 1 else picture
    soft = small.gaussblur(max(sigma / shrink, 0.5)).copy_memory()
    return _fitted(soft, picture, "linear")


def _fitted(layer: Any, picture: Any, kernel: str) -> Any:
    """`layer` stretched to the size of `picture`."""
    return layer.resize(picture.width / layer.width, vscale=picture.height / layer.height, kernel=kernel)


def _darkened_edges(picture: Any, amount: float) -> Any:
    """Light falling off towards the corners, as an ellipse that follows the picture's shape."""
    at = Image.xyz(64, 64)
    x, y = (at[0] - 31.5) / 32, (at[1] - 31.5) / 32
    distance = (x * x + y * y) / 2
    mask = (1 - distance**1.5 * amount).copy_memory()
    return _bytes(picture * _fitted(mask, picture, "cubic"))
