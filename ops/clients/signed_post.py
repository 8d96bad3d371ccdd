#!/usr/bin/env python3
"""Post one photo to a slot of PhotoChanger, signed. Needs Python 3.9 or newer and nothing else.

    photochanger signing-key slot-001 > slot-001.key
    python signed_post.py http://127.0.0.1:8080/api/ingest/slot-001 photo.jpg --key-file slot-001.key --out result.jpg

Exit code 0 when a picture came, 1 when the service answered with a reason, 2 when it could not be reached.
"""

# ruff: noqa: T201 - a program for the screen

import argparse
import base64
import hashlib
import hmac
import http.client
import mimetypes
import secrets
import sys
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit


def read_key(shown: str) -> bytes:
    """The key's bytes, from the form in which `photochanger signing-key` shows it."""
    return base64.b64decode(shown.strip().removeprefix("whsec_"), validate=True)


def sign(key: bytes, method: str, target: str, timestamp: int, nonce: str, body: bytes) -> dict[str, str]:
    """The four parts of a signature, by their header names.

    `target` is the path and, where there is one, the query: byte for byte as they are sent.
    """
    digest = hashlib.sha256(body).hexdigest()
    text = f"v1\n{method}\n{target}\n{timestamp}\n{nonce}\n{digest}"
    signature = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    return {
        "Webhook-Id": nonce,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": f"v1,{signature}",
        "Webhook-Content-Sha256": digest,  # optional: with it a wrong signature is refused before the upload
    }


def in_query(target: str, parts: dict[str, str]) -> str:
    """The target with the signature in its query, for clients that cannot set headers."""
    query = urlencode({name.lower().replace("-", "_"): value for name, value in parts.items()})
    return f"{target}{'&' if '?' in target else '?'}{query}"


def form(photo: Path) -> tuple[str, bytes]:
    """The content type and the bytes of a form that holds the photo."""
    boundary = secrets.token_hex(16)
    kind = mimetypes.guess_type(photo.name)[0] or "image/jpeg"
    name = photo.name.replace('"', "'")
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="fileToUpload"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return f"multipart/form-data; boundary={boundary}", b"%s%s\r\n--%s--\r\n" % (
        head.encode(),
        photo.read_bytes(),
        boundary.encode(),
    )


def main() -> int:
    """Send, and say what came."""
    parser = argparse.ArgumentParser(description="Post one photo to a slot of PhotoChanger, signed.")
    parser.add_argument("url", help="http(s)://host[:port]/api/ingest/slot-001")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--key-file", type=Path, required=True, help="holds what `photochanger signing-key` printed")
    parser.add_argument("--query", action="store_true", help="sign in the query instead of in headers")
    parser.add_argument("--out", type=Path, help="where to write the picture")
    parser.add_argument("--timeout", type=float, default=65.0, help="seconds; longer than the slot's window")
    arguments = parser.parse_args()

    url = urlsplit(arguments.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    content_type, body = form(arguments.photo)
    # A nonce is good once. Whoever tries again, for whatever reason, signs again.
    parts = sign(
        read_key(arguments.key_file.read_text()), "POST", target, int(time.time()), secrets.token_hex(16), body
    )
    headers = {"Content-Type": content_type}
    if arguments.query:
        target = in_query(target, parts)
    else:
        headers |= parts

    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=arguments.timeout)
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 2
    finally:
        connection.close()

    print(answer.status, answer.getheader("Content-Type"), len(content), "bytes")
    if answer.status != 200:
        print(content.decode(errors="replace"), file=sys.stderr)
        return 1
    if arguments.out:
        arguments.out.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
