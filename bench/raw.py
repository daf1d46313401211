"""What the machine can do: a Starlette endpoint that only reads the body, on the daemon's own server."""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge.web.server import new_event_loop


async def accept(request: Request) -> Response:
    """Read the body, say 202."""
    await request.body()
    return JSONResponse({"export": "", "deliveries": []}, 202)


async def main() -> None:
    """Serve until terminated."""
    app = Starlette(routes=[Route("/export/{connection}/{secret}", accept, methods=["POST"])])
    config = uvicorn.Config(
        app,
        port=0,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await serving


with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
