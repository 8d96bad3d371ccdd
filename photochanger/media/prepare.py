"""A photo made ready to travel: as it came where possible, worked on only where it needs it."""

from collections.abc import Set
from pathlib import Path
from typing import Any, Final

from photochanger.media.files import write_new
from photochanger.media.pixels import decoding, upright
from photochanger.media.probe import Probe
from photochanger.providers.base import FileSlice, PreparedPhoto

QUALITY = 92


ANY: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


def as_it_came(
    path: Path, probe: Probe, *, longest_side: int | None = None, accepts: Set[str] = ANY
) -> PreparedPhoto | None:
    """The photo when it needs no work, otherwise None. Does not block: the probe knows all that is needed.

    `accepts` are the MIME types that may travel; others are made JPEG.
    """
    if probe.needs_normalising or (longest_side is not None and max(probe.width, probe.height) > longest_side):
        return None
    if probe.mime not in accepts:
        return None
    layout = probe.layout
    return PreparedPhoto(path, probe.mime, probe.width, probe.height, layout.parts, layout.size)


def prepare(
    path: Path,
    out_path: Path,
    probe: Probe,
    *,
    longest_side: int | None = None,
    quality: int = QUALITY,
    accepts: Set[str] = ANY,
) -> PreparedPhoto:
    """What to send for the photo at `path`, of which `probe` was taken. Blocks: run it in a picture thread.

    A photo that needs no work is neither decoded nor copied: its `parts` leave out metadata and trailing bytes.
    Otherwise (see `Probe.needs_normalising`, or when it is larger than `longest_side`) a baseline sRGB JPEG is written
    to `out_path`: turned upright, transparency laid on white, without metadata.

    Raises PictureError (undecodable_image) and StorageUnavailable; then nothing is left at `out_path`.
    """
    if photo := as_it_came(path, probe, longest_side=longest_side, accepts=accepts):
        return photo
    with decoding():
        image = upright(path, probe, "truncated", longest_side=longest_side)
        data = to_jpeg(image, quality)
    write_new(out_path, data)
    return PreparedPhoto(out_path, "image/jpeg", image.width, image.height, (FileSlice(0, len(data)),), len(data))


def to_jpeg(image: Any, quality: int) -> bytes:
    """A baseline JPEG without metadata. Colour is stored at half resolution, as cameras do: a third less to send."""
    data: bytes = image.jpegsave_buffer(Q=quality, keep="none", subsample_mode="on")
    return data
