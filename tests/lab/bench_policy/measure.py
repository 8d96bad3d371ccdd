"""One cell of the table: a studio for some minutes, and what its booths got."""

import itertools
import time
from dataclasses import dataclass
from enum import Enum

import trio

from photochanger.domain.job import ReplyKind
from photochanger.domain.policy import decide
from photochanger.domain.reasons import Reason
from photochanger.domain.situation import GiveUp, Settle, Situation, Start, Step, Wait
from photochanger.domain.slot import Plan, Slot
from tests.lab.bench_policy.troubles import PRIMARY, SECOND, SECOND_PROVIDER, WINDOW, Trouble
from tests.lab.virtual.check import check
from tests.lab.virtual.providers import ScriptedDriver
from tests.lab.virtual.studio import Policy, Studio, open_studio, run_virtual
from tests.lab.virtual.timelines import picture_cost

BOOTHS = 15
EVERY = 4.0
"""Seconds between two photos of a booth."""
VERIFY = 0.05
"""Seconds of one verification."""
_AI = (ReplyKind.AI, ReplyKind.FALLBACK)


class Way(Enum):
    """How trouble is dealt with; the value is the column's heading."""

    ONE_ATTEMPT = "no policy: one call"
    PRIMARY_ONLY = "policy, primary only"
    TWO_PROVIDERS = "policy, two providers"
    SECOND_ONLY = "second provider alone"


@dataclass(frozen=True, slots=True)
class Cell:
    """`pictures` of `photos` were answered with an AI picture inside the window; `calls` were made for them."""

    photos: int
    pictures: int
    calls: int
    most_at_once: int
    decisions: int
    deciding: float

    @property
    def share(self) -> float:
        """Percent of photos that got their picture."""
        return 100 * self.pictures / self.photos

    @property
    def extra_calls(self) -> float:
        """Percent of calls beyond one per photo."""
        return 100 * (self.calls / self.photos - 1)

    @property
    def cpu(self) -> float:
        """Milliseconds of the policy's own work per photo."""
        return 1000 * self.deciding / self.photos


class Timed:
    """A policy, and the time that its decisions take."""

    def __init__(self, policy: Policy) -> None:
        self.decisions = 0
        self.seconds = 0.0
        self._policy = policy

    def __call__(self, it: Situation) -> Step:
        """Decide."""
        started = time.thread_time()
        step = self._policy(it)
        self.seconds += time.thread_time() - started
        self.decisions += 1
        return step


def one_call(it: Situation) -> Step:
    """No policy: the first provider is asked once."""
    if not it.tries:
        return Start(0)
    (only,) = it.tries
    if only.verified:
        return Settle(0)
    return Wait(it.settle_by) if only.ended is None else GiveUp(Reason.PROVIDER_ERROR)


def measure(trouble: Trouble, way: Way, *, permits: int, photos: int) -> Cell:
    """Live through it and count. Everything that must always be true is checked, too."""
    slots = [_slot(number, way) for number in range(BOOTHS)]
    policy = Timed(one_call if way is Way.ONE_ATTEMPT else decide)

    async def live() -> Cell:
        seed = f"{trouble.name} {photos}"
        drivers = [
            ScriptedDriver("primary", trouble.script(f"{seed} primary"), expected=PRIMARY.expected),
            ScriptedDriver("second", SECOND_PROVIDER.script(f"{seed} second"), expected=SECOND.expected),
        ]
        async with open_studio(slots, drivers, live=permits, late=permits // 2, room=10_000, policy=policy) as studio:
            if way is Way.ONE_ATTEMPT:
                studio.groups["primary"].breaker.force("closed", trio.current_time())
            await _post_all(studio, photos)
            await studio.rest()
            check(studio)
        return _count(studio, policy)

    return run_virtual(live, cost=picture_cost(VERIFY))


def _slot(number: int, way: Way) -> Slot:
    second = (Plan("second", "edit"),) if way is Way.TWO_PROVIDERS else ()
    # As many places as a booth that never pauses can have photos in the window: the providers are what is tried.
    places = int(WINDOW / EVERY) + 2
    return Slot(
        f"slot-{number + 1:03}",
        1,
        "second" if way is Way.SECOND_ONLY else "primary",
        "edit",
        t_sync=WINDOW,
        permits=places,
        mailbox=places,
        fallbacks=second,
        on_timeout="drop",
    )


async def _post_all(studio: Studio, photos: int) -> None:
    slot_ids = itertools.cycle(studio.slots)
    async with trio.open_nursery() as booths:
        for number, slot_id in zip(range(photos), slot_ids, strict=False):
            booths.start_soon(studio.post, slot_id, number)
            await trio.sleep(EVERY / BOOTHS)


def _count(studio: Studio, policy: Timed) -> Cell:
    pictures = sum(visit.reply is not None and visit.reply.kind in _AI for visit in studio.visits)
    most = max(driver.most_at_once for driver in studio.drivers.values())
    return Cell(len(studio.visits), pictures, len(studio.asked), most, policy.decisions, policy.seconds)
