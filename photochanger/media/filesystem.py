"""The media store on a local disk.

    temp/{slot_id}/{job_id}/...                       the files of running jobs
    results/{yyyy-mm-dd}/{job_id}.jpg                 day of arrival, UTC
    results/{yyyy-mm-dd}/{job_id}_preview.webp
    templates/{template_id}.jpg                       what slots send along
    originals/{yyyy-mm-dd}/{job_id}.jpg               guests' photos as they came, for as long as the house keeps them

Folders are 0700 and files 0600. All trees are on one disk, so that keeping a file is a rename.
"""

import errno
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

import trio

from photochanger.errors import StorageUnavailable
from photochanger.media.files import private, private_folder, storage_error, sync_folder, write_new
from photochanger.media.store import (
    EXTENSIONS,
    KeptFile,
    LeftoverTemp,
    MarkedTemplate,
    StoredFile,
    preview_path,
    safe_name,
)

T = TypeVar("T")

log = logging.getLogger(__name__)

KEPT = ("results", "originals")
"""The trees whose files belong to jobs, in a folder for each day."""

SETTLED = 2 * 86_400.0
"""Seconds in which nothing changed, after which nothing comes into a day's folder any more."""

MARK = ".deleted"
"""Ends the name of the empty file beside a template that is not needed any more."""

CLEANING = 5.0
"""Seconds after which a removal that the disk does not finish is left to the sweep at the next start."""

_BLOCK = 1 << 18


class FilesystemStore:
    """`MediaStore` under one root folder, which is made when missing. At most `threads` disk calls run at once."""

    def __init__(self, root: Path, *, threads: int = 8) -> None:
        self.root = root
        self._temp = root / "temp"
        self._results = root / "results"
        self._templates = root / "templates"
        self._limiter = trio.CapacityLimiter(threads)

    async def open(self) -> None:
        """Make the folders. Raises StorageUnavailable."""
        await self._run("The media folder cannot be made", self._make_folders)

    async def require(self) -> None:
        """Raises StorageUnavailable unless the folders of an earlier `open` are there. Makes none."""
        await self._run("There is no media folder", self._results.stat)

    def temp_path(self, slot_id: str, job_id: str) -> Path:
        return self._temp / safe_name(slot_id) / safe_name(job_id)

    async def remove_temp(self, slot_id: str, job_id: str) -> None:
        folder = self.temp_path(slot_id, job_id)
        with trio.move_on_after(CLEANING, shield=True):
            await self._run("A temp folder cannot be removed", _remove_tree, folder, abandon_on_cancel=True)

    async def keep_result(self, temp_path: Path, job_id: str, mime: str) -> StoredFile:
        name = safe_name(job_id) + EXTENSIONS[mime]
        place = self._results / datetime.now(UTC).date().isoformat() / name
        return await self._run("A result cannot be kept", self._move, temp_path, place, mime, True)

    async def keep_preview(self, temp_path: Path, result_path: str) -> StoredFile:
        place = self.locate(preview_path(result_path))
        return await self._run("A preview cannot be kept", self._move, temp_path, place, "image/webp", False)

    async def keep_template(self, temp_path: Path, template_id: str, mime: str) -> StoredFile:
        place = self._templates / (safe_name(template_id) + EXTENSIONS[mime])
        return await self._run("A template cannot be kept", self._move, temp_path, place, mime, True)

    async def mark_template(self, path: str) -> None:
        await self._run("A template cannot be marked", _touch, self.locate(path + MARK))

    async def marked_templates(self) -> list[MarkedTemplate]:
        return await self._run("The templates cannot be read", self._marked)

    async def remove_template(self, path: str) -> None:
        for each in (path, preview_path(path), path + MARK):  # the mark last: what is cut short is done again
            await self.remove(each)

    async def unmark_template(self, path: str) -> None:
        await self.remove(path + MARK)

    async def keep_original(self, temp_path: Path, path: str) -> None:
        await self._run("A photo cannot be kept", _rename, temp_path, self.locate(path))

    async def lend(self, file: Path, folder: Path) -> Path | None:
        if not folder.is_relative_to(self._temp):
            raise ValueError("files are lent to temp folders only")
        return await self._run("A photo cannot be lent", _lend, file, folder)

    async def find_result(self, job_id: str) -> StoredFile | None:
        return await self._run("The results cannot be searched", self._find, safe_name(job_id))

    def locate(self, path: str) -> Path:
        pure = PurePosixPath(path)
        if pure.is_absolute() or not pure.parts or ".." in pure.parts or "\0" in path or "\\" in path or ":" in path:
            raise ValueError(f"not a path inside the media folder: {path[:80]!r}")
        return self.root / pure

    async def remove(self, path: str) -> int | None:
        return await self._run("A file cannot be removed", _remove_file, self.locate(path))

    async def size(self, path: str) -> int | None:
        return await self._run("A file cannot be looked at", _size, self.locate(path))

    async def kept_folders(self) -> list[str]:
        return await self._run("The media folder cannot be read", self._kept_folders)

    async def kept_files(self, folder: str) -> list[KeptFile]:
        return await self._run("The media folder cannot be read", self._kept_files, self.locate(folder))

    async def remove_empty(self, folder: str) -> None:
        await self._run("A folder cannot be removed", _remove_empty, self.locate(folder))

    async def leftover_temp(self) -> list[LeftoverTemp]:
        return await self._run("The temp folders cannot be read", self._leftover)

    async def sweep_temp(self, older_than: float) -> tuple[int, int]:
        return await self._run("The temp folders cannot be swept", self._sweep, older_than)

    async def free_bytes(self) -> int:
        return (await self._run("The disk cannot be asked", shutil.disk_usage, self.root)).free

    async def check(self) -> None:
        await self._run("The media folder cannot be written", self._try_out)

    async def _run(self, doing: str, function: Callable[..., T], *args: object, abandon_on_cancel: bool = False) -> T:
        try:
            return await trio.to_thread.run_sync(
                function, *args, limiter=self._limiter, abandon_on_cancel=abandon_on_cancel
            )
        except OSError as error:
            raise storage_error(error, doing) from error

    # --- in a thread from here on ---

    def _make_folders(self) -> None:
        for folder in (self.root, self._temp, self._results):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _move(self, temp_path: Path, place: Path, mime: str, durable: bool) -> StoredFile:
        """The order matters: the bytes are on disk before the name is, the name before anyone hears of it."""
        digest, size = _hash(temp_path, sync=durable)
        folder = place.parent
        is_new_folder = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temp_path.replace(place)
        if durable:
            sync_folder(folder)
            if is_new_folder:
                sync_folder(folder.parent)
        return self._stored(place, mime, size, digest)

    def _find(self, job_id: str) -> StoredFile | None:
        for mime, extension in EXTENSIONS.items():
            for found in self._results.glob(f"*/{job_id}{extension}"):
                digest, size = _hash(found)
                return self._stored(found, mime, size, digest)
        return None

    def _marked(self) -> list[MarkedTemplate]:
        now = time.time()
        return [
            MarkedTemplate(
                mark.relative_to(self.root).as_posix().removesuffix(MARK), max(0.0, now - mark.stat().st_mtime)
            )
            for mark in self._templates.glob(f"*{MARK}")
        ]

    def _stored(self, place: Path, mime: str, size: int, digest: str) -> StoredFile:
        return StoredFile(place.relative_to(self.root).as_posix(), mime, size, digest)

    def _kept_folders(self) -> list[str]:
        found = [day for tree in KEPT for day in _folders(self.root / tree)]
        return [day.relative_to(self.root).as_posix() for day in sorted(found, key=lambda day: day.name)]

    def _kept_files(self, folder: Path) -> list[KeptFile]:
        now, found = time.time(), []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # removed while we look
                        if entry.is_file(follow_symlinks=False):
                            about = entry.stat(follow_symlinks=False)
                            path = f"{folder.relative_to(self.root).as_posix()}/{entry.name}"
                            found.append(KeptFile(path, about.st_size, max(0.0, now - about.st_mtime)))
        except FileNotFoundError:
            return []
        return found

    def _leftover(self) -> list[LeftoverTemp]:
        now = time.time()
        return [
            LeftoverTemp(job.parent.name, job.name, max(0.0, now - _last_change(job)))
            for slot in _folders(self._temp)
            for job in _readable(slot)
        ]

    def _sweep(self, older_than: float) -> tuple[int, int]:
        """One folder that will not go holds up no other."""
        old, stuck = [found for found in self._leftover() if found.age >= older_than], 0
        for found in old:
            try:
                _remove_tree(self._temp / found.slot_id / found.job_id)
            except OSError as error:
                stuck += 1
                log.error("the temp folder of %s in %s cannot be removed: %s", found.job_id, found.slot_id, error)
        return len(old) - stuck, stuck

    def _try_out(self) -> None:
        """The whole way of a result, with an empty file."""
        self._make_folders()
        probe = self._temp / f".check-{os.getpid()}-{time.monotonic_ns()}"
        moved = self._results / probe.name
        try:
            write_new(probe, b"ok")
            try:
                probe.replace(moved)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    raise StorageUnavailable("temp and results of the media folder must be on one disk") from error
                raise
        finally:
            probe.unlink(missing_ok=True)
            moved.unlink(missing_ok=True)


def _hash(path: Path, *, sync: bool = False) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and the size; with `sync` the bytes are forced to disk too."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(_BLOCK)
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
            size += count
        if sync:
            os.fsync(file.fileno())
    return digest.hexdigest(), size


def _rename(temp_path: Path, place: Path) -> None:
    private_folder(place.parent)
    temp_path.replace(place)


def _lend(file: Path, folder: Path) -> Path | None:
    private_folder(folder)
    place = folder / "payload"
    try:
        try:
            os.link(file, place)
        except FileNotFoundError:
            raise
        except OSError:  # a disk that knows no second name
            with open(place, "xb", opener=private) as copy, file.open("rb") as original:
                shutil.copyfileobj(original, copy)
    except FileNotFoundError:
        return None
    return place


def _remove_tree(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        if folder.exists():  # somebody else removed a file while we did: the rest is still ours
            shutil.rmtree(folder, ignore_errors=True)


def _remove_file(path: Path) -> int | None:
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return None
    return size


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _remove_empty(folder: Path) -> None:
    """Not a folder that something may be moved into at this moment: those of yesterday and today."""
    try:
        if time.time() - folder.stat().st_mtime > SETTLED:
            folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise


def _touch(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except FileNotFoundError:
        return []


def _readable(folder: Path) -> list[Path]:
    """The folders in `folder`, none where it cannot be read."""
    try:
        return _folders(folder)
    except OSError as error:
        log.error("the temp folder %s cannot be read: %s", folder.name, error)
        return []


def _last_change(folder: Path) -> float:
    """The newest time of the folder and the files in it, as far as it can be read; of a folder that vanishes, now."""
    try:
        inside = list(folder.iterdir())
    except OSError:
        inside = []
    try:
        return max(path.stat().st_mtime for path in (folder, *inside))
    except OSError:
        return time.time()
