"""JPEG: the walk over its segments, after ITU T.81 (markers), JFIF, Adobe's marker and the ICC's embedding rule."""

import re
import struct

from photochanger.media.formats import exif, icc
from photochanger.media.formats.layout import Format, Layout, Profile, damaged, joined
from photochanger.media.formats.source import Source
from photochanger.providers.base import FileSlice

MAX_MARKERS = 2_000
MAX_SCANS = 100
"""Encoders write about ten scans. Each scan costs a pass over all pixels, so thousands are an attack."""

_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})  # baseline, extended, progressive, and both with arithmetic coding
_ALL_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})  # DHT, DAC, DQT, DRI
_SOS, _EOI, _COM = 0xDA, 0xD9, 0xFE
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_APPS = frozenset(range(0xE0, 0xF0))

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""In coded pixels FF is followed by 00 or a restart marker; anything else ends them."""

_CHUNK = 1 << 18
_CUT_OFF = "The JPEG is cut off: its end is missing."


def read(source: Source) -> Layout:
    """The layout of a JPEG. Raises PictureError (undecodable_image) when it is cut off, damaged or not usable."""
    return _Walk(source).layout()


class _Walk:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.pieces: list[bytes | FileSlice] = [FileSlice(0, 2)]
        self.frame: tuple[int, int, int, int, int] | None = None  # marker, precision, height, width, components
        self.orientation: int | None = None
        self.profile = Profile.NONE
        self.more_pictures = False
        self.scans = 0
        self.first_scan_components = 0
        self.budget = MAX_MARKERS

    def layout(self) -> Layout:
        at = self._header()
        if self.frame is None:
            raise damaged("The JPEG has no frame header.")
        marker, precision, height, width, components = self.frame
        self._rest(at, single_scan=marker in (0xC0, 0xC1) and self.first_scan_components == components)
        return Layout(
            Format.JPEG,
            width,
            height,
            joined(self.pieces),
            channels=components,
            orientation=self.orientation or 1,
            bit_depth=precision,
            cmyk=components == 4,
            profile=self.profile,
            progressive=marker in (0xC2, 0xCA),
            baseline=marker == 0xC0,
            plain=marker in (0xC0, 0xC1, 0xC2) and precision == 8,
        )

    def _header(self) -> int:
        """All segments up to and with the first scan's header; where the coded pixels begin."""
        at = 2
        while True:
            self._spend()
            mark, marker, length = struct.unpack(">BBH", self.source.read(at, 4))
            if mark != 0xFF:
                raise damaged("The JPEG's header is damaged.")
            if marker == 0xFF:  # fill byte
                at += 1
                continue
            end = self._segment(at, marker, length)
            if marker == _SOS:
                (self.first_scan_components,) = self.source.read(at + 4, 1)
                return end
            at = end

    def _rest(self, at: int, *, single_scan: bool) -> None:
        """From the first coded pixels to the end marker, which must be there.

        A file of one scan that ends in an end marker needs no search: this is nearly every photo, and the search
        costs about 7 ms for 15 MB. Files with several pictures inside (APP2 "MPF") are always searched.
        """
        size = self.source.size
        if single_scan and not self.more_pictures and at + 2 <= size and self.source.read(size - 2, 2) == b"\xff\xd9":
            self.pieces.append(FileSlice(at, size - at))
            return
        while True:
            self._spend()
            found, marker = self._next_marker(at)
            self.pieces.append(FileSlice(at, found - at))
            if marker == _EOI:
                self.pieces.append(FileSlice(found, 2))
                return
            (length,) = struct.unpack(">H", self.source.read(found + 2, 2))
            at = self._segment(found, marker, length)

    def _segment(self, at: int, marker: int, length: int) -> int:
        """Take in one segment, keep or drop it; where the next one begins."""
        end = at + 2 + length
        if length < 2 or end > self.source.size:
            raise damaged(_CUT_OFF)
        payload = at + 4, length - 2
        keep: bytes | FileSlice | None = FileSlice(at, length + 2)
        if marker == _SOS:
            self.scans += 1
            if self.scans > MAX_SCANS:
                raise damaged(f"The JPEG has more than {MAX_SCANS} scans.")
        elif marker in _ALL_FRAMES:
            self._frame(marker, *payload)
        elif marker in _APPS:
            keep = self._application(marker, at, *payload)
        elif marker == _COM:
            keep = None
        elif marker not in _TABLES:
            raise damaged("The JPEG's header is damaged.")
        if keep is not None:
            self.pieces.append(keep)
        return end

    def _frame(self, marker: int, at: int, length: int) -> None:
        if self.frame is not None:
            raise damaged("The JPEG has two frame headers.")
        if marker not in _FRAMES:
            raise damaged("The JPEG is coded in a way that is not supported.")
        precision, height, width, components = struct.unpack(">BHHB", self.source.read(at, 6))
        if length != 6 + 3 * components or components not in (1, 3, 4) or not width or not height:
            raise damaged("The JPEG's frame header is damaged.")
        self.frame = marker, precision, height, width, components

    def _application(self, marker: int, at: int, start: int, length: int) -> bytes | FileSlice | None:
        """Application segments are metadata and dropped, but for the three that say what the colours mean."""
        name = self.source.up_to(start, min(length, 14))
        whole = FileSlice(at, length + 4)
        if marker == _APP0 and name.startswith(b"JFIF\0") and length >= 14:
            if length == 14:
                return whole
            # Its thumbnail is left out: the same segment, 16 bytes long, with a thumbnail of 0 x 0.
            return b"\xff\xe0\0\x10" + name[:12] + b"\0\0"
        if marker == _APP14 and name.startswith(b"Adobe"):
            return whole
        if marker == _APP1 and name.startswith(b"Exif\0\0") and self.orientation is None:
            self.orientation = exif.orientation(self.source.read(start, length))
        if marker == _APP2 and name.startswith(b"MPF\0"):
            self.more_pictures = True
        if marker == _APP2 and name.startswith(b"ICC_PROFILE\0") and length > 14:
            one_of_one = name[12:14] == b"\1\1" and self.profile is Profile.NONE
            is_srgb = one_of_one and icc.is_srgb(self.source.read(start + 14, length - 14))
            self.profile = Profile.SRGB if is_srgb else Profile.OTHER
            return whole
        return None

    def _next_marker(self, at: int) -> tuple[int, int]:
        """Where coded pixels that begin at `at` end, and the marker there."""
        while chunk := self.source.up_to(at, _CHUNK):
            if found := _NEXT_MARKER.search(chunk):
                return at + found.start(), chunk[found.start() + 1]
            if len(chunk) < 2:
                break
            at += len(chunk) - 1  # the last byte may be the first half of a marker
        raise damaged(_CUT_OFF)

    def _spend(self) -> None:
        self.budget -= 1
        if self.budget < 0:
            raise damaged("The JPEG has too many segments.")
