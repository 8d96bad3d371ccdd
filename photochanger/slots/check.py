"""Whether a slot can work as it is set up: everything that can be known before the first photo comes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from photochanger.domain.slot import Plan, Slot
from photochanger.domain.wording import told
from photochanger.errors import ConfigError, Problem
from photochanger.media.fit import LARGEST, SMALLEST
from photochanger.providers.base import Driver
from photochanger.slots.public_address import unreachable

MOST_PLANS: Final = 5
"""The first plan and its fallbacks: more can hardly be tried inside any window."""

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "t_sync": (10, 60),
    "t_late": (0, 600),
    "permits": (1, 100),
    "mailbox": (1, 1000),
    "size_limit_bytes": (1, 2_000_000_000),
    "longest_side": (256, LARGEST),
    "send_quality": (1, 100),
    "jpeg_quality": (1, 100),
    "dedupe_seconds": (0, 86_400),
    "budget_day_microusd": (0, 10**12),
    "rate_per_minute": (1, 100_000),
    "rate_burst": (1, 100_000),
    "signing_generation": (1, 2_000_000_000),
    "gallery_generation": (1, 2_000_000_000),
    "output_width": (SMALLEST, LARGEST),
    "output_height": (SMALLEST, LARGEST),
}
"""Seconds, bytes, pixels, microusd; None is allowed where the slot has it."""

_FIELD: Final = re.compile(r"([A-Za-z_][\w.\[\]]*): (.*)", re.DOTALL)


def check_slot(
    slot: Slot, drivers: Mapping[str, Driver], *, public_base_url: str | None, max_pixels: int
) -> list[Problem]:
    """Everything that is wrong with `slot`; empty when nothing is. `drivers` are this house's, by their names."""
    return [
        *_check_plans(slot, drivers, public_base_url),
        *_check_last_resort(slot, drivers),
        *_check_numbers(slot),
        *_check_output(slot, max_pixels),
        *_check_idle(slot),
        *_check_access(slot, public_base_url),
    ]


def shut_out(slot: Slot) -> list[Problem]:
    """What keeps some clients from using a slot that works for others: told, but no reason to refuse anything."""
    if slot.auth == "either" and slot.secret_hash is None:
        return [Problem("auth", "clients that cannot sign are not let in while the slot has no password: give it one")]
    return []


def _check_plans(slot: Slot, drivers: Mapping[str, Driver], public_base_url: str | None) -> Iterator[Problem]:
    roles = [template.role for template in slot.templates]
    for number, plan in enumerate(slot.plans):
        prefix = f"fallbacks[{number - 1}]." if number else ""
        if plan in slot.plans[:number]:
            yield Problem(prefix.rstrip("."), "this plan is there already: asking the same again helps nobody")
            continue
        driver = drivers.get(plan.provider)
        if driver is None:
            known = ", ".join(sorted(drivers))
            yield Problem(f"{prefix}provider", f"there is no provider {plan.provider[:40]!r} ({known})")
            continue
        yield from _check_plan(plan, driver, prefix, roles)
        if driver.missing is not None:
            yield Problem(f"{prefix}provider", driver.missing)
        if driver.needs_public_address and (trouble := _trouble_with(public_base_url, driver)) is not None:
            yield Problem(
                f"{prefix}provider",
                f"{driver.name.capitalize()} fetches photos from this house: "
                f"set PUBLIC_BASE_URL to an address that the internet reaches{trouble}",
            )
    if len(slot.plans) > MOST_PLANS:
        yield Problem("fallbacks", f"there may be {MOST_PLANS - 1} at most, not {len(slot.fallbacks)}")


def _trouble_with(public_base_url: str | None, driver: Driver) -> str | None:
    if public_base_url is None:
        return ""
    why = None if driver.on_this_machine else unreachable(public_base_url)
    return None if why is None else f"; {urlsplit(public_base_url).hostname} {why}"


def _check_plan(plan: Plan, driver: Driver, prefix: str, roles: Sequence[str]) -> Iterator[Problem]:
    try:
        settings = driver.parse_settings(plan.settings)
    except ConfigError as error:
        yield _settings_problem(error, driver, f"{prefix}settings")
        return
    try:
        driver.check(plan.operation, settings, roles)
    except ConfigError as error:
        field, message = _field_and_message(str(error))
        where = {"operation": f"{prefix}operation", "templates": "templates"}
        yield Problem(where.get(field, f"{prefix}settings.{field}" if field else f"{prefix}operation"), message)


def _check_last_resort(slot: Slot, drivers: Mapping[str, Driver]) -> Iterator[Problem]:
    if slot.last_resort != "local":
        return
    driver = drivers.get("local")
    if driver is None:
        yield Problem("last_resort", "this house has no local provider")
        return
    try:
        driver.parse_settings(slot.last_resort_settings)
    except ConfigError as error:
        yield _settings_problem(error, driver, "last_resort_settings")


def _check_numbers(slot: Slot) -> Iterator[Problem]:
    for field, (low, high) in RANGES.items():
        value = getattr(slot, field)
        if value is not None and not low <= value <= high:
            yield Problem(field, f"must be from {_number(low)} to {_number(high)}, not {_number(value)}")


def _check_output(slot: Slot, max_pixels: int) -> Iterator[Problem]:
    width, height = slot.output_width, slot.output_height
    if slot.output == "as_is":
        return
    if (width is None) != (height is None):
        missing = "output_width" if width is None else "output_height"
        yield Problem(missing, "give both sides, or neither for the shape of the photo that was sent")
    if width is not None and height is not None and width * height > max_pixels:
        yield Problem(
            "output_width",
            f"{width} x {height} are {width * height / 1e6:g} megapixels; at most {max_pixels / 1e6:g} are delivered",
        )


def _check_idle(slot: Slot) -> Iterator[Problem]:
    """Settings that do nothing beside the others: whoever made them expects something of them."""
    if slot.at_budget == "last_resort" and slot.last_resort == "error":
        yield Problem("at_budget", "last_resort does nothing while the field last_resort is error: give it a picture")
    if slot.output == "as_is" and (slot.output_width, slot.output_height) != (None, None):
        field = "output_height" if slot.output_width is None else "output_width"
        yield Problem(field, "does nothing while output is as_is: make that fit or crop, or both sides null")
    if slot.rate_burst is not None and slot.rate_per_minute is None:
        yield Problem("rate_burst", "does nothing without rate_per_minute")


def _check_access(slot: Slot, public_base_url: str | None) -> Iterator[Problem]:
    if slot.auth == "password" and slot.secret_hash is None:
        yield Problem("auth", "password lets nobody in while the slot has none: give it one")
    if slot.auth == "open" and public_base_url is not None and unreachable(public_base_url) is None:
        yield Problem(
            "auth",
            "open is for closed networks only, and PUBLIC_BASE_URL says that the internet reaches this house: "
            "whoever finds the address could spend your money",
        )


def _settings_problem(error: ConfigError, driver: Driver, prefix: str) -> Problem:
    """Drivers say "field: why", some of them in msgspec's words, or "its name: why - at `$.field`"."""
    text = str(error)
    if text.startswith(f"{driver.name}: "):
        path, message = told(text.removeprefix(f"{driver.name}: "))
        return Problem(prefix + path, message)
    field, message = _field_and_message(text)
    if message.startswith(("expected `", "object ")):
        message = told(message)[1]
    return Problem(f"{prefix}.{field}" if field and field != "settings" else prefix, message)


def _field_and_message(text: str) -> tuple[str, str]:
    found = _FIELD.fullmatch(text)
    return (found[1], found[2]) if found else ("", text)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
