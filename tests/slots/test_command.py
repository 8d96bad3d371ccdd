"""`photochanger slot` and `photochanger template` as typed: against a given database, and the service's own."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from photochanger.config import Config
from photochanger.db.embedded import EmbeddedPostgres
from photochanger.db.facade import Db
from photochanger.db.migrate import upgrade_in_thread
from photochanger.db.target import Target
from photochanger.media.probe import probe
from photochanger.media.threads import PictureThreads
from photochanger.providers.drivers import make_drivers
from photochanger.slots.house_key import house_secret
from photochanger.slots.provider_keys import stored_keys
from photochanger.slots.signing import derived_key, shown
from photochanger.slots.templates import LONGEST_SIDE
from tests.lab import pictures
from tests.lab.process import ROOT, environment
from tests.postgres import SETTINGS

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, postgres_url: str) -> Run:
    """Runs the command on a database of the test's own."""

    def command(*arguments: str | Path, **settings: str) -> "subprocess.CompletedProcess[str]":
        given = {"DATABASE_URL": postgres_url, "GEMINI_API_KEY": "key-to-hide"} | settings
        return photochanger(tmp_path, *arguments, **given)

    return command


def photochanger(var: Path, *arguments: str | Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "photochanger", *map(str, arguments)]
    env = environment(var, **settings)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def document(folder: Path, content: Any) -> Path:
    path = folder / "change.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_show_change_and_show_again(run: Run, tmp_path: Path) -> None:
    shown = json.loads(run("slot", "slot-001").stdout)
    assert (shown["id"], shown["has_password"]) == ("slot-001", False)
    assert "secret_hash" not in shown
    change = shown | {"settings": {"prompt": "Нарисуй маслом"}, "output": "crop", "t_sync": 30}
    done = run("slot", "slot-001", "--set", document(tmp_path, change))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"slot-001 is at version {shown['version'] + 1}; a running service knows it at once.\n"
    again = run("slot", "slot-001")
    assert json.loads(again.stdout) == change | {"version": shown["version"] + 1}
    assert "Нарисуй маслом" in again.stdout


def test_each_problem_has_a_line_of_its_own(run: Run, tmp_path: Path) -> None:
    change = {"permits": "two", "fallbacks": [{"provider": "local", "operation": "look", "settings": {"size": 1}}]}
    done = run("slot", "slot-001", "--set", document(tmp_path, change | {"colour": 1}))
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "photochanger: slot-001 was not changed:"
    assert "  permits: must be a whole number, not text" in lines
    assert "  colour: there is no such field" in lines
    assert "  fallbacks[0].settings.size: there is no such field" in lines


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"permits": 3,}', "change.json is not a JSON document: "),
        ('{"permits": NaN}', "change.json is not a JSON document: NaN"),
        ("[1]", 'change.json must be an object, as in {"permits": 3}'),
        ("", "change.json is not a JSON document: "),
    ],
)
def test_a_file_that_is_no_document(content: str, problem: str, run: Run, tmp_path: Path) -> None:
    done = run("slot", "slot-001", "--set", document(tmp_path, content))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"photochanger: {problem}")
    assert len(done.stderr.splitlines()) == 1


def test_what_is_not_there_is_told_in_one_line(run: Run, tmp_path: Path, empty_postgres_url: str) -> None:
    for done, said in (
        (run("slot", "slot-999"), "there is no slot 'slot-999'"),
        (run("slot", "slot-001", "--set", tmp_path / "nothing.json"), "nothing.json cannot be read: No such file"),
        (run("template", "add", tmp_path / "no.jpg", "--slot", "slot-001", "--role", "style"), "cannot be read"),
        (run("template", "add", tmp_path / "no.jpg", "--slot", "slot-999", "--role", "style"), "there is no slot"),
        (photochanger(tmp_path, "slot", "slot-001", DATABASE_URL=empty_postgres_url), "the database is not up to date"),
        (photochanger(tmp_path, "slot", "slot-001"), "the embedded database does not run; start the service first"),
        (photochanger(tmp_path, "slot", "x", DATABASE_URL="postgresql://u:secret@127.0.0.1:1/x"), "127.0.0.1:1"),
    ):
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "secret" not in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_signing_key_is_that_of_the_slots_generation(run: Run, tmp_path: Path) -> None:
    def key(*arguments: str) -> str:
        done = run("signing-key", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    first = key("slot-001")
    assert run("slot", "slot-001", "--set", document(tmp_path, {"signing_generation": 2})).returncode == 0
    second = key("slot-001")
    assert (key("slot-001", "--generation", "1"), key("slot-001", "--generation", "2")) == (first, second)
    secret = house_secret(tmp_path / "secrets")
    assert [first.strip(), second.strip()] == [shown(derived_key(secret, "slot-001", n)) for n in (1, 2)]

    unknown = run("signing-key", "slot-999")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "photochanger: there is no slot 'slot-999'\n"

    for settings in ({}, {"DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/x"}):
        alone = photochanger(tmp_path, "signing-key", "slot-001", **settings)
        assert (alone.returncode, alone.stdout) == (0, first)
        assert "this is the key of generation 1" in alone.stderr
        assert "secret" not in alone.stderr
        assert photochanger(tmp_path, "signing-key", "slot-001", "--generation", "2", **settings).stderr == ""


def test_a_template_is_kept_and_bound(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "style.jpg"
    picture.write_bytes(pictures.photo(4608, 1536))
    done = run("template", "add", picture, "--slot", "slot-001", "--role", "style")
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.splitlines()[0]
    template_id = first.split()[1]
    assert first == f"template {template_id} travels with every photo of slot-001 now, as style."
    assert json.loads(run("slot", "slot-001").stdout)["templates"] == [
        {"template_id": template_id, "role": "style", "position": 0}
    ]
    kept = [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert kept == [tmp_path / "media" / "templates" / f"{template_id}.jpg"]
    assert probe(kept[0]).width == LONGEST_SIDE

    version = json.loads(run("slot", "slot-001").stdout)["version"]
    remove = ("template", "remove", "--slot", "slot-001", "--position")
    done = run(*remove, "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"template {template_id} travels with slot-001 no more."
    shown_now = json.loads(run("slot", "slot-001").stdout)
    assert (shown_now["templates"], shown_now["version"]) == ([], version + 1)
    assert kept[0].is_file()
    for nothing in ("0", "-1", "99999999999"):
        done = run(*remove[:-1], f"--position={nothing}")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"photochanger: there is no template at {nothing}\n"
    assert json.loads(run("slot", "slot-001").stdout) == shown_now


def test_a_template_that_is_no_picture(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "style.jpg"
    path.write_bytes(pictures.html())
    done = run("template", "add", path, "--slot", "slot-001", "--role", "style")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("photochanger: style.jpg: ")
    assert not [found for found in (tmp_path / "media").rglob("*") if found.is_file()]


def test_a_template_names_what_is_still_wrong(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "style.jpg"
    path.write_bytes(pictures.photo(64, 48))
    done = run("template", "add", path, "--slot", "slot-001", "--role", "style", GEMINI_API_KEY="")
    assert done.returncode == 0
    assert "Still wrong in slot-001: provider: gemini has no key: store one" in done.stdout


@pytest.mark.parametrize("settings_key", ["", "k" * 40])
async def test_a_key_that_an_administrator_has_stored_is_one(
    run: Run, tmp_path: Path, db: Db, settings_key: str
) -> None:
    secret = house_secret(tmp_path / "secrets")
    keys = stored_keys(
        Config(settings_keys=tuple(settings_key.split())), make_drivers(Config(), PictureThreads()), secret
    )
    row = keys.locked("gemini", "the-key-to-hide")
    await db.execute("INSERT INTO settings (key, value) VALUES ('provider_key.gemini', $1)", row)
    change = document(tmp_path, {"settings": {"prompt": "Paint it."}})

    async def set_with(**settings: str) -> "subprocess.CompletedProcess[str]":
        command = partial(run, "slot", "slot-001", "--set", change, GEMINI_API_KEY="", **settings)
        return await trio.to_thread.run_sync(command)

    done = await set_with(SETTINGS_KEY=settings_key)
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "style.jpg"
    path.write_bytes(pictures.photo(64, 48))
    add = partial(run, "template", "add", path, "--slot", "slot-001", "--role", "style", GEMINI_API_KEY="")
    done = await trio.to_thread.run_sync(partial(add, SETTINGS_KEY=settings_key))
    assert "Still wrong" not in done.stdout
    if settings_key:
        done = await trio.to_thread.run_sync(partial(add, SETTINGS_KEY="o" * 40))
        assert "Still wrong in slot-001: provider: gemini has no key: store one" in done.stdout
        assert "the stored key of gemini cannot be used" in done.stderr


async def test_the_embedded_database_of_a_running_service_is_found(tmp_path: Path) -> None:
    """And once it has stopped, that is said; also when a crash left its files behind."""
    folder = tmp_path / "postgres"

    async def asked() -> "subprocess.CompletedProcess[str]":
        return await trio.to_thread.run_sync(lambda: photochanger(tmp_path, "slot", "slot-007"))

    async with trio.open_nursery() as nursery:
        url = await nursery.start(EmbeddedPostgres(folder, settings=SETTINGS).run)
        await upgrade_in_thread(Target.of(url))
        done = await asked()
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["id"] == "slot-007"
        (pid_file,) = [*folder.glob("data/postmaster.pid"), *elsewhere(folder)]
        left = pid_file.read_bytes()
        nursery.cancel_scope.cancel()
    for crashed in (False, True):
        if crashed:
            pid_file.write_bytes(left)
        done = await asked()
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "the embedded database does not run; start the service first" in done.stderr
        assert ("no connection to" in done.stderr) is crashed
    pid_file.unlink()


def elsewhere(folder: Path) -> list[Path]:
    pointer = folder / "elsewhere"
    return [Path(pointer.read_text().strip()) / "data" / "postmaster.pid"] if pointer.is_file() else []
