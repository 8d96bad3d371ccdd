"""The embedded PostgreSQL: first start, next start, what a crash leaves, and who may use a folder."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from photochanger.db import home as home_module
from photochanger.db.embedded import EmbeddedPostgres
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.db.postmaster import processes_of, read_pid_file
from photochanger.db.programs import Account, Programs, choose_account, find_programs, make_reachable
from photochanger.db.target import Target
from photochanger.errors import ConfigError, DatabaseUnavailable
from tests.db.conftest import FAST
from tests.db.rest import HANG_GUARD

# ruff: noqa: ASYNC240 - a test may look at a file
ROOT = Path(__file__).parent.parent.parent
AS_ROOT = os.geteuid() == 0


@asynccontextmanager
async def running(folder: Path, said: list[str] | None = None) -> AsyncIterator[str]:
    """A server for the block; yields its URL."""
    embedded = EmbeddedPostgres(folder, settings=FAST, progress=(said if said is not None else []).append)
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(embedded.run)
        yield url
        nursery.cancel_scope.cancel()


async def ask(url: str, sql: str) -> object:
    """One statement over one connection."""
    async with open_loop() as loop:
        db = Db(loop)
        await db.connect(Target.of(url))
        try:
            return await db.fetchval(sql)
        finally:
            db.disconnect("asked")


async def test_first_start_next_start_and_stop(folder: Path) -> None:
    first: list[str] = []
    async with running(folder, first) as url:
        await ask(url, "CREATE TABLE kept AS SELECT 42 AS a")
        assert "@/" in url, "it must be reachable by a Unix socket only"
        assert await ask(url, "SHOW listen_addresses") == ""
        socket_folder = Path(str(await ask(url, "SHOW unix_socket_directories")))
        assert socket_folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "data").stat().st_mode & 0o777 == 0o700
        assert await ask(url, "SHOW server_encoding") == "UTF8"
        assert await ask(url, "SELECT lower('ПРИВЕТ')") == "привет"
    assert processes_of(folder / "data") == []
    assert not socket_folder.exists()
    assert not (folder / "data" / "postmaster.pid").exists(), "the server was not shut down properly"

    second: list[str] = []
    async with running(folder, second) as url:
        assert await ask(url, "SELECT a FROM kept") == 42
    assert len(first) == 2
    assert len(second) == 1, "the second start must not make a data folder"


async def test_it_is_durable_and_small(made: Path) -> None:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(EmbeddedPostgres(made).run)
        for setting, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "shared_buffers": "32MB",
        }.items():
            assert await ask(url, f"SHOW {setting}") == value
        nursery.cancel_scope.cancel()


async def test_two_side_by_side(folder: Path) -> None:
    async with running(folder / "one") as one, running(folder / "two") as two:
        await ask(one, "CREATE TABLE mine AS SELECT 1 AS a")
        assert await ask(two, "SELECT to_regclass('mine')") is None
        assert await ask(one, "SELECT a FROM mine") == 1


async def test_one_folder_serves_one_service(made: Path) -> None:
    async with running(made) as url:
        with pytest.raises(ConfigError, match="another running PhotoChanger"):
            await EmbeddedPostgres(made).run()
        assert await ask(url, "SELECT 1") == 1, "the refused one disturbed the running one"


async def test_a_path_too_long_for_a_socket(folder: Path) -> None:
    deep = folder / ("x" * 100)
    async with running(deep) as url:
        socket_folder = Path(str(await ask(url, "SHOW unix_socket_directories")))
        assert deep not in socket_folder.parents
        assert socket_folder.stat().st_mode & 0o777 == 0o700
    assert not socket_folder.exists()


PARENT = """
import os, sys, trio
from pathlib import Path
from photochanger.db import embedded
from photochanger.db.embedded import EmbeddedPostgres
from photochanger.db.programs import Programs
if len(sys.argv) > 2:  # an ordinary user, who has the programs elsewhere
    embedded.find_programs = lambda programs=Programs(Path(sys.argv[2]), sys.argv[3]): programs
    os.setgroups([])
    os.setgid(int(sys.argv[5]))
    os.setuid(int(sys.argv[4]))
async def main():
    async with trio.open_nursery() as nursery:
        print(await nursery.start(EmbeddedPostgres(Path(sys.argv[1])).run), flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


@pytest.fixture
def parent(made: Path) -> Iterator["subprocess.Popen[str]"]:
    """A service in a process of its own, with a running server in `made`; it may be killed."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(made)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("postgresql://")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("frozen", [False, True], ids=["awake", "frozen"])
async def test_an_orphan_is_stopped_and_replaced(made: Path, parent: "subprocess.Popen[str]", frozen: bool) -> None:
    parent.kill()
    parent.wait()
    orphan = int(read_pid_file(made / "data")[0])
    assert orphan in processes_of(made / "data"), "there is no orphan, so nothing is tested"
    if frozen:
        for pid in processes_of(made / "data"):
            os.kill(pid, signal.SIGSTOP)
    with trio.fail_after(HANG_GUARD):
        async with running(made) as url:
            assert await ask(url, "SELECT 1") == 1
            assert orphan not in processes_of(made / "data")


async def test_everything_is_killed_at_once(made: Path, parent: "subprocess.Popen[str]") -> None:
    """As in a power cut: a stale postmaster.pid and a stale socket are left."""
    parent.kill()
    for pid in processes_of(made / "data"):
        os.kill(pid, signal.SIGKILL)
    parent.wait()
    with trio.fail_after(HANG_GUARD):
        while processes_of(made / "data"):  # noqa: ASYNC110 - not our children
            await trio.sleep(0.01)
        assert read_pid_file(made / "data"), "there is no stale file, so nothing is tested"
        async with running(made) as url:
            assert await ask(url, "SELECT 1") == 1


async def test_a_stale_pid_file_that_names_a_stranger(made: Path) -> None:
    async with running(made):
        lines = read_pid_file(made / "data")
    account = choose_account(made)
    sleeper = await trio.lowlevel.open_process(["/bin/sleep", "600"], **(account.popen if account else {}))
    try:
        (made / "data" / "postmaster.pid").write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
        async with running(made) as url:
            assert await ask(url, "SELECT 1") == 1
        assert sleeper.poll() is None, "a process that is not PostgreSQL was ended"
    finally:
        sleeper.kill()
        await sleeper.wait()


async def test_a_server_that_dies_is_reported_and_can_be_started_again(made: Path) -> None:
    for frozen in (False, True):
        with trio.fail_after(HANG_GUARD):
            failure = await _run_and_kill(made, frozen)
            assert "exit code -9" in failure
    async with running(made) as url:
        assert await ask(url, "SELECT 1") == 1


async def _run_and_kill(folder: Path, frozen: bool) -> str:
    """`frozen` children cannot notice that their server has died: they still hold its shared memory."""
    failures: list[str] = []
    async with trio.open_nursery() as nursery:

        async def run(*, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
            with pytest.raises(DatabaseUnavailable) as caught:
                await EmbeddedPostgres(folder, settings=FAST).run(task_status=task_status)
            failures.append(str(caught.value))

        url: str = await nursery.start(run)

        async def busy() -> None:
            with pytest.RaisesGroup(DatabaseUnavailable, flatten_subgroups=True):
                await ask(url, "SELECT pg_sleep(60)")

        nursery.start_soon(busy)
        await trio.sleep(0.2)
        server = int(read_pid_file(folder / "data")[0])
        children = set(processes_of(folder / "data")) - {server}
        assert children
        for pid in children if frozen else ():
            os.kill(pid, signal.SIGSTOP)
        os.kill(server, signal.SIGKILL)
    assert processes_of(folder / "data") == []
    return failures[0]


async def test_a_server_that_cannot_start_says_why(made: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="no_such_setting"):
        await EmbeddedPostgres(made, settings={"no_such_setting": "1"}).run()
    assert processes_of(made / "data") == []


async def test_data_of_another_major_version_is_refused_with_advice(made: Path) -> None:
    async with running(made):
        pass
    (made / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigError, match="made by PostgreSQL 12"):
        await EmbeddedPostgres(made).run()


async def test_a_first_start_that_was_cut_short_leaves_nothing_to_trip_over(folder: Path) -> None:
    with trio.move_on_after(0.15):
        await EmbeddedPostgres(folder).run()
    (folder / "data.new").mkdir(exist_ok=True)
    (folder / "data.new" / "half").touch()
    async with running(folder) as url:
        assert await ask(url, "SELECT 1") == 1
    assert not (folder / "data.new").exists()


async def test_cancelling_at_any_moment_of_the_start_leaves_no_process(folder: Path) -> None:
    for milliseconds in (0, 10, 50, 150, 300, 450):
        with trio.move_on_after(milliseconds / 1000):
            await EmbeddedPostgres(folder, settings=FAST).run()
        assert processes_of(folder / "data") == []
        assert processes_of(folder / "data.new") == []
    async with running(folder) as url:
        assert await ask(url, "SELECT 1") == 1


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that only we can reach: what a clone below /root is to PostgreSQL's account."""
    closed = Path(tempfile.mkdtemp(prefix="pcdb-", dir="/tmp"))
    yield closed / "var" / "postgres"
    pointer = closed / "var" / "postgres" / "elsewhere"
    if pointer.exists():
        shutil.rmtree(pointer.read_text().strip())
    shutil.rmtree(closed)


async def test_root_with_a_closed_folder_keeps_the_data_elsewhere(closed_folder: Path) -> None:
    async with running(closed_folder) as url:
        await ask(url, "CREATE TABLE kept AS SELECT 42 AS a")
        data = Path(str(await ask(url, "SHOW data_directory")))
        if not AS_ROOT:  # then it is our own account that runs PostgreSQL, and no folder of ours is closed to it
            assert data == closed_folder / "data"
            return
        assert not data.is_relative_to(closed_folder)
        assert data.stat().st_uid != 0
    async with running(closed_folder) as url:
        assert await ask(url, "SELECT a FROM kept") == 42
    shutil.rmtree(closed_folder)  # "safe to delete": then it begins anew
    async with running(closed_folder) as url:
        assert await ask(url, "SELECT to_regclass('kept')") is None
        assert Path(str(await ask(url, "SHOW data_directory"))) == data


def test_programs_that_the_account_cannot_reach_are_copied(closed_folder: Path, folder: Path) -> None:
    programs = find_programs()
    account = choose_account(folder)
    package = programs.bin.parent.parent
    inside = closed_folder / "site-packages"
    shutil.copytree(programs.bin.parent, inside / package.name / programs.bin.parent.name)
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, inside / libraries.name)
    closed = Programs(inside / package.name / programs.bin.parent.name / "bin", programs.version)
    if account is None:
        assert make_reachable(closed, None, folder) == closed
        return
    for _ in range(2):  # made once, found the second time
        reachable = make_reachable(closed, account, folder)
        assert reachable.bin.is_relative_to(folder)
        for program in ("initdb", "postgres"):
            done = subprocess.run(
                [reachable.bin / program, "--version"], cwd="/", capture_output=True, text=True, **account.popen
            )
            assert programs.version in done.stdout


def test_a_place_in_a_public_folder_that_somebody_else_made_is_not_used(
    folder: Path, closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = choose_account(folder)
    if account is None:
        assert home_module.find_home(closed_folder).folder == closed_folder
        return
    monkeypatch.setattr(home_module, "_TEMPORARY", (folder,))
    place = home_module.find_home(closed_folder).folder
    assert place.parent == folder
    os.chown(place, account.uid, account.gid)
    with pytest.raises(ConfigError, match="no place"):
        home_module.find_home(closed_folder)


async def test_without_root(folder: Path) -> None:
    """The same as an ordinary user; as root this drops to one in a process of its own."""
    if not AS_ROOT:
        async with running(folder) as url:
            assert await ask(url, "SELECT 1") == 1
        return
    user = pwd.getpwnam("nobody")
    home = folder / "home"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    programs = make_reachable(find_programs(), Account(user.pw_uid, user.pw_gid), folder)
    postgres = home / "var" / "postgres"
    # Dropped after the imports: Python itself may lie below /root.
    process = await trio.lowlevel.open_process(
        [
            *(sys.executable, "-c", PARENT, str(postgres)),
            *(str(programs.bin), programs.version, str(user.pw_uid), str(user.pw_gid)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        with trio.fail_after(HANG_GUARD):
            url = (await process.stdout.receive_some()).decode().strip()
        assert (postgres / "data").stat().st_uid == user.pw_uid
        assert await ask(url, "SELECT 1") == 1
    finally:
        process.kill()
        await process.wait()
        for pid in processes_of(postgres / "data"):
            os.kill(pid, signal.SIGKILL)


async def test_nobody_else_can_enter_the_socket_folder(made: Path) -> None:
    async with running(made) as url:
        socket_folder = Path(str(await ask(url, "SHOW unix_socket_directories")))
        if AS_ROOT:
            stranger = next(entry for entry in pwd.getpwall() if entry.pw_uid not in {0, socket_folder.stat().st_uid})
            command = ["/bin/ls", str(socket_folder)]
            done = await trio.run_process(
                command, check=False, capture_stderr=True, user=stranger.pw_uid, extra_groups=[]
            )
            assert done.returncode != 0
        assert socket_folder.stat().st_mode & 0o077 == 0
