"""The file of accounts: read, refused, written whole, and noticed when it changes."""

import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from photochanger.accounts.credentials import FILE, Account, AccountBook, read_accounts, write_accounts
from photochanger.domain.passwords import hash_password
from photochanger.domain.permission import Permission
from photochanger.errors import ConfigError
from tests.lab.waiting import until

HASH = hash_password("x", rounds=4)
SERG = Account("serg", HASH, frozenset(Permission))
IGOR = Account("igor", HASH, frozenset({Permission.STATS_READ}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets" / FILE


def test_written_and_read_again(file: Path) -> None:
    assert read_accounts(file) == {}
    write_accounts(file, [SERG, IGOR])
    assert read_accounts(file) == {"igor": IGOR, "serg": SERG}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [FILE]
    written = file.read_bytes()
    write_accounts(file, [IGOR, SERG])
    assert file.read_bytes() == written


def account(**changes: Any) -> dict[str, Any]:
    return {"username": "serg", "password_hash": HASH, "permissions": ["stats:read"]} | changes


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a list of accounts"),
        ([], "not a list of accounts"),
        (b"\xff\xfe", "not a list of accounts"),
        ({"accounts": [{}]}, "not a list of accounts"),
        ({"accounts": [account(permissions=["root"])]}, "not a list of accounts"),
        ({"accounts": [account(admin=True)]}, "not a list of accounts"),
        ({"accounts": [account()], "more": 1}, "not a list of accounts"),
        ({"accounts": [account(username="Serg")]}, "not a list of accounts"),
        ({"accounts": [account(username="serg\n")]}, "not a list of accounts"),
        ({"accounts": [account(username="")]}, "not a list of accounts"),
        ({"accounts": [account(username="a" * 33)]}, "not a list of accounts"),
        ({"accounts": [account(), account()]}, "names an account twice"),
        ({"accounts": [account(password_hash="plain text")]}, "password_hash of serg is no bcrypt hash"),
        ({"accounts": [account(password_hash=HASH + "x")]}, "password_hash of serg is no bcrypt hash"),
        ({"accounts": [account(password_hash=HASH.replace("$04$", "$31$"))]}, "is no bcrypt hash of cost 4 to 16"),
        ({"accounts": [account(password_hash=HASH.replace("$04$", "$03$"))]}, "is no bcrypt hash of cost 4 to 16"),
    ],
)
def test_what_is_no_file_of_accounts(file: Path, content: Any, problem: str) -> None:
    file.parent.mkdir()
    raw = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    file.write_bytes(raw)
    with pytest.raises(ConfigError, match=problem) as raised:
        read_accounts(file)
    assert str(raised.value).startswith(FILE)
    assert HASH not in str(raised.value)


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_accounts(tmp_path / FILE)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_accounts(tmp_path / FILE, [SERG])
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_fingerprint_changes_with_what_it_stands_for() -> None:
    key = 32 * b"k"
    variants = [
        SERG,
        IGOR,
        Account("serg", HASH, IGOR.permissions),
        Account("serg", hash_password("x", rounds=4), SERG.permissions),
        Account("serg", HASH, frozenset()),
    ]
    assert len({each.fingerprint(key) for each in variants}) == len(variants)
    assert SERG.fingerprint(key) != SERG.fingerprint(32 * b"o")
    assert SERG.fingerprint(key) == Account("serg", HASH, frozenset(reversed(Permission))).fingerprint(key)


def test_what_is_written_belongs_to_whom_the_folder_belongs(file: Path) -> None:
    """Also when root writes: the service has to read it."""
    file.parent.mkdir()
    if os.geteuid() == 0:
        os.chown(file.parent, 12345, 23456)
    write_accounts(file, [SERG])
    found, folder = file.stat(), file.parent.stat()
    assert (found.st_uid, found.st_gid) == (folder.st_uid, folder.st_gid)
    assert stat.S_IMODE(found.st_mode) == 0o600


# --- the book ---------------------------------------------------------------------------------------------------


@pytest.fixture
def mock_clock() -> MockClock:
    """A second takes a twentieth of one: files are real, and threads read them."""
    return MockClock(rate=20)


@asynccontextmanager
async def running(book: AccountBook) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(book.run)
        yield
        nursery.cancel_scope.cancel()


async def test_changes_are_noticed(file: Path, mock_clock: MockClock) -> None:
    told: list[tuple[str, str]] = []

    async def tell(change: str, name: str) -> None:
        told.append((change, name))

    book = AccountBook(file.parent)
    book.on_change = tell
    write_accounts(file, [SERG])
    async with running(book):
        assert book.all() == [SERG]
        assert told == []  # those of the start are no change
        write_accounts(file, [SERG, IGOR])
        await until(lambda: book.find("igor") == IGOR)
        write_accounts(
            file, [Account("serg", HASH, frozenset()), Account("igor", HASH.replace("04", "05", 1), frozenset())]
        )
        await until(lambda: len(told) == 3)
        await trio.Path(file).unlink()
        await until(lambda: len(told) == 5)
        assert book.all() == []
    assert told == [
        ("account_added", "igor"),
        ("account_password_changed", "igor"),
        ("account_permissions_changed", "serg"),
        ("account_removed", "igor"),
        ("account_removed", "serg"),
    ]


async def test_a_damaged_file_changes_nothing_and_is_told_once(
    file: Path, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    book = AccountBook(file.parent)
    write_accounts(file, [SERG])
    async with running(book):
        await trio.Path(file).write_text("{")
        await until(lambda: "the accounts stay as they were" in caplog.text)
        await trio.sleep(5)
        assert book.all() == [SERG]
        assert caplog.text.count("the accounts stay as they were") == 1
        write_accounts(file, [IGOR])
        await until(lambda: book.all() == [IGOR])


async def test_a_damaged_file_at_the_start_is_an_error(file: Path) -> None:
    await trio.Path(file.parent).mkdir()
    await trio.Path(file).write_text("{")
    with pytest.raises(ConfigError, match="not a list of accounts"):
        await AccountBook(file.parent).run()


async def test_nobody_yet(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(AccountBook(file.parent)):
        assert "photochanger accounts set-password NAME" in caplog.text
