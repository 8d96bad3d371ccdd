"""The house's settings, and what administrators did."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from photochanger.db.tables.base import at, metadata

settings = Table(
    "settings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    at("updated_at", now=True),
    Column("updated_by", Text),
)

settings_change = Table(
    "settings_change",
    metadata,
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),  # that the change made
    Column("before", JSONB),  # never a secret: of those only that they changed
    Column("after", JSONB),
    at("changed_at", now=True),
    Column("changed_by", Text, nullable=False),
    Index(None, "changed_at"),
)

login_throttle = Table(
    "login_throttle",
    metadata,
    Column("scope", Text, primary_key=True),  # account, address
    Column("name", Text, primary_key=True),  # of an account a keyed digest: people type passwords as names
    Column("tries", ARRAY(DateTime(timezone=True)), nullable=False),
    at("last_at", nullable=False),
    at("locked_until"),
    CheckConstraint("scope IN ('account', 'address')", name="scope_known"),
    Index(None, "last_at"),
)

revoked_token = Table(
    "revoked_token",
    metadata,
    Column("jti", UUID(as_uuid=True), primary_key=True),
    at("expires_at", nullable=False),
    Index(None, "expires_at"),
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    at("at", now=True),
    Column("actor", Text),  # NULL = nobody who is known
    Column("action", Text, nullable=False),
    Column("subject", Text),
    Column("address", Text),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),  # never a secret
    Index(None, "at"),
)
