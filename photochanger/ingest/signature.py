"""Signed requests: an HMAC-SHA256 over what is asked, when, once only, and over every byte of the body.

The signed text is `v1`, the method, the target, the timestamp, the nonce and the SHA-256 of the body (lower-case
hexadecimal), joined by line feeds. README.md beside this file says it for those who write clients.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import Headers

from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Refusal

TOLERANCE: Final = 300
"""Seconds by which the client's clock may differ from ours."""
UPLOAD: Final = 120
"""Seconds in which a request that was in time has surely ended: twice the longest window."""
MAX_SIGNATURES: Final = 4

PARTS: Final = ("Id", "Timestamp", "Signature", "Content-Sha256")
HEADERS: Final = tuple(f"Webhook-{part}" for part in PARTS)
QUERY: Final = tuple(f"webhook_{part.lower().replace('-', '_')}" for part in PARTS)

_NONCE: Final = re.compile(r"[A-Za-z0-9_.-]{16,128}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_SIGNATURE: Final = re.compile(r"(?:v1,)?([A-Za-z0-9+/_-]{43})=?")
_URLSAFE: Final = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request says about its signature. Nothing of it is true before `check_early` and `check_body`.

    `target` is the raw path, with the rest of the query where there is one; `timestamp` is in Unix seconds.
    `announced` is the body's SHA-256 as the client promised it.
    """

    method: str
    target: str
    timestamp: int
    nonce: str
    signatures: tuple[bytes, ...] = field(repr=False)
    announced: bytes | None = None

    @classmethod
    def from_request(cls, method: str, raw_path: bytes, query_string: bytes, headers: Headers) -> "Signed | None":
        """Read the headers, or else the query; None when neither holds anything of a signature.

        Raises Refusal, `invalid_credentials`, whose detail names the part that is missing or malformed.
        """
        rest, in_query = _split(query_string)
        in_headers = {name: headers.getlist(name) for name in HEADERS if name in headers}
        if in_headers and in_query:
            _refuse("The signature must be in the headers or in the query, not in both.")
        given, names = (in_query, QUERY) if in_query else (in_headers, HEADERS)
        if not given:
            return None
        for name in names[:3]:
            if name not in given:
                _refuse(f"{name} is missing.")
        for name, values in given.items():
            if len(values) > 1:
                _refuse(f"{name} is there more than once.")
        nonce, timestamp, signature, announced = (given.get(name, [None])[0] for name in names)
        return cls(
            method=method,
            target=(raw_path + (b"?" + rest if rest else b"")).decode("latin-1"),
            nonce=_read(names[0], nonce, _NONCE, "16 to 128 of A-Z a-z 0-9 _ . -"),
            timestamp=int(_read(names[1], timestamp, _TIMESTAMP, "Unix time in whole seconds")),
            signatures=_signatures(names[2], signature or ""),
            announced=None
            if announced is None
            else bytes.fromhex(_read(names[3], announced, _SHA256, "64 hexadecimal digits")),
        )

    @property
    def expires_at(self) -> int:
        """The Unix time after which this request is too old even if its upload took long: remember the nonce so far."""
        return self.timestamp + TOLERANCE + UPLOAD

    def text(self, body_sha256: bytes) -> bytes:
        """What is signed."""
        lines = ("v1", self.method, self.target, str(self.timestamp), self.nonce, body_sha256.hex())
        return "\n".join(lines).encode("latin-1")


def decide_auth(slot: Slot, signed: Signed | None) -> Literal["password", "signature", "nothing"]:
    """By what this request has to prove that it may use the slot. Raises Refusal where the slot takes no such proof.

    A signature that is there must be right: a right password does not make up for a wrong one. An open slot asks
    for nothing, and looks at nothing that is given all the same.
    """
    if slot.auth == "open":
        return "nothing"
    if signed is None:
        if slot.auth == "signature":
            _refuse("This slot accepts signed requests only.")
        return "password"
    if slot.auth == "password":
        _refuse("This slot accepts its password only, no signatures.")
    return "signature"


def check_early(signed: Signed, key: bytes, now: float) -> None:
    """Check what can be checked before the body: the time and, where the body's hash is announced, the signature.

    `now` is in Unix seconds. Raises Refusal, `signature_expired` or `invalid_credentials`.
    """
    difference = round(now - signed.timestamp)
    if abs(now - signed.timestamp) > TOLERANCE:
        which = "behind" if difference > 0 else "ahead of"
        raise Refusal(
            Reason.SIGNATURE_EXPIRED,
            f"The signature's time is {abs(difference)} s {which} ours; {TOLERANCE} s are allowed.",
        )
    if signed.announced is not None:
        _verify(signed, key, signed.announced)


def check_body(signed: Signed, key: bytes, body_sha256: bytes) -> None:
    """Check the signature over the body that came. Raises Refusal, `invalid_credentials`."""
    if signed.announced is not None and not hmac.compare_digest(signed.announced, body_sha256):
        _refuse("The body is not the one that was announced.")
    _verify(signed, key, body_sha256)


def _verify(signed: Signed, key: bytes, body_sha256: bytes) -> None:
    expected = hmac.digest(key, signed.text(body_sha256), hashlib.sha256)
    # More than one: a client that changes keys may sign with the old and the new one.
    if not any(hmac.compare_digest(expected, signature) for signature in signed.signatures):
        _refuse("The signature is wrong.")


def _split(query: bytes) -> tuple[bytes, dict[str, list[str]]]:
    """The query without the signature's parameters, in the order received, and those parameters."""
    rest: list[bytes] = []
    ours: dict[str, list[str]] = {}
    for piece in query.split(b"&"):
        name, _, value = piece.partition(b"=")
        known = name.decode("latin-1")
        if known in QUERY:
            # A plus sign stays one: it belongs to base64.
            ours.setdefault(known, []).append(unquote_to_bytes(value).decode("latin-1"))
        else:
            rest.append(piece)
    return b"&".join(rest), ours


def _read(name: str, value: str | None, pattern: re.Pattern[str], meaning: str) -> str:
    if value is None or not pattern.fullmatch(value):
        _refuse(f"{name} is malformed: it must be {meaning}.")
    return value


def _signatures(name: str, value: str) -> tuple[bytes, ...]:
    """Signatures of versions that we do not know are passed over, as Standard Webhooks wants it."""
    known = [each for each in value.split() if each.startswith("v1,") or "," not in each]
    if not known or len(known) > MAX_SIGNATURES:
        _refuse(f"{name} is malformed: it must hold one to {MAX_SIGNATURES} signatures, as v1,base64.")
    return tuple(_decoded(name, each) for each in known)


def _decoded(name: str, value: str) -> bytes:
    match = _SIGNATURE.fullmatch(value)
    if match is None:
        _refuse(f"{name} is malformed: it must be v1, a comma, and 32 bytes in base64.")
    return base64.b64decode(match[1].translate(_URLSAFE) + "=")


def _refuse(detail: str) -> NoReturn:
    raise Refusal(Reason.INVALID_CREDENTIALS, detail)
