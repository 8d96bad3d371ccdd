"""A slot's Turbotext settings and templates: what each method takes, and sentences that say what is wrong."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from photochanger.errors import ConfigError

PROMPT_LIMIT: Final = 5_000
"""Characters of a text. Turbotext's own limit is not known; a longer text is a mistake in a photo booth."""

NEGATIVE_WORDS: Final = 80

FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "generate_image2image": frozenset(
        {"content", "strength", "seed", "scale", "negative_prompt", "original_language", "user_id"}
    ),
    "mix_images": frozenset({"content"}),
    "deepfake_photo": frozenset({"face_restore"}),
}
"""The settings that each method documents."""

ROLES: Final[Mapping[str, str]] = {"mix_images": "style", "deepfake_photo": "body"}
"""The role of the one template that a method needs: whose style is taken, into whose picture the face is put."""


class TurbotextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes along with the pictures. None means: Turbotext's own default, named in brackets.

    `content` is the prompt; `strength` says how far from the photo (40); `scale` how close to the prompt (7.5);
    `seed` (by chance); `original_language` is the prompt's (ru); `user_id` (1).
    """

    content: str | None = None
    strength: Annotated[int, msgspec.Meta(ge=0, le=80)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=1, le=10_000_000_000)] | None = None
    scale: Annotated[float, msgspec.Meta(ge=0.1, le=20)] | None = None
    negative_prompt: str | None = None
    original_language: Annotated[str, msgspec.Meta(pattern="^[a-z]{2,3}$")] | None = None
    user_id: Annotated[int, msgspec.Meta(ge=1, le=2_147_483_647)] | None = None
    face_restore: bool | None = None


def parse_settings(settings: Mapping[str, Any]) -> TurbotextSettings:
    """The settings in their own type. Raises ConfigError whose text starts with the field that is wrong."""
    try:
        parsed = msgspec.convert(dict(settings), TurbotextSettings)
    except msgspec.ValidationError as error:
        raise ConfigError(_sentence(str(error))) from None
    if parsed.scale is not None and not math.isfinite(parsed.scale):
        raise ConfigError("scale: must be a number from 0.1 to 20")
    _check_text("content", parsed.content)
    _check_text("negative_prompt", parsed.negative_prompt)
    words = len((parsed.negative_prompt or "").split())
    if words > NEGATIVE_WORDS:
        raise ConfigError(f"negative_prompt: has {words} words, at most {NEGATIVE_WORDS} are taken")
    return parsed


def check_plan(operation: str, settings: TurbotextSettings, roles: Sequence[str]) -> None:
    """Do method, settings and templates fit together? Raises ConfigError. Templates of other roles are not sent."""
    if operation not in FIELDS:
        raise ConfigError(f"operation: turbotext has no operation {operation[:40]!r} ({', '.join(FIELDS)})")
    if operation == "generate_image2image" and settings.content is None:
        raise ConfigError(f"content: {operation} needs a prompt")
    for field in settings.__struct_fields__:
        if getattr(settings, field) is not None and field not in FIELDS[operation]:
            raise ConfigError(f"{field}: {operation} has no such parameter")
    role = ROLES.get(operation)
    if role is not None and (found := list(roles).count(role)) != 1:
        raise ConfigError(f"templates: {operation} needs exactly one picture with the role {role!r}, not {found}")


def _check_text(field: str, text: str | None) -> None:
    if text is None:
        return
    if not text.strip():
        raise ConfigError(f"{field}: must not be empty")
    if len(text) > PROMPT_LIMIT:
        raise ConfigError(f"{field}: has {len(text)} characters, at most {PROMPT_LIMIT} are sent")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{field}: is not valid Unicode text") from None


def _sentence(text: str) -> str:
    """msgspec's "Expected `int` <= 80 - at `$.strength`" as "strength: expected `int` <= 80"."""
    if found := re.fullmatch(r"(.*) - at (?:`key` in )?`\$\.?(.*)`", text):
        text, field = found[1], found[2]
    elif found := re.search(r"(?:field|unknown field) `(\w+)`", text):
        field = found[1]
    else:
        field = "settings"
    return f"{field or 'settings'}: {text[0].lower()}{text[1:]}"
