"""Token counts as Gemini reports them, and what they cost. Written apart from the driver's own sums, to check them.

The numbers follow measured replies of gemini-3-pro-image: a picture is 1120 tokens at 1K and 2K, the candidates count
is somewhat more than its pictures, and a refusal repeats the thoughts as candidates.
"""

from typing import Any, Final

from photochanger.providers.gemini.prices import PRICES

_PHOTO: Final = 516
_BESIDES: Final = 112
_IMAGE: Final = {
    "gemini-3-pro-image": {"1K": 1120, "2K": 1120, "4K": 2000},
    "gemini-3.1-flash-image": {"1K": 1120, "2K": 1680, "4K": 2520},
    "gemini-3.1-flash-lite-image": {"1K": 1120},
    "gemini-2.5-flash-image": {"1K": 1290},
}


def usage_metadata(
    model: str, prompt: str, photos: int, tier: str, thinking: str | None, pictures: int
) -> dict[str, Any]:
    """usageMetadata of a reply with `pictures` pictures, drafts included; 0 is a refusal."""
    text = max(1, len(prompt) // 4)
    asked = text + _PHOTO * photos
    thoughts = 208 if "pro" in model else 740 if thinking == "HIGH" else 0
    usage: dict[str, Any] = {
        "promptTokenCount": asked,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": text}],
    }
    if photos:
        usage["promptTokensDetails"].append({"modality": "IMAGE", "tokenCount": _PHOTO * photos})
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if pictures:
        image = _IMAGE[model][tier] * pictures
        usage["candidatesTokenCount"] = image + _BESIDES
        usage["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": image}]
        usage["totalTokenCount"] = asked + image + _BESIDES + thoughts
    else:
        if thoughts:
            usage["candidatesTokenCount"] = thoughts
        usage["totalTokenCount"] = asked + thoughts
    return usage


def charge(model: str, usage: dict[str, Any]) -> int:
    """Microusd that the simulated bill grows by."""
    rate = PRICES[model]
    details = usage.get("candidatesTokensDetails", [])
    image: int = sum(item["tokenCount"] for item in details if item["modality"] == "IMAGE")
    other: int = usage.get("totalTokenCount", 0) - usage.get("promptTokenCount", 0) - image
    asked: int = usage.get("promptTokenCount", 0)
    return round(asked * rate.text_in + image * rate.image_out + other * rate.text_out)
