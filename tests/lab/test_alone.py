"""Who is alone is alone, and nobody waits for ever."""

import threading
from pathlib import Path

from tests.lab.alone import turn

SOON = 10.0
"""Seconds in which everything happens that is going to."""
NOT_NOW = 0.05
"""Seconds in which what must not happen would have."""


class Test:
    """One that runs in a thread, until it is told to end."""

    __test__ = False

    def __init__(self, folder: Path, *, alone: bool) -> None:
        self.inside, self.end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(folder, alone))
        self._thread.start()

    def _run(self, folder: Path, alone: bool) -> None:
        with turn(folder, alone=alone):
            self.inside.set()
            assert self.end.wait(SOON)

    def over(self) -> None:
        self.end.set()
        self._thread.join(SOON)
        assert not self._thread.is_alive()


def test_who_is_alone_waits_for_all_and_all_wait_for_him(tmp_path: Path) -> None:
    one, other = (Test(tmp_path, alone=False) for _ in range(2))
    assert one.inside.wait(SOON)
    assert other.inside.wait(SOON)
    single = Test(tmp_path, alone=True)
    assert not single.inside.wait(NOT_NOW)
    late = Test(tmp_path, alone=False)
    assert not late.inside.wait(NOT_NOW), "who comes later would keep him waiting for ever"
    one.over()
    assert not single.inside.wait(NOT_NOW)
    other.over()
    assert single.inside.wait(SOON)
    assert not late.inside.wait(NOT_NOW)
    single.over()
    assert late.inside.wait(SOON)
    late.over()
