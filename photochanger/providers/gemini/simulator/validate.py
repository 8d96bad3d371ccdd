"""Is this a request that Google would take? If not, the answer that Google would give.

Written from the API reference and from error reports, not from the driver: it is the driver's opponent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from photochanger.providers.gemini.simulator.invalid import Invalid, bad
from photochanger.providers.gemini.simulator.parts import Way, photo_of
from photochanger.providers.gemini.simulator.picture import SIZES_2_5, SIZES_3
from photochanger.providers.gemini.simulator.stored import StoredFile

BODY_CAP: Final = 100_000_000
"""Bytes of a request with inline data; Google's limit since January 2026."""

PICTURES: Final = 14

RETIRED: Final = frozenset(
    {"gemini-2.5-flash-image-preview", "gemini-3.1-flash-image-preview", "gemini-3-pro-image-preview"}
)
MODELS: Final = frozenset(
    {"gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-3.1-flash-lite-image", "gemini-2.5-flash-image"}
)
_EXTREME: Final = frozenset({"1:4", "4:1", "1:8", "8:1"})
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """A valid request, reduced to what an answer is made from. `ways` tells of each photo how it came."""

    prompt: str
    photos: tuple[bytes, ...]
    ways: tuple[Way, ...]
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


def check_request(version: str, model: str, body: bytes | bytearray, files: Mapping[str, StoredFile]) -> Wanted:
    """Read and judge a request body; `files` are those it may refer to, by address. Blocks while it decodes.

    Raises Invalid.
    """
    if len(body) > BODY_CAP:
        raise bad(f"Request payload size exceeds the limit: {BODY_CAP} bytes.")
    try:
        request = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise bad(f"Invalid JSON payload received. {error}") from None
    request = message_of(request, _REQUEST, "")
    config = request.get("generationConfig", {})
    if version == "v1" and "responseModalities" in config:
        raise _unknown("responseModalities", "generation_config")
    contents = request.get("contents")
    if not contents:
        raise bad("* GenerateContentRequest.contents: contents is not specified\n")
    if "systemInstruction" in request and model.startswith("gemini-2.5"):
        raise bad(f"Developer instruction is not enabled for models/{model}")
    _check_safety(request.get("safetySettings", []))
    image = config.get("imageConfig", {})
    modalities = config.get("responseModalities", ["TEXT", "IMAGE"])
    if not isinstance(modalities, list) or not modalities or not set(modalities) <= {"TEXT", "IMAGE"}:
        raise bad("Invalid value at 'generation_config.response_modalities'")
    if "IMAGE" not in modalities:
        raise bad("The requested combination of response modalities is not supported by the model.")
    parts = [part for content in contents for part in content.get("parts", [])]
    photos = [found for part in parts if (found := photo_of(part, files))]
    if len(photos) > PICTURES:
        raise bad(f"Too many images in the request: at most {PICTURES}")
    return Wanted(
        prompt="\n".join(part["text"] for part in parts if isinstance(part.get("text"), str)),
        photos=tuple(data for data, _, _ in photos),
        ways=tuple(way for _, way, _ in photos),
        mime=photos[0][2] if photos else None,
        aspect_ratio=_ratio(model, image.get("aspectRatio")),
        image_size=_size(model, image.get("imageSize")),
        thinking=_thinking(config.get("thinkingConfig", {}).get("thinkingLevel")),
    )


def message_of(value: Any, fields: dict[str, Any], path: str = "") -> dict[str, Any]:
    """`value` with camelCase names; snake_case is accepted as protobuf's JSON does. Unknown names are errors."""
    if not isinstance(value, dict):
        raise bad(f"Invalid value at '{path or 'request'}': a message was expected")
    result: dict[str, Any] = {}
    for name, inner in value.items():
        camel = re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
        if camel not in fields:
            raise _unknown(name, path)
        if camel in result:
            raise bad(f"Invalid JSON payload received. Field {name} is set twice at '{path}'")
        shape, below = fields[camel], f"{path}.{_snake(camel)}".lstrip(".")
        if isinstance(shape, dict):
            result[camel] = message_of(inner, shape, below)
        elif isinstance(shape, list):
            if not isinstance(inner, list):
                raise bad(f"Invalid value at '{below}': a list was expected")
            result[camel] = [message_of(item, shape[0], f"{below}[{number}]") for number, item in enumerate(inner)]
        else:
            result[camel] = inner
    return result


def _check_safety(settings: list[dict[str, Any]]) -> None:
    categories = [item.get("category") for item in settings]
    if len(set(map(str, categories))) < len(categories):
        raise bad("safety_settings: at most one setting per category")
    for item in settings:
        if item.get("category") not in _CATEGORIES or item.get("threshold") not in _THRESHOLDS:
            raise bad("Invalid value at 'safety_settings'")


def _ratio(model: str, ratio: Any) -> str | None:
    sizes = SIZES_2_5 if model.startswith("gemini-2.5") else SIZES_3
    if ratio is None or ratio in sizes or (ratio in _EXTREME and model == "gemini-3.1-flash-image"):
        return None if ratio is None else str(ratio)
    raise bad(f"aspect_ratio must be one of {', '.join(sizes)}")


def _size(model: str, size: Any) -> str:
    if size is None:
        return "1K"
    if model.startswith("gemini-2.5"):
        raise bad(f"image_size is not supported for models/{model}")
    if size not in (("1K",) if "lite" in model else ("1K", "2K", "4K")):
        raise bad(f"Invalid value at 'generation_config.image_config.image_size': {str(size)[:20]}")
    return str(size)


def _thinking(level: Any) -> str | None:
    if level is None or level in ("MINIMAL", "LOW", "MEDIUM", "HIGH"):
        return None if level is None else str(level)
    raise bad("Invalid value at 'generation_config.thinking_config.thinking_level' (TYPE_ENUM)")


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


def _unknown(name: str, path: str) -> Invalid:
    message = f'Invalid JSON payload received. Unknown name "{name[:60]}"' + (f" at '{path}'" if path else "")
    violation = {"field": path, "description": f"{message}: Cannot find field."}
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    return Invalid(400, "INVALID_ARGUMENT", f"{message}: Cannot find field.", [detail])
