"""`GET /api/providers`: how the providers are."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
from quart import Blueprint, Response

from photochanger.domain.breaker import BreakerState
from photochanger.domain.latency import Expected
from photochanger.web.access import Access
from photochanger.web.contract import contract, json_body
from supervisors import AdmissionStatistics


class BreakerView(msgspec.Struct):
    """`state` is closed, half_open or open. `since` is null while it was never another, `until` where none is set.

    `forced` means that an operator keeps it so.
    """

    state: str
    reason: str | None
    since: datetime | None
    until: datetime | None
    forced: bool


class PermitsView(msgspec.Struct):
    """Calls that may run at once, and those that do."""

    total: int
    in_use: int


class LatencyView(msgspec.Struct):
    """Seconds of service, without queueing, that half, 90 % and 95 % of the calls are not expected to exceed."""

    p50: float
    p90: float
    p95: float


class ProviderView(msgspec.Struct):
    """One provider now. `waiting` calls wait for a permit; `latency` is by model.

    `missing` is what must be configured before any call can work, null where nothing is.
    """

    name: str
    missing: str | None
    breaker: BreakerView
    live: PermitsView
    late: PermitsView
    waiting: int
    latency: dict[str, LatencyView]
    prices_as_of: date | None


class ProvidersView(msgspec.Struct):
    """All providers."""

    providers: list[ProviderView]


def provider_view(
    name: str,
    breaker: BreakerState,
    permits: AdmissionStatistics,
    latency: Mapping[str, Expected],
    *,
    now: float,
    missing: str | None = None,
    prices_as_of: date | None = None,
) -> ProviderView:
    """The view of a provider's parts. `now` is of the clock by which its breaker goes, in seconds."""
    wall = datetime.now(UTC)

    def at(moment: float | None) -> datetime | None:
        return None if moment is None else (wall + timedelta(seconds=moment - now)).replace(microsecond=0)

    return ProviderView(
        name,
        missing,
        BreakerView(breaker.state, breaker.reason, at(breaker.since), at(breaker.until), breaker.forced),
        PermitsView(permits.live_total, permits.live_in_use),
        PermitsView(permits.late_total, permits.late_in_use),
        permits.depth,
        {model: LatencyView(each.p50, each.p90, each.p95) for model, each in latency.items()},
        prices_as_of,
    )


def blueprint(providers: Callable[[], Sequence[ProviderView]]) -> Blueprint:
    """The route over what `providers` tells of now. It needs no login, so it tells of no money."""
    routes = Blueprint("providers", __name__)

    @routes.get("/api/providers")
    @contract(
        "How the providers are.",
        tag="providers",
        access=Access.PUBLIC,
        database=False,
        responses={200: [json_body(ProvidersView)]},
    )
    async def get_providers() -> Response:
        view = ProvidersView(list(providers()))
        response = Response(msgspec.json.encode(view), mimetype="application/json")
        response.headers["Cache-Control"] = "no-store"
        return response

    return routes
