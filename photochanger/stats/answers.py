"""The answers of the statistics routes: which cells are read for each, and how they are put together."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import trio

from photochanger.domain.budget import Level
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import DatabaseUnavailable, Refusal
from photochanger.observability.metrics import UNKNOWN_SLOT
from photochanger.stats.counting import HOUSE
from photochanger.stats.figures import counts_of, kpis_of, named, percent, provider_of
from photochanger.stats.periods import Group, Period, parts
from photochanger.stats.queries import Range, Reader, State
from photochanger.stats.views import (
    Availability,
    Budget,
    Counts,
    GlobalStats,
    Kpis,
    LaneNow,
    LastDay,
    LastError,
    LastJob,
    Money,
    PeriodView,
    ProvidersStats,
    RangeStamp,
    RecentResult,
    RecentResults,
    SlotNow,
    SlotsNow,
    SlotStats,
    Stamp,
    SystemStats,
    Targets,
    TotalView,
)
from photochanger.web.providers import ProviderView

T = TypeVar("T")

_AT_ONCE: Final = 15
"""Periods that are put together in one go, in about a millisecond: ninety would keep photos waiting."""


@dataclass(frozen=True, slots=True)
class Now:
    """The house as it is at this moment, in memory: no question to it waits for anything."""

    slots: Callable[[], Sequence[Slot]]
    lanes: Callable[[], Mapping[str, tuple[int, int]]]
    """Per slot: photos at work, photos waiting."""
    in_flight: Callable[[], int]
    late: Callable[[], int]
    draining: Callable[[], bool]
    database_available: Callable[[], bool]
    journal: Callable[[], int]
    level: Callable[[Slot | None], Level]
    providers: Callable[[], Sequence[ProviderView]]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class Answers:
    """Every answer raises DatabaseUnavailable, that about the house's present state excepted."""

    def __init__(self, reader: Reader, now: Now) -> None:
        self._reader = reader
        self._now = now

    def today(self) -> datetime:
        """The beginning of the present day of UTC."""
        return self._now.clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    async def whole(self, period: Period, group: Group) -> GlobalStats:
        """The house over days or weeks."""
        data, total, stamp = await self._over(HOUSE, period, group)
        return GlobalStats(data, total, Targets(), stamp)

    async def slot(self, slot_id: str, period: Period) -> SlotStats:
        """One slot over days. Raises Refusal (slot_not_found)."""
        name = await self._existing(slot_id)
        data, total, stamp = await self._over(slot_id, period, "day")
        return SlotStats(slot_id, name, data, total, Targets(), stamp)

    async def slots(self) -> SlotsNow:
        """All slots now and today."""
        slots, today = self._now.slots(), self.today()
        state = await self._reader.state()  # before the cells: they may be fresher than is told, never older
        ids = [slot.id for slot in slots]
        tomorrow = today + timedelta(days=1)
        cells = {cell["slot_id"]: cell for cell in await self._reader.cells(ids, "day", today, tomorrow)}
        tallies = await self._reader.tallies([*ids, UNKNOWN_SLOT], "day", today, tomorrow)
        jobs, errors = await self._reader.last_jobs(ids), await self._reader.last_errors(ids)
        lanes = self._now.lanes()
        data = []
        for slot in slots:
            cell = [cells[slot.id]] if slot.id in cells else []
            refusals = tallies[slot.id].refusals.get(today, {})
            counts = counts_of(cell, refusals)
            at_work, waiting = lanes.get(slot.id, (0, 0))
            job = jobs.get(slot.id)
            data.append(
                SlotNow(
                    slot.id,
                    slot.name,
                    slot.provider,
                    slot.is_active,
                    at_work,
                    waiting,
                    counts,
                    _kpis(counts, cell),
                    named(refusals),
                    _budget(self._now.level(slot)),
                    LastJob(**job) if job else None,
                    [LastError(**error) for error in errors.get(slot.id, ())],
                )
            )
        return SlotsNow(data, named(tallies[UNKNOWN_SLOT].refusals.get(today, {})), self._stamp(state))

    async def system(self) -> SystemStats:
        """The house now; its last day as far as the database can be asked."""
        last_day, state = None, State(None, None)
        with suppress(DatabaseUnavailable):  # that it is away is part of the answer
            state, last_day = await self._last_day()
        now = self._now
        lanes = [LaneNow(slot_id, *room) for slot_id, room in sorted(now.lanes().items())]
        return SystemStats(
            in_flight=now.in_flight(),
            late=now.late(),
            waiting=sum(lane.waiting for lane in lanes),
            draining=now.draining(),
            database_available=now.database_available(),
            journal=now.journal(),
            budget=_budget(now.level(None)),
            data=lanes,
            providers=list(now.providers()),
            last_day=last_day,
            targets=Targets(),
            meta=self._stamp(state),
        )

    async def providers(self, period: Period) -> ProvidersStats:
        """All models that were called."""
        state = await self._reader.state()
        cells: dict[tuple[str, str], list[Any]] = {}
        for row in await self._reader.providers(period.start, period.end):
            cells.setdefault((row["provider"], row["model"]), []).append(row)
        tests = await self._reader.tests(period.start, period.end)
        words = await self._reader.words(period.start, period.end)
        data = [
            provider_of(
                *which,
                cells.get(which, []),
                tests.get(which, 0),
                words.get((*which, "finish_reason"), {}),
                words.get((*which, "provider_error"), {}),
            )
            for which in sorted(cells.keys() | tests.keys())
        ]
        return ProvidersStats(data, self._range_stamp(state, period, "day"))

    async def recent(self, slot_id: str) -> RecentResults:
        """A slot's newest pictures. Raises Refusal (slot_not_found)."""
        await self._existing(slot_id)
        now = self._now.clock()
        rows = await self._reader.recent(slot_id, now)
        return RecentResults(slot_id, [RecentResult(**row) for row in rows], Stamp(now, now))

    async def _existing(self, slot_id: str) -> str:
        name = await self._reader.name(slot_id) if "\0" not in slot_id else None
        if name is None:
            raise Refusal(Reason.SLOT_NOT_FOUND)
        return name

    async def _over(self, slot: str, whole: Period, group: Group) -> tuple[list[PeriodView], TotalView, RangeStamp]:
        found = await self._reader.range(slot, "day", whole.start, whole.end, uptime=slot == HOUSE)
        days = _Days(found, slot == HOUSE, self._minute())
        data = []
        for number, period in enumerate(parts(whole, group), 1):
            data.append(PeriodView(period.first, period.last, *days.figures(period)))
            if not number % _AT_ONCE:
                await trio.lowlevel.checkpoint()
        total = TotalView(*days.figures(whole), named(found.tally.failures), named(days.refused(whole)))
        return data, total, self._range_stamp(found.state, whole, group)

    def _minute(self) -> datetime:
        return self._now.clock().astimezone(UTC).replace(second=0, microsecond=0)

    async def _last_day(self) -> tuple[State, LastDay]:
        this_minute = self._minute()
        this_hour = this_minute.replace(minute=0)
        start, end = this_hour - timedelta(hours=24), this_hour + timedelta(hours=1)
        found = await self._reader.range(HOUSE, "hour", start, end, uptime=True)
        cells, tally = list(found.cells.values()), found.tally
        refusals = _together(tally.refusals.values())
        counts = counts_of(cells, refusals)
        since = max(start, found.state.first_seen or this_minute)
        period = Period(start.date(), end.date())
        return found.state, LastDay(
            counts,
            _kpis(counts, cells),
            _money(found.money.values()),
            _availability(period, found.uptime.values(), since, this_minute),
            named(tally.failures),
            named(refusals),
        )

    def _stamp(self, state: State) -> Stamp:
        return Stamp(self._now.clock(), state.fresh_to)

    def _range_stamp(self, state: State, period: Period, group: Group) -> RangeStamp:
        return RangeStamp(self._now.clock(), state.fresh_to, period.first, period.last, group)


@dataclass(frozen=True, slots=True)
class _Days:
    """What was read of a range, by day."""

    found: Range
    with_uptime: bool
    now: datetime

    def figures(self, period: Period) -> tuple[Counts, Kpis, Money, Availability | None]:
        """A part of the range."""
        days = list(period.days())
        cells = _those(self.found.cells, days)
        counts = counts_of(cells, _together(_those(self.found.tally.refusals, days)))
        kpis, money = _kpis(counts, cells), _money(_those(self.found.money, days))
        if not self.with_uptime:
            return counts, kpis, money, None
        seen, since = _those(self.found.uptime, days), self.found.state.first_seen or self.now
        return counts, kpis, money, _availability(period, seen, since, self.now)

    def refused(self, period: Period) -> dict[str, int]:
        """The refusals of a part of the range, by reason."""
        return _together(_those(self.found.tally.refusals, period.days()))


def _those(found: Mapping[datetime, T], days: Iterable[datetime]) -> list[T]:
    return [found[day] for day in days if day in found]


def _kpis(counts: Counts, cells: Sequence[Any]) -> Kpis:
    return kpis_of(counts, [cell["answer_ms"] for cell in cells], [cell["overhead_ms"] for cell in cells])


def _together(refusals: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for reasons in refusals:
        for reason, count in reasons.items():
            found[reason] = found.get(reason, 0) + count
    return found


def _availability(period: Period, seen: Collection[tuple[int, int]], since: datetime, until: datetime) -> Availability:
    return Availability(
        percent(sum(each for each, _ in seen), period.minutes(since, until)),
        percent(sum(each for _, each in seen), period.working_minutes(since, until)),
    )


def _money(amounts: Collection[tuple[int, int]]) -> Money:
    return Money(sum(live for live, _ in amounts), sum(tests for _, tests in amounts))


def _budget(level: Level) -> Budget:
    return Budget(level.spent, level.reserved, level.cap)
