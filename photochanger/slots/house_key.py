"""The house's own secret: made once, kept in `SECRETS_DIR`, the root of every signature that this house gives."""

import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from photochanger.errors import ConfigError
from photochanger.media.files import sync_folder

FILE: Final = "house.key"
SIZE: Final = 32
"""Bytes."""


def house_secret(folder: Path) -> bytes:
    """The 32 random bytes in `folder`, made when there are none yet; the same at every start. Blocks.

    Of several processes that start at once, all get the bytes of the one that was first. Raises ConfigError when
    the file cannot be read or made, or is not a whole key.
    """
    path = folder / FILE
    try:
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            _make(path)
            found = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"SECRETS_DIR: {FILE} cannot be used: {error.strerror or type(error).__name__}") from None
    if len(found) != SIZE:
        raise ConfigError(f"SECRETS_DIR: {FILE} has {len(found)} bytes, a key has {SIZE}; restore it from a backup")
    return found


def derived(secret: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose: who learns one of them learns no other. 32 bytes."""
    return hmac.digest(secret, f"photochanger {purpose}".encode(), "sha256")


def _make(path: Path) -> None:
    """Whole or not at all, and never in place of a key that is there meanwhile: a link replaces nothing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(SIZE))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(part)
        except FileExistsError:
            return
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)  # a key that was used must be there after a loss of power
