"""`tracker-bridge preview`: exactly what would be sent where. Sends nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from bridge.app import preview as previews_of
from bridge.cli.ending import Ending, Failed
from bridge.cli.given import chosen, read_payload, read_setup, with_trackers
from bridge.cli.options import ConfigOption, JsonOption
from bridge.cli.show import console, many, print_json
from bridge.config import Config
from bridge.dispatch import Tracking
from bridge.model import Json
from bridge.payload import NotJson, PayloadError, event_of, parse

FileArgument = Annotated[
    str,
    typer.Argument(metavar="[FILE]", help="a payload; - for standard input; by default test IO's documented one"),
]
ConnectionOption = Annotated[
    str, typer.Option("--connection", metavar="NAME", help="the connection it comes in by; by default the first")
]
_LINE = 100
"""Characters of JSON that stay on one line."""

TrackersOption = Annotated[
    list[str] | None,
    typer.Option("--tracker", metavar="NAME", help="show this tracker, whatever the routes say; may be repeated"),
]


def preview(
    file: FileArgument = "",
    tracker: TrackersOption = None,
    connection: ConnectionOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show exactly what would be sent where, with lengths and what would be lost. Sends nothing."""
    body, setup = read_payload(file), read_setup(config)
    name = connection_of(setup.config, connection)
    event = _event(body)

    async def work(trackings: Mapping[str, Tracking]) -> list[dict[str, Json]]:
        names = chosen(tracker, trackings) if tracker else []
        shown = previews_of(setup, trackings, body, name, names, datetime.now(UTC))
        return [one | _lengths(one, trackings[one["tracker"]]) for one in shown]

    try:
        shown = with_trackers(setup, work)
    except PayloadError as error:
        raise Failed("the export would be refused, and kept as rejected", problems=error.problems) from None
    if as_json:
        print_json({"event": event, "connection": name, "previews": shown})
    else:
        _print(console(), event, shown)


def connection_of(config: Config, given: str) -> str:
    """Return the connection that is meant: the given one, else the first.

    Raises:
        Failed: There is none of that name, or none at all.
    """
    if given and given not in config.connections:
        raise Failed(f"there is no connection {given!r}; there are: {', '.join(config.connections) or 'none'}")
    if not config.connections:
        raise Failed("there is no connection: add [connections.NAME] to the configuration", Ending.USAGE)
    return given or next(iter(config.connections))


def _event(body: bytes) -> str:
    try:
        return event_of(parse(body))
    except PayloadError as error:
        raise Failed("the export would be refused, and kept as rejected", problems=error.problems) from None
    except NotJson as error:
        raise Failed(f"the export would be refused, and kept as rejected: {error}") from None


def _lengths(shown: Mapping[str, Json], tracking: Tracking) -> dict[str, Json]:
    from bridge.mapping.text import measure  # noqa: PLC0415

    tracker, body = tracking.tracker, shown["body"]
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return {
        "lengths": {
            "unit": tracker.unit.value,
            "title": measure(str(shown["title"]), tracker.unit),
            "title_limit": tracker.title_limit,
            "body": measure(text, tracker.unit),
            "body_limit": tracker.body_limit,
        }
    }


def _print(out: Console, event: str, shown: list[dict[str, Json]]) -> None:
    if not shown:
        why = "no route takes it: it would be kept, and shown as unrouted"
        out.print(why if event == "bug.exported" else f"{event!r} is ignored: it would be kept, and sent nowhere")
    for one in shown:
        _print_one(out, one)


def _print_one(out: Console, shown: Mapping[str, Any]) -> None:
    lengths = shown["lengths"]
    heading = Text(f"{shown['tracker']} ", "bold").append(f"({shown['type']})", "not bold dim")
    out.print(Rule(heading, align="left", style="dim"))
    routed = f"again: {shown['on_reexport']}" if shown["routed"] else "no route sends it there"
    _line(out, "route", routed)
    _line(out, "title", shown["title"], _of(lengths["title"], lengths["title_limit"], lengths["unit"]))
    for warning in (*shown["lost"], *shown["warnings"]):
        _line(out, "lost", Text(warning, "yellow"))
    for attachment in shown["attachments"]:
        _line(out, "file", attachment["url"], attachment["type"])
    _line(out, "fields", _fields(shown))
    _line(out, "body", shown["markup"], _of(lengths["body"], lengths["body_limit"], lengths["unit"]))
    body = shown["body"]
    out.print()
    out.print(Text(body if isinstance(body, str) else _json(body)), soft_wrap=True)
    out.print()


def _line(out: Console, name: str, value: str | Text, note: str = "") -> None:
    words = value if isinstance(value, Text) else Text(value)
    out.print(Text.assemble((f"{name:<8}", "dim"), words, (f"  {note}" if note else "", "dim")), soft_wrap=True)


def _of(length: int, limit: int | None, unit: str) -> str:
    return f"{length} of {limit} {unit}" if limit else many(length, unit.removesuffix("s"))


def _fields(shown: Mapping[str, Any]) -> str:
    """Return what is sent besides title and body, as the tracker gets it."""
    left = _without(shown["request"], [shown["title"], shown["body"]])
    line = json.dumps(left, ensure_ascii=False, default=str)
    return "none" if not left else line if len(line) <= _LINE else _json(left)


def _without(value: Json, known: list[Json]) -> Json:
    """Return a request without what is shown elsewhere, and without what is empty."""
    body = known[-1].strip("\n") if isinstance(known[-1], str) else None
    if value in known or (body and isinstance(value, str) and body in value):
        return None
    if isinstance(value, dict):
        kept = {name: _without(item, known) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, "", [], {}, ())}
    return value


def _json(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
