"""A client for the tests' own servers."""

import ssl
from typing import Any, Final

import httpx

# They speak no TLS, and reading all root certificates, as a client does by itself, takes longer than most questions.
_NO_ROOTS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def client(**options: Any) -> httpx.AsyncClient:
    """httpx's client, with its own options; it looks at no environment."""
    return httpx.AsyncClient(verify=_NO_ROOTS, trust_env=False, **options)
