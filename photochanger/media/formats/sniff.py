"""Which format a file is, by its first bytes; names and declared media types are never believed."""

from photochanger.domain.reasons import Reason
from photochanger.errors import PictureError
from photochanger.media.formats.layout import Format, damaged

HEAD = 64
"""How many first bytes are enough."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF or a camera's raw file"),
    (b"MM\0*", "a TIFF or a camera's raw file"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop file"),
    (b"PK\3\4", "a ZIP archive"),
    (b"#!", "a script"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"RIFF", "an audio or video file"),
)

_BRANDS = {b"avif": "an AVIF", b"avis": "an AVIF", b"crx ": "a camera's raw file"}
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})


def sniff(head: bytes) -> Format:
    """The format of a file that begins with `head`.

    Raises PictureError: undecodable_image for an empty file, unsupported_media_type for anything else that is
    not JPEG, PNG or WebP, with a detail that names what it looks like.
    """
    if not head:
        raise damaged("The file is empty.")
    if head.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Format.WEBP
    raise PictureError(
        Reason.UNSUPPORTED_MEDIA_TYPE, f"This is {_looks_like(head)}; only JPEG, PNG and WebP photos are accepted."
    )


def _looks_like(head: bytes) -> str:
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return _BRANDS.get(brand, "a HEIC photo" if brand in _HEIF_BRANDS else "a video")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return "an SVG"
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if text.startswith(b"<"):
        return "an XML or HTML document"
    return "not a picture that we know"
