"""What an operator says on the command line reaches the breakers of a running service, and stays said."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

import photochanger.providers
from photochanger.cli import main
from photochanger.db.facade import Db
from photochanger.db.target import Target
from photochanger.domain.breaker import Breaker, Signal
from photochanger.providers.drivers import PROVIDERS
from photochanger.providers.overrides import Overrides, write_override
from tests.lab.waiting import until


def state(breaker: Breaker) -> tuple[str, bool]:
    now = breaker.state(trio.current_time())
    return now.state, now.forced


@pytest.fixture
def breakers() -> dict[str, Breaker]:
    return {"gemini": Breaker(), "local": Breaker()}


@pytest.fixture
async def overrides(db: Db, breakers: dict[str, Breaker]) -> AsyncIterator[Overrides]:
    async with trio.open_nursery() as nursery:
        overrides = Overrides(db, breakers)
        await nursery.start(overrides.run)
        yield overrides
        nursery.cancel_scope.cancel()


async def test_a_breaker_follows_the_rows(db: Db, breakers: dict[str, Breaker], overrides: Overrides) -> None:
    assert state(breakers["gemini"]) == ("closed", False)
    await write_override(db, "gemini", "open", by="test")
    await until(lambda: state(breakers["gemini"]) == ("open", True))
    assert state(breakers["local"]) == ("closed", False)
    await write_override(db, "gemini", "closed", by="test")
    await until(lambda: state(breakers["gemini"]) == ("closed", True))
    await write_override(db, "gemini", None, by="test")
    await until(lambda: state(breakers["gemini"]) == ("closed", False))


async def test_what_was_said_before_the_start_holds_from_the_start(db: Db, breakers: dict[str, Breaker]) -> None:
    await write_override(db, "gemini", "open", by="test")
    async with trio.open_nursery() as nursery:
        await nursery.start(Overrides(db, breakers).run)
        assert state(breakers["gemini"]) == ("open", True)
        nursery.cancel_scope.cancel()


async def test_who_said_it_and_how_often_is_kept(db: Db) -> None:
    await write_override(db, "gemini", "open", by="one")
    await write_override(db, "gemini", "closed", by="two")
    row = await db.fetchrow("SELECT key, value, version, updated_by FROM settings")
    assert row is not None
    assert tuple(row) == ("breaker.gemini", {"force": "closed"}, 2, "two")


async def test_what_is_not_understood_asks_for_nothing_and_nobody_is_left_out(
    db: Db, breakers: dict[str, Breaker], overrides: Overrides
) -> None:
    rows = [("breaker.gemini", {"force": "ajar"}), ("breaker.nobody", {"force": "open"}), ("breaker", ["open"])]
    for key, value in rows:
        await db.execute("INSERT INTO settings (key, value) VALUES ($1, $2)", key, value)
    await write_override(db, "local", "open", by="test")
    await until(lambda: state(breakers["local"]) == ("open", True))
    assert state(breakers["gemini"]) == ("closed", False)


async def test_a_lost_database_changes_nothing_and_what_was_said_meanwhile_is_heard(
    db: Db, breakers: dict[str, Breaker], overrides: Overrides, postgres_url: str
) -> None:
    await write_override(db, "gemini", "open", by="test")
    await until(lambda: state(breakers["gemini"]) == ("open", True))
    db.disconnect("gone for this test")
    await trio.testing.wait_all_tasks_blocked()
    assert state(breakers["gemini"]) == ("open", True)
    await db.connect(Target.of(postgres_url))
    await write_override(db, "gemini", None, by="test")
    await until(lambda: state(breakers["gemini"]) == ("closed", False))


async def test_an_automatic_opening_survives_the_readings(
    db: Db, breakers: dict[str, Breaker], overrides: Overrides
) -> None:
    breaker = breakers["gemini"]
    turn = breaker.begin(trio.current_time())
    assert turn is not None
    breaker.ended(turn, Signal.DOWN, trio.current_time(), reason="quota")
    await overrides.refresh()
    assert state(breaker) == ("open", False)


async def test_the_command_reaches_a_running_service(
    db: Db,
    breakers: dict[str, Breaker],
    overrides: Overrides,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    for option, expected in (("--open", ("open", True)), ("--close", ("closed", True)), ("--auto", ("closed", False))):
        assert await trio.to_thread.run_sync(main, ["breaker", "gemini", option]) == 0
        await until(lambda expected=expected: state(breakers["gemini"]) == expected)  # type: ignore[misc]
    assert capsys.readouterr().out.splitlines() == [
        "gemini: kept open from now on.",
        "gemini: kept closed from now on.",
        "gemini: left to itself from now on.",
    ]


@pytest.mark.parametrize("arguments", [["gemini"], ["gemini", "--open", "--close"]])
def test_a_command_that_says_no_one_thing_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["breaker", *arguments])
    assert left.value.code == 2
    assert "breaker" in capsys.readouterr().err


def test_without_a_running_service_the_command_says_so_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("PHOTOCHANGER_VAR", str(tmp_path))
    assert main(["breaker", "gemini", "--open"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "does not run" in said.err
    assert list(tmp_path.iterdir()) == []


def test_the_command_knows_every_provider() -> None:
    folder = Path(photochanger.providers.__file__).parent
    assert {path.parent.name for path in folder.glob("*/driver.py")} == set(PROVIDERS)
