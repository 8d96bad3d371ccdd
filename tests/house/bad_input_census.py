"""What there is in a house at rest: whatever a request brings along must be gone again afterwards."""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import trio
import trio.testing

from tests.lab.house import Lab

PATIENCE = 10.0
"""Seconds until what is on its way out must have left."""

_CONNECTION_TASK = "trio_asyncio.BaseTrioEventLoop._io_task"
"""Each of asyncio's sockets has one."""

_TABLES = ("job", "attempt", "result", "media_object")


@dataclass(frozen=True, slots=True)
class Census:
    """`tasks` and `descriptors` leave out connections to PostgreSQL, whose number is the pool's own affair; `leased`
    is how many of them somebody holds."""

    tasks: Counter[str]
    descriptors: int
    leased: int
    files: frozenset[str]
    folders: frozenset[str]
    rows: dict[str, int]
    calls: int
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    """photochanger_ingest_total: (slot, outcome) and how often."""


async def take(lab: Lab) -> Census:
    """Count everything now."""
    rows = {table: await lab.count(table) for table in _TABLES}
    media = lab.var / "media"
    found = list(media.rglob("*"))
    pool = lab.house.db.pool_state
    tasks = Counter(task.name for task in _tasks(trio.lowlevel.current_root_task()))
    del tasks[_CONNECTION_TASK]
    return Census(
        tasks,
        _descriptors(),
        pool.leased if pool else 0,
        frozenset(str(path.relative_to(media)) for path in found if path.is_file()),
        frozenset(str(path) for path in _job_folders(media / "temp")),
        rows,
        len(lab.simulator.calls),
        Counter(_ingest_samples(lab)),
    )


async def take_at_rest(lab: Lab, *, like: Census | None = None) -> Census:
    """Count once nothing is in flight (which `lab.rest` checks); `like` waits for tasks that are just ending."""
    await lab.rest()
    census = await take(lab)
    with trio.move_on_after(PATIENCE):
        while census.leased or (like is not None and not _is_like(census, like)):  # statistics are written now and then
            await trio.testing.wait_all_tasks_blocked(0.01)
            census = await take(lab)
    return census


def _is_like(one: Census, other: Census) -> bool:
    return (one.tasks, one.descriptors, one.leased) == (other.tasks, other.descriptors, other.leased)


def _descriptors() -> int:
    return sum(not _leads_to_postgres(int(path.name)) for path in Path("/dev/fd").iterdir())


def _leads_to_postgres(descriptor: int) -> bool:
    """The server of the tests listens on a Unix socket only."""
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return False  # no socket, or closed meanwhile
    try:
        return ".s.PGSQL." in str(borrowed.getpeername())
    except OSError:
        return False  # not connected
    finally:
        borrowed.detach()


def _tasks(task: trio.lowlevel.Task | None) -> Iterator[trio.lowlevel.Task]:
    if task is not None:
        yield task
        for nursery in task.child_nurseries:
            for child in nursery.child_tasks:
                yield from _tasks(child)


def _job_folders(temp: Path) -> list[Path]:
    """temp/{slot}/{job}: the slots' folders stay."""
    return [path.relative_to(temp) for path in temp.glob("*/*")]


def _ingest_samples(lab: Lab) -> dict[tuple[str, str], int]:
    return {
        (sample.labels["slot"], sample.labels["outcome"]): int(sample.value)
        for metric in lab.house.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "photochanger_ingest_total"
    }
