"""A slot's Gemini settings: their schema, and sentences an administrator can act on when they are wrong."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from photochanger.errors import ConfigError
from photochanger.providers.gemini.models import DEFAULT_MODEL, RETIRED, limits_of

PROMPT_LIMIT: Final = 10_000
"""Characters. Far below the model's input limit; a longer prompt is a mistake in a photo booth."""

Category = Literal[
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
]
Threshold = Literal["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"]
Modality = Literal["TEXT", "IMAGE"]
ModelId = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9.-]{0,99}$")]


class GeminiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the "edit" operation sends along with the photo. None means: leave it to the model.

    `prompt` comes after the photo and the templates. `image_size` is the tier of the answer. `safety_thresholds` do not
    govern the filters on drawn pictures, which cannot be switched off.
    """

    prompt: str
    model: ModelId = DEFAULT_MODEL
    aspect_ratio: str | None = None
    image_size: str | None = None
    response_modalities: tuple[Modality, ...] = ("IMAGE",)
    thinking_level: str | None = None
    safety_thresholds: dict[Category, Threshold] = {}


def parse_settings(settings: Mapping[str, Any]) -> GeminiSettings:
    """The settings in their own type. Raises ConfigError whose text starts with the field that is wrong."""
    try:
        parsed = msgspec.convert(dict(settings), GeminiSettings)
    except msgspec.ValidationError as error:
        raise ConfigError(_sentence(str(error))) from None
    if not parsed.prompt.strip():
        raise ConfigError("prompt: must not be empty")
    if len(parsed.prompt) > PROMPT_LIMIT:
        raise ConfigError(f"prompt: has {len(parsed.prompt)} characters, at most {PROMPT_LIMIT} are sent")
    try:
        parsed.prompt.encode()
    except UnicodeEncodeError:
        raise ConfigError("prompt: is not valid Unicode text") from None
    if gone := RETIRED.get(parsed.model):
        raise ConfigError(f"model: {parsed.model} was {gone.why}; use {gone.successor}")
    limits = limits_of(parsed.model)
    _one_of("aspect_ratio", parsed.aspect_ratio, limits.ratios, parsed.model)
    _one_of("image_size", parsed.image_size, limits.sizes, parsed.model)
    _one_of("thinking_level", parsed.thinking_level, limits.thinking, parsed.model)
    if "IMAGE" not in parsed.response_modalities or len(set(parsed.response_modalities)) < len(
        parsed.response_modalities
    ):
        raise ConfigError('response_modalities: must be ["IMAGE"] or ["TEXT", "IMAGE"]')
    return parsed


def _one_of(field: str, value: str | None, allowed: tuple[str, ...], model: str) -> None:
    if value is not None and value not in allowed:
        raise ConfigError(f"{field}: {value[:40]!r} is not one that {model} takes ({', '.join(allowed)})")


def _sentence(text: str) -> str:
    """msgspec's "Expected `str`, got `int` - at `$.prompt`" as "prompt: expected `str`, got `int`"."""
    if found := re.fullmatch(r"(.*) - at (?:`key` in )?`\$\.?(.*)`", text):
        text, field = found[1], found[2]
    elif found := re.search(r"(?:field|unknown field) `(\w+)`", text):
        field = found[1]
    else:
        field = "settings"
    return f"{field or 'settings'}: {text[0].lower()}{text[1:]}"
