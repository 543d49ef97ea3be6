"""The demo platform as a process of its own, and somebody who goes through it by HTTP."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from conftest import Lake, wait_until
from servers import free_port

STAFF = "the-staff"
PROFILE = {"revenue": "1m_5m", "team": "2_10", "readiness": "now"}
FOCUS = {"first": "crm", "second": "hiring", "third": "safety"}
GOOD = {"communication": "9", "expertise": "8", "value": "7", "overall": "8", "nps": "9"}
CODE = r'<article[^>]*data-message="([^"]+)"(?:(?!</article>).)*?code is (\d{6})'
PHONE = "+1 (512) 555-0100"


@contextmanager
def platform(lake: Lake, folder: Path, **env: str) -> Iterator[Site]:
    """It ends with the block, and what it recorded is durable then."""
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "lakeward.demo.app:create", "--factory",
        "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning",
    ]  # fmt: skip
    own = {"DEMO_DATABASE": str(folder / "demo.db"), "DEMO_STAFF": STAFF}
    process = subprocess.Popen(command, cwd=folder, env=lake.process_env(**own, **env))
    site = Site(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        assert process.poll() is None, "the platform ended"
        try:
            return httpx.get(f"{site.address}/health", verify=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, what="the platform's start")
        yield site
    finally:
        site.close()
        process.terminate()
        process.wait(120)


class Site:
    """The platform's address, and who visits it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._visitors: list[Contractor] = []

    def visitor(self, phone: str = PHONE) -> Contractor:
        self._visitors.append(Contractor(self.address, phone))
        return self._visitors[-1]

    def close(self) -> None:
        for visitor in self._visitors:
            visitor.http.close()


class Contractor:
    """One browser without JavaScript."""

    def __init__(self, address: str, phone: str) -> None:
        self.http = httpx.Client(base_url=address, verify=False, follow_redirects=True, timeout=120)
        self.phone = phone
        self._seen: set[str] = set()

    def get(self, path: str, **options: str) -> httpx.Response:
        return self.http.get(path, **options)  # type: ignore[arg-type]  # passed on

    def post(self, path: str, **form: str | list[str]) -> httpx.Response:
        return self.http.post(path, data=form)

    def staff(self, path: str, **form: str) -> httpx.Response:
        return self.http.post(
            path, data=form, headers={"staff": STAFF}, follow_redirects=False
        )  # fmt: skip

    def begin(self, name: str = "Ann Mason") -> str:
        """Ask for a code; the code that came."""
        self.get("/start")
        self.post("/start", name=name, email="ann@contractor.example", phone=self.phone)
        wait_until(lambda: self.codes().keys() - self._seen, what="the code")
        return self.code()

    def code(self) -> str:
        """The newest one in the inbox."""
        wait_until(self.codes, what="a code")
        codes = self.codes()
        self._seen |= codes.keys()
        return next(iter(codes.values()))

    def codes(self) -> dict[str, str]:
        """Those that the inbox shows, by message, the newest first."""
        return dict(re.findall(CODE, self.get("/inbox").text, re.DOTALL))

    def verify(self) -> None:
        assert self.post("/verify", code=self.begin()).url.path == "/focus"

    def match(self, **profile: str) -> list[str]:
        """Go as far as the matches; the partners shown."""
        self.verify()
        self.post("/focus", **FOCUS)
        page = self.post("/profile", **{**PROFILE, **profile})
        assert page.url.path == "/matches"
        return re.findall(r'data-partner="(p\d+)"', page.text)

    def slots(self, partner: str) -> list[str]:
        return re.findall(r'value="(\d{4}-[^"]+)"', self.get(f"/partners/{partner}/book").text)

    def book(self, partner: str, slot: str) -> str:
        page = self.post(f"/partners/{partner}/book", slot=slot)
        assert page.url.path.startswith("/bookings/"), page.text
        return page.url.path.rpartition("/")[2]


def alert(page: httpx.Response) -> str:
    """The sentence about what was wrong."""
    found = re.search(r'role="alert"[^>]*>([^<]*)<', page.text)
    return found[1] if found else ""
