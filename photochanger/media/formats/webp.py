"""WebP: the walk over its RIFF chunks, after Google's container specification and RFC 6386 and RFC 9649."""

import struct

from photochanger.media.formats import exif, icc
from photochanger.media.formats.layout import Format, Layout, Profile, damaged, joined
from photochanger.media.formats.source import Source
from photochanger.providers.base import FileSlice

MAX_CHUNKS = 200
_ANIMATION, _XMP, _EXIF = 0x02, 0x04, 0x08
_KEPT = frozenset({b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"})
_LARGEST_EXIF = 1 << 20
_ANIMATED = "The WebP is animated; only still pictures are accepted."


def read(source: Source) -> Layout:
    """The layout of a WebP. Raises PictureError (undecodable_image) when cut off, damaged or animated."""
    end = 8 + int.from_bytes(source.read(4, 4), "little")
    if end > source.size:
        raise damaged("The WebP is cut off: its end is missing.")
    kept: list[FileSlice] = []
    size: tuple[int, int] | None = None
    canvas: tuple[int, int] | None = None
    flags, profile, turn, alpha, dropped = b"", Profile.NONE, 1, False, False
    at = 12
    for _ in range(MAX_CHUNKS):
        if at >= end:
            break
        kind, length = struct.unpack("<4sI", source.read(at, 8))
        start, after = at + 8, at + 8 + length + length % 2
        if start + length > end:
            raise damaged("The WebP is cut off.")
        if kind in (b"ANIM", b"ANMF"):
            raise damaged(_ANIMATED)
        if kind in _KEPT:
            kept.append(FileSlice(at, min(after, end) - at))
        else:
            dropped = True
        if kind == b"VP8X":
            if flags or length != 10:
                raise damaged("The WebP's header is damaged.")
            flags = source.read(start, length)
            canvas = _canvas(flags)
        elif kind == b"VP8 " and size is None:
            size = _lossy(source.read(start, min(length, 10)))
        elif kind == b"VP8L" and size is None:
            *size_, alpha = _lossless(source.read(start, min(length, 5)))
            size = size_[0], size_[1]
        elif kind == b"ALPH":
            alpha = True
        elif kind == b"EXIF" and length <= _LARGEST_EXIF:
            turn = exif.orientation(source.read(start, length))
        elif kind == b"ICCP":
            fits = length <= icc.LARGEST_SRGB
            profile = Profile.SRGB if fits and icc.is_srgb(source.read(start, length)) else Profile.OTHER
        at = after
    else:
        raise damaged("The WebP has too many chunks.")
    if size is None or 0 in size or canvas not in (None, size):
        raise damaged("The WebP is damaged.")
    parts = _without_metadata(source, kept, flags) if dropped else (FileSlice(0, end),)
    return Layout(Format.WEBP, *size, parts, channels=4 if alpha else 3, orientation=turn, alpha=alpha, profile=profile)


def _canvas(payload: bytes) -> tuple[int, int]:
    if payload[0] & _ANIMATION:
        raise damaged(_ANIMATED)
    return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1


def _lossy(payload: bytes) -> tuple[int, int]:
    if len(payload) < 10 or payload[0] & 1 or payload[3:6] != b"\x9d\x01\x2a":
        raise damaged("The WebP's frame header is damaged.")
    width, height = struct.unpack("<HH", payload[6:10])
    return width & 0x3FFF, height & 0x3FFF


def _lossless(payload: bytes) -> tuple[int, int, bool]:
    if len(payload) < 5 or payload[0] != 0x2F:
        raise damaged("The WebP's frame header is damaged.")
    bits = int.from_bytes(payload[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)


def _without_metadata(source: Source, kept: list[FileSlice], flags: bytes) -> tuple[bytes | FileSlice, ...]:
    """The kept chunks behind a new RIFF header, the extended header no longer announcing EXIF and XMP."""
    length = 4 + sum(chunk.length for chunk in kept)
    pieces: list[bytes | FileSlice] = [b"RIFF" + struct.pack("<I", length) + b"WEBP"]
    for chunk in kept:
        if source.read(chunk.offset, 4) == b"VP8X":
            cleared = bytes([flags[0] & ~(_EXIF | _XMP)]) + flags[1:10]
            pieces.append(b"VP8X" + struct.pack("<I", 10) + cleared)
        else:
            pieces.append(chunk)
    return joined(pieces)
