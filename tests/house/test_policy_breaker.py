"""A provider that has become ill is left alone, asked one careful question, and used again once it is well."""

from pathlib import Path

import trio

from photochanger.domain.breaker import Breaker
from photochanger.providers.overrides import write_override
from tests.house.policy import (
    LOCAL,
    gemini,
    get,
    job_of,
    outcomes,
    reason_of,
    set_plans,
    shoot_at_once,
    the_bill_is_booked,
)
from tests.lab.house import Lab, running_house
from tests.lab.waiting import until

OPEN_FOR = 1.0


def position(lab: Lab) -> str:
    return lab.house.groups["gemini"].breaker.state(trio.current_time()).state


async def test_it_opens_and_recovers(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=9.0) as lab:
        lab.house.groups["gemini"].breaker = Breaker(open_for=OPEN_FOR)
        await set_plans(lab, gemini(), LOCAL)
        lab.simulator.scenario(*["error(503)"] * 5)
        results = []
        for _ in range(6):
            shot = await lab.shoot(small_photo)
            results.append((shot.status, shot.header("x-photochanger-result")))
        assert results == [(200, "local")] * 6
        assert len(lab.simulator.calls) == 5  # the sixth photo asked nobody in vain
        assert position(lab) == "open"
        assert "503" not in (await get(lab, "/healthz")).text  # upstream's words are for the rows
        await until(lambda: position(lab) == "half_open")
        assert (await get(lab, "/healthz")).json()["checks"]["provider.gemini"].startswith("half-open since ")

        # One photo at a time finds out; the others do not wait for it.
        lab.simulator.scenario("slow(0.5)+error(503)")
        failed, aside = await shoot_at_once(lab, [(small_photo, "slot-001")] * 2)
        assert {failed.header("x-photochanger-result"), aside.header("x-photochanger-result")} == {"local"}
        assert len(lab.simulator.calls) == 6
        state = lab.house.groups["gemini"].breaker.state(trio.current_time())
        assert state.state == "open"
        assert state.since is not None
        assert state.until is not None
        assert state.until - state.since == OPEN_FOR * 2

        await until(lambda: position(lab) == "half_open")
        lab.simulator.scenario("slow(0.5)")
        both = await shoot_at_once(lab, [(small_photo, "slot-001")] * 2)
        assert sorted(str(shot.header("x-photochanger-result")) for shot in both) == ["ai", "local"]
        assert position(lab) == "closed"
        both = await shoot_at_once(lab, [(small_photo, "slot-001")] * 2)
        assert [shot.header("x-photochanger-result") for shot in both] == ["ai", "ai"]
        assert len(lab.simulator.calls) == 9
        await lab.rest()
        ill = await lab.house.db.fetch("SELECT * FROM attempt WHERE outcome = 'overloaded'")
        assert len(ill) == 6
        assert {(row["http_status"], row["cost_microusd"], row["possibly_billed"]) for row in ill} == {(503, 0, False)}
        await the_bill_is_booked(lab)


async def test_it_opens_under_a_photo_that_is_being_tried_again(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    """The calls of one photo alone do it; what is left of its window is not waited for."""
    async with running_house(tmp_path, postgres_url, t_sync=9.5, reserve=0.5) as lab:
        lab.house.groups["gemini"].breaker = Breaker(least=3)
        lab.simulator.default("error(503)")
        shot = await lab.shoot(small_photo)
        assert reason_of(shot) == (502, "provider_error")
        assert position(lab) == "open"
        await lab.rest()
        job = await job_of(lab, shot)
        assert [each for _, each in await outcomes(lab, job)] == ["overloaded"] * 3
        assert (job["retries"], job["cost_microusd"]) == (2, 0)
        assert job["finished_at"] < job["deadline"]


async def test_an_operator_has_the_last_word(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=9.0) as lab:
        await write_override(lab.house.db, "gemini", "open", by="test")
        await until(lambda: position(lab) == "open")
        assert (await get(lab, "/healthz")).json()["checks"]["provider.gemini"].endswith(": manual")
        assert reason_of(await lab.shoot(small_photo)) == (503, "provider_unavailable")
        await write_override(lab.house.db, "gemini", None, by="test")
        await until(lambda: position(lab) == "closed")
        assert (await lab.shoot(small_photo)).status == 200
        assert len(lab.simulator.calls) == 1
        await lab.rest()
