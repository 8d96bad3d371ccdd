"""Breakers and budgets as metrics: read from the live values whenever Prometheus asks."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from photochanger.domain.breaker import Position

_POSITIONS: Final[Mapping[Position, float]] = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


class StateCollector(Collector):
    """`breakers` are by provider, `budgets` the shares of today's caps by slot id, `house` for the whole house."""

    def __init__(
        self, breakers: Callable[[], Mapping[str, Position]], budgets: Callable[[], Mapping[str, float]]
    ) -> None:
        self._breakers = breakers
        self._budgets = budgets

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One sample per provider, and one per cap."""
        breaker = GaugeMetricFamily(
            "photochanger_breaker_state", "0 closed, 1 half-open, 2 open: no photo is sent.", labels=["provider"]
        )
        for provider, position in self._breakers().items():
            breaker.add_metric([provider], _POSITIONS[position])
        budget = GaugeMetricFamily(
            "photochanger_budget_share",
            "Of today's cap, what is spent and held back for calls that run: 1 = all. Only where there is a cap.",
            labels=["scope"],
        )
        for scope, share in self._budgets().items():
            budget.add_metric([scope], share)
        yield from (breaker, budget)
