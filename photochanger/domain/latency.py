"""How long a provider's calls take, as a value: before any was measured, and from the recent ones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds of service, without queueing, that half, 90 % and 95 % of the calls do not exceed."""

    p50: float
    p90: float
    p95: float
