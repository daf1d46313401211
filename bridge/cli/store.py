"""`tracker-bridge store`: move the store into another database, and back it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.daemon import client_config
from bridge.cli.ending import Failed
from bridge.cli.options import ConfigOption, JsonOption
from bridge.cli.show import console, many, print_json
from bridge.store.engine import is_shared, parse

_TOLD_ROWS = ("exports", "deliveries", "issues")

FromArgument = Annotated[
    str, typer.Argument(metavar="FROM", help="the store to copy: a SQLite file, or its address (sqlite:///FILE)")
]
ToArgument = Annotated[
    str, typer.Argument(metavar="TO", help="an empty database: postgresql://USER:PASSWORD@HOST/NAME")
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="the file to make; an older one is replaced")]


def copy_store(source: FromArgument, target: ToArgument, as_json: JsonOption = False) -> None:
    """Copy a store into an empty database, compare every row, and only then commit.

    Stop the daemon first. Broken off, it leaves the target empty, and can be called again.
    """
    from bridge.store.copying import copy  # noqa: PLC0415 - only here

    with _progress(quiet=as_json) as advance:
        counts = copy(_address(source), _address(target), advance)
    if as_json:
        print_json({"copied": counts})
        return
    told = ", ".join(many(counts[name], name.removesuffix("s")) for name in _TOLD_ROWS)
    typer.echo(f"Copied and compared: {told}.")
    typer.echo("Now set url in [store] of the configuration, and start the daemon.")


def backup_store(file: FileArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Copy the store into a file, as it is at one moment. The daemon may run.

    What PostgreSQL holds is backed up with its own tool, pg_dump.
    """
    from bridge.store.sqlite import backup  # noqa: PLC0415 - only here

    settings = client_config(config, store=True).store
    url = parse(settings.url)
    if is_shared(url):
        raise Failed(
            f"the store is in PostgreSQL: back it up with its own tool, "
            f"pg_dump --format=custom --file={file} {settings.shown}"
        )
    source = Path(str(url.database))
    if source.absolute() == file.absolute():
        raise Failed("that file is the store itself: name another one")
    with _progress(quiet=as_json) as advance:
        backup(source, file, lambda done, total: advance("pages", done, total))
    size = file.stat().st_size
    print_json({"file": str(file), "bytes": size}) if as_json else typer.echo(f"{file}: {size:,} bytes.")


def _address(given: str) -> str:
    return given if "://" in given else f"sqlite:///{given}"


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show how far it is, on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    out = console(error=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, disable=quiet or not out.is_terminal) as progress:
        bars = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done, total=total)

        yield advance


app = typer.Typer(no_args_is_help=True, help="The store: move it into another database, and back it up.")
app.command("copy")(copy_store)
app.command("backup")(backup_store)
