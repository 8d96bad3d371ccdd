"""One call to Gemini: the photo streamed out, the picture straight into a file, everything else a value."""

import math
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import trio

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.errors import ConfigError
from photochanger.providers.base import Call, KeyCheck
from photochanger.providers.gemini.check import check_key
from photochanger.providers.gemini.files import CLEANUP, Files, NotUploaded
from photochanger.providers.gemini.generate import Generation, maybe_billed
from photochanger.providers.gemini.models import expected_of, limits_of
from photochanger.providers.gemini.outcomes import shorten
from photochanger.providers.gemini.prices import PRICES, ModelPrice, price_of
from photochanger.providers.gemini.request import PhotoBody, envelope, to_upload
from photochanger.providers.gemini.settings import GeminiSettings, parse_settings
from photochanger.providers.http import (
    GIVEN,
    REPLY_CAP,
    Exchange,
    Outbound,
    is_loopback,
    plain_key,
    provider_url,
    proxy_of,
)

BASE_URL: Final = "https://generativelanguage.googleapis.com"
OPERATIONS: Final = ("edit",)
THREADS: Final = 4
"""Threads that may read photos and write pictures at the same time, unless a limiter is handed in."""

INLINE_LIMIT: Final = 99_000_000
"""Bytes of a request with its pictures inside. Google takes 100 MB; what is larger goes by way of the Files API."""

PHOTO_TOKENS: Final = 520
"""What one photo counts as input, for estimates; measured by a gateway at 516."""


OTHER_TOKENS: Final = 120
"""Text tokens that come beside a picture and are billed, too, for estimates: 112 in a captured reply."""


class GeminiDriver:
    """generateContent with inline data, or with files where that grows too large.

    Implements `photochanger.providers.base.Driver`.

    `ssl_context` is shared by all calls. `limiter` bounds threads that read and write for milliseconds; it
    must not be the one of picture decoding, behind which an upload would queue. `inline_limit` is in bytes of the whole
    request. Raises ConfigError for an address or a key that cannot work. Without a key calls are made on loopback only.
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
        inline_limit: int = INLINE_LIMIT,
    ) -> None:
        self._base = provider_url(base_url, "GEMINI_BASE_URL")
        way = proxy_of(proxy, "GEMINI_PROXY")
        self._outbound = Outbound(ssl_context, proxy=way)
        self._proxy_password = way.auth[1].decode("latin-1") if way and way.auth else None
        self._prices = prices
        self._limiter = limiter or trio.CapacityLimiter(THREADS)
        self._generation = Generation(self._outbound, self._prices, self._limiter, reply_cap)
        self._inline_limit = inline_limit
        self._access = self._access_of(plain_key(api_key, "GEMINI_API_KEY"))

    def __repr__(self) -> str:
        return f"<GeminiDriver {self._base.geturl()} key={'yes' if self._access.key else 'no'}>"

    @property
    def on_this_machine(self) -> bool:
        return is_loopback(self._base.hostname or "")

    @property
    def missing(self) -> str | None:
        if self._access.key is None and not self.on_this_machine:
            return "gemini has no key: store one in the settings, or set GEMINI_API_KEY"
        return None

    def check(self, operation: str, settings: GeminiSettings, roles: Sequence[str]) -> None:
        """Raises ConfigError. Any role will do: templates travel as reference pictures, in their order."""
        if operation not in OPERATIONS:
            raise ConfigError(f"operation: gemini has no operation {operation[:40]!r} ({', '.join(OPERATIONS)})")
        most = limits_of(settings.model).pictures - 1
        if len(roles) > most:
            raise ConfigError(f"templates: {settings.model} takes {most} beside the guest's photo, not {len(roles)}")

    def expects(self, settings: GeminiSettings) -> Expected:
        """From users' reports; see models.py."""
        return expected_of(settings.model, settings.thinking_level)

    def parse_settings(self, settings: Mapping[str, Any]) -> GeminiSettings:
        """Raises ConfigError naming the field that is wrong."""
        return parse_settings(settings)

    def model_of(self, settings: GeminiSettings) -> str:
        return settings.model

    def estimate_microusd(self, settings: GeminiSettings) -> int:
        """One picture of the asked size and the text beside it, the photo, the prompt (four characters a token)."""
        price, _ = price_of(settings.model, settings.image_size, self._prices)
        sent = price.text_in * (PHOTO_TOKENS + len(settings.prompt) / 4)
        return round(price.per_image * 1_000_000 + price.text_out * OTHER_TOKENS + sent)

    def use_key(self, key: str | None) -> None:
        """For all calls that begin from now on. Raises ConfigError."""
        self._access = self._access_of(plain_key(key, GIVEN))

    async def check_key(self, key: str | None = None) -> KeyCheck:
        """Ask for one line of the list of models, which costs nothing. Raises ConfigError."""
        access = self._access if key is None else self._access_of(plain_key(key, GIVEN))
        if access.key is None and self.missing is not None:
            return KeyCheck("missing", self.missing)
        return await check_key(self._outbound, self._base, access.headers)

    async def call(self, call: Call) -> AttemptOutcome:
        """One generateContent. All of it, a trickled reply included, ends at `call.deadline`."""
        settings: GeminiSettings = call.settings
        access = self._access  # to the end of this call, whatever key is used afterwards
        if (refused := self._refused(call)) is not None:
            return refused
        left = call.deadline - trio.current_time()
        if left <= 0:
            return AttemptOutcome(Verdict.TIMEOUT, message="no time was left to start")
        pictures = [call.photo, *(template.photo for template in call.templates)]
        uploads = to_upload(settings, pictures, self._inline_limit)
        # Deleting files takes time, too, and all of it ends at the deadline.
        until = call.deadline - (min(CLEANUP, left / 8) if uploads else 0.0)
        outcome: AttemptOutcome | None = None
        exchange: Exchange | None = None
        with trio.move_on_at(until):
            try:
                async with access.files.lent([pictures[number] for number in uploads]) as references:
                    lent = dict(zip(uploads, references, strict=True))
                    segments = envelope(settings, [lent.get(n, picture) for n, picture in enumerate(pictures)])
                    with PhotoBody(segments, self._limiter) as body:
                        headers = _headers(access, until - trio.current_time())
                        exchange = Exchange("POST", self._url(settings.model), headers, body)
                        outcome = await self._generation.run(exchange, settings, call.out_path)
            except NotUploaded as failure:
                outcome = failure.outcome
        if outcome is None:
            outcome = _timed_out(exchange)
        return replace(outcome, message=shorten(outcome.message, access.key, self._proxy_password))

    def _refused(self, call: Call) -> AttemptOutcome | None:
        """What cannot work is not tried."""
        if self.missing is not None:
            return AttemptOutcome(Verdict.REJECTED, error_code="API_KEY_MISSING", message=self.missing)
        try:
            self.check(call.operation, call.settings, [template.role for template in call.templates])
        except ConfigError as error:
            field = str(error).partition(":")[0]
            return AttemptOutcome(Verdict.REJECTED, error_code=field.upper(), message=str(error))
        return None

    def _url(self, model: str) -> str:
        return f"{self._base.geturl()}/v1beta/models/{model}:generateContent"

    def _access_of(self, key: str | None) -> "_Access":
        headers = {} if key is None else {"x-goog-api-key": key}
        return _Access(key, headers, Files(self._outbound, self._base, headers, self._limiter))


@dataclass(frozen=True, slots=True, repr=False)
class _Access:
    """A key, and what shows it. A call keeps the one with which it began."""

    key: str | None
    headers: Mapping[str, str]
    files: Files


def _headers(access: _Access, left: float) -> dict[str, str]:
    timeout = str(max(1, math.ceil(left)))
    return {"Content-Type": "application/json", "X-Server-Timeout": timeout, **access.headers}


def _timed_out(exchange: Exchange | None) -> AttemptOutcome:
    if exchange is None:
        return AttemptOutcome(Verdict.TIMEOUT, message="the pictures were not uploaded in time")
    return AttemptOutcome(Verdict.TIMEOUT, http_status=exchange.status, possibly_billed=maybe_billed(exchange))
