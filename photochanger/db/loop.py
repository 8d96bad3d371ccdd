"""The asyncio loop under which asyncpg runs, opened inside Trio."""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

# It subclasses asyncio's child watchers, which Python 3.12 and 3.13 announce as deprecated; we use none of them.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import trio_asyncio

log = logging.getLogger(__name__)

T = TypeVar("T")

_ROLLED_BACK = "Resetting connection with an active transaction"


def log_only(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio could not deliver to anybody.

    trio-asyncio's own handler raises into the loop's nursery instead: one lost connection at a bad moment
    would then tear the loop down, and with it every part above.
    """
    message = str(context.get("message", "unhandled error"))
    # asyncpg says this of every transaction that the pool rolls back behind a cancelled user: expected.
    level = logging.DEBUG if message.startswith(_ROLLED_BACK) else logging.WARNING
    log.log(level, "asyncio: %s", message, exc_info=context.get("exception"))


@asynccontextmanager
async def open_loop() -> AsyncIterator[Any]:
    """Open the loop for `Db`. It must outlive every user of the database, so open it above the supervision tree."""
    async with trio_asyncio.open_loop() as loop:
        loop.set_exception_handler(log_only)
        yield loop


def run_asyncio(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` for threads that belong to no Trio: on a real asyncio loop.

    Importing trio-asyncio makes plain `asyncio.run` use a loop on Trio and greenlets, which hangs under
    SQLAlchemy's own greenlets.
    """
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(main)
