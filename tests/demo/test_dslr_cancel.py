"""A cancelled shot leaves no descriptor open, wherever it is cancelled."""

from pathlib import Path

import trio

from photochanger.demo.dslr import shoot
from tests.demo.server import Wire, serving


class CancelAt(trio.abc.Instrument):
    """Cancels a scope when one task takes its n-th step."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope, step: int) -> None:
        self.task, self.scope, self.step = task, scope, step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task or task.parent_nursery in self.task.child_nurseries:
            self.step -= 1
            if self.step == 0:
                self.scope.cancel()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_cancel_at_every_step(jpeg: bytes, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg * 400)

    async def handle(wire: Wire) -> None:
        try:
            await wire.request()
            await wire.reply("200 OK", jpeg, "Connection: close")
            await wire.rest()
        except (EOFError, trio.BrokenResourceError):
            pass

    async with serving(handle) as base:
        await shoot(base, photo)  # opens whatever stays open for good
        await trio.testing.wait_all_tasks_blocked(0.02)
        before, step = open_descriptors(), 0
        finished = False
        while not finished:
            step += 1
            with trio.CancelScope() as scope:
                instrument = CancelAt(trio.lowlevel.current_task(), scope, step)
                trio.lowlevel.add_instrument(instrument)
                try:
                    await shoot(base, photo)
                    finished = not scope.cancel_called
                finally:
                    trio.lowlevel.remove_instrument(instrument)
            await trio.testing.wait_all_tasks_blocked(0.005)
            assert open_descriptors() == before, step
    assert step > 10
