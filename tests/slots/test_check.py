"""A slot that cannot work is told so before the first photo, with all of its faults, each by its field."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from photochanger.config import Config
from photochanger.domain.slot import Plan, Slot, Template
from photochanger.errors import Problem
from photochanger.media.threads import PictureThreads
from photochanger.providers.base import Driver
from photochanger.providers.drivers import make_drivers
from photochanger.providers.http import tls_context
from photochanger.providers.turbotext.driver import TurbotextDriver
from photochanger.slots.check import check_slot

GEMINI = Plan("gemini", "edit", {"prompt": "Paint it"})
LOCAL = Plan("local", "look", {"look": "mono"})
NO_KEY = "gemini has no key: store one in the settings, or set GEMINI_API_KEY"
TURBO = Plan("turbotext", "generate_image2image", {"content": "Paint it"})


def drivers(gemini_key: str | None = "key", turbotext_key: str | None = "key") -> dict[str, Driver]:
    turbotext = TurbotextDriver(turbotext_key, ssl_context=tls_context())
    return make_drivers(Config(gemini_api_key=gemini_key), PictureThreads()) | {"turbotext": turbotext}


ALL = drivers()


def slot(*fallbacks: Plan, first: Plan = GEMINI, **changes: Any) -> Slot:
    made = Slot("slot-001", 1, first.provider, first.operation, first.settings, fallbacks=fallbacks)
    return replace(made, **changes)


def problems(
    made: Slot,
    using: Mapping[str, Driver] = ALL,
    *,
    public_base_url: str | None = "https://booth.example",
    max_pixels: int = 100_000_000,
) -> list[str]:
    found = check_slot(made, using, public_base_url=public_base_url, max_pixels=max_pixels)
    assert all(isinstance(problem, Problem) for problem in found)
    return [str(problem) for problem in found]


def test_a_slot_that_works_has_no_problems() -> None:
    assert problems(slot()) == []
    assert problems(slot(TURBO, LOCAL, last_resort="local", output="crop", output_width=1800, output_height=1200)) == []


def test_an_unknown_provider_is_told_where_it_stands() -> None:
    assert problems(slot(first=Plan("gmini", "edit"))) == [
        "provider: there is no provider 'gmini' (gemini, local, turbotext)"
    ]
    assert problems(slot(LOCAL, Plan("", ""))) == [
        "fallbacks[1].provider: there is no provider '' (gemini, local, turbotext)"
    ]


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (Plan("gemini", "edit", {"prompt": " "}), "settings.prompt: must not be empty"),
        (
            Plan("gemini", "edit", {"prompt": "x", "colour": 1}),
            "settings.colour: there is no such field",
        ),
        (Plan("gemini", "edit", {"prompt": 7}), "settings.prompt: must be text, not a whole number"),
        (Plan("gemini", "draw", {"prompt": "x"}), "operation: gemini has no operation 'draw' (edit)"),
        (Plan("local", "look", {"look": "purple"}), "settings.look: must be one of mono, sepia, vivid, "),
        (Plan("local", "look", {"strength": "much"}), "settings.strength: must be a number, not text"),
        (Plan("local", "look", {"size": 1}), "settings.size: there is no such field"),
        (Plan("turbotext", "generate_image2image"), "settings.content: generate_image2image needs a prompt"),
        (Plan("turbotext", "paint"), "operation: turbotext has no operation 'paint'"),
    ],
)
def test_what_a_provider_says_is_told_by_field(plan: Plan, problem: str) -> None:
    (first,) = problems(slot(first=plan))
    assert first.startswith(problem)
    (second,) = problems(slot(Plan("local", "look", {"look": "vivid"}), plan))
    assert second.startswith(f"fallbacks[1].{problem}")


def test_templates_that_do_not_fit_the_method() -> None:
    mixing = Plan("turbotext", "mix_images", {"content": "x"})
    (found,) = problems(slot(LOCAL, mixing))
    assert found.startswith("templates: mix_images needs exactly one picture with the role 'style', not 0")
    style = Template(uuid4(), "style", "image/jpeg", "templates/x.jpg")
    assert problems(slot(LOCAL, mixing, templates=(style,))) == []
    assert len(problems(slot(LOCAL, mixing, templates=(style, style)))) == 1


def test_a_provider_without_credentials() -> None:
    using = drivers(gemini_key=None)
    assert problems(slot(), using) == [f"provider: {NO_KEY}"]
    assert problems(slot(GEMINI, first=LOCAL), using) == [f"fallbacks[0].provider: {NO_KEY}"]


def test_a_provider_that_fetches_needs_a_public_address() -> None:
    (found,) = problems(slot(TURBO), public_base_url=None)
    assert found == (
        "fallbacks[0].provider: Turbotext fetches photos from this house: "
        "set PUBLIC_BASE_URL to an address that the internet reaches"
    )
    assert problems(slot(LOCAL), public_base_url=None) == []


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "127.0.0.1 is this machine itself"),
        ("127.8.8.8:8080", "127.8.8.8 is this machine itself"),
        ("[::1]:8080", "::1 is this machine itself"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1 is this machine itself"),
        ("localhost:8080", "localhost is this machine itself"),
        ("booth.localhost", "booth.localhost is this machine itself"),
        ("10.1.2.3", "10.1.2.3 is an address of local networks (private)"),
        ("172.16.0.9/booth", "172.16.0.9 is an address of local networks (private)"),
        ("192.168.1.20:8080", "192.168.1.20 is an address of local networks (private)"),
        ("100.64.0.1", "100.64.0.1 is an address of local networks (private)"),
        ("0.0.0.0", "0.0.0.0 is an address of local networks (private)"),
        ("[fd00::5]", "fd00::5 is an address of local networks (private)"),
        ("169.254.10.1", "169.254.10.1 is good on one cable only (link-local)"),
        ("[fe80::1%25eth0]", "fe80::1%25eth0 is good on one cable only (link-local)"),
        ("booth", "booth is a name of local networks"),
        ("Booth.:8080", "booth. is a name of local networks"),
        ("booth.local", "booth.local is a name of local networks"),
        ("2130706433", "2130706433 is a name of local networks"),
        ("127.1", "127.1 is a name of local networks"),
    ],
)
def test_an_address_that_the_internet_cannot_reach(host: str, why: str) -> None:
    (found,) = problems(slot(TURBO), public_base_url=f"http://{host}")
    assert found == (
        "fallbacks[0].provider: Turbotext fetches photos from this house: "
        f"set PUBLIC_BASE_URL to an address that the internet reaches; {why}"
    )
    assert problems(slot(LOCAL), public_base_url=f"http://{host}") == []
    # A provider on this machine, as in the demo, reaches what we reach.
    near = TurbotextDriver(None, ssl_context=tls_context(), base_url="http://127.0.0.1:9/api_ai")
    assert problems(slot(TURBO), ALL | {"turbotext": near}, public_base_url=f"http://{host}") == []


@pytest.mark.parametrize("host", ["booth.example", "8.8.8.8:8080", "[2606:4700::1]", "a.b.booth.example./photos"])
def test_an_address_that_the_internet_may_reach(host: str) -> None:
    assert problems(slot(TURBO), public_base_url=f"https://{host}") == []


def test_the_same_plan_twice_is_a_loop() -> None:
    assert problems(slot(LOCAL, GEMINI, LOCAL)) == [
        "fallbacks[1]: this plan is there already: asking the same again helps nobody",
        "fallbacks[2]: this plan is there already: asking the same again helps nobody",
    ]
    other = Plan("gemini", "edit", {"prompt": "Paint it", "model": "gemini-2.5-flash-image"})
    assert [text for text in problems(slot(other)) if "already" in text] == []


def test_plans_are_few() -> None:
    many = [Plan("local", "look", {"strength": n / 10}) for n in range(5)]
    assert problems(slot(*many[:4])) == []
    assert problems(slot(*many)) == ["fallbacks: there may be 4 at most, not 5"]


def test_the_local_last_resort() -> None:
    bad = {"look": "vivid", "strength": 7}
    assert problems(slot(last_resort="original", last_resort_settings=bad)) == []
    (found,) = problems(slot(last_resort="local", last_resort_settings=bad))
    assert found.startswith("last_resort_settings.strength: ")
    without = {name: driver for name, driver in ALL.items() if name != "local"}
    assert problems(slot(last_resort="local"), without) == ["last_resort: this house has no local provider"]


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("t_sync", 10.0, 60.0),
        ("t_late", 0.0, 600.0),
        ("dedupe_seconds", 0, 86_400),
        ("permits", 1, 100),
        ("mailbox", 1, 1000),
        ("budget_day_microusd", 0, 10**12),
        ("jpeg_quality", 1, 100),
        ("send_quality", 1, 100),
        ("longest_side", 256, 20_000),
        ("size_limit_bytes", 1, 2_000_000_000),
        ("rate_per_minute", 1, 100_000),
        ("rate_burst", 1, 100_000),
        ("signing_generation", 1, 2_000_000_000),
    ],
)
def test_numbers_have_bounds(field: str, low: Any, high: Any) -> None:
    base = slot(rate_per_minute=60)
    for good in (low, high):
        assert problems(replace(base, **{field: good})) == []
    for bad in (low - 1, high + 1):
        (found,) = problems(replace(base, **{field: bad}))
        assert found == f"{field}: must be from {low:.15g} to {high:.15g}, not {bad:.15g}"


def test_the_size_of_the_output() -> None:
    def size(width: int | None, height: int | None, **options: Any) -> list[str]:
        return problems(slot(output="fit", output_width=width, output_height=height), **options)

    assert size(16, 5000) == size(5000, 5000) == size(None, None) == []
    assert size(900, None) == ["output_height: give both sides, or neither for the shape of the photo that was sent"]
    assert size(None, 900)[0].startswith("output_width: give both sides")
    assert size(15, 20_001) == [
        "output_width: must be from 16 to 20000, not 15",
        "output_height: must be from 16 to 20000, not 20001",
    ]
    assert size(4000, 3000, max_pixels=10_000_000) == [
        "output_width: 4000 x 3000 are 12 megapixels; at most 10 are delivered"
    ]


def test_settings_that_do_nothing_are_told() -> None:
    assert problems(slot(at_budget="last_resort")) == [
        "at_budget: last_resort does nothing while the field last_resort is error: give it a picture"
    ]
    assert problems(slot(at_budget="last_resort", last_resort="original")) == []
    idle = "does nothing while output is as_is: make that fit or crop, or both sides null"
    assert problems(slot(output_width=900, output_height=600)) == [f"output_width: {idle}"]
    assert problems(slot(output_width=900)) == [f"output_width: {idle}"]
    assert problems(slot(output_height=600)) == [f"output_height: {idle}"]
    assert problems(slot(rate_burst=3)) == ["rate_burst: does nothing without rate_per_minute"]
    assert problems(slot(rate_burst=3, rate_per_minute=6)) == []


def test_all_faults_are_told_at_once() -> None:
    found = problems(
        slot(
            Plan("nobody", "x"),
            first=Plan("gemini", "edit", {}),
            permits=0,
            output="fit",
            output_width=3,
            output_height=900,
        )
    )
    assert [text.split(":")[0] for text in found] == [
        "settings.prompt",
        "fallbacks[0].provider",
        "permits",
        "output_width",
    ]
