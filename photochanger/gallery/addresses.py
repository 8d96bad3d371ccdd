"""Absolute addresses, for links that leave the house: on paper, in a QR code, in a message."""

import re
from typing import Final

from quart import Request

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal

_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)


class Addresses:
    """`base_url` is PUBLIC_BASE_URL; without one, links lead to the host that the request itself was sent to.

    That host is whatever the client says it is: an answer with such a link is for that client only, never for a cache.
    """

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url

    @property
    def are_fixed(self) -> bool:
        """Everybody gets the same link, so that an answer with it may be cached."""
        return self._base_url is not None

    def absolute(self, path: str, request: Request) -> str:
        """`path` (with its slash) as an absolute address. Raises Refusal (invalid_request) for a Host that is none."""
        if self._base_url is not None:
            return self._base_url + path
        host = request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            raise Refusal(Reason.INVALID_REQUEST, "The Host header names no host.")
        return f"{'https' if request.scheme == 'https' else 'http'}://{host}{path}"
