"""From the reply's base64 to a file, in pieces, so that the picture never stands in memory twice."""

import binascii
from pathlib import Path
from typing import Final

import msgspec
import pybase64

from photochanger.errors import StorageUnavailable
from photochanger.providers.gemini.wire import BadAnswer

PIECE: Final = 256 * 1024
"""Characters decoded at a time; a multiple of 4."""


def save_picture(data: msgspec.Raw, path: Path) -> int:
    """Write the picture that the JSON string `data` holds to `path`; returns its size in bytes. Blocks.

    Raises BadAnswer when the string is not base64 and StorageUnavailable when the file cannot be written; the file
    may then exist in part, and is the caller's.
    """
    text = memoryview(data)[1:-1]
    try:
        return _decode(text, path)
    except binascii.Error as error:
        if b"\\" not in bytes(text):
            raise BadAnswer(f"the picture is not base64: {error}") from None
    # Some JSON writers escape "/" or "=". Rare, so only now is the string really unescaped.
    try:
        return _decode(memoryview(msgspec.json.decode(data, type=str).encode()), path)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadAnswer(f"the picture is not base64: {error}") from None


def _decode(text: memoryview, path: Path) -> int:
    written = 0
    try:
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(text), PIECE):
                piece = pybase64.b64decode(text[start : start + PIECE], validate=True)
                if len(piece) % 3 and start + PIECE < len(text):
                    raise binascii.Error("padding before the end")
                written += _write(file, piece)
    except OSError as error:
        raise StorageUnavailable(f"the picture cannot be written: {error.strerror}") from error
    if written == 0:
        raise BadAnswer("the picture is empty")
    return written


def _write(file: object, piece: bytes) -> int:
    """All of `piece`; a raw file may take less at a time."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]  # type: ignore[attr-defined]
    return len(piece)
