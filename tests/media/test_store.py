"""The media store on a real disk: whole files or none, nothing outside its folder, nothing left of a job."""

import hashlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import trio

from photochanger.errors import StorageUnavailable
from photochanger.media import filesystem
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.store import MediaStore, mime_of, original_path, preview_path

JOB = "0b8f4c1e-6a53-4b7e-9b67-3d1f6a1c9e11"


@pytest.fixture
async def store(tmp_path: Path) -> FilesystemStore:
    made = FilesystemStore(tmp_path / "media")
    await made.open()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(store: FilesystemStore, slot_id: str, job_id: str) -> Path:
    """A job's temp folder, as the upload makes it."""
    folder = store.temp_path(slot_id, job_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


async def test_it_is_a_media_store(store: FilesystemStore) -> None:
    port: MediaStore = store
    await port.check()
    assert files(store.root) == []


async def test_a_result_is_moved_hashed_and_private(store: FilesystemStore) -> None:
    folder = made(store, "slot-001", JOB)
    data = os.urandom(700_001)
    (folder / "reply").write_bytes(data)
    (folder / "preview").write_bytes(b"webp")
    kept = await store.keep_result(folder / "reply", JOB, "image/jpeg")
    preview = await store.keep_preview(folder / "preview", kept.path)
    assert (kept.bytes, kept.sha256, kept.mime) == (len(data), hashlib.sha256(data).hexdigest(), "image/jpeg")
    assert kept.path.startswith("results/")
    assert kept.path.endswith(f"/{JOB}.jpg")
    assert preview.path == preview_path(kept.path) == kept.path.removesuffix(".jpg") + "_preview.webp"
    assert store.locate(kept.path).read_bytes() == data
    assert mode(store.locate(kept.path).parent) == 0o700
    assert files(store.root) == sorted([kept.path, preview.path])


async def test_bytes_are_durable_before_the_name_is_and_both_before_it_returns(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the calls that reach the disk, seen from outside while they really happen."""
    folder = made(store, "slot-001", JOB)
    (folder / "reply").write_bytes(b"x" * 1000)
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def seen_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "bytes")
        fsync(descriptor)

    def seen_replace(path: Path, target: Path) -> Path:
        steps.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    await store.keep_result(folder / "reply", JOB, "image/png")
    assert steps == ["bytes", "name", "folder", "folder"]  # the day's folder is new: its own name is durable too
    (folder / "reply").write_bytes(b"y")
    steps.clear()
    await store.keep_result(folder / "reply", "job-2", "image/png")
    assert steps == ["bytes", "name", "folder"]


async def test_a_temp_folder_dies_with_all_in_it_and_dying_twice_is_fine(store: FilesystemStore) -> None:
    folder = made(store, "slot-001", JOB)
    (folder / "photo").write_bytes(b"x")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "part").write_bytes(b"x")
    await store.remove_temp("slot-001", JOB)
    await store.remove_temp("slot-001", JOB)
    assert not folder.exists()


async def test_a_cancelled_task_still_removes_its_temp_folder(store: FilesystemStore) -> None:
    folder = made(store, "slot-001", JOB)
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.remove_temp("slot-001", JOB)
    assert not folder.exists()


async def test_a_removal_that_hangs_is_not_waited_for_for_ever(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.abc.Clock
) -> None:
    """A network disk may hang for minutes; the sweep at the next start finds what is left."""
    hung, go = threading.Event(), threading.Event()
    given_up: list[Path] = []

    def hang(folder: Path) -> None:
        hung.set()
        if not go.wait(20):
            given_up.append(folder)

    monkeypatch.setattr(filesystem, "_remove_tree", hang)
    started = trio.current_time()
    await store.remove_temp("slot-001", JOB)
    assert trio.current_time() - started == pytest.approx(filesystem.CLEANING, abs=0.5)
    assert hung.wait(30)
    assert not given_up
    go.set()


async def test_a_result_is_found_by_its_job_alone(store: FilesystemStore) -> None:
    assert await store.find_result(JOB) is None
    folder = made(store, "slot-001", JOB)
    for job_id, data, mime in ((JOB, b"one", "image/jpeg"), ("job-2", b"two", "image/png")):
        (folder / "reply").write_bytes(data)
        (folder / "preview").write_bytes(b"webp")
        kept = await store.keep_result(folder / "reply", job_id, mime)
        await store.keep_preview(folder / "preview", kept.path)
        assert await store.find_result(job_id) == kept
    with pytest.raises(ValueError, match="not a safe file name"):
        await store.find_result("*")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "-rf", "a" * 65, "слот", "a b", "a.b", "a\n"])
async def test_names_that_could_leave_their_folder_are_refused(store: FilesystemStore, name: str) -> None:
    for slot_id, job_id in ((name, JOB), ("slot-001", name)):
        with pytest.raises(ValueError, match="not a safe file name"):
            store.temp_path(slot_id, job_id)
        with pytest.raises(ValueError, match="not a safe file name"):
            await store.remove_temp(slot_id, job_id)
    with pytest.raises(ValueError, match="not a safe file name"):
        await store.keep_result(store.root / "x", name, "image/jpeg")


@pytest.mark.parametrize(
    "path", ["", ".", "/etc/passwd", "../x", "results/../../x", "results/..", "a\0b", "..\\x", "C:\\x", "C:x"]
)
async def test_paths_that_leave_the_root_are_refused(store: FilesystemStore, path: str) -> None:
    with pytest.raises(ValueError, match="not a path inside"):
        store.locate(path)
    with pytest.raises(ValueError, match="not a path inside"):
        await store.remove(path)


async def test_removing_a_result_twice_is_fine(store: FilesystemStore) -> None:
    folder = made(store, "slot-001", JOB)
    (folder / "reply").write_bytes(b"x")
    kept = await store.keep_result(folder / "reply", JOB, "image/jpeg")
    await store.remove(kept.path)
    await store.remove(kept.path)
    assert files(store.root) == []


async def test_leftovers_are_found_with_their_age_and_swept(store: FilesystemStore) -> None:
    old = made(store, "slot-001", "old")
    new = made(store, "slot-002", "new")
    (old / "photo").write_bytes(b"x")
    long_ago = time.time() - 1000
    os.utime(old / "photo", (long_ago, long_ago))
    os.utime(old, (long_ago, long_ago))
    (store.root / "temp" / "stray file").write_bytes(b"x")
    found = {(each.slot_id, each.job_id): each.age for each in await store.leftover_temp()}
    assert found.keys() == {("slot-001", "old"), ("slot-002", "new")}
    assert 999 < found["slot-001", "old"] < 1100
    assert found["slot-002", "new"] < 100
    assert await store.sweep_temp(500) == (1, 0)
    assert not old.exists()
    assert new.exists()
    assert await store.sweep_temp(0) == (1, 0)


async def test_a_temp_folder_in_the_way_holds_up_no_other(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root nothing is forbidden, so the disk is made to refuse: one folder's removal, another one's reading."""
    stuck, unreadable = made(store, "slot-002", "a-stuck"), made(store, "slot-001", "a-secret").parent
    goes = made(store, "slot-003", "z-goes")
    rmtree, iterdir = shutil.rmtree, Path.iterdir

    def removing(folder: Path) -> None:
        if folder == stuck:
            raise PermissionError(13, "no")
        rmtree(folder)

    def reading(folder: Path) -> Iterator[Path]:
        if folder in (unreadable, stuck):
            raise PermissionError(13, "no")
        return iterdir(folder)

    monkeypatch.setattr(shutil, "rmtree", removing)
    monkeypatch.setattr(Path, "iterdir", reading)
    assert {each.job_id for each in await store.leftover_temp()} == {"a-stuck", "z-goes"}
    assert await store.sweep_temp(0) == (1, 1)
    assert (stuck.exists(), goes.exists()) == (True, False)


async def test_room_on_the_disk_is_told(store: FilesystemStore) -> None:
    assert await store.free_bytes() > 0


async def test_check_makes_lost_folders_anew_and_names_what_cannot_be_written(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "media")
    await store.check()
    assert (tmp_path / "media" / "results").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable):
        await FilesystemStore(tmp_path / "file" / "media").check()


async def test_failures_of_the_disk_are_storage_unavailable_without_paths(store: FilesystemStore) -> None:
    with pytest.raises(StorageUnavailable) as failure:
        await store.keep_result(store.root / "nothing here", JOB, "image/jpeg")
    assert str(store.root) not in str(failure.value)


async def test_a_result_that_cannot_be_kept_leaves_no_part_of_itself(store: FilesystemStore) -> None:
    folder = made(store, "slot-001", JOB)
    (folder / "reply").write_bytes(b"x")
    (store.root / "results").rmdir()
    (store.root / "results").write_bytes(b"")
    with pytest.raises(StorageUnavailable):
        await store.keep_result(folder / "reply", JOB, "image/jpeg")
    assert files(store.root) == ["results", f"temp/slot-001/{JOB}/reply"]


async def test_a_template_is_kept_beside_the_results(store: FilesystemStore) -> None:
    folder = made(store, "templates", JOB)
    (folder / "template").write_bytes(b"a style")
    kept = await store.keep_template(folder / "template", JOB, "image/png")
    assert kept.path == f"templates/{JOB}.png"
    assert (kept.bytes, kept.mime, kept.sha256) == (7, "image/png", hashlib.sha256(b"a style").hexdigest())
    assert store.locate(kept.path).read_bytes() == b"a style"
    assert mode(store.root / "templates") == 0o700
    await store.remove_temp("templates", JOB)
    assert await store.sweep_temp(0) == (0, 0)
    assert files(store.root) == [kept.path]
    with pytest.raises(ValueError, match="not a safe file name"):
        await store.keep_template(folder / "template", "../x", "image/png")


async def test_a_guests_photo_is_moved_to_where_its_row_says(store: FilesystemStore) -> None:
    path = original_path(JOB, date(2026, 3, 1), "image/webp")
    assert path == f"originals/2026-03-01/{JOB}.webp"
    assert mime_of(path) == "image/webp"
    photo = made(store, "slot-001", JOB) / "payload"
    photo.write_bytes(b"photo")
    await store.keep_original(photo, path)
    assert store.locate(path).read_bytes() == b"photo"
    assert not photo.exists()
    assert mode(store.locate(path).parent) == mode(store.root / "originals") == 0o700
    with pytest.raises(StorageUnavailable):
        await store.keep_original(photo, path)
    with pytest.raises(ValueError, match="safe"):
        original_path("../x", date(2026, 3, 1), "image/jpeg")


@pytest.mark.parametrize("has_links", [True, False])
async def test_a_photo_that_is_lent_is_each_ones_own(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def none_here(*_args: object) -> None:
        raise OSError("links are not supported")

    if not has_links:
        monkeypatch.setattr(os, "link", none_here)
    photo = made(store, "slot-001", JOB) / "payload"
    photo.write_bytes(b"photo")
    photo.chmod(0o600)
    folder = store.temp_path("slot-002", "another")
    lent = await store.lend(photo, folder)
    assert lent == folder / "payload"
    assert (lent.stat().st_ino == photo.stat().st_ino) == has_links
    assert (mode(folder), mode(lent)) == (0o700, 0o600)
    await store.remove_temp("slot-001", JOB)
    assert lent.read_bytes() == b"photo"
    await store.remove_temp("slot-002", "another")
    assert files(store.root) == []
    assert await store.lend(photo, folder) is None  # it has gone
    await store.remove_temp("slot-002", "another")
    with pytest.raises(ValueError, match="temp"):
        await store.lend(photo, store.root / "results" / "x")
