"""`/api/stats/…`: the house, its slots and its providers in figures, as JSON or as CSV."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request

from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.stats.answers import Answers
from photochanger.stats.periods import Group, Period, day_range, weeks_before
from photochanger.stats.table import PLAIN, RUSSIAN, Format, csv_answer, wants_csv
from photochanger.stats.views import (
    GlobalStats,
    PeriodView,
    ProvidersStats,
    ProviderStats,
    RecentResult,
    RecentResults,
    SlotNow,
    SlotsNow,
    SlotStats,
    SystemStats,
)
from photochanger.web.contract import Body, Route, contract, json_body
from photochanger.web.inputs import read_query
from photochanger.web.outputs import answer
from photochanger.web.problems import asked_language

MOST_DAYS: Final = 90
MOST_SLOT_DAYS: Final = 31
USUAL_WEEKS: Final = 8
USUAL_DAYS: Final = 14

CSV: Final = Body("text/csv", {"type": "string"})
DOWNLOAD: Final = {
    "Content-Disposition": "Of CSV: the name of the file.",
    "Vary": "Accept; of CSV Accept-Language, too: in Russian it has semicolons, and commas in numbers.",
}

_Format = Annotated[Format, Meta(description="What comes; without it what Accept prefers, JSON in doubt.")]


class StatsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What a question without a range may say."""

    format: _Format | None = None


class StatsRangeQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Days of UTC, both included."""

    first: Annotated[date, Meta(description="The first day (UTC).")] | None = msgspec.field(default=None, name="from")
    last: Annotated[date, Meta(description="The last day (UTC).")] | None = msgspec.field(default=None, name="to")
    format: _Format | None = None


class GlobalStatsQuery(StatsRangeQuery, forbid_unknown_fields=True):
    """Days of UTC, both included, one by one or in weeks from Monday on."""

    group: Group = "week"


def blueprint(answers: Answers) -> Blueprint:
    """The statistics routes."""
    routes = Blueprint("stats", __name__)

    def described(
        summary: str, view: type[msgspec.Struct], query: type[msgspec.Struct], *problems: Reason
    ) -> Callable[[Route], Route]:
        return contract(
            summary,
            tag="statistics",
            access=Permission.STATS_READ,
            responses={200: [json_body(view), CSV]},
            query=query,
            headers={200: DOWNLOAD},
            problems=problems,
        )

    away = Reason.DATABASE_UNAVAILABLE
    of_slot = (Reason.SLOT_NOT_FOUND, away)

    @routes.get("/api/stats/slots")
    @described("All slots, now and today.", SlotsNow, StatsQuery, away)
    async def get_slots() -> Response:
        query = read_query(request, StatsQuery)
        view = await answers.slots()
        return await _told(view, view.data, SlotNow, query.format, "slots")

    @routes.get("/api/stats/system")
    @described("The house now, and its last 24 hours.", SystemStats, StatsQuery)
    async def get_system() -> Response:
        query = read_query(request, StatsQuery)
        view = await answers.system()
        return await _told(view, [view], SystemStats, query.format, "system")

    @routes.get("/api/stats/global")
    @described("The house over at most 90 days, by default 8 weeks.", GlobalStats, GlobalStatsQuery, away)
    async def get_global() -> Response:
        query = read_query(request, GlobalStatsQuery)
        today = answers.today().date()
        usual = (today - weeks_before(today, USUAL_WEEKS)).days + 1
        period = day_range(query.first, query.last, most=MOST_DAYS, usual=usual, today=today)
        name = f"global-{period.first}-{period.last}"
        view = await answers.whole(period, query.group)
        return await _told(view, view.data, PeriodView, query.format, name)

    @routes.get("/api/stats/providers")
    @described("Every model of every provider over at most 90 days.", ProvidersStats, StatsRangeQuery, away)
    async def get_providers() -> Response:
        query = read_query(request, StatsRangeQuery)
        period = _days(query, answers.today().date(), MOST_DAYS)
        name = f"providers-{period.first}-{period.last}"
        view = await answers.providers(period)
        return await _told(view, view.data, ProviderStats, query.format, name)

    @routes.get("/api/stats/<slot_id>")
    @described("A slot over at most 31 days, by default 14.", SlotStats, StatsRangeQuery, *of_slot)
    async def get_slot(slot_id: str) -> Response:
        query = read_query(request, StatsRangeQuery)
        period = _days(query, answers.today().date(), MOST_SLOT_DAYS)
        name = f"{slot_id}-{period.first}-{period.last}"
        view = await answers.slot(slot_id, period)
        return await _told(view, view.data, PeriodView, query.format, name)

    @routes.get("/api/stats/<slot_id>/recent_results")
    @described("A slot's last 10 pictures, of the last 72 hours.", RecentResults, StatsQuery, *of_slot)
    async def get_recent_results(slot_id: str) -> Response:
        query = read_query(request, StatsQuery)
        view = await answers.recent(slot_id)
        return await _told(view, view.data, RecentResult, query.format, f"{slot_id}-recent-results")

    return routes


def _days(query: StatsRangeQuery, today: date, most: int) -> Period:
    return day_range(query.first, query.last, most=most, usual=USUAL_DAYS, today=today)


async def _told(
    view: Any, rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct], given: Format | None, name: str
) -> Response:
    """The whole view as JSON, or rows of it as a table."""
    if wants_csv(request, given):
        return await csv_answer(rows, kind, name, RUSSIAN if asked_language() == "ru" else PLAIN)
    return answer(view, headers={"Vary": "Accept"})
