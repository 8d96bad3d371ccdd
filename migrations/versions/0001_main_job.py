"""The main job: slots, jobs, attempts, results, media; fifteen slots to begin with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SLOTS = 15
MODEL = "gemini-3.1-flash-image"
PROMPT = (
    "Turn this photo into a painted portrait in rich oil colours with soft window light. "
    "Keep every person: the same faces, expressions, hair, skin tones, poses and number of people, so that each "
    "is recognised at once. Keep clothes and composition; make the background a calm, warm studio backdrop. "
    "Flattering and suitable for all ages. No text, frame, watermark or logo. Return one picture only."
)

# Tells listeners that a snapshot is out of date; what changed they read for themselves.
NOTIFY = """
CREATE FUNCTION notify_settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('photochanger_settings', TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME);
  RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Make the tables, the triggers and the slots."""
    _settings_and_slots()
    _jobs()
    _media()
    op.execute(NOTIFY)
    for table in ("settings", "slot"):
        op.execute(
            f"CREATE TRIGGER {table}_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION notify_settings()"
        )
    op.bulk_insert(
        sa.table(
            "slot", sa.column("id"), sa.column("provider"), sa.column("operation"), sa.column("settings", type_=JSONB)
        ),
        [
            {
                "id": f"slot-{number:03}",
                "provider": "gemini",
                "operation": "edit",
                "settings": {"prompt": PROMPT, "model": MODEL},
            }
            for number in range(1, SLOTS + 1)
        ],
    )


def downgrade() -> None:
    """Remove all of it."""
    for table in ("media_object", "result", "attempt", "job", "slot", "settings"):
        op.drop_table(table)
    op.execute("DROP FUNCTION notify_settings()")


def _at(name: str, *, now: bool = False, nullable: bool = True) -> "sa.Column[object]":
    default = sa.func.now() if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable and not now, server_default=default)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=default)


def _integer(name: str, *, big: bool = False, nullable: bool = False, default: str | None = None) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger() if big else sa.Integer(), nullable=nullable, server_default=default)


def _flag(name: str, default: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text(default))


def _json(name: str) -> "sa.Column[object]":
    return sa.Column(name, JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb"))


def _settings_and_slots() -> None:
    op.create_table(
        "settings",
        _text("key"),
        sa.Column("value", JSONB(), nullable=False),
        _integer("version", big=True, default="1"),
        _at("updated_at", now=True),
        _text("updated_by", nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_settings"),
    )
    op.create_table(
        "slot",
        _text("id"),
        _text("provider"),
        _text("operation"),
        _json("settings"),
        _text("secret_hash", nullable=True),
        _integer("size_limit_bytes", big=True, default="50000000"),
        _integer("t_sync_seconds", nullable=True),
        _integer("permits", default="2"),
        _integer("mailbox", default="8"),
        _text("on_timeout", default="drop"),
        _flag("allow_png", "false"),
        _integer("jpeg_quality", default="92"),
        _integer("longest_side", nullable=True),
        _flag("is_active", "true"),
        _integer("version", big=True, default="1"),
        _at("created_at", now=True),
        _at("updated_at", now=True),
        _at("archived_at"),
        sa.PrimaryKeyConstraint("id", name="pk_slot"),
        sa.CheckConstraint("size_limit_bytes > 0", name=op.f("ck_slot_size_limit_positive")),
        sa.CheckConstraint("permits > 0 AND mailbox > 0", name=op.f("ck_slot_room_positive")),
        sa.CheckConstraint("on_timeout IN ('drop', 'store', 'poll')", name=op.f("ck_slot_on_timeout_known")),
        sa.CheckConstraint("jpeg_quality BETWEEN 1 AND 100", name=op.f("ck_slot_jpeg_quality_range")),
    )


def _jobs() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.UUID(), nullable=False),
        _text("slot_id"),
        _integer("slot_version", big=True),
        _text("source", default="ingest"),
        _text("status"),
        _text("failure_reason", nullable=True),
        _text("reply_kind", nullable=True),
        _integer("reply_status", nullable=True),
        _at("replied_at"),
        _text("provider"),
        _text("provider_async_id", nullable=True),
        _at("deadline", nullable=False),
        _at("settle_by", nullable=False),
        _integer("retries", default="0"),
        _integer("request_bytes", big=True),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        _text("photo_name", nullable=True),
        _json("client_fields"),
        _flag("late", "false"),
        _integer("cost_microusd", big=True, default="0"),
        _at("created_at", nullable=False),
        _at("started_at"),
        _at("finished_at"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.ForeignKeyConstraint(["slot_id"], ["slot.id"], name="fk_job_slot_id"),
        sa.CheckConstraint(
            "status IN ('queued', 'processing', 'done', 'failed', 'timeout', 'cancelled')",
            name=op.f("ck_job_status_known"),
        ),
    )
    op.create_index("ix_job_slot_id_created_at", "job", ["slot_id", "created_at"])
    op.create_index(
        "ix_job_unfinished", "job", ["created_at"], postgresql_where=sa.text("status IN ('queued', 'processing')")
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        _integer("number"),
        _text("provider"),
        _text("model"),
        _text("handle", nullable=True),
        _text("outcome", nullable=True),
        _text("finish_reason", nullable=True),
        _text("provider_error_code", nullable=True),
        _integer("http_status", nullable=True),
        _text("message", nullable=True),
        _text("response_id", nullable=True),
        _text("model_version", nullable=True),
        _integer("latency_ms", nullable=True),
        sa.Column("tokens", JSONB()),
        _integer("estimate_microusd", big=True, default="0"),
        _integer("cost_microusd", big=True, default="0"),
        _flag("possibly_billed", "false"),
        _flag("hedged", "false"),
        _at("begun_at", nullable=False),
        _at("finished_at"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_attempt_job_id"),
    )
    op.create_index("ix_attempt_job_id_number", "attempt", ["job_id", "number"])
    op.create_index("ix_attempt_unfinished", "attempt", ["begun_at"], postgresql_where=sa.text("outcome IS NULL"))


def _media() -> None:
    op.create_table(
        "result",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("attempt_id", sa.UUID()),
        _text("mime"),
        _integer("bytes", big=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        _integer("width"),
        _integer("height"),
        _text("path"),
        _at("created_at", nullable=False),
        _at("expires_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_result"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_result_job_id"),
        sa.UniqueConstraint("job_id", name="uq_result_job_id"),
    )
    op.create_index("ix_result_expires_at", "result", ["expires_at"])
    op.create_table(
        "media_object",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        _text("slot_id"),
        _text("scope"),
        _text("path"),
        _at("created_at", nullable=False),
        _at("expires_at", nullable=False),
        _at("cleaned_at"),
        sa.PrimaryKeyConstraint("id", name="pk_media_object"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_media_object_job_id"),
        sa.CheckConstraint(
            "scope IN ('temp', 'provider', 'result', 'preview')", name=op.f("ck_media_object_scope_known")
        ),
    )
    op.create_index(
        "ix_media_object_due", "media_object", ["expires_at"], postgresql_where=sa.text("cleaned_at IS NULL")
    )
    op.create_index("ix_media_object_job_id", "media_object", ["job_id"])
