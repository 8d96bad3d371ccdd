"""`photochanger cleanup` and `ops/cleanup_media.py` as typed: what they remove, say, and exit with."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
import trio

from photochanger.db.facade import Db
from photochanger.media.retention import ORPHAN_AGE
from tests.lab.process import ROOT, environment

Run = Callable[..., Awaitable[subprocess.CompletedProcess[bytes]]]

_JOB = """
INSERT INTO job (id, slot_id, slot_version, status, provider, deadline, settle_by, request_bytes, request_sha256,
                 created_at)
VALUES ($1, $2, 1, 'done', 'gemini', now(), now(), 10, '\\x00', now())
"""
_MEDIA = """
INSERT INTO media_object (id, job_id, slot_id, scope, path, created_at, expires_at)
VALUES (gen_random_uuid(), $1, $2, 'result', $3, now(), now() - interval '1 second')
"""

COMMANDS = {"command": ["-m", "photochanger", "cleanup"], "script": [str(ROOT / "ops" / "cleanup_media.py")]}


@pytest.fixture
def run(tmp_path: Path, postgres_url: str) -> Run:
    """Runs one of COMMANDS on the test's database and media."""

    async def command(which: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[bytes]":
        env = environment(tmp_path, **({"DATABASE_URL": postgres_url, "PYTHONPATH": str(ROOT)} | settings))
        return await trio.run_process(
            [sys.executable, *COMMANDS[which], *arguments],
            cwd=ROOT,
            env=env,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )

    return command


async def put(db: Db, var: Path, slot: str) -> Path:
    """An expired file of a slot."""
    job_id = uuid4()
    path = f"results/2026-11-28/{job_id}.jpg"
    await db.execute(_JOB, job_id, slot)
    await db.execute(_MEDIA, job_id, slot, path)
    file = var / "media" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * 100)
    return file


@pytest.mark.parametrize("which", COMMANDS)
async def test_what_is_due_is_counted_then_removed(which: str, run: Run, db: Db, tmp_path: Path) -> None:
    one, other = await put(db, tmp_path, "slot-001"), await put(db, tmp_path, "slot-002")
    lost = tmp_path / "media" / "results" / "2026-11-28" / f"{uuid4()}.jpg"
    lost.write_bytes(b"y" * 50)
    moment = lost.stat().st_mtime - ORPHAN_AGE
    os.utime(lost, (moment, moment))
    counted = await run(which, "--dry-run")
    assert (counted.returncode, counted.stderr) == (0, b"")
    assert b"3 files would be removed, 250 bytes" in counted.stdout
    assert one.exists()
    assert lost.exists()
    first = await run(which, "--slot", "slot-001")
    assert b"1 files removed, 100 bytes" in first.stdout
    assert (one.exists(), other.exists(), lost.exists()) == (False, True, True)
    entry = tmp_path / "media" / "journal" / "0001.json"
    entry.parent.mkdir()
    entry.write_bytes(b"")  # a row that the service has not written yet may be that of the lost file
    second = await run(which)
    assert b"1 files removed, 100 bytes" in second.stdout
    rejected = entry.parent / "rejected" / entry.name
    rejected.parent.mkdir()
    entry.rename(rejected)  # nor did PostgreSQL ever take it
    assert b"0 files removed" in (await run(which)).stdout
    rejected.unlink()
    (entry.parent / "0002.part").write_bytes(b"[")  # a service that was killed while it wrote has said nothing
    third = await run(which)
    assert b"1 files removed, 50 bytes" in third.stdout
    assert (other.exists(), lost.exists()) == (False, False)
    assert await db.fetchval("SELECT count(*) FROM media_object WHERE cleaned_at IS NULL") == 0


@pytest.mark.parametrize("which", COMMANDS)
async def test_exit_codes(which: str, run: Run, db: Db, tmp_path: Path) -> None:
    tried = 1 if which == "command" else 2
    unknown = await run(which, "--slot", "slot-nobody-knows")
    assert unknown.returncode == tried
    assert b"there is no slot" in unknown.stdout + unknown.stderr
    away = await run(which, DATABASE_URL="postgresql://nobody:secret-42@127.0.0.1:1/nothing")
    assert away.returncode == tried
    assert b"secret-42" not in away.stdout + away.stderr
    assert b"Traceback" not in away.stdout + away.stderr
    wrong = await run(which, PORT="x")
    assert wrong.returncode == tried
    stuck = await put(db, tmp_path, "slot-001")
    stuck.unlink()
    stuck.mkdir()
    left = await run(which)
    assert left.returncode == 1
    assert b"1 could not be removed" in left.stdout


@pytest.mark.parametrize("which", COMMANDS)
@pytest.mark.parametrize("there", ["nothing", "an empty folder"])
async def test_without_the_media_folder_no_file_counts_as_removed(
    which: str, there: str, run: Run, db: Db, tmp_path: Path
) -> None:
    file = await put(db, tmp_path, "slot-001")
    elsewhere = tmp_path / "elsewhere"
    if there == "an empty folder":  # a disk that is not mounted
        elsewhere.mkdir()
    for arguments in (["--slot", "slot-001"], ["--dry-run"], []):
        left = await run(which, *arguments, MEDIA_ROOT=str(elsewhere))
        assert left.returncode == (1 if which == "command" else 2), arguments
        assert b"There is no media folder" in left.stdout + left.stderr
    assert not (elsewhere / "results").exists()
    assert await db.fetchval("SELECT count(*) FROM media_object WHERE cleaned_at IS NOT NULL") == 0
    assert (await run(which)).returncode == 0
    assert not file.exists()
