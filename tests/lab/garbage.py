"""What the garbage collector need not look at: all that was imported and collected stays to the end of the run.

Looking through it again and again, it would stop a test for half a second, which is how long PostgreSQL may take for a
photo's rows.
"""

import gc

import trio

LIMITERS: list[trio.CapacityLimiter] = []
"""Those of modules: `gc.get_objects` does not tell of what is set aside."""


def pytest_collection_finish() -> None:
    gc.collect()
    LIMITERS.extend(found for found in gc.get_objects() if type(found) is trio.CapacityLimiter)
    gc.freeze()
