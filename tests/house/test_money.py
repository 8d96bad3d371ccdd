"""The day's money in a running house: what is booked is what was charged, and no cap is passed, not even by fifteen."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from photochanger.demo.dslr import Shot
from tests.house.shared import SharedHouse, shared_house, without_hedges
from tests.lab import http, pictures
from tests.lab.house import Lab, running_house
from tests.lab.waiting import until
from tests.postgres import PostgresServer

LOCAL = {"provider": "local", "operation": "look", "settings": {"look": "mono"}}
USED_UP = {"budget_day_microusd": 0}
FAST = {"rate_burst": 10_000, "rate_per_second": 10_000.0}


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house without a cap of its own, in which each test has a slot."""
    var = tmp_path_factory.mktemp("money")
    with shared_house(postgres_server, var, answer=pictures.photo(320, 240), **FAST) as house:
        house.run(without_hedges)
        yield house


@pytest.fixture(scope="module")
def drawing(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """The same with a simulator that judges, draws, and fails."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("drawing"), **FAST) as house:
        house.run(without_hedges)
        yield house


def estimate(lab: Lab) -> int:
    """What one call of a slot as it is seeded is expected to cost, in microusd."""
    driver, slot = lab.house.groups["gemini"].driver, lab.house.slots.find("slot-001")
    assert slot is not None
    return driver.estimate_microusd(driver.parse_settings(slot.settings))


def until_tomorrow() -> float:
    """Seconds until midnight UTC."""
    now = datetime.now(UTC)
    return (datetime.combine(now.date() + timedelta(days=1), time(), UTC) - now).total_seconds()


def check_refused(shot: Shot, before: float) -> None:
    """429 with the time until the caps are free again; `before` is `until_tomorrow()` as it was before the shot."""
    assert shot.problem is not None, shot.why
    assert (shot.status, shot.problem["failure_reason"]) == (429, "budget_exhausted")
    retry_after = int(shot.header("retry-after") or "")
    assert shot.problem["retry_after"] == retry_after
    assert until_tomorrow() - 1 <= retry_after <= before + 1


async def at_once(lab: Lab, photo: bytes, slots: list[str]) -> list[Shot]:
    shots = []

    async def one(slot: str) -> None:
        shots.append(await lab.shoot(photo, slot=slot))

    async with trio.open_nursery() as nursery:
        for slot in slots:
            nursery.start_soon(one, slot)
    return shots


async def metric(lab: Lab, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and values of a metric, as Prometheus reads it."""
    async with http.client() as client:
        text = (await client.get(f"{lab.base_url}/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return [(each.labels, each.value) for each in families[name].samples if not each.name.endswith("_created")]


async def shares(lab: Lab) -> dict[str, float]:
    """What is used of each cap."""
    return {labels["scope"]: value for labels, value in await metric(lab, "photochanger_budget_share")}


# --- what is booked ---------------------------------------------------------------------------------------------

MIX = [
    "ok", "no_image", "drafts(2)", "ok_png", "safety", "text_only", "image_other", "block", "error(500)",
    "not_picture", "half_picture", "bad_base64", "ok",
]  # fmt: skip


def test_what_is_booked_is_what_was_charged(drawing: SharedHouse, small_photo: bytes) -> None:
    async def shoot_them_all(lab: Lab) -> None:
        booked = charged = 0
        for scenario in MIX:
            lab.simulator.reset()
            lab.simulator.scenario(scenario)
            shot = await lab.shoot(small_photo)
            await lab.rest()
            job_id = shot.header("x-job-id") or (shot.problem or {})["job_id"]
            job = await lab.job(job_id)
            attempts = await lab.attempts(job["id"])
            assert len(attempts) == len(lab.simulator.calls) > 0
            for attempt, call in zip(attempts, lab.simulator.calls, strict=True):
                assert attempt["cost_microusd"] == pytest.approx(call.charged_microusd, rel=0.01), (scenario, call)
            assert job["cost_microusd"] == sum(attempt["cost_microusd"] for attempt in attempts)
            booked += job["cost_microusd"]
            charged += lab.simulator.charged_microusd
        assert booked == pytest.approx(charged, rel=0.01)
        assert charged > len(MIX) // 2 * 60_000, "hardly anything was charged at all"
        spent = lab.house.ledger.level(None)
        assert (spent.spent, spent.reserved) == (booked, 0)
        counted = await metric(lab, "photochanger_cost_microusd")
        assert counted == [({"provider": "gemini"}, booked)]

    drawing.run(shoot_them_all)


@pytest.mark.parametrize("how", ["the booth leaves", "the window ends", "a makeshift wins", "the house gives it up"])
def test_calls_that_were_given_up_are_booked_at_their_estimate(
    drawing: SharedHouse, small_photo: bytes, how: str
) -> None:
    """Each of them was drawn, and is on the bill, although nobody took it."""

    async def give_up(lab: Lab) -> None:
        lab.simulator.reset()
        lab.simulator.default("slow(30)")
        before = lab.house.ledger.level(None)
        changes: dict[str, Any] = {"t_sync_seconds": 2}
        if how == "a makeshift wins":
            changes = {"t_sync_seconds": 3, "fallbacks": [LOCAL], "hedge": False}
        elif how != "the window ends":
            changes = {"t_sync_seconds": 10}
        await lab.set_slot("slot-002", **({"fallbacks": [], "hedge": False} | changes))
        async with trio.open_nursery() as nursery:
            if how == "the house gives it up":
                nursery.start_soon(give_up_when_charged, lab)
            shot = await lab.shoot(small_photo, slot="slot-002", timeout=1 if how == "the booth leaves" else 20)
        assert (shot.status == 200) == (how == "a makeshift wins")
        await lab.rest()
        job = await lab.job()
        await until(lambda: is_ended(lab, job["id"]))
        attempt = (await lab.attempts(job["id"]))[0]
        [call] = lab.simulator.calls
        assert call.client_gone
        assert attempt["outcome"] in ("cancelled", "timeout")
        assert attempt["possibly_billed"]
        assert attempt["cost_microusd"] == attempt["estimate_microusd"] == estimate(lab)
        assert attempt["cost_microusd"] == pytest.approx(call.charged_microusd, rel=0.01)
        assert (await lab.job())["cost_microusd"] == attempt["cost_microusd"]
        after = lab.house.ledger.level(None)
        assert (after.spent - before.spent, after.reserved) == (attempt["cost_microusd"], 0)

    async def give_up_when_charged(lab: Lab) -> None:
        await until(lambda: lab.simulator.charged_microusd > 0)
        lab.house.lanes.cancel_all()

    async def is_ended(lab: Lab, job_id: Any) -> bool:
        return all(attempt["outcome"] for attempt in await lab.attempts(job_id))

    drawing.run(give_up)


# --- the edge of a cap ------------------------------------------------------------------------------------------


async def test_fifteen_photos_at_the_edge_of_the_houses_cap(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    """And after a restart the house still knows what it spent today."""
    slots = [f"slot-{number:03d}" for number in range(1, 16)]
    three_calls: dict[str, Any] = {"budget_day_usd": 0.24, "answer": small_photo, **FAST}
    async with running_house(tmp_path, postgres_url, **three_calls) as lab:
        assert 3 * estimate(lab) < 240_000 < 4 * estimate(lab)
        before = until_tomorrow()
        shots = await at_once(lab, small_photo, slots)
        await lab.rest()
        assert sum(shot.status == 200 for shot in shots) == len(lab.simulator.calls) == 3
        for shot in shots:
            if shot.status != 200:
                check_refused(shot, before)
        booked = await lab.house.db.fetchval("SELECT sum(cost_microusd)::bigint FROM job")
        assert booked == lab.house.ledger.level(None).spent
        assert booked == pytest.approx(3 * estimate(lab), rel=0.01)
        assert await lab.count("attempt") == 3
        assert (await shares(lab))["house"] == pytest.approx(booked / 240_000)

    async with running_house(tmp_path, postgres_url, **three_calls) as lab:
        level = lab.house.ledger.level(None)
        assert (level.cap, level.spent, level.reserved) == (240_000, booked, 0)
        assert (await shares(lab))["house"] == pytest.approx(booked / 240_000)
        jobs = await lab.count("job")
        check_refused(await lab.shoot(small_photo), until_tomorrow())
        await lab.rest()
        assert not lab.simulator.calls
        assert await lab.count("job") == jobs


def test_fifteen_photos_at_the_edge_of_a_slots_cap(house: SharedHouse, small_photo: bytes) -> None:
    async def shoot_together(lab: Lab) -> None:
        slot, calls = "slot-003", len(lab.simulator.calls)
        cap = 4 * estimate(lab) + 10_000  # a call costs a little more than was expected
        await lab.set_slot(slot, budget_day_microusd=cap, permits=15, mailbox=20)
        before = until_tomorrow()
        shots = await at_once(lab, small_photo, [slot] * 15)
        await lab.rest()
        assert sum(shot.status == 200 for shot in shots) == len(lab.simulator.calls) - calls == 4
        for shot in shots:
            if shot.status != 200:
                check_refused(shot, before)
        level = lab.house.ledger.level(lab.house.slots.find(slot))
        assert 0 < level.spent <= cap
        assert level.reserved == 0
        assert (await shares(lab))[slot] == pytest.approx(level.spent / cap)
        assert (await lab.shoot(small_photo, slot="slot-004")).status == 200  # the others' money is their own

    house.run(shoot_together)


# --- at the cap -------------------------------------------------------------------------------------------------


def test_at_the_cap_a_photo_is_refused_until_midnight(house: SharedHouse, small_photo: bytes) -> None:
    async def shoot_in_vain(lab: Lab) -> None:
        await lab.set_slot("slot-005", **USED_UP)
        jobs, calls = await lab.count("job"), len(lab.simulator.calls)
        for options in ({"at_budget": "refuse", "last_resort": "original"}, {"last_resort": "error"}):
            await lab.set_slot("slot-005", **options)
            check_refused(await lab.shoot(small_photo, slot="slot-005"), until_tomorrow())
        await lab.rest()
        assert (await lab.count("job"), len(lab.simulator.calls)) == (jobs, calls)
        assert (await shares(lab))["slot-005"] == 1.0
        await lab.set_slot("slot-005", budget_day_microusd=None)
        assert (await lab.shoot(small_photo, slot="slot-005")).status == 200

    house.run(shoot_in_vain)


def test_at_the_cap_the_last_resort_is_an_answer_too(house: SharedHouse, small_photo: bytes) -> None:
    async def shoot_for_the_last_resort(lab: Lab) -> None:
        slot, calls = "slot-006", len(lab.simulator.calls)
        await lab.set_slot(slot, at_budget="last_resort", last_resort="original", **USED_UP)
        shot = await lab.shoot(small_photo, slot=slot)
        assert (shot.status, shot.header("x-photochanger-result"), shot.body) == (200, "original", small_photo)
        await lab.rest()
        job = await lab.job(shot.header("x-job-id"))
        assert (job["status"], job["failure_reason"]) == ("failed", "budget_exhausted")
        assert (job["reply_kind"], job["reply_status"], job["cost_microusd"]) == ("original", 200, 0)

        await lab.set_slot(slot, last_resort="local", last_resort_settings={"look": "sepia"})
        shot = await lab.shoot(small_photo, slot=slot)
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "local")
        assert shot.body != small_photo

        await lab.set_slot(slot, last_resort="error")
        check_refused(await lab.shoot(small_photo, slot=slot), until_tomorrow())
        await lab.rest()
        assert len(lab.simulator.calls) == calls
        attempts = "SELECT count(*) FROM attempt JOIN job ON job.id = job_id WHERE slot_id = $1"
        assert await lab.house.db.fetchval(attempts, slot) == 0

    house.run(shoot_for_the_last_resort)


def test_what_costs_nothing_goes_on_at_the_cap(house: SharedHouse, small_photo: bytes) -> None:
    async def shoot_for_a_look(lab: Lab) -> None:
        slot, calls = "slot-007", len(lab.simulator.calls)
        await lab.set_slot(slot, fallbacks=[LOCAL], **USED_UP)
        for at_budget in ("refuse", "last_resort"):
            await lab.set_slot(slot, at_budget=at_budget)
            shot = await lab.shoot(small_photo, slot=slot)
            assert (shot.status, shot.header("x-photochanger-result")) == (200, "local")
            job = await lab.job(shot.header("x-job-id"))
            assert (job["status"], job["cost_microusd"]) == ("done", 0)
            [attempt] = await lab.attempts(job["id"])
            assert (attempt["provider"], attempt["outcome"]) == ("local", "picture")
        await lab.rest()
        assert len(lab.simulator.calls) == calls

    house.run(shoot_for_a_look)


def test_the_operator_is_told_once_at_50_80_and_100_percent(
    house: SharedHouse, small_photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    slot = "slot-008"

    async def spend_it(lab: Lab) -> None:
        assert (await lab.shoot(small_photo, slot=slot)).status == 200
        await lab.rest()
        cost = (await lab.job())["cost_microusd"]
        await lab.set_slot(slot, budget_day_microusd=round(4.9 * cost))
        shots = [await lab.shoot(small_photo, slot=slot) for _ in range(5)]
        assert [shot.status for shot in shots] == [200, 200, 200, 429, 429]
        await lab.rest()

    with caplog.at_level(logging.WARNING):
        house.run(spend_it)
    told = [record.getMessage() for record in caplog.records if slot in record.getMessage()]
    assert ["over 50 %" in told[0], "over 80 %" in told[1], "lets no call by" in told[2]] == [True] * 3
    assert len(told) == 3
