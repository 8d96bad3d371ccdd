"""What booths were told while the work on their photos went on, and the failures of booths' photos alone."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows from before do not know: NULL."""
    op.add_column("job", sa.Column("told_504", sa.Boolean()))
    op.add_column("job", sa.Column("told_rolled_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_job_failed_live",
        "job",
        ["slot_id", "created_at"],
        postgresql_where=sa.text("source = 'ingest' AND status IN ('failed', 'timeout', 'cancelled')"),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_job_failed_live", "job")
    op.drop_column("job", "told_rolled_at")
    op.drop_column("job", "told_504")
