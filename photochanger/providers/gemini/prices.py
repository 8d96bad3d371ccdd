"""What Gemini's image models cost. US dollars per million tokens, as of AS_OF; reported by users and gateways, since
Google's own page was not at hand: compare with the bill before trusting the last digit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from photochanger.domain.money import Price
from photochanger.domain.outcome import Usage

AS_OF: Final = date(2026, 11, 20)


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """`per_image` is the price of one picture per size tier, for replies that do not say their usage."""

    text_in: float
    text_out: float
    image_out: float
    per_image: Mapping[str, float]

    def at(self, image_size: str | None) -> Price:
        """The price row for one size tier; without one Gemini draws 1K."""
        per_image = self.per_image.get(image_size or "1K", max(self.per_image.values()))
        return Price(self.text_in, self.text_out, self.image_out, per_image)


PRICES: Final[Mapping[str, ModelPrice]] = {
    "gemini-3.1-flash-image": ModelPrice(0.50, 3.00, 60.0, {"1K": 0.067, "2K": 0.101, "4K": 0.151}),
    "gemini-3-pro-image": ModelPrice(2.00, 12.00, 120.0, {"1K": 0.134, "2K": 0.134, "4K": 0.24}),
    # The text and thinking rate of lite is not known; the flash model's stands in as an upper bound.
    "gemini-3.1-flash-lite-image": ModelPrice(0.25, 3.00, 30.0, {"1K": 0.034}),
    "gemini-2.5-flash-image": ModelPrice(0.30, 2.50, 30.0, {"1K": 0.039}),
}


def price_of(model: str, image_size: str | None, prices: Mapping[str, ModelPrice] = PRICES) -> tuple[Price, bool]:
    """The price row and whether it is really the model's own; an unknown model is counted as the dearest one."""
    known = model in prices
    row = prices[model] if known else max(prices.values(), key=lambda price: price.image_out)
    return row.at(image_size), known


def cost_microusd(price: Price, usage: Usage, *, pictured: bool) -> int:
    """What `usage` costs. Without a picture nothing is charged at the picture rate, and nothing if usage is unknown.

    On refusals `candidates` repeats `thoughts`; where the parts exceed the total, the thoughts are counted once.
    """
    if usage.prompt is None and usage.candidates is None and not pictured:
        return 0
    image = usage.candidates_image
    if image is None and not pictured:
        image = 0
    thoughts = usage.thoughts
    parts = (usage.prompt or 0) + (usage.candidates or 0) + (thoughts or 0)
    if usage.total is not None and thoughts and usage.candidates and parts > usage.total:
        thoughts = None
    return price.cost(Usage(usage.prompt, usage.candidates, image, thoughts, usage.total))
