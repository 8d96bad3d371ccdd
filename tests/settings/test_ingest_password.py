"""The default ingest password: shown once, kept as a hash, for slots without one and for no other."""

import math
from pathlib import Path

import pytest

from photochanger.domain.passwords import check_password
from photochanger.slots.passwords import ALPHABET
from tests.house.policy import reason_of
from tests.lab.house import PASSWORD, Lab, running_house
from tests.settings.asking import seen


async def renewed(lab: Lab) -> tuple[str, list[str]]:
    """A new one, and the slots that have it now."""
    async with lab.api() as api:
        answer = await api.post("/api/settings/ingest-password")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["updated_by"] == "serg"
    return body["password"], body["filled"]


async def test_it_fills_slots_without_one_and_changes_no_other(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        db = lab.house.db
        assert (await seen(lab))[0]["ingest_password"] == {"set": False, "updated_at": None, "updated_by": None}
        assert await lab.house.ingest_password.for_new_slots() is None
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

        stored = await lab.house.ingest_password.for_new_slots()
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
        stored = str(await lab.house.ingest_password.for_new_slots())
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
        stored = await lab.house.ingest_password.for_new_slots()
        assert stored is not None
        assert check_password("from-the-environment", stored)
        assert await lab.house.ingest_password.for_new_slots() == stored  # bcrypt is asked once
        await renewed(lab)
        newer = await lab.house.ingest_password.for_new_slots()
        assert newer is not None
        assert not check_password("from-the-environment", newer)
