"""What a call costs: prices per million tokens, in US dollars; amounts in millionths of a dollar (microusd)."""

from dataclasses import dataclass

from photochanger.domain.outcome import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """One model's row. `per_image` is what a picture costs when the provider did not say its usage."""

    text_in: float
    text_out: float
    image_out: float
    per_image: float

    def cost(self, usage: Usage) -> int:
        """Microusd for `usage`: prompt, pictures, and the rest of the output (text and thinking) at their rates.

        Without the picture share all output is charged as pictures; without any usage one picture is charged.
        """
        if usage.prompt is None and usage.candidates is None:
            return round(self.per_image * 1_000_000)
        candidates = usage.candidates or 0
        image = candidates if usage.candidates_image is None else usage.candidates_image
        text = max(candidates - image, 0) + (usage.thoughts or 0)
        # A price of 1 USD per million tokens is 1 microusd per token.
        return round((usage.prompt or 0) * self.text_in + image * self.image_out + text * self.text_out)
