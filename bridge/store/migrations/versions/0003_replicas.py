"""Replicas on one database: a rate for all of them, looks that are handed out, and which programs fit."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what replicas share, and indexes for what is asked of it."""
    op.add_column("trackers", sa.Column("tokens", sa.Float(), nullable=True))
    op.add_column("trackers", sa.Column("refilled_at", sa.Float(), server_default="0", nullable=False))
    op.add_column("looks", sa.Column("connection", sa.Text(), server_default="", nullable=False))
    _partial("looks_due", "looks", ["tracker", "looked_at"], "done = 0")
    op.drop_index("deliveries_leased", "deliveries")
    _partial("deliveries_leased", "deliveries", ["tracker", "bug_id"], "state = 'running'")
    op.drop_index("followups_leased", "followups")
    _partial("followups_leased", "followups", ["tracker"], "state = 'running'")
    compatibility = op.create_table(
        "compatibility", sa.Column("oldest", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("oldest")
    )
    op.bulk_insert(compatibility, [{"oldest": "0003"}])


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
