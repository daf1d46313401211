"""The schema: what the program makes is what the migrations make, and a newer one is refused."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bridge.errors import StoreError
from bridge.store import Store
from bridge.store.engine import open_engine
from bridge.store.migrate import SCRIPTS, migrate
from bridge.store.schema import HEAD, metadata


@pytest.fixture
def migrated(file):
    """A database that the migrations made out of nothing."""
    engine = open_engine(f"sqlite:///{file}", writes=True)
    with engine.begin() as connection:
        migrate(connection, "nothing")
    yield engine
    engine.dispose()


def open_and_close(file: Path) -> None:
    store = Store(f"sqlite:///{file}")
    store.open()
    asyncio.run(store.close())


def columns_of(file: Path) -> dict[str, list[tuple]]:
    """Every table with its columns: name, type, whether it may be null, default, key."""
    with closing(sqlite3.connect(file)) as connection:
        return {
            table: sorted(row[1:] for row in connection.execute(f"PRAGMA table_info({table})"))
            for table in metadata.tables
        }


def sql_of(file: Path) -> dict[str, str]:
    """Every index by name, as SQLite keeps it; without white space."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        return {name: "".join(sql.split()) for name, sql in rows}


def test_the_migrations_make_the_tables_that_the_program_knows(migrated):
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.usefixtures("migrated")
def test_and_the_same_defaults_and_indexes_conditions_included(file, tmp_path):
    made = tmp_path / "made.db"
    open_and_close(made)

    assert columns_of(file) == columns_of(made)
    assert sql_of(file) == sql_of(made)
    assert "WHEREstate='pending'" in sql_of(file)["deliveries_due"]


def test_the_newest_migration_is_the_one_that_the_program_names(migrated):
    assert ScriptDirectory(SCRIPTS).get_heads() == [HEAD]
    with migrated.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == HEAD


def test_a_database_that_migrations_made_can_be_opened(migrated, file):
    migrated.dispose()
    open_and_close(file)


def test_what_an_interrupted_start_left_is_made_whole(file):
    file.touch()
    open_and_close(file)

    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]


def test_a_store_of_a_newer_program_is_refused_and_left_alone(file):
    open_and_close(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
        connection.execute("UPDATE compatibility SET oldest = '0099'")

    with pytest.raises(StoreError, match=r"of a newer tracker-bridge \(its schema is 0099\): install that"):
        open_and_close(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0099",)]


def test_neither_alembic_is_imported_before_a_migration_is_due_nor_the_other_database_s_dialect(tmp_path):
    program = (
        "import sys\n"
        "from bridge.store import Store\n"
        f"url = 'sqlite:///{tmp_path / 'bridge.db'}'\n"
        "for start in ('first', 'second'):\n"
        "    store = Store(url)\n"
        "    store.open()\n"
        "    store._lock.give_back()\n"
        "    assert 'alembic' not in sys.modules, start\n"
        "    assert 'sqlalchemy.dialects.postgresql' not in sys.modules, start\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.anyio
@pytest.mark.usefixtures("store")
async def test_a_second_process_on_the_same_store_is_refused_in_words(file):
    program = f"from bridge.store import Store; Store('sqlite:///{file}').open()"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "StoreError: another tracker-bridge is using bridge.db: stop it" in ended.stderr


def test_without_postgresql_s_driver_its_address_is_answered_with_what_to_install():
    program = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"  # as where it is not installed
        "from bridge.store import Store\n"
        "Store('postgresql://localhost/bridge')\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "StoreError: PostgreSQL needs its driver: pip install 'tracker-bridge[postgresql]'" in ended.stderr
