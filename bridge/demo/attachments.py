"""test IO's files, from this machine: a picture, a video and a log under any name that ends like one."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

FILES = {
    ".png": ("screenshot.png", "image/png"),
    ".mp4": ("recording.mp4", "video/mp4"),
    ".log": ("console.log", "text/plain; charset=utf-8"),
}


class AttachmentServer:
    """Serves the demo's attachments on any free port of 127.0.0.1, in a thread, as a context manager."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = FILES.get(PurePosixPath(self.path).suffix)
        if found is None:
            self.send_error(404)
            return
        name, kind = found
        content = (files("bridge.demo") / "files" / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: what becomes of a file is shown with its export."""
