"""The way to a picture: asks the policy what is next, and does it, until there is a picture or an end.

Attempts are tasks in the job's nursery. Nothing here waits for anything but news of them, of those who wait for the
answer, and the moment that the policy names.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import trio

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.policy import (
    GiveUp,
    HedgeKind,
    LastResort,
    PlanNow,
    Settle,
    Situation,
    Start,
    Try,
    Wait,
)
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Plan, Slot
from photochanger.errors import ConfigError
from photochanger.jobs.attempt import NOT_NEEDED, Attempt, Errand
from photochanger.jobs.reply import PictureReply, ReplyCell
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Workshop
from photochanger.media.fit import fit_of
from photochanger.providers.base import PreparedPhoto
from photochanger.providers.group import ProviderGroup

log = logging.getLogger(__name__)

_NEVER = Expected(0.0, 0.0, 0.0)

SEND_LEAD = 0.25
"""Seconds before a deadline at which the last resort leaves, beside what its bytes need on the client's line."""


@dataclass(frozen=True, slots=True)
class Way:
    """A plan with what carries it out; `impossible` is why it can never work."""

    plan: Plan
    group: ProviderGroup | None = None
    settings: Any = None
    impossible: Reason | None = None


def ways_of(slot: Slot, workshop: Workshop) -> list[Way]:
    """The slot's plans, looked at once per photo. What is set up wrongly is logged and never tried."""
    return [_way(slot, plan, workshop) for plan in slot.plans]


def _way(slot: Slot, plan: Plan, workshop: Workshop) -> Way:
    group = workshop.groups.get(plan.provider)
    if group is None:
        log.error("slot %s names a provider that is not there: %r", slot.id, plan.provider[:40])
        return Way(plan, impossible=Reason.PROVIDER_UNAVAILABLE)
    try:
        settings = group.driver.parse_settings(plan.settings)
        group.driver.check(plan.operation, settings, [template.role for template in slot.templates])
        if group.driver.missing is not None:
            raise ConfigError(group.driver.missing)
    except ConfigError as error:
        log.error("slot %s cannot use %s as it is set up: %s", slot.id, plan.provider, error)
        return Way(plan, group, impossible=Reason.PROVIDER_ERROR)
    return Way(plan, group, settings)


class Pursuit:
    """`attempts` are all that were started, in order. `last_resort` is set by the job once it is ready."""

    def __init__(
        self,
        workshop: Workshop,
        slot: Slot,
        job_id: UUID,
        upload: Upload,
        cell: ReplyCell,
        *,
        photo_for: Callable[[ProviderGroup], Awaitable[PreparedPhoto]],
        book: Callable[[], Awaitable[None]],
    ) -> None:
        self.attempts: list[Attempt] = []
        self.last_resort: PictureReply | None = None
        self.ways = ways_of(slot, workshop)
        self._workshop = workshop
        self._slot = slot
        self._job_id = job_id
        self._upload = upload
        self._cell = cell
        self._photo_for = photo_for
        self._book = book
        self.fit = fit_of(slot.output, slot.output_width, slot.output_height, upload.probe.width, upload.probe.height)
        self._news = trio.Event()

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
        self._workshop.hedges.photo()
        while True:
            self._news = trio.Event()
            shown = [attempt for attempt in self.attempts if not attempt.never_made]
            match self._workshop.decide(self._situation([attempt.seen() for attempt in shown], scope.deadline)):
                case Settle(winner):
                    return shown[winner]
                case GiveUp(reason):
                    return reason
                case LastResort(deadline):
                    assert self.last_resort is not None
                    for _ in range(self._cell.answer_due(deadline, self.last_resort)):
                        self._workshop.metrics.last_resort(self.last_resort.kind)
                case Start(number, hedge, instead):
                    if instead is not None:
                        shown[instead].stop(NOT_NEEDED)
                    self._start(calls, number, hedge)
                case Wait(until):
                    with trio.move_on_at(until):
                        await self._news.wait()

    def stop(self, why: str, verdict: Verdict = Verdict.CANCELLED) -> None:
        """Give up all attempts that are not over yet. Synchronous."""
        for attempt in self.attempts:
            if attempt.ended is None:
                attempt.stop(why, verdict)

    async def wait_until_stopped(self) -> None:
        """Return when no attempt is left. The caller has stopped them and bounds the wait."""
        while any(attempt.ended is None for attempt in self.attempts):
            self._news = trio.Event()
            await self._news.wait()

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
            fit=self.fit,
        )
        attempt = Attempt(self._workshop, errand, photo_for=self._photo_for, book=self._book, on_change=self.tell)
        self.attempts.append(attempt)
        latest = deadlines[-1] if deadlines else trio.current_time()
        request = way.group.ask(self._slot.id, latest, hedge=hedge is not None)
        if request is None:
            attempt.not_made(AttemptOutcome(Verdict.OVERLOADED, message="too many calls wait for this provider"))
        else:
            calls.start_soon(attempt.run, request, name=f"attempt {errand.number} of a job in {self._slot.id}")

    def _situation(self, tries: list[Try], settle_by: float) -> Situation:
        deadlines = self._cell.deadlines
        rate = self._upload.rate
        lead = None
        if self.last_resort is not None:
            lead = min(SEND_LEAD + self._workshop.reserve.sending(self.last_resort.size, rate), self._slot.t_sync / 4)
        return Situation(
            now=trio.current_time(),
            first=deadlines[0] if deadlines else None,
            last=deadlines[-1] if deadlines else None,
            settle_by=settle_by,
            reserve=self._workshop.reserve.seconds(self._slot.t_sync, rate),
            plans=[self._now(way) for way in self.ways],
            tries=tries,
            may_hedge=self._slot.hedge,
            may_hedge_early=self._workshop.hedges.allowed,
            lead=lead,
        )

    def _now(self, way: Way) -> PlanNow:
        group, settings = way.group, way.settings
        if way.impossible is not None or group is None:
            return PlanNow(_NEVER, impossible=way.impossible)
        return PlanNow(
            group.expected(settings),
            measured=group.measured(settings),
            idle=group.running == 0,
            admitted=group.breaker.admits(trio.current_time()),
            has_room=group.admission.has_room("live"),
            affordable=self._workshop.ledger.affordable(self._slot, group.driver.estimate_microusd(settings)),
        )
