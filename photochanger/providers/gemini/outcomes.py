"""From what Gemini answered to an AttemptOutcome. The tables here are the provider's facts; README.md shows them."""

import math
import re
from collections.abc import Mapping
from typing import Final

from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.providers.gemini.prices import ModelPrice, cost_microusd, price_of
from photochanger.providers.gemini.settings import GeminiSettings
from photochanger.providers.gemini.wire import ApiError, Reply

MESSAGE_LIMIT: Final = 500
NAME_LIMIT: Final = 200

WAIT_UNKNOWN: Final = 1.0
"""Seconds to wait after a 429 that does not say how long."""

FINISH: Final[Mapping[str, tuple[Verdict, int | None]]] = {
    # Drew nothing; the same request may well succeed. After NO_IMAGE, which comes within seconds, as often as it fits.
    "STOP": (Verdict.NO_IMAGE, 1),
    "NO_IMAGE": (Verdict.NO_IMAGE, None),
    "IMAGE_OTHER": (Verdict.NO_IMAGE, 2),
    "OTHER": (Verdict.NO_IMAGE, 1),
    # The drawing was judged, not the request: for portraits at the border the next one may pass.
    "IMAGE_SAFETY": (Verdict.REFUSED, 1),
    # Filters: the same request will be refused again.
    "SAFETY": (Verdict.REFUSED, 0),
    "PROHIBITED_CONTENT": (Verdict.REFUSED, 0),
    "IMAGE_PROHIBITED_CONTENT": (Verdict.REFUSED, 0),
    "RECITATION": (Verdict.REFUSED, 0),
    "IMAGE_RECITATION": (Verdict.REFUSED, 0),
    "BLOCKLIST": (Verdict.REFUSED, 0),
    "SPII": (Verdict.REFUSED, 0),
    "LANGUAGE": (Verdict.REFUSED, 0),
    # The slot's prompt or model leads nowhere: an administrator must look.
    "MAX_TOKENS": (Verdict.REJECTED, 0),
    "MALFORMED_FUNCTION_CALL": (Verdict.REJECTED, 0),
    "UNEXPECTED_TOOL_CALL": (Verdict.REJECTED, 0),
    "TOO_MANY_TOOL_CALLS": (Verdict.REJECTED, 0),
}
"""finishReason of a reply without picture: the verdict, and how many more tries of the same request make sense (None:
as the verdict's own rule says). One that is not here yet is REJECTED: no picture, no second try."""

UNKNOWN: Final = (Verdict.REJECTED, 0)

_NO_CHARGE = re.compile(r"\bnot (?:be )?charged\b", re.IGNORECASE)
_LIMIT_ZERO = re.compile(r"\blimit:\s*0(?![\d.]*[1-9])", re.IGNORECASE)
_RETRY_IN = re.compile(r"retry in ((?:[\d.]+(?:ms|h|m|s))+)", re.IGNORECASE)
_DURATION = re.compile(r"([\d.]+)(ms|h|m|s)")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def shorten(text: str | None, *secrets: str | None, limit: int = MESSAGE_LIMIT) -> str | None:
    """Upstream text fit to be kept: one line, printable, at most `limit` characters, `secrets` blotted out."""
    if not text:
        return None
    # Cut generously first: the clean-up below must not work through megabytes.
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return (line if len(line) <= limit else line[: limit - 1] + "…") or None


def from_reply(
    reply: Reply, picture: Picture | None, settings: GeminiSettings, prices: Mapping[str, ModelPrice]
) -> AttemptOutcome:
    """The outcome of a 200 reply; `picture` is what was saved of it."""
    finish, usage, said = reply.finish_reason, reply.usage, reply.said
    price, price_known = price_of(settings.model, settings.image_size, prices)
    block = reply.prompt_feedback.block_reason if reply.prompt_feedback else None
    cost = cost_microusd(price, usage, pictured=picture is not None)
    counted = usage.prompt is not None or usage.candidates is not None
    # Without counts a picture is booked at its list price, a blocked prompt at nothing; the rest is not known.
    unsure = not counted and picture is None and block is None
    again: int | None = None
    if picture is not None:
        verdict = Verdict.PICTURE
    elif block is not None:
        verdict, again = Verdict.REFUSED, 0
        finish = finish or block
    elif finish is None and not reply.candidates:
        # Nothing at all. With the marks of a Gemini reply it is one of its empty answers, otherwise something else.
        genuine = counted or reply.model_version or reply.response_id
        verdict, again = FINISH["STOP"] if genuine else (Verdict.BAD_ANSWER, 0)
    else:
        verdict, again = FINISH.get(finish or "STOP", UNKNOWN)
        if _NO_CHARGE.search(said or ""):
            cost, unsure = 0, False
    return AttemptOutcome(
        verdict,
        picture=picture,
        http_status=200,
        finish_reason=shorten(finish, limit=NAME_LIMIT),
        message=None if picture is not None else said,
        response_id=shorten(reply.response_id, limit=NAME_LIMIT),
        model_version=shorten(reply.model_version, limit=NAME_LIMIT),
        usage=usage,
        cost_microusd=cost,
        possibly_billed=unsure or (cost > 0 and not price_known),
        again=again,
    )


def from_error(http_status: int, error: ApiError, retry_after: str | None = None) -> AttemptOutcome:
    """The outcome of any other status; `retry_after` is the header's value. Failed requests are not billed."""
    verdict, wait = _verdict_of(http_status), None
    info = error.detail("ErrorInfo").get("reason")
    code = info if isinstance(info, str) and info else error.status
    if "API key not valid" in error.message:
        code = "API_KEY_INVALID"
    if 300 <= http_status < 400:
        code = code or "REDIRECT"
    if verdict is Verdict.QUOTA and not _hopeless(error):
        wait = _wait(error, retry_after)
        wait = WAIT_UNKNOWN if wait is None else wait
    elif verdict is Verdict.OVERLOADED:
        wait = _wait(error, retry_after)
    return AttemptOutcome(
        verdict,
        http_status=http_status,
        error_code=shorten(code, limit=NAME_LIMIT),
        message=error.message,
        retry_after=wait,
    )


def _verdict_of(http_status: int) -> Verdict:
    if http_status == 429:
        return Verdict.QUOTA
    if http_status == 408 or (http_status >= 500 and http_status != 501):
        return Verdict.OVERLOADED
    if 200 <= http_status < 300:
        return Verdict.BAD_ANSWER
    return Verdict.REJECTED


def _hopeless(error: ApiError) -> bool:
    """A 429 that waiting does not mend: a limit of zero (no paid plan) or one per day. RetryInfo comes even then."""
    violations = error.detail("QuotaFailure").get("violations")
    for violation in violations if isinstance(violations, list) else ():
        if isinstance(violation, dict) and (
            "perday" in str(violation.get("quotaId", "")).lower() or str(violation.get("quotaValue", "")) == "0"
        ):
            return True
    return "perday" in error.message.lower() or _LIMIT_ZERO.search(error.message) is not None


def _wait(error: ApiError, header: str | None) -> float | None:
    """Seconds to wait: RetryInfo, else the message's own words, else the Retry-After header."""
    delay = error.detail("RetryInfo").get("retryDelay")
    said = _RETRY_IN.search(error.message)
    for text in (delay if isinstance(delay, str) else None, said[1] if said else None, f"{header}s"):
        if text and (seconds := _seconds(text)) is not None:
            return seconds
    return None


def _seconds(text: str) -> float | None:
    """ "20.04s", "1m2s" or "837ms" in seconds; None when it is none of these."""
    pairs = _DURATION.findall(text)
    if not pairs or "".join(number + unit for number, unit in pairs) != text:
        return None
    try:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in pairs)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
