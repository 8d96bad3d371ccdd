"""Is this a request that Google would take? If not, the answer that Google would give.

Written from the API reference and from error reports, not from the driver: it is the driver's opponent.
"""

import binascii
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from photochanger.providers.gemini.simulator.picture import SIZES_2_5, SIZES_3

BODY_CAP: Final = 100_000_000
"""Bytes of a request with inline data; Google's limit since January 2026."""

RETIRED: Final = frozenset(
    {"gemini-2.5-flash-image-preview", "gemini-3.1-flash-image-preview", "gemini-3-pro-image-preview"}
)
MODELS: Final = frozenset(
    {"gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-3.1-flash-lite-image", "gemini-2.5-flash-image"}
)
_EXTREME: Final = frozenset({"1:4", "4:1", "1:8", "8:1"})
_MIMES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_CATEGORIES: Final = frozenset(
    f"HARM_CATEGORY_{name}"
    for name in ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
)
_THRESHOLDS: Final = frozenset(
    {"BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"}
)

# The fields of each message. A dict is a message, a list holds a repeated one, None is anything.
_PART: Final[dict[str, Any]] = {
    "text": None,
    "inlineData": {"mimeType": None, "data": None},
    "fileData": {"mimeType": None, "fileUri": None},
    "thought": None,
    "thoughtSignature": None,
}
_CONTENT: Final[dict[str, Any]] = {"role": None, "parts": [_PART]}
_REQUEST: Final[dict[str, Any]] = {
    "contents": [_CONTENT],
    "systemInstruction": _CONTENT,
    "generationConfig": {
        "responseModalities": None,
        "imageConfig": {"aspectRatio": None, "imageSize": None},
        "thinkingConfig": {"includeThoughts": None, "thinkingBudget": None, "thinkingLevel": None},
        **dict.fromkeys(
            (
                "candidateCount",
                "maxOutputTokens",
                "mediaResolution",
                "responseMimeType",
                "responseSchema",
                "seed",
                "stopSequences",
                "temperature",
                "topK",
                "topP",
            )
        ),
    },
    "safetySettings": [{"category": None, "threshold": None}],
    "cachedContent": None,
    "tools": None,
    "toolConfig": None,
}


class Invalid(Exception):
    """The request is answered with this error."""

    def __init__(self, http: int, status: str, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.http = http
        self.status = status
        self.details = details or []


@dataclass(frozen=True, slots=True)
class Wanted:
    """A valid request, reduced to what an answer is made from."""

    prompt: str
    photos: tuple[bytes, ...]
    mime: str | None
    aspect_ratio: str | None
    image_size: str
    thinking: str | None


def check_model(model: str) -> None:
    """Raises Invalid for an id that does not answer."""
    if model in RETIRED or model not in MODELS:
        raise Invalid(
            404,
            "NOT_FOUND",
            f"models/{model} is not found for API version v1beta, or is not supported for generateContent. "
            "Call ListModels to see the list of available models and their supported methods.",
        )


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


def check_request(version: str, model: str, body: bytes | bytearray) -> Wanted:
    """Read and judge a request body. Blocks for the time it takes to decode it. Raises Invalid."""
    if len(body) > BODY_CAP:
        raise _bad(f"Request payload size exceeds the limit: {BODY_CAP} bytes.")
    try:
        request = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _bad(f"Invalid JSON payload received. {error}") from None
    request = _message(request, _REQUEST, "")
    config = request.get("generationConfig", {})
    if version == "v1" and "responseModalities" in config:
        raise _unknown("responseModalities", "generation_config")
    contents = request.get("contents")
    if not contents:
        raise _bad("* GenerateContentRequest.contents: contents is not specified\n")
    if "systemInstruction" in request and model.startswith("gemini-2.5"):
        raise _bad(f"Developer instruction is not enabled for models/{model}")
    _check_safety(request.get("safetySettings", []))
    image = config.get("imageConfig", {})
    modalities = config.get("responseModalities", ["TEXT", "IMAGE"])
    if not isinstance(modalities, list) or not modalities or not set(modalities) <= {"TEXT", "IMAGE"}:
        raise _bad("Invalid value at 'generation_config.response_modalities'")
    if "IMAGE" not in modalities:
        raise _bad("The requested combination of response modalities is not supported by the model.")
    parts = [part for content in contents for part in content.get("parts", [])]
    photos, mimes = _photos(parts)
    return Wanted(
        prompt="\n".join(part["text"] for part in parts if isinstance(part.get("text"), str)),
        photos=photos,
        mime=mimes[0] if mimes else None,
        aspect_ratio=_ratio(model, image.get("aspectRatio")),
        image_size=_size(model, image.get("imageSize")),
        thinking=_thinking(config.get("thinkingConfig", {}).get("thinkingLevel")),
    )


def _message(value: Any, fields: dict[str, Any], path: str) -> dict[str, Any]:
    """`value` with camelCase names; snake_case is accepted as protobuf's JSON does. Unknown names are errors."""
    if not isinstance(value, dict):
        raise _bad(f"Invalid value at '{path or 'request'}': a message was expected")
    result: dict[str, Any] = {}
    for name, inner in value.items():
        camel = re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
        if camel not in fields:
            raise _unknown(name, path)
        if camel in result:
            raise _bad(f"Invalid JSON payload received. Field {name} is set twice at '{path}'")
        shape, below = fields[camel], f"{path}.{_snake(camel)}".lstrip(".")
        if isinstance(shape, dict):
            result[camel] = _message(inner, shape, below)
        elif isinstance(shape, list):
            if not isinstance(inner, list):
                raise _bad(f"Invalid value at '{below}': a list was expected")
            result[camel] = [_message(item, shape[0], f"{below}[{number}]") for number, item in enumerate(inner)]
        else:
            result[camel] = inner
    return result


def _photos(parts: list[dict[str, Any]]) -> tuple[tuple[bytes, ...], list[str]]:
    photos, mimes = [], []
    for part in parts:
        kinds = [kind for kind in ("text", "inlineData", "fileData") if kind in part]
        if len(kinds) != 1:
            raise _bad("contents.parts must have one initialized field")
        if kinds == ["fileData"]:
            raise _bad("file_data is not simulated")
        if kinds == ["inlineData"]:
            blob = part["inlineData"]
            if blob.get("mimeType") not in _MIMES:
                raise _bad(f"Unsupported MIME type: {blob.get('mimeType')}")
            try:
                data = binascii.a2b_base64(blob.get("data", ""), strict_mode=True)
            except (binascii.Error, TypeError, ValueError):
                raise _bad(
                    "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed"
                ) from None
            if _magic(data) != blob["mimeType"].replace("heif", "heic"):
                raise _bad("Provided image is not valid.")
            photos.append(data)
            mimes.append(blob["mimeType"])
    if len(photos) > 14:
        raise _bad("Too many images in the request: at most 14")
    return tuple(photos), mimes


def _magic(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return "image/heic"
    return None


def _check_safety(settings: list[dict[str, Any]]) -> None:
    categories = [item.get("category") for item in settings]
    if len(set(map(str, categories))) < len(categories):
        raise _bad("safety_settings: at most one setting per category")
    for item in settings:
        if item.get("category") not in _CATEGORIES or item.get("threshold") not in _THRESHOLDS:
            raise _bad("Invalid value at 'safety_settings'")


def _ratio(model: str, ratio: Any) -> str | None:
    sizes = SIZES_2_5 if model.startswith("gemini-2.5") else SIZES_3
    if ratio is None or ratio in sizes or (ratio in _EXTREME and model == "gemini-3.1-flash-image"):
        return None if ratio is None else str(ratio)
    raise _bad(f"aspect_ratio must be one of {', '.join(sizes)}")


def _size(model: str, size: Any) -> str:
    if size is None:
        return "1K"
    if model.startswith("gemini-2.5"):
        raise _bad(f"image_size is not supported for models/{model}")
    if size not in (("1K",) if "lite" in model else ("1K", "2K", "4K")):
        raise _bad(f"Invalid value at 'generation_config.image_config.image_size': {str(size)[:20]}")
    return str(size)


def _thinking(level: Any) -> str | None:
    if level is None or level in ("MINIMAL", "LOW", "MEDIUM", "HIGH"):
        return None if level is None else str(level)
    raise _bad("Invalid value at 'generation_config.thinking_config.thinking_level' (TYPE_ENUM)")


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


def _bad(message: str) -> Invalid:
    return Invalid(400, "INVALID_ARGUMENT", message)


def _unknown(name: str, path: str) -> Invalid:
    message = f'Invalid JSON payload received. Unknown name "{name[:60]}"' + (f" at '{path}'" if path else "")
    violation = {"field": path, "description": f"{message}: Cannot find field."}
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    return Invalid(400, "INVALID_ARGUMENT", f"{message}: Cannot find field.", [detail])
