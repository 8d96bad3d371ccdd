"""A guest for the demo: a portrait drawn here, grainy like a camera's and lying on its side like a camera's."""

from pathlib import Path

from photochanger.media.vips import Image

WIDTH, HEIGHT = 1200, 1800
_GINT = 24  # GObject's number for a whole-number field


def draw_guest(path: Path) -> None:
    """Write a JPEG of some megabytes that looks like a booth's photo: upright only by its EXIF orientation."""
    picture = _backdrop()
    for centre, radius, colour in _SHAPES:
        picture = _ellipse(picture, centre, radius, colour)
    grain = Image.gaussnoise(WIDTH, HEIGHT, mean=0, sigma=7)
    picture = (picture + grain).cast("uchar").copy(interpretation="srgb")
    # As from a booth's camera mounted on end: the pixels lie on their side, and the EXIF tag says so.
    turned = picture.rot270().copy()
    turned.set_type(_GINT, "orientation", 6)
    turned.jpegsave(str(path), Q=93)


Point = tuple[float, float]
Colour = tuple[int, int, int]

_SKIN: Colour = (226, 178, 148)
_HAIR: Colour = (70, 44, 30)
_WHITE: Colour = (245, 243, 240)
_SHAPES: tuple[tuple[Point, Point, Colour], ...] = (
    ((0.50, 1.06), (0.46, 0.34), (196, 60, 70)),  # shoulders
    ((0.50, 0.74), (0.11, 0.16), (206, 156, 128)),  # neck
    ((0.50, 0.42), (0.31, 0.26), _HAIR),
    ((0.50, 0.49), (0.245, 0.235), _SKIN),
    ((0.50, 0.30), (0.24, 0.085), _HAIR),  # fringe
    ((0.41, 0.47), (0.050, 0.021), _WHITE),
    ((0.59, 0.47), (0.050, 0.021), _WHITE),
    ((0.41, 0.47), (0.022, 0.018), (52, 92, 120)),
    ((0.59, 0.47), (0.022, 0.018), (52, 92, 120)),
    ((0.41, 0.47), (0.009, 0.007), (10, 10, 12)),
    ((0.59, 0.47), (0.009, 0.007), (10, 10, 12)),
    ((0.41, 0.437), (0.062, 0.007), _HAIR),
    ((0.59, 0.437), (0.062, 0.007), _HAIR),
    ((0.50, 0.545), (0.030, 0.016), (212, 152, 126)),  # nose
    ((0.355, 0.57), (0.045, 0.025), (232, 160, 140)),  # cheeks
    ((0.645, 0.57), (0.045, 0.025), (232, 160, 140)),
    ((0.50, 0.615), (0.095, 0.033), (176, 60, 66)),  # a smile
    ((0.50, 0.600), (0.100, 0.026), _SKIN),
)
_LIGHTS: tuple[tuple[Point, float, Colour], ...] = (
    ((0.12, 0.14), 0.16, (255, 206, 120)),
    ((0.88, 0.10), 0.20, (255, 170, 110)),
    ((0.20, 0.62), 0.13, (140, 170, 255)),
    ((0.90, 0.55), 0.15, (230, 140, 220)),
    ((0.62, 0.05), 0.10, (255, 240, 190)),
)


def _backdrop() -> Image:
    """A dim room with lights out of focus."""
    rows = Image.xyz(WIDTH, HEIGHT)[1] / HEIGHT
    picture = (rows * 30 + 32).bandjoin([rows * 14 + 26, rows * 40 + 52])
    for (x, y), radius, colour in _LIGHTS:
        picture = picture + _softness((x, y), (radius, radius * WIDTH / HEIGHT), 0.5) * [c * 0.5 for c in colour]
    return picture


def _ellipse(picture: Image, centre: Point, radius: Point, colour: Colour) -> Image:
    inside = _softness(centre, radius, 0.04)
    x = Image.xyz(WIDTH, HEIGHT)[0] / WIDTH
    shade = ((x - centre[0]) * -0.5 + 1.0) * inside  # lit from the left
    return picture * (inside * -1 + 1) + shade * list(colour)


def _softness(centre: Point, radius: Point, edge: float) -> Image:
    """1 inside the ellipse, 0 outside, falling over `edge` of its radius; positions are parts of the picture."""
    place = Image.xyz(WIDTH, HEIGHT)
    dx = (place[0] / WIDTH - centre[0]) / radius[0]
    dy = (place[1] / HEIGHT - centre[1]) / radius[1]
    distance = (dx * dx + dy * dy) ** 0.5
    level = (distance * -1 + 1) / edge
    return (level > 0).ifthenelse((level < 1).ifthenelse(level, 1.0), 0.0)
