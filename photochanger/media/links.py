"""Addresses under which a provider fetches a photo: nobody can guess one, and it is good while the work lasts.

A name is 128 random bits and an HMAC over them, both in hexadecimal, and the extension of the photo's format. So a
name that was ours once is told from one that never was, also after a restart, and nothing has to be remembered.
"""

import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Final

from photochanger.errors import ConfigError
from photochanger.media.store import EXTENSIONS
from photochanger.providers.base import PreparedPhoto

PATH: Final = "/public/media/"
"""Where the names are served, below the base URL."""

_BYTES: Final = 16
_NAME: Final = re.compile(rf"([0-9a-f]{{{2 * _BYTES}}})([0-9a-f]{{{2 * _BYTES}}})(\.[a-z]+)")


class Gone(Enum):
    """What `find` answers for a link that was retired."""

    GONE = "gone"


class PublicLinks:
    """The links of one house. `base_url` is how the internet reaches it (None: not at all), `secret` the house's."""

    def __init__(self, base_url: str | None, secret: bytes) -> None:
        self._base_url = base_url
        self._key = hmac.digest(secret, b"photochanger public links", "sha256")
        self._photos: dict[str, PreparedPhoto] = {}

    def __len__(self) -> int:
        return len(self._photos)

    def publish(self, photo: PreparedPhoto) -> AbstractContextManager[str]:
        """The absolute address of `photo`, good inside the block; a fetch that has begun may finish after it.

        Raises ConfigError when this house has no public address.
        """
        if self._base_url is None:
            raise ConfigError("PUBLIC_BASE_URL is not set: the provider has no address to fetch the photo from")
        return self._published(self._base_url, photo)

    def find(self, name: str) -> PreparedPhoto | Gone | None:
        """The photo behind the last part of an address; GONE when it is retired, None when it never was ours."""
        found = _NAME.fullmatch(name)
        if found is None or not hmac.compare_digest(found[2], self._mac(found[1], found[3])):
            return None
        return self._photos.get(name, Gone.GONE)

    @contextmanager
    def _published(self, base_url: str, photo: PreparedPhoto) -> Iterator[str]:
        number, extension = secrets.token_hex(_BYTES), EXTENSIONS[photo.mime]
        name = number + self._mac(number, extension) + extension
        self._photos[name] = photo
        try:
            yield f"{base_url}{PATH}{name}"
        finally:
            del self._photos[name]

    def _mac(self, number: str, extension: str) -> str:
        return hmac.digest(self._key, (number + extension).encode(), "sha256")[:_BYTES].hex()
