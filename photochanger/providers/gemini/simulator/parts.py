"""The pictures of a request: inline, or by the address of a file that lies here."""

import binascii
from collections.abc import Mapping
from typing import Any, Final, Literal

from photochanger.providers.gemini.simulator.invalid import Invalid, bad
from photochanger.providers.gemini.simulator.stored import StoredFile

MIMES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})

Way = Literal["inline", "file"]


def photo_of(part: dict[str, Any], files: Mapping[str, StoredFile]) -> tuple[bytes, Way, str] | None:
    """A part's picture, how it came and its MIME type; None when the part is text."""
    kinds = [kind for kind in ("text", "inlineData", "fileData") if kind in part]
    if len(kinds) != 1:
        raise bad("contents.parts must have one initialized field")
    if kinds == ["fileData"]:
        return _stored(part["fileData"], files)
    if kinds == ["text"]:
        return None
    blob = part["inlineData"]
    if blob.get("mimeType") not in MIMES:
        raise bad(f"Unsupported MIME type: {blob.get('mimeType')}")
    try:
        data = binascii.a2b_base64(blob.get("data", ""), strict_mode=True)
    except (binascii.Error, TypeError, ValueError):
        raise bad(
            "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed"
        ) from None
    if magic(data) != blob["mimeType"].replace("heif", "heic"):
        raise bad("Provided image is not valid.")
    return data, "inline", blob["mimeType"]


def _stored(reference: dict[str, Any], files: Mapping[str, StoredFile]) -> tuple[bytes, Way, str]:
    """Google would also fetch public addresses; this house sends none, so here they are mistakes."""
    file = files.get(str(reference.get("fileUri")))
    if file is None:
        raise Invalid(403, "PERMISSION_DENIED", "You do not have permission to access the File or it may not exist.")
    if file.state != "ACTIVE":
        raise Invalid(400, "FAILED_PRECONDITION", f"The File {file.name[6:]} is not in an ACTIVE state.")
    if reference.get("mimeType") != file.mime:
        raise bad(f"Unsupported MIME type: {reference.get('mimeType')}")
    return file.data, "file", file.mime


def magic(data: bytes | bytearray) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return "image/heic"
    return None
