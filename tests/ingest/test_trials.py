"""Test runs: the real path for an administrator's photo, in up to four ways; none of it counts as a booth's."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio

from photochanger.domain.budget import Level
from photochanger.ingest.overrides import SlotOverrides
from photochanger.slots.views import SlotChangeIn
from tests.history.asking import refused
from tests.house.policy import LITE, LOCAL, gemini
from tests.house.shared import SharedHouse, shared_house, without_hedges
from tests.lab.house import ADMIN, READER, Lab, running_house
from tests.lab.pictures import photo
from tests.lab.waiting import until
from tests.postgres import PostgresServer

SLOT = "slot-001"


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house in which every call of the tests is one call."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("house"), t_sync=20.0) as house:
        house.run(without_hedges)
        yield house


@pytest.fixture(scope="session")
def small_photo() -> bytes:
    """A small upright sRGB photo."""
    return photo(320, 240)


async def attempted(
    lab: Lab, data: bytes, variants: Any = None, *, slot: str = SLOT, who: str | None = ADMIN
) -> httpx.Response:
    """Try a photo; `variants` is JSON, or text that is meant to be."""
    text = variants if isinstance(variants, str) else json.dumps(variants)
    async with lab.api(who) as client:
        return await client.post(
            f"/api/slots/{slot}/test-run",
            files={"fileToUpload": ("try.jpg", data, "image/jpeg")},
            data={} if variants is None else {"variants": text},
        )


async def quiet(lab: Lab, slot: str = SLOT, **columns: Any) -> None:
    """A slot as it was at first, but for these columns."""
    first: dict[str, Any] = {
        **gemini(),
        "on_timeout": "drop",
        "last_resort": "error",
        "permits": 4,
        "mailbox": 8,
        "dedupe_seconds": 0,
        "budget_day_microusd": None,
        "rate_per_minute": None,
        "rate_burst": None,
        "is_active": True,
    }
    await lab.set_slot(slot, **(first | columns))


def test_four_ways_side_by_side(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab)
        calls = len(lab.simulator.calls)
        size = {"output": "crop", "output_width": 96, "output_height": 64}
        variants = [{}, {"settings": gemini("safety")["settings"]}, {**LOCAL}, {**size, "jpeg_quality": 50}]
        answer = await attempted(lab, small_photo, variants)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        plain, refusal, local, small = told["variants"]
        assert [each["variant"] for each in told["variants"]] == [0, 1, 2, 3]
        assert [each["status"] for each in told["variants"]] == ["done", "failed", "done", "done"]
        assert [each["result_kind"] for each in told["variants"]] == ["ai", "error", "local", "ai"]
        assert (refusal["failure_reason"], refusal["url"]) == ("provider_refused", None)
        assert [each["finish_reason"] for each in plain["attempts"]] == ["STOP"]
        assert plain["cost_microusd"] == plain["attempts"][0]["cost_microusd"] > 0
        assert local["cost_microusd"] == 0
        assert (small["width"], small["height"]) == (96, 64)
        assert all(each["latency_ms"] > 0 for each in told["variants"])
        assert len(lab.simulator.calls) == calls + 3
        await lab.rest()
        async with lab.api(None) as client:
            picture = await client.get(plain["url"])
        assert (picture.headers["content-type"], len(picture.content)) == (plain["mime"], plain["bytes"])
        for each in told["variants"]:
            row = await lab.job(each["job_id"])
            assert (row["source"], row["requested_by"], str(row["test_id"])) == ("ui_test", ADMIN, told["test_id"])
            assert (row["variant"], row["status"], row["slot_id"]) == (each["variant"], each["status"], SLOT)
            assert (row["client_fields"], row["photo_name"]) == ({}, "try.jpg")
            kept = lab.var / "media" / "originals"
            assert [path.read_bytes() for path in kept.rglob(f"{each['job_id']}.jpg")] == [small_photo]

    house.run(scene)


def test_a_slot_as_it_is_also_while_it_is_switched_off(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab, is_active=False)
        told = (await attempted(lab, small_photo)).json()
        assert [each["status"] for each in told["variants"]] == ["done"]
        assert (await lab.shoot(small_photo)).status == 404
        await lab.rest()

    house.run(scene)


def test_it_is_no_photo_of_a_booth(house: SharedHouse) -> None:
    """Neither joins the other, running or done; and the count of photos does not know tests."""

    async def scene(lab: Lab) -> None:
        data = photo(250, 190)
        await quiet(lab, dedupe_seconds=600)
        before = await counted(lab)
        lab.simulator.scenario("slow(0.5)")
        lab.simulator.scenario("slow(0.5)")
        calls = len(lab.simulator.calls)
        tests: list[httpx.Response] = []

        async def try_it() -> None:
            tests.append(await attempted(lab, data))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(try_it)
            await until(lambda: len(lab.simulator.calls) > calls)
            booth = await lab.shoot(data)
        await try_it()
        again = await lab.shoot(data)
        await lab.rest()
        ids = {test.json()["variants"][0]["job_id"] for test in tests}
        assert len(ids) == 2
        assert booth.header("idempotent-replayed") is None
        assert again.header("x-job-id") == booth.header("x-job-id") not in ids
        assert len(lab.simulator.calls) == calls + 3
        after = await counted(lab)
        grown = {name: after[name] - before.get(name, 0.0) for name in after if after[name] != before.get(name)}
        assert grown == {'photochanger_ingest_total{outcome="ok",slot="slot-001"}': 2.0}

    house.run(scene)


async def counted(lab: Lab) -> dict[str, float]:
    """What /metrics counts of booths."""
    async with lab.api(None) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    names = ("photochanger_ingest_total", "photochanger_late_total", "photochanger_last_resort_total")
    pairs = [line.rsplit(" ", 1) for line in lines if line.startswith(names)]
    return {name: float(value) for name, value in pairs}


def test_what_it_comes_to_closes_the_provider_to_nobody(house: SharedHouse, small_photo: bytes) -> None:
    """A model without any quota, tried by hand: to booths the provider is as well as it was."""

    async def scene(lab: Lab) -> None:
        await quiet(lab)
        [told] = (await attempted(lab, small_photo, [gemini("quota_zero", LITE)])).json()["variants"]
        assert (told["status"], told["failure_reason"]) == ("failed", "provider_quota")
        group = lab.house.groups["gemini"]
        assert group.breaker.state(trio.current_time()).state == "closed"
        before = group.latencies()
        assert (await attempted(lab, small_photo)).json()["variants"][0]["status"] == "done"
        assert group.latencies() == before
        assert (await lab.shoot(small_photo)).status == 200
        await lab.rest()

    house.run(scene)


def test_a_last_resort_is_told_and_not_counted(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab, last_resort="original", **gemini("safety"))
        before = await counted(lab)
        [told] = (await attempted(lab, small_photo)).json()["variants"]
        assert (told["status"], told["failure_reason"]) == ("failed", "provider_refused")
        assert (told["result_kind"], told["url"], told["bytes"]) == ("original", None, len(small_photo))
        await lab.rest()
        assert await counted(lab) == before

    house.run(scene)


@pytest.mark.parametrize(
    ("variants", "field"),
    [
        ("{", None),
        ("{}", "variants"),
        ("[]", "variants"),
        ([{}] * 5, "variants"),
        ([{}, {"provider": "nobody"}], "variants[1].provider"),
        ([{}, {}, {"settings": {"prompt": "x", "temperature": "hot"}}], "variants[2].settings.temperature"),
        ([{"fallbacks": [LOCAL | {"settings": {"look": "?"}}]}], "variants[0].fallbacks[0].settings.look"),
        ([{"jpeg_quality": 0}], "variants[0].jpeg_quality"),
        ([{"output": "crop", "output_width": 64}], "variants[0].output_height"),
        ([{"budget_day_microusd": None}], "variants[0].budget_day_microusd"),
        ([{"secret_hash": "x"}], "variants[0].secret_hash"),
        ([{"id": "slot-002"}], "variants[0].id"),
        ([{"settings": {"prompt": "a\0b"}}], "variants[0].settings.prompt"),
        ([{"t_sync": 10**25}], "variants[0].t_sync"),
        ([{"t_sync": 9}], "variants[0].t_sync"),
        ([{"fallbacks": [LOCAL] * 5}], "variants[0].fallbacks"),
    ],
)  # fmt: skip
def test_variants_that_make_no_sense(house: SharedHouse, small_photo: bytes, variants: Any, field: str | None) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab)
        before = await lab.count("job")
        answer = await attempted(lab, small_photo, variants)
        if field is None:
            assert refused(answer) == (400, "invalid_request")
        else:
            assert refused(answer) == (422, "validation_failed")
            assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert await lab.count("job") == before
        await lab.rest()

    house.run(scene)


def test_its_limits_are_those_of_slots() -> None:
    """The contract tells of a variant what it tells of a slot."""

    def limits(kind: Any) -> dict[str, Any]:
        schema = msgspec.json.schema(kind)
        properties = schema["$defs"][kind.__name__]["properties"]
        return {name: _limits(properties[name]) for name in SlotOverrides.__struct_fields__}

    found = limits(SlotOverrides)
    assert found == limits(SlotChangeIn)
    assert (found["t_sync"], found["fallbacks"]) == ({"minimum": 10, "maximum": 60}, {"maxItems": 4})


def _limits(schema: dict[str, Any]) -> dict[str, Any]:
    parts = [schema, *schema.get("anyOf", [])]
    names = ("minimum", "maximum", "maxItems", "pattern")
    return {name: part[name] for part in parts for name in names if name in part}


def test_what_is_no_photo_and_who_may_not(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab, size_limit_bytes=50_000)
        assert refused(await attempted(lab, b"no picture")) == (415, "unsupported_media_type")
        assert refused(await attempted(lab, small_photo[:-100])) == (422, "undecodable_image")
        assert refused(await attempted(lab, photo(900, 700, 200_000))) == (413, "payload_too_large")
        assert refused(await attempted(lab, small_photo, slot="slot-404")) == (404, "slot_not_found")
        assert refused(await attempted(lab, small_photo, who=READER)) == (403, "forbidden")
        assert refused(await attempted(lab, small_photo, who=None)) == (401, "unauthenticated")
        async with lab.api() as client:
            path = f"/api/slots/{SLOT}/test-run"
            assert refused(await client.post(path, json={})) == (400, "invalid_request")
            assert refused(await client.post(path, files={"photo": b"x"})) == (400, "invalid_request")
        await quiet(lab, size_limit_bytes=50_000_000)
        await lab.rest()

    house.run(scene)


def test_limits_are_those_of_booths(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab, rate_per_minute=1, rate_burst=2)
        told = (await attempted(lab, small_photo, [{}, {}, {}])).json()["variants"]
        assert [each["status"] for each in told] == ["done", "done", "refused"]
        assert (told[2]["failure_reason"], told[2]["job_id"]) == ("rate_limited", None)
        assert told[2]["retry_after"] >= 1
        answer = await attempted(lab, small_photo)
        assert refused(answer) == (429, "rate_limited")
        assert (await lab.shoot(small_photo)).status == 429
        await quiet(lab, budget_day_microusd=1)
        assert refused(await attempted(lab, small_photo, [{}, {}])) == (429, "budget_exhausted")
        assert (await attempted(lab, small_photo, [{**LOCAL}])).status_code == 200
        await quiet(lab, permits=1, mailbox=1)
        lab.simulator.default("slow(0.3)")
        told = (await attempted(lab, small_photo, [{}, {}, {}])).json()["variants"]
        assert [each["status"] for each in told] == ["done", "done", "refused"]
        assert told[2]["failure_reason"] == "slot_busy"
        lab.simulator.default("ok")
        await lab.rest()

    house.run(scene)


def test_it_pushes_no_guest_out_of_the_lane(house: SharedHouse, small_photo: bytes) -> None:
    """Four slow variants have both permits and all chairs; the guest comes next all the same."""

    async def scene(lab: Lab) -> None:
        await quiet(lab, permits=2, mailbox=2)
        lab.simulator.default("slow(2)")
        calls, tests = len(lab.simulator.calls), []

        async def try_it() -> None:
            tests.append(await attempted(lab, small_photo, [{}] * 4))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(try_it)
            await until(lambda: lab.house.lanes.statistics()[SLOT] == (2, 2))
            await until(lambda: len(lab.simulator.calls) == calls + 2)
            shot = await lab.shoot(small_photo)
        lab.simulator.default("ok")
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "ai")
        told = tests[0].json()["variants"]
        assert [each["status"] for each in told] == ["done"] * 4
        row = await lab.job(shot.header("x-job-id"))
        rows = [await lab.job(each["job_id"]) for each in told]
        assert [each["started_at"] > row["started_at"] for each in rows] == [False, False, True, True]
        await lab.rest()

    house.run(scene)


def test_its_money_is_the_days(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await quiet(lab)
        slot = lab.house.slots.find(SLOT)
        assert slot is not None
        before: Level = lab.house.ledger.level(slot)
        [told] = (await attempted(lab, small_photo)).json()["variants"]
        await lab.rest()
        assert lab.house.ledger.level(slot).spent == before.spent + told["cost_microusd"] > before.spent

    house.run(scene)


def test_what_was_wrong_before_is_a_warning(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        turbotext = {"provider": "turbotext", "operation": "generate_image2image", "settings": {"content": "oil"}}
        await quiet(lab, fallbacks=[turbotext])
        [told] = (await attempted(lab, small_photo)).json()["variants"]
        assert told["status"] == "done"
        assert {warning["field"] for warning in told["warnings"]} == {"fallbacks[0].provider"}
        [told] = (await attempted(lab, small_photo, [{"fallbacks": []}])).json()["variants"]
        assert told["warnings"] == []
        assert refused(await attempted(lab, small_photo, [{"fallbacks": [turbotext]}])) == (422, "validation_failed")
        await quiet(lab, fallbacks=[])
        await lab.rest()

    house.run(scene)


async def test_a_client_that_leaves(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    """What is paid for is kept where the slot keeps late pictures; where it does not, it is dropped, as for a booth."""
    async with running_house(tmp_path, postgres_url, on_timeout="store") as lab:
        await without_hedges(lab)
        lab.simulator.default("slow(1)")
        with trio.move_on_after(20) as patience:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(attempted, lab, small_photo, [{}, {"on_timeout": "drop"}]))
                await until(lambda: len(lab.simulator.calls) == 2)
                nursery.cancel_scope.cancel()
        assert not patience.cancelled_caught
        await until(lambda: lab.house.lanes.late == 1)
        await lab.rest()
        rows = await lab.house.db.fetch("SELECT status, reply_kind, late FROM job ORDER BY variant")
        assert [tuple(row) for row in rows] == [("done", "none", True), ("timeout", "none", False)]


async def test_windows_of_their_own(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    """The answer waits for the longest; a shorter one is over in between, and its work may go on."""
    async with running_house(tmp_path, postgres_url, t_sync=4.0, t_late=20.0) as lab:
        await without_hedges(lab)
        await lab.set_slot(t_sync_seconds=2)
        ways: list[tuple[str, dict[str, Any]]] = [
            ("slow(20)", {"on_timeout": "store"}),
            ("slow(2.5)", {"on_timeout": "store"}),
            ("slow(4)", {"t_sync": 10}),
        ]
        variants = [{"settings": gemini(scenario)["settings"], **more} for scenario, more in ways]
        told = (await attempted(lab, small_photo, variants)).json()["variants"]
        assert [each["status"] for each in told] == ["processing", "done", "done"]
        assert [each["result_kind"] for each in told] == ["error", "error", "ai"]
        assert [each["failure_reason"] for each in told] == ["provider_timeout", "provider_timeout", None]
        assert [each["url"] is not None for each in told] == [False, True, True]
        assert max(told[0]["latency_ms"], told[1]["latency_ms"]) < told[2]["latency_ms"]
        row = await lab.job(told[1]["job_id"])
        assert (row["status"], row["late"], row["reply_status"]) == ("done", True, 504)
        async with lab.api() as client:
            stopped = (await client.post(f"/api/jobs/{told[0]['job_id']}/cancel")).json()
        assert (stopped["status"], stopped["reply_status"]) == ("cancelled", 504)
        await lab.rest()


async def test_a_house_that_drains_tries_nothing_new(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        lab.simulator.default("slow(0.5)")
        answers: list[httpx.Response] = []

        async def try_it() -> None:
            answers.append(await attempted(lab, small_photo, [{}, {}]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(try_it)
            await until(lambda: len(lab.simulator.calls) >= 2)
            lab.house.draining = True
            assert refused(await attempted(lab, small_photo)) == (503, "draining")
        assert [each["status"] for each in answers[0].json()["variants"]] == ["done", "done"]
        await finished_nothing_else(lab)


async def finished_nothing_else(lab: Lab) -> None:
    """Two jobs, and nothing in flight."""
    await lab.rest()
    assert await lab.count("job") == 2
