"""`tracker-bridge sandbox`: a local test IO."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Annotated

import typer

from bridge.sandbox import Options, World, serve
from bridge.sandbox.options import Form, Paging

_DEFAULT = Options()


def sandbox(
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="where it listens")] = _DEFAULT.port,
    token: Annotated[str, typer.Option(metavar="TEXT", help="the API token it wants")] = _DEFAULT.token,
    products: Annotated[int, typer.Option(metavar="N", min=1, help="invented products")] = _DEFAULT.products,
    bugs: Annotated[int, typer.Option(metavar="N", min=0, help="invented bugs")] = _DEFAULT.bugs,
    seed: Annotated[int, typer.Option(metavar="N", help="of everything invented, and of the faults")] = 1,
    auto_export: Annotated[bool, typer.Option("--auto-export", help="export what is accepted")] = False,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="also post to plain HTTP; test IO wants HTTPS")
    ] = False,
    drop: Annotated[
        float, typer.Option(metavar="PART", min=0, max=1, help="part of the webhooks never sent: 0 to 1")
    ] = 0.0,
    double: Annotated[
        float, typer.Option(metavar="PART", min=0, max=1, help="part of the webhooks sent twice: 0 to 1")
    ] = 0.0,
    late: Annotated[
        float, typer.Option(metavar="PART", min=0, max=1, help="part of the webhooks sent late: 0 to 1")
    ] = 0.0,
    shuffle: Annotated[
        float, typer.Option(metavar="PART", min=0, max=1, help="part of the webhooks others overtake: 0 to 1")
    ] = 0.0,
    late_by: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="how late, at the most")
    ] = _DEFAULT.late_by,
    retries: Annotated[
        int, typer.Option(metavar="N", min=0, help="how often it sends again what was not answered with 2xx")
    ] = _DEFAULT.retries,
    retry_wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="before the first time; then twice as long each time")
    ] = _DEFAULT.retry_wait,
    answer_marks_exported: Annotated[
        bool, typer.Option("--answer-marks-exported", help="a 2xx marks the bug exported; not documented")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="bugs have all that test IO's Java client knows; not documented")
    ] = False,
    paging: Annotated[
        str, typer.Option(metavar="HOW", help="lists of bugs: none, as documented; pages; capped")
    ] = "none",
    form: Annotated[
        str, typer.Option(metavar="FORM", help="bodies of connections: flat, as documented; wrapped")
    ] = "flat",
) -> None:
    """Play test IO on this machine: its API, a page with Export buttons, and the webhooks.

    It keeps to what test IO documents; what is not documented is an option. Put what it prints into the
    configuration; then `tracker-bridge connections sync`, and click Export on its page.
    """
    options = Options(
        port=port, token=token, products=products, bugs=bugs, seed=seed, auto_export=auto_export,
        allow_http=allow_http, drop=drop, double=double, late=late, shuffle=shuffle, late_by=late_by,
        retries=retries, retry_wait=retry_wait, answer_marks_exported=answer_marks_exported, full=full,
        paging=_paging(paging), form=_form(form),
    )  # fmt: skip
    asyncio.run(_serve(options))


def _paging(word: str) -> Paging:
    match word:
        case "none" | "pages" | "capped":
            return word
    raise typer.BadParameter(f"{word!r}: write none, pages or capped", param_hint="--paging")


def _form(word: str) -> Form:
    match word:
        case "flat" | "wrapped":
            return word
    raise typer.BadParameter(f"{word!r}: write flat or wrapped", param_hint="--form")


async def _serve(options: Options) -> None:
    serving = asyncio.ensure_future(serve(options, on_ready=_say))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _say(world: World) -> None:
    typer.echo(f"The sandbox plays test IO at {world.url}; in config.toml:")
    typer.echo(f'\n  [testio]\n  url = "{world.url}/customer/v2"\n  token = "{world.options.token}"\n')
    typer.echo("Ctrl-C ends it.")
