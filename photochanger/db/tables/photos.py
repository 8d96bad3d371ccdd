"""Photos: jobs, provider calls, results and the files that are kept."""

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
    column,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from photochanger.db.tables.base import at, metadata

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
    at("replied_at"),
    Column("provider", Text, nullable=False),
    Column("provider_async_id", Text),
    at("deadline", nullable=False),
    at("settle_by", nullable=False),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("request_bytes", BigInteger, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("photo_name", Text),
    Column("client_fields", JSONB, nullable=False, server_default=text("'{}'::jsonb")),  # never the password
    Column("late", Boolean, nullable=False, server_default=text("false")),
    Column("cost_microusd", BigInteger, nullable=False, server_default="0"),
    Column("idempotency_key", Text),
    Column("joined", Integer),  # repeats that waited for this job too; NULL in rows from before they were counted
    at("received_at"),  # the request's first byte; NULL in rows from before it was kept
    Column("requested_by", Text),  # of tests and re-runs
    Column("rerun_of", UUID(as_uuid=True)),
    Column("test_id", UUID(as_uuid=True)),
    Column("variant", Integer),
    at("created_at", nullable=False),
    at("started_at"),
    at("finished_at"),
    at("rolled_at"),  # counted into the statistics
    Column("told_504", Boolean),  # a booth got 504, whatever others got; NULL in rows from before it was kept
    at("told_rolled_at"),  # that 504 was counted before the work ended
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
        "ix_job_failed_live",
        "slot_id",
        "created_at",
        postgresql_where=text("source = 'ingest' AND status IN ('failed', 'timeout', 'cancelled')"),
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
    at("begun_at", nullable=False),
    at("finished_at"),
    at("rolled_at"),  # counted into the statistics
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
    at("created_at", nullable=False),
    at("expires_at", nullable=False),
    at("approved_at"),  # at most one of the two: a decision replaces the other
    at("rejected_at"),
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
    at("created_at", nullable=False),
    at("expires_at", nullable=False),
    at("cleaned_at"),
    CheckConstraint("scope IN ('temp', 'provider', 'result', 'preview', 'original')", name="scope_known"),
    Index("ix_media_object_due", "expires_at", postgresql_where=text("cleaned_at IS NULL")),
    Index(None, "job_id"),
)

nonce = Table(
    "nonce",
    metadata,
    Column("slot_id", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    at("expires_at", nullable=False),
    Index(None, "expires_at"),
)
