"""What Turbotext answers, read leniently: it documents replies that are not JSON, and each field in two places.

From the examples in the public documentation; a reply's own type is not documented, so nothing is required here.
"""

import re
from typing import Any, Final
from urllib.parse import urljoin

import msgspec

SITE: Final = "https://www.turbotext.ru/"
"""What relative picture addresses are taken to be relative to; their base is documented nowhere."""

HANDLE_LIMIT: Final = 200

SALVAGE_LIMIT: Final = 64 * 1024
"""Characters of a damaged reply that are searched, in the event loop; the documented ones have some hundred."""


class BadAnswer(Exception):
    """The reply is not the protocol: HTML, half a JSON, JSON of something else."""


class Reply(msgspec.Struct):
    """A reply of either step. None stands for a field that is absent or of another type.

    `whole` is False when the reply was no valid JSON and only what could still be told was taken from it.
    `pictures` are addresses as they were written, the best first. `ended` tells a finished job from a bare success.
    """

    success: bool | None = None
    action: str | None = None
    error: str | None = None
    queueid: str | None = None
    pictures: tuple[str, ...] = ()
    forbidden: bool = False
    ended: bool = False
    allowance: dict[str, int] = {}
    whole: bool = True

    @property
    def reconnect(self) -> bool:
        """Not ready; ask again. To be looked at before `success`, whose value then says nothing."""
        return self.action == "reconnect"

    @property
    def telling(self) -> bool:
        """It says something that can be acted upon."""
        said = self.queueid is not None or bool(self.pictures) or self.forbidden or self.reconnect
        return said or self.success is False


def decode_reply(body: bytes | bytearray) -> Reply:
    """A 200 reply, or what can be told of a damaged one. Raises BadAnswer when that is nothing."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    try:
        value, whole = msgspec.json.decode(text), True
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value, whole = _salvage(text[:SALVAGE_LIMIT]), False
    if not isinstance(value, dict) or not value:
        raise BadAnswer(f"not JSON of the documented kind; it starts with {text[:200]!r}")
    reply = _reply(value, whole)
    if not whole and not reply.telling:
        raise BadAnswer(f"damaged JSON; it starts with {text[:200]!r}")
    return reply


def error_text(body: bytes | bytearray) -> str:
    """What an error reply says: its "error", else its beginning."""
    text = body.decode("utf-8", "replace").strip()
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text
    said = _text(value.get("error")) if isinstance(value, dict) else None
    return said or text


def absolute(picture: str, base: str = SITE) -> str:
    """A picture's address, joined to the site if it is relative. Raises ValueError when it is no address at all."""
    return urljoin(base, picture)


def _reply(value: dict[str, Any], whole: bool) -> Reply:
    found = value.get("data")
    data: dict[str, Any] = found if isinstance(found, dict) else {}
    images = data.get("image")
    listed = images if isinstance(images, list) else [images]
    candidates = (value.get("uploaded_image"), data.get("uploaded_image"), *listed[:1])
    limits = value.get("limits")
    handle = value.get("queueid")
    return Reply(
        success=_truth(value.get("success")),
        action=_text(value.get("action")) or _text(data.get("action")),
        error=_text(value.get("error")),
        queueid=_handle(handle),
        pictures=tuple(item.strip() for item in candidates if isinstance(item, str) and item.strip()),
        forbidden=_truth(data.get("forbidden_content")) is True or _truth(value.get("forbidden_content")) is True,
        ended="data" in value or "uploaded_image" in value,
        allowance={
            str(name)[:40]: left
            for name, left in list(limits.items() if isinstance(limits, dict) else ())[:10]
            if isinstance(left, int)
        },
        whole=whole,
    )


_SCALAR = re.compile(
    r'"(success|action|error|queueid|uploaded_image|forbidden_content)"\s*:\s*'
    r'("(?:[^"\\]|\\.)*"|-?\d+|true|false|null)\s*[,}\]]'
)
_IMAGE = re.compile(r'"image"\s*:\s*\[\s*("(?:[^"\\]|\\.)*")')


def _salvage(text: str) -> dict[str, Any]:
    """The fields that stand whole in a text that is no JSON. A value that may have been cut off is not taken.

    A quotation mark inside a JSON string has a backslash before it, so a prompt that is echoed cannot pose as a field.
    """
    found: dict[str, Any] = {}
    for name, raw in _SCALAR.findall(text):
        if name not in found and (value := _scalar(raw)) is not None:
            found[name] = value
    if images := _IMAGE.search(text):
        found["data"] = {"image": [_scalar(images[1])]}
    return found


def _scalar(raw: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError):
        return None


def _truth(value: Any) -> bool | None:
    """true, 1, "true" and "True" alike; the documentation shows two of these."""
    word = str(value).strip().lower()
    if word in ("true", "1"):
        return True
    return False if word in ("false", "0") else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) and value else None


def _handle(value: Any) -> str | None:
    """The queue id as an opaque string; shown as a number, and nothing says that it stays one."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= HANDLE_LIMIT and text.isprintable() else None
