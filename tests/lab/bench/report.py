"""The bench's table: ratios first, because they are what a noisy machine leaves standing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LIFE = ("receive", "probe", "prepare", "provider", "decode", "verify", "store", "rows", "reply")
"""Stages in the order in which a photo meets them; others follow."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line. `judged` is the number that `at_most` or `at_least` bounds; without a bound the line only informs."""

    name: str
    unit: str
    service: float
    floor: float
    judged: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        """Service against floor."""
        return self.service / self.floor if self.floor > 0 else None

    @property
    def kept(self) -> bool | None:
        """The bound is kept; None without one."""
        if self.judged is None:
            return None
        return (self.at_most is None or self.judged <= self.at_most) and (
            self.at_least is None or self.judged >= self.at_least
        )


def ratio_figure(
    name: str, unit: str, service: float, floor: float, *, at_most: float | None = None, at_least: float | None = None
) -> Figure:
    """A line whose ratio is bounded, or only told."""
    bounded = floor > 0 and (at_most is not None or at_least is not None)
    return Figure(name, unit, service, floor, service / floor if bounded else None, at_most, at_least)


def value_figure(name: str, unit: str, service: float, floor: float, *, at_most: float) -> Figure:
    """A line whose own value is bounded."""
    return Figure(name, unit, service, floor, service, at_most)


def table(figures: Sequence[Figure], names: tuple[str, str]) -> str:
    """The figures as text."""
    rows = [("ratio", "bound", "", "figure", *names, "")]
    for figure in figures:
        rows.append(
            (
                "-" if figure.ratio is None else f"{figure.ratio:.2f}",
                _bound(figure),
                {True: "ok", False: "MISS", None: ""}[figure.kept],
                figure.name,
                _number(figure.service),
                _number(figure.floor),
                figure.unit,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(7)]
    left = (3, 6)
    return "\n".join(
        "  ".join(
            cell.ljust(widths[column]) if column in left else cell.rjust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    )


def stage_table(means: Mapping[str, Mapping[str, float]]) -> str:
    """Milliseconds per photo by stage of the service's own work; a column for each scenario."""
    stages = list(dict.fromkeys([*_LIFE, *sorted({stage for column in means.values() for stage in column})]))
    rows = [("stage", *means)]
    for stage in stages:
        cells = [f"{column[stage] * 1000:.2f}" if stage in column else "-" for column in means.values()]
        if any(cell != "-" for cell in cells):
            rows.append((stage, *cells))
    if len(rows) == 1:
        return "The service told no stage times (photochanger_stage_seconds)."
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "   ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join(["Own stages, mean ms per photo (wall time, waiting for a thread included)", *lines])


def _bound(figure: Figure) -> str:
    unit = f" {figure.unit}" if figure.judged == figure.service else ""
    if figure.at_most is not None:
        return f"≤ {figure.at_most:g}{unit}"
    return f"≥ {figure.at_least:g}{unit}" if figure.at_least is not None else ""


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
