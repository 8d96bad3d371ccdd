"""From counters to figures. Pure: rows of cells in, views out."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from photochanger.domain.histogram import percentiles, summed
from photochanger.domain.reasons import Reason
from photochanger.stats.views import Counts, Kpis, Named, ProviderStats

CLIENT_GONE: Final = "client_gone"
"""The booth left before its photo was whole: no reason of ours."""

MISTAKES: Final = frozenset(
    {
        *(Reason.INVALID_REQUEST, Reason.INVALID_CREDENTIALS, Reason.SIGNATURE_EXPIRED, Reason.REPLAYED_NONCE),
        *(Reason.SLOT_NOT_FOUND, Reason.SLOT_DISABLED, Reason.UPLOAD_TIMEOUT, Reason.IDEMPOTENCY_CONFLICT),
        *(Reason.PAYLOAD_TOO_LARGE, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.UNDECODABLE_IMAGE),
        CLIENT_GONE,
    }
)
"""Refusals of requests that could not have worked, or whose end never came. All others are the house's."""


def counts_of(cells: Sequence[Mapping[str, int]], refusals: Mapping[str, int]) -> Counts:
    """Cells of `stats_slot`, and refusals by reason, as one."""
    sums = zip(_SHOWN.values(), map(sum, zip(*map(_shown, cells), strict=True)), strict=True) if cells else _NOTHING
    mistaken = sum(count for reason, count in refusals.items() if reason in MISTAKES)
    turned_away = sum(refusals.values()) - mistaken
    return Counts(**dict(sums), turned_away=turned_away, mistaken=mistaken)


def kpis_of(counts: Counts, answers: Sequence[Sequence[int]], overheads: Sequence[Sequence[int]]) -> Kpis:
    """The promises, from the counts and the histograms of the same cells."""
    asked = counts.photos + counts.turned_away
    return Kpis(
        percent(counts.answered, asked),
        percent(counts.timeouts, asked),
        *percentiles(summed(answers), 0.5, 0.95),
        *percentiles(summed(overheads), 0.5, 0.95),
    )


def provider_of(
    provider: str,
    model: str,
    cells: Sequence[Mapping[str, Any]],
    tests_microusd: int,
    finish_reasons: Mapping[str, int],
    errors: Mapping[str, int],
) -> ProviderStats:
    """The cells of one model as one."""
    sums = {name: sum(cell[name] for cell in cells) for name in _CALLS}
    p50, p95 = percentiles(summed([cell["latency_ms"] for cell in cells]), 0.5, 0.95)
    return ProviderStats(
        provider=provider,
        model=model,
        **sums,
        no_image_percent=percent(sums["no_image"], sums["no_image"] + sums["pictures"]),
        latency_p50_ms=p50,
        latency_p95_ms=p95,
        tests_microusd=tests_microusd,
        finish_reasons=named(finish_reasons),
        errors=named(errors),
    )


def named(counts: Mapping[str, int]) -> list[Named]:
    """The most frequent first."""
    return [Named(name, count) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def percent(part: int, whole: int) -> float | None:
    """A share with two decimals; None of nothing. Never more than all: minutes are seen before they are over."""
    return round(min(100 * part / whole, 100.0), 2) if whole else None


_SHOWN: Final = {
    "jobs": "photos",
    "replied_ok": "answered",
    "replied_timeout": "timeouts",
    "replied_other": "errors",
    "kind_none": "nobody_waited",
    "kind_ai": "ai",
    "kind_fallback": "fallback",
    "kind_local": "local",
    "kind_original": "original",
    "late": "late",
    "retries": "retries",
    "joined": "joined",
}
_shown: Final = itemgetter(*_SHOWN)
_NOTHING: Final = [(shown, 0) for shown in _SHOWN.values()]
_CALLS: Final = (
    *("calls", "pictures", "no_image", "refused", "rejected", "quota", "overloaded", "transport"),
    *("timeouts", "cancelled", "other", "retries", "hedged", "possibly_billed", "cost_microusd"),
)
