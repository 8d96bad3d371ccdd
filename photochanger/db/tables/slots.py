"""Slots: how they are set up, what travels with their photos, and what was changed."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from photochanger.db.tables.base import at, metadata

slot = Table(
    "slot",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("secret_hash", Text),
    Column("size_limit_bytes", BigInteger, nullable=False, server_default="50000000"),
    Column("t_sync_seconds", Integer),  # NULL = the global setting
    Column("permits", Integer, nullable=False, server_default="2"),
    Column("mailbox", Integer, nullable=False, server_default="8"),
    Column("on_timeout", Text, nullable=False, server_default="store"),
    Column("allow_png", Boolean, nullable=False, server_default=text("false")),
    Column("jpeg_quality", Integer, nullable=False, server_default="92"),
    Column("longest_side", Integer),  # NULL = the photo travels in its own size
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("fallbacks", JSONB, nullable=False, server_default=text("'[]'::jsonb")),  # plans after the first, in order
    Column("hedge", Boolean, nullable=False, server_default=text("true")),
    Column("keep_spares", Boolean, nullable=False, server_default=text("false")),
    Column("t_late_seconds", Integer),  # NULL = the global setting
    Column("last_resort", Text, nullable=False, server_default="error"),
    Column("last_resort_settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("dedupe_seconds", Integer, nullable=False, server_default="60"),  # 0 = off
    Column("budget_day_microusd", BigInteger),  # NULL = no cap of its own
    Column("at_budget", Text, nullable=False, server_default="refuse"),
    Column("output", Text, nullable=False, server_default="as_is"),
    Column("output_width", Integer),  # both NULL = the shape of the photo that was sent
    Column("output_height", Integer),
    Column("send_quality", Integer, nullable=False, server_default="92"),
    Column("rate_per_minute", Integer),  # NULL = off
    Column("rate_burst", Integer),
    Column("auth", Text, nullable=False, server_default="either"),
    Column("signing_generation", Integer, nullable=False, server_default="1"),
    Column("name", Text, nullable=False, server_default=""),
    Column("gallery", Text, nullable=False, server_default="off"),
    Column("gallery_generation", Integer, nullable=False, server_default="1"),
    Column("moderated", Boolean, nullable=False, server_default=text("false")),
    at("created_at", now=True),
    at("updated_at", now=True),
    at("archived_at"),
    CheckConstraint("last_resort IN ('error', 'original', 'local')", name="last_resort_known"),
    CheckConstraint("at_budget IN ('refuse', 'last_resort')", name="at_budget_known"),
    CheckConstraint("output IN ('as_is', 'fit', 'crop')", name="output_known"),
    CheckConstraint("(output_width IS NULL) = (output_height IS NULL)", name="output_size_whole"),
    CheckConstraint("auth IN ('password', 'signature', 'either', 'open')", name="auth_known"),
    CheckConstraint("gallery IN ('off', 'token', 'public')", name="gallery_known"),
    CheckConstraint("send_quality BETWEEN 1 AND 100", name="send_quality_range"),
    CheckConstraint("dedupe_seconds >= 0", name="dedupe_not_negative"),
    CheckConstraint("rate_per_minute > 0 AND rate_burst > 0", name="rate_positive"),
    CheckConstraint("size_limit_bytes > 0", name="size_limit_positive"),
    CheckConstraint("permits > 0 AND mailbox > 0", name="room_positive"),
    CheckConstraint("on_timeout IN ('drop', 'store', 'poll')", name="on_timeout_known"),
    CheckConstraint("jpeg_quality BETWEEN 1 AND 100", name="jpeg_quality_range"),
)

template_media = Table(
    "template_media",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("mime", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("path", Text, nullable=False),
    at("created_at", now=True),
)

slot_template = Table(
    "slot_template",
    metadata,
    Column("slot_id", Text, ForeignKey("slot.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("role", Text, nullable=False),
    Column("template_id", UUID(as_uuid=True), ForeignKey("template_media.id"), nullable=False, index=True),
)

slot_change = Table(
    "slot_change",
    metadata,
    Column("slot_id", Text, ForeignKey("slot.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),  # that the change made
    Column("action", Text, nullable=False),
    Column("before", JSONB, nullable=False),  # only the fields that changed, never a secret
    Column("after", JSONB, nullable=False),
    at("changed_at", now=True),
    Column("changed_by", Text, nullable=False),
    Index(None, "changed_at"),
)

slot_preset = Table(
    "slot_preset",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("document", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    at("created_at", now=True),
    at("updated_at", now=True),
    Column("updated_by", Text, nullable=False),
)
