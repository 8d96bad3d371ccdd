"""Breakers and budgets as metrics: read from the live values whenever Prometheus asks."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from photochanger.domain.breaker import Position
from photochanger.domain.budget import Level

HOUSE_SCOPE: Final = "house"
"""Stands for the whole house where there are slots' ids beside it."""

_POSITIONS: Final[Mapping[Position, float]] = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


class StateCollector(Collector):
    """`breakers` are by provider, `budgets` today's money by slot id, HOUSE_SCOPE for the whole house."""

    def __init__(
        self, breakers: Callable[[], Mapping[str, Position]], budgets: Callable[[], Mapping[str, Level]]
    ) -> None:
        self._breakers = breakers
        self._budgets = budgets

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One sample per provider, per cap, and per slot."""
        breaker = GaugeMetricFamily(
            "photochanger_breaker_state", "0 closed, 1 half-open, 2 open: no photo is sent.", labels=["provider"]
        )
        for provider, position in self._breakers().items():
            breaker.add_metric([provider], _POSITIONS[position])
        share = GaugeMetricFamily(
            "photochanger_budget_share",
            "Of today's cap, what is spent and held back for calls that run: 1 = all. Only where there is a cap.",
            labels=["scope"],
        )
        spent = GaugeMetricFamily(
            "photochanger_spent_microusd",
            "Spent today (UTC), in millionths of a US dollar, with or without a cap.",
            labels=["scope"],
        )
        for scope, level in self._budgets().items():
            spent.add_metric([scope], level.spent)
            if level.share is not None:
                share.add_metric([scope], level.share)
        yield from (breaker, share, spent)
