"""Running Alembic's migrations. Imported only when one is due."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from bridge.errors import StoreError

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(connection: Connection, version: str, to: str = "head") -> None:
    """Bring the database from `version` to the newest schema.

    Args:
        connection: In a transaction, which is all or nothing.
        version: The present schema.
        to: The wanted one.

    Raises:
        StoreError: `version` is of a newer program.
    """
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError:
        raise StoreError(
            f"the store is of a newer tracker-bridge (its schema is {version}): install that, or use another store"
        ) from None
