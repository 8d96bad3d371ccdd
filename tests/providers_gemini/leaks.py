"""What a call may leave behind, and a way to cancel it at each of its steps."""

from pathlib import Path

import trio

from photochanger.providers.gemini.simulator import GeminiSimulator
from tests.providers_gemini.conftest import HANG_GUARD


def open_files() -> set[str]:
    """What this process has open, besides what Trio and the test runner keep."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name}:{entry.readlink()}")
        except OSError:
            continue  # the directory's own descriptor
    return found


async def settle(simulator: GeminiSimulator) -> None:
    """Until the simulator has noticed that its clients left."""
    with trio.fail_after(HANG_GUARD):
        while simulator.connections:  # noqa: ASYNC110  # a count of real sockets has no event
            await trio.sleep(0.002)


class CancelAt(trio.abc.Instrument):
    """Cancels `scope` when `task` has been scheduled `count` times."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope, count: int) -> None:
        self.task, self.scope, self.left = task, scope, count

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()
