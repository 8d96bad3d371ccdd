"""A slot that is set up wrongly: refused with everything that is wrong, and where it got into its row all the same,
the booth hears a clear error or gets the next plan's picture, and nobody is paid.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from photochanger.config import Config
from photochanger.errors import SlotInvalid
from photochanger.media.threads import PictureThreads
from photochanger.providers.drivers import make_drivers
from photochanger.slots.change import apply_change
from photochanger.slots.check import check_slot
from supervisors import Snapshot
from tests.house.shared import SharedHouse, shared_house, without_hedges
from tests.lab.house import Lab, running_house
from tests.lab.process import ROOT, environment, free_port
from tests.postgres import PostgresServer

GEMINI: dict[str, Any] = {"provider": "gemini", "operation": "edit", "settings": {"prompt": "a comic"}}
LOCAL: dict[str, Any] = {"provider": "local", "operation": "look", "settings": {"look": "mono"}}
TURBOTEXT: dict[str, Any] = {
    "provider": "turbotext",
    "operation": "generate_image2image",
    "settings": {"content": "a painting"},
}
KEYS = {"gemini_api_key": "key-of-gemini-1234", "turbotext_api_key": "key-of-turbotext-1234"}
PUBLIC = {"public_base_url": "https://booth.example"}


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house without a public address."""
    var = tmp_path_factory.mktemp("bad-settings")
    nobody = f"http://127.0.0.1:{free_port()}/api_ai"
    with shared_house(postgres_server, var, rate_burst=10_000, turbotext_base_url=nobody) as house:
        house.run(without_hedges)
        yield house


def restarts(tree: Snapshot) -> int:
    """Of all that lives in the house."""
    return tree.restarts + sum(map(restarts, tree.children))


# --- asked for properly -----------------------------------------------------------------------------------------

ASKED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "a provider that is not there": (KEYS, {"provider": "midjourney"}, "provider", "midjourney"),
    "a fallback that is not there": (
        KEYS, {"fallbacks": [LOCAL, {**LOCAL, "provider": "dalle"}]}, "fallbacks[1].provider", "dalle",
    ),
    "itself as its fallback": (KEYS, {**LOCAL, "fallbacks": [LOCAL]}, "fallbacks[0]", "already"),
    "a fallback twice": (KEYS, {"fallbacks": [LOCAL, LOCAL]}, "fallbacks[1]", "already"),
    "too many fallbacks": (
        KEYS, {"fallbacks": [{**LOCAL, "settings": {"strength": n / 10}} for n in range(5)]}, "fallbacks", "at most",
    ),
    "gemini without a key": ({}, GEMINI, "provider", "GEMINI_API_KEY"),
    "a fallback without a key": ({}, {**LOCAL, "fallbacks": [GEMINI]}, "fallbacks[0].provider", "GEMINI_API_KEY"),
    "turbotext without a key": (PUBLIC, TURBOTEXT, "provider", "TURBOTEXT_API_KEY"),
    "turbotext without an address": (KEYS, TURBOTEXT, "provider", "PUBLIC_BASE_URL"),
    "an operation that it has not": (KEYS, {**GEMINI, "operation": "repaint"}, "operation", "repaint"),
    "a prompt that is empty": (KEYS, {**GEMINI, "settings": {"prompt": " "}}, "settings.prompt", "empty"),
    "a model that was switched off": (
        KEYS,
        {**GEMINI, "settings": {"prompt": "x", "model": "gemini-2.5-flash-image-preview"}},
        "settings.model",
        "use ",
    ),
    "a look that it has not": (KEYS, {**LOCAL, "settings": {"look": "rainbow"}}, "settings.look", ""),
    "a fallback's settings": (
        KEYS, {"fallbacks": [{**LOCAL, "settings": {"strength": 9}}]}, "fallbacks[0].settings.strength", "",
    ),
    "a last resort that cannot be drawn": (
        KEYS, {"last_resort": "local", "last_resort_settings": {"look": 7}}, "last_resort_settings.look", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_a_change_that_cannot_work_is_refused_whole(house: SharedHouse, name: str) -> None:
    keys, change, field, word = ASKED[name]
    drivers = make_drivers(Config(**keys), PictureThreads())
    check = partial(check_slot, drivers=drivers, public_base_url=keys.get("public_base_url"), max_pixels=10**8)

    async def ask(lab: Lab) -> None:
        as_it_was = GEMINI if change.get("provider") in (None, "midjourney") else {**LOCAL, "operation": "other"}
        await lab.set_slot("slot-002", **({"fallbacks": []} | as_it_was))
        before = await lab.house.db.fetchrow("SELECT * FROM slot WHERE id = 'slot-002'")
        with pytest.raises(SlotInvalid) as refused:
            await apply_change(
                lab.house.db,
                "slot-002",
                {"permits": 3, "output": "stretched"} | change,
                check,
                t_sync=48,
                t_late=120,
                by="serg",
            )
        told = {problem.field: problem.message for problem in refused.value.problems}
        assert set(told) == {field, "output"}
        assert word in told[field]
        assert await lab.house.db.fetchrow("SELECT * FROM slot WHERE id = 'slot-002'") == before

    house.run(ask)


def test_the_command_says_all_that_is_wrong(house: SharedHouse, small_photo: bytes, tmp_path: Path) -> None:
    async def where(lab: Lab) -> tuple[Path, dict[str, Any]]:
        config = lab.house.config
        return lab.var, {"DATABASE_URL": config.database_url, "GEMINI_BASE_URL": config.gemini_base_url}

    var, settings = house.run(where)

    def command(change: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "change.json").write_text(json.dumps(change))
        return subprocess.run(
            [sys.executable, "-m", "photochanger", "slot", "slot-003", "--set", str(tmp_path / "change.json")],
            cwd=ROOT, env=environment(var, **settings), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    wrong = command({"fallbacks": [TURBOTEXT, LOCAL, LOCAL, {**LOCAL, "provider": "dalle"}], "permits": 0, "x": 1})
    assert (wrong.returncode, wrong.stdout) == (1, "")
    first, *problems = wrong.stderr.splitlines()
    assert first == "photochanger: slot-003 was not changed:"
    assert sorted(line.strip().partition(": ")[0] for line in problems) == [
        "fallbacks[0].provider", "fallbacks[0].provider", "fallbacks[2]", "fallbacks[3].provider", "permits", "x",
    ]  # fmt: skip
    assert "TURBOTEXT_API_KEY" in wrong.stderr
    assert "PUBLIC_BASE_URL" in wrong.stderr

    right = command({**LOCAL, "fallbacks": [], "last_resort": "original"})
    assert (right.returncode, right.stderr) == (0, "")

    async def shoot(lab: Lab) -> None:
        shot = await lab.shoot(small_photo, slot="slot-003")
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "local")
        await lab.rest()

    house.run(shoot)


# --- written into the row all the same --------------------------------------------------------------------------

ROWS: dict[str, tuple[dict[str, Any], int, str]] = {
    "a provider that is not there": ({"provider": "midjourney"}, 503, "provider_unavailable"),
    "no provider": ({"provider": ""}, 503, "provider_unavailable"),
    "turbotext without a public address": (TURBOTEXT, 502, "provider_error"),
    "an operation that it has not": ({"operation": "repaint"}, 502, "provider_error"),
    "another provider's settings": ({"settings": {"look": "mono"}}, 502, "provider_error"),
    "no settings": ({"settings": {}}, 502, "provider_error"),
    "settings that are a list": ({"settings": [1, 2]}, 502, "provider_error"),
    "settings that are a number": ({"settings": 5}, 502, "provider_error"),
    "settings that are null": ({"settings": "null"}, 502, "provider_error"),
    "a model that was switched off": (
        {"settings": {"prompt": "x", "model": "gemini-2.5-flash-image-preview"}}, 502, "provider_error",
    ),
}  # fmt: skip
"""What stands in the row, and what the booth hears."""


async def write(lab: Lab, slot: str, columns: dict[str, Any]) -> None:
    """Into the row as anybody with psql could; "null" is JSON's."""
    values = {name: value for name, value in columns.items() if value != "null"}
    nulls = [f"{name} = 'null'::jsonb" for name, value in columns.items() if value == "null"]
    names = [f"{name} = ${place}" for place, name in enumerate(values, 2)]
    statement = f"UPDATE slot SET {', '.join([*names, *nulls])}, version = version + 1 WHERE id = $1"
    await lab.house.db.execute(statement, slot, *values.values())
    await lab.house.slots.refresh()


@pytest.mark.parametrize("name", ROWS)
def test_what_got_into_the_row_all_the_same(
    house: SharedHouse, small_photo: bytes, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    columns, status, reason = ROWS[name]
    plain = {**GEMINI, "fallbacks": [], "last_resort": "error", "at_budget": "refuse"}

    async def shoot(lab: Lab) -> None:
        calls = len(lab.simulator.calls)
        await write(lab, "slot-004", plain | columns)
        shot = await lab.shoot(small_photo, slot="slot-004")
        assert shot.problem is not None, shot.why
        assert (shot.status, shot.problem["failure_reason"]) == (status, reason)
        await lab.rest()
        job = await lab.job()
        assert (job["status"], job["failure_reason"], job["cost_microusd"]) == ("failed", reason, 0)

        await write(lab, "slot-004", {"fallbacks": [LOCAL]})
        shot = await lab.shoot(small_photo, slot="slot-004")
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "local")
        await lab.rest()
        job = await lab.job()
        attempts = await lab.attempts(job["id"])
        assert [attempt["provider"] for attempt in attempts if attempt["outcome"] == "picture"] == ["local"]
        assert (job["cost_microusd"], any(attempt["possibly_billed"] for attempt in attempts)) == (0, False)

        await write(lab, "slot-004", {"fallbacks": [], "last_resort": "original"})
        shot = await lab.shoot(small_photo, slot="slot-004")
        assert (shot.status, shot.header("x-photochanger-result"), shot.body) == (200, "original", small_photo)
        await lab.rest()
        assert len(lab.simulator.calls) == calls
        assert restarts(lab.house.root.snapshot()) == 0

    with caplog.at_level(logging.DEBUG, "photochanger"):
        house.run(shoot)
    assert not [record for record in caplog.records if record.exc_info], "it counted as a bug of ours"
    assert "slot-004" in caplog.text, "nobody was told"


async def test_a_provider_without_its_key_is_never_asked(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    public: dict[str, Any] = {"public_base_url": "https://booth.example", "gemini_base_url": None}
    async with running_house(tmp_path, postgres_url, **public) as lab:
        for plan in (GEMINI, TURBOTEXT):
            await lab.set_slot("slot-001", **plan, fallbacks=[])
            shot = await lab.shoot(small_photo)
            assert shot.problem is not None
            assert (shot.status, shot.problem["failure_reason"]) == (502, "provider_error")
            assert "KEY" not in shot.body.decode(), "what is missing here is nobody's business there"
            await lab.set_slot(fallbacks=[LOCAL])
            assert (await lab.shoot(small_photo)).header("x-photochanger-result") == "local"
        await lab.rest()
        assert await lab.house.db.fetchval("SELECT count(*) FROM attempt WHERE provider <> 'local'") == 0


FALLBACKS: dict[str, Any] = {
    "a fallback that is not there": [{**LOCAL, "provider": "dalle"}, LOCAL],
    "itself": [{**GEMINI}, LOCAL],
    "the same again and again": [LOCAL] * 30,
    "settings of another": [{**LOCAL, "settings": {"prompt": "x"}}, LOCAL],
    "things that are no plans": [5, None, "local", [], {}, {"provider": 7, "operation": None, "settings": "x"}, LOCAL],
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_bad_fallbacks_do_not_keep_the_good_one_from_it(house: SharedHouse, small_photo: bytes, name: str) -> None:
    async def shoot(lab: Lab) -> None:
        lab.simulator.reset()
        lab.simulator.default("safety")
        await write(lab, "slot-005", {**GEMINI, "fallbacks": FALLBACKS[name]})
        shot = await lab.shoot(small_photo, slot="slot-005")
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "local")
        await lab.rest()
        assert len(lab.simulator.calls) == (2 if name == "itself" else 1)
        assert restarts(lab.house.root.snapshot()) == 0

    house.run(shoot)


@pytest.mark.parametrize("fallbacks", [5, "null", {"provider": "local"}, "local", True])
def test_fallbacks_that_are_no_list_help_nobody_and_harm_nobody(
    house: SharedHouse, small_photo: bytes, fallbacks: object
) -> None:
    """And the other slots are known and go on as before."""

    async def shoot(lab: Lab) -> None:
        lab.simulator.reset()
        await write(lab, "slot-006", {**GEMINI, "fallbacks": fallbacks})
        assert (await lab.shoot(small_photo, slot="slot-006")).header("x-photochanger-result") == "ai"
        await lab.set_slot("slot-007", **LOCAL)
        assert (await lab.shoot(small_photo, slot="slot-007")).header("x-photochanger-result") == "local"
        await lab.rest()
        assert restarts(lab.house.root.snapshot()) == 0

    house.run(shoot)


NUMBERS: dict[str, dict[str, Any]] = {
    "no window": {"t_sync_seconds": 0},
    "a window in the past": {"t_sync_seconds": -5},
    "no late time": {"t_late_seconds": -10, "on_timeout": "store"},
    "no side": {"longest_side": 0},
    "less than a side": {"longest_side": -7},
    "one pixel": {"longest_side": 1},
    "no width": {"output": "crop", "output_width": 0, "output_height": 0},
    "less than a width": {"output": "fit", "output_width": -3, "output_height": 100},
    "a width that no picture has": {"output": "crop", "output_width": 2_000_000_000, "output_height": 1},
    "a canvas for giants": {"output": "fit", "output_width": 60_000, "output_height": 60_000},
    "a canvas of more pixels than are held": {"output": "fit", "output_width": 20_000, "output_height": 20_000},
    "less than no money": {"budget_day_microusd": -1},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_make_no_sense(
    house: SharedHouse, small_photo: bytes, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A picture or a clear error, at once; and the next photo of the slot, once it is mended, is as good as any."""
    plain: dict[str, Any] = {
        **GEMINI, "fallbacks": [], "last_resort": "error", "t_sync_seconds": None, "t_late_seconds": None,
        "longest_side": None, "output": "as_is", "output_width": None, "output_height": None,
        "budget_day_microusd": None, "on_timeout": "drop",
    }  # fmt: skip

    async def shoot(lab: Lab) -> None:
        lab.simulator.reset()
        await write(lab, "slot-009", plain | NUMBERS[name])
        shot = await lab.shoot(small_photo, slot="slot-009", timeout=20)
        assert shot.status in (200, 408, 422, 429, 502, 504), (shot.status, shot.problem)
        assert len(lab.simulator.calls) <= 1
        await lab.rest()
        await write(lab, "slot-009", plain)
        assert (await lab.shoot(small_photo, slot="slot-009")).status == 200
        await lab.rest()
        assert restarts(lab.house.root.snapshot()) == 0

    with caplog.at_level(logging.DEBUG, "photochanger"):
        house.run(shoot)
    assert not [record for record in caplog.records if record.exc_info], "it counted as a bug of ours"


def test_a_last_resort_that_cannot_be_drawn_is_an_error(house: SharedHouse, small_photo: bytes) -> None:
    async def shoot(lab: Lab) -> None:
        lab.simulator.reset()
        lab.simulator.default("safety")
        for settings in ({"look": "rainbow"}, {"strength": "much"}, {"filter": "mono"}):
            await write(lab, "slot-008", {**GEMINI, "last_resort": "local", "last_resort_settings": settings})
            shot = await lab.shoot(small_photo, slot="slot-008")
            assert shot.problem is not None, settings
            assert shot.problem["failure_reason"] == "provider_refused"
            await lab.rest()
        assert restarts(lab.house.root.snapshot()) == 0

    house.run(shoot)


# --- the price list ---------------------------------------------------------------------------------------------

ROW = {"text_in": 0.5, "text_out": 3, "image_out": 60, "per_image": {"1K": 0.067}}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"gemini": {"gemini-3-pro-image": {**ROW, "image_out": None}}}, ["gemini-3-pro-image", "image_out"]),
        (
            {"gemini": {"gemini-3-pro-image": {name: ROW[name] for name in ("text_in", "text_out", "image_out")}}},
            ["gemini-3-pro-image", "per_image"],
        ),
    ],
)
def test_a_price_list_with_a_hole_keeps_the_service_from_starting(
    tmp_path: Path, postgres_url: str, table: dict[str, Any], words: list[str]
) -> None:
    """Rather than booking nothing for what costs a lot."""
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"as_of": "2026-11-20"} | table))
    done = subprocess.run(
        [sys.executable, "-m", "photochanger", "serve"],
        cwd=ROOT, env=environment(tmp_path, DATABASE_URL=postgres_url, PRICES_FILE=prices, PORT=0, LOG_LEVEL="ERROR"),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("photochanger: PRICES_FILE: ")
    assert all(word in line for word in words)
