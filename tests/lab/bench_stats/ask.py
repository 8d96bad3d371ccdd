"""Asking: every route in turn, so that what disturbs the machine disturbs all of them."""

import http.client
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from tests.lab.bench.measure import percentile

BARE: Final = "bare"
_WARM_UP: Final = 20


def routes(today: date) -> Mapping[str, str]:
    """Name and address; the usual question of each route, and its longest."""
    longest, month = today - timedelta(days=89), today - timedelta(days=30)
    return {
        BARE: "/bare",
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


def measure(port: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds per route over one connection: p50 and p95. Synchronous, for a thread."""
    asked = routes(datetime.now(UTC).date())
    times: dict[str, list[float]] = {name: [] for name in asked}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        for number in range(_WARM_UP + rounds):
            for name, path in asked.items():
                started = time.perf_counter()
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read()
                taken = (time.perf_counter() - started) * 1000
                assert response.status == 200, f"{path}: {response.status} {body[:200]!r}"
                if number >= _WARM_UP:
                    times[name].append(taken)
    finally:
        connection.close()
    return {name: (percentile(values, 50), percentile(values, 95)) for name, values in times.items()}
