"""Which database: address, schema, and what every connection to it is told at its start."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg
import msgspec

from photochanger.errors import ConfigError

CONNECT_TIMEOUT = 5.0
_SCHEMES = {"postgresql", "postgres", "postgresql+asyncpg"}
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")

# Sent with the start of a connection, so they cost no round trip and survive RESET ALL.
_SERVER_SETTINGS = {
    "application_name": "photochanger",
    "timezone": "UTC",
    "jit": "off",  # our statements are short; compiling one costs more than running it
    "idle_in_transaction_session_timeout": "60s",
    # A query whose client is gone ends within this time instead of running on.
    "client_connection_check_interval": "2s",
}


def _encode(value: object) -> bytes:
    return b"\x01" + msgspec.json.encode(value)  # the binary format of jsonb is a version byte and the text


def _decode(data: bytes) -> Any:
    return msgspec.json.decode(memoryview(data)[1:])


@dataclass(frozen=True, slots=True)
class Target:
    """A database and a schema in it. `dsn` holds the password, so it is kept out of `repr`.

    `url` may start with postgresql://, postgres:// or postgresql+asyncpg://.
    Raises ConfigError for another scheme or a schema name that is no plain identifier.
    """

    dsn: str = field(repr=False)
    schema: str = "public"

    @classmethod
    def of(cls, url: str, schema: str = "public") -> "Target":
        """The target of a DATABASE_URL and a DATABASE_SCHEMA."""
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.lower() not in _SCHEMES:
            raise ConfigError("DATABASE_URL must start with postgresql:// (postgres:// and postgresql+asyncpg:// too)")
        if not _SCHEMA.match(schema) or schema.lower().startswith("pg_"):
            raise ConfigError("DATABASE_SCHEMA must be a plain name: letters, digits and _, not starting with pg_")
        return cls(f"postgresql://{rest}", schema)

    @property
    def where(self) -> str:
        """Host and database for logs: never user or password."""
        try:
            parts = urlsplit(self.dsn)
            host = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "localhost")
            return f"{unquote(host)}{parts.path or '/'}"
        except ValueError:
            return "an address that cannot be read"

    async def connect(self, statement_timeout: float | None = None) -> asyncpg.Connection:
        """A new connection, ready to use. Asyncio-flavoured: call it through the loop.

        Raises whatever asyncpg, the socket or the TLS layer raises.
        """
        connection = await asyncpg.connect(
            self.dsn,
            timeout=CONNECT_TIMEOUT,
            command_timeout=statement_timeout,
            server_settings=_SERVER_SETTINGS | {"search_path": f'"{self.schema}"'},
        )
        try:
            await connection.set_type_codec(
                "jsonb", schema="pg_catalog", encoder=_encode, decoder=_decode, format="binary"
            )
        except BaseException:
            connection.terminate()
            raise
        return connection
