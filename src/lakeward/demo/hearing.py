"""Hearing: what `testimony.py` plans is said to a running server, through its own doors.

In: the server's port, the demo's carrier, cases. Out: each partner's score as the server has
it then. Partners are made, people invited by SMS and e-mail, forms filled in behind the links that
came, demos uploaded and rated. Fails with `Transient` when the server or a message does not come
in time, with `Rejected` when the server answers otherwise than it must.
"""

from __future__ import annotations

import base64
import http.client
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from lakeward.demo.carrier import HOST, Carrier
from lakeward.demo.partners import PARTNERS
from lakeward.demo.testimony import REVIEWED, Case, Demo, Known, Witness
from lakeward.errors import Rejected, Transient

PATIENCE: Final = 120.0
"""Seconds for a message, a demo, a score: a slow machine has time."""
THINKS: Final = 7.0
"""Seconds over a form; who is much quicker has read nothing, and counts for less."""
LINK: Final = re.compile(r"https?://[^\s<>\"]+/w/[A-Za-z0-9_-]+")
BEGAN: Final = re.compile(r'name="began" value="([^"]+)"')
TUS: Final = {"Tus-Resumable": "1.0.0"}
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"


class Hearing:
    """Everybody who speaks, at once."""

    def __init__(self, port: int, carrier: Carrier) -> None:
        self._port, self._carrier = port, carrier

    def is_open(self) -> bool:
        """Whether the server lets this machine in, and knows no partner yet."""
        status, _, raw = self._ask("GET", "/api/partners")
        return status == 200 and not msgspec.json.decode(raw)["partners"]

    def all(self, cases: Sequence[Case]) -> dict[str, Known]:
        """Hear everybody; what the server makes of it."""
        self._make(cases)
        with ThreadPoolExecutor(sum(len(one.witnesses) + 1 for one in cases)) as pool:
            for told in cases:
                self._invite(told)
            waiting = [pool.submit(self._answers, one) for told in cases for one in told.witnesses]
            waiting += [pool.submit(self._shows, told) for told in cases]
            for one in waiting:
                one.result()
        return {told.partner_id: self._scored(told) for told in cases}

    def _make(self, cases: Sequence[Case]) -> None:
        said = {told.partner_id: told.proposition for told in cases}
        partners = [
            {
                "partner_id": one.partner_id, "name": one.name, "category": one.focus[0],
                "proposition": said.get(one.partner_id, one.offer),
            }
            for one in PARTNERS.values()
        ]  # fmt: skip
        self._post("/api/partners", {"partners": partners})

    def _invite(self, told: Case) -> None:
        for form in ("employee", "reference"):
            people = [
                {"name": one.name, "phone": one.phone, "email": one.email}
                for one in told.witnesses
                if one.form == form
            ]
            path = f"/api/partners/{told.partner_id}/invitations"
            self._post(path, {"form": form, "people": people})

    def _answers(self, witness: Witness) -> None:
        """Open the link that came, think, and send the form."""
        text = self._carrier.received((witness.phone, witness.email), PATIENCE)
        found = LINK.search(text)
        if found is None:
            raise Rejected("an invitation had no link in it")
        path = urlsplit(found[0]).path
        headers = {"X-Forwarded-For": witness.network, "User-Agent": AGENT}
        fields = witness.fields
        if witness.returns:
            began = self._opens(path, headers)
            half = dict(list(fields.items())[:3])
            self._sends(path, headers, {**half, "began": began, "act": "keep"}, "Saved")
        began = self._opens(path, headers)
        time.sleep(THINKS)
        self._sends(path, headers, {**fields, "began": began, "act": "send"}, "Thank you")

    def _opens(self, path: str, headers: dict[str, str]) -> str:
        status, answer, raw = self._ask("GET", path, headers=headers)
        found = BEGAN.search(raw.decode())
        if status != 200 or found is None:
            raise Rejected(f"the server answered {status} where a form was to be")
        headers["Cookie"] = answer.get("Set-Cookie", "").partition(";")[0]
        return found[1]

    def _sends(
        self, path: str, headers: Mapping[str, str], fields: Mapping[str, str], title: str
    ) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        status, _, raw = self._ask("POST", path, urlencode(fields).encode(), form)
        if status != 200 or f"<h1>{title}</h1>" not in raw.decode():
            raise Rejected(f"the server answered {status} to a form that was filled in")

    def _shows(self, told: Case) -> None:
        """Upload each demo, wait until it was looked into, rate it."""
        for demo in told.demos:
            which = self._uploads(told.partner_id, demo)

            def looked(path: str = f"/api/demos/{which}") -> bool:
                state = self._get(path)["state"]
                if state in ("refused", "failed"):
                    raise Rejected(f"the server {state} a demo")
                return bool(state == "completed")

            _until(looked, "a demo was not looked into")
            scores = dict(zip(REVIEWED, demo.ratings, strict=True))
            path = f"/api/partners/{told.partner_id}/demo-reviews"
            self._post(path, {"demo_id": which, "scores": scores})

    def _uploads(self, partner_id: str, demo: Demo) -> str:
        content = f"{demo.title}\n\n{demo.text}\n".encode()
        named = ",".join(
            f"{name} {base64.b64encode(value.encode()).decode()}"
            for name, value in (("filename", "demo.txt"), ("title", demo.title))
        )
        status, headers, _ = self._ask(
            "POST", f"/api/partners/{partner_id}/demos", b"",
            {**TUS, "Upload-Length": str(len(content)), "Upload-Metadata": named},
        )  # fmt: skip
        if status != 201:
            raise Rejected(f"the server answered {status} where an upload was to begin")
        place = urlsplit(headers["Location"]).path
        more = {
            **TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream",
        }  # fmt: skip
        status, _, _ = self._ask("PATCH", place, content, more)
        if status != 204:
            raise Rejected(f"the server answered {status} to the bytes of an upload")
        return place.rpartition("/")[2]

    def _scored(self, told: Case) -> Known:
        """The score, once it is made of everything that was said."""
        root = f"/api/partners/{quote(told.partner_id)}"
        points = len(told.witnesses) + len(told.demos)
        _until(
            lambda: (self._get(f"{root}/confidence")["score"] or {}).get("data_points") == points,
            "a score was not made of all that was said",
        )
        made = self._get(f"{root}/confidence")["score"]
        report = self._get(f"{root}/consistency")["report"]
        return Known(
            score=round(made["value"], 3), points=made["data_points"],
            alignment=report["overall"]["score"],
            contradicted=tuple(sorted({one["claim"] for one in report["discrepancies"]})),
            flags=tuple(sorted({one["kind"] for one in made["flags"]})),
        )  # fmt: skip

    def _get(self, path: str) -> Any:
        status, _, raw = self._ask("GET", path)
        if status != 200:
            raise Rejected(f"the server answered {status} to GET {path}")
        return msgspec.json.decode(raw)

    def _post(self, path: str, body: object) -> Any:
        json = {"Content-Type": "application/json"}
        status, _, raw = self._ask("POST", path, msgspec.json.encode(body), json)
        if status not in (200, 201):
            raise Rejected(f"the server answered {status} to POST {path}")
        return msgspec.json.decode(raw)

    def _ask(
        self, method: str, path: str, body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:  # fmt: skip
        connection = http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"the server does not answer {method} {path}: {error}") from None
        finally:
            connection.close()


def _until(done: Callable[[], bool], sentence: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise Transient(f"{sentence} within {PATIENCE:.0f} seconds")
        time.sleep(0.3)
