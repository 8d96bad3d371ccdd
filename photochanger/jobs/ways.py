"""The slot's plans with what carries them out, looked at once per photo, and what can be told from them beforehand."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

import trio

from photochanger.domain.job import ReplyKind
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Plan, Slot
from photochanger.errors import ConfigError
from photochanger.jobs.ledger import Ledger
from photochanger.providers.group import ProviderGroup

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Way:
    """A plan with what carries it out; `impossible` is why it can never work."""

    plan: Plan
    group: ProviderGroup | None = None
    settings: Any = None
    impossible: Reason | None = None


def ways_of(slot: Slot, groups: Mapping[str, ProviderGroup], *, has_public_address: bool) -> list[Way]:
    """The slot's plans, looked at once per photo. What is set up wrongly is logged once and never tried."""
    return [_way(slot, plan, groups, has_public_address) for plan in slot.plans]


def _way(slot: Slot, plan: Plan, groups: Mapping[str, ProviderGroup], has_public_address: bool) -> Way:
    group = groups.get(plan.provider)
    if group is None:
        _tell(slot.id, slot.version, f"names a provider that is not there: {plan.provider[:40]!r}")
        return Way(plan, impossible=Reason.PROVIDER_UNAVAILABLE)
    try:
        settings = group.driver.parse_settings(plan.settings)
        group.driver.check(plan.operation, settings, [template.role for template in slot.templates])
        if group.driver.missing is not None:
            raise ConfigError(group.driver.missing)
        if group.driver.needs_public_address and not has_public_address:
            raise ConfigError("PUBLIC_BASE_URL is not set, and this provider fetches photos")
    except ConfigError as error:
        _tell(slot.id, slot.version, f"cannot use {plan.provider} as it is set up: {error}")
        return Way(plan, group, impossible=Reason.PROVIDER_ERROR)
    return Way(plan, group, settings)


@lru_cache(maxsize=1024)
def _tell(slot_id: str, version: int, what: str) -> None:
    # Once is enough: it is so for every photo until somebody changes the slot or the configuration.
    log.error("slot %s %s", slot_id, what)


def reply_kind_of(slot: Slot, way_number: int) -> ReplyKind:
    """What a picture by one of the slot's plans is called: a look made on this machine is no AI's."""
    if slot.plans[way_number].provider == "local":
        return ReplyKind.LOCAL
    return ReplyKind.FALLBACK if way_number else ReplyKind.AI


def usual_service(ways: Sequence[Way]) -> float:
    """Seconds that nine of ten calls of the first plan take, as far as is known; 0 where it can never work."""
    return next((group.expected(settings).p90 for group, settings in _working(ways[:1])), 0.0)


def quickest_measured(ways: Sequence[Way]) -> float | None:
    """The least of the plans' usual times (p50, seconds) that were measured; None where none was."""
    measured = ((group, settings) for group, settings in _working(ways) if group.measured(settings))
    return min((group.expected(settings).p50 for group, settings in measured), default=None)


def until_admitted(ways: Sequence[Way]) -> int | None:
    """Whole seconds until the first breaker lets a call by again; None where that is not known."""
    now = trio.current_time()
    states = [group.breaker.state(now) for group, _ in _working(ways)]
    moments = [state.until for state in states if state.until is not None]
    return max(1, ceil(min(moments) - now)) if moments else None


def is_affordable(ways: Sequence[Way], slot: Slot, ledger: Ledger) -> bool:
    """Today's caps leave a plan of those that can work; also where none can, which is another matter."""
    costs = [group.driver.estimate_microusd(settings) for group, settings in _working(ways)]
    return not costs or any(ledger.affordable(slot, cost) for cost in costs)


def _working(ways: Sequence[Way]) -> Iterator[tuple[ProviderGroup, Any]]:
    """The groups and settings of those that can work."""
    return ((way.group, way.settings) for way in ways if way.group is not None and way.impossible is None)
