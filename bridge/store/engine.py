"""Opening the database, whichever it is: made whole when it is new, migrated when that is due."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from bridge.errors import StoreError
from bridge.store import postgresql, sqlite
from bridge.store.schema import HEAD, OLDEST, metadata


def parse(url: str) -> URL:
    """Return a store's address.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.

    Raises:
        StoreError: It is none that the store can use.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the store's address cannot be read: write sqlite:///FILE or postgresql://HOST/NAME"
        ) from None
    backend = parsed.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql")
    if backend != "sqlite":
        raise StoreError(f"the store cannot use {backend}: write sqlite:///FILE or postgresql://HOST/NAME")
    if not parsed.database or parsed.database == ":memory:":
        raise StoreError("the store needs a file: write sqlite:///FILE")
    return parsed


def is_shared(url: URL) -> bool:
    """Whether several processes may use this store at once."""
    return url.get_backend_name() == "postgresql"


def open_engine(url: str, *, writes: bool) -> Engine:
    """Return an engine for `url`.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
        writes: Whether its transactions write; SQLite wants to know when they begin.

    Raises:
        StoreError: The URL is none that the store can use.
    """
    parsed = parse(url)
    return postgresql.open_engine(parsed) if is_shared(parsed) else sqlite.open_engine(parsed, writes=writes)


def lock_of(url: URL) -> sqlite.ProcessLock | None:
    """Return what keeps other processes away; None where several may share the store."""
    return None if is_shared(url) else sqlite.ProcessLock(Path(f"{url.database}.lock"))


def prepare(engine: Engine) -> None:
    """Bring the database to this program's schema: made whole when it is new, migrated when it is older.

    One of a newer program is left as it is, and used, where that program says that this one still can: while
    replicas are replaced one after the other, old and new ones work side by side.

    Raises:
        StoreError: It is of a newer program, or cannot be opened.
    """
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                postgresql.lock_schema(connection)
            if not inspect(connection).has_table("alembic_version"):
                _make(connection)
                return
            version = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
            if version != HEAD and not _is_newer_but_fits(connection, version):
                from bridge.store.migrate import migrate  # noqa: PLC0415 - Alembic only when a migration is due

                migrate(connection, version)
    except DBAPIError as error:
        raise StoreError(f"the store cannot be opened: {postgresql.words_of(error)}") from None


def _make(connection: Connection) -> None:
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
    connection.execute(text("INSERT INTO compatibility VALUES (:oldest)"), {"oldest": OLDEST})


def _is_newer_but_fits(connection: Connection, version: str) -> bool:
    """Whether the schema is a newer program's that says: programs of this one's schema can use it as well."""
    if version < HEAD or not inspect(connection).has_table("compatibility"):
        return False
    return str(connection.execute(text("SELECT oldest FROM compatibility")).scalar_one()) <= HEAD
