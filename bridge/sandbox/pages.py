"""The pages for people: products and bugs with a button each, and the log of what was sent."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.sandbox.sender import Sender
from bridge.sandbox.world import Bug, World, moment

FILES = {
    ".png": ("screenshot.png", "image/png"),
    ".mp4": ("recording.mp4", "video/mp4"),
    ".log": ("console.log", "text/plain; charset=utf-8"),
}


class Pages:
    """test IO's customer interface, as far as exporting needs it.

    Args:
        world: What there is.
        sender: Sends webhooks.
    """

    def __init__(self, world: World, sender: Sender) -> None:
        self._world, self._sender = world, sender
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("bridge.sandbox"), autoescape=True, undefined=jinja2.StrictUndefined
        )

    def routes(self) -> list[Route]:
        """Return the pages and what their buttons do."""
        return [
            Route("/", self.home),
            Route("/log", self.log),
            Route("/state", self.state),
            Route("/bugs/{id:int}", self.bug),
            Route("/bugs/{id:int}/export", self.export, methods=["POST"]),
            Route("/auto-export", self.auto_export, methods=["POST"]),
            Route("/attachments/{name}", self.file),
        ]

    async def home(self, _request: Request) -> Response:
        """Show products and bugs."""
        return self._page("home.html", world=self._world)

    async def bug(self, request: Request) -> Response:
        """Show a bug: where the link in an issue leads."""
        bug = self._world.bugs.get(request.path_params["id"])
        return self._page("home.html", world=self._world, only=bug) if bug else Response(status_code=404)

    async def log(self, _request: Request) -> Response:
        """Show what was sent, newest first."""
        return self._page("log.html", log=reversed(self._world.log), busy=self._sender.busy)

    async def state(self, _request: Request) -> Response:
        """Show everything as JSON, for programs."""
        world = self._world
        return JSONResponse(
            {
                "busy": self._sender.busy,
                "auto_export": world.auto_export,
                "connections": [asdict(each) for each in world.connections.values()],
                "bugs": [_state_of(bug) for bug in world.bugs.values()],
                "log": [asdict(sent) | {"at": moment(sent.at)} for sent in world.log],
                "requests": world.requests,
            }
        )

    async def export(self, request: Request) -> Response:
        """Do what a click on Export or Re-export does."""
        bug = self._world.bugs.get(request.path_params["id"])
        if bug is None:
            return Response(status_code=404)
        self._sender.export(bug)
        return RedirectResponse("/", 303)

    async def auto_export(self, _request: Request) -> Response:
        """Turn auto-export on or off."""
        self._world.auto_export = not self._world.auto_export
        return RedirectResponse("/", 303)

    async def file(self, request: Request) -> Response:
        """Serve an attachment: any name that ends like one."""
        found = FILES.get(PurePosixPath(request.path_params["name"]).suffix)
        if found is None:
            return Response(status_code=404)
        content = (files("bridge.sandbox") / "files" / found[0]).read_bytes()
        return Response(content, media_type=found[1])

    def _page(self, name: str, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(name).render({"only": None} | values))


def _state_of(bug: Bug) -> dict[str, Any]:
    parts = ("id", "title", "status", "known", "fixed", "export_status", "exports", "marks")
    return {part: getattr(bug, part) for part in parts} | {"product": bug.product.id, "section": bug.section}
