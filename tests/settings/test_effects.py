"""What is set takes effect without a restart, in every process; photos in flight keep what they came under."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from photochanger.demo.dslr import Shot
from tests.house.policy import get, job_of, reason_of, the_bill_is_booked
from tests.lab.house import Lab, running_house
from tests.lab.waiting import until
from tests.settings.asking import changed, put, seen


async def write_row(lab: Lab, **values: Any) -> None:
    """What the API would not take: tests do not wait for ten seconds. The house hears of it by itself."""
    version = lab.house.settings.row("house").version
    await lab.house.db.execute(
        "INSERT INTO settings (key, value) VALUES ('house', $1) "
        "ON CONFLICT (key) DO UPDATE SET value = settings.value || EXCLUDED.value, version = settings.version + 1",
        values,
    )
    await until(lambda: lab.house.settings.row("house").version == version + 1)
    await until(lambda: lab.house.slots.all()[0].t_sync == lab.house.settings.now.t_sync)  # the last part to know it


def window_of(job: dict[str, Any]) -> float:
    """Seconds from the job's making to its deadline: the window without what the upload has taken of it."""
    return float((job["deadline"] - job["created_at"]).total_seconds())


async def test_the_next_photo_is_answered_by_the_new_window(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=25.0, t_late=20.0, on_timeout="store") as lab:
        await lab.set_slot("slot-002", t_sync_seconds=26, t_late_seconds=7)
        lab.simulator.default("slow(4)")
        shots: dict[str, Shot] = {}

        async def shoot(name: str, slot: str) -> None:
            shots[name] = await lab.shoot(small_photo, slot=slot)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shoot, "in flight", "slot-001")
            await until(lambda: len(lab.simulator.calls) == 1)
            await write_row(lab, t_sync=1.5, t_late=60, result_ttl_hours=24)
            nursery.start_soon(shoot, "after", "slot-001")
            nursery.start_soon(shoot, "of its own", "slot-002")
        assert (shots["in flight"].status, shots["of its own"].status) == (200, 200)
        assert reason_of(shots["after"]) == (504, "provider_timeout")
        await lab.rest()
        jobs = {name: await job_of(lab, shot) for name, shot in shots.items()}
        assert window_of(jobs["after"]) <= 1.5
        assert 5 < window_of(jobs["in flight"]) <= 25
        assert 5 < window_of(jobs["of its own"]) <= 26
        late = {name: (job["settle_by"] - job["deadline"]).total_seconds() for name, job in jobs.items()}
        assert late == {"in flight": 20, "after": 60, "of its own": 7}
        hours = {}
        for name, job in jobs.items():
            sql = "SELECT expires_at - created_at FROM result WHERE job_id = $1"
            hours[name] = await lab.house.db.fetchval(sql, job["id"])
        assert hours == {
            "in flight": timedelta(hours=72),
            "after": timedelta(hours=24),  # it came late, and is kept as it was to be when it was taken in
            "of its own": timedelta(hours=24),
        }
        await the_bill_is_booked(lab)


async def test_a_window_back_to_the_environments(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=2.0) as lab:
        await changed(lab, t_sync=30)
        assert lab.house.slots.all()[0].t_sync == 30
        await changed(lab, t_sync=None)
        assert {slot.t_sync for slot in lab.house.slots.all()} == {2.0}
        lab.simulator.default("hang")
        assert reason_of(await lab.shoot(small_photo)) == (504, "provider_timeout")
        await lab.rest()


async def test_a_stop_waits_for_windows_that_were_longer(
    tmp_path: Path, postgres_url: str, small_photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photochanger.app.DRAIN_MARGIN", 0.1)
    async with running_house(tmp_path, postgres_url, t_sync=10.0) as lab:
        lab.simulator.default("slow(3)")
        shots: list[Shot] = []

        async def shoot() -> None:
            shots.append(await lab.shoot(small_photo))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shoot)
            await until(lambda: len(lab.simulator.calls) == 1)
            await write_row(lab, t_sync=0.2)
            lab.house.begin_drain()
        assert [shot.status for shot in shots] == [200]


async def test_rate_limits(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        shot = await lab.shoot(small_photo)
        assert '"house";q=30;' in str(shot.header("ratelimit-policy"))
        await changed(lab, rate_per_second=0.01, rate_burst=1)
        shot = await lab.shoot(small_photo)
        assert (shot.status, shot.header("ratelimit-policy")) == (200, '"house";q=1;w=100')
        await changed(lab, t_late=100)  # another setting gives nobody a full bucket
        assert reason_of(await lab.shoot(small_photo)) == (429, "rate_limited")
        await changed(lab, rate_burst=2)
        assert (await lab.shoot(small_photo)).status == 200


async def test_the_days_money(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, budget_day_usd=0.0) as lab:
        assert reason_of(await lab.shoot(small_photo)) == (429, "budget_exhausted")
        await changed(lab, budget_day_microusd=10_000_000)
        assert (await lab.shoot(small_photo)).status == 200
        spent = lab.house.ledger.level(None).spent
        assert spent > 0
        await changed(lab, budget_day_microusd=spent)
        assert reason_of(await lab.shoot(small_photo)) == (429, "budget_exhausted")
        await changed(lab, budget_day_microusd=None)
        assert (await lab.shoot(small_photo)).status == 200
        assert "photochanger_budget" in (await get(lab, "/metrics")).text
        await changed(lab, reset=["budget_day_microusd"])
        assert reason_of(await lab.shoot(small_photo)) == (429, "budget_exhausted")
        await the_bill_is_booked(lab)


async def test_room_in_the_house_and_at_providers(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        lab.simulator.default("slow(2)")
        await changed(lab, queue_max_in_flight_jobs=1, provider_permits_live=1, provider_permits_late=0)
        shots: list[Shot] = []

        async def shoot() -> None:
            shots.append(await lab.shoot(small_photo))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shoot)
            await until(lambda: len(lab.simulator.calls) == 1)
            assert reason_of(await lab.shoot(small_photo, slot="slot-002")) == (429, "queue_full")
            await changed(lab, queue_max_in_flight_jobs=2)
            nursery.start_soon(shoot)
            await until(lambda: lab.house.lanes.in_flight == 2)
            permits = lab.house.groups["gemini"].permits
            assert (permits.total("live"), permits.total("late"), len(lab.simulator.calls)) == (1, 0, 1)
        assert [shot.status for shot in shots] == [200, 200]
        await lab.rest()


async def test_early_hedges(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        hedges = lab.house.workshop.hedges
        await changed(lab, early_hedges=1)
        hedges.photo()
        assert hedges.allowed
        await changed(lab, early_hedges=0)
        hedges.photo()
        assert not hedges.allowed


async def test_every_house_on_the_database_follows(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with (
        running_house(tmp_path / "a", postgres_url) as one,
        running_house(tmp_path / "b", postgres_url, t_late=33.0) as two,
    ):
        await changed(one, t_sync=20, rate_burst=1, rate_per_second=0.01)
        await until(lambda: {slot.t_sync for slot in two.house.slots.all()} == {20})
        assert [(await two.shoot(small_photo)).status for _ in range(2)] == [200, 429]
        # What nobody has said is each house's own environment.
        assert ((await seen(one))[0]["settings"]["t_late"]["value"]) == 120
        assert ((await seen(two))[0]["settings"]["t_late"]["value"]) == 33
        # The version is the same one, so that either of them can be asked to change it.
        _, etag = await seen(two)
        assert (await put(one, {"t_sync": 21}, etag=etag)).status_code == 200
        assert (await put(two, {"t_sync": 22}, etag=etag)).status_code == 412
        await until(lambda: two.house.settings.now.t_sync == 21)


async def test_what_was_set_is_there_after_a_restart(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        await changed(lab, t_sync=20, result_ttl_hours=100, rate_burst=5, budget_day_microusd=7)
    async with running_house(tmp_path, postgres_url) as lab:
        assert {slot.t_sync for slot in lab.house.slots.all()} == {20}
        assert lab.house.workshop.result_ttl == timedelta(hours=100)
        assert lab.house.ledger.cap_day_microusd == 7
        assert lab.house.settings.now.rate_burst == 5


async def test_without_a_database_nothing_is_lost_or_promised(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        await changed(lab, t_sync=20)
        lab.house.db.disconnect("a test")
        answer = await put(lab, {"t_sync": 25})
        assert (answer.status_code, answer.json()["failure_reason"]) == (503, "database_unavailable")
        assert lab.house.settings.now.t_sync == 20
        async with lab.api() as api:
            for method, path in (
                ("GET", "/api/settings"),
                ("GET", "/api/settings/changes"),
                ("DELETE", "/api/settings/provider-keys/gemini"),
                ("POST", "/api/settings/ingest-password"),
            ):
                await until(lambda: lab.house.db.state.available)  # it heals itself
                lab.house.db.disconnect("a test")
                assert (await api.request(method, path)).status_code == 503, path
