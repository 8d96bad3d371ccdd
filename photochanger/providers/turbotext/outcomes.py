"""From what one request came to, to an AttemptOutcome. README.md shows the whole table."""

import math
from typing import Final

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.providers.http import Exchange
from photochanger.providers.turbotext.wire import error_text

WAIT_UNKNOWN: Final = 1.0
"""Seconds to wait after a 429 that does not say how long."""


def from_status(exchange: Exchange) -> AttemptOutcome:
    """The outcome of a reply that is not 200. A job may exist behind a 5xx, never behind a 4xx or a redirect."""
    status = exchange.status or 0
    said = error_text(exchange.body)
    if status == 429:
        return AttemptOutcome(
            Verdict.QUOTA, http_status=status, message=said, retry_after=_seconds(exchange) or WAIT_UNKNOWN
        )
    if status == 408 or (status >= 500 and status != 501):
        return AttemptOutcome(
            Verdict.OVERLOADED,
            http_status=status,
            message=said,
            retry_after=_seconds(exchange),
            possibly_billed=exchange.sent,
        )
    if 300 <= status < 400:
        return AttemptOutcome(
            Verdict.REJECTED,
            http_status=status,
            error_code="REDIRECT",
            message="the provider redirects; look at TURBOTEXT_BASE_URL",
        )
    if 200 <= status < 300:
        return bad_answer(f"status {status} instead of 200", http_status=status)
    return AttemptOutcome(Verdict.REJECTED, http_status=status, message=said)


def bad_answer(message: str, *, code: str | None = None, http_status: int | None = 200) -> AttemptOutcome:
    """Something answered 200, so the request may have been carried out: it is not repeated."""
    return AttemptOutcome(
        Verdict.BAD_ANSWER, http_status=http_status, error_code=code, message=message, possibly_billed=True, again=0
    )


def broken(exchange: Exchange, why: str) -> AttemptOutcome:
    """The connection failed. After a 200 the request was carried out; before a whole request it cannot have been."""
    return AttemptOutcome(
        Verdict.TRANSPORT,
        http_status=exchange.status,
        message=why,
        possibly_billed=exchange.sent,
        again=None if exchange.status is None else 0,
    )


def _seconds(exchange: Exchange) -> float | None:
    """Retry-After in seconds; the form with a date is not understood."""
    try:
        seconds = float(exchange.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
