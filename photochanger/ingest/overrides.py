"""A slot as it would be, to try it: some of its fields replaced for one photo, nothing stored."""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from photochanger.domain.slot import LastResort, OnTimeout, Output, Plan, Slot
from photochanger.errors import Problem
from photochanger.slots.change import Check
from photochanger.slots.check import MOST_PLANS, RANGES
from photochanger.slots.fields import Name, PlanField, top
from photochanger.web.inputs import invalid


def _within(field: str) -> Meta:
    """The limits that the check of slots has for a field, so that the contract tells them."""
    low, high = RANGES[field]
    return Meta(ge=int(low), le=int(high))


class SlotOverrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one try does differently from its slot. Limits, money and secrets are always the slot's own."""

    provider: Name | UnsetType = UNSET
    operation: Name | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    fallbacks: Annotated[list[PlanField], Meta(max_length=MOST_PLANS - 1)] | UnsetType = UNSET
    hedge: bool | UnsetType = UNSET
    keep_spares: bool | UnsetType = UNSET
    on_timeout: OnTimeout | UnsetType = UNSET
    t_sync: Annotated[int, _within("t_sync")] | UnsetType = UNSET
    t_late: Annotated[int, _within("t_late")] | UnsetType = UNSET
    last_resort: LastResort | UnsetType = UNSET
    last_resort_settings: dict[str, Any] | UnsetType = UNSET
    longest_side: Annotated[int, _within("longest_side")] | UnsetType | None = UNSET
    send_quality: Annotated[int, _within("send_quality")] | UnsetType = UNSET
    output: Output | UnsetType = UNSET
    output_width: Annotated[int, _within("output_width")] | UnsetType | None = UNSET
    output_height: Annotated[int, _within("output_height")] | UnsetType | None = UNSET
    allow_png: bool | UnsetType = UNSET
    jpeg_quality: Annotated[int, _within("jpeg_quality")] | UnsetType = UNSET


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
    wrong = [problem for problem in found if top(problem) in changed or problem not in before]
    if wrong:
        raise invalid(*(Problem(f"{where}.{problem.field}", problem.message) for problem in wrong))
    return tried, found
