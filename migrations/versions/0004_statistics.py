"""Statistics: what was counted, by hour and day, so that no question has to read history."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("uptime_hour", "stats_state", "stats_flush", "stats_tally", "stats_provider", "stats_slot")

SLOT_COUNTERS = (
    *("jobs", "replied_ok", "replied_timeout", "replied_other"),
    *("kind_ai", "kind_fallback", "kind_local", "kind_original", "kind_error", "kind_none"),
    *("done", "failed", "timed_out", "cancelled", "late", "retries", "joined"),
)
PROVIDER_COUNTERS = (
    *("calls", "pictures", "no_image", "refused", "rejected", "quota", "overloaded", "transport"),
    *("timeouts", "cancelled", "other", "retries", "hedged", "possibly_billed", "cost_microusd"),
)


def upgrade() -> None:
    """Make the cells. Photos from before have not been counted yet: the service catches up with them."""
    for table, ended in (("job", "finished_at IS NOT NULL"), ("attempt", "outcome IS NOT NULL")):
        op.add_column(table, sa.Column("rolled_at", sa.DateTime(timezone=True)))
        op.create_index(
            f"ix_{table}_unrolled", table, ["finished_at"], postgresql_where=sa.text(f"rolled_at IS NULL AND {ended}")
        )
    op.create_index("ix_job_done", "job", ["slot_id", "created_at"], postgresql_where=sa.text("status = 'done'"))
    _cells("stats_slot", (), SLOT_COUNTERS, ("answer_ms", "overhead_ms"))
    _cells("stats_provider", ("provider", "model"), PROVIDER_COUNTERS, ("latency_ms",))
    _cells("stats_tally", ("subject", "provider", "model", "name"), ("n",), ())
    op.create_table(
        "stats_flush",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_stats_flush"),
    )
    op.create_index("ix_stats_flush_at", "stats_flush", ["at"])
    op.create_table(
        "stats_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_stats_state"),
    )
    op.create_table(
        "uptime_hour",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("at", name="pk_uptime_hour"),
    )


def downgrade() -> None:
    """Remove all of it."""
    for table in TABLES:
        op.drop_table(table)
    op.drop_index("ix_job_done", "job")
    for table in ("attempt", "job"):
        op.drop_index(f"ix_{table}_unrolled", table)
        op.drop_column(table, "rolled_at")


def _cells(table: str, keys: tuple[str, ...], counters: tuple[str, ...], histograms: tuple[str, ...]) -> None:
    empty = sa.text("'{}'::bigint[]")
    op.create_table(
        table,
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("slot_id", "span", "source")),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in keys),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0") for name in counters),
        *(sa.Column(name, ARRAY(sa.BigInteger()), nullable=False, server_default=empty) for name in histograms),
        sa.PrimaryKeyConstraint("slot_id", "span", "source", "at", *keys, name=f"pk_{table}"),
        sa.CheckConstraint("span IN ('hour', 'day')", name=op.f(f"ck_{table}_span_known")),
    )
