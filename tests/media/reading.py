"""What a receiver does with a prepared photo: put the parts together, decode, look for what should be gone."""

from pathlib import Path
from typing import Any

from photochanger.media.vips import Image
from photochanger.providers.base import PreparedPhoto


def sent(photo: PreparedPhoto) -> bytes:
    """The bytes as they go over the wire."""
    whole = photo.path.read_bytes()
    return b"".join(
        part if isinstance(part, bytes) else whole[part.offset : part.offset + part.length] for part in photo.parts
    )


def decoded(data: bytes) -> Any:
    """The picture, decoded whole by a decoder that forgives nothing."""
    return Image.new_from_buffer(data, "", fail_on="warning").copy_memory()


def difference(one: Any, other: Any) -> float:
    """The mean difference of two pictures, in steps of 8-bit values."""
    assert (one.width, one.height, one.bands) == (other.width, other.height, other.bands)
    return float((one - other).abs().avg())


def load(path: Path) -> Any:
    """The picture in the file, decoded whole."""
    return decoded(path.read_bytes())
