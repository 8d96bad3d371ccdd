"""Generated studios: how they are set up, what their providers will do, and who posts what when."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio
from hypothesis import strategies as st

from photochanger.domain.slot import Plan, Slot
from photochanger.media.prepare import prepare
from photochanger.media.verify import verify
from tests.lab.virtual.behaviour import Behaviour, Kind
from tests.lab.virtual.check import check
from tests.lab.virtual.providers import ScriptedDriver
from tests.lab.virtual.studio import Studio, open_studio, run_virtual

PROVIDERS = ("one", "two", "three")
SLOTS = 3


@dataclass(frozen=True, slots=True)
class Burst:
    """`photos` posts to one slot at one moment, `after` seconds later than the burst before.

    `same` = it is one photo, posted again and again. The connection is cut after `patience` seconds. `again` = who got
    no picture posts its photo once more, at once.
    """

    after: float
    slot: int
    photos: int
    same: bool
    patience: float
    again: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """One generated run."""

    slots: tuple[Slot, ...]
    scripts: tuple[tuple[Behaviour, ...], ...]
    bursts: tuple[Burst, ...]
    live: int
    late: int
    room: int
    row_seconds: float
    picture_seconds: float
    stops: tuple[float, ...] = ()
    """Seconds between which an administrator stops the oldest work."""


def _slots(number: int) -> st.SearchStrategy[Slot]:
    return st.builds(
        Slot,
        id=st.just(f"slot-{number + 1:03}"),
        version=st.just(1),
        provider=st.sampled_from(PROVIDERS[:2]),
        operation=st.just("edit"),
        t_sync=st.sampled_from([48.0, 10.0, 25.0]),
        permits=st.sampled_from([2, 6, 1]),
        mailbox=st.sampled_from([8, 1]),
        fallbacks=st.lists(st.sampled_from(PROVIDERS[1:]), max_size=2, unique=True).map(_plans),
        hedge=st.booleans(),
        keep_spares=st.booleans(),
        on_timeout=st.sampled_from(["store", "drop", "poll"]),
        t_late=st.sampled_from([0.0, 20.0, 120.0]),
        last_resort=st.sampled_from(["error", "original", "local"]),
        dedupe_seconds=st.sampled_from([60, 0]),
    )


def _plans(names: Sequence[str]) -> tuple[Plan, ...]:
    return tuple(Plan(name, "edit") for name in names)


_seconds = st.floats(0, 60).map(lambda seconds: round(seconds, 1)) | st.sampled_from([0.0, 5.0, 48.0, 46.5])
_behaviours = st.builds(
    Behaviour,
    kind=st.just(Kind.PICTURE) | st.sampled_from(list(Kind)),
    seconds=_seconds,
    charges=st.booleans(),
)
_scripts = st.lists(_behaviours, min_size=1, max_size=30).map(tuple)
_bursts = st.builds(
    Burst,
    after=st.sampled_from([15.0, 0.0, 0.1, 4.0, 30.0, 50.0]),
    slot=st.integers(0, SLOTS - 1),
    photos=st.integers(1, 6),
    same=st.sampled_from([False, False, False, True]),
    patience=st.just(float("inf")) | st.just(float("inf")) | _seconds,
    again=st.booleans(),
)
timelines = st.builds(
    Timeline,
    slots=st.tuples(*(_slots(number) for number in range(SLOTS))),
    scripts=st.tuples(*(_scripts for _ in PROVIDERS)),
    bursts=st.lists(_bursts, min_size=1, max_size=12).map(tuple),
    live=st.sampled_from([8, 3, 16, 1]),
    late=st.sampled_from([4, 1]),
    room=st.sampled_from([60, 30, 4]),
    row_seconds=st.sampled_from([0.0, 0.01, 0.3]),
    picture_seconds=st.sampled_from([0.0, 0.2]),
    stops=st.just(()) | st.lists(_seconds, max_size=4).map(tuple),
)


def run(timeline: Timeline) -> Studio:
    """Live through `timeline` and check what must always be true; the studio afterwards."""

    async def live() -> Studio:
        drivers = [
            ScriptedDriver(name, _cycle(script)) for name, script in zip(PROVIDERS, timeline.scripts, strict=True)
        ]
        it = timeline
        async with open_studio(it.slots, drivers, live=it.live, late=it.late, room=it.room) as studio:
            studio.rows.latency = lambda: timeline.row_seconds
            async with trio.open_nursery() as booths:
                booths.start_soon(_stop_some, studio, it.stops)
                await _post_all(studio, timeline.bursts, booths)
            await studio.rest()
            check(studio)
        return studio

    return run_virtual(live, cost=picture_cost(timeline.picture_seconds))


async def _post_all(studio: Studio, bursts: Sequence[Burst], booths: trio.Nursery) -> None:
    numbers = itertools.count(1)
    for burst in bursts:
        await trio.sleep(burst.after)
        for _ in range(burst.photos):
            booths.start_soon(_booth, studio, burst, 0 if burst.same else next(numbers))


async def _stop_some(studio: Studio, stops: Sequence[float]) -> None:
    for pause in stops:
        await trio.sleep(pause)
        studio.stop_one()


async def _booth(studio: Studio, burst: Burst, number: int) -> None:
    slot_id = list(studio.slots)[burst.slot]
    visit = await studio.post(slot_id, number, patience=burst.patience)
    if burst.again and not visit.got_picture:
        await studio.post(slot_id, number)


def _cycle(behaviours: Sequence[Behaviour]) -> Callable[[], Behaviour]:
    return itertools.cycle(behaviours).__next__


def picture_cost(seconds: float) -> Callable[[Callable[..., object]], float]:
    """Every look at or work on a picture takes `seconds`."""
    return lambda function: seconds if function in (verify, prepare) else 0.0
