"""Administration: changes that are told, accounts that are guarded, galleries, tests and re-runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("audit_event", "revoked_token", "login_throttle", "settings_change", "slot_preset", "slot_change")


def upgrade() -> None:
    """Make the tables, and add what slots, jobs and results need."""
    _slots()
    _jobs()
    _journals()
    _accounts()


def downgrade() -> None:
    """Remove all of it; slots that asked for nothing ask for their password again."""
    for table in TABLES:
        op.drop_table(table)
    op.execute("DELETE FROM media_object WHERE scope = 'original'")
    _scopes("'temp', 'provider', 'result', 'preview'")
    for column in ("decided_by", "rejected_at", "approved_at"):
        op.drop_column("result", column)
    for index in ("ix_job_test_id", "ix_job_photo_name", "ix_job_failed", "ix_job_created_at_id"):
        op.drop_index(index, "job")
    for column in ("variant", "test_id", "rerun_of", "requested_by", "received_at"):
        op.drop_column("job", column)
    op.execute("UPDATE slot SET auth = 'either' WHERE auth = 'open'")
    _auth("'password', 'signature', 'either'")
    op.drop_constraint(op.f("ck_slot_gallery_known"), "slot")
    for column in ("moderated", "gallery_generation", "gallery", "name"):
        op.drop_column("slot", column)


def _slots() -> None:
    op.add_column("slot", sa.Column("name", sa.Text(), nullable=False, server_default=""))
    op.add_column("slot", sa.Column("gallery", sa.Text(), nullable=False, server_default="off"))
    op.add_column("slot", sa.Column("gallery_generation", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("slot", sa.Column("moderated", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.create_check_constraint(op.f("ck_slot_gallery_known"), "slot", "gallery IN ('off', 'token', 'public')")
    _auth("'password', 'signature', 'either', 'open'")


def _auth(known: str) -> None:
    op.drop_constraint(op.f("ck_slot_auth_known"), "slot")
    op.create_check_constraint(op.f("ck_slot_auth_known"), "slot", f"auth IN ({known})")


def _scopes(known: str) -> None:
    op.drop_constraint(op.f("ck_media_object_scope_known"), "media_object")
    op.create_check_constraint(op.f("ck_media_object_scope_known"), "media_object", f"scope IN ({known})")


def _jobs() -> None:
    op.add_column("job", _at("received_at"))
    op.add_column("job", sa.Column("requested_by", sa.Text()))
    op.add_column("job", sa.Column("rerun_of", sa.UUID()))
    op.add_column("job", sa.Column("test_id", sa.UUID()))
    op.add_column("job", sa.Column("variant", sa.Integer()))
    op.create_index("ix_job_created_at_id", "job", ["created_at", "id"])
    failed = sa.text("status IN ('failed', 'timeout', 'cancelled')")
    op.create_index("ix_job_failed", "job", ["slot_id", "created_at"], postgresql_where=failed)
    op.create_index("ix_job_photo_name", "job", [sa.text("lower(photo_name) text_pattern_ops"), "created_at"])
    op.create_index("ix_job_test_id", "job", ["test_id"], postgresql_where=sa.text("test_id IS NOT NULL"))
    op.add_column("result", _at("approved_at"))
    op.add_column("result", _at("rejected_at"))
    op.add_column("result", sa.Column("decided_by", sa.Text()))
    _scopes("'temp', 'provider', 'result', 'preview', 'original'")


def _journals() -> None:
    op.create_table(
        "slot_change",
        sa.Column("slot_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before", JSONB(), nullable=False),
        sa.Column("after", JSONB(), nullable=False),
        _at("changed_at", now=True),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("slot_id", "version", name="pk_slot_change"),
        sa.ForeignKeyConstraint(["slot_id"], ["slot.id"], name="fk_slot_change_slot_id"),
    )
    op.create_index("ix_slot_change_changed_at", "slot_change", ["changed_at"])
    op.create_table(
        "slot_preset",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", JSONB(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
        _at("created_at", now=True),
        _at("updated_at", now=True),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_slot_preset"),
        sa.UniqueConstraint("name", name="uq_slot_preset_name"),
    )
    op.create_table(
        "settings_change",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("before", JSONB()),
        sa.Column("after", JSONB()),
        _at("changed_at", now=True),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "version", name="pk_settings_change"),
    )
    op.create_index("ix_settings_change_changed_at", "settings_change", ["changed_at"])


def _accounts() -> None:
    op.create_table(
        "login_throttle",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tries", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        _at("locked_until"),
        sa.PrimaryKeyConstraint("scope", "name", name="pk_login_throttle"),
        sa.CheckConstraint("scope IN ('account', 'address')", name=op.f("ck_login_throttle_scope_known")),
    )
    op.create_index("ix_login_throttle_last_at", "login_throttle", ["last_at"])
    op.create_table(
        "revoked_token",
        sa.Column("jti", sa.UUID(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jti", name="pk_revoked_token"),
    )
    op.create_index("ix_revoked_token_expires_at", "revoked_token", ["expires_at"])
    op.execute(
        "CREATE TRIGGER revoked_token_notify AFTER INSERT ON revoked_token "
        "FOR EACH STATEMENT EXECUTE FUNCTION notify_settings()"
    )
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _at("at", now=True),
        sa.Column("actor", sa.Text()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("detail", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.PrimaryKeyConstraint("id", name="pk_audit_event"),
    )
    op.create_index("ix_audit_event_at", "audit_event", ["at"])


def _at(name: str, *, now: bool = False) -> "sa.Column[object]":
    default = sa.func.now() if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not now, server_default=default)
