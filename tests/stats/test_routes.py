"""What administrators are told: over real sockets, of photos that went through the whole house."""

import csv
import io
import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from photochanger.stats.rollup import Rollup
from tests.house.shared import SharedHouse, shared_house
from tests.lab.house import READER, Lab
from tests.lab.pictures import photo
from tests.lab.waiting import until
from tests.postgres import PostgresServer

PHOTO = photo(320, 240)
PATHS = ("slots", "system", "global", "providers", "slot-001", "slot-001/recent_results")


async def count(lab: Lab) -> None:
    """As the house's own roll-up, a minute later."""
    house = lab.house
    ahead = Rollup(house.db, ready=lambda: False, now=lambda: datetime.now(UTC) + timedelta(minutes=1))
    await ahead.catch_up()
    await house.rollup.flush()


async def ask(lab: Lab, path: str, **query: str) -> Any:
    async with lab.api(READER) as api:
        response = await api.get(f"/api/stats/{path}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module")
def told(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house in which something was: slot-001 took three photos, slot-002 refused some, slot-003 failed."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("told")) as house:
        house.run(_evening)
        yield house


async def _evening(lab: Lab) -> None:
    for _ in range(3):
        assert (await lab.shoot(PHOTO)).status == 200
    assert (await lab.shoot(PHOTO, slot="slot-002", password="wrong")).status == 401
    assert (await lab.shoot(b"no photo", slot="slot-002")).status == 415
    assert (await lab.shoot(PHOTO, slot="nowhere")).status == 404
    await lab.set_slot("slot-003", provider="turbotext", settings={})
    assert (await lab.shoot(PHOTO, slot="slot-003")).status in (502, 503)
    await lab.rest()
    await _a_test(lab)
    await count(lab)


async def _a_test(lab: Lab) -> None:
    """An administrator tries a photo, through the real path."""
    form = {"fileToUpload": ("try.jpg", PHOTO, "image/jpeg")}
    async with lab.api() as api:
        response = await api.post("/api/slots/slot-001/test-run", files=form)
    assert response.status_code in (200, 202), response.text
    await lab.rest()


def test_the_house_tells_what_booths_got(told: SharedHouse) -> None:
    answer = told.run(ask, "global")
    total = answer["total"]["counts"]
    assert (total["photos"], total["answered"], total["ai"]) == (4, 3, 3)
    assert total["timeouts"] + total["errors"] == 1
    assert (total["mistaken"], total["turned_away"]) == (3, 0)
    assert answer["total"]["kpis"]["answered_percent"] == 75.0
    assert answer["total"]["kpis"]["answer_p50_ms"] > 0
    assert answer["total"]["kpis"]["overhead_p50_ms"] is not None
    assert {each["name"]: each["count"] for each in answer["total"]["refusals"]} == {
        "invalid_credentials": 1,
        "unsupported_media_type": 1,
        "slot_not_found": 1,
    }
    assert [each["count"] for each in answer["total"]["failures"]] == [1]
    assert answer["targets"] == {"answered_percent": 95.0, "timeout_percent": 5.0, "availability_percent": 99.0}


def test_tests_are_no_photos_but_cost_money(told: SharedHouse) -> None:
    live, tests = told.run(_costs)
    assert live == 3 * tests > 0
    money = {"cost_microusd": live, "tests_microusd": tests}
    assert told.run(ask, "global")["total"]["money"] == money
    (model,) = told.run(ask, "providers")["data"]
    assert (model["calls"], model["pictures"]) == (3, 3)
    assert {name: model[name] for name in money} == money
    slot = told.run(ask, "slot-001")
    assert slot["total"]["counts"]["photos"] == 3
    assert slot["total"]["money"] == money
    assert len(told.run(ask, "slot-001/recent_results")["data"]) == 3


async def _costs(lab: Lab) -> tuple[int, int]:
    sql = "SELECT source, sum(attempt.cost_microusd)::int FROM attempt JOIN job ON job.id = job_id GROUP BY source"
    rows = {row[0]: row[1] for row in await lab.house.db.fetch(sql)}
    return rows["ingest"], rows["ui_test"]


def test_global_is_eight_weeks_from_mondays_on(told: SharedHouse) -> None:
    answer = told.run(ask, "global")
    today = datetime.now(UTC).date()
    weeks = [(date.fromisoformat(each["from"]), date.fromisoformat(each["to"])) for each in answer["data"]]
    assert len(weeks) == 8
    assert all(first.weekday() == 0 for first, _ in weeks)
    assert weeks[-1][1] == today == date.fromisoformat(answer["meta"]["to"])
    assert all(later[0] - earlier[1] == timedelta(days=1) for earlier, later in itertools.pairwise(weeks))
    assert [each["counts"]["photos"] for each in answer["data"]] == [0] * 7 + [4]
    assert answer["data"][0]["kpis"]["answered_percent"] is None


def test_a_slot_is_fourteen_days(told: SharedHouse) -> None:
    answer = told.run(ask, "slot-001")
    assert [each["counts"]["photos"] for each in answer["data"]] == [0] * 13 + [3]
    assert all(each["from"] == each["to"] for each in answer["data"])
    assert answer["meta"]["group"] == "day"
    assert answer["data"][0]["availability"] is None  # that is the house's


def test_all_slots_now(told: SharedHouse) -> None:
    answer = told.run(ask, "slots")
    slots = {each["slot_id"]: each for each in answer["data"]}
    assert len(slots) == 15
    first, second, third = (slots[f"slot-00{number}"] for number in (1, 2, 3))
    assert (first["counts"]["photos"], first["at_work"], first["waiting"]) == (3, 0, 0)
    assert first["budget"]["spent_microusd"] > 0
    assert first["budget"]["cap_microusd"] is None
    assert first["last_job"]["source"] == "ui_test"
    assert first["last_errors"] == []
    assert [each["name"] for each in second["refusals"]] == ["invalid_credentials", "unsupported_media_type"]
    assert second["last_job"] is None
    assert len(third["last_errors"]) == 1
    assert third["last_errors"][0]["failure_reason"]
    assert answer["unknown_slot"] == [{"name": "slot_not_found", "count": 1}]


def test_the_house_now(told: SharedHouse) -> None:
    answer = told.run(ask, "system")
    assert (answer["in_flight"], answer["journal"], answer["draining"]) == (0, 0, False)
    assert answer["database_available"] is True
    assert len(answer["data"]) == 15
    assert {each["name"] for each in answer["providers"]} >= {"gemini", "turbotext", "local"}
    assert answer["last_day"]["counts"]["photos"] == 4
    assert answer["last_day"]["kpis"]["answered_percent"] == 75.0


def test_recent_results_lead_to_the_pictures(told: SharedHouse) -> None:
    results = told.run(ask, "slot-001/recent_results")["data"]
    made = [each["created_at"] for each in results]
    assert made == sorted(made, reverse=True)
    assert told.run(_first_byte, results[0]["url"]) == b"\xff\xd8"


async def _first_byte(lab: Lab, url: str) -> bytes:
    async with lab.api(None) as api:
        return (await api.get(url)).content[:2]


def test_providers_tell_of_their_models(told: SharedHouse) -> None:
    models = {each["model"]: each for each in told.run(ask, "providers")["data"]}
    flash = models["gemini-3.1-flash-image"]
    assert (flash["calls"], flash["pictures"], flash["no_image_percent"]) == (3, 3, 0.0)
    assert flash["finish_reasons"] == [{"name": "STOP", "count": 3}]
    assert flash["latency_p50_ms"] <= flash["latency_p95_ms"]


@pytest.mark.parametrize("path", PATHS)
def test_answers_are_stamped(told: SharedHouse, path: str) -> None:
    meta = told.run(ask, path)["meta"]
    as_of, fresh_to = (datetime.fromisoformat(meta[name]) for name in ("as_of", "fresh_to"))
    assert abs(datetime.now(UTC) - as_of) < timedelta(minutes=1)
    assert timedelta(0) <= as_of - fresh_to < timedelta(seconds=60)


def test_the_houses_own_roll_up_says_how_far_it_is(told: SharedHouse) -> None:
    """Fresh means fresh: what ended before the stamp is in the figures."""
    before, after = told.run(_fresh)
    assert after > before


async def _fresh(lab: Lab) -> tuple[str, str]:
    await lab.house.rollup.once()
    before = (await ask(lab, "global"))["meta"]["fresh_to"]
    assert datetime.fromisoformat(before) < datetime.now(UTC)
    await count(lab)
    return before, (await ask(lab, "global"))["meta"]["fresh_to"]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("global", {"from": "2026-01-01", "to": "2026-04-01"}, "from"),  # 91 days
        ("global", {"from": "2026-04-02", "to": "2026-04-01"}, "to"),
        ("global", {"from": "0001-01-01"}, "from"),
        ("global", {"to": "9999-12-31"}, "to"),
        ("global", {"from": "yesterday"}, "from"),
        ("global", {"group": "month"}, "group"),
        ("global", {"format": "xml"}, "format"),
        ("global", {"form": "2026-01-01"}, None),
        ("slot-001", {"from": "2026-01-01", "to": "2026-02-01"}, "from"),  # 32 days
        ("providers", {"from": "2026-01-01", "to": "2026-04-01"}, "from"),
    ],
)
def test_ranges_have_limits(told: SharedHouse, path: str, query: dict[str, str], field: str | None) -> None:
    status, body = told.run(_refused, path, query)
    assert status == 422
    assert field is None or body["errors"][0]["field"] == field


async def _refused(lab: Lab, path: str, query: dict[str, str]) -> tuple[int, Any]:
    async with lab.api(READER) as api:
        response = await api.get(f"/api/stats/{path}", params=query)
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("path", "query", "periods"),
    [
        ("global", {"from": "2026-01-01", "to": "2026-03-31", "group": "day"}, 90),
        ("global", {"from": "2026-01-01", "to": "2026-01-31", "group": "week"}, 5),
        ("global", {"from": "2020-01-01", "group": "day"}, 90),
        ("global", {"from": "2099-12-31"}, 1),
        ("slot-001", {"from": "2026-01-01", "to": "2026-01-31"}, 31),
        ("slot-001", {"to": "2020-01-01"}, 14),
    ],
)
def test_ranges_may_be_as_long_as_promised(told: SharedHouse, path: str, query: dict[str, str], periods: int) -> None:
    assert len(told.run(_with, path, query)["data"]) == periods


async def _with(lab: Lab, path: str, query: dict[str, str]) -> Any:
    return await ask(lab, path, **query)


def test_what_no_slot_is_called_is_not_found(told: SharedHouse) -> None:
    for slot in ("nowhere", "%00", "%ED%A0%80", "a" * 2000):
        for tail in ("", "/recent_results"):
            status, body = told.run(_refused, slot + tail, {})
            assert (status, body["failure_reason"]) == (404, "slot_not_found"), slot


@pytest.mark.parametrize("path", PATHS)
def test_only_who_may_read_statistics_does(told: SharedHouse, path: str) -> None:
    assert told.run(_as_stranger, path) == 401


async def _as_stranger(lab: Lab, path: str) -> int:
    async with lab.api(None) as api:
        return (await api.get(f"/api/stats/{path}")).status_code


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["query", "accept"])
def test_every_answer_is_a_table_too(told: SharedHouse, path: str, how: str) -> None:
    response = told.run(_csv, path, how)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="photochanger-')
    text = response.content.decode("utf-8")
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text[1:], newline="")))
    assert len(rows) == 1 + (1 if path == "system" else len(told.run(ask, path)["data"]))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert text.count("\r\n") == len(rows)


async def _csv(lab: Lab, path: str, how: str) -> Any:
    async with lab.api(READER) as api:
        if how == "query":
            return await api.get(f"/api/stats/{path}?format=csv")
        return await api.get(f"/api/stats/{path}", headers={"Accept": "text/csv"})


def test_a_browser_gets_json(told: SharedHouse) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert told.run(_accepting, accept).startswith("application/json")
    assert told.run(_accepting, "*/*").startswith("application/json")


async def _accepting(lab: Lab, accept: str) -> str:
    async with lab.api(READER) as api:
        return str((await api.get("/api/stats/slots", headers={"Accept": accept})).headers["Content-Type"])


def test_refusals_that_were_answered_with_a_job_are_not_counted_twice(told: SharedHouse) -> None:
    """The failed photo of slot-003 has a row; it is no refusal."""
    slots = {each["slot_id"]: each for each in told.run(ask, "slots")["data"]}
    assert slots["slot-003"]["refusals"] == []


def test_without_a_database_the_house_still_tells_how_it_is(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with shared_house(postgres_server, tmp_path_factory.mktemp("away")) as house:
        name = house.run(_database_name)
        postgres_server.sql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        postgres_server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            house.run(_away)
        finally:
            postgres_server.sql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


async def _database_name(lab: Lab) -> str:
    return str(await lab.house.db.fetchval("SELECT current_database()"))


async def _away(lab: Lab) -> None:
    await until(lambda: not lab.house.db.state.available)
    async with lab.api(READER) as api:
        response = await api.get("/api/stats/system")
        assert response.status_code == 200
        assert response.json()["last_day"] is None
        assert response.json()["database_available"] is False
        for path in ("slots", "global", "providers", "slot-001", "slot-001/recent_results"):
            response = await api.get(f"/api/stats/{path}")
            assert (response.status_code, response.json()["failure_reason"]) == (503, "database_unavailable")
