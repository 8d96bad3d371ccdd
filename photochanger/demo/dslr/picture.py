"""Whether the booth's program could put a reply into its print layout: a whole JPEG or PNG."""

from photochanger.media.vips import Error, Image

_LOADERS = {
    b"\xff\xd8\xff": ("image/jpeg", Image.jpegload_buffer),
    b"\x89PNG\r\n\x1a\n": ("image/png", Image.pngload_buffer),
}
PIXEL_LIMIT = 200_000_000


def mime_of(start: bytes) -> str | None:
    """image/jpeg or image/png by the file's first bytes, else None."""
    return next((mime for magic, (mime, _) in _LOADERS.items() if start.startswith(magic)), None)


def flaw_of(data: bytes) -> str | None:
    """None when `data` is a picture that decodes to its last line, else what is wrong. Blocks: run it in a thread."""
    if not data:
        return "the body is empty"
    load = next((load for magic, (_, load) in _LOADERS.items() if data.startswith(magic)), None)
    if load is None:
        return "the body is neither JPEG nor PNG"
    try:
        image = load(data, access="sequential", fail_on="truncated")
        if image.width * image.height > PIXEL_LIMIT:
            return "the picture has too many pixels"
        image.avg()  # walks over every pixel, so every line is decoded
    except Error:
        return "the picture does not decode whole"
    return None
