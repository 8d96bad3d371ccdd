"""Many at once: one change for many slots, many writers on one slot, presets, photos that are in flight."""

import threading
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx
import pytest
import trio

from photochanger.media.threads import Priority
from tests.house.shared import SharedHouse
from tests.lab.house import PASSWORD, READER, Lab
from tests.lab.pictures import photo
from tests.slots.asking import LOCAL, change, made, shown, told

PHOTO = photo(64, 48)


async def bulk(lab: Lab, slots: Any, fields: Any, **besides: Any) -> Any:
    async with lab.api() as api:
        return await api.post("/api/slots/bulk", json={"slots": slots, "change": fields, **besides})


async def versions(lab: Lab) -> dict[str, int]:
    return {row["id"]: row["version"] for row in await lab.house.db.fetch("SELECT id, version FROM slot")}


# --- one change for many slots ------------------------------------------------------------------------------------


def test_all_take_a_change_and_each_tells_its_version(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        ids = [(await made(lab))["id"] for _ in range(3)]
        assert (await change(lab, ids[1], {"permits": 9})).status_code == 200
        before = await versions(lab)
        response = await bulk(lab, [*ids, ids[0]], {"permits": 9}, versions={ids[0]: 1})
        assert response.json() == {
            "data": [
                {"id": ids[0], "version": 2, "changed": True},
                {"id": ids[1], "version": 2, "changed": False},
                {"id": ids[2], "version": 2, "changed": True},
            ],
            "meta": {"dry_run": False, "total": 3},
        }
        assert await versions(lab) == before | dict.fromkeys(ids, 2)
        for slot_id in (ids[0], ids[2]):
            assert (await shown(lab, slot_id, "/changes"))["data"][0]["action"] == "changed_with_others"
            assert lab.house.slots.find(slot_id).permits == 9  # type: ignore[union-attr]

    house.run(ask)


def test_switching_all_to_another_provider(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        archived = (await made(lab))["id"]
        await change(lab, archived, None, method="DELETE")
        before = await versions(lab)
        tried = await bulk(lab, "all", LOCAL | {"templates": []}, dry_run=True)
        assert tried.status_code == 200, tried.text
        assert await versions(lab) == before
        told_ids = {each["id"] for each in tried.json()["data"]}
        assert archived not in told_ids
        assert {f"slot-{number:03}" for number in range(1, 16)} <= told_ids
        assert all(each["version"] == before[each["id"]] + each["changed"] for each in tried.json()["data"])

    house.run(ask)


def test_one_that_cannot_keeps_all_from_it(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        ids = [(await made(lab))["id"] for _ in range(3)]
        await change(lab, ids[1], {"provider": "gemini", "operation": "edit", "settings": {"prompt": "Paint"}})
        before = await versions(lab)
        errors = told(await bulk(lab, ids, {"settings": {"look": "sepia"}}), 422, "validation_failed")
        assert set(errors) == {f"{ids[1]}.settings.look"}
        for slots, besides, status, reason in (
            ([*ids, "slot-999"], {}, 404, "slot_not_found"),
            ([*ids, "Slot"], {}, 422, "validation_failed"),
            (ids, {"versions": {ids[2]: 7}}, 412, "version_conflict"),
            ([], {}, 422, "validation_failed"),
            ("some", {}, 422, "validation_failed"),
            (ids, {"versions": {ids[2]: 10**30}}, 422, "validation_failed"),
            (ids[:2], {"versions": {ids[2]: before[ids[2]]}}, 422, "validation_failed"),
            (ids, {"versions": {ids[2]: 2.5}}, 422, "validation_failed"),
            (ids, {"dry_run": "yes"}, 422, "validation_failed"),
            (ids, {"colour": 1}, 422, "validation_failed"),
        ):
            told(await bulk(lab, slots, {"permits": 8}, **besides), status, reason)
        for fields in ({"version": 3}, {"secret_hash": "x"}, {"id": "x"}, {"colour": 1}, [1], {"permits": 0}):
            told(await bulk(lab, ids, fields), 422, "validation_failed")
        await change(lab, ids[0], None, method="DELETE")
        told(await bulk(lab, ids, {"permits": 8}), 409, "not_possible_now")
        assert await versions(lab) == before | {ids[0]: before[ids[0]] + 1}

    house.run(ask)


def test_a_version_of_a_slot_that_is_not_changed_is_a_mistake(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        one, other, archived = [(await made(lab))["id"] for _ in range(3)]
        await change(lab, archived, None, method="DELETE")
        before = await versions(lab)
        for slots, strangers in (([one], [other, "slot-999"]), ("all", [archived])):
            given = dict.fromkeys((one, *strangers), 1)
            errors = told(await bulk(lab, slots, {"permits": 8}, versions=given), 422, "validation_failed")
            assert set(errors) == {f"versions.{slot_id}" for slot_id in strangers}
        assert await versions(lab) == before

    house.run(ask)


def test_two_that_change_the_same_slots_wait_for_each_other(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        ids = [(await made(lab))["id"] for _ in range(6)]
        answers: list[int] = []

        async def one(number: int) -> None:
            order = ids if number % 2 else list(reversed(ids))
            answers.append((await bulk(lab, order, {"permits": 10 + number})).status_code)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(one, number)
        assert answers == [200] * 8
        after = [await shown(lab, slot_id) for slot_id in ids]
        assert {each["version"] for each in after} == {9}
        assert len({each["permits"] for each in after}) == 1

    house.run(ask)


# --- many writers -------------------------------------------------------------------------------------------------


def test_twenty_writers_lose_no_update(house: SharedHouse) -> None:
    """Each adds one to a number that it has read, until it gets through: at the end all have counted."""

    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab, dedupe_seconds=0))["id"]
        won: Counter[int] = Counter()
        statuses: Counter[int] = Counter()

        async def write(api: httpx.AsyncClient) -> None:
            while True:
                seen = await api.get(f"/api/slots/{slot_id}")
                body = {"dedupe_seconds": seen.json()["dedupe_seconds"] + 1}
                tag = {"If-Match": seen.headers["etag"]}
                response = await api.put(f"/api/slots/{slot_id}", json=body, headers=tag)
                statuses[response.status_code] += 1
                if response.status_code == 200:
                    won[response.json()["version"]] += 1
                    assert response.json()["dedupe_seconds"] == body["dedupe_seconds"]
                    return

        async with lab.api() as api, trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(write, api)
        now = await shown(lab, slot_id)
        assert (now["dedupe_seconds"], now["version"]) == (20, 21)
        assert won == Counter(range(2, 22))
        assert statuses.keys() == {200, 412}, statuses
        journal = (await shown(lab, slot_id, "/changes"))["data"]
        assert [each["version"] for each in journal] == list(range(21, 0, -1))
        assert [each["after"]["dedupe_seconds"] for each in journal] == list(range(20, -1, -1))

    house.run(ask)


def test_of_twenty_who_saw_the_same_one_gets_through(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        answers: list[tuple[int, int]] = []

        async def write(number: int) -> None:
            response = await change(lab, slot_id, {"permits": 10 + number}, version=1)
            answers.append((response.status_code, number))

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(write, number)
        ((_, winner),) = [each for each in answers if each[0] == 200]
        assert Counter(status for status, _ in answers) == {200: 1, 412: 19}
        assert (await shown(lab, slot_id))["permits"] == 10 + winner

    house.run(ask)


def test_slots_made_at_once_get_numbers_of_their_own(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        ids: list[str] = []

        async def make() -> None:
            ids.append((await made(lab))["id"])

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(make)
        assert len(set(ids)) == 10
        assert set(ids) <= lab.house.lanes.statistics().keys()

    house.run(ask)


# --- presets ------------------------------------------------------------------------------------------------------


def test_a_preset_is_made_changed_applied_and_deleted(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab, name="Mine"))["id"]
        name = f"Sepia {uuid4()}"
        document = {"provider": "local", "operation": "look", "settings": {"look": "sepia"}, "permits": 7}
        async with lab.api() as api:
            response = await api.post("/api/slot-presets", json={"name": name, "document": document})
            preset = response.json()
            path = f"/api/slot-presets/{preset['id']}"
            assert (response.status_code, response.headers["location"], preset["version"]) == (201, path, 1)
            assert preset in (await api.get("/api/slot-presets")).json()["data"]
            assert (await api.get(path)).json() == preset
            taken = await api.post("/api/slot-presets", json={"name": name, "document": document})
            assert "name" in told(taken, 422, "validation_failed")
            told(await api.put(path, json={"name": "x"}), 428, "precondition_required")
            told(await api.put(path, json={"name": "x"}, headers={"If-Match": '"2"'}), 412, "version_conflict")
            other = {"document": {"permits": 8}}
            changed = await api.put(path, json=other, headers={"If-Match": '"1"'})
            assert (changed.json()["document"], changed.headers["etag"]) == ({"permits": 8}, '"2"')

            response = await change(
                lab, slot_id, {"preset_id": preset["id"]}, version=1, path="/apply-preset", method="POST"
            )
            assert (response.status_code, response.json()["permits"], response.json()["name"]) == (200, 8, "Mine")
            newest = (await shown(lab, slot_id, "/changes"))["data"][0]
            assert (newest["action"], newest["after"]) == ("preset_applied", {"permits": 8})
            audited = "SELECT detail FROM audit_event WHERE action = 'slot.preset_applied' AND subject = $1"
            assert await lab.house.db.fetchval(audited, slot_id) == {
                "version": 2, "fields": ["permits"], "preset": name
            }  # fmt: skip
            for body, status in (({"preset_id": str(uuid4())}, 404), ({"preset_id": "x"}, 422), ({}, 422)):
                response = await change(lab, slot_id, body, path="/apply-preset", method="POST")
                assert response.status_code == status

            told(await api.delete(path, headers={"If-Match": '"1"'}), 412, "version_conflict")
            assert (await api.delete(path, headers={"If-Match": '"2"'})).status_code == 204
            told(await api.get(path), 404, "not_found")

    house.run(ask)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "document"),
        ({"permits": 500}, "document.permits"),
        ({"provider": "gemini", "operation": "edit", "settings": {"prompt": ""}}, "document.settings.prompt"),
        ({"fallbacks": [{"provider": "nobody", "operation": "x"}]}, "document.fallbacks[0].provider"),
        *(
            ({field: "x"}, f"document.{field}")
            for field in ("name", "auth", "id", "secret_hash", "password", "version")
        ),
        ({"templates": []}, "document.templates"),
        ({"signing_generation": 9}, "document.signing_generation"),
        ({"last_resort_settings": {"a": "x" * 70_000}}, "document.last_resort_settings"),
    ],
)
def test_what_no_preset_carries(house: SharedHouse, document: Any, field: str) -> None:
    async def ask(lab: Lab) -> None:
        before = await lab.count("slot_preset")
        async with lab.api() as api:
            response = await api.post("/api/slot-presets", json={"name": f"P {uuid4()}", "document": document})
        assert field in told(response, 422, "validation_failed")
        assert await lab.count("slot_preset") == before

    house.run(ask)


def test_a_preset_that_a_slot_cannot_take(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        preset = {"provider": "turbotext", "operation": "mix_images", "settings": {"content": "A film still"}}
        async with lab.api() as api:
            made_one = await api.post("/api/slot-presets", json={"name": f"Mix {uuid4()}", "document": preset})
            assert made_one.status_code == 201, made_one.text
            async with lab.api(READER) as reader:
                assert (await reader.get("/api/slot-presets")).status_code == 403
        body = {"preset_id": made_one.json()["id"]}
        response = await change(lab, slot_id, body, path="/apply-preset", method="POST")
        assert "templates" in told(response, 422, "validation_failed")
        assert (await shown(lab, slot_id))["version"] == 1

    house.run(ask)


# --- photos in flight ---------------------------------------------------------------------------------------------


def test_a_slot_without_a_password_is_open_only_when_it_says_so(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab, password=PASSWORD))["id"]
        assert (await lab.shoot(PHOTO, slot=slot_id)).status == 200
        for password in (None, "", "wrong"):
            assert (await lab.shoot(PHOTO, slot=slot_id, password=password)).status == 401, password
        assert (await change(lab, slot_id, {"auth": "open"})).status_code == 200
        for password in (None, "", "wrong", PASSWORD):
            assert (await lab.shoot(PHOTO, slot=slot_id, password=password)).status == 200, password
        assert (await change(lab, slot_id, {"auth": "password"})).status_code == 200
        assert (await lab.shoot(PHOTO, slot=slot_id, password=None)).status == 401
        new = (await change(lab, slot_id, {}, path="/password", method="POST")).json()["password"]
        assert (await lab.shoot(PHOTO, slot=slot_id)).status == 401
        assert (await lab.shoot(PHOTO, slot=slot_id, password=new)).status == 200
        without = (await made(lab))["id"]
        assert "auth" in told(await change(lab, without, {"auth": "password"}), 422, "validation_failed")
        await lab.rest()

    house.run(ask)


def test_an_archived_slot_finishes_its_photos_and_takes_no_more(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab, password=PASSWORD))["id"]
        shots = []
        go_on = threading.Event()

        async def shoot() -> None:
            shots.append(await lab.shoot(PHOTO, slot=slot_id))

        try:
            async with trio.open_nursery() as nursery:
                pictures = lab.house.pictures
                for number in range(pictures.workers):  # all are taken: the photo cannot be drawn yet
                    kind = Priority.VERIFY if number else Priority.LATE
                    nursery.start_soon(pictures.run, kind, go_on.wait)
                nursery.start_soon(shoot)
                while not lab.house.lanes.in_flight:
                    await trio.testing.wait_all_tasks_blocked(0.01)
                assert (await change(lab, slot_id, None, method="DELETE")).status_code == 204
                refused = await lab.shoot(PHOTO, slot=slot_id)
                assert refused.problem is not None
                assert (refused.status, refused.problem["failure_reason"]) == (404, "slot_not_found")
                assert lab.house.lanes.in_flight == 1
                assert slot_id in lab.house.lanes.statistics()
                go_on.set()
        finally:
            go_on.set()
        assert shots[0].status == 200
        await lab.rest()
        assert slot_id not in lab.house.lanes.statistics()
        assert (await change(lab, slot_id, None, path="/restore-archived", method="POST")).status_code == 200
        assert slot_id in lab.house.lanes.statistics()
        assert (await lab.shoot(PHOTO, slot=slot_id)).status == 200
        await lab.rest()

    house.run(ask)
