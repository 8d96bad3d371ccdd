"""What the figures must keep to, and whether they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.lab.bench_stats.ask import Times

FLAT, FLAT_TO_BARE, TO_BARE = "flat", "flat to bare", "to bare"
RATIOS: Final = {FLAT: 1.5, FLAT_TO_BARE: 1.5, TO_BARE: 10.0}
"""At most."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure beside its bound; `where` it was worst. `at_least` = the bound is a floor."""

    name: str
    figure: float
    bound: float
    where: str
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the bound is kept."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    def __str__(self) -> str:
        which = "at least" if self.at_least else "at most"
        told = "holds" if self.holds else "MISSED"
        return f"{self.name}: {told}, {which} {self.bound:g}: {self.figure:.2f} ({self.where})"


def growth(values: Sequence[float]) -> float:
    """How many times a value is larger than the smallest before it, where that is most; 1 where none grows.

    Not against the first alone: one that came out slow would hide what grows behind it.
    """
    grown = [later / min(values[:place]) for place, later in enumerate(values) if place]
    return max(1.0, *grown) if grown else 1.0


def ratios(sizes: Sequence[Times]) -> dict[str, float]:
    """The bounded ratios of one route, whose times are told from the smallest table to the largest."""
    return {
        FLAT: growth([each.p95 for each in sizes]),
        FLAT_TO_BARE: growth([each.to_bare for each in sizes]),
        TO_BARE: max(each.to_bare for each in sizes),
    }
