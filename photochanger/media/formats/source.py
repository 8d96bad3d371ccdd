"""A picture file opened for looking at its headers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from photochanger.errors import StorageUnavailable
from photochanger.media.formats.layout import damaged


class Source:
    """Reads of known length at known places; what lies past the end of the file is a damaged picture."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises PictureError when the file ends before."""
        data = self.up_to(offset, length)
        if len(data) < length:
            raise damaged("The picture is cut off.")
        return data

    def up_to(self, offset: int, length: int) -> bytes:
        """At most `length` bytes; fewer at the end of the file."""
        self._file.seek(offset)
        return self._file.read(length)


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The file at `path`. Raises StorageUnavailable when it cannot be opened or read."""
    try:
        with path.open("rb") as file:
            yield Source(file)
    except OSError as error:
        raise StorageUnavailable(f"The picture file cannot be read: {error.strerror}") from error
