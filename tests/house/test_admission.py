"""Who is let in: rate limits, the lane's room, the house's room. Whoever is refused hears when to come again."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from photochanger.demo.dslr import Shot
from tests.house.shared import SharedHouse, shared_house, without_hedges
from tests.lab.house import Lab, running_house
from tests.lab.waiting import until
from tests.postgres import PostgresServer

pytestmark = pytest.mark.alone

STATE = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house that takes whatever comes, in which each test has slots of its own."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("admission"), rate_burst=10_000) as house:
        house.run(without_hedges)
        yield house


def left(shot: Shot) -> dict[str, int]:
    """What is left of each limit, as the header says."""
    return {name: int(rest) for name, rest, _ in STATE.findall(shot.header("ratelimit") or "")}


def refused(shot: Shot, reason: str) -> int:
    """The seconds after which to come again."""
    assert shot.problem is not None, shot.why
    assert (shot.status, shot.problem["failure_reason"]) == (429, reason)
    retry_after = int(shot.header("retry-after") or "")
    assert retry_after == shot.problem["retry_after"] >= 1
    return retry_after


async def at_once(lab: Lab, photo: bytes, slots: list[str]) -> list[Shot]:
    shots = []

    async def one(slot: str) -> None:
        shots.append(await lab.shoot(photo, slot=slot))

    async with trio.open_nursery() as nursery:
        for slot in slots:
            nursery.start_soon(one, slot)
    return shots


# --- rates ------------------------------------------------------------------------------------------------------


async def test_the_houses_rate(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    changes: dict[str, Any] = {"rate_per_second": 0.8, "rate_burst": 3, "answer": small_photo}
    async with running_house(tmp_path, postgres_url, **changes) as lab:
        shots = await at_once(lab, small_photo, ["slot-001", "slot-002", "slot-003", "slot-004"])
        policy = '"house";q=3;w=4'
        assert {shot.header("ratelimit-policy") for shot in shots} == {policy}
        [late] = [shot for shot in shots if shot.status != 200]
        assert await lab.count("job") == len(lab.simulator.calls) == 3
        retry_after = refused(late, "rate_limited")
        assert retry_after <= 2  # a token takes 1.25 s
        assert left(late)["house"] == 0
        wrong = await lab.shoot(small_photo, password="wrong")
        assert (wrong.status, wrong.header("ratelimit-policy")) == (401, policy)
        unknown = await lab.shoot(small_photo, slot="slot-999")
        assert (unknown.status, unknown.header("ratelimit-policy")) == (404, None)

        await trio.sleep(retry_after)
        assert (await lab.shoot(small_photo, slot="slot-004")).status == 200
        await lab.rest()


def test_a_slots_rate_is_its_own(house: SharedHouse, small_photo: bytes) -> None:
    async def shoot_fast(lab: Lab) -> None:
        await lab.set_slot("slot-001", rate_per_minute=60, rate_burst=2)
        assert (await lab.shoot(small_photo, slot="slot-001", password="wrong")).status == 401  # and not counted
        calls = len(lab.simulator.calls)
        shots = await at_once(lab, small_photo, ["slot-001"] * 3)
        assert sorted(shot.status or 0 for shot in shots) == [200, 200, 429]
        assert len(lab.simulator.calls) == calls + 2
        for shot in shots:
            assert (shot.header("ratelimit-policy") or "").endswith(', "slot";q=2;w=2')
        [late] = [shot for shot in shots if shot.status == 429]
        assert left(late)["slot"] == 0
        other = await lab.shoot(small_photo, slot="slot-002")
        assert (other.status, set(left(other))) == (200, {"house"})
        await trio.sleep(refused(late, "rate_limited"))
        assert (await lab.shoot(small_photo, slot="slot-001")).status == 200
        await lab.rest()

    house.run(shoot_fast)


# --- the lane ---------------------------------------------------------------------------------------------------


def test_a_wait_that_fits_is_waited_for(house: SharedHouse, small_photo: bytes) -> None:
    async def shoot_three(lab: Lab) -> None:
        lab.simulator.reset()
        lab.simulator.default("slow(0.4)")
        await lab.set_slot("slot-003", permits=1)
        shots = await at_once(lab, small_photo, ["slot-003"] * 3)
        assert [shot.status for shot in shots] == [200] * 3
        waited = sorted(shot.elapsed for shot in shots)
        assert waited[1] >= 0.8
        assert waited[2] >= 1.2  # one after the other
        await lab.rest()

    house.run(shoot_three)


async def test_a_wait_that_cannot_fit_is_refused_at_once(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    """Once it is known what a photo takes. Whoever is let in gets a picture; the others hear when there is room."""
    async with running_house(tmp_path, postgres_url) as lab:
        lab.simulator.default("slow(0.5)")
        measured = [f"slot-{number:03d}" for number in range(2, 10)]
        assert {shot.status for shot in await at_once(lab, small_photo, measured)} == {200}
        await lab.rest()
        usual = lab.house.groups["gemini"].latencies()["gemini-3.1-flash-image"]
        assert 0.5 <= usual.p50 <= usual.p90
        await lab.set_slot(permits=1, mailbox=50, t_sync_seconds=5, hedge=False)
        shots: list[Shot] = []

        async def one() -> None:
            shots.append(await lab.shoot(small_photo))

        def in_the_lane() -> int:
            return sum(lab.house.lanes.statistics()["slot-001"])

        async with trio.open_nursery() as nursery:
            for sent in range(10):
                nursery.start_soon(one)
                await until(lambda sent=sent: in_the_lane() + len(shots) == sent + 1)  # type: ignore[misc]
                if any(shot.status == 429 for shot in shots):
                    break
            [in_vain] = [shot for shot in shots if shot.status == 429]
            retry_after, before_it = refused(in_vain, "slot_busy"), in_the_lane()
            assert before_it >= 1
            assert retry_after <= before_it * usual.p90 + 1
            assert in_vain.elapsed < retry_after, "it was kept waiting for nothing"
            await trio.sleep(retry_after)
            assert (await lab.shoot(small_photo)).status == 200
        shots.remove(in_vain)
        assert {shot.status for shot in shots} == {200}
        await lab.rest()
        assert await lab.count("job") == len(measured) + len(shots) + 1


# --- the house --------------------------------------------------------------------------------------------------


async def test_the_houses_room_and_what_takes_none_of_it(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, queue_max_in_flight_jobs=2, on_timeout="store") as lab:
        lab.simulator.scenario("slow(4)", "slow(4)")
        for slot in ("slot-001", "slot-002"):
            await lab.set_slot(slot, t_sync_seconds=2, hedge=False)
        shots: list[Shot] = []

        async def one(slot: str) -> None:
            shots.append(await lab.shoot(small_photo, slot=slot))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, "slot-001")
            nursery.start_soon(one, "slot-002")
            await until(lambda: len(lab.simulator.calls) == 2)
            in_vain = await lab.shoot(small_photo, slot="slot-003")
            retry_after = refused(in_vain, "queue_full")
            assert retry_after <= 3, "later than both windows end"
            assert len(lab.simulator.calls) == 2
            await trio.sleep(retry_after)
            # Nobody waits for the two any more. They are still at work, and in nobody's way.
            await until(lambda: lab.house.lanes.late == 2)
            assert (await lab.shoot(small_photo, slot="slot-003")).status == 200
        assert [shot.status for shot in shots] == [504, 504]
        await lab.rest()
        states = "SELECT status, late, count(*)::int FROM job GROUP BY status, late ORDER BY late"
        assert [tuple(row) for row in await lab.house.db.fetch(states)] == [("done", False, 1), ("done", True, 2)]
