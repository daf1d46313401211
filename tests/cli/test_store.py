"""`store`: moved into PostgreSQL, and backed up while the daemon runs."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from bridge.store import Store
from tests.store.conftest import new_export


def count(file, table):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


class TestBackup:
    def test_the_file_holds_what_was_written_down_until_then(self, run, running):
        for bug in range(20):
            running.export(bug)

        ended = run("store", "backup", "copy.db")

        assert ended.code == 0, ended.error
        assert ended.out.startswith("copy.db: ")
        assert count(running.folder / "copy.db", "exports") == 20

    def test_the_copy_is_a_whole_store_by_itself(self, run, running):
        running.export(7)
        run("store", "backup", "copy.db")
        running.export(8)

        store = Store(f"sqlite:///{running.folder}/copy.db")
        store.open()
        asyncio.run(store.close())
        assert count(running.folder / "copy.db", "exports") == 1

    def test_an_older_one_is_replaced_and_only_its_owner_may_read_it(self, run, running):
        file = running.folder / "copy.db"
        file.write_text("older")

        assert run("store", "backup", "copy.db", "--json").json == {
            "file": "copy.db", "bytes": file.stat().st_size,
        }  # fmt: skip
        assert file.stat().st_mode & 0o777 == 0o600
        assert [one.name for one in running.folder.glob("*.unfinished")] == []

    def test_a_folder_that_is_not_there_is_said(self, run, running):
        ended = run("store", "backup", "nowhere/copy.db")

        assert ended.code == 1
        assert "the store cannot be copied to nowhere/copy.db" in ended.error

    def test_without_a_store_there_is_nothing_to_back_up(self, run, house):
        ended = run("store", "backup", "copy.db")

        assert ended.code == 1
        assert "there is no store at" in ended.error
        assert not (house.folder / "copy.db").exists()

    def test_the_store_itself_is_not_overwritten(self, run, running):
        ended = run("store", "backup", "bridge.db")

        assert ended.code == 1
        assert "that file is the store itself" in ended.error

    def test_for_postgresql_it_says_what_to_use_and_no_password(self, run, house):
        house.config["store"] = {"url": "postgresql://bridge:very-secret@db.example/bridge"}
        house.write()

        ended = run("store", "backup", "copy.dump")

        assert ended.code == 1
        assert "pg_dump --format=custom --file=copy.dump postgresql://bridge@db.example/bridge" in ended.error
        assert "very-secret" not in ended.error


class TestCopy:
    def test_it_is_copied_and_said(self, run, house, databases):
        with_store(house)

        ended = run("store", "copy", "bridge.db", databases.new())

        assert ended.code == 0, ended.error
        assert ended.out.startswith("Copied and compared: 2 exports, 4 deliveries, 0 issues.")

    def test_as_json_it_is_the_count_of_each_table(self, run, house, databases):
        with_store(house)

        copied = run("store", "copy", "bridge.db", databases.new(), "--json").json["copied"]

        assert (copied["exports"], copied["deliveries"]) == (2, 4)

    def test_while_the_daemon_runs_it_is_refused(self, run, running, databases):
        ended = run("store", "copy", "bridge.db", databases.new())

        assert ended.code == 1
        assert "another tracker-bridge is using bridge.db: stop it" in ended.error

    def test_no_error_shows_the_password(self, run, house):
        with_store(house)

        ended = run("store", "copy", "bridge.db", "postgresql://bridge:very-secret@127.0.0.1:1/bridge")

        assert ended.code == 1
        assert "the store cannot be opened" in ended.error
        assert "very-secret" not in ended.out + ended.error


def with_store(house):
    """Write two exports down."""

    async def fill():
        store = Store(f"sqlite:///{house.folder}/bridge.db")
        store.open()
        for bug in range(2):
            await store.accept(new_export(f"e{bug}", bug, "web", "app"))
        await store.close()

    asyncio.run(fill())
