"""A slot's settings: what passes, and the sentence for what does not."""

from typing import Any

import pytest

from photochanger.errors import ConfigError
from photochanger.providers.gemini.models import RETIRED
from photochanger.providers.gemini.settings import PROMPT_LIMIT, parse_settings


def test_defaults() -> None:
    settings = parse_settings({"prompt": "As a comic"})
    assert settings.model == "gemini-3.1-flash-image"
    assert settings.response_modalities == ("IMAGE",)
    assert (settings.aspect_ratio, settings.image_size, settings.thinking_level) == (None, None, None)


@pytest.mark.parametrize(
    "settings",
    [
        {"aspect_ratio": "21:9"},
        {"aspect_ratio": "1:8"},
        {"image_size": "4K"},
        {"thinking_level": "HIGH"},
        {"response_modalities": ["TEXT", "IMAGE"]},
        {"model": "gemini-3-pro-image", "thinking_level": "LOW"},
        {"model": "gemini-3.1-flash-lite-image", "image_size": "1K"},
        {"model": "gemini-9-image", "image_size": "2K"},
        {"safety_thresholds": {"HARM_CATEGORY_HARASSMENT": "BLOCK_ONLY_HIGH"}},
        {"prompt": "Ё" * PROMPT_LIMIT},
    ],
)
def test_what_passes(settings: dict[str, Any]) -> None:
    parse_settings({"prompt": "x", **settings})


@pytest.mark.parametrize(
    ("settings", "field", "why"),
    [
        ({"prompt": None}, "prompt", "str"),
        ({"prompt": " \n"}, "prompt", "empty"),
        ({"prompt": "x" * (PROMPT_LIMIT + 1)}, "prompt", "10000"),
        ({"prompt": "\ud800"}, "prompt", "Unicode"),
        ({"promt": "x"}, "promt", "unknown"),
        ({"model": "../files"}, "model", "regex"),
        ({"model": 3}, "model", "str"),
        ({"aspect_ratio": "auto"}, "aspect_ratio", "21:9"),
        ({"aspect_ratio": "1:8", "model": "gemini-3-pro-image"}, "aspect_ratio", "gemini-3-pro-image"),
        ({"image_size": "2k"}, "image_size", "2K"),
        ({"image_size": "2K", "model": "gemini-3.1-flash-lite-image"}, "image_size", "1K"),
        ({"thinking_level": "LOW"}, "thinking_level", "MINIMAL, HIGH"),
        ({"response_modalities": ["TEXT"]}, "response_modalities", "IMAGE"),
        ({"response_modalities": ["IMAGE", "IMAGE"]}, "response_modalities", "IMAGE"),
        ({"response_modalities": ["VIDEO"]}, "response_modalities", "VIDEO"),
        ({"safety_thresholds": {"HARM": "OFF"}}, "safety_thresholds", "HARM"),
        ({"safety_thresholds": {"HARM_CATEGORY_HARASSMENT": "off"}}, "safety_thresholds", "off"),
    ],
)
def test_what_does_not(settings: dict[str, Any], field: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_settings({"prompt": "x", **settings})
    assert str(error.value).startswith(f"{field}")
    assert why in str(error.value)


def test_a_prompt_is_required() -> None:
    with pytest.raises(ConfigError, match=r"^prompt: "):
        parse_settings({})


@pytest.mark.parametrize("model", RETIRED)
def test_retired_models_name_their_successor(model: str) -> None:
    with pytest.raises(ConfigError, match=f"^model: {model} .* use {RETIRED[model].successor}$"):
        parse_settings({"prompt": "x", "model": model})
    parse_settings({"prompt": "x", "model": RETIRED[model].successor})
