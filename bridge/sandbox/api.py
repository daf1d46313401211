"""The documented calls of test IO's customer API v2, with their errors.

https://guides.test.io/docs/api/connections, /bugs and /products.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge.model import Json
from bridge.sandbox.sender import Sender
from bridge.sandbox.world import STATUSES, Bug, Connection, World

PREFIX = "/customer/v2"
REASONS = ({"key": "known_bug", "name": "Known bug", "default_comment": "Rejected"},)
_PAGE = 25

Handler = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class CustomerApi:
    """test IO's API, as documented.

    Args:
        world: What there is.
        sender: Sends webhooks.
    """

    def __init__(self, world: World, sender: Sender) -> None:
        self._world, self._sender = world, sender

    def routes(self) -> list[Route]:
        """Return the calls."""
        marks = ("accept", "reject", "mark_as_exported", "mark_as_known", "mark_as_fixed")
        calls: list[tuple[str, str, Handler]] = [
            ("POST", "/connections", self.create_connection),
            ("GET", "/connections/{id:int}", self.connection),
            ("PUT", "/connections/{id:int}", self.update_connection),
            ("DELETE", "/connections/{id:int}", self.delete_connection),
            ("GET", "/products", self.products),
            ("GET", "/products/{id:int}", self.product),
            ("GET", "/bugs", self.bugs),
            ("POST", "/bugs", self.search),
            ("GET", "/bugs/reject_reasons", self.reject_reasons),
            ("GET", "/bugs/{id:int}", self.bug),
            *(("PUT", f"/bugs/{{id:int}}/{mark}", getattr(self, mark)) for mark in marks),
        ]
        return [Route(PREFIX + path, self._guarded(call), methods=[method]) for method, path, call in calls]

    def _guarded(self, call: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            path = request.url.path.removeprefix(PREFIX)
            self._world.requests.append(f"{request.method} {path}")
            if request.headers.get("authorization") != f"Token {self._world.options.token}":
                return JSONResponse({"error": "missing or invalid API token"}, 401)
            try:
                return await call(request)
            except Refusal as refusal:
                return JSONResponse({"error": str(refusal)}, refusal.status)

        return answer

    # connections

    async def create_connection(self, request: Request) -> Response:
        """Make a connection."""
        world, given = self._world, await self._given(request)
        self._check(given, url_required=True)
        made = Connection(world.next_connection, given["name"], given["url"])
        self._apply(made, given)
        world.next_connection += 1
        world.connections[made.id] = made
        return JSONResponse({"connection": made.shown()}, 201)

    async def connection(self, request: Request) -> Response:
        """Show a connection."""
        return JSONResponse({"connection": self._connection(request).shown()})

    async def update_connection(self, request: Request) -> Response:
        """Change a connection; its name has to be there."""
        found, given = self._connection(request), await self._given(request)
        self._check(given, url_required=False)
        self._apply(found, given)
        return JSONResponse({"connection": found.shown()})

    async def delete_connection(self, request: Request) -> Response:
        """Delete a connection, and show it once more."""
        found = self._connection(request)
        del self._world.connections[found.id]
        return JSONResponse({"connection": found.shown()})

    async def _given(self, request: Request) -> dict[str, Json]:
        given = await _json(request)
        if self._world.options.form == "wrapped":
            given = given.get("connection")
        if not isinstance(given, dict):
            raise Refusal(422, "connection is missing")
        return given

    def _check(self, given: dict[str, Json], *, url_required: bool) -> None:
        problems = []
        if not isinstance(given.get("name"), str) or not given["name"].strip():
            problems.append("Name can't be blank")
        if url_required or "url" in given:
            schemes = {"https", "http"} if self._world.options.allow_http else {"https"}
            url = given.get("url")
            parts = urlsplit(url) if isinstance(url, str) else None
            if parts is None or parts.scheme not in schemes or not parts.hostname:
                problems.append("Url must be an HTTPS address")
        if "fixed" in given and not isinstance(given["fixed"], bool):
            problems.append("Fixed must be true or false")
        for key, known in (("product_ids", self._world.products), ("section_ids", self._sections())):
            ids = given.get(key, [])
            if not isinstance(ids, list) or any(each not in known for each in ids):
                problems.append(f"{key} has an unknown id")
        if problems:
            raise Refusal(422, ", ".join(problems))

    def _sections(self) -> set[int]:
        return {number for product in self._world.products.values() for number in product.sections}

    @staticmethod
    def _apply(connection: Connection, given: dict[str, Json]) -> None:
        for name in ("name", "url", "fixed", "product_ids", "section_ids"):
            if name in given:
                setattr(connection, name, given[name])

    def _connection(self, request: Request) -> Connection:
        found = self._world.connections.get(request.path_params["id"])
        if found is None:
            raise Refusal(404, "connection not found")
        return found

    # products

    async def products(self, request: Request) -> Response:
        """List products."""
        wanted = _numbers(request.query_params.get("filter[product_ids]", ""))
        world = self._world
        chosen = [each for each in world.products.values() if not wanted or each.id in wanted]
        return JSONResponse({"products": [world.product(each) for each in chosen]})

    async def product(self, request: Request) -> Response:
        """Show a product."""
        found = self._world.products.get(request.path_params["id"])
        if found is None:
            raise Refusal(404, "product not found")
        return JSONResponse({"product": self._world.product(found)})

    # bugs

    async def bugs(self, request: Request) -> Response:
        """List bugs."""
        query, world = request.query_params, self._world
        status = query.get("export_status", "")
        if status and status not in STATUSES:
            raise Refusal(400, "export_status is invalid")
        products = _numbers(query.get("filter_product_ids", ""))
        sections = _numbers(query.get("filter_section_ids", ""))
        cycles = _numbers(query.get("filter_test_cycle_ids", ""))
        chosen = [
            bug
            for bug in world.bugs.values()
            if (not products or bug.product.id in products)
            and (not sections or bug.section in sections)
            and (not cycles or 7000 + bug.product.id in cycles)
            and (not status or bug.export_status == status)
        ]
        return JSONResponse({"bugs": [world.bug(bug) for bug in self._page(chosen, request)]})

    def _page(self, bugs: list[Bug], request: Request) -> list[Bug]:
        options, query = self._world.options, request.query_params
        if options.paging == "pages":
            size = int(query.get("per_page", _PAGE))
            if "page" not in query:
                return bugs[-options.cap :]
            start = (int(query["page"]) - 1) * size
            return bugs[start : start + size]
        return bugs[: options.cap] if options.paging == "capped" else bugs

    async def search(self, request: Request) -> Response:
        """Search by external id: nothing here can set one, so nothing is found."""
        given = await _json(request)
        if not isinstance(given.get("bug"), dict) or "external_idx" not in given["bug"]:
            raise Refusal(422, "bug.external_idx is missing")
        return JSONResponse([])

    async def reject_reasons(self, _request: Request) -> Response:
        """List why bugs can be rejected."""
        return JSONResponse({"reject_reasons": list(REASONS)})

    async def bug(self, request: Request) -> Response:
        """Show a bug."""
        return self._shown(self._bug(request))

    async def accept(self, request: Request) -> Response:
        """Accept a bug; with auto-export on, it is exported."""
        bug = self._marked(request, "accept")
        bug.status = "accepted"
        if self._world.auto_export:
            self._sender.export(bug)
        return self._decided(bug)

    async def reject(self, request: Request) -> Response:
        """Reject a bug."""
        bug, given = self._bug(request), await _json(request)
        for name in ("reason", "comment"):
            if not isinstance(given.get(name), str) or not given[name].strip():
                raise Refusal(422, f"{name} can't be blank")
        if given["reason"] not in {reason["key"] for reason in REASONS}:
            raise Refusal(422, "reason is invalid")
        bug.marks.append("reject")
        bug.status = "rejected"
        return self._decided(bug)

    async def mark_as_exported(self, request: Request) -> Response:
        """Mark a bug as exported."""
        bug = self._marked(request, "mark_as_exported")
        bug.export_status, bug.exported_at = "exported", datetime.now(UTC)
        return self._shown(bug)

    async def mark_as_known(self, request: Request) -> Response:
        """Mark a bug as known."""
        bug = self._marked(request, "mark_as_known")
        bug.known = True
        return self._shown(bug)

    async def mark_as_fixed(self, request: Request) -> Response:
        """Mark a bug as fixed: it leaves the list of known ones."""
        bug = self._marked(request, "mark_as_fixed")
        bug.known, bug.fixed = False, True
        return self._shown(bug)

    def _bug(self, request: Request) -> Bug:
        found = self._world.bugs.get(request.path_params["id"])
        if found is None:
            raise Refusal(404, "bug not found")
        return found

    def _marked(self, request: Request, mark: str) -> Bug:
        bug = self._bug(request)
        bug.marks.append(mark)
        return bug

    def _shown(self, bug: Bug) -> Response:
        return JSONResponse({"bug": self._world.bug(bug)})

    def _decided(self, bug: Bug) -> Response:
        return JSONResponse(
            {"bug": {"id": bug.id, "title": bug.title, "severity": bug.severity, "status": bug.status}}
        )


async def _json(request: Request) -> Json:
    try:
        given = json.loads(await request.body())
    except ValueError:
        raise Refusal(400, "the body is no JSON") from None
    if not isinstance(given, dict):
        raise Refusal(400, "the body is no object")
    return given


def _numbers(text: str) -> set[int]:
    return {int(part) for part in text.split(",") if part.strip().isdigit()}
