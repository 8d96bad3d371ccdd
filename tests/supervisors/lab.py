"""What the tests of the supervision library share: scripted children, a diary, cancelling and crashing at step k."""

from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import trio

from supervisors import Backoff, Child

T = TypeVar("T")

FOREVER = float("inf")
STEADY = Backoff(first=1.0, factor=2.0, max=8.0, jitter=0.0, reset_after=20.0)


class Boom(Exception):
    """A scripted crash."""


@dataclass(frozen=True)
class Script:
    """One run of a child: how its start goes, how long it is up, how that ends, how slowly it leaves when cancelled."""

    start: float = 0.0
    start_ends: Literal["up", "crash", "return"] = "up"
    up: float = FOREVER
    ends: Literal["crash", "finish"] = "crash"
    cleanup: float = 0.0


@dataclass
class Diary:
    """What happened, in order: (what, who). `what` is begin, up, end."""

    entries: list[tuple[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    running: set[str] = field(default_factory=set)

    def note(self, what: str, who: str) -> None:
        self.entries.append((what, who))
        self.times.append(trio.current_time())

    def who(self, what: str) -> list[str]:
        return [who for entry, who in self.entries if entry == what]

    def begins(self, who: str) -> list[float]:
        return [time for entry, time in zip(self.entries, self.times, strict=True) if entry == ("begin", who)]


class Scripted:
    """A child's body that follows its scripts, one per run (the last one for ever after)."""

    def __init__(self, name: str, diary: Diary, scripts: Sequence[Script] = (Script(),)) -> None:
        self.name = name
        self.diary = diary
        self.scripts = scripts
        self.runs = 0
        self.leave = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        script = self.scripts[min(self.runs, len(self.scripts) - 1)]
        self.runs += 1
        assert self.name not in self.diary.running, f"{self.name} runs twice at once"
        self.diary.running.add(self.name)
        self.diary.note("begin", self.name)
        try:
            await trio.sleep(script.start)
            if script.start_ends == "crash":
                raise Boom(self.name)
            if script.start_ends == "return":
                return
            task_status.started()
            self.diary.note("up", self.name)
            with trio.move_on_after(script.up):
                await self.leave.wait()
                self.leave = trio.Event()
                return
            if script.ends == "crash":
                raise Boom(self.name)
        finally:
            if script.cleanup:
                with trio.CancelScope(shield=True):
                    await trio.sleep(script.cleanup)
            self.diary.running.remove(self.name)
            self.diary.note("end", self.name)

    def leave_now(self) -> None:
        self.leave.set()

    def child(self, **options: Any) -> Child:
        return Child(self.name, self.run, **options)


class Steps(trio.abc.Instrument):
    """Counts tasks, and the steps of those named `only` (all of them without); after step `k` it calls `act`."""

    def __init__(self, k: int = 0, act: Callable[[], object] = lambda: None, only: str | None = None) -> None:
        self.k = k
        self.act = act
        self.only = only
        self.steps = 0
        self.tasks: set[trio.lowlevel.Task] = set()

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.tasks.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.tasks.discard(task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task.parent_nursery is None or self.only not in (None, task.name):
            return  # the first is Trio's own init task
        self.steps += 1
        if self.steps == self.k:
            self.act()

    @property
    def reached(self) -> bool:
        """Step `k` came."""
        return self.steps >= self.k


class CrashAt:
    """Awaits a coroutine and raises Boom in it instead of its k-th return from a checkpoint."""

    def __init__(self, k: int, coroutine: Coroutine[Any, Any, T]) -> None:
        self.k = k
        self.coroutine = coroutine
        self.crashed = False

    def __await__(self) -> Generator[Any, Any, Any]:
        value: Any = None
        checkpoints = 0
        while True:
            try:
                if checkpoints == self.k and not self.crashed:
                    self.crashed = True
                    trap = self.coroutine.throw(Boom(f"at checkpoint {self.k}"))
                else:
                    trap = self.coroutine.send(value)
            except StopIteration as done:
                return done.value
            value = yield trap
            checkpoints += 1


def run_mock(main: Callable[[], Coroutine[Any, Any, T]], *instruments: trio.abc.Instrument) -> T:
    """`trio.run` on a clock that jumps whenever everybody sleeps."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0), instruments=instruments)
