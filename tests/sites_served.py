"""Pages of somebody else's, on an origin of their own, and the browser that visits them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHROMIUM = Path(os.environ.get("LAKEWARD_CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip
PATIENCE_MS = 120_000
KINDS = {".js": "text/javascript", ".css": "text/css", ".json": "application/json"}


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, and patience: on a busy machine a page may take longer than Playwright allows."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        opened.on("context", lambda context: context.set_default_timeout(PATIENCE_MS))
        yield opened
        opened.close()


@contextmanager
def site(
    files: Mapping[str, bytes | Path], headers: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of a site with these files by path; a folder is served below its path."""

    class Page(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            content = _found(files, path)
            self.send_response(404 if content is None else 200)
            self.send_header("content-type", KINDS.get(Path(path).suffix, "text/html"))
            self.send_header("content-length", str(len(content or b"")))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(120)


def _found(files: Mapping[str, bytes | Path], path: str) -> bytes | None:
    for name, content in files.items():
        if isinstance(content, bytes):
            if path == name:
                return content
        elif content.is_dir():
            inside = (content / path.removeprefix(name).lstrip("/")).resolve()
            if (
                path.startswith(name)
                and inside.is_relative_to(content.resolve())
                and inside.is_file()
            ):
                return inside.read_bytes()
        elif path == name:
            return content.read_bytes()
    return None
