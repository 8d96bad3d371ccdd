"""Where pictures are kept: the port. The rest of the house knows files by their relative path only."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

EXTENSIONS = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is kept. `path` is relative to the store; `sha256` is hexadecimal."""

    path: str
    mime: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LeftoverTemp:
    """A job's temp folder that was found on disk. `age` is in seconds since something in it changed."""

    slot_id: str
    job_id: str
    age: float


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that was found among those that are kept. `age` is in seconds since it was written."""

    path: str
    bytes: int
    age: float


@dataclass(frozen=True, slots=True)
class MarkedTemplate:
    """A template that is not needed any more. `age` is in seconds since that was said."""

    path: str
    age: float


class MediaStore(Protocol):
    """Temp folders that die with their job, results that outlive it, and the slots' templates.

    Every method may raise StorageUnavailable. Names are checked: ids that could leave their folder raise ValueError,
    because they must never have come this far.
    """

    def temp_path(self, slot_id: str, job_id: str) -> Path:
        """Where a job's temp folder lies. Whoever writes into it makes it; `remove_temp` removes it."""

    async def remove_temp(self, slot_id: str, job_id: str) -> None:
        """Remove a job's temp folder with all in it. Works in a cancelled task; nothing there is fine."""

    async def keep_result(self, temp_path: Path, job_id: str, mime: str) -> StoredFile:
        """Move a verified picture among the results. When this returns, the file survives a loss of power."""

    async def keep_preview(self, temp_path: Path, result_path: str) -> StoredFile:
        """Move a result's WebP preview beside it (see `preview_path`). Not forced to disk: it can be made again."""

    async def keep_template(self, temp_path: Path, template_id: str, mime: str) -> StoredFile:
        """Move a slot's template, checked and clean, among the templates. Survives a loss of power, as results do."""

    async def mark_template(self, path: str) -> None:
        """Remember from now on that the template `path` is not needed any more. Nothing is removed yet."""

    async def marked_templates(self) -> list[MarkedTemplate]:
        """The templates that were marked."""

    async def remove_template(self, path: str) -> None:
        """Remove a template with its preview and its mark. Nothing there is fine."""

    async def unmark_template(self, path: str) -> None:
        """Forget the mark: the template is needed."""

    async def keep_original(self, temp_path: Path, path: str) -> None:
        """Move a guest's photo to `path` (see `original_path`). Not forced to disk: it is kept for convenience."""

    async def lend(self, file: Path, folder: Path) -> Path | None:
        """A kept or spooled file once more, as `payload` in a job's temp folder, which is made: each may be removed.

        None when the file has gone.
        """

    async def find_result(self, job_id: str) -> StoredFile | None:
        """The result that was kept for a job, found by its name alone: after a crash nothing else may know it."""

    def locate(self, path: str) -> Path:
        """Where the kept file `path` lies. Does not look whether it is there."""

    async def remove(self, path: str) -> int | None:
        """Remove a kept file; the bytes that this freed. Nothing there is fine: None."""

    async def size(self, path: str) -> int | None:
        """The bytes of a kept file; None when it is not there."""

    async def kept_folders(self) -> list[str]:
        """The folders that hold the files of jobs, a day's each, oldest first."""

    async def kept_files(self, folder: str) -> list[KeptFile]:
        """What lies in one of `kept_folders`."""

    async def remove_empty(self, folder: str) -> None:
        """Remove one of `kept_folders` that has nothing in it any more, unless it is of these days."""

    async def leftover_temp(self) -> list[LeftoverTemp]:
        """All temp folders there are: at start, those of jobs that a crash cut short."""

    async def sweep_temp(self, older_than: float) -> tuple[int, int]:
        """Remove the temp folders in which nothing changed for `older_than` seconds; how many, and how many stay."""

    async def free_bytes(self) -> int:
        """Room left on the disk."""

    async def check(self) -> None:
        """Raises StorageUnavailable unless files can be written, moved and removed now."""


def preview_path(result_path: str) -> str:
    """The relative path of the preview that belongs to a result."""
    return result_path.rpartition(".")[0] + "_preview.webp"


def original_path(job_id: str, day: date, mime: str) -> str:
    """The relative path under which a job's guest's photo is kept."""
    return f"originals/{day.isoformat()}/{safe_name(job_id)}{EXTENSIONS[mime]}"


def mime_of(path: str) -> str:
    """The media type of a kept file, as its name tells it. Raises KeyError for a name that is not ours."""
    return {extension: mime for mime, extension in EXTENSIONS.items()}["." + path.rpartition(".")[2]]


def safe_name(name: str) -> str:
    """`name` itself when it can be used as a file name anywhere. Raises ValueError otherwise."""
    if not _SAFE.fullmatch(name):
        raise ValueError(f"not a safe file name: {name[:80]!r}")
    return name
