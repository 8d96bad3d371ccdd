"""The administrators' accounts as they lie in `SECRETS_DIR/runtime_credentials.json`.

{"accounts": [{"username": "serg", "password_hash": "$2b$12$…", "permissions": ["slots:write"]}]}
"""

import hmac
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
import trio

from photochanger.domain.permission import Permission
from photochanger.errors import ConfigError
from photochanger.media.files import write_private

log = logging.getLogger(__name__)

FILE: Final = "runtime_credentials.json"
LOOK_EVERY: Final = 1.0
"""Seconds between two looks whether the file has changed."""

COSTS: Final = range(4, 17)
"""What a hash may cost, as bcrypt counts it: with 16 a look takes some four seconds of a core."""
USUAL_COST: Final = 12
"""Of the hashes that we make."""

Username = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}\Z")]
_HASH: Final = re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}")
OnChange = Callable[[str, str], Awaitable[None]]
"""What has happened, and the name of the account."""
_Stamp = tuple[int, int, int] | None


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One administrator. `password_hash` is what `domain.passwords.hash_password` made."""

    username: Username
    password_hash: str
    permissions: frozenset[Permission]

    def fingerprint(self, key: bytes) -> str:
        """Changes whenever the password or the permissions do; tells nothing of them without `key`."""
        text = "\n".join(["account", self.username, self.password_hash, *sorted(self.permissions)])
        return hmac.digest(key, text.encode(), "sha256").hex()[:16]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    accounts: list[Account]


def read_accounts(path: Path) -> dict[str, Account]:
    """The accounts by name; none where there is no file. Blocks. Raises ConfigError naming what is wrong."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File).accounts
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not a list of accounts: {error}") from None
    accounts = {account.username: account for account in found}
    if len(accounts) != len(found):
        raise ConfigError(f"{path.name} names an account twice")
    for account in found:
        if not _HASH.fullmatch(account.password_hash) or cost_of(account) not in COSTS:
            raise ConfigError(f"{path.name}: the password_hash of {account.username} is no bcrypt hash of cost 4 to 16")
    return accounts


def cost_of(account: Account) -> int:
    """How much it costs to look at a password, as bcrypt counts it."""
    return int(account.password_hash[4:6])


def write_accounts(path: Path, accounts: Iterable[Account]) -> None:
    """Replace the file, whole or not at all; readable by its owner only. Blocks. Raises ConfigError."""
    ordered = sorted(accounts, key=lambda account: account.username)
    data = msgspec.json.format(msgspec.json.encode({"accounts": ordered}, order="deterministic"), indent=2)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, data + b"\n")
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be written: {error.strerror}") from None


class AccountBook:
    """The accounts in memory, as the file said last. Reading is a look into a dictionary; `run` keeps it fresh."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._accounts: Mapping[str, Account] = {}
        self._stamp: _Stamp = None
        self._reading = trio.Lock()
        self._read = False
        self.on_change: OnChange | None = None
        """Told of each account that is not what it was, after it is known here; not of those at the start."""

    def find(self, username: str) -> Account | None:
        """The account of this name."""
        return self._accounts.get(username)

    def all(self) -> list[Account]:
        """All accounts, by name."""
        return sorted(self._accounts.values(), key=lambda account: account.username)

    async def refresh(self) -> None:
        """Read the file again if it has changed. Raises ConfigError; then everything stays as it was."""
        async with self._reading:
            before, known = self._accounts, self._read
            await trio.to_thread.run_sync(self._refresh)
            self._read = True
            if known and self.on_change is not None:
                for change, name in _changes(before, self._accounts):
                    log.warning("%s: %s", change.replace("_", " "), name)
                    await self.on_change(change, name)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look every second, until cancelled. A file that cannot be understood at the start is a ConfigError."""
        await self.refresh()
        if not self._accounts:
            log.warning("nobody can log in yet: `photochanger accounts set-password NAME` makes an account")
        task_status.started()
        said = ""
        while True:
            await trio.sleep(LOOK_EVERY)
            try:
                await self.refresh()
                said = ""
            except ConfigError as error:
                if str(error) != said:
                    log.error("%s; the accounts stay as they were", error)
                    said = str(error)

    def _refresh(self) -> None:
        stamp = _stamp(self.path)
        if stamp != self._stamp or stamp is None:
            self._accounts = read_accounts(self.path)
            self._stamp = stamp


def _changes(before: Mapping[str, Account], after: Mapping[str, Account]) -> Iterator[tuple[str, str]]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield ("account_removed" if new is None else "account_added"), name
        elif old.password_hash != new.password_hash:
            yield "account_password_changed", name
        elif old != new:
            yield "account_permissions_changed", name


def _stamp(path: Path) -> _Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - one call, no object
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
