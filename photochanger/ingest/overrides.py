"""A slot as it would be, to try it: some of its fields replaced for one photo, nothing stored."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from photochanger.domain.slot import LastResort, OnTimeout, Output, Plan, Slot
from photochanger.errors import Problem
from photochanger.web.inputs import invalid

Check = Callable[[Slot], list[Problem]]
"""All that is wrong with a slot."""

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$")]
Seconds = Annotated[int, Meta(ge=0, le=600)]
Pixels = Annotated[int, Meta(ge=1, le=100_000)]
Quality = Annotated[int, Meta(ge=1, le=100)]


class TriedPlan(msgspec.Struct, forbid_unknown_fields=True):
    """One way to a picture, as in a slot's `fallbacks`."""

    provider: Name
    operation: Name
    settings: dict[str, Any] = {}


class SlotOverrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one try does differently from its slot. Limits, money and secrets are always the slot's own."""

    provider: Name | UnsetType = UNSET
    operation: Name | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    fallbacks: Annotated[list[TriedPlan], Meta(max_length=10)] | UnsetType = UNSET
    hedge: bool | UnsetType = UNSET
    keep_spares: bool | UnsetType = UNSET
    on_timeout: OnTimeout | UnsetType = UNSET
    t_sync: Seconds | UnsetType = UNSET
    t_late: Seconds | UnsetType = UNSET
    last_resort: LastResort | UnsetType = UNSET
    last_resort_settings: dict[str, Any] | UnsetType = UNSET
    longest_side: Pixels | UnsetType | None = UNSET
    send_quality: Quality | UnsetType = UNSET
    output: Output | UnsetType = UNSET
    output_width: Pixels | UnsetType | None = UNSET
    output_height: Pixels | UnsetType | None = UNSET
    allow_png: bool | UnsetType = UNSET
    jpeg_quality: Quality | UnsetType = UNSET


def overridden(slot: Slot, overrides: SlotOverrides, check: Check, where: str) -> tuple[Slot, list[Problem]]:
    """The slot with the overrides, and what is wrong with it all the same, since before them.

    Raises Refusal, `validation_failed`, for what the overrides make wrong; fields are told below `where`.
    """
    given = {name: getattr(overrides, name) for name in overrides.__struct_fields__}
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not UNSET}
    if "fallbacks" in changed:
        plans = changed["fallbacks"]
        changed["fallbacks"] = tuple(Plan(plan.provider, plan.operation, plan.settings) for plan in plans)
    changed |= {name: float(changed[name]) for name in ("t_sync", "t_late") if name in changed}
    tried = replace(slot, **changed)
    before, found = check(slot), check(tried)
    wrong = [problem for problem in found if _top(problem) in changed or problem not in before]
    if wrong:
        raise invalid(*(Problem(f"{where}.{problem.field}", problem.message) for problem in wrong))
    return tried, found


def _top(problem: Problem) -> str:
    """The slot's field in which the problem lies."""
    return re.split(r"[.\[]", problem.field, maxsplit=1)[0]
