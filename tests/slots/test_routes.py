"""`/api/slots` asked over HTTP: lists, documents, changes, and what is refused."""

import json
from typing import Any

import pytest
import trio

from photochanger.slots.creating import RESERVED
from photochanger.slots.fields import FIELDS
from photochanger.slots.showing import Showing
from tests.house.shared import SharedHouse
from tests.lab.house import PASSWORD, READER, Lab
from tests.lab.pictures import photo
from tests.slots.asking import LOCAL, change, made, shown, told
from tests.slots.conftest import PUBLIC


def test_slots_are_listed_with_what_keeps_them_from_working(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        one = await made(lab, name="Свадьба Иры", gallery="public")
        await lab.set_slot(one["id"], settings={"look": "nothing"})
        async with lab.api() as api:
            listed = (await api.get("/api/slots")).json()
            assert listed["meta"]["total"] == len(listed["data"]) >= 16
            assert [each["id"] for each in listed["data"]] == sorted(each["id"] for each in listed["data"])
            (line,) = (await api.get("/api/slots", params={"q": "иры", "gallery": "public"})).json()["data"]
        assert line["id"] == one["id"]
        assert line["ingest_url"] == f"{PUBLIC}/api/ingest/{one['id']}"
        assert line["problems"][0]["field"] == "settings.look"
        assert (line["provider"], line["model"], line["has_password"]) == ("local", None, False)
        assert listed["data"][0]["model"] == "gemini-3.1-flash-image"
        assert listed["data"][0]["problems"] == []

    house.run(ask)


@pytest.mark.parametrize("sort", ["id", "-id", "name", "-name", "provider", "-provider", "updated_at", "-updated_at"])
def test_lists_are_sorted_and_filtered(house: SharedHouse, sort: str) -> None:
    async def ask(lab: Lab) -> None:
        async with lab.api() as api:
            found = (await api.get("/api/slots", params={"sort": sort, "is_active": "true"})).json()["data"]
            only = (await api.get("/api/slots", params={"provider": "gemini"})).json()["data"]
        field = sort.lstrip("-")
        keys = [str(each[field]).casefold() for each in found]
        assert keys == sorted(keys, reverse=sort.startswith("-"))
        assert {each["provider"] for each in only} == {"gemini"}
        assert all(each["is_active"] for each in found)

    house.run(ask)


@pytest.mark.parametrize(
    "query", ["sort=age", "is_active=perhaps", "colour=red", "q=a&q=b", "q=%00", "gallery=", "q=" + "x" * 200]
)
def test_a_query_that_means_nothing_is_refused(house: SharedHouse, query: str) -> None:
    async def ask(lab: Lab) -> None:
        async with lab.api() as api:
            told(await api.get(f"/api/slots?{query}"), 422, "validation_failed")

    house.run(ask)


def test_a_slot_is_made_shown_changed_archived_and_brought_back(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        async with lab.api() as api:
            response = await api.post("/api/slots", json=LOCAL | {"name": "A booth", "generate_password": True})
            view = response.json()
            slot_id = view["id"]
            assert (response.status_code, response.headers["location"]) == (201, f"/api/slots/{slot_id}")
            assert (view["version"], view["updated_by"], view["auth"], view["problems"]) == (1, "serg", "either", [])
            password = view.pop("password")
            assert len(password) >= 12
            got = await api.get(f"/api/slots/{slot_id}")
            assert (got.json(), got.headers["etag"]) == (view, '"1"')
            assert set(FIELDS) < got.json().keys()
            assert got.headers["x-content-type-options"] == "nosniff"
            assert got.headers["cache-control"] == "no-store"

            put = await api.put(f"/api/slots/{slot_id}", json={"permits": 5}, headers={"If-Match": '"1"'})
            assert (put.status_code, put.headers["etag"]) == (200, '"2"')
            assert put.json() == view | {"permits": 5, "version": 2, "updated_at": put.json()["updated_at"]}
            same = await api.put(f"/api/slots/{slot_id}", json={"permits": 5}, headers={"If-Match": '"2"'})
            assert (same.status_code, same.headers["etag"]) == (200, '"2"')

            told(await api.delete(f"/api/slots/{slot_id}", headers={"If-Match": '"1"'}), 412, "version_conflict")
            told(await api.delete(f"/api/slots/{slot_id}"), 428, "precondition_required")
            gone = await api.delete(f"/api/slots/{slot_id}", headers={"If-Match": '"2"'})
            assert (gone.status_code, gone.content) == (204, b"")
            archived = (await api.get(f"/api/slots/{slot_id}")).json()
            assert archived["archived_at"] is not None
            assert slot_id not in {each["id"] for each in (await api.get("/api/slots")).json()["data"]}
            listed = (await api.get("/api/slots", params={"archived": "true"})).json()["data"]
            assert slot_id in {each["id"] for each in listed}
            told(await change(lab, slot_id, {"permits": 6}), 409, "not_possible_now")
            told(await change(lab, slot_id, None, method="DELETE"), 409, "not_possible_now")
            taken = await api.post("/api/slots", json=LOCAL | {"id": slot_id})
            assert "archived" in told(taken, 422, "validation_failed")["id"]

            back = await change(lab, slot_id, None, version=3, path="/restore-archived", method="POST")
            assert (back.status_code, back.json()["version"], back.json()["is_active"]) == (200, 4, True)
            again = await change(lab, slot_id, None, path="/restore-archived", method="POST")
            told(again, 409, "not_possible_now")

    house.run(ask)


def test_a_slot_that_could_not_work_comes_back_switched_off(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        assert (await change(lab, slot_id, None, method="DELETE")).status_code == 204
        await lab.house.db.execute("UPDATE slot SET settings = $2 WHERE id = $1", slot_id, {"look": "lost"})
        back = (await change(lab, slot_id, None, path="/restore-archived", method="POST")).json()
        assert (back["is_active"], back["problems"][0]["field"]) == (False, "settings.look")

    house.run(ask)


def test_a_slot_that_could_not_work_is_not_switched_on(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        await lab.set_slot(slot_id, settings={"look": "lost"})
        for fields in ({"permits": 4}, {"is_active": True}, {"is_active": False}, {"permits": 5}):
            assert (await change(lab, slot_id, fields)).status_code == 200  # it was on, and what is on may stay so
        for fields in ({"is_active": True}, {"is_active": True, "permits": 6}):
            assert list(told(await change(lab, slot_id, fields), 422, "validation_failed")) == ["settings.look"]
        assert (await shown(lab, slot_id))["is_active"] is False
        mended = await change(lab, slot_id, {"is_active": True, "settings": {"look": "mono"}})
        assert (mended.status_code, mended.json()["is_active"]) == (200, True)

    house.run(ask)


def test_what_is_wrong_is_told_in_the_language_that_is_asked_for(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        await lab.set_slot(slot_id, rate_burst=3)
        async with lab.api() as api:
            for language, message in (("en", "does nothing without"), ("ru", "не действует без")):
                headers = {"Accept-Language": language}
                one = (await api.get(f"/api/slots/{slot_id}", headers=headers)).json()
                lines = (await api.get("/api/slots", params={"q": slot_id}, headers=headers)).json()["data"]
                for view in (one, *lines):
                    problems = {each["field"]: each["message"] for each in view["problems"]}
                    assert problems["rate_burst"] == f"{message} rate_per_minute"

    house.run(ask)


def test_a_slot_that_lets_only_signed_photos_in_says_so_and_refuses_nothing(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        view = await made(lab)
        slot_id = view["id"]
        assert (view["auth"], view["has_password"]) == ("either", False)
        assert [each["field"] for each in view["problems"]] == ["auth"]
        assert "cannot sign" in view["problems"][0]["message"]
        for fields in ({"is_active": False}, {"is_active": True}, {"auth": "signature"}):
            assert (await change(lab, slot_id, fields)).status_code == 200
        assert (await shown(lab, slot_id))["problems"] == []
        assert (await change(lab, slot_id, {"auth": "either"})).status_code == 200
        assert (await change(lab, slot_id, {}, path="/password", method="POST")).status_code == 200
        assert (await shown(lab, slot_id))["problems"] == []

    house.run(ask)


def test_numbers_and_names_of_new_slots(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        numbers = [int((await made(lab))["id"].removeprefix("slot-")) for _ in range(2)]
        assert numbers[1] == numbers[0] + 1 >= 17
        assert (await made(lab, id="entrance-hall"))["id"] == "entrance-hall"
        async with lab.api() as api:
            spelt = ("", "-a", "A", "a_b", "a/b", "a" * 41, "a\n", "слот")
            # A slot of the last two would be counted with what is no slot's.
            for wrong in ("entrance-hall", "slot-001", *spelt, *RESERVED, "unknown", "house"):
                errors = told(await api.post("/api/slots", json=LOCAL | {"id": wrong}), 422, "validation_failed")
                assert list(errors) == ["id"], wrong

    house.run(ask)


REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": ({"settings": {}}, "provider"),
    "no key of that name": (LOCAL | {"colour": "red"}, "colour"),
    "a version": (LOCAL | {"version": 7}, "version"),
    "a hash": (LOCAL | {"secret_hash": "x"}, "secret_hash"),
    "an archive": (LOCAL | {"archived_at": "2020-01-01T00:00:00Z"}, "archived_at"),
    "a birthday": (LOCAL | {"created_at": "2020-01-01T00:00:00Z"}, "created_at"),
    "a column": (LOCAL | {"t_sync_seconds": 20}, "t_sync_seconds"),
    "a short password": (LOCAL | {"password": "1234567"}, "password"),
    "a long password": (LOCAL | {"password": "x" * 257}, "password"),
    "two passwords": (LOCAL | {"password": "x" * 20, "generate_password": True}, "password"),
    "no word": (LOCAL | {"generate_password": "yes"}, "generate_password"),
    "a number for an id": (LOCAL | {"id": 7}, "id"),
    "a huge number": (LOCAL | {"budget_day_microusd": 10**30}, "budget_day_microusd"),
    "a window too long": (LOCAL | {"t_sync": 61}, "t_sync"),
    "a name of lines": (LOCAL | {"name": "a\nb"}, "name"),
    "a name that turns": (LOCAL | {"name": "a\u202eb"}, "name"),
    "a long name": (LOCAL | {"name": "x" * 121}, "name"),
    "a look of an address": (LOCAL | {"settings": {"look": "http://169.254.169.254/"}}, "settings.look"),
    "an address of its own": (LOCAL | {"settings": {"url": "http://127.0.0.1:1/"}}, "settings.url"),
    "a model of an address": (
        {"provider": "gemini", "operation": "edit", "settings": {"prompt": "x", "model": "http://127.0.0.1:1/"}},
        "settings.model",
    ),
    "a house of Gemini's own": (
        {"provider": "gemini", "operation": "edit", "settings": {"prompt": "x", "base_url": "http://10.0.0.1/"}},
        "settings.base_url",
    ),
    "a picture from elsewhere": (
        {
            "provider": "turbotext",
            "operation": "generate_image2image",
            "settings": {"content": "x", "url": "file:///etc/passwd"},
        },
        "settings.url",
    ),
    "a language of an address": (
        {
            "provider": "turbotext",
            "operation": "generate_image2image",
            "settings": {"content": "x", "original_language": "http://169.254.169.254/"},
        },
        "settings.original_language",
    ),
    "a template from elsewhere": (
        LOCAL | {"templates": [{"url": "http://127.0.0.1:1/", "role": "style"}]},
        "templates[0].url",
    ),
    "deep settings": (LOCAL | {"last_resort_settings": {"a": [[[[[[[[1]]]]]]]]}}, "last_resort_settings"),
    "large settings": (LOCAL | {"last_resort_settings": {"a": "x" * 70_000}}, "last_resort_settings"),
    "no such template": (
        LOCAL | {"templates": [{"template_id": "00000000-0000-0000-0000-000000000000", "role": "style"}]},
        "templates[0].template_id",
    ),
    "a template by a path": (
        LOCAL | {"templates": [{"template_id": "../x", "role": "style"}]},
        "templates[0].template_id",
    ),
    "a role with a line": (
        LOCAL | {"templates": [{"template_id": "00000000-0000-0000-0000-000000000000", "role": "style\n"}]},
        "templates",
    ),
    "a provider without a method": ({"provider": "turbotext", "operation": "mix_images"}, "templates"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_slot_can_be(house: SharedHouse, case: str) -> None:
    document, field = REFUSED[case]

    async def ask(lab: Lab) -> None:
        before = await lab.count("slot")
        async with lab.api() as api:
            response = await api.post("/api/slots", json=document)
        assert field in told(response, 422, "validation_failed")
        assert await lab.count("slot") == before

    house.run(ask)


@pytest.mark.parametrize(
    "body",
    [b"", b"[1]", b"null", b'{"a":', b'"\xed\xa0\x80"', b'{"name": "\\ud800"}',
     b'{"name": "a\\u0000"}', b'{"permits": 1e999}',
     b'{"settings": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"settings": ' + b"[" * 200 + b"]" * 200 + b"}"],
)  # fmt: skip
def test_a_body_that_is_no_document(house: SharedHouse, body: bytes) -> None:
    async def ask(lab: Lab) -> None:
        headers = {"If-Match": "*", "Content-Type": "application/json"}
        async with lab.api() as api:
            for method, path in (("POST", "/api/slots"), ("PUT", "/api/slots/slot-001"), ("POST", "/api/slots/bulk")):
                response = await api.request(method, path, content=body, headers=headers)
                assert response.status_code in (400, 422), (path, response.text)
            response = await api.put("/api/slots/slot-001", content=b"{}", headers={"If-Match": "*"})
            told(response, 400, "invalid_request")

    house.run(ask)


def test_every_problem_is_told_at_once(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        fields = {"permits": "two", "mailbox": 0, "output": "round", "fallbacks": [{"provider": "x", "operation": "y"}]}
        errors = told(await change(lab, "slot-002", fields), 422, "validation_failed")
        assert errors.keys() == {"permits", "mailbox", "output", "fallbacks[0].provider"}
        assert (await shown(lab, "slot-002"))["version"] == 1

    house.run(ask)


@pytest.mark.parametrize("slot_id", ["slot-999", "slot-001%00", "..", "%ff", "A" * 500, "' OR 1=1", "%E2%80%AE"])
def test_slots_that_are_not_there(house: SharedHouse, slot_id: str) -> None:
    async def ask(lab: Lab) -> None:
        async with lab.api() as api:
            for method, path, body in (
                ("GET", "", None), ("PUT", "", {"permits": 1}), ("DELETE", "", None), ("GET", "/changes", None),
                ("POST", "/duplicate", {}), ("POST", "/password", {}), ("POST", "/signing-key", None),
                ("POST", "/restore", {"version": 1}), ("POST", "/restore-archived", None),
            ):  # fmt: skip
                url = f"/api/slots/{slot_id}{path}"
                response = await api.request(method, url, json=body, headers={"If-Match": "*"})
                assert response.status_code == 404, (method, path, response.text)

    house.run(ask)


def test_a_duplicate_has_the_settings_and_secrets_of_its_own(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        one = await made(lab, name="Twin", permits=7, password="correct horse battery")
        async with lab.api() as api:
            response = await api.post(
                f"/api/slots/{one['id']}/duplicate", json={"generate_password": True, "name": "B"}
            )
            plain = await api.post(f"/api/slots/{one['id']}/duplicate", json={})
        assert response.status_code == plain.status_code == 201
        two = response.json()
        assert (two["permits"], two["name"], two["version"]) == (7, "B", 1)
        assert two["id"] != one["id"]
        assert two["password"] not in (None, "correct horse battery")
        rows = await lab.house.db.fetch("SELECT secret_hash FROM slot WHERE id = ANY($1)", [one["id"], two["id"]])
        assert len({row["secret_hash"] for row in rows}) == 2
        assert plain.json()["has_password"] is False  # this house has no default password
        (change,) = (await shown(lab, two["id"], "/changes"))["data"]
        assert (change["action"], change["after"]["password"]) == ("duplicated", "changed")

    house.run(ask)


def test_text_is_stored_as_given_and_never_becomes_a_page(house: SharedHouse) -> None:
    evil = "<script>alert(1)</script>\"'&{{7*7}} 👩‍👧"

    async def ask(lab: Lab) -> None:
        one = await made(lab, name=evil, provider="gemini", operation="edit", settings={"prompt": evil})
        async with lab.api() as api:
            for path in (f"/api/slots/{one['id']}", "/api/slots", f"/api/slots/{one['id']}/changes"):
                response = await api.get(path)
                assert response.headers["content-type"] == "application/json"
                assert response.headers["x-content-type-options"] == "nosniff"
                assert json.dumps(evil, ensure_ascii=False)[1:-1] in response.text
        assert (await shown(lab, one["id"]))["settings"]["prompt"] == evil

    house.run(ask)


def test_only_those_who_may(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        for who, status in ((None, 401), (READER, 403)):
            async with lab.api(who) as api:
                assert (await api.get("/api/slots")).status_code == status
                response = await api.put("/api/slots/slot-001", json={}, headers={"If-Match": "*"})
                assert response.status_code == status

    house.run(ask)


def test_addresses_in_texts_are_text(house: SharedHouse) -> None:
    """A prompt may say anything; nobody fetches it."""

    async def ask(lab: Lab) -> None:
        reached = []

        async def listen(stream: trio.SocketStream) -> None:
            reached.append(stream)

        async with trio.open_nursery() as nursery:
            listeners: list[trio.SocketListener] = await nursery.start(trio.serve_tcp, listen, 0)
            address = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/picture.jpg"
            settings = {"prompt": f"Paint as in {address}"}
            one = await made(
                lab, name=address, provider="gemini", operation="edit", settings=settings, password=PASSWORD
            )
            assert (await lab.shoot(photo(64, 48), slot=one["id"])).status == 200
            await lab.rest()
            nursery.cancel_scope.cancel()
        assert reached == []

    house.run(ask)


def test_without_a_public_address_the_one_that_was_asked_is_told() -> None:
    assert Showing({}, None).ingest_url("slot-001", "http://booth:8080/") == "http://booth:8080/api/ingest/slot-001"
    public = Showing({}, "https://studio.example/photos")
    assert public.ingest_url("slot-001", "http://booth:8080/") == "https://studio.example/photos/api/ingest/slot-001"
