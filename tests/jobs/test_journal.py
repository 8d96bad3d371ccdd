"""The journal: whole entries or none, in order, kept until they are in PostgreSQL."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from photochanger.db.facade import Db
from photochanger.errors import StorageUnavailable
from photochanger.jobs.journal import PART_AGE, Journal
from photochanger.jobs.store import JobStore


async def read_all(journal: Journal) -> list[bytes]:
    return [await journal.read(entry) for entry in await journal.entries()]


async def test_entries_come_back_in_the_order_of_writing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert await read_all(journal) == []
    for number in range(20):
        await journal.append(b"%d" % number)
    assert await read_all(journal) == [b"%d" % number for number in range(20)]
    assert await read_all(Journal(tmp_path / "journal")) == [b"%d" % number for number in range(20)]


async def test_a_removed_entry_is_gone_and_a_rejected_one_is_kept_aside(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for text in (b"a", b"b", b"c"):
        await journal.append(text)
    first, second, _ = await journal.entries()
    await journal.remove(first)
    await journal.reject(second)
    assert await read_all(journal) == [b"c"]
    assert [path.read_bytes() for path in (tmp_path / "rejected").iterdir()] == [b"b"]


async def test_whoever_waits_is_woken_by_what_comes_and_by_what_was_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.entries()
    woken = []

    async def wait() -> None:
        await journal.wait_for_entries()
        woken.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert not woken
        await journal.append(b"x")
    assert woken
    with trio.fail_after(5):
        await Journal(tmp_path).wait_for_entries()


async def test_a_journal_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "journal"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable):
        await Journal(blocked).append(b"x")
    assert blocked.read_text() == "a file where the folder should be"


def test_a_kill_while_writing_leaves_whole_entries_only(tmp_path: Path) -> None:
    script = (
        "import sys, trio\nfrom pathlib import Path\nfrom photochanger.jobs.journal import Journal\n"
        "async def main():\n"
        "    journal = Journal(Path(sys.argv[1]))\n"
        "    print('ready', flush=True)\n"
        "    while True: await journal.append(b'x' * 300_000)\n"
        "trio.run(main)\n"
    )
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while not list(tmp_path.glob("*.json")):
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
    entries = sorted(tmp_path.glob("*.json"))
    assert entries
    assert {entry.stat().st_size for entry in entries} == {300_000}


async def test_what_a_crash_left_half_written_goes_when_it_is_old(tmp_path: Path, db: Db) -> None:
    old, fresh = tmp_path / "journal" / "0001.part", tmp_path / "journal" / "0002.part"
    old.parent.mkdir()
    for part in (old, fresh):
        part.write_bytes(b"[")
    moment = old.stat().st_mtime - PART_AGE
    os.utime(old, (moment, moment))
    async with trio.open_nursery() as nursery:
        await nursery.start(JobStore(db, Journal(tmp_path / "journal")).run)
        nursery.cancel_scope.cancel()
    assert (old.exists(), fresh.exists()) == (False, True)
    await Journal(tmp_path / "nothing yet").open()
