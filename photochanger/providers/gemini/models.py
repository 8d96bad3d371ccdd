"""What each Gemini image model accepts, and which ids are gone.

From Google's pages on image generation and on deprecations; state of November 2026.
"""

from dataclasses import dataclass
from typing import Final

from photochanger.domain.latency import Expected

DEFAULT_MODEL: Final = "gemini-3.1-flash-image"

RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
"""Aspect ratios of every image model. There is no "auto": without a ratio the answer follows the photo."""

EXTREME_RATIOS: Final = ("1:4", "4:1", "1:8", "8:1")
"""Known of the 3.1 flash model only."""

SIZES: Final = ("1K", "2K", "4K")
"""Size tiers, the K in upper case; Google rejects lower case."""

THINKING: Final = ("MINIMAL", "LOW", "MEDIUM", "HIGH")

PICTURES: Final = 14
"""Pictures in one request, the guest's photo included: Google's page for 3 pro, users' reports for 3.1 flash."""


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Values that a model takes. An unknown model is given all of them and left to answer for itself."""

    ratios: tuple[str, ...] = RATIOS + EXTREME_RATIOS
    sizes: tuple[str, ...] = SIZES
    thinking: tuple[str, ...] = THINKING
    pictures: int = PICTURES


LIMITS: Final = {
    "gemini-3.1-flash-image": ModelLimits(thinking=("MINIMAL", "HIGH")),
    "gemini-3.1-flash-lite-image": ModelLimits(ratios=RATIOS, sizes=("1K",), thinking=("MINIMAL", "HIGH")),
    "gemini-3-pro-image": ModelLimits(ratios=RATIOS),
}


@dataclass(frozen=True, slots=True)
class Retired:
    """Why an id is refused, and what to use instead."""

    why: str
    successor: str


RETIRED: Final = {
    "gemini-2.5-flash-image-preview": Retired("shut down on 2026-01-15", "gemini-3.1-flash-image"),
    "gemini-2.5-flash-image": Retired("announced to end on 2026-10-02", "gemini-3.1-flash-image"),
    "gemini-3.1-flash-image-preview": Retired("shut down on 2026-06-25", "gemini-3.1-flash-image"),
    "gemini-3-pro-image-preview": Retired("shut down on 2026-06-25", "gemini-3-pro-image"),
}
"""Ids that answer 404, or are about to."""


def expected_of(model: str, thinking_level: str | None) -> Expected:
    """Seconds for one picture, as gateways and users report them for 1K; spikes beyond the p95 are known of all."""
    if "pro" in model:
        return Expected(24.0, 35.0, 45.0)
    return Expected(20.0, 24.0, 28.0) if thinking_level == "HIGH" else Expected(12.5, 18.0, 22.0)


def limits_of(model: str) -> ModelLimits:
    """The limits of `model`; those of an unknown one exclude nothing."""
    return LIMITS.get(model, ModelLimits())
