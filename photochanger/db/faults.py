"""Which failures mean that PostgreSQL cannot be asked, and which are an answer."""

import asyncio

import asyncpg

from photochanger.errors import DatabaseUnavailable

# PostgreSQL's list of error codes: class 08, 57P01 to 57P05, 25P03 and 53300.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DatabaseDroppedError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    OSError,
    EOFError,
    asyncio.CancelledError,  # not ours: Trio's own cancellation arrives as trio.Cancelled
)


def lost(error: BaseException, connection: asyncpg.Connection) -> DatabaseUnavailable | None:
    """What `error` is to the caller if it means a lost connection; None if it is a real answer or a bug."""
    if isinstance(error, _LOST):
        return DatabaseUnavailable(f"the connection was lost ({name(error)})")
    # asyncpg says InterfaceError both for a wrong call (a bug of ours) and for a connection closed under it.
    if isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError)) and connection.is_closed():
        return DatabaseUnavailable("the connection was closed")
    return None


def name(error: BaseException) -> str:
    """A word for logs that can hold no password and no data."""
    code = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
