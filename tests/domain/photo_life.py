"""Lives through a generated history: asks the policy, carries out what it says, and judges every step.

The rules are written down here a second time, from the promises and not from the policy's code.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.policy import decide
from photochanger.domain.reasons import Reason
from photochanger.domain.situation import GiveUp, LastResort, PlanNow, Settle, Situation, Start, Step, Try, Wait
from tests.domain.histories import START, Booth, History, Provider, Spans

LOOKING_AT_A_PICTURE: Final = 0.2
MOST_STEPS: Final = 1_000
TRIES: Final = 6
LONGEST_PAUSE: Final = 4.0
SOON: Final = 1.0
"""Seconds for which one that has failed less may be waited for."""
CHANCE: Final = {Verdict.NO_IMAGE, Verdict.OVERLOADED, Verdict.TRANSPORT}
NEVER: Final = float("inf")


@dataclass(slots=True)
class Call:
    """An attempt as the history has it: all its moments are known when it is asked for."""

    plan: int
    asked: float
    granted: float
    begun: float
    ended: float
    outcome: AttemptOutcome
    verified: bool
    given_up: bool = False

    def seen(self, now: float) -> Try:
        """What is known of it now."""
        over = now >= self.ended
        return Try(
            self.plan,
            self.begun if now >= self.begun else None,
            self.ended if over else None,
            self.outcome if over else None,
            verified=over and self.verified,
            stopping=self.given_up,
            queued=now < self.granted,
        )


class Life:
    """One run. `seen` counts what happened, so that a test can tell that everything was met."""

    def __init__(self, history: History, *, hedge: bool, early: bool) -> None:
        self.history = history
        self.hedge = hedge
        self.early = early
        self.now = START
        self.seen: Counter[str] = Counter()
        self.calls: list[Call] = []
        self.answered: set[Booth] = set()

    def run(self) -> Step | None:
        """The last step; None when the work was given up before there was one."""
        for _ in range(MOST_STEPS):
            waiting, settle_by = self.waiting(), self._settle_by()
            if self.now >= settle_by:
                return None
            it = self._situation(waiting, settle_by)
            step = decide(it)
            self._judge(step, it, waiting)
            self.seen[type(step).__name__] += 1
            match step:
                case Settle():
                    return step
                case GiveUp(reason):
                    self.seen[reason] += 1
                    return step
                case LastResort(deadline):
                    self.answered.update(booth for booth in waiting if booth.deadline <= deadline)
                case Start():
                    self._start(step)
                case Wait(until):
                    self.now = min([until, *self._news()]) + self.history.lag
        raise AssertionError("it goes on for ever")

    def waiting(self) -> list[Booth]:
        """Those who are there and have no answer yet."""
        return [
            booth
            for booth in self.history.booths
            if booth.comes <= self.now < booth.goes and booth not in self.answered
        ]

    def running(self, *, queued: bool = True) -> list[Call]:
        """Calls that are not over and not given up."""
        return [
            call
            for call in self.calls
            if self.now < call.ended and not call.given_up and (queued or self.now >= call.granted)
        ]

    def of(self, plan: int) -> list[Call]:
        """The ended calls by this plan, in the order in which they ended."""
        return sorted(
            (call for call in self._shown() if call.plan == plan and self.now >= call.ended),
            key=lambda call: call.ended,
        )

    def _shown(self) -> list[Call]:
        return [call for call in self.calls if not (call.given_up and call.begun > self.now)]

    def _settle_by(self) -> float:
        return max(booth.deadline for booth in self.history.booths if booth.comes <= self.now) + self.history.late

    def _news(self) -> list[float]:
        """What the photo hears of without asking: not of booths that go, permits or breakers."""
        news = [moment for call in self.running() for moment in (call.begun, call.ended)]
        news += [booth.comes for booth in self.history.booths]
        news += [self.history.stand_in or NEVER, max(booth.goes for booth in self.history.booths), self._settle_by()]
        return [moment for moment in news if moment > self.now]

    def _situation(self, waiting: list[Booth], settle_by: float) -> Situation:
        deadlines = [booth.deadline for booth in waiting]
        ready = self.history.stand_in is not None and self.now >= self.history.stand_in
        return Situation(
            now=self.now,
            first=min(deadlines, default=None),
            last=max(deadlines, default=None),
            settle_by=settle_by,
            reserve=self.history.reserve,
            plans=[self._plan(number, provider) for number, provider in enumerate(self.history.providers)],
            tries=[call.seen(self.now) for call in self._shown()],
            may_hedge=self.hedge,
            may_hedge_early=self.early,
            lead=self.history.lead if ready else None,
        )

    def _plan(self, number: int, provider: Provider) -> PlanNow:
        return PlanNow(
            provider.expected,
            measured=provider.measured,
            idle=not any(call.plan == number for call in self.running(queued=False)),
            admitted=not _inside(provider.ill, self.now),
            has_room=not _inside(provider.full, self.now),
            affordable=self.now < provider.poor_from,
            impossible=None if provider.possible else Reason.PROVIDER_ERROR,
        )

    def _start(self, step: Start) -> None:
        if step.instead is not None:
            self._shown()[step.instead].given_up = True
            self.seen["instead"] += 1
        self.seen[step.hedge or ("retry" if self.of(step.plan) else "start")] += 1
        provider = self.history.providers[step.plan]
        granted = self.now
        for begin, end in sorted(provider.full):
            if begin <= granted < end:
                granted = end
        begun = granted + self.history.booking
        answer = provider.answers[sum(call.plan == step.plan for call in self.calls) % len(provider.answers)]
        call = Call(step.plan, self.now, granted, begun, begun + answer.seconds, answer.outcome, False)
        if begun >= provider.poor_from or _inside(provider.ill, begun):
            poor = begun >= provider.poor_from
            call.outcome = AttemptOutcome(Verdict.UNAFFORDABLE if poor else Verdict.UNAVAILABLE)
            call.begun, call.ended = NEVER, begun
        elif answer.outcome.verdict is Verdict.PICTURE:
            call.ended += LOOKING_AT_A_PICTURE
            call.verified = answer.whole
            if not answer.whole:
                call.outcome = AttemptOutcome(Verdict.BAD_PICTURE)
        self.calls.append(call)

    def _judge(self, step: Step, it: Situation, waiting: list[Booth]) -> None:
        if any(each.verified for each in it.tries):
            assert isinstance(step, Settle), "there is a picture"
            assert it.tries[step.winner].verified
        match step:
            case Wait(until):
                assert until > self.now, "a wait that is over already"
                if waiting and not self.running():
                    assert until <= self._next_retry(it) + SOON, "another one is ready much earlier"
                self._judge_wait(it, waiting)
            case Start():
                self._judge_start(step, it, waiting)
            case LastResort(deadline):
                assert self.history.stand_in is not None
                assert self.now >= self.history.stand_in
                assert waiting, "nobody is there for it"
                assert deadline == min(booth.deadline for booth in waiting)
                assert deadline - self.history.lead <= self.now < deadline
            case GiveUp():
                assert not self.running(queued=False), "a call that was paid for is thrown away"
                if waiting:
                    assert not self._untried(it, with_room=bool(self.running())), "somebody could still help"
            case Settle(winner):
                assert it.tries[winner].verified

    def _judge_wait(self, it: Situation, waiting: list[Booth]) -> None:
        running = self.running(queued=False)
        if (
            not waiting
            or not self.hedge
            or len(self.running()) != 1
            or len(running) != 1
            or self.now < running[0].begun
        ):
            return
        own, first = it.plans[running[0].plan].expected, min(booth.deadline for booth in waiting)
        quickest = min(plan.expected.p90 for plan in it.plans)
        if any(self.now < call.ended + LONGEST_PAUSE for call in self._ended()):
            return  # one that is tried again in a moment may be the better helper
        if self.now >= max(first - it.reserve - quickest, running[0].begun + own.p90):
            assert not self._untried(it, with_room=True), "nobody was called to the rescue"

    def _judge_start(self, step: Start, it: Situation, waiting: list[Booth]) -> None:
        plan = it.plans[step.plan]
        assert waiting, "nobody waits for it"
        assert plan.impossible is None
        assert plan.admitted
        assert plan.affordable
        assert self.now < max(booth.deadline for booth in waiting) - it.reserve, "it cannot be done in time"
        beside = [each for number, each in enumerate(it.tries) if self._goes_on(each) and number != step.instead]
        if step.instead is not None:
            queued = it.tries[step.instead]
            assert queued.queued, "it has its permit"
            assert it.last is not None
            is_late = self.now + it.plans[queued.plan].expected.p50 >= it.last - it.reserve
            assert plan.has_room or is_late, "from one queue into another, as long as the first may do"
        if step.hedge is None:
            assert not beside, "that is a second call"
        else:
            assert len(beside) == 1, "more than two at once"
            assert not beside[0].queued
            assert self.hedge
            assert plan.has_room
            assert self.early or step.hedge == "rescue"
        assert not any(call.outcome.verdict is Verdict.STORAGE for call in self._ended())
        assert self._may_again(step.plan), "that must not be asked again"

    @staticmethod
    def _goes_on(each: Try) -> bool:
        return each.ended is None and not each.stopping

    def _ended(self) -> list[Call]:
        return [call for call in self._shown() if self.now >= call.ended]

    def _next_retry(self, it: Situation) -> float:
        """By then one that has failed may be tried again, and would be done in time as often as not."""
        assert it.last is not None
        ready = NEVER
        for number, plan in enumerate(it.plans):
            ended = self.of(number)
            if ended and plan.impossible is None and plan.admitted and plan.affordable and self._has_tries_left(number):
                at = max(call.ended + max(call.outcome.retry_after or 0.0, LONGEST_PAUSE) for call in ended)
                if at > self.now and at + plan.expected.p50 < it.last - it.reserve:
                    ready = min(ready, at)
        return ready

    def _may_again(self, plan: int) -> bool:
        """What each answer said of further ones, and when."""
        ended = self.of(plan)
        is_time = not ended or self.now >= ended[-1].ended + (ended[-1].outcome.retry_after or 0.0)
        return is_time and self._has_tries_left(plan)

    def _has_tries_left(self, plan: int) -> bool:
        asked = [call for call in self._shown() if call.plan == plan]
        ended = self.of(plan)
        if len(asked) >= TRIES:
            return False
        for call in ended:
            outcome = call.outcome
            more = TRIES if outcome.verdict in CHANCE else 0
            if outcome.verdict is Verdict.QUOTA and outcome.retry_after is not None:
                more = TRIES
            if outcome.again is not None:
                more = outcome.again
            since = sum(later is not call and later.asked >= call.ended for later in asked)
            if since >= more:
                return False
        return True

    def _untried(self, it: Situation, *, with_room: bool) -> bool:
        """A plan that was never tried, may be, and would be done in time as often as not."""
        assert it.last is not None
        if any(call.outcome.verdict is Verdict.STORAGE for call in self._ended()):
            return False
        tried = {call.plan for call in self._shown()}
        return any(
            number not in tried
            and plan.impossible is None
            and plan.admitted
            and plan.affordable
            and (plan.has_room or not with_room)
            and self.now + plan.expected.p50 < it.last - it.reserve
            for number, plan in enumerate(it.plans)
        )


def _inside(spans: Spans, now: float) -> bool:
    return any(begin <= now < end for begin, end in spans)
