"""The bench's photos, drawn once and kept in .cache: like a camera's, with room for a few bytes that differ."""

from dataclasses import dataclass
from pathlib import Path

from tests.lab.bench.workers import ROOT
from tests.lab.pictures import photo, salted, with_exif

CACHE = ROOT / ".cache" / "bench"
SALT = b"0" * 32
"""Stands in a comment segment of each photo; the load writes another value over it in each copy that it sends."""

_SIZES = {  # megabytes: width, height
    1: (1920, 1280),
    15: (6000, 4000),
    48: (8640, 5760),  # the largest that the slots' limit of 50 MB takes
}
ANSWER = (1344, 896)


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo on disk; `salt_at` is the offset of SALT in it."""

    path: Path
    size: int
    salt_at: int


def photo_file(megabytes: int) -> PhotoFile:
    """A 24-bit sRGB JPEG of about that size, with EXIF (upright) and a comment."""
    width, height = _SIZES[megabytes]
    path = CACHE / f"photo-{megabytes}.jpg"
    if not path.exists():
        _keep(path, with_exif(salted(_drawn(width, height, megabytes * 1_000_000), SALT.decode())))
    data = path.read_bytes()
    return PhotoFile(path, len(data), data.index(SALT))


def answer_file() -> Path:
    """The picture of about 1 MB that the provider gives."""
    path = CACHE / "answer.jpg"
    if not path.exists():
        _keep(path, _drawn(*ANSWER, 1_000_000, quality=95))
    return path


def _drawn(width: int, height: int, size: int, quality: int = 92) -> bytes:
    """`photo` comes within a tenth of the size that is asked for: ask again, the other way by as much."""
    asked = size
    for _ in range(4):
        data = photo(width, height, asked, quality=quality)
        if abs(len(data) / size - 1) < 0.03:
            break
        asked = round(asked * size / len(data))
    return data


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)
