"""test IO's side: its connections, what was asked for there, errands to it, and looks at issues."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "connections",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.BigInteger(), nullable=False),
        sa.Column("product_ids", sa.Text(), server_default="[]", nullable=False),
        sa.Column("section_ids", sa.Text(), server_default="[]", nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "pulled",
        sa.Column("bug_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("bug_id"),
    )
    op.create_table(
        "errands",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("bug_id", sa.BigInteger(), nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("export_id", "kind", name="errands_once"),
    )
    op.create_index(
        "errands_due",
        "errands",
        ["next_at", "position"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "errands_waiting",
        "errands",
        ["position"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "looks",
        sa.Column("tracker", sa.Text(), nullable=False),
        sa.Column("bug_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.Float(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tracker", "bug_id"),
    )
