"""Where an embedded PostgreSQL keeps its things, and the lock that makes it the only one there.

Normally that is the given folder itself. A root process whose folder lies where the server's account cannot
go (a clone under /root, mode 0700) keeps the data in /var/lib/photochanger/<hash of the folder> instead, in
/var/tmp where that cannot be written, in /tmp if the folder itself is a temporary one; the folder's file
`elsewhere` has the address. Without that file what lies there is from a folder that was deleted, and goes too.
"""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from photochanger.db.programs import Account, can_enter, choose_account
from photochanger.errors import ConfigError

_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 103  # bytes: sun_path is 108 on Linux, 104 on macOS, with the closing NUL
_ELSEWHERE = (Path("/var/lib/photochanger"), Path("/var/tmp"))  # noqa: S108 - checked in _make_place
_TEMPORARY = (Path("/tmp"),)  # noqa: S108 - checked in _make_place


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one server and the account it runs under (None = our own)."""

    folder: Path
    account: Account | None
    unclaimed: Path | None = None  # the `elsewhere` file that is still to be written

    @property
    def data(self) -> Path:
        """The data folder; made whole or not at all."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says, since its last start."""
        return self.folder / "postgres.log"

    def claim(self) -> None:
        """Make the home this folder's own: data of a folder that was deleted goes. Nothing may run there."""
        if self.unclaimed is not None:
            shutil.rmtree(self.data, ignore_errors=True)
            self.unclaimed.write_text(f"{self.folder}\n")

    def give(self, path: Path | int) -> None:
        """Make the account the owner of a file or folder of ours."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def fresh_folder(self, folder: Path) -> Path:
        """Make `folder` anew, private to the account."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        self.give(folder)
        return folder

    def socket_folder(self) -> Path:
        """A fresh private folder for the socket: beside the data, or a short one where that path is too long."""
        folder = self.folder / "run"
        if len(os.fsencode(folder / _SOCKET)) <= _SOCKET_PATH_LIMIT:
            return self.fresh_folder(folder)
        short = Path(tempfile.mkdtemp(prefix="photochanger-", dir="/tmp"))
        self.give(short)
        return short


def find_home(folder: Path) -> Home:
    """The home for the given folder, which is made if it is missing. Blocking."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    account = choose_account(folder)
    if account is None:
        return Home(folder, None)
    if folder.stat().st_uid == 0:
        folder.chmod(0o711)  # the account passes through; only its own folders below let it read
    if can_enter(folder, account):
        return Home(folder, account)
    pointer = folder / "elsewhere"
    if pointer.is_file():
        place = Path(pointer.read_text().strip())
        if _is_ours(place):
            return Home(place, account)
    parents = _TEMPORARY if folder.is_relative_to(Path(tempfile.gettempdir()).resolve()) else _ELSEWHERE
    place = _make_place(parents, hashlib.sha256(os.fsencode(folder)).hexdigest()[:12], account)
    return Home(place, account, unclaimed=pointer)


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the home's lock. It ends with the process, however that ends. Raises ConfigError when it is taken."""
    lock = os.open(home.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        home.give(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another running PhotoChanger uses {home.folder}; set PHOTOCHANGER_VAR to run two side by side"
            raise ConfigError(message) from None
        yield
    finally:
        os.close(lock)


def _make_place(parents: tuple[Path, ...], name: str, account: Account) -> Path:
    for parent in parents:
        place = parent / name if parent.name == "photochanger" else parent / f"photochanger-{name}"
        try:
            if parent.name == "photochanger":
                parent.mkdir(mode=0o711, exist_ok=True)
                parent.chmod(0o711)
            place.mkdir(mode=0o711, exist_ok=True)
        except OSError:
            continue
        # In /tmp and /var/tmp anybody could have made the name first.
        if _is_ours(place) and can_enter(place, account):
            place.chmod(0o711)
            return place
    raise ConfigError(
        "there is no place that an unprivileged PostgreSQL can reach: set PHOTOCHANGER_VAR or DATABASE_URL"
    )


def _is_ours(place: Path) -> bool:
    try:
        status = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
