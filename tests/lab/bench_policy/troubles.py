"""Kinds of trouble: what a provider does with a call, drawn with a seed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from photochanger.domain.latency import Expected
from tests.lab.virtual.behaviour import Behaviour, Kind

WINDOW = 48.0
Z90, Z95 = 1.2816, 1.6449
"""Standard deviations above the middle that 90 % and 95 % do not exceed."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Log-normal service time, in seconds."""

    p50: float
    p95: float

    @property
    def _sigma(self) -> float:
        return math.log(self.p95 / self.p50) / Z95

    def draw(self, random: Random) -> float:
        """One call's time."""
        return random.lognormvariate(math.log(self.p50), self._sigma)

    @property
    def expected(self) -> Expected:
        """What a driver says before anything was measured."""
        return Expected(self.p50, self.p50 * math.exp(Z90 * self._sigma), self.p95)


PRIMARY = Speed(12.5, 22.0)
SECOND = Speed(10.0, 18.0)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the primary: `share` of its calls become `kind`, which takes `seconds` (None = as usual)."""

    name: str
    kind: Kind = Kind.PICTURE
    share: float = 0.0
    seconds: float | None = None
    speed: Speed = PRIMARY

    def script(self, seed: str) -> Callable[[], Behaviour]:
        """Behaviour after behaviour."""
        random = Random(seed)

        def draw() -> Behaviour:
            usual = self.speed.draw(random)
            if random.random() >= self.share:
                return Behaviour(Kind.PICTURE, usual)
            return Behaviour(self.kind, usual if self.seconds is None else self.seconds)

        return draw


HEALTHY = Trouble("healthy")
TROUBLES = (
    HEALTHY,
    Trouble("NO_IMAGE 10 %", Kind.NO_IMAGE, 0.1),
    Trouble("NO_IMAGE 50 %", Kind.NO_IMAGE, 0.5),
    Trouble("hangs 5 %", Kind.HANG, 0.05),
    Trouble("hangs 30 %", Kind.HANG, 0.3),
    Trouble("slow: p95 = window", speed=Speed(12.5, WINDOW)),
    Trouble("outage: 503 at once", Kind.UNAVAILABLE, 1.0, seconds=0.2),
    Trouble("outage: hangs", Kind.HANG, 1.0),
)
SECOND_PROVIDER = Trouble("the second provider", speed=SECOND)
