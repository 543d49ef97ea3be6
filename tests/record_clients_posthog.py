"""Records again what PostHog's and Snowplow's SDKs send: `python tests/record_clients_posthog.py`.

Writes `tests/data/clients/{posthog,snowplow}-*.json`, lists of requests: method, path, headers that
matter, body as base64 of what was compressed, when it was. Keys are `{key}`, this machine's paths
are gone.
"""

from __future__ import annotations

import base64
import gzip
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import msgspec

import test_compat_posthog_browser as browser
from conftest import Lake
from eavesdropper import Exchange
from heard_server import Heard, heard_server

DATA = Path(__file__).parent / "data/clients"
HEADERS = ("content-encoding", "content-type", "posthog-request-timestamp", "posthog-sdk-info",
           "user-agent")  # fmt: skip
SCRIPTS = (
    ("posthog-python", "posthog_python.py"),
    ("posthog-python-v1", "posthog_python.py", "v1"),
    ("posthog-node", "posthog_node.mjs"),
    ("snowplow-python", "snowplow_python.py"),
    ("snowplow-python-get", "snowplow_python.py", "get"),
)
SENDINGS = re.compile(r"/(batch|e|i|com\.snowplow)")
FORM = b"data="
HERE = re.compile(rb"[\w./-]*/tests/clients/")


def fixture(exchange: Exchange, key: str) -> dict[str, object]:
    """One request as it is committed."""
    body = exchange.body
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    form = body.startswith(FORM)
    if form:
        body = base64.b64decode(unquote_to_bytes(body[len(FORM) :]))
    body = HERE.sub(b"/app/", body.replace(key.encode(), b"{key}"))
    if form:
        body = FORM + quote(base64.b64encode(body)).encode()
    return {
        "method": exchange.method,
        "path": exchange.path.replace(key, "{key}"),
        "headers": {n: exchange.headers[n] for n in HEADERS if n in exchange.headers},
        "body": base64.b64encode(body).decode(),
    }


def write(name: str, heard: Heard, wanted: str = "") -> None:
    """Keep what was heard."""
    kept = [fixture(exchange, heard.key) for exchange in heard.proxy.sendings()
            if SENDINGS.match(exchange.path) and wanted in exchange.path]  # fmt: skip
    DATA.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(kept), indent=1)
    (DATA / f"{name}.json").write_bytes(text + b"\n")
    print(f"{name}: {len(kept)} requests")


@contextmanager
def fresh() -> Iterator[Heard]:
    """A server with an empty lake."""
    with tempfile.TemporaryDirectory() as folder:
        rings = Path(folder) / "rings"
        rings.mkdir(mode=0o700)
        lake = Lake(Path(folder) / "data-lake", rings)
        try:
            with heard_server(lake) as heard:
                yield heard
        finally:
            lake.close()


def record() -> None:
    """Let each SDK send everything."""
    for name, script, *more in SCRIPTS:
        with fresh() as heard:
            heard.run(script, *more)
            write(name, heard)
    for name, plain, wanted in (
        ("posthog-js", False, ""),
        ("posthog-js-plain", True, "compression=base64"),
    ):
        with fresh() as heard:
            browser.recorded(heard, plain)
            write(name, heard, wanted)


if __name__ == "__main__":
    record()
