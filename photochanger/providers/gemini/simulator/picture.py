"""A picture visibly made from the guest's photo: inked outlines, few colours, a warm and cold grade, and a mark
that says it was simulated. By libvips; blocks, so it is run in a thread.
"""

from typing import Final

import pyvips

MARK: Final = "SIMULATED"

SIZES_3: Final = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
}
"""Pixels at 1K; 2K and 4K double each time. Google's image generation page."""

SIZES_2_5: Final = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
_EXTREME: Final = {"1:4": (512, 2048), "4:1": (2048, 512), "1:8": (360, 2880), "8:1": (2880, 360)}
"""Not documented; some sizes of that shape."""

_SCALE: Final = {"1K": 1, "2K": 2, "4K": 4}

NotAPicture = pyvips.Error
"""Raised by `transform` when the photo cannot be decoded."""


def output_size(model: str, ratio: str | None, tier: str, photo: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of the answer: of `ratio`, else of the ratio nearest to the photo's, else square."""
    sizes = SIZES_2_5 if model.startswith("gemini-2.5") else SIZES_3
    if ratio is None and photo is not None:
        shape = photo[0] / photo[1]
        ratio = min(sizes, key=lambda name: max(shape / _shape(sizes[name]), _shape(sizes[name]) / shape))
    width, height = (sizes | _EXTREME)[ratio or "1:1"]
    return width * _SCALE[tier], height * _SCALE[tier]


def _shape(size: tuple[int, int]) -> float:
    return size[0] / size[1]


def photo_size(data: bytes) -> tuple[int, int]:
    """Width and height of a photo as it is looked at, turned by EXIF. Raises NotAPicture."""
    image = pyvips.Image.new_from_buffer(data, "", access="sequential")
    turned = image.get("orientation") >= 5 if image.get_typeof("orientation") else False
    return (image.height, image.width) if turned else (image.width, image.height)


def transform(photo: bytes | None, size: tuple[int, int], label: str, *, png: bool = False) -> bytes:
    """The answer's picture as JPEG (or PNG), exactly `size`. Raises NotAPicture."""
    width, height = size
    if photo is None:
        source = _backdrop(width, height)
    else:
        source = pyvips.Image.thumbnail_buffer(
            photo, width, height=height, size="both", crop="centre", fail_on="truncated"
        )
        source = _three_bands(source)
    drawn = _mark(_draw(source), label)
    return bytes(drawn.pngsave_buffer(compression=3) if png else drawn.jpegsave_buffer(Q=90, keep="none"))


def _three_bands(image: pyvips.Image) -> pyvips.Image:
    if image.hasalpha():
        image = image.flatten(background=[255])
    return image.colourspace("srgb")[:3].cast("uchar") if image.bands != 3 else image.colourspace("srgb").cast("uchar")


def _backdrop(width: int, height: int) -> pyvips.Image:
    """Something to draw when no photo was sent."""
    ramp = pyvips.Image.xyz(width, height)
    bands = ramp[0] * (200 / width) + 40, ramp[1] * (160 / height) + 60, ramp[0] * (-120 / width) + 200
    return bands[0].bandjoin(list(bands[1:])).cast("uchar").copy(interpretation="srgb")


def _draw(source: pyvips.Image) -> pyvips.Image:
    """Flat colours in lightness steps, stronger chroma, blue shadows and warm lights, dark outlines."""
    source = source.copy_memory()
    smooth = source.gaussblur(2.2)  # a median would look more painted, and cost three times the rest
    lch = smooth.colourspace("lch")
    steps = 7
    lightness = ((lch[0] * (steps / 100)).rint() * (100 / steps)) * 0.85 + lch[0] * 0.15
    lab = lightness.bandjoin([lch[1] * 1.45, lch[2]]).copy(interpretation="lch").colourspace("lab")
    warmth = (lightness - 50) * 0.22
    graded = lab[0].bandjoin([lab[1] + warmth * 0.5, lab[2] + warmth]).copy(interpretation="lab").colourspace("srgb")
    outline = source.colourspace("b-w").gaussblur(1.4).cast("uchar").sobel()
    ink = (outline.cast("float") * -4.5 + 330).cast("uchar") / 255
    return (graded * ink).cast("uchar").copy(interpretation="srgb")


def _mark(image: pyvips.Image, label: str) -> pyvips.Image:
    """A frame, and a striped band at the foot with the mark and the label in it. Without fonts only the band."""
    width, height = image.width, image.height
    band = max(28, height // 16)
    edge = max(6, height // 100)
    ramp = pyvips.Image.xyz(width, band)
    stripes = (((ramp[0] + ramp[1]) % (band * 1.2)) < band * 0.6).ifthenelse([34, 34, 40], [52, 50, 30])
    image = image.insert(stripes.cast("uchar"), 0, height - band)
    for left, top, wide, high in (
        (0, 0, width, edge),
        (0, height - edge, width, edge),
        (0, 0, edge, height),
        (width - edge, 0, edge, height),
    ):
        image = image.insert(pyvips.Image.black(wide, high, bands=3).linear(1, [240, 190, 40], uchar=True), left, top)
    try:
        text = pyvips.Image.text(
            f"{MARK} · {label}", font="sans bold", width=int(width * 0.94), height=int(band * 0.52)
        )
    except pyvips.Error:
        return image.cast("uchar")
    left, top = (width - text.width) // 2, height - band + (band - edge - text.height) // 2
    mask = text.embed(left, top, width, height)
    return mask.ifthenelse([255, 236, 170], image.cast("uchar"), blend=True).cast("uchar")
