"""The tables, as SQLAlchemy Core metadata. Migrations create them; queries are written in SQL next to their use.

Times are timestamptz in UTC. Money is whole microusd. The schema name is the connection's search_path
(`DATABASE_SCHEMA`), so no table names it.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    column,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _at(name: str, *, now: bool = False, nullable: bool = True) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable and not now,
        server_default=func.now() if now else None,
    )


settings = Table(
    "settings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    _at("updated_at", now=True),
    Column("updated_by", Text),
)

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
    _at("created_at", now=True),
    _at("updated_at", now=True),
    _at("archived_at"),
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

job = Table(
    "job",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("slot_id", Text, ForeignKey("slot.id"), nullable=False),
    Column("slot_version", BigInteger, nullable=False),
    Column("source", Text, nullable=False, server_default="ingest"),
    Column("status", Text, nullable=False),
    Column("failure_reason", Text),
    Column("reply_kind", Text),
    Column("reply_status", Integer),
    _at("replied_at"),
    Column("provider", Text, nullable=False),
    Column("provider_async_id", Text),
    _at("deadline", nullable=False),
    _at("settle_by", nullable=False),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("request_bytes", BigInteger, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("photo_name", Text),
    Column("client_fields", JSONB, nullable=False, server_default=text("'{}'::jsonb")),  # never the password
    Column("late", Boolean, nullable=False, server_default=text("false")),
    Column("cost_microusd", BigInteger, nullable=False, server_default="0"),
    Column("idempotency_key", Text),
    Column("joined", Integer),  # repeats that waited for this job too; NULL in rows from before they were counted
    _at("received_at"),  # the request's first byte; NULL in rows from before it was kept
    Column("requested_by", Text),  # of tests and re-runs
    Column("rerun_of", UUID(as_uuid=True)),
    Column("test_id", UUID(as_uuid=True)),
    Column("variant", Integer),
    _at("created_at", nullable=False),
    _at("started_at"),
    _at("finished_at"),
    _at("rolled_at"),  # counted into the statistics
    CheckConstraint(
        "status IN ('queued', 'processing', 'done', 'failed', 'timeout', 'cancelled')", name="status_known"
    ),
    Index(None, "slot_id", "created_at"),
    Index("ix_job_unfinished", "created_at", postgresql_where=text("status IN ('queued', 'processing')")),
    Index(
        "ix_job_idempotency_key",
        "slot_id",
        "idempotency_key",
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    Index(None, "created_at", "id"),  # lists, newest first
    Index(
        "ix_job_failed",
        "slot_id",
        "created_at",
        postgresql_where=text("status IN ('failed', 'timeout', 'cancelled')"),
    ),
    Index(
        "ix_job_photo_name",
        func.lower(column("photo_name")).label("photo"),
        "created_at",
        postgresql_ops={"photo": "text_pattern_ops"},
    ),
    Index("ix_job_test_id", "test_id", postgresql_where=text("test_id IS NOT NULL")),
    Index("ix_job_done", "slot_id", "created_at", postgresql_where=text("status = 'done'")),
    Index(
        "ix_job_unrolled",
        "finished_at",
        postgresql_where=text("rolled_at IS NULL AND finished_at IS NOT NULL"),
    ),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("job_id", UUID(as_uuid=True), ForeignKey("job.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("handle", Text),
    Column("outcome", Text),  # NULL = begun, its end is not known
    Column("finish_reason", Text),
    Column("provider_error_code", Text),
    Column("http_status", Integer),
    Column("message", Text),
    Column("response_id", Text),
    Column("model_version", Text),
    Column("latency_ms", Integer),
    Column("tokens", JSONB),
    Column("estimate_microusd", BigInteger, nullable=False, server_default="0"),
    Column("cost_microusd", BigInteger, nullable=False, server_default="0"),
    Column("possibly_billed", Boolean, nullable=False, server_default=text("false")),
    Column("hedged", Boolean, nullable=False, server_default=text("false")),
    _at("begun_at", nullable=False),
    _at("finished_at"),
    _at("rolled_at"),  # counted into the statistics
    Index(None, "job_id", "number"),
    Index("ix_attempt_unfinished", "begun_at", postgresql_where=text("outcome IS NULL")),
    Index(
        "ix_attempt_unrolled",
        "finished_at",
        postgresql_where=text("rolled_at IS NULL AND outcome IS NOT NULL"),
    ),
    Index(None, "begun_at"),  # the day's money, read at the start
)

result = Table(
    "result",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("job_id", UUID(as_uuid=True), ForeignKey("job.id"), nullable=False, unique=True),
    Column("attempt_id", UUID(as_uuid=True)),
    Column("mime", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("path", Text, nullable=False),  # relative to the media root
    _at("created_at", nullable=False),
    _at("expires_at", nullable=False),
    _at("approved_at"),  # at most one of the two: a decision replaces the other
    _at("rejected_at"),
    Column("decided_by", Text),
    Index(None, "expires_at"),
)

media_object = Table(
    "media_object",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("job_id", UUID(as_uuid=True), ForeignKey("job.id"), nullable=False),
    Column("slot_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("path", Text, nullable=False),
    _at("created_at", nullable=False),
    _at("expires_at", nullable=False),
    _at("cleaned_at"),
    CheckConstraint("scope IN ('temp', 'provider', 'result', 'preview', 'original')", name="scope_known"),
    Index("ix_media_object_due", "expires_at", postgresql_where=text("cleaned_at IS NULL")),
    Index(None, "job_id"),
)

nonce = Table(
    "nonce",
    metadata,
    Column("slot_id", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    _at("expires_at", nullable=False),
    Index(None, "expires_at"),
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
    _at("created_at", now=True),
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
    _at("changed_at", now=True),
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
    _at("created_at", now=True),
    _at("updated_at", now=True),
    Column("updated_by", Text, nullable=False),
)

settings_change = Table(
    "settings_change",
    metadata,
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),  # that the change made
    Column("before", JSONB),  # never a secret: of those only that they changed
    Column("after", JSONB),
    _at("changed_at", now=True),
    Column("changed_by", Text, nullable=False),
    Index(None, "changed_at"),
)

login_throttle = Table(
    "login_throttle",
    metadata,
    Column("scope", Text, primary_key=True),  # account, address
    Column("name", Text, primary_key=True),  # of an account a keyed digest: people type passwords as names
    Column("tries", ARRAY(DateTime(timezone=True)), nullable=False),
    _at("last_at", nullable=False),
    _at("locked_until"),
    CheckConstraint("scope IN ('account', 'address')", name="scope_known"),
    Index(None, "last_at"),
)

revoked_token = Table(
    "revoked_token",
    metadata,
    Column("jti", UUID(as_uuid=True), primary_key=True),
    _at("expires_at", nullable=False),
    Index(None, "expires_at"),
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _at("at", now=True),
    Column("actor", Text),  # NULL = nobody who is known
    Column("action", Text, nullable=False),
    Column("subject", Text),
    Column("address", Text),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),  # never a secret
    Index(None, "at"),
)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _histogram(name: str) -> Column[list[int]]:
    return Column(name, ARRAY(BigInteger), nullable=False, server_default=text("'{}'::bigint[]"))


def _cell(*more: Column[Any]) -> list[Column[Any]]:
    """What a cell of the statistics is about. An empty `slot_id` is the whole house."""
    return [
        Column("slot_id", Text, primary_key=True),
        Column("span", Text, primary_key=True),  # hour, day; of UTC
        Column("source", Text, primary_key=True),
        Column("at", DateTime(timezone=True), primary_key=True),  # its beginning; every question names these four
        *more,
    ]


stats_slot = Table(
    "stats_slot",
    metadata,
    *_cell(),
    *map(
        _count,
        (
            *("jobs", "replied_ok", "replied_timeout", "replied_other"),
            *("kind_ai", "kind_fallback", "kind_local", "kind_original", "kind_error", "kind_none"),
            *("done", "failed", "timed_out", "cancelled", "late", "retries", "joined"),
        ),
    ),
    _histogram("answer_ms"),
    _histogram("overhead_ms"),
    CheckConstraint("span IN ('hour', 'day')", name="span_known"),
)

stats_provider = Table(
    "stats_provider",
    metadata,
    *_cell(Column("provider", Text, primary_key=True), Column("model", Text, primary_key=True)),
    *map(
        _count,
        (
            *("calls", "pictures", "no_image", "refused", "rejected", "quota", "overloaded", "transport"),
            *("timeouts", "cancelled", "other", "retries", "hedged", "possibly_billed", "cost_microusd"),
        ),
    ),
    _histogram("latency_ms"),
    CheckConstraint("span IN ('hour', 'day')", name="span_known"),
)

stats_tally = Table(
    "stats_tally",
    metadata,
    *_cell(
        Column("subject", Text, primary_key=True),  # failure_reason, refusal, finish_reason, provider_error
        Column("provider", Text, primary_key=True),  # empty where it is nobody's
        Column("model", Text, primary_key=True),
        Column("name", Text, primary_key=True),
    ),
    _count("n"),
    CheckConstraint("span IN ('hour', 'day')", name="span_known"),
)

stats_flush = Table(  # what was counted in memory and has been written: written again, it counts once
    "stats_flush",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    _at("at", now=True),
    Index(None, "at"),
)

stats_state = Table(
    "stats_state",
    metadata,
    Column("name", Text, primary_key=True),  # rolled: what ended before `at` is counted
    _at("at", nullable=False),
)

uptime_hour = Table(
    "uptime_hour",
    metadata,
    _at("at", nullable=False),
    Column("minutes", BigInteger, nullable=False),  # a bit for each in which the house was ready, the lowest the first
    PrimaryKeyConstraint("at"),
)
