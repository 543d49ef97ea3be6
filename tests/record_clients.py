"""Records anew what the SDKs of Segment, RudderStack and Jitsu send (`tests/data/clients`).

    python tests/record_clients.py

Runs each against a real server on the loopback and keeps its requests, the key replaced by `{key}`.
"""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import msgspec

from conftest import Lake
from eavesdropper import Exchange
from heard_server import heard_server

FOLDER = Path(__file__).parent / "data" / "clients"
SCRIPTS = {
    "segment-python": ("segment_python.py",),
    "segment-python-gzip": ("segment_python.py", "gzip"),
    "segment-node": ("segment_node.mjs",),
    "rudder-python": ("rudder_python.py",),
    "rudder-node": ("rudder_node.mjs",),
    "jitsu-node": ("jitsu_node.mjs",),
}
KEPT = ("authorization", "content-encoding", "content-type", "anonymousid", "sentat", "x-write-key",
        "user-agent")  # fmt: skip


def fixture(exchange: Exchange, key: str) -> dict[str, object]:
    """One request without its key: in clear, in Basic's base64, and in a packed body."""
    basic = base64.b64encode(f"{key}:".encode()).decode()
    headers = {name: value for name, value in exchange.headers.items() if name in KEPT}
    body = exchange.body
    if body[:2] == b"\x1f\x8b":
        import gzip

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


def main() -> None:
    """Run each SDK and write down what it said."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (script, *more) in SCRIPTS.items():
        with tempfile.TemporaryDirectory() as folder:
            rings = Path(folder) / "rings"
            rings.mkdir(mode=0o700)
            lake = Lake(Path(folder) / "data-lake", rings)
            with heard_server(lake) as heard:
                heard.run(script, *more)
                found = [fixture(each, heard.key) for each in heard.proxy.sendings()]
            lake.close()
        content = msgspec.json.format(msgspec.json.encode(found), indent=1)
        (FOLDER / f"{name}.json").write_bytes(content + b"\n")
        print(f"{name}: {len(found)} requests")


if __name__ == "__main__":
    main()
