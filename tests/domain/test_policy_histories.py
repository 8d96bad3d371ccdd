"""The policy over thousands of generated histories: it ends, keeps the rules, and misses no chance."""

from collections import Counter
from itertools import product

from hypothesis import given, settings

from photochanger.domain.situation import GiveUp, Settle
from tests.domain.histories import History, histories
from tests.domain.photo_life import Life

EXAMPLES = 2_500
VARIANTS = [(hedge, early) for hedge, early in product((True, False), repeat=2)]
"""Each history is lived through with and without second calls, under the ceiling and over it."""
MET = {
    *("Start", "Wait", "LastResort", "Settle", "GiveUp"),
    *("start", "retry", "early", "rescue", "instead"),
    *("provider_no_image", "provider_refused", "provider_error", "provider_quota", "provider_unavailable"),
    *("provider_timeout", "budget_exhausted", "storage_unavailable", "internal_error"),
    *("answered", "given up in time", "nobody left"),
}
"""What at least one history must have come to."""


def test_the_rules_hold_and_no_chance_is_missed() -> None:
    met: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(histories)
    def holds(history: History) -> None:
        for hedge, early in VARIANTS:
            life = Life(history, hedge=hedge, early=early)
            end = life.run()
            if isinstance(end, Settle):
                life.seen["answered" if life.waiting() else "late"] += 1
            elif isinstance(end, GiveUp):
                life.seen["given up in time" if life.waiting() else "nobody left"] += 1
            met.update(life.seen)
            met["histories"] += 1

    holds()
    assert met["histories"] >= 5_000
    assert set(met) >= MET, MET - set(met)
