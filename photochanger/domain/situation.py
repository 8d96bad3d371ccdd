"""What the policy sees and what it says, as values. Times are of one monotonic clock, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome
from photochanger.domain.reasons import Reason

HedgeKind = Literal["early", "rescue"]


@dataclass(frozen=True, slots=True)
class PlanNow:
    """One plan of the slot at this moment.

    `expected` is service time; `measured` is False while it is a guess, `idle` True while no call to this provider
    runs. `admitted` is the breaker's word, `ill` that it is open, `has_room` says that a permit is free, `affordable`
    that no cap would be passed. `impossible` is why the plan can never work (an unknown provider, settings that are
    wrong). `once` means that a second call beside a running one would be a second job, paid for twice. A `makeshift`
    costs nothing and is not what was asked for: it comes when the others cannot come any more.
    """

    expected: Expected
    measured: bool = True
    idle: bool = False
    admitted: bool = True
    ill: bool = False
    has_room: bool = True
    affordable: bool = True
    impossible: Reason | None = None
    once: bool = False
    makeshift: bool = False


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt so far. `begun` is None until its first byte may leave, `ended` and `outcome` until it is over.

    `queued` is True while it waits for a permit; between that and `begun` it is booked.
    """

    plan: int
    begun: float | None
    ended: float | None = None
    outcome: AttemptOutcome | None = None
    verified: bool = False
    stopping: bool = False
    queued: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision needs. `first` and `last` are the deadlines of those who wait, None when nobody does.

    `reserve` is what verification, storing and sending need once a picture has come; `lead` how long before a
    deadline the last resort has to leave, None where there is none (yet, or any more).
    """

    now: float
    first: float | None
    last: float | None
    settle_by: float
    reserve: float
    plans: Sequence[PlanNow]
    tries: Sequence[Try] = ()
    may_hedge: bool = True
    may_hedge_early: bool = True
    lead: float | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Start an attempt by this plan. A hedge takes a free permit or none; `instead` is a waiting try to take back."""

    plan: int
    hedge: HedgeKind | None = None
    instead: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before this moment, unless an attempt changes or somebody comes or goes."""

    until: float


@dataclass(frozen=True, slots=True)
class LastResort:
    """Give the last resort to everybody whose deadline is not after this moment."""

    deadline: float


@dataclass(frozen=True, slots=True)
class Settle:
    """The picture of this try is the answer."""

    winner: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """There will be no picture."""

    reason: Reason


Step = Start | Wait | LastResort | Settle | GiveUp
