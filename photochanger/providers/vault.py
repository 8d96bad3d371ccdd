"""Providers' keys at rest: encrypted, so that the database and its backups alone are worth nothing."""

import base64
from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from photochanger.errors import PhotoChangerError

SIZE: Final = 32
"""Bytes of each of the vault's own keys."""


class Unreadable(PhotoChangerError):
    """What lies there was not put there with any of the vault's keys, or is something else."""


class Vault:
    """Locks with the first of its `keys` and opens with all of them. Its repr shows none."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != SIZE for key in keys):
            raise ValueError(f"a vault needs keys of {SIZE} bytes")
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])

    def lock(self, name: str, secret: str) -> str:
        """`secret` as it may lie in a row; only under the same `name` it can be opened again."""
        return self._fernet.encrypt(f"{name}\n{secret}".encode()).decode()

    def open(self, name: str, locked: object) -> str:
        """The secret. Raises Unreadable."""
        if not isinstance(locked, str):
            raise Unreadable("it is not stored as it should be")
        try:
            whose, _, secret = self._fernet.decrypt(locked).decode().partition("\n")
        except (InvalidToken, ValueError):  # the latter for what is no ASCII
            raise Unreadable("it was stored with another SETTINGS_KEY") from None
        if whose != name:
            raise Unreadable("it was stored under another name")
        return secret
