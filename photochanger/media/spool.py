"""The file into which an upload is written while it arrives."""

import hashlib
from pathlib import Path

from photochanger.media.files import private, storage_error, write_all
from photochanger.media.formats.sniff import HEAD


class SpoolFile:
    """One new file that is hashed and counted while it is written. Blocks: use it in a worker thread, one at a time.

    `head` holds the first bytes, enough to know the format. Every method may raise StorageUnavailable, after which
    no file is left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.head = b""
        self._digest = hashlib.sha256()
        try:
            self._file = open(path, "xb", buffering=0, opener=private)  # noqa: SIM115 - closed by close() or discard()
        except OSError as error:
            raise storage_error(error, "The photo cannot be written") from error

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append `chunk`."""
        try:
            write_all(self._file.fileno(), chunk)
        except OSError as error:
            self.discard()
            raise storage_error(error, "The photo cannot be written") from error
        self._digest.update(chunk)
        if len(self.head) < HEAD:
            self.head += bytes(chunk[: HEAD - len(self.head)])
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """The hash of what was written so far, hexadecimal."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """The upload is complete; the file stays. It is not forced to disk: after a loss of power nobody waits."""
        try:
            self._file.close()
        except OSError as error:
            self.discard()
            raise storage_error(error, "The photo cannot be written") from error

    def discard(self) -> None:
        """Close and remove the file. May be called at any time and more than once."""
        try:
            try:
                self._file.close()
            finally:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, "The photo cannot be removed") from error
