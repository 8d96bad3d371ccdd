"""Real pictures for tests, made on the spot: nothing of this is committed as a file.

Pictures that libvips can write are written by libvips; hostile and half ones are put together from bytes.
"""

import struct
import zlib
from functools import lru_cache
from typing import Any

from photochanger.media.vips import Image

GPS_MARK = b"GPS-secret-of-the-guest"
"""Text inside every EXIF block made here: what leaves the house must not contain it."""


# --- what is on the pictures -----------------------------------------------------------------------------------


def scene(width: int, height: int, *, seed: int = 1, noise: float = 2.0) -> Any:
    """An outdoor portrait in flat colours: sky, sun, hills and a face; with film grain of `noise`. sRGB, 8 bit."""
    grain = Image.gaussnoise(width, height, sigma=noise, mean=0, seed=seed)
    return (_backdrop(width, height, seed) + grain).cast("uchar").copy(interpretation="srgb")


def _backdrop(width: int, height: int, seed: int) -> Any:
    """The scene without grain: drawn small and enlarged, because grain is all the detail that sizes depend on."""
    scale = max(width, height) / _DRAWN
    if scale <= 1:
        return _drawn(width, height, seed)
    small = _drawn(max(round(width / scale), 1), max(round(height / scale), 1), seed).copy_memory()
    return small.resize(width / small.width, vscale=height / small.height, kernel="linear")


_DRAWN = 1344
"""Longest side at which the scene is drawn."""


def _drawn(width: int, height: int, seed: int) -> Any:
    at = Image.xyz(width, height)
    x, y = (at[0] + 0.5) / width, (at[1] + 0.5) / height
    clouds = _noise(width, height, max(width, height) // 4, seed)
    picture = (70 + 130 * y).bandjoin([130 + 80 * y, 225 - 20 * y]) + clouds * [26, 22, 14]
    sun = (((x - 0.82) ** 2) * (width / height) ** 2 + (y - 0.2) ** 2) ** 0.5
    picture = (sun < 0.07).ifthenelse([255, 244, 205], picture + (-(sun * 9)).exp() * [90, 70, 20])
    hills = 0.62 + 0.07 * (x * 190 + seed * 20).sin() + 0.04 * (x * 410).cos()
    picture = (y > hills).ifthenelse(_tinted(clouds, [58, 104, 62], [30, 30, 22]), picture)
    return _face(picture, x, y, width / height)


def _noise(width: int, height: int, cell: int, seed: int) -> Any:
    cell = max(cell, 2)
    return Image.perlin(width, height, cell_size=cell, seed=seed) + 0.5 * Image.perlin(
        width, height, cell_size=max(cell // 5, 2), seed=seed + 1
    )


def _tinted(pattern: Any, base: list[float], swing: list[float]) -> Any:
    return pattern * swing + base


def _face(under: Any, x: Any, y: Any, aspect: float) -> Any:
    """Shoulders, hair, face, eyes and mouth, as ellipses: (middle, radii, colour)."""
    shapes = [
        (0.42, 1.02, 0.33, 0.30, [150, 38, 52]),
        (0.42, 0.47, 0.150, 0.245, [62, 40, 30]),
        (0.42, 0.51, 0.118, 0.205, [226, 172, 142]),
        (0.375, 0.47, 0.022, 0.014, [250, 250, 246]),
        (0.465, 0.47, 0.022, 0.014, [250, 250, 246]),
        (0.375, 0.47, 0.010, 0.014, [52, 78, 96]),
        (0.465, 0.47, 0.010, 0.014, [52, 78, 96]),
        (0.42, 0.535, 0.014, 0.030, [206, 146, 118]),
        (0.42, 0.62, 0.042, 0.016, [188, 74, 82]),
    ]
    squeeze = min(aspect, 1.5) / 1.5
    for mid_x, mid_y, radius_x, radius_y, colour in shapes:
        inside = ((x - mid_x) / (radius_x / squeeze)) ** 2 + ((y - mid_y) / radius_y) ** 2
        shade = inside.bandjoin([inside, inside]) * -14
        under = (inside < 1).ifthenelse(shade + colour, under)
    return under


# --- good photos -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def photo(
    width: int = 1344, height: int = 896, target_bytes: int | None = None, *, quality: int = 92, seed: int = 1
) -> bytes:
    """A baseline sRGB JPEG without metadata. `target_bytes` is met within about a tenth, by adding grain."""
    if target_bytes is None:
        return _shot(width, height, 2.0, quality, seed)
    density = target_bytes / (width * height)
    for _ in range(3):
        saved = _shot(width, height, _grain_for(density, quality), quality, seed)
        if abs(len(saved) / target_bytes - 1) < 0.1:
            break
        density *= target_bytes / len(saved)
    return saved


def _shot(width: int, height: int, grain: float, quality: int, seed: int) -> bytes:
    saved: bytes = scene(width, height, seed=seed, noise=grain).jpegsave_buffer(Q=quality, keep="none")
    return saved


def _grain_for(bytes_per_pixel: float, quality: int) -> float:
    """The grain at which the scene takes that many bytes per pixel, by halving the interval on a small one."""
    backdrop = _drawn(512, 340, 1).copy_memory()
    low, high = 0.0, 90.0
    for _ in range(9):
        middle = (low + high) / 2
        grain = Image.gaussnoise(512, 340, sigma=middle, mean=0, seed=1)
        tile = (backdrop + grain).cast("uchar").copy(interpretation="srgb")
        size = len(tile.jpegsave_buffer(Q=quality, keep="none")) / (512 * 340)
        low, high = (middle, high) if size < bytes_per_pixel else (low, middle)
    return (low + high) / 2


def salted(jpeg: bytes, salt: str) -> bytes:
    """The same photo with a comment segment, so that its SHA-256 is another one."""
    return with_segment(jpeg, 0xFE, salt.encode())


def turned(orientation: int, width: int = 300, height: int = 200) -> bytes:
    """A JPEG whose EXIF says `orientation` (1-8), with GPS text beside it. Turned upright it is the scene."""
    upright = scene(width, height, noise=0)
    stored = {
        1: lambda p: p,
        2: lambda p: p.fliphor(),
        3: lambda p: p.rot180(),
        4: lambda p: p.flipver(),
        5: lambda p: p.rot90().fliphor(),
        6: lambda p: p.rot270(),
        7: lambda p: p.rot270().fliphor(),
        8: lambda p: p.rot90(),
    }[orientation](upright)
    return with_exif(stored.jpegsave_buffer(Q=95, keep="none"), orientation)


def jpeg_with_profile(profile: str = "p3", width: int = 300, height: int = 200) -> bytes:
    """A JPEG with an embedded ICC profile: "p3" or "srgb"; the same colours to the eye."""
    saved: bytes = scene(width, height).icc_transform(profile, input_profile="srgb").jpegsave_buffer(Q=95, keep="icc")
    return saved


def progressive(width: int = 300, height: int = 200) -> bytes:
    """A progressive JPEG."""
    saved: bytes = scene(width, height).jpegsave_buffer(Q=92, interlace=True, keep="none")
    return saved


def cmyk(width: int = 300, height: int = 200, *, profile: bool = False) -> bytes:
    """A CMYK JPEG with Adobe's marker (inverted inks), with or without its profile."""
    inks = scene(width, height).icc_transform("cmyk", input_profile="srgb")
    saved: bytes = inks.jpegsave_buffer(Q=92, keep="icc" if profile else "none")
    return saved


def grey(width: int = 300, height: int = 200) -> bytes:
    """A greyscale JPEG."""
    saved: bytes = scene(width, height).colourspace("b-w").jpegsave_buffer(Q=92, keep="none")
    return saved


def png(width: int = 300, height: int = 200) -> bytes:
    """A plain 8-bit RGB PNG."""
    saved: bytes = scene(width, height).pngsave_buffer(keep="none", compression=3)
    return saved


def png16(width: int = 300, height: int = 200) -> bytes:
    """A 16-bit RGB PNG."""
    saved: bytes = scene(width, height).colourspace("rgb16").pngsave_buffer(bitdepth=16, keep="none")
    return saved


def png_alpha(width: int = 300, height: int = 200) -> bytes:
    """An RGBA PNG: opaque on the left, clear on the right."""
    alpha = (255 - Image.xyz(width, height)[0] * (255 / max(width - 1, 1))).cast("uchar")
    saved: bytes = scene(width, height).bandjoin(alpha).copy(interpretation="srgb").pngsave_buffer(keep="none")
    return saved


def png_palette(width: int = 300, height: int = 200) -> bytes:
    """A PNG of palette colours."""
    saved: bytes = scene(width, height).pngsave_buffer(palette=True, keep="none")
    return saved


def webp(width: int = 300, height: int = 200, *, lossless: bool = False) -> bytes:
    """A plain WebP."""
    saved: bytes = scene(width, height).webpsave_buffer(Q=90, lossless=lossless, keep="none")
    return saved


def webp_with_metadata(width: int = 300, height: int = 200, orientation: int = 1) -> bytes:
    """An extended WebP with EXIF and XMP chunks."""
    plain = webp(width, height)
    flags = 0x08 | 0x04
    extended = struct.pack("<B3x", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = [
        _riff(b"VP8X", extended),
        plain[12:],
        _riff(b"EXIF", exif_block(orientation)),
        _riff(b"XMP ", b"<x:xmpmeta>" + GPS_MARK + b"</x:xmpmeta>"),
    ]
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)


# --- metadata --------------------------------------------------------------------------------------------------


def exif_block(orientation: int = 1, thumbnail: bytes = b"", order: str = "<") -> bytes:
    """A TIFF block: orientation, a text with GPS_MARK, and optionally a JPEG thumbnail in the second directory."""
    text = GPS_MARK + b"\0"
    entries = 2
    text_at = 8 + 2 + 12 * entries + 4
    thumb_ifd = text_at + len(text) + len(text) % 2
    first = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    second = struct.pack(order + "HHII", 0x010E, 2, len(text), text_at)
    block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, entries) + first + second
    block += struct.pack(order + "I", thumb_ifd if thumbnail else 0) + text + b"\0" * (len(text) % 2)
    if thumbnail:
        start = thumb_ifd + 2 + 24 + 4
        block += struct.pack(order + "H", 2)
        block += struct.pack(order + "HHII", 0x0201, 4, 1, start)
        block += struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
        block += struct.pack(order + "I", 0) + thumbnail
    return block


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    """The JPEG with one more segment right after its start marker."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + jpeg[2:]


def with_exif(jpeg: bytes, orientation: int = 1, thumbnail: bytes = b"", order: str = "<") -> bytes:
    """The JPEG with an EXIF segment."""
    return with_segment(jpeg, 0xE1, b"Exif\0\0" + exif_block(orientation, thumbnail, order))


def with_all_metadata(jpeg: bytes) -> bytes:
    """The JPEG with EXIF, XMP, IPTC, comment and a maker's segment, each holding GPS_MARK."""
    jpeg = with_segment(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + GPS_MARK + b"</x:xmpmeta>")
    jpeg = with_segment(jpeg, 0xED, b"Photoshop 3.0\0" + GPS_MARK)
    jpeg = with_segment(jpeg, 0xFE, GPS_MARK)
    jpeg = with_segment(jpeg, 0xE7, b"MakerThing\0" + GPS_MARK)
    return with_exif(jpeg)


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_with_metadata(orientation: int = 1) -> bytes:
    """A PNG with text, time and EXIF chunks, before and after the pixels."""
    plain = png()
    before = png_chunk(b"tEXt", b"Comment\0" + GPS_MARK) + png_chunk(b"eXIf", exif_block(orientation, order=">"))
    after = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + GPS_MARK) + png_chunk(b"tIME", b"\x07\xe8\1\1\1\1\1")
    return plain[:33] + before + plain[33:-12] + after + plain[-12:]


# --- bad photos ------------------------------------------------------------------------------------------------


def half_jpeg() -> bytes:
    """The first half of a JPEG."""
    whole = photo(600, 400)
    return whole[: len(whole) // 2]


def half_jpeg_with_thumbnail() -> bytes:
    """The first half of a JPEG whose EXIF holds a whole small JPEG: an end marker is there, but not its own."""
    whole = with_exif(photo(600, 400), thumbnail=photo(120, 80, quality=60))
    return whole[: len(whole) // 2]


def trailing_garbage(jpeg: bytes | None = None, garbage: bytes = b"<script>alert(1)</script>\0" * 40) -> bytes:
    """A whole JPEG followed by bytes that do not belong to it."""
    return (jpeg or photo(600, 400)) + garbage


def animated_webp(width: int = 60, height: int = 40) -> bytes:
    """A WebP of three frames."""
    frames = Image.arrayjoin([scene(width, height, seed=n) for n in (1, 2, 3)], across=1)
    frames = frames.copy()
    frames.set_type(_INT, "page-height", height)
    saved: bytes = frames.webpsave_buffer(keep="none", page_height=height)
    return saved


_INT = 24
"""GType of a C int, as GObject numbers its fundamental types (6 << 2)."""


def gif() -> bytes:
    """A GIF of one pixel."""
    return b"GIF89a\1\0\1\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


def heic() -> bytes:
    """The beginning of a HEIC file, as phones write it."""
    return b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEmiafMiHBheic" + b"\0\0\x0e\x3dmeta\0\0\0\0" + bytes(400)


def pdf() -> bytes:
    """A PDF without pages."""
    return b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def html() -> bytes:
    """A page such as a proxy sends in place of a picture."""
    return b"<!DOCTYPE html>\n<html><head><title>502</title></head><body>Bad gateway</body></html>\n"


def shell_script() -> bytes:
    """A shell script."""
    return b"#!/bin/sh\nrm -rf /tmp/does-not-exist\n"


def svg() -> bytes:
    """An SVG that asks its renderer for a very large canvas."""
    return (
        b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="30000"><rect/></svg>\n'
    )


def bomb_png(width: int = 50_000, height: int = 50_000) -> bytes:
    """A small and valid PNG that decodes to gigabytes of black; made without holding them.

    A fully flushed block of a deflate stream stands alone, so one compressed block of zeros can be repeated.
    """
    squeeze = zlib.compressobj(9)
    start = squeeze.compress(b"") + squeeze.flush(zlib.Z_FULL_FLUSH)  # the two bytes of zlib's header
    size = 1_000_000
    block = squeeze.compress(bytes(size)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    if not start:
        start, block = block[:2], block[2:]
    total = (width + 1) * height
    rest = squeeze.compress(bytes(total % size)) + squeeze.flush()
    checksum = struct.pack(">I", (total % 65_521) << 16 | 1)  # Adler-32 of `total` zeros
    pixels = start + block * (total // size) + rest[:-4] + checksum
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def forged_jpeg(width: int = 65_535, height: int = 65_535) -> bytes:
    """A small JPEG whose header says that it is huge."""
    jpeg = bytearray(photo(64, 64))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(jpeg)
