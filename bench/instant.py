"""A tracker that answers at once and remembers when it did; and the plugin for it."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge.web.server import new_event_loop


async def main() -> None:
    """Serve until terminated; each answer takes as many seconds as the argument says."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    numbers, made, moments = itertools.count(1), dict[str, list[str]](), dict[str, float]()

    async def create(request: Request) -> Response:
        marker = json.loads(await request.body())["marker"]
        if seconds:
            await asyncio.sleep(seconds)
        number = str(next(numbers))
        made.setdefault(marker, []).append(number)
        moments.setdefault(marker, time.time())
        return JSONResponse({"id": number}, 201)

    async def look(request: Request) -> Response:
        found = made.get(request.query_params["marker"], [None])
        return JSONResponse({"id": found[0]})

    async def list_moments(_request: Request) -> Response:
        return JSONResponse(moments)

    async def list_made(_request: Request) -> Response:
        return JSONResponse(made)

    async def count(_request: Request) -> Response:
        return JSONResponse({"issues": len(made)})

    routes = [
        Route("/issues", create, methods=["POST"]),
        Route("/issues", look),
        Route("/moments", list_moments),
        Route("/made", list_made),
        Route("/count", count),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes),
        port=0,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    print(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)
    await serving


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
