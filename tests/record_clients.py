"""Records anew what the SDKs of Segment, RudderStack and Jitsu send (`tests/data/clients`).

    python tests/record_clients.py [NAME …]

Runs each against a real server on the loopback and keeps its requests, the key replaced by `{key}`.
"""

from __future__ import annotations

import base64
import gzip
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

import test_compat_segment_browser as pages
from conftest import Lake
from eavesdropper import Exchange
from heard_server import Heard, heard_server
from sites_served import chromium

FOLDER = Path(__file__).parent / "data" / "clients"
SCRIPTS = {
    "segment-python": ("segment_python.py",),
    "segment-python-gzip": ("segment_python.py", "gzip"),
    "segment-node": ("segment_node.mjs",),
    "rudder-python": ("rudder_python.py",),
    "rudder-node": ("rudder_node.mjs",),
    "jitsu-node": ("jitsu_node.mjs",),
}
PAGES = {
    "segment-browser": ("segment", {}),
    "segment-browser-batch": ("segment", {"batch": "1"}),
    "rudder-browser": ("rudder", {}),
    "rudder-browser-beacon": ("rudder", {"beacon": "1"}),
    "jitsu-browser": ("jitsu", {}),
}
KEPT = ("authorization", "content-encoding", "content-type", "anonymousid", "sentat", "x-write-key",
        "user-agent")  # fmt: skip


def fixture(exchange: Exchange, key: str) -> dict[str, object]:
    """One request without its key: in clear, in Basic's base64, and in a packed body."""
    basic = base64.b64encode(f"{key}:".encode()).decode()
    headers = {name: value for name, value in exchange.headers.items() if name in KEPT}
    body = exchange.body
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)  # packed again by whoever reads it
    return {
        "method": exchange.method,
        "path": exchange.path.replace(key, "{key}"),
        "headers": {
            name: value.replace(key, "{key}").replace(basic, "{basic}")
            for name, value in headers.items()
        },
        "body": body.decode().replace(key, "{key}"),
    }


@contextmanager
def fresh(name: str) -> Iterator[Heard]:
    """A server with an empty lake; what it heard is written down."""
    with tempfile.TemporaryDirectory() as folder:
        rings = Path(folder) / "rings"
        rings.mkdir(mode=0o700)
        lake = Lake(Path(folder) / "data-lake", rings)
        with heard_server(lake) as heard:
            yield heard
            heard.heard()
            posts = [each for each in heard.proxy.sendings() if each.method == "POST"]
            found = [fixture(each, heard.key) for each in posts]
        lake.close()
    content = msgspec.json.format(msgspec.json.encode(found), indent=1)
    (FOLDER / f"{name}.json").write_bytes(content + b"\n")
    print(f"{name}: {len(found)} requests")


def main() -> None:
    """Every SDK that is asked for, in a process or in a page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = set(sys.argv[1:] or [*SCRIPTS, *PAGES])
    for name in wanted & SCRIPTS.keys():
        with fresh(name) as heard:
            heard.run(*SCRIPTS[name])
    with chromium() as browser:
        for name in wanted & PAGES.keys():
            sdk, options = PAGES[name]
            with fresh(name) as heard:
                pages.visited(browser, heard, sdk, options)


if __name__ == "__main__":
    main()
