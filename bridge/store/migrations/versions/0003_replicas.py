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
    op.execute(
        "UPDATE looks SET connection = coalesce("
        "(SELECT exports.connection FROM exports WHERE exports.id = looks.export_id), '')"
    )
    op.execute(
        "INSERT INTO looks (tracker, bug_id, export_id, looked_at, done, connection) "
        "SELECT issues.tracker, issues.bug_id, issues.export_id, issues.created_at, 0, exports.connection "
        "FROM issues JOIN exports ON exports.id = issues.export_id "
        "WHERE NOT EXISTS "
        "(SELECT 1 FROM looks WHERE looks.tracker = issues.tracker AND looks.bug_id = issues.bug_id)"
    )
    _partial("looks_due", "looks", ["tracker", "connection", "looked_at"], "done = 0")
    op.create_index("issues_bug", "issues", ["bug_id"])
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
