"""One call to Gemini: the photo streamed out, the picture straight into a file, everything else a value."""

import math
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import trio

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.errors import ConfigError, StorageUnavailable
from photochanger.providers.base import Call
from photochanger.providers.gemini.models import expected_of
from photochanger.providers.gemini.outcomes import FINISH, from_error, from_reply, shorten
from photochanger.providers.gemini.picture import save_picture
from photochanger.providers.gemini.prices import PRICES, ModelPrice, price_of
from photochanger.providers.gemini.request import PhotoBody, envelope
from photochanger.providers.gemini.settings import GeminiSettings, parse_settings
from photochanger.providers.gemini.wire import BadAnswer, Reply, decode_error, decode_reply
from photochanger.providers.http import (
    REPLY_CAP,
    Exchange,
    Outbound,
    ReplyTooLarge,
    TransportFailed,
    is_loopback,
    provider_url,
    proxy_of,
)

BASE_URL: Final = "https://generativelanguage.googleapis.com"
OPERATIONS: Final = ("edit",)
THREADS: Final = 4
"""Threads that may read photos and write pictures at the same time, unless a limiter is handed in."""

PHOTO_TOKENS: Final = 520
"""What one photo counts as input, for estimates; measured by a gateway at 516."""


class GeminiDriver:
    """generateContent with inline data. Implements `photochanger.providers.base.Driver`.

    `ssl_context` is shared by all calls. `limiter` bounds threads that read and write for milliseconds; it
    must not be the one of picture decoding, behind which an upload would queue. Raises ConfigError for an address
    or a key that cannot work. Without a key calls are made on loopback only.
    """

    name = "gemini"
    operations = OPERATIONS
    accepts = frozenset({"image/jpeg", "image/png", "image/webp"})
    needs_public_address = False
    cap = 120.0

    def __init__(
        self,
        api_key: str | None,
        *,
        ssl_context: ssl.SSLContext,
        base_url: str = BASE_URL,
        proxy: str | None = None,
        prices: Mapping[str, ModelPrice] = PRICES,
        limiter: trio.CapacityLimiter | None = None,
        reply_cap: int = REPLY_CAP,
    ) -> None:
        self._key = (api_key or "").strip() or None
        if self._key is not None and not re.fullmatch(r"[!-~]+", self._key):
            raise ConfigError("GEMINI_API_KEY: has characters that no key has")
        self._base = provider_url(base_url, "GEMINI_BASE_URL")
        way = proxy_of(proxy, "GEMINI_PROXY")
        self._outbound = Outbound(ssl_context, proxy=way)
        self._secrets = (self._key, way.auth[1].decode("latin-1") if way and way.auth else None)
        self._prices = prices
        self._limiter = limiter or trio.CapacityLimiter(THREADS)
        self._cap = reply_cap

    def __repr__(self) -> str:
        return f"<GeminiDriver {self._base.geturl()} key={'yes' if self._key else 'no'}>"

    @property
    def missing(self) -> str | None:
        if self._key is None and not is_loopback(self._base.hostname or ""):
            return "GEMINI_API_KEY is not set"
        return None

    def check(self, operation: str, settings: GeminiSettings, roles: Sequence[str]) -> None:
        """Raises ConfigError. Any role will do: templates travel as reference pictures, in their order."""
        if operation not in OPERATIONS:
            raise ConfigError(f"operation: gemini has no operation {operation[:40]!r} ({', '.join(OPERATIONS)})")

    def expects(self, settings: GeminiSettings) -> Expected:
        """From users' reports; see models.py."""
        return expected_of(settings.model, settings.thinking_level)

    def parse_settings(self, settings: Mapping[str, Any]) -> GeminiSettings:
        """Raises ConfigError naming the field that is wrong."""
        return parse_settings(settings)

    def model_of(self, settings: GeminiSettings) -> str:
        return settings.model

    def estimate_microusd(self, settings: GeminiSettings) -> int:
        """One picture of the asked size, the photo and the prompt (some four characters to a token)."""
        price, _ = price_of(settings.model, settings.image_size, self._prices)
        return round(price.per_image * 1_000_000 + price.text_in * (PHOTO_TOKENS + len(settings.prompt) / 4))

    async def call(self, call: Call) -> AttemptOutcome:
        """One generateContent. All of it, a trickled reply included, ends at `call.deadline`."""
        settings: GeminiSettings = call.settings
        if call.operation not in OPERATIONS:
            return AttemptOutcome(Verdict.REJECTED, error_code="OPERATION", message=f"no operation {call.operation!r}")
        if self.missing is not None:
            return AttemptOutcome(Verdict.REJECTED, error_code="API_KEY_MISSING", message=self.missing)
        left = call.deadline - trio.current_time()
        if left <= 0:
            return AttemptOutcome(Verdict.TIMEOUT, message="no time was left to start")
        before, after = envelope(settings, call.photo.mime)
        with PhotoBody(before, call.photo, after, self._limiter) as body:
            exchange = Exchange("POST", self._url(settings.model), self._headers(left), body)
            outcome = None
            with trio.move_on_at(call.deadline):
                outcome = await self._exchange(exchange, settings, call.out_path)
            if outcome is None:
                outcome = AttemptOutcome(
                    Verdict.TIMEOUT, http_status=exchange.status, possibly_billed=_maybe_billed(exchange)
                )
        return replace(outcome, message=shorten(outcome.message, *self._secrets))

    def _url(self, model: str) -> str:
        return f"{self._base.geturl()}/v1beta/models/{model}:generateContent"

    def _headers(self, left: float) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "X-Server-Timeout": str(max(1, math.ceil(left)))}
        if self._key is not None:
            headers["x-goog-api-key"] = self._key
        return headers

    async def _exchange(self, exchange: Exchange, settings: GeminiSettings, out_path: Path) -> AttemptOutcome:
        try:
            await self._outbound.run(exchange, cap=self._cap)
        except TransportFailed as error:
            if exchange.status not in (None, 200):
                # The status came whole, even if its explanation did not.
                return from_error(exchange.status or 0, decode_error(exchange.body))
            return AttemptOutcome(
                Verdict.TRANSPORT,
                http_status=exchange.status,
                message=str(error),
                possibly_billed=_maybe_billed(exchange),
            )
        except ReplyTooLarge as error:
            return AttemptOutcome(Verdict.BAD_ANSWER, http_status=200, message=str(error), possibly_billed=True)
        except StorageUnavailable as error:
            return AttemptOutcome(Verdict.STORAGE, message=str(error))
        if exchange.status != 200:
            header = exchange.headers.get("retry-after")
            return from_error(exchange.status or 0, decode_error(exchange.body), header)
        try:
            # Not abandoned when cancelled, so the caller may remove the file at once; it takes milliseconds.
            reply, picture, problem = await trio.to_thread.run_sync(
                _take, exchange.body, out_path, limiter=self._limiter
            )
        except BadAnswer as error:
            return AttemptOutcome(Verdict.BAD_ANSWER, http_status=200, message=str(error), possibly_billed=True)
        if reply.has_error:
            told = decode_error(exchange.body)
            return replace(from_error(told.code or 0, told), http_status=200)
        outcome = from_reply(reply, picture, settings, self._prices)
        if problem is None:
            return outcome
        # It was drawn and is paid for, but there is no file.
        verdict = Verdict.STORAGE if isinstance(problem, StorageUnavailable) else Verdict.BAD_ANSWER
        return replace(outcome, verdict=verdict, picture=None, message=str(problem))


def _take(body: bytearray, out_path: Path) -> tuple[Reply, Picture | None, Exception | None]:
    """The reply, its picture if it was saved to `out_path`, and what went wrong in saving it. Raises BadAnswer."""
    reply = decode_reply(body)
    blob = reply.picture
    if blob is None or FINISH.get(reply.finish_reason or "") is Verdict.REFUSED:
        return reply, None, None  # pictures in a refused reply are drafts
    problem: Exception | None = None
    try:
        save_picture(blob.data, out_path)
    except (BadAnswer, StorageUnavailable) as error:
        problem = error
    return reply, Picture(out_path, (blob.mime_type or "").lower()), problem


def _maybe_billed(exchange: Exchange) -> bool:
    """Nobody can have worked on a request that was not handed over whole, and failed requests are not billed."""
    return exchange.sent and exchange.status in (None, 200)
