"""The result of walking one picture file, whatever its format."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from photochanger.domain.reasons import Reason
from photochanger.errors import PictureError
from photochanger.providers.base import FileSlice

Parts = tuple[bytes | FileSlice, ...]


class Format(StrEnum):
    """The formats that are accepted and sent. The value is libvips' name as well."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"

    @property
    def mime(self) -> str:
        """The media type."""
        return f"image/{self.value}"


class Profile(StrEnum):
    """The embedded colour profile. Without one a picture is taken for sRGB (or plain CMYK or grey)."""

    NONE = "none"
    SRGB = "srgb"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Layout:
    """What the headers say.

    `width` and `height` are as stored, before EXIF's turn. `plain` is False for codings that few programs read
    (arithmetic coding, 12 bit). `baseline` is only ever True for a JPEG. `parts` is the file without metadata and
    without what follows its end.
    """

    format: Format
    width: int
    height: int
    parts: Parts
    channels: int
    orientation: int = 1
    bit_depth: int = 8
    alpha: bool = False
    palette: bool = False
    cmyk: bool = False
    profile: Profile = Profile.NONE
    progressive: bool = False
    baseline: bool = False
    plain: bool = True

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(len(part) if isinstance(part, bytes) else part.length for part in self.parts)


def damaged(detail: str) -> PictureError:
    """The failure of a file that has the right beginning but is not a whole, usable picture."""
    return PictureError(Reason.UNDECODABLE_IMAGE, detail)


def joined(pieces: Iterable[bytes | FileSlice]) -> Parts:
    """The pieces in order, neighbouring slices of the file made one."""
    parts: list[bytes | FileSlice] = []
    for piece in pieces:
        last = parts[-1] if parts else None
        if isinstance(piece, FileSlice) and isinstance(last, FileSlice) and last.offset + last.length == piece.offset:
            parts[-1] = FileSlice(last.offset, last.length + piece.length)
        elif isinstance(piece, FileSlice) and piece.length == 0:
            continue
        else:
            parts.append(piece)
    return tuple(parts)
