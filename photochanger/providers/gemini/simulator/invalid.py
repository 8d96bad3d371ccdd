"""Requests that Google would not take, and the keys it would."""

import re
from typing import Any

from photochanger.providers.simulator import Request


class Invalid(Exception):
    """The request is answered with this error."""

    def __init__(self, http: int, status: str, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.http = http
        self.status = status
        self.details = details or []


def bad(message: str) -> Invalid:
    return Invalid(400, "INVALID_ARGUMENT", message)


def check_key(given: str | None, expected: str | None) -> None:
    """Raises Invalid (a 400, not a 401) for a missing or wrong key; without `expected` any will do."""
    if expected is not None and given != expected:
        raise Invalid(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                    "metadata": {"service": "generativelanguage.googleapis.com"},
                }
            ],
        )


def key_of(request: Request) -> str | None:
    found = re.search(r"(?:^|&)key=([^&]*)", request.query)
    return request.headers.get("x-goog-api-key") or (found[1] if found else None)
