"""Where the suite runs in several processes, tests marked `alone` have the machine to themselves.

They measure how long things take, or hold the service to its promises in real seconds: beside another test that keeps
the processors busy they would measure that one.
"""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait until this test may run: beside others, or alone among the processes that share `folder`.

    Everybody passes the gate one by one, so that who wants to be alone waits only for those who are inside already.
    """
    with (folder / "gate").open("w") as gate, (folder / "room").open("w") as room:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    told: dict[str, str] | None = getattr(item.config, "workerinput", None)
    if told is None:
        return (yield)  # the only process
    folder = Path(tempfile.gettempdir()) / f"photochanger-tests-{told['testrunuid']}"
    folder.mkdir(exist_ok=True)
    with turn(folder, alone=item.get_closest_marker("alone") is not None):
        return (yield)
