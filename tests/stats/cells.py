"""Reading the cells back, to compare them with a recount."""

from collections import Counter
from typing import Any

from photochanger.db.facade import Db
from tests.stats.histories import Counted, counted_again

_KEY = ("slot_id", "span", "source", "at")


async def assert_exact(db: Db) -> int:
    """All that has ended is in the cells, once; how many photos that were."""
    jobs = [dict(row) for row in await db.fetch("SELECT * FROM job")]
    attempts = [dict(row) for row in await db.fetch("SELECT * FROM attempt")]
    expected = counted_again(jobs, attempts)
    found = await cells(db)
    assert found.slots == expected.slots
    assert found.answer == expected.answer
    assert found.overhead == expected.overhead
    assert found.providers == expected.providers
    assert found.latency == expected.latency
    assert found.tally == expected.tally
    return len(jobs)


async def cells(db: Db) -> Counted:
    """What the cells say. Counters that are 0 are left out, as are empty histograms."""
    it = Counted({}, {}, {}, {}, {}, Counter())
    for row in await db.fetch("SELECT * FROM stats_slot"):
        key = tuple(row[name] for name in _KEY)
        it.slots[key] = _counters(row, _KEY)
        for name, histograms in (("answer_ms", it.answer), ("overhead_ms", it.overhead)):
            if any(row[name]):
                histograms[key] = row[name]
    for row in await db.fetch("SELECT * FROM stats_provider"):
        key = tuple(row[name] for name in (*_KEY, "provider", "model"))
        it.providers[key] = _counters(row, (*_KEY, "provider", "model"))
        if any(row["latency_ms"]):
            it.latency[key] = row["latency_ms"]
    for row in await db.fetch("SELECT * FROM stats_tally WHERE subject <> 'refusal'"):
        key = (*(row[name] for name in _KEY), *(row[name] for name in ("subject", "provider", "model", "name")))
        it.tally[key] = row["n"]
    return it


def _counters(row: Any, key: tuple[str, ...]) -> Counter[str]:
    return Counter({name: value for name, value in row.items() if name not in key and isinstance(value, int) and value})
