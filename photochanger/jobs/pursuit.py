"""The way to a picture: asks the policy what is next, and does it, until there is a picture or an end.

Attempts are tasks in the job's nursery. Nothing here waits for anything but news of them, of those who wait for the
answer, and the moment that the policy names.
"""

import logging
from collections.abc import Awaitable, Callable
from math import ceil
from uuid import UUID

import trio

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.situation import GiveUp, HedgeKind, LastResort, PlanNow, Settle, Situation, Start, Try, Wait
from photochanger.domain.slot import Slot
from photochanger.jobs.attempt import NOT_NEEDED, Attempt, Errand
from photochanger.jobs.reply import ReplyCell
from photochanger.jobs.stand_in import StandIn
from photochanger.jobs.upload import Upload
from photochanger.jobs.ways import Way, until_admitted, ways_of
from photochanger.jobs.workshop import Workshop
from photochanger.media.fit import Fit
from photochanger.providers.base import PreparedPhoto, Resumable
from photochanger.providers.group import ProviderGroup

log = logging.getLogger(__name__)

_NEVER = Expected(0.0, 0.0, 0.0)


class Pursuit:
    """`attempts` are all that were started, in order.

    `is_live`: a booth waits. What is not has lower rank at the providers, teaches them nothing, and leaves the share of
    early hedges to those that are.
    """

    def __init__(
        self,
        workshop: Workshop,
        slot: Slot,
        job_id: UUID,
        upload: Upload,
        cell: ReplyCell,
        stand_in: StandIn,
        fit: Fit | None,
        *,
        is_live: bool,
        photo_for: Callable[[ProviderGroup], Awaitable[PreparedPhoto]],
        book: Callable[[], Awaitable[None]],
    ) -> None:
        self.attempts: list[Attempt] = []
        self.ways = ways_of(slot, workshop.groups, has_public_address=workshop.has_public_address)
        self._workshop = workshop
        self._slot = slot
        self._job_id = job_id
        self._upload = upload
        self._cell = cell
        self._photo_for = photo_for
        self._book = book
        self._stand_in = stand_in
        self._fit = fit
        self._is_live = is_live
        self._news = trio.Event()

    @property
    def may_succeed(self) -> bool:
        """A call is being made, or there is a picture already."""
        return any(attempt.is_running or attempt.verified is not None for attempt in self.attempts)

    @property
    def running(self) -> list[Attempt]:
        """Attempts whose call is being made, or whose picture is being looked at."""
        return [attempt for attempt in self.attempts if attempt.is_running]

    def tell(self) -> None:
        """Something has changed: look again. Synchronous."""
        self._news.set()

    async def run(self, calls: trio.Nursery, scope: trio.CancelScope) -> Attempt | Reason:
        """The attempt whose picture is the answer, or why there is none.

        `calls` is where attempts run; `scope` is the work's own, whose deadline is when the work is given up.
        """
        if self._is_live:
            self._workshop.hedges.photo()
        while True:
            self._news = trio.Event()
            shown = [attempt for attempt in self.attempts if not attempt.never_made]
            if any(attempt.is_refused for attempt in shown):
                self._cell.meanwhile = Reason.PROVIDER_REFUSED
            match self._workshop.decide(self._situation([attempt.seen() for attempt in shown], scope.deadline)):
                case Settle(winner):
                    return shown[winner]
                case GiveUp(reason):
                    return reason
                case LastResort(deadline):
                    self._stand_in.give(deadline)
                case Start(number, hedge, instead):
                    if instead is not None:
                        shown[instead].stop(NOT_NEEDED)
                    self._start(calls, number, hedge)
                case Wait(until):
                    with trio.move_on_at(until):
                        await self._news.wait()

    def stop(self, why: str, verdict: Verdict = Verdict.CANCELLED, *, unless_answered: bool = False) -> None:
        """Give up all attempts that are not over yet. Synchronous."""
        for attempt in self.attempts:
            if attempt.ended is None:
                attempt.stop(why, verdict, unless_answered=unless_answered)

    def end_losers(self, spares_until: float | None) -> None:
        """Stop them; those that are paid for finish as spares until that moment, where there is one. Synchronous."""
        for attempt in self.attempts:
            if attempt.ended is None:
                if spares_until is not None and attempt.costs_money:
                    attempt.go_on_until(spares_until)
                else:
                    attempt.stop(NOT_NEEDED)

    async def wait_until_stopped(self) -> None:
        """Return when no attempt is left. The caller has stopped them and bounds the wait."""
        while any(attempt.ended is None for attempt in self.attempts):
            self._news = trio.Event()
            await self._news.wait()

    def retry_after(self, reason: Reason | None) -> int | None:
        """When another try can make sense, where that is known: whole seconds."""
        if reason is Reason.BUDGET_EXHAUSTED:
            return self._workshop.ledger.seconds_until_tomorrow()
        if reason is Reason.PROVIDER_UNAVAILABLE:
            return until_admitted(self.ways)
        if reason is Reason.PROVIDER_QUOTA:
            waits = [attempt.outcome.retry_after for attempt in self.attempts if attempt.outcome is not None]
            return ceil(min((wait for wait in waits if wait is not None), default=0.0)) or None
        return None

    def _start(self, calls: trio.Nursery, number: int, hedge: HedgeKind | None) -> None:
        way, metrics = self.ways[number], self._workshop.metrics
        assert way.group is not None
        if hedge is not None:
            metrics.hedge(way.group.name, hedge)
            if hedge == "early":
                self._workshop.hedges.made()
        elif any(attempt.errand.way_number == number and attempt.ended is not None for attempt in self.attempts):
            metrics.retry(way.group.name)
        deadlines = self._cell.deadlines
        errand = Errand(
            slot=self._slot,
            job_id=self._job_id,
            number=len(self.attempts) + 1,
            way_number=number,
            operation=way.plan.operation,
            settings=way.settings,
            group=way.group,
            hedged=hedge is not None,
            folder=self._upload.folder,
            fit=self._fit,
        )
        attempt = Attempt(self._workshop, errand, photo_for=self._photo_for, book=self._book, on_change=self.tell)
        self.attempts.append(attempt)
        latest = deadlines[-1] if deadlines else trio.current_time()
        request = way.group.ask(self._slot.id, latest, hedge=hedge is not None, live=self._is_live)
        if request is None:
            attempt.not_made(AttemptOutcome(Verdict.OVERLOADED, message="too many calls wait for this provider"))
        else:
            attempt.request = request
            calls.start_soon(attempt.run, name=f"attempt {errand.number} of a job in {self._slot.id}")

    def _situation(self, tries: list[Try], settle_by: float) -> Situation:
        deadlines = self._cell.deadlines
        rate = self._upload.rate
        return Situation(
            now=trio.current_time(),
            first=deadlines[0] if deadlines else None,
            last=deadlines[-1] if deadlines else None,
            settle_by=settle_by,
            reserve=self._workshop.reserve.seconds(self._slot.t_sync, rate),
            plans=[self._now(way) for way in self.ways],
            tries=tries,
            may_hedge=self._slot.hedge,
            may_hedge_early=self._is_live and self._workshop.hedges.allowed,
            lead=self._stand_in.lead,
        )

    def _now(self, way: Way) -> PlanNow:
        group, settings = way.group, way.settings
        if way.impossible is not None or group is None:
            return PlanNow(_NEVER, impossible=way.impossible)
        now = trio.current_time()
        admitted = group.admits()
        return PlanNow(
            group.expected(settings),
            measured=group.measured(settings),
            idle=group.idle,
            admitted=admitted,
            ill=group.breaker.state(now).state == "open",
            once=isinstance(group.driver, Resumable),
            makeshift=way.plan.provider == "local" and way is not self.ways[0],
            has_room=group.has_room(live=self._is_live),
            affordable=self._workshop.ledger.affordable(self._slot, group.driver.estimate_microusd(settings)),
        )
