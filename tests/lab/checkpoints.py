"""Cancel or crash one task at its k-th checkpoint, wherever that is."""

import gc
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from types import coroutine
from typing import Any, Literal, TypeVar

import outcome
import trio
from trio.lowlevel import Abort, Task, current_task

T = TypeVar("T")


class CancelAt(trio.abc.Instrument):
    """Counts the checkpoints of one task, and calls `cancel` when it has come to the one numbered `at` (from 1).

    What the task waits for there has begun and has not ended. With `at` 0 it only counts.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed = 0
        self._task: Task | None = None
        self._cancel: Callable[[], object] = lambda: None

    @property
    def reached(self) -> bool:
        """The checkpoint was there, so `cancel` was called."""
        return self.passed >= self.at

    def watch(self, cancel: Callable[[], object]) -> None:
        """From here on the current task is the one, until it exits."""
        self._task, self._cancel = current_task(), cancel

    @contextmanager
    def watching(self, cancel: Callable[[], object]) -> Iterator[None]:
        """The same for a part of the task's life."""
        self.watch(cancel)
        try:
            yield
        finally:
            self._task = None

    def after_task_step(self, task: Task) -> None:
        if task is self._task:
            self.passed += 1
            if self.passed == self.at:
                self._cancel()

    def task_exited(self, task: Task) -> None:
        if task is self._task:
            self._task = None


@contextmanager
def cancelling(at: int) -> Iterator[CancelAt]:
    """A CancelAt that is an instrument of the run for the block."""
    instrument = CancelAt(at)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield instrument
    finally:
        trio.lowlevel.remove_instrument(instrument)


class Bug(RuntimeError):
    """Raised where a mistake could be that nobody knows of yet."""


Moment = Literal["never", "instead", "after"]

_HAND_OVER = {"acquire", "acquire_on_behalf_of", "_nested_child_finished"}
"""Trio's functions that hold something already while they pause, and so count on that nothing is raised there."""


class CrashAt:
    """Raises Bug in a coroutine at the checkpoint numbered `at` (from 1) of those at which anything can be raised.

    It is raised instead of the wait where Trio could cancel it, by the same means: what another task is about to
    hand over then stays with that task, as with any real error. Where a thread or asyncio is waited for, it is raised
    in place of the result. With `woken` it is raised after every wait: for actors, which are handed nothing.
    """

    passed: int
    """All checkpoints so far."""
    sites: int
    """Those at which something can be raised."""

    def __init__(self, at: int, *, woken: bool = False) -> None:
        self.woken = woken
        self.aim(at)

    def aim(self, at: int) -> None:
        """Begin to count anew, for something that runs on."""
        self.at = at
        self.passed = self.sites = 0

    @property
    def reached(self) -> bool:
        """The checkpoint was there, so Bug was raised."""
        return self.sites >= self.at

    @coroutine
    def drive(self, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run `work` in the current task."""
        answer: Any = None
        try:
            while True:
                try:
                    trap = work.send(answer)
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                moment = "never" if self.woken else self._moment(trap, work)
                if moment != "instead":
                    answer = yield trap
                if self.woken:
                    moment = self._moment(trap, work)
                if moment != "never":
                    answer = outcome.Error(Bug(f"at checkpoint {self.passed}"))
        finally:
            work.close()

    def _moment(self, trap: Any, work: Any) -> Moment:
        """When to raise at the checkpoint that `work` has come to."""
        self.passed += 1
        abort = getattr(trap, "abort_func", None)  # None: a mere pause
        if _HAND_OVER.intersection(_functions(work)[-3:]):
            return "never"
        self.sites += 1
        if self.sites != self.at:
            return "never"
        if self.woken:
            return "after"
        if abort is not None:
            if abort.__qualname__.startswith(("to_thread_run_sync", "run_aio_future")):
                return "after"
            assert abort(_nothing_to_raise) is Abort.SUCCEEDED, f"{abort.__qualname__} cannot be given up"
            current_task().custom_sleep_data = None  # as Trio does when it ends a wait
        return "instead"


def _nothing_to_raise() -> Any:
    raise AssertionError("a wait that was given up has no Cancelled to raise")


def _functions(awaited: Any) -> list[str]:
    """The names of the functions in which a suspended coroutine is, innermost last."""
    names = []
    while awaited is not None:
        for prefix, inner in (("cr", "cr_await"), ("ag", "ag_await"), ("gi", "gi_yieldfrom")):
            if hasattr(awaited, f"{prefix}_code"):
                names.append(getattr(awaited, f"{prefix}_code").co_name)
                awaited = getattr(awaited, inner)
                break
        else:  # a wrapper, as `async for` makes them; it holds what it wraps and does not say so otherwise
            awaited = next((held for held in gc.get_referents(awaited) if _is_suspended(held)), None)
    return names


def _is_suspended(held: Any) -> bool:
    return hasattr(held, "cr_code") or hasattr(held, "ag_code") or hasattr(held, "gi_code")
