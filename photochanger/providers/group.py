"""A provider's group: its permits, its breaker, what its calls take; the one place from which its driver is called.

A booth's calls are `live`. Others, of tests and re-runs, are canaries: they have a permit when no other call waits for
one, and nothing is learnt from them. An administrator tries what may not work, and no guest shall go without for it.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from photochanger.domain.breaker import Breaker, Signal, Turn, signal_of
from photochanger.domain.latency import Expected, Latencies
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.providers.base import Call, Driver, Resumable
from supervisors import Admission, Permits, Request, RequestKind

log = logging.getLogger(__name__)

MAILBOX = 64
"""Calls that may wait for a permit. Lanes bound what reaches a group, so this is only a backstop."""
ENOUGH = 8
"""Pictures after which the latency of a model counts as measured."""


def _kind(live: bool) -> RequestKind:
    return "live" if live else "canary"


class ProviderGroup:
    """Admits attempts and runs them. A supervised child: `run` is its admission actor."""

    def __init__(self, driver: Driver, *, live: int, late: int) -> None:
        self.driver = driver
        self.permits = Permits(driver.name, live, late)
        self.admission = Admission(driver.name, self.permits, MAILBOX)
        self.breaker = Breaker()
        self.running = 0
        """Calls that are being made."""
        self._latencies: dict[str, Latencies] = {}
        self._pictures: dict[str, int] = {}
        self._calls: dict[Turn, tuple[float, Any]] = {}  # live ones, until they are known to hang
        self._live = 0
        self._late: dict[Request, Callable[[], object]] = {}

    @property
    def idle(self) -> bool:
        """No call is being made from which something will be learnt."""
        return not self._live

    @property
    def name(self) -> str:
        """The provider's name, as slots name it."""
        return self.driver.name

    def expected(self, settings: Any) -> Expected:
        """What a call with these settings takes, as far as is known now."""
        return self._of(settings).now(trio.current_time())

    def admits(self) -> bool:
        """The breaker lets a call by. Calls that run for too long speak against the provider before they end."""
        now = trio.current_time()
        for turn, (started, settings) in list(self._calls.items()):
            if now - started > self._of(settings).hangs_after(now):
                del self._calls[turn]
                self._tell_breaker(turn, Signal.ILL, now, "hung")
        return self.breaker.admits(now)

    def measured(self, settings: Any) -> bool:
        """Whether `expected` comes from calls that were made rather than from what is said of the model."""
        return self._pictures.get(self.driver.model_of(settings), 0) >= ENOUGH

    def latencies(self) -> dict[str, Expected]:
        """Per model, what its calls take."""
        return {model: latencies.now(trio.current_time()) for model, latencies in self._latencies.items()}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hand out permits until cancelled."""
        await self.admission.run(task_status=task_status)

    def on_parked(self, _crash: BaseException) -> None:
        """The actor fell too often and is started again only slowly: whoever waits for a permit is told at once."""
        self.admission.fail_waiting(Refusal(Reason.PROVIDER_UNAVAILABLE))

    def ask(self, slot_id: str, latest_start: float, *, hedge: bool = False, live: bool = True) -> Request | None:
        """A place in the queue for a permit, or the permit itself; None when there is no room for it.

        A hedge never queues. Whoever gets a request enters or withdraws it.
        """
        if hedge:
            return self.admission.request_now(kind=_kind(live), key=slot_id)
        try:
            return self.admission.request(kind=_kind(live), key=slot_id, latest_start=latest_start)
        except trio.WouldBlock:
            return None

    def has_room(self, *, live: bool) -> bool:
        """A permit is free that such a call would have before all who wait."""
        return self.admission.has_room(_kind(live))

    def become_late(self, request: Request, on_dropped: Callable[[], object]) -> bool:
        """Move a running call into the late room; its live permit is free at once. False when there is no such room.

        A full room is made room in: the call that is in it for the longest is dropped, which `on_dropped` tells; a
        canary before all others, and none for a canary.
        """
        if request in self._late:
            return True
        if request.permit is None:
            return False  # it was dropped, and is not over yet
        if not request.become("late"):
            if request.kind == "canary" or not self._late or self.admission.statistics().waiting_late:
                return False  # what is dropped would make room for somebody else
            oldest = min(self._late, key=lambda each: each.kind != "canary")
            tell_it = self._late.pop(oldest)
            log.warning("%s: the room for late work is full, the oldest call in it is dropped", self.name)
            oldest.withdraw()
            tell_it()
            if not request.become("late"):
                return False
        self._late[request] = on_dropped
        return True

    def become_live(self, request: Request) -> None:
        """Somebody waits for this call again: it can no longer be dropped, and has a live permit if one is free."""
        if self._late.pop(request, None) is not None:
            request.become("live")

    async def attempt(self, call: Call, request: Request, *, begin: Callable[[], Awaitable[None]]) -> AttemptOutcome:
        """Run one call in the caller's task, so that the caller's cancellation ends it.

        `begin` books the attempt: it is awaited after the permit was granted and before the first byte leaves.
        A bug in a driver becomes an outcome; it never reaches the group or another photo. Raises what `begin`
        raises, and Refusal (provider_unavailable) when the group is parked or the breaker has opened meanwhile.
        """
        try:
            async with request:
                if request.kind == "canary":
                    # It takes no turn: as a half-open breaker's probe it would keep booths' calls from finding out.
                    if not self.breaker.admits(trio.current_time()):
                        raise Refusal(Reason.PROVIDER_UNAVAILABLE)
                    await begin()
                    return await self._call(call)
                turn = self.breaker.begin(trio.current_time())
                if turn is None:
                    raise Refusal(Reason.PROVIDER_UNAVAILABLE)
                try:
                    await begin()
                except BaseException:
                    self.breaker.ended(turn, Signal.NEUTRAL, trio.current_time(), reason="not begun")
                    raise
                return await self._call_and_learn(call, turn)
        finally:
            self._late.pop(request, None)

    async def resume(self, call: Call, handle: str, slot_id: str) -> AttemptOutcome | None:
        """What came of work that an earlier process began, under a late permit; None where that cannot be asked."""
        if not isinstance(self.driver, Resumable):
            return None
        async with self.admission.request(kind="late", key=slot_id):
            return await self.driver.resume(call, handle)

    async def _call(self, call: Call) -> AttemptOutcome:
        self.running += 1
        try:
            return await self.driver.call(call)
        except Exception:
            log.exception("the %s driver crashed", self.name)
            return AttemptOutcome(Verdict.CRASHED, possibly_billed=True)
        finally:
            self.running -= 1

    async def _call_and_learn(self, call: Call, turn: Turn) -> AttemptOutcome:
        started = trio.current_time()
        outcome = AttemptOutcome(Verdict.CANCELLED)
        self._live += 1
        self._calls[turn] = started, call.settings
        try:
            outcome = await self._call(call)
        finally:
            self._live -= 1
            self._calls.pop(turn, None)
            self._learn(call, turn, outcome, trio.current_time() - started)
        return outcome

    def _learn(self, call: Call, turn: Turn, outcome: AttemptOutcome, seconds: float) -> None:
        now = trio.current_time()
        latencies = self._of(call.settings)
        signal = signal_of(
            outcome.verdict, retry_after=outcome.retry_after, cut_after=seconds, p95=latencies.hangs_after(now)
        )
        if outcome.verdict is Verdict.PICTURE:
            model = self.driver.model_of(call.settings)
            self._pictures[model] = self._pictures.get(model, 0) + 1
            latencies.took(seconds, now, complete=True)
        elif outcome.verdict in (Verdict.CANCELLED, Verdict.TIMEOUT):
            latencies.took(seconds, now, complete=False)
        self._tell_breaker(turn, signal, now, "hung" if outcome.verdict is Verdict.CANCELLED else outcome.verdict.value)

    def _tell_breaker(self, turn: Turn, signal: Signal, now: float, reason: str) -> None:
        if self.breaker.ended(turn, signal, now, reason=reason):
            state = self.breaker.state(now)
            log.warning("%s: the breaker is %s now (%s)", self.name, state.state, state.reason or "it answers again")

    def _of(self, settings: Any) -> Latencies:
        model = self.driver.model_of(settings)
        if model not in self._latencies:
            self._latencies[model] = Latencies(self.driver.expects(settings))
        return self._latencies[model]
