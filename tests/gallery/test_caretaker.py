"""The caretaker: in a house that runs, while the database is away, and switched off."""

from pathlib import Path

import pytest
import trio
import trio.testing

from photochanger.errors import StorageUnavailable
from photochanger.media import caretaker
from photochanger.media.retention import Retention, Swept
from tests.gallery.given import HOUR, cleaned, files_of, now, put_result
from tests.lab.house import running_house
from tests.lab.waiting import until
from tests.postgres import PostgresServer
from tests.settings.asking import changed


async def test_it_cleans_up_by_itself_and_outlives_the_database(
    tmp_path: Path, postgres_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "EVERY", 0.02)
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    async with running_house(tmp_path, postgres_url) as lab:
        first = await put_result(lab, preview=True, at=now() - 99 * HOUR, expires_at=now() - HOUR)
        stays = await put_result(lab, preview=True)
        await until(lambda: files_of(lab, first) == [])

        await trio.to_thread.run_sync(postgres_server.sql, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        second = await put_result(lab, preview=True, expires_at=now() + HOUR)
        await lab.house.db.execute("UPDATE media_object SET expires_at = now() WHERE job_id = $1", second)
        lab.house.db.disconnect("the test took it away")
        rounds = 0
        sweep = lab.house.retention.sweep

        async def counted() -> object:
            nonlocal rounds
            rounds += 1
            return await sweep()

        monkeypatch.setattr(lab.house.retention, "sweep", counted)
        await until(lambda: rounds > 3)
        await trio.to_thread.run_sync(postgres_server.sql, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await until(lambda: lab.house.db.state.available)
        await until(lambda: files_of(lab, second) == [])
        with trio.fail_after(20):
            while await cleaned(lab, second) != {"result", "preview"}:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert await cleaned(lab, first) == {"result", "preview"}
        assert len(files_of(lab, stays)) == 2
        [child] = [child for child in lab.house.root.snapshot().children if child.name == "caretaker"]
        assert child.restarts == 0


async def test_what_is_in_the_way_of_the_hourly_look_is_not_run_into_each_minute(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds, looks = 0, 0
    sweep = Retention.sweep

    async def counted(self: Retention) -> Swept:
        nonlocal rounds
        rounds += 1
        return await sweep(self)

    async def failing(_self: Retention) -> Swept:
        nonlocal looks
        looks += 1
        raise StorageUnavailable("the media folder cannot be read")

    monkeypatch.setattr(caretaker, "EVERY", 0.02)
    monkeypatch.setattr(Retention, "sweep", counted)
    monkeypatch.setattr(Retention, "sweep_orphans", failing)
    async with running_house(tmp_path, postgres_url):
        await until(lambda: rounds > 4)
        assert looks == 1


async def test_while_it_is_switched_off_nothing_is_removed(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "EVERY", 0.02)
    async with running_house(tmp_path, postgres_url) as lab:
        asked = 0

        def off() -> bool:
            nonlocal asked
            asked += 1
            return False

        lab.house.caretaker.enabled = off
        await until(lambda: asked > 0)
        due = await put_result(lab, preview=True, at=now() - 99 * HOUR, expires_at=now() - HOUR)
        seen = asked
        await until(lambda: asked > seen + 3)
        assert len(files_of(lab, due)) == 2
        lab.house.caretaker.enabled = lambda: True
        await until(lambda: files_of(lab, due) == [])


async def test_while_it_is_switched_off_a_look_removes_nothing(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, postgres_url, cleanup=False) as lab, lab.api(None) as client:
        due = await put_result(lab, preview=True, at=now() - 99 * HOUR, expires_at=now() - HOUR)
        for path in (f"/public/results/{due}", f"/public/results/{due}/preview", f"/r/{lab.house.seals.guest(due)}"):
            response = await client.get(path)
            assert (response.status_code, response.json()["failure_reason"]) == (410, "result_expired")
        assert len(files_of(lab, due)) == 2
        assert await cleaned(lab, due) == set()
        lab.house.caretaker.enabled = lambda: False  # so that it is the look that removes them
        await changed(lab, cleanup=True)
        assert (await client.get(path)).status_code == 410
        assert files_of(lab, due) == []
