"""The tables. Moments are seconds since 1970 in UTC, so that both databases compare them alike.

A partial index is used only where the query names the state as a literal, not as a parameter: hence the
`literal_column`s below.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    literal_column,
    text,
)

HEAD = "0003"
"""The migration that this schema is. A store at another one is migrated at start."""

OLDEST = "0003"
"""The oldest schema whose programs can use this one too: during a rolling restart they do. So a migration only
adds, what it adds may be left out, and what nobody needs any more goes one release later."""

metadata = MetaData()

# SQLite counts up by itself only for INTEGER; PostgreSQL wants the wide type
_Position = BigInteger().with_variant(Integer, "sqlite")

PENDING = literal_column("'pending'", Text)
RUNNING = literal_column("'running'", Text)
DEAD = literal_column("'dead'", Text)
"""States as a part of statements: SQLite compiles one anew whenever a parameter gets a value that may decide on a
partial index. https://www.sqlite.org/c3ref/prepare.html
"""


def _where(condition: str) -> dict[str, Any]:
    """Return what makes an index partial, in whichever database it is made."""
    return {"info": {"where": condition}}


@event.listens_for(metadata, "before_create")
def _make_partial(_metadata: MetaData, connection: Connection, **_: Any) -> None:
    """Tell the database in use; told of both, SQLAlchemy would import the other one's dialect at each start."""
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        if "where" in index.info:
            index.dialect_options[connection.dialect.name]["where"] = text(index.info["where"])


exports = Table(
    "exports",
    metadata,
    Column("position", _Position, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("connection", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("event", Text, nullable=False, server_default=""),
    Column("bug_id", BigInteger),
    Column("title", Text, nullable=False, server_default=""),
    Column("exported_at", Float),
    Column("received_at", Float, nullable=False),
    Column("identity", Text, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("problems", Text, nullable=False, server_default="[]"),
    Index("exports_bug", "bug_id"),
    # only what went nowhere is looked for by its state: the common case pays nothing
    Index("exports_lost", "state", "position", **_where("state <> 'accepted'")),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("position", _Position, primary_key=True),
    Column("export_id", Text, nullable=False),
    Column("tracker", Text, nullable=False),
    Column("bug_id", BigInteger, nullable=False),
    Column("route", Text, nullable=False),
    Column("on_reexport", Text, nullable=False),
    Column("update_fields", Text, nullable=False),
    Column("marker_suffix", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", Float),
    Column("claimed_at", Float),
    Column("first_attempt_at", Float),
    Column("doubt_since", Float),
    Column("error_kind", Text, nullable=False, server_default=""),
    Column("error", Text, nullable=False, server_default=""),
    Column("action", Text, nullable=False, server_default=""),
    Column("issue_id", Text),
    Column("issue_key", Text),
    Column("issue_url", Text),
    Column("warnings", Text, nullable=False, server_default="[]"),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("export_id", "tracker", name="deliveries_once"),
    # what is due at a tracker, and what of its bug is still unfinished before it
    Index(
        "deliveries_due",
        "tracker",
        "next_at",
        "position",
        **_where("state = 'pending'"),
    ),
    Index(
        "deliveries_unfinished",
        "tracker",
        "bug_id",
        "position",
        **_where("state IN ('pending', 'running')"),
    ),
    # what is under way: of a tracker, and of a bug
    Index("deliveries_leased", "tracker", "bug_id", **_where("state = 'running'")),
    Index("deliveries_dead", "tracker", "position", **_where("state = 'dead'")),
    # deliveries that may have made an issue nobody knows of: a later one of the same bug has to look
    Index("deliveries_doubt", "tracker", "bug_id", **_where("doubt_since IS NOT NULL")),
)

attempts = Table(
    "attempts",
    metadata,
    Column("position", _Position, primary_key=True),
    Column("export_id", Text, nullable=False),
    Column("tracker", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seconds", Float),
    Column("outcome", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    Column("status", Integer),
    UniqueConstraint("export_id", "tracker", "started_at", name="attempts_once"),
)

issues = Table(
    "issues",
    metadata,
    Column("tracker", Text, primary_key=True),
    Column("bug_id", BigInteger, primary_key=True, autoincrement=False),
    Column("issue_id", Text, nullable=False),
    Column("issue_key", Text, nullable=False),
    Column("issue_url", Text, nullable=False),
    Column("export_id", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("issues_bug", "bug_id"),
)

followups = Table(
    "followups",
    metadata,
    Column("position", _Position, primary_key=True),
    Column("export_id", Text, nullable=False),
    Column("tracker", Text, nullable=False),
    Column("bug_id", BigInteger, nullable=False),
    Column("issue_id", Text, nullable=False),
    Column("issue_key", Text, nullable=False),
    Column("issue_url", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False, server_default=""),
    Column("type", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", Float),
    Column("error", Text, nullable=False, server_default=""),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("tracker", "issue_id", "kind", "url", name="followups_once"),
    Index(
        "followups_due",
        "tracker",
        "next_at",
        "position",
        **_where("state = 'pending'"),
    ),
    Index("followups_leased", "tracker", **_where("state = 'running'")),
    Index("followups_export", "export_id", "tracker"),
)

trackers = Table(
    "trackers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused_by", Text, nullable=False, server_default=""),
    Column("paused_reason", Text, nullable=False, server_default=""),
    Column("paused_at", Float),
    Column("blocked_until", Float, nullable=False, server_default="0"),
    Column("blocked_reason", Text, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("circuit_until", Float, nullable=False, server_default="0"),
    # what the configured rate still lets start, and as of when: for replicas, which share it
    Column("tokens", Float),
    Column("refilled_at", Float, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
)

# What belongs to test IO's side: see `bridge.store.testio`.

connections = Table(
    "connections",
    metadata,
    Column("name", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("remote_id", BigInteger, nullable=False),
    Column("product_ids", Text, nullable=False, server_default="[]"),
    Column("section_ids", Text, nullable=False, server_default="[]"),
    Column("changed_at", Float, nullable=False),
)

pulled = Table(
    "pulled",
    metadata,
    Column("bug_id", BigInteger, primary_key=True, autoincrement=False),
    Column("export_id", Text, nullable=False),
    Column("taken_at", Float, nullable=False),
)

errands = Table(
    "errands",
    metadata,
    Column("position", _Position, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("bug_id", BigInteger, nullable=False),
    Column("export_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("export_id", "kind", name="errands_once"),
    Index("errands_due", "next_at", "position", **_where("state = 'pending'")),
    Index("errands_waiting", "position", **_where("state = 'waiting'")),
)

looks = Table(
    "looks",
    metadata,
    Column("tracker", Text, primary_key=True),
    Column("bug_id", BigInteger, primary_key=True, autoincrement=False),
    Column("export_id", Text, nullable=False),
    Column("looked_at", Float, nullable=False),
    Column("done", Integer, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("connection", Text, nullable=False, server_default=""),
    Index("looks_due", "tracker", "connection", "looked_at", **_where("done = 0")),
)

compatibility = Table("compatibility", metadata, Column("oldest", Text, primary_key=True))
"""One row: `OLDEST` of the newest program that was here."""
