"""`/api/settings`: what applies, what may be set, versions, the journal."""

from dataclasses import replace
from typing import Any

import pytest
import trio

from photochanger.settings.house import FIELDS
from tests.house.shared import SharedHouse
from tests.lab.house import READER, Lab
from tests.settings.asking import changed, errors, fresh, put, seen

VALID = {
    "t_sync": 30,
    "t_late": 0,
    "result_ttl_hours": 168,
    "original_ttl_hours": 12.5,
    "cleanup": False,
    "rate_per_second": 0.5,
    "rate_burst": 7,
    "queue_max_in_flight_jobs": 12,
    "provider_permits_live": 3,
    "provider_permits_late": 0,
    "early_hedges": 0.25,
    "budget_day_microusd": 20_000_000,
}


@pytest.fixture(autouse=True)
def untouched(house: SharedHouse) -> None:
    """Each test begins with what the environment says."""
    house.run(fresh)


def test_everything_is_told_and_everything_can_be_set(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        before, etag = await seen(lab)
        assert set(before["settings"]) == set(FIELDS) == set(VALID)
        assert before["settings"]["t_sync"] == {
            "value": 10,
            "default": 10,
            "overridden": False,
            "environment": "T_SYNC_RESPONSE",
            "about": FIELDS["t_sync"].about,
            "minimum": 10,
            "maximum": 60,
            "nullable": False,
        }
        answer = await put(lab, VALID, etag=etag)
        assert answer.status_code == 200, answer.text
        after = answer.json()
        assert {name: each["value"] for name, each in after["settings"].items()} == VALID
        assert all(each["overridden"] for each in after["settings"].values())
        assert answer.headers["etag"] == f'"{after["version"]}"' != etag
        assert (after["version"], after["updated_by"]) == (before["version"] + 1, "serg")
        assert (await seen(lab)) == (after, answer.headers["etag"])
        now = lab.house.settings.now
        assert {name: getattr(now, name) for name in FIELDS} == VALID

    house.run(scene)


def test_null_and_reset_leave_a_field_to_the_environment(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        await changed(lab, **VALID)
        settings = (await changed(lab, t_sync=None, budget_day_microusd=None))["settings"]
        assert (settings["t_sync"]["value"], settings["t_sync"]["overridden"]) == (10, False)
        # No cap is a value of this one, so null cannot mean "as the environment says".
        assert (settings["budget_day_microusd"]["value"], settings["budget_day_microusd"]["overridden"]) == (None, True)
        settings = (await changed(lab, reset=["budget_day_microusd", "cleanup"], t_late=60))["settings"]
        assert settings["budget_day_microusd"]["overridden"] is False
        assert (settings["cleanup"]["value"], settings["cleanup"]["overridden"]) == (True, False)
        assert settings["t_late"]["value"] == 60

    house.run(scene)


def test_a_change_that_changes_nothing_makes_no_version(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        before = (await changed(lab, t_sync=30))["version"]
        for same in ({"t_sync": 30}, {"t_sync": 30.0}, {}, {"reset": ["t_late"]}, {"t_late": None}):
            assert (await changed(lab, **same))["version"] == before
        assert (await changed(lab, t_sync=31))["version"] == before + 1

    house.run(scene)


WRONG: list[tuple[str, Any, str]] = [
    (name, value, message)
    for name, field in FIELDS.items()
    for value, message in (
        ([(0, "must be true or false"), ("on", "must be true or false")] if field.kind is bool else [])
        + (
            [
                (field.high + 1, f"must be from {field.low:g} to {field.high:g}"),
                (field.low - 0.001, f"must be from {field.low:g} to {field.high:g}"),
                (10**30, f"must be from {field.low:g} to {field.high:g}"),
                (10**400, f"must be from {field.low:g} to {field.high:g}"),  # more than a float can be
                ("5", "must be a"),
                (True, "must be a"),
                ([], "must be a"),
            ]
            if field.kind is not bool
            else []
        )
        + ([(field.low + 0.5, "must be a whole number")] if field.kind is int else [])
    )
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG, ids=lambda given: str(given)[:40])
def test_what_is_out_of_bounds_is_refused(house: SharedHouse, name: str, value: Any, message: str) -> None:
    async def scene(lab: Lab) -> None:
        found = errors(await put(lab, {name: value}))
        assert found.keys() == {name}
        assert found[name].startswith(message)

    house.run(scene)


@pytest.mark.parametrize(("name", "field"), [each for each in FIELDS.items() if each[1].kind is not bool])
def test_the_bounds_themselves_are_taken(house: SharedHouse, name: str, field: Any) -> None:
    async def scene(lab: Lab) -> None:
        apart = {} if name == "result_ttl_hours" else {"result_ttl_hours": 168}
        for bound in (field.low, field.high):
            settings = (await changed(lab, **apart | {name: bound}))["settings"]
            assert settings[name]["value"] == bound
        assert replace(lab.house.settings.now, **{name: bound}) == lab.house.settings.now

    house.run(scene)


def test_all_that_is_wrong_is_told_at_once(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        before, _ = await seen(lab)
        body = {"t_sync": 9, "t_late": "long", "nonsense": 1, "reset": ["cleanup", "more"], "cleanup": True, "t_x": 0}
        assert errors(await put(lab, body | {"result_ttl_hours": 24, "original_ttl_hours": 25})) == {
            "t_sync": "must be from 10 to 60",
            "t_late": "must be a number",
            "nonsense": "there is no such field",
            "t_x": "there is no such field",
            "reset": "there is no field 'more'",
            "cleanup": "is given and reset at once",
            "original_ttl_hours": "a guest's own photo must not be kept for longer than the result: "
            "original_ttl_hours > result_ttl_hours",
        }
        assert (await seen(lab))[0] == before

    house.run(scene)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"result_ttl_hours": 24, "original_ttl_hours": 25}, "original_ttl_hours"),
        ({"original_ttl_hours": 73}, "original_ttl_hours"),
        ({"original_ttl_hours": 72}, None),
    ],
)
def test_an_original_lives_no_longer_than_the_result(house: SharedHouse, body: Any, field: str | None) -> None:
    async def scene(lab: Lab) -> None:
        if field is None:
            await changed(lab, **body)
            assert errors(await put(lab, {"result_ttl_hours": 48})).keys() == {"result_ttl_hours"}
        else:
            assert errors(await put(lab, body)).keys() == {field}

    house.run(scene)


def test_versions(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        _, etag = await seen(lab)
        async with lab.api() as api:
            assert (await api.put("/api/settings", json={"t_sync": 20})).json()["failure_reason"] == (
                "precondition_required"
            )
        assert (await put(lab, {"t_sync": 20}, etag='"123456"')).json()["failure_reason"] == "version_conflict"
        assert (await put(lab, {"t_sync": 20}, etag="W/x")).status_code == 412
        assert (await put(lab, {"t_sync": 20}, etag=etag)).status_code == 200
        assert (await put(lab, {"t_sync": 21}, etag=etag)).status_code == 412
        assert (await seen(lab))[0]["settings"]["t_sync"]["value"] == 20

    house.run(scene)


def test_of_twenty_writers_exactly_one_wins(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        before, etag = await seen(lab)
        statuses: list[int] = []
        values = [10 + number for number in range(20)]

        async def write(value: int) -> None:
            answer = await put(lab, {"t_late": value}, etag=etag)
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                won.append(value)

        won: list[int] = []
        async with trio.open_nursery() as nursery:
            for value in values:
                nursery.start_soon(write, value)
        assert sorted(statuses) == [200] + [412] * 19
        after, _ = await seen(lab)
        assert (after["version"], after["settings"]["t_late"]["value"]) == (before["version"] + 1, won[0])

    house.run(scene)


def test_twenty_writers_of_any_version_lose_no_field(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        before, _ = await seen(lab)
        async with trio.open_nursery() as nursery:
            for name, value in VALID.items():
                nursery.start_soon(put, lab, {name: value})
        after, _ = await seen(lab)
        assert {name: each["value"] for name, each in after["settings"].items()} == VALID
        assert after["version"] == before["version"] + len(VALID)

    house.run(scene)


def test_the_journal_tells_who_changed_what(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        await changed(lab, t_sync=20)
        await changed(lab, t_sync=25, t_late=5)
        last = await changed(lab, t_sync=None)
        async with lab.api() as api:
            first = (await api.get("/api/settings/changes", params={"limit": 2, "key": "house"})).json()
            cursor = first["meta"]["next_cursor"]
            second = (await api.get("/api/settings/changes", params={"limit": 1, "cursor": cursor})).json()
            assert (await api.get("/api/settings/changes", params={"cursor": "rubbish"})).status_code == 422
            everything = (await api.get("/api/settings/changes", params={"limit": 200})).json()
        assert [(each["before"], each["after"]) for each in (*first["data"], *second["data"])] == [
            ({"t_sync": 25}, {}),
            ({"t_sync": 20}, {"t_sync": 25, "t_late": 5}),
            ({}, {"t_sync": 20}),
        ]
        assert {(each["key"], each["changed_by"]) for each in first["data"]} == {("house", "serg")}
        assert first["data"][0]["version"] == last["version"]
        times = [each["changed_at"] for each in everything["data"]]
        assert times == sorted(times, reverse=True)

    house.run(scene)


def test_every_page_of_the_journal_together_is_the_journal(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        for value in range(5):
            await changed(lab, t_late=value)
        async with lab.api() as api:
            whole = (await api.get("/api/settings/changes", params={"limit": 200})).json()["data"]
            pages: list[Any] = []
            cursor: dict[str, str] = {}
            while True:
                page = (await api.get("/api/settings/changes", params={"limit": "3", **cursor})).json()
                pages += page["data"]
                if page["meta"]["next_cursor"] is None:
                    break
                cursor = {"cursor": page["meta"]["next_cursor"]}
        assert pages == whole

    house.run(scene)


def test_permissions(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        for username, status in ((None, 401), (READER, 403)):
            assert (await put(lab, {"t_sync": 20}, username=username)).status_code == status
            async with lab.api(username) as api:
                assert (await api.get("/api/settings")).status_code == status
                assert (await api.get("/api/settings/changes")).status_code == status
                assert (await api.post("/api/settings/ingest-password")).status_code == status
                for url in ("/api/settings/provider-keys/gemini", "/api/settings/provider-keys/nobody"):
                    assert (await api.put(url, json={"key": "k" * 20})).status_code == status
                    assert (await api.delete(url)).status_code == status
                    assert (await api.post(url + "/check")).status_code == status

    house.run(scene)


def test_a_row_that_was_spoilt_by_hand_stops_nobody(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        await changed(lab, t_sync=20)
        spoilt = {"t_sync": "soon", "rate_burst": -1, "t_late": 7, "who": "knows"}
        await lab.house.db.execute("UPDATE settings SET value = $1, version = version + 1 WHERE key = 'house'", spoilt)
        settings = (await seen(lab))[0]["settings"]
        assert (settings["t_sync"]["value"], settings["rate_burst"]["value"], settings["t_late"]["value"]) == (
            10,
            30,
            7,
        )
        await lab.house.db.execute("UPDATE settings SET value = '[]', version = version + 1 WHERE key = 'house'")
        assert (await seen(lab))[0]["settings"]["t_late"]["value"] == 120
        await changed(lab, t_late=9)

    house.run(scene)
