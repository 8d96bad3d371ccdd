"""Turbotext as a Driver: what it needs, what it costs, and one call from published photo to outcome."""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

import trio

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.errors import ConfigError, StorageUnavailable
from photochanger.providers.base import Call, KeyCheck
from photochanger.providers.gemini.outcomes import shorten
from photochanger.providers.http import GIVEN, is_loopback, plain_key, provider_url
from photochanger.providers.turbotext.check import check_key
from photochanger.providers.turbotext.download import PAUSE, PICTURE_CAP, Downloads
from photochanger.providers.turbotext.request import create_form
from photochanger.providers.turbotext.service import REPLY_CAP, Service
from photochanger.providers.turbotext.settings import (
    FIELDS,
    ROLES,
    TurbotextSettings,
    check_plan,
    parse_settings,
)
from photochanger.providers.turbotext.work import Work

BASE_URL: Final = "https://www.turbotext.ru/api_ai"
OPERATIONS: Final = tuple(FIELDS)

PRICE: Final = 20_000
"""Microusd per photo. Turbotext sells allowances, and what one photo of them costs is not public: set your own."""

POLL_PAUSE: Final = 2.5
"""Seconds from one get_result to the next. None is documented; users report two to three."""

POLL_TIMEOUT: Final = 35.0
"""Seconds for one get_result. "reconnect" sounds as if the server held the request open, for how long nobody says."""

THREADS: Final = 4
"""Threads that may write pictures at the same time, unless a limiter is handed in."""


class TurbotextDriver:
    """create_queue and get_result. Implements `photochanger.providers.base.Driver`.

    The photo and the template that the method needs are published for as long as the call lasts; Turbotext fetches
    them. `price_microusd` is booked for each finished job. Times are in seconds, caps in bytes. `ssl_context` is shared
    by all calls; `limiter` bounds threads that write for milliseconds. Raises ConfigError for an address or a key that
    cannot work. Without a key calls are made on loopback only.
    """

    name = "turbotext"
    operations = OPERATIONS
    accepts = frozenset({"image/jpeg", "image/png"})
    needs_public_address = True
    cap = 180.0

    def __init__(
        self,
        api_key: str | None,
        *,
        ssl_context: ssl.SSLContext,
        base_url: str = BASE_URL,
        price_microusd: int = PRICE,
        poll_pause: float = POLL_PAUSE,
        poll_timeout: float = POLL_TIMEOUT,
        limiter: trio.CapacityLimiter | None = None,
        reply_cap: int = REPLY_CAP,
        picture_cap: int = PICTURE_CAP,
    ) -> None:
        self._base = provider_url(base_url, "TURBOTEXT_BASE_URL")
        self._ssl_context = ssl_context
        self._limiter = limiter or trio.CapacityLimiter(THREADS)
        self._reply_cap = reply_cap
        self._picture_cap = picture_cap
        self._price = price_microusd
        self._pause = poll_pause
        self._patience = poll_timeout
        self._access = self._access_of(plain_key(api_key, "TURBOTEXT_API_KEY"))

    def __repr__(self) -> str:
        return f"<TurbotextDriver {self._base.geturl()} key={'yes' if self._access.key else 'no'}>"

    @property
    def on_this_machine(self) -> bool:
        return is_loopback(self._base.hostname or "")

    @property
    def missing(self) -> str | None:
        if self._access.key is None and not self.on_this_machine:
            return "turbotext has no key: store one in the settings, or set TURBOTEXT_API_KEY"
        return None

    def check(self, operation: str, settings: TurbotextSettings, roles: Sequence[str]) -> None:
        """Raises ConfigError. Templates go by their role; one whose role the method does not use is not sent."""
        check_plan(operation, settings, roles)

    def expects(self, settings: TurbotextSettings) -> Expected:
        """A cautious guess: Turbotext's own times are not public. Measured ones take its place soon."""
        return Expected(10.0, 20.0, 25.0)

    def parse_settings(self, settings: Mapping[str, Any]) -> TurbotextSettings:
        """Raises ConfigError naming the field that is wrong."""
        return parse_settings(settings)

    def model_of(self, settings: TurbotextSettings) -> str:
        """Turbotext has methods, not models; the method is the attempt's operation."""
        return "photo_ai"

    def estimate_microusd(self, settings: TurbotextSettings) -> int:
        """Each job is one photo of the allowance."""
        return self._price

    def use_key(self, key: str | None) -> None:
        """For all jobs that begin from now on; one that runs is asked for with the key that made it. ConfigError."""
        self._access = self._access_of(plain_key(key, GIVEN))

    async def check_key(self, key: str | None = None) -> KeyCheck:
        """Ask what the key may use. Raises ConfigError."""
        access = self._access if key is None else self._access_of(plain_key(key, GIVEN))
        if access.key is None and self.missing is not None:
            return KeyCheck("missing", self.missing)
        return await check_key(access.service)

    async def call(self, call: Call) -> AttemptOutcome:
        """One job, from the published photo to the file. All of it ends at `call.deadline`."""
        try:
            self.check(call.operation, call.settings, [template.role for template in call.templates])
        except ConfigError as error:
            field = str(error).partition(":")[0]
            return AttemptOutcome(Verdict.REJECTED, error_code=field.upper(), message=str(error))
        if (problem := self._unable(call)) is not None:
            return problem
        with ExitStack() as links:
            try:
                photo, templates = _publish(call, links)
            except ConfigError as error:
                return AttemptOutcome(Verdict.REJECTED, error_code="PUBLIC_ADDRESS", message=str(error))
            except StorageUnavailable as error:
                return AttemptOutcome(Verdict.STORAGE, message=str(error))
            form = create_form(call.operation, call.settings, photo, templates)
            access = self._access
            work = self._work(access, call, None)
            return await self._run(call, work, lambda: work.create(form), access, photo, *templates.values())

    async def resume(self, call: Call, handle: str) -> AttemptOutcome:
        """Take up the job with the queue id `handle` after a crash: from get_result on, nothing is created.

        The links that were published for it are gone; a job that had not fetched its photo by then fails.
        """
        access = self._access
        work = self._work(access, call, handle)
        if self.missing is not None:
            return self._booked(self._no_key(self.missing), work, access)
        return await self._run(call, work, work.follow, access)

    def _unable(self, call: Call) -> AttemptOutcome | None:
        if self.missing is not None:
            return self._no_key(self.missing)
        if call.publisher is None:
            message = "turbotext fetches photos itself, so PUBLIC_BASE_URL must be set"
            return AttemptOutcome(Verdict.REJECTED, error_code="PUBLIC_ADDRESS", message=message)
        if call.deadline <= trio.current_time():
            return AttemptOutcome(Verdict.TIMEOUT, message="no time was left to start")
        return None

    def _no_key(self, missing: str) -> AttemptOutcome:
        return AttemptOutcome(Verdict.REJECTED, error_code="API_KEY_MISSING", message=missing)

    def _access_of(self, key: str | None) -> "_Access":
        downloads = Downloads(
            self._base,
            key,
            self._ssl_context,
            cap=self._picture_cap,
            limiter=self._limiter,
            pause=min(PAUSE, self._pause),
        )
        return _Access(key, Service(self._base, key, self._ssl_context, cap=self._reply_cap), downloads)

    def _work(self, access: "_Access", call: Call, handle: str | None) -> Work:
        return Work(access.service, access.downloads, call, pause=self._pause, patience=self._patience, handle=handle)

    async def _run(
        self, call: Call, work: Work, start: Callable[[], Awaitable[AttemptOutcome]], access: "_Access", *links: str
    ) -> AttemptOutcome:
        """`start` until the deadline, booked. Links are unguessable on purpose: they are blotted out like the key."""
        outcome = None
        with trio.move_on_at(call.deadline):
            outcome = await start()
        if outcome is None:
            outcome = AttemptOutcome(Verdict.TIMEOUT, message=work.trouble, possibly_billed=work.maybe_billed)
        return self._booked(outcome, work, access, *links)

    def _booked(self, outcome: AttemptOutcome, work: Work, access: "_Access", *links: str) -> AttemptOutcome:
        outcome = replace(outcome, message=shorten(outcome.message, access.key, *links))
        if work.handle is None:
            return outcome
        # A job exists: a second one would be charged a second time, even if this one's picture turns out to be bad.
        return replace(
            outcome,
            again=0,
            response_id=work.handle,
            model_version=work.operation,
            cost_microusd=self._price if work.finished else 0,
            possibly_billed=not work.finished,
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Access:
    """A key, and what shows it. A job keeps the one with which it began."""

    key: str | None
    service: Service
    downloads: Downloads


def _publish(call: Call, links: ExitStack) -> tuple[str, dict[str, str]]:
    """Addresses of the photo and, by role, of the template that the method uses; good until `links` is closed.

    Raises what the publisher raises.
    """
    assert call.publisher is not None
    role = ROLES.get(call.operation)
    photo = links.enter_context(call.publisher.publish(call.photo))
    return photo, {
        template.role: links.enter_context(call.publisher.publish(template.photo))
        for template in call.templates
        if template.role == role
    }
