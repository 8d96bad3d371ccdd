"""The window as a budget: fallbacks, late results, last resort, money, signatures, templates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SLOT_CHECKS = {
    "last_resort_known": "last_resort IN ('error', 'original', 'local')",
    "at_budget_known": "at_budget IN ('refuse', 'last_resort')",
    "output_known": "output IN ('as_is', 'fit', 'crop')",
    "output_size_whole": "(output_width IS NULL) = (output_height IS NULL)",
    "auth_known": "auth IN ('password', 'signature', 'either')",
    "send_quality_range": "send_quality BETWEEN 1 AND 100",
    "dedupe_not_negative": "dedupe_seconds >= 0",
    "rate_positive": "rate_per_minute > 0 AND rate_burst > 0",
}


def upgrade() -> None:
    """Add what the policy, the money and the signatures need."""
    for column in _slot_columns():
        op.add_column("slot", column)
    for name, condition in SLOT_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_slot_{name}"), "slot", condition)
    op.alter_column("slot", "on_timeout", server_default="store")
    op.execute("UPDATE slot SET on_timeout = 'store', version = version + 1 WHERE on_timeout = 'drop'")
    op.add_column("job", sa.Column("idempotency_key", sa.Text()))
    op.add_column("job", sa.Column("joined", sa.Integer()))
    op.create_index(
        "ix_job_idempotency_key",
        "job",
        ["slot_id", "idempotency_key"],
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index("ix_attempt_begun_at", "attempt", ["begun_at"])
    op.create_table(
        "nonce",
        sa.Column("slot_id", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slot_id", "nonce", name="pk_nonce"),
    )
    op.create_index("ix_nonce_expires_at", "nonce", ["expires_at"])
    _templates()


def downgrade() -> None:
    """Remove all of it."""
    for table in ("slot_template", "template_media", "nonce"):
        op.drop_table(table)
    op.drop_index("ix_attempt_begun_at", "attempt")
    op.drop_index("ix_job_idempotency_key", "job")
    op.drop_column("job", "joined")
    op.drop_column("job", "idempotency_key")
    op.alter_column("slot", "on_timeout", server_default="drop")
    for name in SLOT_CHECKS:
        op.drop_constraint(op.f(f"ck_slot_{name}"), "slot")
    for column in _slot_columns():
        op.drop_column("slot", column.name)


def _slot_columns() -> "list[sa.Column[object]]":
    def text(name: str, default: str) -> "sa.Column[object]":
        return sa.Column(name, sa.Text(), nullable=False, server_default=default)

    def json(name: str, default: str) -> "sa.Column[object]":
        return sa.Column(name, JSONB(), nullable=False, server_default=sa.text(f"'{default}'::jsonb"))

    return [
        json("fallbacks", "[]"),
        sa.Column("hedge", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("keep_spares", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("t_late_seconds", sa.Integer()),
        text("last_resort", "error"),
        json("last_resort_settings", "{}"),
        sa.Column("dedupe_seconds", sa.Integer(), nullable=False, server_default="60"),
        sa.Column("budget_day_microusd", sa.BigInteger()),
        text("at_budget", "refuse"),
        text("output", "as_is"),
        sa.Column("output_width", sa.Integer()),
        sa.Column("output_height", sa.Integer()),
        sa.Column("send_quality", sa.Integer(), nullable=False, server_default="92"),
        sa.Column("rate_per_minute", sa.Integer()),
        sa.Column("rate_burst", sa.Integer()),
        text("auth", "either"),
        sa.Column("signing_generation", sa.Integer(), nullable=False, server_default="1"),
    ]


def _templates() -> None:
    op.create_table(
        "template_media",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_template_media"),
    )
    op.create_table(
        "slot_template",
        sa.Column("slot_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("template_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("slot_id", "position", name="pk_slot_template"),
        sa.ForeignKeyConstraint(["slot_id"], ["slot.id"], name="fk_slot_template_slot_id"),
        sa.ForeignKeyConstraint(["template_id"], ["template_media.id"], name="fk_slot_template_template_id"),
    )
    op.create_index("ix_slot_template_template_id", "slot_template", ["template_id"])
    op.execute(
        "CREATE TRIGGER slot_template_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON slot_template "
        "FOR EACH STATEMENT EXECUTE FUNCTION notify_settings()"
    )
