"""The house's settings: the environment's, where no administrator has said otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Final

from photochanger.config import Config


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """What applies now. Seconds, hours and microusd as the names say; `budget_day_microusd` None = no cap.

    `t_sync` and `t_late` are for slots that have none of their own. `original_ttl_hours` is how long a guest's own
    photo is kept for re-runs, 0 = not at all; `cleanup` lets the caretaker remove by itself what has expired.
    """

    t_sync: float
    t_late: float
    result_ttl_hours: float
    original_ttl_hours: float
    cleanup: bool
    rate_per_second: float
    rate_burst: int
    queue_max_in_flight_jobs: int
    provider_permits_live: int
    provider_permits_late: int
    early_hedges: float
    budget_day_microusd: int | None

    @property
    def original_ttl(self) -> timedelta:
        """How long an original is kept: never longer than the result, whatever the environment says beside the row."""
        return timedelta(hours=min(self.original_ttl_hours, self.result_ttl_hours))

    @classmethod
    def of(cls, config: Config) -> "HouseSettings":
        """As the environment has them."""
        cap = config.budget_day_usd
        same = {name: getattr(config, name) for name in FIELDS if name != "budget_day_microusd"}
        return cls(**same, budget_day_microusd=None if cap is None else round(cap * 1_000_000))

    def overridden(self, values: Mapping[str, Any]) -> "HouseSettings":
        """With these fields instead of its own. `values` may come from anywhere; see `usable`."""
        return replace(self, **usable(values))


@dataclass(frozen=True, slots=True)
class Field:
    """What a setting may be. `least` is what a row may hold though the API takes nothing below `low`: tests do not
    wait for ten seconds.
    """

    kind: type[float] | type[int] | type[bool]
    environment: str
    about: str
    low: float = 0
    high: float = 1
    least: float | None = None
    nullable: bool = False

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value that somebody gives; None when nothing is."""
        if value is None:
            return None if self.nullable else "must not be null"
        if self.kind is bool:
            return None if isinstance(value, bool) else "must be true or false"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a whole number" if self.kind is int else "must be a number"
        if not self.low <= value <= self.high:  # NaN is not within them either
            return f"must be from {self.low:g} to {self.high:g}"
        if self.kind is int and value != int(value):
            return "must be a whole number"
        return None

    def plain(self, value: Any) -> Any:
        """A value without problems, as it is stored."""
        if value is None or self.kind is bool:
            return value
        whole = float(value).is_integer()
        return int(value) if whole else float(value)


FIELDS: Final[Mapping[str, Field]] = {
    "t_sync": Field(
        float,
        "T_SYNC_RESPONSE",
        "Seconds in which a booth is answered, of slots without a time of their own.",
        10,
        60,
        0.1,
    ),
    "t_late": Field(
        float, "T_LATE", "Seconds for which work may go on after that, of slots without a time of their own.", 0, 600
    ),
    "result_ttl_hours": Field(float, "RESULT_TTL_HOURS", "Hours for which new results are kept.", 24, 168, 0.0001),
    "original_ttl_hours": Field(
        float, "ORIGINAL_TTL_HOURS", "Hours for which guests' own photos are kept for re-runs; 0 = not at all.", 0, 168
    ),
    "cleanup": Field(bool, "CLEANUP", "What has expired is removed without being asked for."),
    "rate_per_second": Field(
        float, "RATE_LIMIT_PER_SECOND", "Photos per second that the whole house takes in.", 0.01, 10_000
    ),
    "rate_burst": Field(int, "RATE_LIMIT_BURST", "Photos that may come at once.", 1, 10_000),
    "queue_max_in_flight_jobs": Field(int, "QUEUE_MAX_IN_FLIGHT_JOBS", "Photos in the house at once.", 1, 10_000),
    "provider_permits_live": Field(
        int, "PROVIDER_PERMITS_LIVE", "Calls to one provider at once, for photos that a booth waits for.", 1, 1000
    ),
    "provider_permits_late": Field(int, "PROVIDER_PERMITS_LATE", "The same for late photos.", 0, 1000),
    "early_hedges": Field(
        float, "EARLY_HEDGE_SHARE", "Share of photos for which a second provider may be asked early.", 0, 1
    ),
    "budget_day_microusd": Field(
        int,
        "BUDGET_DAY_USD",
        "Most money per day (UTC), in microusd; null = no cap.",
        0,
        10**12,
        nullable=True,
    ),
}
"""All of `HouseSettings`, with what the API takes."""

assert [field.name for field in fields(HouseSettings)] == list(FIELDS)


def usable(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row can be used: a field that was spoilt by hand counts as not said, and stops nobody."""
    found = {}
    for name, field in FIELDS.items():
        if name in values:
            bounds = field if field.least is None else replace(field, low=field.least)
            if bounds.problem(values[name]) is None:
                found[name] = field.plain(values[name])
    return found


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Fields that do not go together."""

    fields: tuple[str, ...]
    message: str


def contradiction(settings: HouseSettings) -> Contradiction | None:
    """What does not go together; None when everything does."""
    if settings.original_ttl_hours > settings.result_ttl_hours:
        said = "a guest's own photo must not be kept for longer than the result: original_ttl_hours > result_ttl_hours"
        return Contradiction(("original_ttl_hours", "result_ttl_hours"), said)
    return None
