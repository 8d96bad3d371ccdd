"""The upload's file, and what happens when the disk takes no more."""

import hashlib
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.errors import StorageUnavailable
from photochanger.media.spool import SpoolFile


@given(st.lists(st.binary(max_size=100), max_size=12))
def test_it_hashes_counts_and_keeps_the_head(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("spool") / "photo"
    spool = SpoolFile(path)
    for number, chunk in enumerate(chunks):
        spool.write(chunk if number % 2 else memoryview(chunk))
    spool.close()
    whole = b"".join(chunks)
    assert path.read_bytes() == whole
    assert (spool.size, spool.head) == (len(whole), whole[:64])
    assert spool.sha256 == hashlib.sha256(whole).hexdigest()


def test_it_is_private_and_never_takes_over_a_file(tmp_path: Path) -> None:
    spool = SpoolFile(tmp_path / "photo")
    assert stat.S_IMODE((tmp_path / "photo").stat().st_mode) == 0o600
    with pytest.raises(StorageUnavailable):
        SpoolFile(tmp_path / "photo")
    spool.close()


def test_discarding_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    spool = SpoolFile(tmp_path / "photo")
    spool.write(b"x" * 1000)
    spool.discard()
    spool.discard()
    assert list(tmp_path.iterdir()) == []
    closed = SpoolFile(tmp_path / "photo")
    closed.close()
    closed.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_the_storage_s_failure(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        SpoolFile(tmp_path / "gone" / "photo")


LIMITED = """
import resource, signal, sys
from pathlib import Path
from photochanger.errors import StorageUnavailable
from photochanger.media.files import write_new
from photochanger.media.spool import SpoolFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
spool = SpoolFile(Path(sys.argv[1]) / "photo")
spool.write(b"x" * 90_000)
for attempt in (lambda: spool.write(b"x" * 90_000), lambda: write_new(Path(sys.argv[1]) / "reply", b"x" * 100_001)):
    try:
        attempt()
    except StorageUnavailable as error:
        print(error)
"""


def test_a_file_that_outgrows_its_limit_leaves_no_part(tmp_path: Path) -> None:
    """The limit takes a part of the last write first, as a full disk does; it works without root anywhere."""
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.splitlines() == [
        "The photo cannot be written: File too large",
        "A picture cannot be written: File too large",
    ]
    assert list(tmp_path.iterdir()) == []
