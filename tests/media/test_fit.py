"""The delivered picture has exactly the size or the shape that the slot asks for, and shows what it should."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photochanger.domain.slot import Output
from photochanger.errors import PictureError
from photochanger.media.fit import LARGEST, SMALLEST, Fit, fit_of, place
from photochanger.media.probe import MAX_PIXELS, probe
from photochanger.media.verify import Verified, verify
from photochanger.media.vips import Image
from tests.lab import pictures
from tests.media.conftest import Keep
from tests.media.reading import decoded, difference, load

MODES = st.sampled_from(["fit", "crop"])
SIDES = st.integers(1, 6000)


def test_what_a_slot_asks_for() -> None:
    assert fit_of("as_is", 900, 600, 300, 200) is None
    assert fit_of("crop", None, None, 300, 200) == Fit("crop", 300, 200, exact=False)
    assert fit_of("fit", 900, 600, 300, 200) == Fit("fit", 900, 600, exact=True)


# --- on paper ---------------------------------------------------------------------------------------------------


def off_by(width: int, height: int, fit: Fit) -> float:
    """How far the nearer side is from what the other one asks for, in pixels."""
    across = abs(width - max(height * fit.width / fit.height, 1))
    return min(across, abs(height - max(width * fit.height / fit.width, 1)))


@settings(max_examples=1500, deadline=None)
@given(MODES, SIDES, SIDES, SIDES, SIDES)
def test_an_aspect_is_met_to_half_a_pixel_and_nothing_is_enlarged(mode: Output, w: int, h: int, x: int, y: int) -> None:
    fit = Fit(mode, w, h, exact=False)
    it = place(fit, x, y, max_pixels=MAX_PIXELS)
    if it is None:
        assert off_by(x, y, fit) <= 0.5 + 1e-9
        return
    assert off_by(it.canvas_width, it.canvas_height, fit) <= 0.5 + 1e-9
    if mode == "crop":
        assert (it.inner_width, it.inner_height) == (it.width, it.height) == (it.canvas_width, it.canvas_height)
        assert it.width == x or it.height == y  # as much is kept as can be
        assert it.left == (x - it.width) // 2
        assert it.top == (y - it.height) // 2
    else:
        assert (it.left, it.top, it.width, it.height) == (0, 0, x, y)
        assert it.inner_width <= min(x, it.canvas_width)
        assert it.inner_height <= min(y, it.canvas_height)
        assert it.canvas_width * it.canvas_height <= MAX_PIXELS
        assert max(it.canvas_width, it.canvas_height) <= LARGEST
        if it.canvas_width >= x and it.canvas_height >= y:
            assert (it.inner_width, it.inner_height) == (x, y)  # margins alone do the work
            assert it.canvas_width == x or it.canvas_height == y


@settings(max_examples=1500, deadline=None)
@given(MODES, st.integers(SMALLEST, LARGEST), st.integers(SMALLEST, LARGEST), SIDES, SIDES)
def test_an_exact_size_is_met_from_any_picture(mode: Output, w: int, h: int, x: int, y: int) -> None:
    it = place(Fit(mode, w, h, exact=True), x, y, max_pixels=MAX_PIXELS)
    if it is None:
        assert (x, y) == (w, h)
        return
    assert (it.canvas_width, it.canvas_height) == (w, h)
    assert it.left >= 0
    assert it.left + it.width <= x
    assert it.top >= 0
    assert it.top + it.height <= y
    assert 1 <= it.inner_width <= w
    assert 1 <= it.inner_height <= h
    if mode == "crop":
        assert (it.inner_width, it.inner_height) == (w, h)
        part = Fit("crop", w, h, exact=False)
        assert off_by(it.width, it.height, part) <= 0.5 + 1e-9
    else:
        assert it.inner_width == w or it.inner_height == h
        assert off_by(it.inner_width, it.inner_height, Fit("fit", x, y, exact=False)) <= 0.5 + 1e-9


@pytest.mark.parametrize("mode", ["fit", "crop"])
@pytest.mark.parametrize(("width", "height"), [(1000, 667), (999, 666), (1344, 896), (3, 2), (1, 1)])
def test_rounding_alone_is_no_reason_to_touch_a_picture(mode: Output, width: int, height: int) -> None:
    assert place(Fit(mode, 6000, 4000, exact=False), width, height, max_pixels=MAX_PIXELS) is None
    assert place(Fit(mode, 6000, 4000, exact=True), width, height, max_pixels=MAX_PIXELS) is not None
    if width > 100:
        assert place(Fit(mode, 6000, 4000, exact=False), width, height - 2, max_pixels=MAX_PIXELS) is not None


# --- on real pictures -------------------------------------------------------------------------------------------


def delivered(keep: Keep, tmp_path: Path, data: bytes, fit: Fit, **options: Any) -> tuple[Verified, Any]:
    """What `verify` says of it, and the delivered picture decoded; a JPEG is checked to be one for everybody."""
    result = verify(keep(data), tmp_path / "reply", fit=fit, **options)
    found = probe(result.path)
    assert (result.width, result.height, result.mime) == (found.width, found.height, found.mime)
    if result.mime == "image/jpeg":
        assert found.is_baseline_srgb
    return result, load(result.path)


@pytest.mark.parametrize("mode", ["fit", "crop"])
@pytest.mark.parametrize("exact", [True, False])
def test_a_picture_that_fits_is_delivered_untouched(mode: Output, exact: bool, keep: Keep, tmp_path: Path) -> None:
    result, _ = delivered(keep, tmp_path, pictures.photo(1344, 896), Fit(mode, 1344, 896, exact))
    assert not result.reencoded
    assert not (tmp_path / "reply").exists()


def test_an_as_is_fit_asks_for_nothing(keep: Keep, tmp_path: Path) -> None:
    result, _ = delivered(keep, tmp_path, pictures.photo(300, 200), Fit("as_is", 100, 900, exact=True))
    assert (result.reencoded, result.width, result.height) == (False, 300, 200)


def test_a_crop_keeps_the_middle(keep: Keep, tmp_path: Path) -> None:
    data = pictures.photo(600, 400, quality=98)
    result, picture = delivered(keep, tmp_path, data, Fit("crop", 2000, 2000, exact=False), quality=98)
    assert (result.width, result.height, result.reencoded) == (400, 400, True)
    assert difference(picture, decoded(data).crop(100, 0, 400, 400)) < 2
    result, picture = delivered(keep, tmp_path, data, Fit("crop", 600, 200, exact=False), quality=98)
    assert (result.width, result.height) == (600, 200)
    assert difference(picture, decoded(data).crop(0, 100, 600, 200)) < 2


def test_a_fit_shows_all_on_white(keep: Keep, tmp_path: Path) -> None:
    data = pictures.photo(600, 400, quality=98)
    result, picture = delivered(keep, tmp_path, data, Fit("fit", 500, 500, exact=False), quality=98)
    assert (result.width, result.height, result.reencoded) == (600, 600, True)
    assert difference(picture.crop(0, 100, 600, 400), decoded(data)) < 2
    for margin in (picture.crop(0, 0, 600, 92), picture.crop(0, 508, 600, 92)):  # JPEG's blocks mix near the edge
        assert margin.min() >= 253


def test_an_exact_fit_is_made_smaller_or_larger(keep: Keep, tmp_path: Path) -> None:
    data = pictures.photo(600, 400, quality=98)
    for width, height, inner in (
        (300, 300, (0, 50, 300, 200)),
        (900, 900, (0, 150, 900, 600)),
        (999, 200, (349, 0, 300, 200)),
    ):
        _, picture = delivered(keep, tmp_path, data, Fit("fit", width, height, exact=True), quality=98)
        assert (picture.width, picture.height) == (width, height)
        expected = decoded(data).resize(inner[2] / 600, vscale=inner[3] / 400)
        assert difference(picture.crop(*inner), expected) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_fitted_as_it_is_seen(orientation: int, keep: Keep, tmp_path: Path) -> None:
    data = pictures.turned(orientation)  # seen, it is 300 x 200
    _, picture = delivered(keep, tmp_path, data, Fit("crop", 100, 100, exact=False), quality=98)
    expected = pictures.scene(300, 200, noise=0).crop(50, 0, 200, 200)
    assert difference(picture, expected) < 4
    result, _ = delivered(keep, tmp_path, data, Fit("fit", 450, 300, exact=True))
    assert (result.width, result.height) == (450, 300)


def test_transparency_stays_where_png_is_allowed_and_margins_are_clear(keep: Keep, tmp_path: Path) -> None:
    fit = Fit("fit", 300, 300, exact=False)
    result, picture = delivered(keep, tmp_path, pictures.png_alpha(), fit, allow_png=True)
    assert (result.mime, result.width, result.height) == ("image/png", 300, 300)
    assert picture.crop(0, 0, 300, 50)[3].max() == 0
    assert difference(picture.crop(0, 50, 300, 200), decoded(pictures.png_alpha())) == 0
    result, picture = delivered(keep, tmp_path, pictures.png_alpha(), fit)
    assert result.mime == "image/jpeg"
    assert picture.crop(0, 0, 300, 40).min() >= 253


def test_a_clear_edge_does_not_bleed_when_resized(keep: Keep, tmp_path: Path) -> None:
    """Green that nobody can see lies beside white: the edge between them must not become greenish."""
    white = Image.black(100, 100, bands=3).copy(interpretation="srgb") + 255
    green = Image.black(100, 100).bandjoin([Image.black(100, 100) + 255, Image.black(100, 100)])
    opaque, clear = Image.black(100, 100) + 255, Image.black(100, 100)
    both = white.cast("uchar").bandjoin(opaque.cast("uchar")).join(green.bandjoin(clear).cast("uchar"), "horizontal")
    data = both.copy(interpretation="srgb").pngsave_buffer(keep="none")
    _, picture = delivered(keep, tmp_path, data, Fit("fit", 101, 50, exact=True), allow_png=True)
    seen = (picture[3] > 16).ifthenelse(picture.extract_band(0, n=3), 255)
    assert seen.min() >= 250


def test_an_opaque_png_stays_a_png_with_white_margins(keep: Keep, tmp_path: Path) -> None:
    result, picture = delivered(keep, tmp_path, pictures.png(), Fit("fit", 100, 100, exact=True), allow_png=True)
    assert (result.mime, picture.bands, result.width, result.height) == ("image/png", 3, 100, 100)
    assert picture.crop(0, 0, 100, 16).min() == 255


MAKERS: dict[str, Callable[[], bytes]] = {
    "grey": pictures.grey,
    "CMYK": pictures.cmyk,
    "P3": pictures.jpeg_with_profile,
    "progressive": pictures.progressive,
    "16-bit PNG": pictures.png16,
    "palette PNG": pictures.png_palette,
    "WebP": pictures.webp,
}


@pytest.mark.parametrize("mode", ["fit", "crop"])
@pytest.mark.parametrize("case", MAKERS)
def test_every_kind_of_picture_gets_its_size_as_a_baseline_jpeg(
    case: str, mode: Output, keep: Keep, tmp_path: Path
) -> None:
    result, _ = delivered(keep, tmp_path, MAKERS[case](), Fit(mode, 211, 307, exact=True))
    assert (result.mime, result.width, result.height) == ("image/jpeg", 211, 307)


@settings(max_examples=60, deadline=None)
@given(MODES, st.integers(1, 90), st.integers(1, 90), st.integers(SMALLEST, 400), st.integers(SMALLEST, 400))
def test_the_pixels_are_as_many_as_on_paper(
    keep: Keep, tmp_path_factory: pytest.TempPathFactory, mode: Output, x: int, y: int, w: int, h: int
) -> None:
    """Also for pictures of one pixel, and where a side is enlarged a hundred times."""
    folder = tmp_path_factory.mktemp("fit")
    for data in (plain(x, y), plain(x, y, alpha=True)):
        result, _ = delivered(keep, folder, data, Fit(mode, w, h, exact=True), allow_png=True)
        assert (result.width, result.height) == (w, h)
        result, _ = delivered(keep, folder, data, Fit(mode, w, h, exact=False), allow_png=True)
        it = place(Fit(mode, w, h, exact=False), x, y, max_pixels=MAX_PIXELS)
        assert (result.width, result.height) == ((x, y) if it is None else (it.canvas_width, it.canvas_height))


def plain(width: int, height: int, *, alpha: bool = False) -> bytes:
    """One colour: a JPEG, or with `alpha` a PNG that is half clear."""
    picture = (Image.black(width, height, bands=4 if alpha else 3) + 128).cast("uchar").copy(interpretation="srgb")
    saved: bytes = picture.pngsave_buffer(keep="none") if alpha else picture.jpegsave_buffer(keep="none")
    return saved


@pytest.mark.parametrize("make", [pictures.progressive, pictures.png, pictures.photo])
def test_damage_counts_also_where_it_is_cut_away(make: Callable[..., bytes], keep: Keep, tmp_path: Path) -> None:
    """The lowest rows are missing, and the crop would not show them."""
    data = make(400, 600)
    is_png = data.startswith(b"\x89PNG")
    cut = data[: int(len(data) * 0.8)] + (pictures.png_chunk(b"IEND", b"") if is_png else b"\xff\xd9")
    with pytest.raises(PictureError):
        verify(keep(cut), tmp_path / "reply", fit=Fit("crop", 400, 100, exact=True))
    assert not (tmp_path / "reply").exists()


def test_the_quality_is_the_slots(keep: Keep, tmp_path: Path) -> None:
    sizes = []
    for quality in (40, 95):
        result, _ = delivered(keep, tmp_path, pictures.photo(600, 400), Fit("crop", 400, 400, True), quality=quality)
        sizes.append(result.path.stat().st_size)
    assert sizes[0] * 2 < sizes[1]


def test_margins_do_not_make_a_picture_of_a_billion_pixels(keep: Keep, tmp_path: Path) -> None:
    """A photo like a ribbon, a picture like a tower: the picture becomes small rather than the canvas huge."""
    result, _ = delivered(keep, tmp_path, plain(10, 4000), Fit("fit", 4000, 10, exact=False), max_pixels=1_000_000)
    assert result.width * result.height <= 1_000_000
    assert off_by(result.width, result.height, Fit("fit", 4000, 10, exact=False)) <= 0.5
