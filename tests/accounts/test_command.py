"""`photochanger accounts` as typed."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from photochanger.accounts.command import (
    changing,
    list_accounts,
    new_password,
    read_permissions,
    remove_account,
    set_password,
)
from photochanger.accounts.credentials import FILE, Account, read_accounts, write_accounts
from photochanger.accounts.throttle import ACCOUNT_TRIES
from photochanger.domain.passwords import check_password, hash_password
from photochanger.domain.permission import Permission
from photochanger.errors import ConfigError
from tests.accounts.asking import Visitor, reason
from tests.house.shared import SharedHouse
from tests.lab.house import ADMIN, READER, READER_PASSWORD, Lab
from tests.lab.process import ROOT, environment

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PASSWORD = "correct horse ёж"
COMMAND = [sys.executable, "-m", "photochanger", "accounts"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the command; `typed` is its standard input."""

    def command(*arguments: str, typed: str | bytes = "") -> "subprocess.CompletedProcess[str]":
        given = typed if isinstance(typed, bytes) else typed.encode()
        env = environment(tmp_path, PYTHONUTF8=1)
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=ROOT, env=env, input=given, capture_output=True, timeout=60, check=False
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return command


def accounts(var: Path) -> dict[str, Any]:
    return dict(read_accounts(var / "secrets" / FILE))


def test_make_change_and_remove_an_account(run: Run, tmp_path: Path) -> None:
    nobody = run("list")
    assert (nobody.returncode, nobody.stderr) == (0, "")
    assert "There are no accounts yet" in nobody.stdout

    made = run("set-password", "serg", typed=f"{PASSWORD}\n")
    assert (made.returncode, made.stdout) == (0, "")
    assert made.stderr == "serg can log in now. Permissions: all.\n"
    serg = accounts(tmp_path)["serg"]
    assert check_password(PASSWORD, serg.password_hash)
    assert serg.password_hash.startswith("$2b$12$")
    assert serg.permissions == frozenset(Permission)

    less = run("set-password", "serg", "--permissions", "stats:read, slots:write", typed=f"{PASSWORD}\r\n")
    assert less.stderr.endswith("Permissions: slots:write, stats:read.\n")
    assert check_password(PASSWORD, accounts(tmp_path)["serg"].password_hash)
    kept = run("set-password", "serg", "--generate")
    assert kept.stderr.startswith("serg has a new password")
    new = kept.stdout.strip()
    assert len(new) >= 16
    assert check_password(new, accounts(tmp_path)["serg"].password_hash)
    assert accounts(tmp_path)["serg"].permissions == {Permission.STATS_READ, Permission.SLOTS_WRITE}

    run("set-password", "igor", "--generate", "--permissions", "all")
    listed = run("list")
    assert listed.stdout == "igor: all\nserg: slots:write, stats:read\n"
    assert run("remove", "serg").returncode == 0
    assert set(accounts(tmp_path)) == {"igor"}
    again = run("remove", "serg")
    assert (again.returncode, again.stderr) == (1, "photochanger: there is no account 'serg'\n")


@pytest.mark.parametrize(
    ("name", "password", "permissions", "problem"),
    [
        ("serg", "", None, "10 to 1024 characters"),
        ("serg", "123456789", None, "10 to 1024 characters"),
        ("serg", "x" * 1025, None, "10 to 1024 characters"),
        ("serg", "1234567890\x07", None, "no control characters"),
        ("serg", "1234567890\0", None, "no control characters"),
        ("serg", "1234567890\udcff", None, "no control characters"),
        ("Serg", PASSWORD, None, "cannot be a user name"),
        ("", PASSWORD, None, "cannot be a user name"),
        ("serg\n", PASSWORD, None, "cannot be a user name"),
        ("../serg", PASSWORD, None, "cannot be a user name"),
        ("a" * 33, PASSWORD, None, "cannot be a user name"),
        ("serg", PASSWORD, "root", "choose of settings:read"),
        ("serg", PASSWORD, "", "choose of settings:read"),
    ],
)
def test_what_cannot_be(tmp_path: Path, name: str, password: str, permissions: str | None, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as raised:
        set_password(tmp_path, name, lambda: password, permissions)
    assert "\n" not in str(raised.value)
    assert password == "" or password not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be_is_told_before_a_password_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be a user name"):
        set_password(tmp_path, "Serg", lambda: pytest.fail("it asked"))


@pytest.mark.parametrize(("typed", "problem"), [(b"short\n", "10 to 1024"), (b"", "10 to 1024"), (b"\xff\n", "UTF-8")])
def test_what_is_wrong_is_told_in_one_line(run: Run, typed: bytes, problem: str) -> None:
    done = run("set-password", "serg", typed=typed)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("photochanger: ")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    changes: list[Callable[[], str]] = [
        lambda: list_accounts(tmp_path),
        lambda: set_password(tmp_path, "serg", new_password),
        lambda: remove_account(tmp_path, "serg"),
    ]
    for change in changes:
        with pytest.raises(ConfigError, match="is not a list of accounts"):
            change()
    assert (tmp_path / FILE).read_text() == "{"


def test_many_changes_at_once_lose_no_account(tmp_path: Path) -> None:
    """Each has the lock file open for itself, as processes have."""
    made = Account("made", hash_password("x", rounds=4), frozenset())

    def change(thread: int) -> None:
        for number in range(20):
            with changing(tmp_path) as accounts:
                name = f"admin-{thread}-{number}"
                accounts[name] = replace(made, username=name)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(change, range(4)))
    assert len(read_accounts(tmp_path / FILE)) == 80


def test_two_commands_at_once(tmp_path: Path) -> None:
    command = [*COMMAND, "set-password", "--generate"]
    env = environment(tmp_path)
    running = [
        subprocess.Popen([*command, name], cwd=ROOT, env=env, stdout=subprocess.PIPE) for name in ("serg", "igor")
    ]
    passwords = [process.communicate(timeout=120)[0].decode().strip() for process in running]
    found = accounts(tmp_path)
    for name, password in zip(("serg", "igor"), passwords, strict=True):
        assert check_password(password, found[name].password_hash)


@pytest.mark.parametrize(("second", "code"), [(PASSWORD, 0), ("something else", 1)])
def test_at_a_terminal_it_asks_twice_and_shows_nothing(tmp_path: Path, second: str, code: int) -> None:
    program = f"import os, pty; os._exit(os.waitstatus_to_exitcode(pty.spawn({[*COMMAND, 'set-password', 'serg']!r})))"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(tmp_path, PYTHONUTF8=1),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        shown = b""
        for prompt, typed in ((b"Password: ", PASSWORD), (b"Once more: ", second)):
            while not shown.endswith(prompt):
                shown += process.stdout.read(1)
            process.stdin.write(typed.encode() + b"\n")
            process.stdin.flush()
        shown += process.stdout.read()
        assert process.wait(60) == code, shown
    assert PASSWORD not in shown.decode()
    assert second not in shown.decode()
    if code == 0:
        assert check_password(PASSWORD, accounts(tmp_path)["serg"].password_hash)
    else:
        assert "two different passwords" in shown.decode()
        assert accounts(tmp_path) == {}


def test_permissions_by_name() -> None:
    assert read_permissions(" all ") == frozenset(Permission)
    assert read_permissions("stats:read,,stats:read ") == {Permission.STATS_READ}
    with pytest.raises(ConfigError, match="wrong"):
        read_permissions("stats:read,wrong")


# --- unlock -----------------------------------------------------------------------------------------------------


def unlock(lab: Lab, name: str) -> "subprocess.CompletedProcess[str]":
    """As ops type it on the machine of a running service."""
    config = lab.house.config
    env = environment(lab.var / "ops", SECRETS_DIR=config.secrets_dir, DATABASE_URL=config.database_url)
    return subprocess.run(
        [*COMMAND, "unlock", name], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_lock_is_lifted(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        await lab.house.db.execute("DELETE FROM login_throttle")
        await lab.house.db.execute("DELETE FROM audit_event")
        visitor = Visitor(lab)
        for _ in range(ACCOUNT_TRIES):
            assert reason(await visitor.log_in(READER, "wrong")) == (401, "unauthenticated")
            assert reason(await Visitor(lab).log_in(ADMIN, "wrong")) == (401, "unauthenticated")
        assert reason(await visitor.log_in(READER, READER_PASSWORD)) == (429, "login_locked")

        done = await trio.to_thread.run_sync(unlock, lab, READER)
        assert (done.returncode, done.stdout) == (0, f"{READER} can log in again; its failed logins are forgotten.\n")
        assert (await visitor.log_in(READER, READER_PASSWORD)).status_code == 200
        assert reason(await visitor.log_in()) == (429, "login_locked")  # no other account's
        events = await lab.house.db.fetch("SELECT * FROM audit_event WHERE action = 'account_unlocked'")
        assert [(event["subject"], event["address"]) for event in events] == [(READER, None)]

        again = await trio.to_thread.run_sync(unlock, lab, READER)
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout.startswith(f"{READER} was not locked")
        assert len(await lab.house.db.fetch("SELECT FROM audit_event WHERE action = 'account_unlocked'")) == 1

    house.run(go)


@pytest.mark.parametrize(
    ("name", "database_url", "problem"),
    [
        ("nobody", "", "there is no account 'nobody'"),
        ("serg", "", "the embedded database does not run"),
        ("serg", "postgresql://127.0.0.1:1/none", "photochanger: "),
    ],
)
def test_what_cannot_be_unlocked_is_told_in_one_line(
    tmp_path: Path, name: str, database_url: str, problem: str
) -> None:
    write_accounts(tmp_path / "secrets" / FILE, [Account("serg", hash_password("x", rounds=4), frozenset())])
    env = environment(tmp_path, DATABASE_URL=database_url)
    done = subprocess.run(
        [*COMMAND, "unlock", name], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("photochanger: ")
    assert problem in line
