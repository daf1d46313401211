"""`tracker-bridge connections`: test IO's Custom Bug Export Connections, from the configuration or by hand."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.daemon import Refused, daemon
from bridge.cli.ending import Ending, Failed
from bridge.cli.options import ConfigOption, JsonOption, YesOption
from bridge.cli.rotation import finish, rotate_secret
from bridge.cli.show import console, line, many, plain, print_json, table

REMOTE = "/api/test-io/connections"

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="the connection, as the configuration names it")]
IdArgument = Annotated[int, typer.Argument(metavar="ID", min=1, help="test IO's id of the connection")]
AccountOption = Annotated[
    str,
    typer.Option(
        "--account-of", metavar="NAME", help="a connection of the account, where there are several accounts"
    ),
]
UrlOption = Annotated[str, typer.Option("--url", metavar="URL", help="where test IO posts exports")]
FixedOption = Annotated[bool | None, typer.Option("--fixed/--not-fixed", help="test IO's `fixed`")]
ProductOption = Annotated[
    list[int] | None, typer.Option("--product", metavar="ID", help="a product of test IO's; may be repeated")
]
SectionOption = Annotated[
    list[int] | None, typer.Option("--section", metavar="ID", help="a section of test IO's; may be repeated")
]


def sync(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="connections; by default all")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="delete what the bridge made and no longer finds in the configuration")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show what is different")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make test IO's side what the configuration says: shows the difference first, and asks."""
    wish = {"names": list(names or ()), "prune": prune}
    with daemon(config) as running:
        plan = running.post("/api/connections/sync", {**wish, "dry_run": True}, patient=True)
        todo = [each for each in plan["connections"] if each["action"] not in {"keep", "left"}]
        if dry_run and as_json:
            print_json(plan)
            return
        if not as_json:
            _say_plan(plan["connections"])
        if dry_run or not todo:
            if as_json:
                print_json(plan)
            return
        _ask(len(todo), yes=yes)
        done = running.post("/api/connections/sync", {**wish, "dry_run": False}, patient=True)
    if as_json:
        print_json(done)
    else:
        typer.echo("Done. `tracker-bridge connections list` shows the ids.")


def show_all(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the connections of the configuration, and what the bridge made of each at test IO."""
    with daemon(config) as running:
        answer = running.get("/api/connections")
    if as_json:
        print_json(answer)
        return
    listing = table("connection", "at test IO", "products", "sections", "")
    for row in answer["connections"]:
        note = "" if row["configured"] else "not in the configuration any more: `connections sync --prune`"
        note = note or ("" if row["sync"] else "not kept at test IO")
        products, sections = (", ".join(map(str, row[part])) for part in ("products", "sections"))
        listing.add_row(plain(row["name"]), str(row["id"] or "not made"), products, sections, note)
    console().print(listing)
    for row in answer["errands"]:
        error = f": {line(row['error'])}" if row["error"] and row["state"] != "delivered" else ""
        hint = "; `connections retry` tries again" if row["state"] == "dead" else ""
        console().print(f"{row['count']} {row['kind']} {row['state']}{error}{hint}")


def retry(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Give everything that test IO refused (marks, lookups) another chance."""
    with daemon(config) as running:
        answer = running.post("/api/errands/revive")
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{many(answer['revived'], 'errand')} to be done again.")


def show(
    connection_id: IdArgument,
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show a connection as test IO has it, without its secret."""
    with daemon(config) as running:
        answer = running.get(f"{REMOTE}/{connection_id}", connection=account)
    _say_remote(answer, as_json=as_json)


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="its name at test IO")],
    url: UrlOption = "",
    fixed: FixedOption = None,
    product: ProductOption = None,
    section: SectionOption = None,
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a connection at test IO by hand. `connections sync` makes those of the configuration."""
    if not url:
        raise Failed("say where test IO posts exports: --url", Ending.USAGE)
    body = _body(name, url, fixed, product, section)
    with daemon(config) as running:
        answer = running.post(f"{REMOTE}?connection={account}", body)
    _say_remote(answer, as_json=as_json)


def update(
    connection_id: IdArgument,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="its name; test IO wants it each time")] = "",
    url: UrlOption = "",
    fixed: FixedOption = None,
    product: ProductOption = None,
    section: SectionOption = None,
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change a connection at test IO by hand. What is not said stays."""
    with daemon(config) as running:
        path = f"{REMOTE}/{connection_id}"
        name = name or running.get(path, connection=account)["name"]
        answer = running.put(f"{path}?connection={account}", _body(name, url, fixed, product, section))
    _say_remote(answer, as_json=as_json)


def delete(
    connection_id: IdArgument,
    account: AccountOption = "",
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Delete a connection at test IO by hand."""
    with daemon(config) as running:
        found = running.get(f"{REMOTE}/{connection_id}", connection=account)
        if not as_json:
            typer.echo(f"{connection_id}: {line(found['name'])}")
        _ask(1, yes=yes)
        answer = running.delete(f"{REMOTE}/{connection_id}?connection={account}")
    if as_json:
        print_json(answer)


def rotate(
    name: NameArgument,
    end: Annotated[
        bool, typer.Option("--finish", help="forget the secret before: test IO has the new one")
    ] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
) -> None:
    """Give a connection a new secret without losing an export: the one before stays valid meanwhile.

    Writes the new secret into the configuration (or the file that it names), with the old one as previous_secret,
    lets the daemon take it over, and tells test IO the new address. `--finish` removes the old one later.
    """
    with daemon(config) as running:
        file = running.get("/api/status")["config"]
        if file is None:
            raise Failed("there is no configuration file to write a new secret into", Ending.USAGE)
        _ask(1, yes=yes)
        if end:
            typer.echo(finish(Path(file), name))
            running.post("/api/reload")
            return
        typer.echo(rotate_secret(Path(file), name))
        running.post("/api/reload")
        try:
            running.post("/api/connections/sync", {"names": [name]}, patient=True)
        except Refused as error:
            raise Failed(
                f"test IO was not told, and posts with the secret before, which stays valid: {error}; "
                f"say `tracker-bridge connections sync {name}` later"
            ) from None
    typer.echo(f"test IO has the new address. Later: `tracker-bridge connections rotate {name} --finish`")


def _body(
    name: str, url: str, fixed: bool | None, product: Sequence[int] | None, section: Sequence[int] | None
) -> dict[str, Any]:
    parts = {
        "name": name,
        "url": url or None,
        "fixed": fixed,
        "product_ids": list(product) if product else None,
        "section_ids": list(section) if section else None,
    }
    return {key: value for key, value in parts.items() if value is not None}


def _say_plan(changes: Sequence[Mapping[str, Any]]) -> None:
    if not changes:
        typer.echo("There is nothing to keep at test IO: no connection has a token, or `sync` is off.")
        return
    listing = table("connection", "at test IO", "", "difference")
    for each in changes:
        difference = line("; ".join(each["differences"]))
        if each["action"] == "left" and not difference:
            difference = "not in the configuration any more: --prune deletes it"
        listing.add_row(plain(each["name"]), str(each["id"] or ""), each["action"], difference)
    console().print(listing)


def _say_remote(remote: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(remote)
        return
    listing = table("", "")
    for name, value in remote.items():
        shown = (
            "test IO does not say" if value is None else ", ".join(map(str, value)) if _is_list(value) else value
        )
        listing.add_row(name, plain(shown))
    console().print(listing)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _ask(count: int, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failed("nobody can be asked here: say --yes to do it, or --dry-run to look", Ending.USAGE)
    if not typer.confirm("Do it?" if count == 1 else f"Do these {count}?"):
        raise Failed("nothing was changed")


app = typer.Typer(no_args_is_help=True, help="test IO's connections: from the configuration, or by hand.")
app.command("sync")(sync)
app.command("list")(show_all)
app.command("show")(show)
app.command("create")(create)
app.command("update")(update)
app.command("delete")(delete)
app.command("rotate")(rotate)
app.command("retry")(retry)
