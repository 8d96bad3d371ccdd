"""Writing one small file whole or not at all, and making names durable."""

import os
import secrets
from pathlib import Path

from photochanger.errors import StorageUnavailable


def private(path: str, flags: int) -> int:
    """For `open(opener=)`: the file can be read by the service's own user only."""
    return os.open(path, flags, 0o600)


def storage_error(error: OSError, doing: str) -> StorageUnavailable:
    """What to raise for `error`. Paths are left out, because details can reach a client."""
    return StorageUnavailable(f"{doing}: {error.strerror or type(error).__name__}")


def make_private(folder: Path) -> None:
    """Make a temp folder and the one above it, readable by the service's own user only. Raises StorageUnavailable."""
    try:
        private_folder(folder)
    except OSError as error:
        raise storage_error(error, "A temp folder cannot be made") from error


def private_folder(folder: Path) -> None:
    """The same of any folder. Raises OSError."""
    for each in (folder.parent, folder):  # mkdir(parents=True) would give the mode to the last one only
        each.mkdir(mode=0o700, exist_ok=True)


def write_new(path: Path, data: bytes) -> None:
    """Write `data` to a new or emptied file at `path`; a file that cannot be completed is removed.

    Raises StorageUnavailable.
    """
    try:
        try:
            with open(path, "wb", buffering=0, opener=private) as file:
                write_all(file.fileno(), data)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise storage_error(error, "A picture cannot be written") from error


def write_private(path: Path, data: bytes) -> None:
    """Replace `path` with a file that nobody else may read: whole or not at all, and durable. Raises OSError."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            belong_to_folder(file.fileno(), path.parent)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def belong_to_folder(descriptor: int, folder: Path) -> None:
    """What root writes into the service's folder must be the service's to read. Raises OSError."""
    if os.name == "posix" and os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a loss of power. Only POSIX systems can open a folder for this."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """All of `data`: a disk that is nearly full takes a part first and fails after it. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
