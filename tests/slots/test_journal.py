"""The change journal tells every change and no secret, and leads back to every version."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from photochanger.db.transaction import Transaction
from photochanger.domain.passwords import hash_password
from photochanger.errors import Refusal
from photochanger.slots.journal import _require_all
from photochanger.slots.passwords import fill_missing
from tests.house.shared import SharedHouse
from tests.lab.house import Lab
from tests.slots.asking import LOCAL, change, made, shown, told
from tests.slots.test_template_routes import add


class Looked(list[int]):
    """Versions, and how often all of them were gone through."""

    times = 0

    def __iter__(self) -> Iterator[int]:
        self.times += 1
        return super().__iter__()


def test_a_long_journal_is_gone_through_once() -> None:
    found = Looked(range(1000, 0, -1))
    _require_all(found, 0, 1000)
    found.remove(500)
    with pytest.raises(Refusal, match="what version 500 changed"):
        _require_all(found, 0, 1000)
    assert found.times == 2


def test_every_change_is_told_with_what_it_was_before(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab, name="One"))["id"]
        template = await add(lab)
        binding = {"template_id": template, "role": "style"}
        assert (await change(lab, slot_id, {"permits": 4, "auth": "open"}, version=1)).status_code == 200
        assert (await change(lab, slot_id, binding, version=2, path="/templates/3")).status_code == 200
        assert (await change(lab, slot_id, {}, version=3, path="/password", method="POST")).status_code == 200
        assert (await change(lab, slot_id, {}, version=4, path="/password", method="POST")).status_code == 200
        assert (await change(lab, slot_id, None, version=5, path="/signing-key", method="POST")).status_code == 200
        path = "/templates/3"
        assert (await change(lab, slot_id, None, version=6, path=path, method="DELETE")).status_code == 200
        assert (await change(lab, slot_id, None, version=7, method="DELETE")).status_code == 204
        listed = await shown(lab, slot_id, "/changes")
        assert listed["meta"]["next_cursor"] is None
        bound = [binding | {"position": 3}]
        assert [(each["version"], each["action"], each["before"], each["after"]) for each in listed["data"]][:-1] == [
            (8, "archived", {"archived": False}, {"archived": True}),
            (7, "template_unbound", {"templates": bound}, {"templates": []}),
            (6, "signing_key_changed", {"signing_generation": 1}, {"signing_generation": 2}),
            (5, "password_changed", {"password": "set"}, {"password": "changed"}),
            (4, "password_changed", {"password": "none"}, {"password": "changed"}),
            (3, "template_bound", {"templates": []}, {"templates": bound}),
            (2, "changed", {"permits": 2, "auth": "either"}, {"permits": 4, "auth": "open"}),
        ]
        first = listed["data"][-1]
        assert (first["version"], first["action"], first["before"]) == (1, "created", {})
        assert first["after"]["name"] == "One"
        assert {each["changed_by"] for each in listed["data"]} == {"serg"}

    house.run(ask)


def test_the_journal_goes_on_from_page_to_page(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        for permits in range(3, 10):
            await change(lab, slot_id, {"permits": permits})
        versions, cursor = [], ""
        async with lab.api() as api:
            while True:
                query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
                page = (await api.get(f"/api/slots/{slot_id}/changes", params=query)).json()
                versions += [each["version"] for each in page["data"]]
                cursor = page["meta"]["next_cursor"]
                if cursor is None:
                    break
                assert len(page["data"]) == 3
            for wrong in ("", "x", "Zm9v", "é", "A" * 251):
                response = await api.get(f"/api/slots/{slot_id}/changes", params={"cursor": wrong})
                told(response, 422, "validation_failed")
            for limit in ("0", "251", "many"):
                response = await api.get(f"/api/slots/{slot_id}/changes", params={"limit": limit})
                told(response, 422, "validation_failed")
        assert versions == list(range(8, 0, -1))

    house.run(ask)


def test_no_secret_is_in_the_journal_or_any_answer(house: SharedHouse, caplog: pytest.LogCaptureFixture) -> None:
    async def ask(lab: Lab) -> None:
        given = "correct-horse-battery"
        one = await made(lab, password=given)
        assert one["password"] is None
        row = await lab.house.db.fetchrow("SELECT secret_hash FROM slot WHERE id = $1", one["id"])
        assert row is not None
        secrets = [given, row["secret_hash"]]
        for body in ({"password": "another-" + given}, {}):
            answer = (await change(lab, one["id"], body, path="/password", method="POST")).json()
            secrets.append(answer["password"] or "another-" + given)
        key = (await change(lab, one["id"], None, path="/signing-key", method="POST")).json()["signing_key"]
        secrets.append(key)
        journal = json.dumps(await shown(lab, one["id"], "/changes"))
        async with lab.api() as api:
            listed = (await api.get("/api/slots")).text
        texts = [journal, json.dumps(await shown(lab, one["id"])), listed, caplog.text]
        for secret in secrets:
            for text in texts:
                assert secret not in text
        assert "$2b$" not in "".join(texts)
        assert "slot.password_changed" in caplog.text

    with caplog.at_level("DEBUG"):
        house.run(ask)


def test_the_default_password_is_told_too(house: SharedHouse) -> None:
    async def default(_: Transaction) -> str:
        return hash_password("default-password", rounds=4)

    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        kept = (await made(lab, password="a password of its own"))["id"]
        archived = (await made(lab))["id"]
        await change(lab, archived, None, method="DELETE")
        filled = await fill_missing(lab.house.db, default)
        assert slot_id in filled
        assert not {kept, archived} & set(filled)
        newest = (await shown(lab, slot_id, "/changes"))["data"][0]
        assert (newest["version"], newest["action"], newest["changed_by"]) == (2, "password_filled", "INGEST_PASSWORD")
        assert (await shown(lab, slot_id))["has_password"] is True
        assert await fill_missing(lab.house.db, default) == []

    house.run(ask)


def test_any_of_many_versions_can_be_restored(house: SharedHouse) -> None:
    """Fourteen versions of random fields, templates among them; each is restored and is what it was."""
    chance = random.Random(7)

    async def ask(lab: Lab) -> None:
        templates = [await add(lab) for _ in range(3)]
        slot_id = (await made(lab, name="Version 1", generate_password=True))["id"]
        was: dict[int, dict[str, Any]] = {1: await shown(lab, slot_id)}

        def some() -> dict[str, Any]:
            bound = [{"template_id": each, "role": "style"} for each in chance.sample(templates, chance.randint(0, 3))]
            whole = {
                "name": f"Name {chance.random()}", "permits": chance.randint(1, 100), "templates": bound,
                "settings": {"look": chance.choice(["mono", "sepia", "vivid"])}, "t_sync": chance.choice([None, 20]),
                "auth": chance.choice(["open", "either"]), "is_active": chance.choice([True, False]),
            }  # fmt: skip
            return {field: whole[field] for field in chance.sample(sorted(whole), chance.randint(1, 7))}

        while len(was) < 12:
            if len(was) == 6:
                await change(lab, slot_id, None, path="/signing-key", method="POST")
            elif len(was) == 8:
                await change(lab, slot_id, {}, path="/password", method="POST")
            else:
                response = await change(lab, slot_id, some())
                assert response.status_code == 200, response.text
            now = await shown(lab, slot_id)
            was[now["version"]] = now
        stays = {"signing_generation", "has_password", "version", "updated_at", "updated_by"}
        for version in chance.sample(sorted(was), len(was)):
            before = await shown(lab, slot_id)
            path = "/restore"
            response = await change(
                lab, slot_id, {"version": version}, version=before["version"], path=path, method="POST"
            )
            assert response.status_code == 200, response.text
            now = response.json()
            assert {k: v for k, v in now.items() if k not in stays} == {
                k: v for k, v in was[version].items() if k not in stays
            }, version
            assert (now["signing_generation"], now["has_password"]) == (2, True)
            if now["version"] != before["version"]:
                newest = (await shown(lab, slot_id, "/changes"))["data"][0]
                assert (newest["action"], newest["version"]) == ("restored", before["version"] + 1)

    house.run(ask)


def test_what_cannot_be_restored(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        template = await add(lab)
        bound = {"templates": [{"template_id": template, "role": "style"}]}
        assert (await change(lab, slot_id, bound)).status_code == 200
        assert (await change(lab, slot_id, {"templates": []})).status_code == 200
        for wrong in (0, -1, 4, 10**17, 10**30, "1", None):
            response = await change(lab, slot_id, {"version": wrong}, path="/restore", method="POST")
            assert "version" in told(response, 422, "validation_failed"), wrong
        response = await change(lab, slot_id, {"version": 1}, version=2, path="/restore", method="POST")
        told(response, 412, "version_conflict")
        async with lab.api() as api:
            response = await api.post(f"/api/slots/{slot_id}/restore", json={"version": 1})
            told(response, 428, "precondition_required")
            assert (await api.delete(f"/api/templates/{template}")).status_code == 204
        response = await change(lab, slot_id, {"version": 2}, path="/restore", method="POST")
        assert "templates[0].template_id" in told(response, 422, "validation_failed")

        await lab.set_slot(slot_id, permits=9)  # by hand, past the journal: version 4
        assert (await change(lab, slot_id, {"permits": 5})).json()["version"] == 5
        for version, status in ((4, 200), (3, 409), (1, 409)):
            response = await change(lab, slot_id, {"version": version}, path="/restore", method="POST")
            assert response.status_code == status, (version, response.text)
        assert "version 4" in response.json()["detail"]

    house.run(ask)


def test_a_version_that_could_not_work_any_more_is_not_restored(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        await change(lab, slot_id, {"settings": {"look": "sepia"}})
        spoil = "UPDATE slot_change SET before = $2 WHERE slot_id = $1 AND version = 2"
        await lab.house.db.execute(spoil, slot_id, {"settings": {"look": "x"}})
        response = await change(lab, slot_id, {"version": 1}, path="/restore", method="POST")
        assert "settings.look" in told(response, 422, "validation_failed")
        assert (await shown(lab, slot_id))["settings"] == {"look": "sepia"}
        assert LOCAL["settings"] == {"look": "mono"}

    house.run(ask)
