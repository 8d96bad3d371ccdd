"""Is this a request that Turbotext would take? If not, what it would say.

Written from the public documentation, not from the driver: it is the driver's opponent. Turbotext's own words for
errors are not known; these are invented. Fields that are not documented are refused, which it may not do.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

FORM: Final = "application/x-www-form-urlencoded"
FORMATS: Final = (".jpg", ".jpeg", ".png")


class Refused(Exception):
    """The request is answered with this error. `http` is the status."""

    def __init__(self, message: str, http: int = 200) -> None:
        super().__init__(message)
        self.http = http


def check_head(content_type: str, authorization: str | None, key: str | None) -> None:
    """Raises Refused for another encoding than a form, and for a wrong key; without `key` any will do."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise Refused("the request must be form encoded", 415)
    if key is not None and authorization != f"Bearer {key}":
        raise Refused("wrong api key", 401)


def read_form(body: bytes | bytearray) -> dict[str, str]:
    """The fields. Raises Refused for text that is no form and for a field that comes twice."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=50
        )
    except ValueError:
        raise Refused("the form cannot be read") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise Refused("a field comes twice")
    return form


def check_create(method: str, form: Mapping[str, str]) -> None:
    """Raises Refused for a missing, unknown or impossible field of create_queue."""
    rules = METHODS[method]
    if "webhook" in form:
        raise Refused("webhook: this imitation does not call back")
    for name in form.keys() - rules.keys() - {"do"}:
        raise Refused(f"{name}: unknown parameter")
    for name, (required, good) in rules.items():
        if name not in form:
            if required:
                raise Refused(f"{name}: required")
        elif not good(form[name]):
            raise Refused(f"{name}: wrong value")


def _integer(low: int, high: int) -> Callable[[str], bool]:
    return lambda text: text.isascii() and text.isdecimal() and low <= int(text[:20]) <= high


def _number(low: float, high: float) -> Callable[[str], bool]:
    def good(text: str) -> bool:
        try:
            value = float(text)
        except ValueError:
            return False
        return math.isfinite(value) and low <= value <= high

    return good


def _text(text: str) -> bool:
    return bool(text.strip())


def _words(text: str) -> bool:
    return 0 < len(text.split()) <= 80


def _address(text: str) -> bool:
    """An absolute address that ends in the name of a format, as the documentation speaks of addresses of pictures."""
    try:
        parsed = urlsplit(text)
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.hostname) and parsed.path.lower().endswith(FORMATS)


def _python_bool(text: str) -> bool:
    return text in ("True", "False")


METHODS: Final[Mapping[str, Mapping[str, tuple[bool, Callable[[str], bool]]]]] = {
    "generate_image2image": {
        "url": (True, _address),
        "content": (True, _text),
        "strength": (False, _integer(0, 80)),
        "seed": (False, _integer(1, 10_000_000_000)),
        "scale": (False, _number(0.1, 20)),
        "negative_prompt": (False, _words),
        "original_language": (False, _text),
        "user_id": (False, _integer(0, 2**63)),
    },
    "mix_images": {
        "url_image_target": (True, _address),
        "url": (True, _address),
        "content": (False, _text),
    },
    "deepfake_photo": {
        "url": (True, _address),
        "url_image_target": (True, _address),
        "face_restore": (False, _python_bool),
    },
}
"""Each method's fields: whether they must be there, and what they may hold."""

CANVAS: Final = {"generate_image2image": "url", "mix_images": "url_image_target", "deepfake_photo": "url"}
"""The field whose picture is drawn upon."""
