"""The look at a picture before anything is decoded: is it one of ours, how large, how must it travel?"""

from dataclasses import dataclass
from pathlib import Path

from photochanger.media.formats import jpeg, png, webp
from photochanger.media.formats.layout import Format, Layout, Profile, damaged
from photochanger.media.formats.sniff import HEAD, sniff
from photochanger.media.formats.source import Source, opened

MAX_PIXELS = 100_000_000
"""More than any camera in a booth takes, and about 300 MB once decoded."""

_READERS = {Format.JPEG: jpeg.read, Format.PNG: png.read, Format.WEBP: webp.read}


@dataclass(frozen=True, slots=True)
class Probe:
    """What `probe` found. `layout` is what the file's headers say."""

    layout: Layout

    @property
    def format(self) -> Format:
        """JPEG, PNG or WebP, by the bytes."""
        return self.layout.format

    @property
    def mime(self) -> str:
        """The media type, by the bytes."""
        return self.layout.format.mime

    @property
    def width(self) -> int:
        """Pixels across, once upright."""
        return self.layout.height if self._lies else self.layout.width

    @property
    def height(self) -> int:
        """Pixels down, once upright."""
        return self.layout.width if self._lies else self.layout.height

    @property
    def needs_normalising(self) -> bool:
        """Whether the pixels must be worked on before the photo may be sent.

        True when EXIF turns it, its profile is not sRGB, or it has transparency, CMYK inks, 16 bits per channel or
        a coding that few programs read. Greyscale, palette and progressive pictures travel as they are.
        """
        it = self.layout
        return (
            it.orientation != 1 or self.has_foreign_profile or it.alpha or it.cmyk or it.bit_depth > 8 or not it.plain
        )

    @property
    def is_baseline_srgb(self) -> bool:
        """Whether this is a baseline JPEG of three channels, upright, in sRGB: what every program can read."""
        it = self.layout
        return it.baseline and it.channels == 3 and not self.needs_normalising

    @property
    def has_foreign_profile(self) -> bool:
        """Whether an embedded profile gives the colours another meaning than sRGB."""
        return self.layout.profile is Profile.OTHER

    @property
    def _lies(self) -> bool:
        return self.layout.orientation >= 5


def probe(path: Path, *, max_pixels: int = MAX_PIXELS) -> Probe:
    """Look at the headers and the end of the file at `path`; nothing is decoded, memory stays under 1 MB.

    Raises PictureError: unsupported_media_type when it is no JPEG, PNG or WebP; undecodable_image when it is empty,
    cut off, damaged, animated, or has more than `max_pixels` pixels. Raises StorageUnavailable when it cannot be read.
    """
    with opened(path) as source:
        return Probe(_read(source, max_pixels))


def _read(source: Source, max_pixels: int) -> Layout:
    layout = _READERS[sniff(source.up_to(0, HEAD))](source)
    if layout.width * layout.height > max_pixels:
        raise damaged(
            f"The picture is too large: {layout.width} x {layout.height} pixels; "
            f"up to {max_pixels / 1_000_000:g} megapixels are accepted."
        )
    return layout
