"""What lies in a journal's folder: rows that PostgreSQL could not take yet, and those that it never will.

As long as there are any, a file without a row may still get one.
"""

from pathlib import Path
from typing import Final

import trio

SUFFIX: Final = ".json"
REJECTED: Final = "rejected"
"""The folder inside a journal's where entries lie that can never be written, for a person to look at."""


def waiting(folder: Path) -> list[Path]:
    """The entries of a journal, oldest first; what a crash left half written is none. Blocks. Raises OSError."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []


async def rows_are_whole(folder: Path) -> bool:
    """Whether no row stands in the journal alone; False also where nobody can say."""
    try:
        return not await trio.to_thread.run_sync(_some, folder)
    except OSError:
        return False


def _some(folder: Path) -> bool:
    return bool(waiting(folder) or waiting(folder / REJECTED))
