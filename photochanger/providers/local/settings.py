"""What a slot may set for the local provider."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec

from photochanger.errors import ConfigError

LookName = Literal["mono", "sepia", "vivid", "cinema", "poster", "vignette", "soft_glow", "duotone"]
LOOK_NAMES: tuple[str, ...] = get_args(LookName)


class LocalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`strength` 0 leaves the photo as it is. `longest_side` in pixels: a larger photo is made smaller first."""

    look: LookName = "vivid"
    strength: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    longest_side: Annotated[int, msgspec.Meta(ge=256, le=8192)] = 2048


def parse(settings: Mapping[str, Any]) -> LocalSettings:
    """Raises ConfigError; msgspec's message names the field by its path, `$.strength`."""
    look = settings.get("look")
    if isinstance(look, str) and look not in LOOK_NAMES:
        raise ConfigError(f"look: must be one of {', '.join(LOOK_NAMES)}, not {look[:40]!r}")
    try:
        return msgspec.convert(dict(settings), LocalSettings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"local: {error}") from error
