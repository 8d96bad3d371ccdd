"""PNG: the walk over its chunks, after the PNG specification (W3C, third edition)."""

import struct
import zlib

from photochanger.media.formats import exif, icc
from photochanger.media.formats.layout import Format, Layout, Profile, damaged, joined
from photochanger.media.formats.source import Source
from photochanger.providers.base import FileSlice

MAX_CHUNKS = 50_000
"""Encoders write IDAT chunks of 4 KiB and more, so this is 200 MB of pixels."""

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PALETTE = 3
_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"pHYs"}
)
"""What says how pixels look. Text, time, EXIF, animation frames and private chunks are left out."""

_LARGEST_EXIF = 1 << 20
_LARGEST_PROFILE = 1 << 20


def read(source: Source) -> Layout:
    """The layout of a PNG. Raises PictureError (undecodable_image) when it is cut off, damaged or not usable.

    An animated PNG is taken for its first picture.
    """
    header = source.read(8, 25)
    length, kind, width, height, depth, colour, packing, filtering, interlace = struct.unpack(
        ">I4sIIBBBBB", header[:21]
    )
    if length != 13 or kind != b"IHDR" or zlib.crc32(header[4:21]) != struct.unpack(">I", header[21:])[0]:
        raise damaged("The PNG's header is damaged.")
    if not 0 < width < 1 << 31 or not 0 < height < 1 << 31 or depth not in _DEPTHS.get(colour, ()):
        raise damaged("The PNG's header is damaged.")
    if packing or filtering or interlace > 1:
        raise damaged("The PNG is coded in a way that is not supported.")

    pieces: list[bytes | FileSlice] = [FileSlice(0, 33)]
    profile, turn, clear, pixels = Profile.NONE, 1, False, False
    at = 33
    for _ in range(MAX_CHUNKS):
        length, kind = struct.unpack(">I4s", source.read(at, 8))
        if at + 12 + length > source.size:
            raise damaged("The PNG is cut off: its end is missing.")
        if not kind.isalpha() or kind == b"IHDR":
            raise damaged("The PNG is damaged.")
        if kind in _KEPT:
            pieces.append(FileSlice(at, 12 + length))
        if kind == b"IEND":
            break
        if kind == b"IDAT":
            pixels = True
        elif kind == b"tRNS":
            clear = True
        elif kind == b"eXIf" and length <= _LARGEST_EXIF:
            turn = exif.orientation(source.read(at + 8, length))
        elif kind == b"iCCP":
            profile = _profile(source.read(at + 8, length)) if length <= _LARGEST_PROFILE else Profile.OTHER
        elif kind == b"sRGB" and profile is Profile.NONE:
            profile = Profile.SRGB
        at += 12 + length
    else:
        raise damaged("The PNG has too many chunks.")
    if not pixels:
        raise damaged("The PNG has no pixels.")
    return Layout(
        Format.PNG,
        width,
        height,
        joined(pieces),
        channels=_CHANNELS[colour],
        orientation=turn,
        bit_depth=depth,
        alpha=clear or colour in (4, 6),
        palette=colour == _PALETTE,
        profile=profile,
    )


def _profile(chunk: bytes) -> Profile:
    """iCCP: a name, a zero, the method of packing (0), the packed profile. Unpacked no further than needed."""
    _, _, rest = chunk.partition(b"\0")
    try:
        unpacked = zlib.decompressobj().decompress(rest[1:], icc.LARGEST_SRGB + 1)
    except zlib.error:
        return Profile.OTHER
    return Profile.SRGB if icc.is_srgb(unpacked) else Profile.OTHER
