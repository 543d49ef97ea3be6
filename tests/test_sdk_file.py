"""The browser SDK as the server hands it out: the file that is built, and asked for again."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Lake
from lakeward.server.sdk import KIND, sdk_answer, sdk_etag, sdk_file
from server_process import serving

ROOT = Path(__file__).resolve().parent.parent


def test_the_file_is_one_script_that_needs_nothing_else_and_fits_its_size() -> None:
    script = sdk_file().decode("ascii")
    assert not any(word in script for word in ("import ", "eval(", "Function(", "innerHTML"))
    assert "https://" not in script
    assert len(script) < 14_000  # 6 KB compressed, which `make web-check` measures


def test_who_has_the_file_is_told_so() -> None:
    status, body, headers = sdk_answer({})
    said = dict(headers)
    assert (status, body) == (200, sdk_file())
    assert said[b"access-control-allow-origin"] == b"*"
    assert said[b"cross-origin-resource-policy"] == b"cross-origin"
    assert said[b"etag"] == sdk_etag()
    for known in (sdk_etag(), b"W/" + sdk_etag(), b'"other", ' + sdk_etag(), b"*"):
        status, body, headers = sdk_answer({b"if-none-match": known})
        assert (status, body) == (304, b"")
        assert dict(headers)[b"etag"] == sdk_etag()
    assert sdk_answer({b"if-none-match": b'"other"'})[0] == 200


def test_a_server_has_it_for_pages_of_any_origin_without_a_key(lake: Lake) -> None:
    with serving(lake) as server, server.client() as client:
        answer = client.get("/lakeward.js", headers={"origin": "https://shop.example"})
        assert answer.content == sdk_file()
        assert answer.headers["content-type"].encode() == KIND
        assert answer.headers["cross-origin-resource-policy"].startswith("cross-origin")
        assert answer.headers["access-control-allow-origin"] in ("*", "https://shop.example")


def test_the_package_is_one_of_npm_with_types() -> None:
    package = json.loads((ROOT / "web/sdk/package.json").read_text(encoding="utf-8"))
    assert package["exports"]["."]["types"].endswith("lakeward.d.ts")
    assert package["name"] == "@lakeward/browser"
    assert all(version[0].isdigit() for version in package["devDependencies"].values())
