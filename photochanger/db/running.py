"""The database as a tool finds it: the one of DATABASE_URL, or the embedded one while the service runs."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg
import trio

from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.db.postmaster import is_ready, read_pid_file
from photochanger.db.target import Target
from photochanger.errors import ConfigError, DatabaseUnavailable

_SOCKET_LINE: Final = 4
"""Of postmaster.pid, counted from 0: the folder of the first Unix socket."""

_NOT_RUNNING: Final = (
    "the embedded database does not run; start the service first, or set DATABASE_URL "
    "(and PHOTOCHANGER_VAR, if the service has it set)"
)


@asynccontextmanager
async def running_db(url: str | None, schema: str, embedded_folder: Path) -> AsyncIterator[Db]:
    """A connected `Db` for a short task. `url` None means the embedded server in `embedded_folder`.

    Nothing is started or migrated. Raises DatabaseUnavailable when nobody answers, ConfigError for a wrong `url` or
    tables that are not those of this version.
    """
    address = url if url else await trio.to_thread.run_sync(embedded_address, embedded_folder)
    async with open_loop() as loop:
        db = Db(loop)
        try:
            await db.connect(Target.of(address, schema), size=2, reserved=1)
        except DatabaseUnavailable as error:
            if url is None:  # it ended without tidying up, or runs under another user
                raise DatabaseUnavailable(f"{_NOT_RUNNING}: {error}") from None
            raise
        try:
            yield db
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
            message = (
                "the database is not up to date: start this version of the service once, or run its migrate command"
            )
            raise ConfigError(message) from None
        finally:
            db.disconnect("the task is done")


def embedded_address(folder: Path) -> str:
    """The address of the embedded server whose home is `folder`. Blocks; makes nothing.

    Raises DatabaseUnavailable when it does not run.
    """
    for data in _data_folders(folder):
        lines = read_pid_file(data)
        pid = lines[0].strip() if lines else ""
        if pid.isdigit() and is_ready(data, int(pid)):
            return f"postgresql://postgres@/postgres?host={quote(lines[_SOCKET_LINE].strip(), safe='')}"
    raise DatabaseUnavailable(_NOT_RUNNING)


def _data_folders(folder: Path) -> Iterator[Path]:
    """Where the data may lie; see `home.py`."""
    with suppress(OSError):
        yield Path((folder / "elsewhere").read_text(encoding="utf-8").strip()) / "data"
    yield folder / "data"
