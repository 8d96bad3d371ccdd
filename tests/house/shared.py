"""One house for many small tests: it runs in a thread of its own, and tests carry their questions over to it."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import trio

from tests.lab.house import Lab, running_house
from tests.postgres import PostgresServer

T = TypeVar("T")

GUARD = 60.0
"""Seconds after which a question hangs rather than waits."""


class SharedHouse:
    """A running house; `changes` are those of `tests.lab.house.config_for`.

    Booting a house takes longer than most questions to it do, and an async fixture lives no longer than one test.
    """

    def __init__(self, var: Path, database_url: str, **changes: Any) -> None:
        self._var = var
        self._database_url = database_url
        self._changes = changes
        self._started: Future[tuple[Lab, trio.lowlevel.TrioToken, trio.Event]] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._live, name="shared house")

    def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """`await function(lab, *args)` in the house's own loop; what it raises is raised here."""
        lab, token, _ = self._started.result()

        async def guarded() -> T:
            with trio.fail_after(GUARD):
                return await function(lab, *args)

        return trio.from_thread.run(guarded, trio_token=token)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._started.result(GUARD)
        except BaseException:
            self._thread.join(GUARD)
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        _, token, stop = self._started.result()
        if not self._ended.done():
            trio.from_thread.run_sync(stop.set, trio_token=token)
        self._ended.result(GUARD)
        self._thread.join(GUARD)

    def _live(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits for it
            for waited_for in (self._started, self._ended):
                if not waited_for.done():
                    waited_for.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _main(self) -> None:
        async with running_house(self._var, self._database_url, **self._changes) as lab:
            stop = trio.Event()
            self._started.set_result((lab, trio.lowlevel.current_trio_token(), stop))
            await stop.wait()


async def without_hedges(lab: Lab) -> None:
    """From now on a slow call is left alone: a test that counts calls gets as many as it asked for."""
    await lab.house.db.execute("UPDATE slot SET hedge = false, version = version + 1")
    await lab.house.slots.refresh()


@contextmanager
def shared_house(server: PostgresServer, var: Path, **changes: Any) -> Iterator[SharedHouse]:
    """A SharedHouse on a database of its own, in which no connection may be left at the end."""
    url = server.create(server.template)
    try:
        with SharedHouse(var, url, **changes) as house:
            yield house
    finally:
        left = server.drop(url)
    assert left == 0, f"{left} database connections were left open"
