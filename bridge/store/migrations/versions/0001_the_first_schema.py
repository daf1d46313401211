"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "attempts",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("tracker", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("export_id", "tracker", "started_at", name="attempts_once"),
    )
    op.create_table(
        "deliveries",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("tracker", sa.Text(), nullable=False),
        sa.Column("bug_id", sa.BigInteger(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("on_reexport", sa.Text(), nullable=False),
        sa.Column("update_fields", sa.Text(), nullable=False),
        sa.Column("marker_suffix", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("claimed_at", sa.Float(), nullable=True),
        sa.Column("first_attempt_at", sa.Float(), nullable=True),
        sa.Column("doubt_since", sa.Float(), nullable=True),
        sa.Column("error_kind", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("action", sa.Text(), server_default="", nullable=False),
        sa.Column("issue_id", sa.Text(), nullable=True),
        sa.Column("issue_key", sa.Text(), nullable=True),
        sa.Column("issue_url", sa.Text(), nullable=True),
        sa.Column("warnings", sa.Text(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("export_id", "tracker", name="deliveries_once"),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "deliveries_doubt",
            ["tracker", "bug_id"],
            unique=False,
            sqlite_where=sa.text("doubt_since IS NOT NULL"),
            postgresql_where=sa.text("doubt_since IS NOT NULL"),
        )
        batch_op.create_index(
            "deliveries_due",
            ["tracker", "next_at", "position"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.create_index(
            "deliveries_leased",
            ["lease_until"],
            unique=False,
            sqlite_where=sa.text("state = 'running'"),
            postgresql_where=sa.text("state = 'running'"),
        )
        batch_op.create_index(
            "deliveries_dead",
            ["tracker", "position"],
            unique=False,
            sqlite_where=sa.text("state = 'dead'"),
            postgresql_where=sa.text("state = 'dead'"),
        )
        batch_op.create_index(
            "deliveries_unfinished",
            ["tracker", "bug_id", "position"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'running')"),
            postgresql_where=sa.text("state IN ('pending', 'running')"),
        )

    op.create_table(
        "exports",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), server_default="", nullable=False),
        sa.Column("bug_id", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("exported_at", sa.Float(), nullable=True),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("problems", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("identity"),
    )
    with op.batch_alter_table("exports", schema=None) as batch_op:
        batch_op.create_index("exports_bug", ["bug_id"], unique=False)
        batch_op.create_index(
            "exports_lost",
            ["state", "position"],
            unique=False,
            sqlite_where=sa.text("state <> 'accepted'"),
            postgresql_where=sa.text("state <> 'accepted'"),
        )

    op.create_table(
        "followups",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("tracker", sa.Text(), nullable=False),
        sa.Column("bug_id", sa.BigInteger(), nullable=False),
        sa.Column("issue_id", sa.Text(), nullable=False),
        sa.Column("issue_key", sa.Text(), nullable=False),
        sa.Column("issue_url", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), server_default="", nullable=False),
        sa.Column("type", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("tracker", "issue_id", "kind", "url", name="followups_once"),
    )
    with op.batch_alter_table("followups", schema=None) as batch_op:
        batch_op.create_index(
            "followups_due",
            ["tracker", "next_at", "position"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.create_index("followups_export", ["export_id", "tracker"], unique=False)
        batch_op.create_index(
            "followups_leased",
            ["lease_until"],
            unique=False,
            sqlite_where=sa.text("state = 'running'"),
            postgresql_where=sa.text("state = 'running'"),
        )

    op.create_table(
        "issues",
        sa.Column("tracker", sa.Text(), nullable=False),
        sa.Column("bug_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("issue_id", sa.Text(), nullable=False),
        sa.Column("issue_key", sa.Text(), nullable=False),
        sa.Column("issue_url", sa.Text(), nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tracker", "bug_id"),
    )
    op.create_table(
        "trackers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("paused_by", sa.Text(), server_default="", nullable=False),
        sa.Column("paused_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("paused_at", sa.Float(), nullable=True),
        sa.Column("blocked_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("blocked_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("circuit_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
