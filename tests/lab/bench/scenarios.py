"""What is measured, scenario by scenario. Floor and service take turns in each."""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import trio

from tests.lab.bench.lines import Message
from tests.lab.bench.measure import (
    cpu_seconds,
    forget_memory_peak,
    loop_cpu_seconds,
    memory_now,
    memory_peak,
    percentile,
    stage_means,
)
from tests.lab.bench.photos import PhotoFile
from tests.lab.bench.probe import lags_between
from tests.lab.bench.report import Figure, ratio_figure, value_figure
from tests.lab.bench.targets import Contender
from tests.lab.bench.workers import Worker

DELAY = 0.2
BOOTHS = 15
RAMP = 1.0
"""Seconds at a crowd's start that do not count: all booths begin in the same moment."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How long the scenarios run: photos in turn, rounds and seconds of crowds."""

    turns_small: int
    turns_large: int
    turns_normalised: int
    rounds: int
    crowd: float
    idle: float
    large_booths: int


QUICK = Scale(turns_small=20, turns_large=10, turns_normalised=5, rounds=1, crowd=5.0, idle=2.0, large_booths=8)
FULL = Scale(turns_small=60, turns_large=30, turns_normalised=12, rounds=3, crowd=10.0, idle=5.0, large_booths=15)


class Bench:
    """One run. `figures`, `stages` and `failures` fill as the scenarios go."""

    def __init__(
        self,
        load: Worker,
        gets: Worker,
        provider: Worker,
        pair: tuple[Contender, Contender],
        photos: tuple[PhotoFile, PhotoFile, PhotoFile],
        scale: Scale,
    ) -> None:
        self._photos = photos
        self._load = load
        self._gets = gets
        self._provider = provider
        self._service, self._floor = self._pair = pair
        self._scale = scale
        self._resting: dict[str, float] = {}
        self.figures: list[Figure] = []
        self.stages: dict[str, Mapping[str, float]] = {}
        self.failures: Counter[str] = Counter()

    async def run(self) -> None:
        """All scenarios."""
        small, large, huge = self._photos
        await self._provider.ask(delay=DELAY)
        _progress("warming up")
        await self._in_turn(small, 5)
        await self._crowds(small, 1, 3.0)
        await self._overheads(small, large)
        await self._throughput("15 slots x 1 request, 1 MB", small, at_least=0.85)
        await self._memory_and_lag(large, huge)
        await self._normalised(large)
        await self._without_delay(small)

    async def _overheads(self, small: PhotoFile, large: PhotoFile) -> None:
        for name, photo, rounds, bound in (
            ("1 MB", small, self._scale.turns_small, 1.4),
            ("15 MB", large, self._scale.turns_large, 1.3),
        ):
            _progress(f"one photo after the other, {name}")
            await self._in_turn(photo, 2)
            before = await self._service.stages()
            service, floor = await self._in_turn(photo, rounds)
            self.stages[name] = stage_means(before, await self._service.stages())
            self.figures.append(
                ratio_figure(
                    f"own overhead p50, {name}",
                    "ms",
                    _overhead(service, DELAY),
                    _overhead(floor, DELAY),
                    at_most=bound,
                )
            )

    async def _throughput(self, name: str, photo: PhotoFile, at_least: float | None = None) -> None:
        _progress(name)
        before = await self._service.stages()
        asked = (await self._provider.ask())["requests"]
        crowds = await self._crowds(photo, self._scale.rounds, self._scale.crowd)
        asked = (await self._provider.ask())["requests"] - asked
        self.stages[name] = stage_means(before, await self._service.stages())
        service, floor = (crowds[contender.name] for contender in self._pair)
        posted = sum(len(crowd.seconds) for crowd in crowds.values())
        if asked != posted:
            self.failures[f"{name}: {asked} provider calls for {posted} pictures"] += 1
        self.figures += [
            ratio_figure(f"{name}, photos/s", "/s", service.rate, floor.rate, at_least=at_least),
            Figure(f"{name}, reply p99", "ms", _ms(service.seconds, 99), _ms(floor.seconds, 99)),
            Figure(f"{name}, CPU per photo", "ms", service.cpu, floor.cpu),
            Figure(f"{name}, of it on the event loop", "ms", service.loop_cpu, floor.loop_cpu),
        ]

    async def _memory_and_lag(self, large: PhotoFile, huge: PhotoFile) -> None:
        await trio.sleep(1.0)
        self._resting = {contender.name: memory_now(contender.worker.pid) for contender in self._pair}
        idle: dict[str, list[float]] = {contender.name: [] for contender in self._pair}
        for contender in self._pair * 2:
            idle[contender.name] += await self._idle_gets(contender)
        name = f"{BOOTHS} x 15 MB at once"
        _progress(name)
        crowds = await self._crowds(large, self._scale.rounds, self._scale.crowd, watch=True)
        service, floor = (crowds[contender.name] for contender in self._pair)
        self.figures += [
            value_figure(f"{name}, loop lag p99", "ms", _ms(service.lags, 99), _ms(floor.lags, 99), at_most=20),
            value_figure(f"{name}, RSS growth per photo", "MB", service.growth, floor.growth, at_most=3),
        ]
        _progress(f"{self._scale.large_booths} x 48 MB at once")
        crowds_huge = await self._crowds(huge, 1, self._scale.crowd, booths=self._scale.large_booths)
        self.figures += [
            value_figure(
                f"{self._scale.large_booths} x 48 MB at once, RSS growth per photo",
                "MB",
                *(crowds_huge[contender.name].growth for contender in self._pair),
                at_most=4,
            ),
            value_figure(
                f"{name}, /healthz p99 against idle",
                "x",
                *(_ms(crowds[each.name].gets, 99) / _ms(idle[each.name], 99) for each in self._pair),
                at_most=5,
            ),
            Figure("/healthz p99, idle", "ms", *(_ms(idle[contender.name], 99) for contender in self._pair)),
            Figure("RSS after 1 MB photos", "MB", *(self._resting[contender.name] for contender in self._pair)),
            Figure(f"{name}, photos/s", "/s", service.rate, floor.rate),
            Figure(f"{name}, CPU per photo", "ms", service.cpu, floor.cpu),
            Figure(f"{name}, of it on the event loop", "ms", service.loop_cpu, floor.loop_cpu),
        ]

    async def _normalised(self, large: PhotoFile) -> None:
        _progress("normalising to 3072 px, 15 MB")
        for contender in self._pair:
            await contender.worker.ask(longest_side=3072)
        await self._in_turn(large, 1)
        before = await self._service.stages()
        service, floor = await self._in_turn(large, self._scale.turns_normalised)
        self.stages["15 MB to 3072 px"] = stage_means(before, await self._service.stages())
        for contender in self._pair:
            await contender.worker.ask(longest_side=None)
        self.figures.append(
            Figure("own overhead p50, 15 MB to 3072 px", "ms", _overhead(service, DELAY), _overhead(floor, DELAY))
        )

    async def _without_delay(self, small: PhotoFile) -> None:
        _progress("provider without delay, 1 MB")
        await self._provider.ask(delay=0)
        await self._in_turn(small, 2)
        service, floor = await self._in_turn(small, self._scale.turns_small)
        self.figures.append(Figure("delay 0, overhead p50, 1 MB", "ms", _overhead(service, 0), _overhead(floor, 0)))
        await self._throughput("delay 0, 15 x 1 MB", small)
        await self._provider.ask(delay=DELAY)

    async def _in_turn(self, photo: PhotoFile, rounds: int) -> list[list[float]]:
        goals = [contender.goal for contender in self._pair]
        answer = await self._load.ask(kind="in_turn", targets=goals, rounds=rounds, **_shot(photo))
        for contender, tally in zip(self._pair, answer["targets"], strict=True):
            self._note(contender, tally)
        return [tally["seconds"] for tally in answer["targets"]]

    async def _crowds(
        self, photo: PhotoFile, rounds: int, seconds: float, *, booths: int = BOOTHS, watch: bool = False
    ) -> "dict[str, Crowd]":
        crowds = {contender.name: Crowd(booths, self._resting.get(contender.name, 0.0)) for contender in self._pair}
        for number in range(rounds):
            for contender in self._pair if number % 2 else reversed(self._pair):
                await self._crowd(contender, crowds[contender.name], photo, seconds, watch=watch)
        return crowds

    async def _crowd(
        self, contender: Contender, crowd: "Crowd", photo: PhotoFile, seconds: float, *, watch: bool
    ) -> None:
        pid = contender.worker.pid
        forget_memory_peak(pid)
        cpu, loop_cpu = cpu_seconds(pid), loop_cpu_seconds(pid)

        async def get() -> None:
            crowd.gets += self._note(contender, await self._ask_gets(contender, seconds))

        async with trio.open_nursery() as nursery:
            if watch:
                nursery.start_soon(get)
            answer = await self._load.ask(
                kind="crowd", targets=[contender.goal], booths=crowd.booths, duration=seconds, **_shot(photo)
            )
        self._note(contender, answer)
        crowd.add(answer, seconds, cpu_seconds(pid) - cpu, loop_cpu_seconds(pid) - loop_cpu, memory_peak(pid))
        crowd.lags += lags_between(contender.probe, answer["started"], answer["ended"])

    async def _idle_gets(self, contender: Contender) -> list[float]:
        return self._note(contender, await self._ask_gets(contender, self._scale.idle))

    async def _ask_gets(self, contender: Contender, seconds: float) -> Message:
        return await self._gets.ask(kind="gets", port=contender.port, path="/healthz", seconds=seconds, interval=0.005)

    def _note(self, contender: Contender, tally: Message) -> list[float]:
        self.failures.update(f"{contender.name}: {failure}" for failure in tally["failures"])
        seconds: list[float] = tally["seconds"]
        return seconds


class Crowd:
    """What one contender did under crowds, all rounds together."""

    def __init__(self, booths: int, resting: float) -> None:
        self.booths = booths
        self._resting = resting
        self._counted = 0
        self._time = 0.0
        self._cpu = 0.0
        self._loop_cpu = 0.0
        self._peak = 0.0
        self.seconds: list[float] = []
        self.lags: list[float] = []
        self.gets: list[float] = []

    def add(self, answer: Message, seconds: float, cpu: float, loop_cpu: float, peak: float) -> None:
        """One more round."""
        begin, end = answer["started"] + RAMP, answer["started"] + seconds
        self._counted += sum(begin <= moment <= end for moment in answer["ends"])
        self._time += end - begin
        self._cpu += cpu
        self._loop_cpu += loop_cpu
        self._peak = max(self._peak, peak)
        self.seconds += answer["seconds"]

    @property
    def rate(self) -> float:
        """Photos per second, the ramp left out."""
        return self._counted / self._time

    @property
    def cpu(self) -> float:
        """Milliseconds of processor time per photo."""
        return self._cpu / max(1, len(self.seconds)) * 1000

    @property
    def loop_cpu(self) -> float:
        """The part of `cpu` that the event loop's thread took."""
        return self._loop_cpu / max(1, len(self.seconds)) * 1000

    @property
    def growth(self) -> float:
        """MB of resident memory above rest per photo in flight, at the worst moment."""
        return max(0.0, self._peak - self._resting) / self.booths


def _shot(photo: PhotoFile) -> dict[str, Any]:
    return {"photo": str(photo.path), "salt_at": photo.salt_at}


def _overhead(seconds: list[float], delay: float) -> float:
    return (percentile(seconds, 50) - delay) * 1000


def _ms(seconds: list[float], percent: float) -> float:
    return percentile(seconds, percent) * 1000


def _progress(text: str) -> None:
    sys.stderr.write(f"· {text}\n")
