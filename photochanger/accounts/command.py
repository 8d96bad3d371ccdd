"""`photochanger accounts`: who may administrate, set up from a terminal.

The service need not run, but for lifting a lock: locks lie in the database.

Each function does one command and returns what to print. What can be expected to fail is raised as ConfigError.
"""

import fcntl
import getpass
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio

from photochanger.accounts.audit import ACCOUNT_UNLOCKED, Audit
from photochanger.accounts.credentials import FILE, USUAL_COST, Account, Username, read_accounts, write_accounts
from photochanger.accounts.throttle import Throttle
from photochanger.accounts.views import LONGEST_PASSWORD
from photochanger.config import Config
from photochanger.db.running import running_db
from photochanger.domain.passwords import hash_password
from photochanger.domain.permission import Permission
from photochanger.errors import ConfigError
from photochanger.media.files import belong_to_folder

SHORTEST_PASSWORD: Final = 10
_LOCK: Final = f".{FILE}.lock"
_Accounts = dict[str, Account]


def list_accounts(folder: Path) -> str:
    """A line per account: its name and what it may do."""
    accounts = read_accounts(folder / FILE)
    lines = [f"{name}: {_told(accounts[name].permissions)}" for name in sorted(accounts)]
    return "\n".join(lines) or "There are no accounts yet: `photochanger accounts set-password NAME` makes one."


def set_password(folder: Path, name: str, password: Callable[[], str], permissions: str | None = None) -> str:
    """Give the account the password that `password` gets, and these permissions (with commas between, or `all`).

    Without them an account keeps its own; a new one gets all.
    """
    _check_name(name)
    wanted = None if permissions is None else read_permissions(permissions)
    given = password()
    _check_password(given)
    hashed = hash_password(given, rounds=USUAL_COST)  # takes a moment: before the lock
    with changing(folder) as accounts:
        before = accounts.get(name)
        kept = before.permissions if before else frozenset(Permission)
        accounts[name] = account = Account(name, hashed, kept if wanted is None else wanted)
    done = "has a new password; whoever was logged in as such has to log in again" if before else "can log in now"
    return f"{name} {done}. Permissions: {_told(account.permissions)}."


def remove_account(folder: Path, name: str) -> str:
    """Remove the account; its tokens are worth nothing from then on."""
    with changing(folder) as accounts:
        if accounts.pop(name, None) is None:
            raise ConfigError(f"there is no account {name!r}")
    return f"{name} cannot log in any more, and is logged out."


async def unlock_account(config: Config, name: str, key: Callable[[], bytes]) -> str:
    """Forget the failed logins of an account, so that it can log in at once. `key` gets that of the throttle.

    Raises also DatabaseUnavailable.
    """
    if name not in await trio.to_thread.run_sync(read_accounts, config.secrets_dir / FILE):
        raise ConfigError(f"there is no account {name!r}")
    counted_by = await trio.to_thread.run_sync(key)
    async with running_db(config.database_url, config.database_schema, config.database_folder) as db:
        if not await Throttle(db, counted_by).unlock(name):
            return (
                f"{name} was not locked, there are no failed logins. An address with too many is locked by itself, "
                "for a quarter of an hour."
            )
        await Audit(db).record(ACCOUNT_UNLOCKED, subject=name)
    return f"{name} can log in again; its failed logins are forgotten."


def read_permissions(text: str) -> frozenset[Permission]:
    """Permissions by name, with commas between; `all` for all. Raises ConfigError."""
    if text.strip() == "all":
        return frozenset(Permission)
    names = [each.strip() for each in text.split(",") if each.strip()]
    unknown = [name for name in names if name not in list(Permission)]
    if unknown or not names:
        raise ConfigError(f"--permissions: {', '.join(unknown) or 'none'}: choose of {', '.join(Permission)}, or all")
    return frozenset(Permission(name) for name in names)


def new_password() -> str:
    """One that nobody can guess: 96 bits."""
    return secrets.token_urlsafe(12)


def ask_password(prompt: Callable[[str], str] = getpass.getpass) -> str:
    """From the terminal, twice and without echo; where there is none, the first line of standard input."""
    if not sys.stdin.isatty():
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigError("the password must be text in UTF-8") from None
    try:
        password = prompt("Password: ")
        if prompt("Once more: ") != password:
            raise ConfigError("these were two different passwords; nothing was changed")
    except EOFError:
        raise ConfigError("no password was given; nothing was changed") from None
    return password


@contextmanager
def changing(folder: Path) -> Iterator[_Accounts]:
    """The accounts as they are, written when the block ends: one change at a time, whoever else changes them."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"SECRETS_DIR cannot be written: {error.strerror}") from None
    try:
        belong_to_folder(lock, folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
        accounts = read_accounts(folder / FILE)
        yield accounts
        write_accounts(folder / FILE, accounts.values())
    finally:
        os.close(lock)


def _check_name(name: str) -> None:
    try:
        msgspec.convert(name, Username)
    except msgspec.ValidationError:
        raise ConfigError(
            f"{name!r} cannot be a user name: 1 to 32 of a-z, 0-9, dot, dash, underscore, the first a letter or digit"
        ) from None


def _check_password(password: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ConfigError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; nothing was changed")
    if not password.isprintable():  # of those a page or a program could send hardly any, or none
        raise ConfigError("a password has no control characters; nothing was changed")


def _told(permissions: frozenset[Permission]) -> str:
    return "all" if permissions == frozenset(Permission) else ", ".join(sorted(permissions)) or "none"
