"""The default ingest password: shown once, kept as a hash, for slots without one and for no other."""

import math
from functools import partial
from pathlib import Path

import pytest
import trio

from photochanger.app import House
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.domain.passwords import check_password
from photochanger.slots.passwords import ALPHABET
from tests.house.policy import reason_of
from tests.lab.house import PASSWORD, Lab, config_for, running_house, running_simulator
from tests.lab.waiting import until
from tests.settings.asking import seen
from tests.slots.asking import LOCAL


async def renewed(lab: Lab) -> tuple[str, list[str]]:
    """A new one, and the slots that have it now."""
    async with lab.api() as api:
        answer = await api.post("/api/settings/ingest-password")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["updated_by"] == "serg"
    return body["password"], body["filled"]


async def default_of(lab: Lab) -> str | None:
    """The hash that a slot without a password would get now."""
    async with lab.house.db.transaction() as transaction:
        return await lab.house.ingest_password.for_slots(transaction)


async def hash_of(lab: Lab, slot_id: str) -> str:
    """What the slot's password is compared with."""
    return str(await lab.house.db.fetchval("SELECT secret_hash FROM slot WHERE id = $1", slot_id))


async def made(lab: Lab) -> str:
    """A slot that was made without a password."""
    async with lab.api() as api:
        answer = await api.post("/api/slots", json=LOCAL)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_it_fills_slots_without_one_and_changes_no_other(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        db = lab.house.db
        assert (await seen(lab))[0]["ingest_password"] == {"set": False, "updated_at": None, "updated_by": None}
        assert await default_of(lab) is None
        await lab.set_slot("slot-002", secret_hash=None)
        await lab.set_slot("slot-003", secret_hash=None)
        others = "SELECT id, secret_hash, version FROM slot WHERE id NOT IN ('slot-002', 'slot-003') ORDER BY id"
        before = await db.fetch(others)
        versions = await db.fetch("SELECT version FROM slot WHERE id IN ('slot-002', 'slot-003')")

        password, filled = await renewed(lab)
        assert filled == ["slot-002", "slot-003"]
        assert await db.fetch(others) == before
        after = await db.fetch("SELECT version FROM slot WHERE id IN ('slot-002', 'slot-003')")
        assert [row["version"] for row in after] == [row["version"] + 1 for row in versions]
        told = await db.fetch("SELECT slot_id, version, action, changed_by FROM slot_change ORDER BY slot_id")
        assert [tuple(row) for row in told] == [
            (slot_id, row["version"], "password_filled", "serg") for slot_id, row in zip(filled, after, strict=True)
        ]
        await lab.house.slots.refresh()
        assert (await lab.shoot(small_photo, slot="slot-002", password=password)).status == 200
        assert reason_of(await lab.shoot(small_photo, password=password)) == (401, "invalid_credentials")
        assert (await lab.shoot(small_photo, password=PASSWORD)).status == 200

        stored = await default_of(lab)
        assert stored is not None
        assert check_password(password, stored)
        shown = (await seen(lab))[0]["ingest_password"]
        assert (shown["set"], shown["updated_by"]) == (True, "serg")

        newer, none = await renewed(lab)
        assert (newer != password, none) == (True, [])
        assert (await lab.shoot(small_photo, slot="slot-002", password=password)).status == 200


async def test_it_can_be_typed_and_not_be_guessed(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        passwords = {(await renewed(lab))[0] for _ in range(5)}
    assert len(passwords) == 5
    for password in passwords:
        assert math.log2(len(ALPHABET)) * len(password.replace("-", "")) >= 60
        assert [len(group) for group in password.split("-")] == [4, 4, 4, 4]
        assert set(password) <= set(ALPHABET) | {"-"}
    assert not set(ALPHABET) & set("il1o0")


async def test_it_is_shown_once(tmp_path: Path, postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with running_house(tmp_path, postgres_url) as lab, lab.api() as api:
        password, _ = await renewed(lab)
        stored = str(await default_of(lab))
        told = [(await api.get("/api/settings")).text, (await api.get("/api/settings/changes")).text, caplog.text]
        told += [str(dict(row)) for row in await lab.house.db.fetch("SELECT * FROM settings_change")]
        told += [str(dict(row)) for row in await lab.house.db.fetch("SELECT * FROM audit_event")]
        told += [repr(lab.house.settings.rows)]
        [change] = (await api.get("/api/settings/changes")).json()["data"]
        assert (change["key"], change["before"], change["after"]) == ("ingest_password", {"set": False}, {"set": True})
        row = await lab.house.db.fetchrow("SELECT value FROM settings WHERE key = 'ingest_password'")
        assert password not in str(row)
    for text in told:
        assert password not in text
        assert stored not in text


async def test_the_environments_serves_until_one_is_made(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, ingest_password="from-the-environment") as lab:
        stored = await default_of(lab)
        assert stored is not None
        assert check_password("from-the-environment", stored)
        assert await default_of(lab) == stored  # bcrypt is asked once
        await renewed(lab)
        newer = await default_of(lab)
        assert newer is not None
        assert not check_password("from-the-environment", newer)


@pytest.mark.parametrize("stored", [False, True])
async def test_a_slot_that_is_made_gets_the_one_that_applies(tmp_path: Path, postgres_url: str, stored: bool) -> None:
    async with running_house(tmp_path, postgres_url, ingest_password="from-the-environment") as lab:
        password = (await renewed(lab))[0] if stored else "from-the-environment"
        assert check_password(password, await hash_of(lab, await made(lab)))


@pytest.mark.parametrize("stored", [False, True])
async def test_a_slot_that_is_brought_back_without_one_gets_it(
    tmp_path: Path, postgres_url: str, small_photo: bytes, stored: bool
) -> None:
    async with running_house(tmp_path, postgres_url, ingest_password="from-the-environment") as lab, lab.api() as api:
        seen_version = {"If-Match": "*"}
        for slot_id in ("slot-002", "slot-003"):
            assert (await api.delete(f"/api/slots/{slot_id}", headers=seen_version)).status_code == 204
        await lab.set_slot("slot-002", secret_hash=None)
        password = (await renewed(lab))[0] if stored else "from-the-environment"
        for slot_id in ("slot-002", "slot-003"):
            answer = await api.post(f"/api/slots/{slot_id}/restore-archived", headers=seen_version)
            assert (answer.status_code, answer.json()["has_password"]) == (200, True), answer.text
        assert (await lab.shoot(small_photo, slot="slot-002", password=password)).status == 200
        assert (await lab.shoot(small_photo, slot="slot-003", password=PASSWORD)).status == 200


@pytest.mark.parametrize("stored", [False, True])
async def test_at_the_start_the_one_that_applies_fills(tmp_path: Path, postgres_url: str, stored: bool) -> None:
    """Not the environment's once an administrator has made another one, perhaps because that one had become known."""
    password = "from-the-environment"
    async with running_house(tmp_path, postgres_url, ingest_password=password) as lab:
        if stored:
            password = (await renewed(lab))[0]
        await lab.set_slot("slot-002", secret_hash=None)
    async with running_simulator() as simulator, open_loop() as loop, trio.open_nursery() as nursery:
        # By hand: a lab's house has the lab's own passwords.
        config = config_for(tmp_path, postgres_url, simulator, ingest_password="from-the-environment")
        house = House(config, Db(loop))
        await nursery.start(house.run)
        found = await house.db.fetchval("SELECT secret_hash FROM slot WHERE id = 'slot-002'")
        house.root.request_stop()
        await house.ended.wait()
        nursery.cancel_scope.cancel()
    assert check_password(password, found)


@pytest.mark.parametrize("stored", [False, True])
async def test_no_slot_gets_one_that_was_replaced_meanwhile(tmp_path: Path, postgres_url: str, stored: bool) -> None:
    """A slot is made while a new default is under way, which is held up just before it is written."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    passwords: list[str] = []
    slots: list[str] = []
    async with running_house(tmp_path, postgres_url, ingest_password="from-the-environment") as lab:
        if stored:
            await renewed(lab)

        async def renew() -> None:
            passwords.append((await renewed(lab))[0])

        async def make() -> None:
            slots.append(await made(lab))

        async def held_up(count: int) -> bool:
            return bool(slots) or await lab.house.db.fetchval(waiting) == count

        async with trio.open_nursery() as nursery, lab.house.db.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO settings AS s (key, value, version) VALUES ('ingest_password', '{}', 0) "
                "ON CONFLICT (key) DO UPDATE SET version = s.version"
            )
            nursery.start_soon(renew)
            await until(partial(held_up, 1))
            nursery.start_soon(make)
            await until(partial(held_up, 2))
        assert check_password(passwords[0], await hash_of(lab, slots[0]))
