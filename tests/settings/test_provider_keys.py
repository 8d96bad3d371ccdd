"""Providers' keys: stored, used by the next call, tried, taken back; never shown, never in a log or a journal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from photochanger.providers.gemini.simulator import GeminiSimulator
from tests.house.policy import reason_of
from tests.house.shared import SharedHouse
from tests.lab.house import Lab, running_house, running_simulator
from tests.lab.process import free_port, running_service
from tests.lab.waiting import until
from tests.settings.asking import errors, seen

RIGHT, WRONG = "AIza-the-right-key-0123456789", "AIza-a-wrong-key-9876543210"
URL = "/api/settings/provider-keys/gemini"
CURRENT, FORMER = "c" * 40, "f" * 40


@asynccontextmanager
async def house_before(
    simulator: GeminiSimulator, var: Path, postgres_url: str, key: str | None = None, **changes: Any
) -> AsyncIterator[Lab]:
    """A house that asks `simulator`, with this key in its environment."""
    changes = {"settings_keys": (CURRENT,), "gemini_base_url": simulator.base_url, "gemini_api_key": key} | changes
    async with running_house(var, postgres_url, **changes) as lab:
        yield lab


async def store(lab: Lab, key: str) -> httpx.Response:
    async with lab.api() as api:
        return await api.put(URL, json={"key": key})


async def check(lab: Lab, key: str | None = None, provider: str = "gemini") -> dict[str, Any]:
    async with lab.api() as api:
        body = None if key is None else {"key": key}
        answer = await api.post(f"/api/settings/provider-keys/{provider}/check", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_the_next_call_carries_the_stored_key(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_simulator(api_key=RIGHT) as gemini, house_before(gemini, tmp_path, postgres_url, WRONG) as lab:
        assert reason_of(await lab.shoot(small_photo)) == (502, "provider_error")
        before, etag = await seen(lab)
        assert before["provider_keys"]["gemini"] == {
            "configured": "environment",
            "updated_at": None,
            "updated_by": None,
            "problem": None,
        }
        stored = await store(lab, RIGHT)
        assert (stored.json()["configured"], stored.json()["updated_by"]) == ("stored", "serg")
        assert (await lab.shoot(small_photo)).status == 200
        after, etag_after = await seen(lab)
        assert after["provider_keys"]["gemini"] == stored.json()
        assert etag_after == etag  # it is no part of what If-Match guards

        async with lab.api() as api:
            removed = await api.delete(URL)
            assert (await api.delete(URL)).json() == removed.json()
        assert removed.json()["configured"] == "environment"
        assert reason_of(await lab.shoot(small_photo)) == (502, "provider_error")
        assert (await store(lab, RIGHT)).status_code == 200  # versions go on after a removal
        assert await lab.house.db.fetchval("SELECT version FROM settings WHERE key = 'provider_key.gemini'") == 3
        async with lab.api() as api:
            changes = (await api.get("/api/settings/changes")).json()["data"]
        assert [(each["key"], each["before"], each["after"]) for each in changes] == [
            ("provider_key.gemini", {"stored": False}, {"stored": True}),
            ("provider_key.gemini", {"stored": True}, {"stored": False}),
            ("provider_key.gemini", {"stored": False}, {"stored": True}),
        ]


async def test_a_slot_without_a_key_can_work_as_soon_as_there_is_one(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, postgres_url, gemini_base_url=None) as lab:

        def missing() -> str | None:
            return lab.house.groups["gemini"].driver.missing

        assert missing() == "gemini has no key: store one in the settings, or set GEMINI_API_KEY"
        assert (await seen(lab))[0]["provider_keys"]["gemini"]["configured"] is None
        assert (await check(lab))["verdict"] == "missing"
        await store(lab, RIGHT)
        assert missing() is None
        async with lab.api() as api:
            await api.delete(URL)
        assert missing() == "gemini has no key: store one in the settings, or set GEMINI_API_KEY"


async def test_a_missing_key_is_told_at_the_start(tmp_path: Path, postgres_url: str) -> None:
    """And one that was stored is not missing, whatever the environment says."""
    missing = "gemini has no key: store one in the settings, or set GEMINI_API_KEY"
    warning = f"{missing}: photos of slots that use gemini will be answered with an error"
    async with running_service(tmp_path, DATABASE_URL=postgres_url) as service:
        await until(lambda: warning in service.log.read_text())
        await service.stop()
    service.log.unlink()
    async with running_house(tmp_path, postgres_url, gemini_base_url=None) as lab:
        await store(lab, RIGHT)
    async with running_service(tmp_path, DATABASE_URL=postgres_url) as service:
        await service.stop()
        assert "draining" in service.log.read_text()
        assert "is not set" not in service.log.read_text()


async def test_a_key_is_checked(tmp_path: Path, postgres_url: str) -> None:
    async with running_simulator(api_key=RIGHT) as gemini:
        nowhere = f"http://127.0.0.1:{free_port()}/api_ai"
        async with house_before(gemini, tmp_path, postgres_url, RIGHT, turbotext_base_url=nowhere) as lab:
            found = await check(lab)
            assert found.keys() == {"ok", "verdict", "detail", "latency_ms"}
            assert (found["ok"], found["verdict"], found["detail"]) == (True, "accepted", "Google accepts the key.")
            found = await check(lab, WRONG)
            assert (found["ok"], found["verdict"], found["detail"]) == (
                False,
                "refused",
                "Google does not know this key.",
            )
            assert (await check(lab, RIGHT))["ok"] is True
            assert (await check(lab, RIGHT, "turbotext"))["verdict"] == "unreachable"
            await store(lab, WRONG)
            assert (await check(lab))["verdict"] == "refused"
            async with lab.api() as api:
                assert errors(await api.post(f"{URL}/check", json={"key": "short"})).keys() == {"key"}
                assert (await api.post(f"{URL}/check", json={})).json()["verdict"] == "refused"
                assert (await api.post(f"{URL}/check", content=b"{")).status_code == 400


@pytest.mark.parametrize(
    "key", ["short", "with a blank in it", "tab\tin-the-middle", "ключ-ключ-ключ", "", "k" * 501, 7]
)
def test_what_cannot_be_a_key_is_refused(house: SharedHouse, key: Any) -> None:
    async def scene(lab: Lab) -> None:
        async with lab.api() as api:
            answer = await api.put(URL, json={"key": key})
            assert errors(answer).keys() == {"key"}
            if isinstance(key, str) and len(key) > 4:
                assert key not in answer.text
            assert errors(await api.put(URL, json={"key": "k" * 20, "provider": "turbotext"})).keys() == {"provider"}

    house.run(scene)


@pytest.mark.parametrize("provider", ["local", "nobody", "gemini.", "%00", "x" * 500])
def test_providers_without_a_key_have_none_to_set(house: SharedHouse, provider: str) -> None:
    async def scene(lab: Lab) -> None:
        url = f"/api/settings/provider-keys/{provider}"
        async with lab.api() as api:
            assert (await api.put(url, json={"key": "k" * 20})).status_code == 404
            assert (await api.delete(url)).status_code == 404
            assert (await api.post(f"{url}/check")).status_code == 404

    house.run(scene)


async def test_a_key_of_another_vault_stops_nothing(
    tmp_path: Path, postgres_url: str, small_photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_simulator(api_key=RIGHT) as gemini:
        async with house_before(gemini, tmp_path / "a", postgres_url, settings_keys=(FORMER,)) as lab:
            await store(lab, WRONG)
            assert reason_of(await lab.shoot(small_photo)) == (502, "provider_error")
        async with house_before(gemini, tmp_path / "b", postgres_url, RIGHT) as lab:
            key = (await seen(lab))[0]["provider_keys"]["gemini"]
            assert key["configured"] == "environment"
            assert key["problem"] == "it was stored with another SETTINGS_KEY"
            assert "the stored key of gemini cannot be used: it was stored with another SETTINGS_KEY" in caplog.text
            assert (await lab.shoot(small_photo)).status == 200
            await store(lab, RIGHT)
            assert (await seen(lab))[0]["provider_keys"]["gemini"]["problem"] is None
        async with house_before(gemini, tmp_path / "c", postgres_url, settings_keys=(FORMER, CURRENT)) as lab:
            assert (await seen(lab))[0]["provider_keys"]["gemini"]["configured"] == "stored"
            assert (await lab.shoot(small_photo)).status == 200


async def test_without_settings_key_the_house_key_locks(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_simulator(api_key=RIGHT) as gemini:
        async with house_before(gemini, tmp_path, postgres_url, settings_keys=()) as lab:
            await store(lab, RIGHT)
        # Who sets SETTINGS_KEY later loses nothing: the house's own key still opens.
        async with house_before(gemini, tmp_path, postgres_url) as lab:
            assert (await lab.shoot(small_photo)).status == 200


@pytest.mark.parametrize("value", [{"locked": 7}, {"locked": "gAAAA"}, {"locked": "ключ"}, [], "x", {"else": 1}])
async def test_a_row_that_was_spoilt_by_hand_stops_nothing(
    tmp_path: Path, postgres_url: str, value: Any, small_photo: bytes
) -> None:
    async with running_simulator(api_key=RIGHT) as gemini, house_before(gemini, tmp_path, postgres_url, RIGHT) as lab:
        insert = "INSERT INTO settings (key, value) VALUES ('provider_key.gemini', $1)"
        await lab.house.db.execute(insert, value)
        await until(lambda: lab.house.settings.row("provider_key.gemini").version == 1)
        key = (await seen(lab))[0]["provider_keys"]["gemini"]
        assert key["configured"] == "environment"
        assert (key["problem"] is None) == (value == [])
        assert (await lab.shoot(small_photo)).status == 200
        await store(lab, RIGHT)
        assert (await seen(lab))[0]["provider_keys"]["gemini"]["configured"] == "stored"


async def test_a_row_moved_to_another_provider_is_worth_nothing(tmp_path: Path, postgres_url: str) -> None:
    async with running_simulator() as gemini, house_before(gemini, tmp_path, postgres_url) as lab:
        await store(lab, RIGHT)
        await lab.house.db.execute(
            "INSERT INTO settings (key, value) SELECT 'provider_key.turbotext', value FROM settings "
            "WHERE key = 'provider_key.gemini'"
        )
        problem = (await seen(lab))[0]["provider_keys"]["turbotext"]["problem"]
        assert problem == "it was stored under another name"


async def test_every_house_on_the_database_follows(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with (
        running_simulator(api_key=RIGHT) as gemini,
        house_before(gemini, tmp_path / "a", postgres_url) as one,
        house_before(gemini, tmp_path / "b", postgres_url) as two,
    ):
        assert reason_of(await two.shoot(small_photo)) == (502, "provider_error")
        await store(one, RIGHT)
        await until(lambda: two.house.provider_keys.in_use("gemini").source == "stored")
        assert (await two.shoot(small_photo)).status == 200


async def test_keys_are_nowhere_to_be_read(
    tmp_path: Path, postgres_url: str, small_photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    caplog.set_level("WARNING", "asyncio")
    secret, environment = "AIza-secret-of-the-house-4711", "AIza-secret-of-the-environment-0815"
    told: list[str] = []
    async with (
        running_simulator(api_key=RIGHT) as gemini,
        house_before(gemini, tmp_path, postgres_url, environment) as lab,
        lab.api() as api,
    ):
        await lab.shoot(small_photo)
        told.append((await store(lab, secret)).text)
        shot = await lab.shoot(small_photo)
        told.append(str(shot.problem))
        for method, path, body in (
            ("POST", f"{URL}/check", None),
            ("POST", f"{URL}/check", {"key": secret}),
            ("PUT", URL, {"key": secret, "more": 1}),
            ("PUT", URL, {"key": [secret]}),
            ("PUT", URL, {"elsewhere": secret}),
            ("GET", "/api/settings", None),
            ("GET", "/api/settings/changes", None),
            ("GET", "/api/providers", None),
            ("GET", "/healthz", None),
            ("GET", "/metrics", None),
            ("GET", "/openapi.json", None),
        ):
            answer = await api.request(method, path, json=body)
            told.append(answer.text)
        tables = "settings", "settings_change", "slot_change", "audit_event", "attempt", "job"
        for table in tables:
            told += [str(dict(row)) for row in await lab.house.db.fetch(f"SELECT * FROM {table}")]
        told += [repr(lab.house.config), repr(lab.house.settings.rows), repr(lab.house.provider_keys)]
        told += [repr(group.driver) for group in lab.house.groups.values()]
    for text in (*told, caplog.text):
        assert secret not in text
        assert environment not in text
        assert CURRENT not in text
