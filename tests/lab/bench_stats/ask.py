"""Asking: every route in turn, each just after the bare one, so that what disturbs the machine disturbs both."""

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from tests.lab.bench.measure import percentile

BARE: Final = "bare"
_BARE_PATH: Final = "/bare"
_WARM_UP: Final = 50
"""Rounds that are not measured: the process and PostgreSQL were started for this size, and have read nothing yet."""


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds; `bare_p95` is the bare route's, of the requests just before these."""

    p50: float
    p95: float
    bare_p95: float

    @property
    def to_bare(self) -> float:
        """How many times the bare route's p95."""
        return self.p95 / self.bare_p95


def routes(today: date) -> Mapping[str, str]:
    """Name and address; the usual question of each route, and its longest."""
    longest, month = today - timedelta(days=89), today - timedelta(days=30)
    return {
        "slots": "/api/stats/slots",
        "system": "/api/stats/system",
        "global": "/api/stats/global",
        "global, 90 days": f"/api/stats/global?from={longest}&to={today}&group=day",
        "slot": "/api/stats/slot-007",
        "slot, 31 days": f"/api/stats/slot-007?from={month}&to={today}",
        "recent results": "/api/stats/slot-007/recent_results",
        "providers": "/api/stats/providers",
        "providers, 90 days": f"/api/stats/providers?from={longest}&to={today}",
        "global, 90 days, CSV": f"/api/stats/global?from={longest}&to={today}&group=day&format=csv",
    }


def measure(port: int, rounds: int) -> dict[str, Times]:
    """The times per route over one connection, the bare one's first. Synchronous, for a thread."""
    asked = routes(datetime.now(UTC).date())
    times: dict[str, list[float]] = {name: [] for name in asked}
    bare: dict[str, list[float]] = {name: [] for name in asked}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        for number in range(_WARM_UP + rounds):
            for name, path in asked.items():
                pair = _ask(connection, _BARE_PATH), _ask(connection, path)
                if number >= _WARM_UP:
                    bare[name].append(pair[0])
                    times[name].append(pair[1])
    finally:
        connection.close()
    beside = [taken for values in bare.values() for taken in values]
    found = {BARE: Times(percentile(beside, 50), percentile(beside, 95), percentile(beside, 95))}
    for name, values in times.items():
        found[name] = Times(percentile(values, 50), percentile(values, 95), percentile(bare[name], 95))
    return found


def _ask(connection: http.client.HTTPConnection, path: str) -> float:
    started = time.perf_counter()
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    taken = (time.perf_counter() - started) * 1000
    assert response.status == 200, f"{path}: {response.status} {body[:200]!r}"
    return taken
