"""An identity provider, spoken to by OpenID Connect: authorization code with PKCE.

In: the provider's address, this server's name and secret there, a `Flow`. Out: the address to send
a browser to, and, for the code that it brings back, whom the provider vouches for. Blocking: asks
the provider, for what it says of itself once an hour. `Transient` when it does not answer, and
`Rejected` when what it says will not do; neither quotes a token, a name or an address of anybody.

Every token is checked: signed by one of the provider's keys with a public-key algorithm, made by
this issuer, for this client, for this flow, and not over. Needs the extra `oidc`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from lakeward.errors import Rejected, Transient
from lakeward.server.flow import Flow, Vouched, is_safe

SIGNED_BY = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
)  # fmt: skip
"""No algorithm with a shared secret, and never `none`."""
SCOPE = "openid email"
KNOWN_SECONDS = 3600.0
LEEWAY_SECONDS = 60
STEP_SECONDS = 5.0
"""Longest wait for one step of a request to the provider."""
LONGEST_SUBJECT = 255

T = TypeVar("T")


class Metadata(msgspec.Struct, frozen=True):
    """What a provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Granted(msgspec.Struct, frozen=True):
    """What a provider gives for a code."""

    id_token: str
    access_token: str = ""


class Known(msgspec.Struct, frozen=True):
    """A provider as it was when it was asked."""

    metadata: Metadata
    keys: KeySet
    until: float


class Provider:
    """One provider; what it said of itself is remembered."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: str, *,
        now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._now = now
        self._known: Known | None = None
        self._http = httpx.Client(timeout=STEP_SECONDS, follow_redirects=False)

    def address(self, flow: Flow) -> str:
        """Where the provider asks who somebody is."""
        address: str = prepare_grant_uri(
            self._provider().metadata.authorization_endpoint, self._client_id, "code",
            redirect_uri=flow.back, scope=SCOPE, state=flow.state, nonce=flow.nonce,
            code_challenge=create_s256_code_challenge(flow.verifier), code_challenge_method="S256",
        )  # fmt: skip
        return address

    def vouched(self, code: str, flow: Flow) -> Vouched:
        """Whom the provider vouches for with this code."""
        granted = self._exchanged(code, flow)
        claims = self._claims(granted, flow)
        subject = claims["sub"]
        if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise Rejected("the provider's name for this person is none that can be kept")
        told = claims if "email" in claims else self._userinfo(granted, subject)
        email = told.get("email")
        return Vouched(
            self._provider().metadata.issuer, subject,
            email if isinstance(email, str) else None,
            verified=told.get("email_verified") in (True, "true"),
        )  # fmt: skip

    def _provider(self) -> Known:
        known = self._known
        if known is None or self._now() >= known.until:
            known = self._known = self._discovered()
        return known

    def _discovered(self) -> Known:
        root = self._issuer.rstrip("/")
        metadata = self._asked(Metadata, "GET", f"{root}/.well-known/openid-configuration")
        if metadata.issuer.rstrip("/") != root:
            raise Rejected("the provider goes by another name than LAKEWARD_OIDC_ISSUER")
        ends = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri)
        if not all(map(is_safe, ends)):
            raise Rejected("the provider has addresses that are not https")
        try:
            keys = KeySet.import_key_set(self._asked(dict[str, Any], "GET", metadata.jwks_uri))  # type: ignore[arg-type]  # it looks itself
        except (JoseError, LookupError, TypeError, ValueError):
            raise Rejected("the provider's keys cannot be read") from None
        return Known(metadata, keys, self._now() + KNOWN_SECONDS)

    def _exchanged(self, code: str, flow: Flow) -> Granted:
        metadata = self._provider().metadata
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": flow.back,
            "code_verifier": flow.verifier,
        }  # fmt: skip
        methods = metadata.token_endpoint_auth_methods_supported
        if not self._client_secret:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in methods or "client_secret_post" not in methods:
            name, secret = quote(self._client_id, safe=""), quote(self._client_secret, safe="")
            basic = httpx.BasicAuth(name, secret)
            return self._asked(Granted, "POST", metadata.token_endpoint, data=form, auth=basic)
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        return self._asked(Granted, "POST", metadata.token_endpoint, data=form)

    def _claims(self, granted: Granted, flow: Flow) -> dict[str, Any]:
        try:
            token = self._decoded(granted.id_token)
            issuer = self._provider().metadata.issuer
            claims = CodeIDToken(
                token.claims, token.header,
                {"iss": {"essential": True, "value": issuer},
                 "aud": {"essential": True, "value": self._client_id}},
                {"nonce": flow.nonce, "client_id": self._client_id},
            )  # fmt: skip
            claims.validate(now=int(self._now()), leeway=LEEWAY_SECONDS)
        except ClaimError as error:
            name = type(error).__name__
            raise Rejected(f"the provider's token does not hold ({name}: {error.claim})") from None
        except (JoseError, LookupError, TypeError, ValueError) as error:
            raise Rejected(f"the provider's token does not hold ({type(error).__name__})") from None
        return dict(claims)

    def _decoded(self, token: str) -> jwt.Token:
        """A token that one of the provider's keys has signed."""
        registry = JWSRegistry(algorithms=SIGNED_BY, strict_check_header=False)
        try:
            return jwt.decode(token, self._provider().keys, registry=registry)
        except InvalidKeyIdError:  # its keys may be others than an hour ago
            self._known = None
            return jwt.decode(token, self._provider().keys, registry=registry)

    def _userinfo(self, granted: Granted, subject: str) -> dict[str, Any]:
        """What a provider tells of a person that does not put it into its token."""
        where = self._provider().metadata.userinfo_endpoint
        if not where or not granted.access_token:
            return {}
        if not is_safe(where):
            raise Rejected("the provider has addresses that are not https")
        bearer = {"authorization": f"Bearer {granted.access_token}"}
        told = self._asked(dict[str, Any], "GET", where, headers=bearer)
        if told.get("sub") != subject:
            raise Rejected("the provider tells of another person than its token")
        return told

    def _asked(self, kind: type[T], method: str, url: str, **more: Any) -> T:
        """What the provider answers, as a `kind`."""
        headers = {"accept": "application/json", **more.pop("headers", {})}
        try:
            answer = self._http.request(method, url, headers=headers, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Transient(f"the provider does not answer ({type(error).__name__})") from None
        if answer.status_code >= 500:
            raise Transient(f"the provider answers {answer.status_code}")
        if answer.status_code != 200:
            raise Rejected(f"the provider answers {answer.status_code}")
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Rejected("the provider's answer cannot be read") from None
