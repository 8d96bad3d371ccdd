"""A client that signs, written from the description and not from the service's code."""

import base64
import hashlib
import hmac

from werkzeug.datastructures import Headers

from photochanger.ingest.signature import Signed

KEY = b"k" * 32
NONCE = "0123456789abcdef"
NOW = 1_763_000_000
PATH = "/api/ingest/slot-001"


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def signature(
    body: bytes = b"", *, key: bytes = KEY, method: str = "POST", target: str = PATH, at: int = NOW, nonce: str = NONCE
) -> str:
    text = f"v1\n{method}\n{target}\n{at}\n{nonce}\n{digest(body)}"
    return base64.b64encode(hmac.new(key, text.encode(), "sha256").digest()).decode()


def headers(
    body: bytes = b"",
    *,
    key: bytes = KEY,
    target: str = PATH,
    at: int = NOW,
    nonce: str = NONCE,
    announced: bool = False,
) -> dict[str, str]:
    return {
        "Webhook-Id": nonce,
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": f"v1,{signature(body, key=key, target=target, at=at, nonce=nonce)}",
    } | ({"Webhook-Content-Sha256": digest(body)} if announced else {})


def read(given: dict[str, str] | None = None, *, query: bytes = b"", path: str = PATH) -> Signed | None:
    return Signed.from_request("POST", path.encode(), query, Headers(given or {}))
