"""An identity provider of the tests' own: a real server that speaks OpenID Connect, as strictly as
the good ones do, and says wrong things when it is told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "lakeward-tests", "a+secret/of the:tests"

Claims = dict[str, Any]


class IdentityProvider:
    """Who is there, what was asked, and what to say wrongly."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = SECRET
        self.methods = ["client_secret_basic"]
        self.key = new_key("first")
        self.signer = self.key
        """Not its published key, for a forger's token."""
        self.lies: Claims = {}
        """Claims of the token that are other than they should be; None leaves one out."""
        self.made: Callable[[IdentityProvider, Claims], str] | None = None
        """Makes the token instead."""
        self.person: Claims = {}
        self.userinfo: Claims | None = None
        """What it tells of a person beside the token, which then has no address."""
        self.denies = ""
        self.asks = False
        """Whether it shows a page of its own first."""
        self.away = False
        self.codes: dict[str, Claims] = {}
        self.asked: list[dict[str, str]] = []
        self.metadata: Claims = {}
        """What it says wrongly of itself."""

    def reset(self) -> None:
        """Honest, and with one person."""
        url, key = self.url, self.key
        self.__init__()  # type: ignore[misc]  # as if new, at the same address
        self.url, self.key, self.signer = url, key, key

    def discovery(self) -> Claims:
        said = {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize?tenant=t",
            "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "token_endpoint_auth_methods_supported": self.methods,
        }  # fmt: skip
        return said | self.metadata

    def authorized(self, query: dict[str, str]) -> str:
        """Where the browser goes next."""
        self.asked.append(query)
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        back, state = query["redirect_uri"], query["state"]
        if self.denies:
            return f"{back}?{urlencode({'error': self.denies, 'state': state})}"
        code = f"code-{len(self.asked)}-{time.time_ns()}"
        self.codes[code] = dict(query)
        return f"{back}?{urlencode({'code': code, 'state': state})}"

    def exchanged(self, form: dict[str, str], authorization: str) -> tuple[int, Claims]:
        """A token for a code, once, to who began."""
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization:
            assert "client_secret_basic" in self.methods
            plain = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            name, secret = map(unquote, plain.split(":", 1))
        if (name, secret) != (CLIENT, self.secret):
            return 401, {"error": "invalid_client"}
        began = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            began is None
            or began["redirect_uri"] != form.get("redirect_uri")
            or began["code_challenge"] != challenge
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300,
                  "nonce": began["nonce"], **self.person, **self.lies}  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        token = self.made(self, claims) if self.made else self.signed(claims)
        return 200, {"access_token": "for-userinfo", "token_type": "Bearer", "id_token": token}

    def signed(self, claims: Claims) -> str:
        header = {"alg": "RS256", "kid": self.signer.kid}
        return jwt.encode(header, claims, self.signer)


def new_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


def unsigned(provider: IdentityProvider, claims: Claims) -> str:
    """A token that says that it needs no signature."""
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def signed_by_public_key(provider: IdentityProvider, claims: Claims) -> str:
    """A token whose "secret" is what everybody can read."""
    head = f"{_part({'alg': 'HS256', 'kid': provider.key.kid})}.{_part(claims)}"
    digest = hmac.digest(provider.key.as_pem(private=False), head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def changed(provider: IdentityProvider, claims: Claims) -> str:
    """A token whose claims were changed after it was signed."""
    head, _, signature = provider.signed(claims).split(".")
    return f"{head}.{_part(claims | {'sub': 'somebody-else'})}.{signature}"


def _part(value: Claims) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """One that listens, under a name that is another site than the server's `127.0.0.1`."""
    provider = IdentityProvider()

    class Desk(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if provider.away:
                self._say(503, b"{}")
            elif parts.path == "/.well-known/openid-configuration":
                self._tell(200, provider.discovery())
            elif parts.path == "/keys":
                self._tell(200, {"keys": [provider.key.as_dict(private=False)]})
            elif parts.path == "/userinfo":
                known = self.headers["authorization"] == "Bearer for-userinfo"
                self._tell(200 if known else 401, provider.userinfo or {})
            elif parts.path == "/authorize":
                self._ask({name: each[0] for name, each in parse_qs(parts.query).items()})
            else:
                self._say(404, b"")

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: each[0] for name, each in parse_qs(raw).items()}
            self._tell(*provider.exchanged(form, self.headers.get("authorization", "")))

        def _ask(self, query: dict[str, str]) -> None:
            back = provider.authorized(query)
            if provider.asks:
                page = f'<title>Provider</title><a href="{html.escape(back)}">Go on as Ada</a>'
                self._say(200, page.encode(), "text/html")
            else:
                self._say(302, b"", location=back)

        def _tell(self, status: int, value: Claims) -> None:
            self._say(status, json.dumps(value).encode())

        def _say(
            self, status: int, content: bytes, kind: str = "application/json", **more: str
        ) -> None:
            self.send_response(status)
            for name, value in {"content-type": kind, **more}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    server.daemon_threads = True
    provider.url = f"http://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
