"""What the OpenAPI document says of demos and their uploads.

In: nothing. Out: operations by part, and path below its root. Nothing fails.
"""

from __future__ import annotations

from typing import Any, Final

from lakeward.server.operation import OBJECT, TEXT, Object, content, get, named, refusals

JSON = "application/json"
ID: Final[Object] = {"type": "string", "pattern": "^[0-9a-f-]{1,36}$"}
PARTNER: Final[Object] = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
NAME: Final[Object] = {"type": "string", "pattern": "^[A-Za-z0-9 ._-]{1,100}$"}
SHA256: Final[Object] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
OF_A_DEMO: Final = named("id", ID, "Of a demo; the upload that it was had the same.")
OF_AN_UPLOAD: Final = named("id", ID, "As `Location` had it when the upload began.")
OF_A_PARTNER: Final = named("id", PARTNER, "A partner's id.")
TUS: Final = "tus 1.0.0 (https://tus.io): "
VERSION: Final = {"Tus-Resumable": {"schema": {"const": "1.0.0"}}}
OFFSET: Final = {"Upload-Offset": {"schema": {"type": "string", "pattern": "^[0-9]{1,15}$"}}}


def paths() -> dict[tuple[str, str], Object]:
    """The operations."""
    return {
        ("partner_demos", "/{id}/demos"): {
            "get": _read("Demos of a partner, and uploads on their way", OF_A_PARTNER),
            "post": _begin(),
        },
        ("uploads", ""): {"options": _spoken()},
        ("uploads", "/{id}"): {"head": _head(), "patch": _more(), "delete": _end(),
                               "options": _spoken(OF_AN_UPLOAD)},
        ("demos", "/{id}"): {"get": _one()},
        ("demos", "/{id}/transcript"): {"post": _transcript()},
        ("demos", "/{id}/remove"): {"post": _remove()},
        ("demos", "/{id}/thumbnail"): {"get": _picture()},
        ("demos", "/{id}/file"): {
            "get": _read("The file, to be saved; for admins", OF_A_DEMO,
                         "application/octet-stream", TEXT)
        },
    }  # fmt: skip


def _read(summary: str, of: Object, kind: str = JSON, schema: Object = OBJECT) -> Object:
    found = get(summary, kind, schema)
    found["parameters"] = [of]
    found["responses"] |= refusals(
        s403="The key or login does not fit, or it is another partner's.",
        s404="There is no such thing, or it is another partner's.",
        s409="The bytes are kept elsewhere.",
        s503="The database or bucket is away.",
    )
    return found


def _one() -> Object:
    found = _read("A demo: state, progress, what was found", OF_A_DEMO)
    found["parameters"] = [OF_A_DEMO, {
        "name": "segments", "in": "query", "required": False, "schema": {"enum": ["1"]},
        "description": "With all that is said or written.",
    }]  # fmt: skip
    return found


def _picture() -> Object:
    found = _read("A picture of a video", OF_A_DEMO, "image/jpeg", TEXT)
    found["parameters"] = [OF_A_DEMO, {
        "name": "n", "in": "query", "required": False,
        "schema": {"type": "integer", "minimum": 0, "maximum": 999}, "description": "Which one.",
    }]  # fmt: skip
    return found


def _begin() -> Object:
    found = _act("Begin to upload a demo", OF_A_PARTNER, "201")
    found["description"] = (
        "By tus (`Tus-Resumable`, `Upload-Length`, `Upload-Metadata`), or by this body. The "
        "`Location` of the answer takes the bytes, by tus."
    )
    size = {"type": "integer", "minimum": 1, "maximum": 1 << 20}
    body = {
        "type": "object", "required": ["title", "size_bytes"], "additionalProperties": False,
        "properties": {"title": NAME, "file_name": NAME, "size_bytes": size, "sha256": SHA256},
    }  # fmt: skip
    found["requestBody"] = {"required": True, **content(JSON, body)}
    found["responses"] |= refusals(
        s422="The file is empty, and its SHA-256 is not that of nothing.",
        s507="The disk has no room for it.",
    )
    return found


def _transcript() -> Object:
    found = _act("Give a transcript of a demo", OF_A_DEMO, "202")
    kinds = ("text/plain", "text/vtt", "application/x-subrip")
    found["requestBody"] = {
        "required": True, "content": {kind: {"schema": TEXT} for kind in kinds},
    }  # fmt: skip
    return found


def _remove() -> Object:
    found = _act("Remove a demo, and its bytes when nobody else has the same", OF_A_DEMO, "200")
    body = {"type": "object", "additionalProperties": False}
    found["requestBody"] = {"required": True, **content(JSON, body)}
    return found


def _act(summary: str, of: Object, status: str) -> Object:
    found = _read(summary, of)
    found["responses"][status] = found["responses"].pop("200")
    found["responses"] |= refusals(
        s400="A header or the body will not do, in one sentence.",
        s408="The body did not arrive.",
        s412="Another version of tus.",
        s409="The demo is in another state than that would need.",
        s413="Larger than the limit it names, or than the partner's quota.",
        s415="Of another type.",
    )
    return found


def _spoken(*of: Object) -> Object:
    found = get(TUS + "what is spoken", JSON, OBJECT)
    found["parameters"] = list(of)
    found["responses"]["204"] = {"description": "Version, extensions, largest size."}
    del found["responses"]["200"]
    return found


def _header(name: str, schema: Any, required: bool, description: str) -> Object:
    return {"name": name, "in": "header", "required": required, "schema": schema,
            "description": description}  # fmt: skip


def _tus(summary: str, status: str, **noes: str) -> Object:
    found = _read(TUS + summary, OF_AN_UPLOAD)
    version = _header("Tus-Resumable", {"const": "1.0.0"}, True, "The version.")
    found["parameters"] = [OF_AN_UPLOAD, version]
    del found["responses"]["200"]
    found["responses"][status] = {"description": "Done.", "headers": VERSION}
    found["responses"] |= refusals(
        s410="It waited too long for its next byte.", s412="Another version of tus.", **noes
    )
    return found


def _head() -> Object:
    found = _tus("how many bytes are safe", "200")
    found["responses"]["200"]["headers"] = VERSION | OFFSET
    return found


def _end() -> Object:
    return _tus("take an upload back", "204", s423="Another request sends to it.")


def _more() -> Object:
    found = _tus(
        "more bytes", "204",
        s400="A header will not do, or the client left.",
        s408="Nothing arrived any more; what did is kept.",
        s409="The upload goes on at another offset.",
        s413="More bytes than were announced.",
        s415="Not application/offset+octet-stream.",
        s422="The file is not the one that was announced.",
        s423="Another request sends to it.",
        s460="The bytes do not fit their checksum; nothing of them is kept.",
        s507="The disk is full; nothing of them is kept.",
    )  # fmt: skip
    where = {"type": "integer", "minimum": 0, "maximum": 1 << 40}
    found["parameters"] += [
        _header("Upload-Offset", where, True, "Where they go."),
        _header("Upload-Checksum", {"type": "string", "pattern": "^sha1 [A-Za-z0-9+/]{27}=$"},
                False, "Algorithm and Base64."),
    ]  # fmt: skip
    binary = {"type": "string", "format": "binary"}
    found["requestBody"] = {
        "required": True, **content("application/offset+octet-stream", binary),
    }  # fmt: skip
    found["responses"]["204"]["headers"] = VERSION | OFFSET
    return found
