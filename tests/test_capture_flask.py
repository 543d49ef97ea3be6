"""What `install` promises a Flask application beyond the contract: routes, errors, users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask_login import LoginManager, UserMixin, current_user, login_user
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from apps import Stage
from conftest import Lake
from lakeward.capture.flask import VARIABLE, install
from lakeward.capture.wsgi import LakewardMiddleware
from lakeward.errors import Terminal
from sites import Answered, Asked, wsgi_ask


@pytest.fixture
def stage(lake: Lake) -> Stage:
    return Stage(lake)


def get(app: Any, target: str = "/", *headers: tuple[str, str]) -> Answered:
    return wsgi_ask(app, Asked(target, "GET", headers))


@pytest.mark.parametrize(
    ("rule", "template"),
    [
        ("/api/partners/<int:partner_id>", "/api/partners/{partner_id}"),
        ("/<name>/x/<path:rest>", "/{name}/x/{rest}"),
        ("/<any(about, help, imprint):page>", "/{page}"),
        ("/<string(length=2):lang>/<float(min=1.5):x>.html", "/{lang}/{x}.html"),
        ('/<regex("[^:]+"):word>', "/{word}"),
        ("/plain", "/plain"),
    ],
)
def test_a_rule_reads_as_every_frameworks_route(rule: str, template: str) -> None:
    assert VARIABLE.sub(r"{\1}", rule) == template


def test_calls_are_seen_from_outside_whatever_is_registered_later(stage: Stage) -> None:
    app = flask.Flask("site")
    install(app, stage.collector)

    @app.before_request
    def closed() -> tuple[str, int]:
        return "closed for today", 503

    assert get(app).status == 503
    row = stage.row()
    assert (row["response_status"], row.get("error_type")) == (503, None)
    assert row["response_bytes"] == 16


def test_an_error_that_a_handler_answered_with_5xx_is_named_and_others_are_not(
    stage: Stage,
) -> None:
    app = flask.Flask("site")
    install(app, stage.collector)

    @app.get("/<int:number>")
    def page(number: int) -> str:
        if number == 1:
            raise LookupError("token=hunter2secret")
        if number == 2:
            raise ValueError
        flask.abort(number)

    @app.errorhandler(LookupError)
    def gone(error: Exception) -> tuple[str, int]:
        return "upstream", 502

    @app.errorhandler(ValueError)
    def strange(error: Exception) -> tuple[str, int]:
        return "strange", 422

    for number in (1, 2, 503, 500):
        get(app, f"/{number}")
    named = {row["response_status"]: row.get("error_type") for row in stage.rows()}
    assert named == {502: "LookupError", 422: None, 503: None, 500: None}
    assert b"hunter2secret" not in stage.stored()


def test_an_error_after_the_view_is_named(stage: Stage) -> None:
    app = flask.Flask("site")
    install(app, stage.collector, user=lambda request: request.headers.get("x-user"))

    @app.get("/")
    def home() -> str:
        return "home"

    @app.after_request
    def broken(response: flask.Response) -> flask.Response:
        raise LookupError

    assert get(app, "/", ("x-user", "ann")).status == 500
    row = stage.row()
    assert (row["error_type"], row["route"], row["user_id"]) == ("LookupError", "/", "ann")


def test_an_error_that_is_propagated_has_route_and_user_too(stage: Stage) -> None:
    app = flask.Flask("site")
    app.config["PROPAGATE_EXCEPTIONS"] = True
    install(app, stage.collector, user=lambda request: flask.g.account)

    @app.get("/boom")
    def boom() -> str:
        flask.g.account = "a-17"
        raise LookupError

    assert isinstance(get(app, "/boom").raised, LookupError)
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (500, "LookupError")
    assert (row["route"], row["user_id"]) == ("/boom", "a-17")


def test_a_method_that_is_not_allowed_has_the_route_of_those_that_are(stage: Stage) -> None:
    app = flask.Flask("site")
    install(app, stage.collector)
    app.add_url_rule("/partners/<int:partner_id>", "partner", str, methods=["PUT", "DELETE"])
    assert get(app, "/partners/7").status == 405
    assert stage.row()["route"] == "/partners/{partner_id}"


def test_the_hooks_see_the_context_of_the_request(stage: Stage) -> None:
    app = flask.Flask("site")
    app.secret_key = "for tests only"
    install(
        app,
        stage.collector,
        user=lambda request: (flask.session["account"], flask.g.kind),
        consent=lambda request: "full" if flask.g.kind == "contractor" else "none",
    )

    @app.get("/")
    def home() -> flask.Response:
        flask.session["account"], flask.g.kind = "a-17", "contractor"
        return flask.Response(iter([b"streamed ", b"home"]))

    assert get(app).body == b"streamed home"
    row = stage.row()
    assert (row["user_id"], row["user_type"]) == ("a-17", "contractor")
    assert row["response_bytes"] == 13


def test_what_a_stream_with_context_records_joins_the_call(stage: Stage) -> None:
    app = flask.Flask("site")
    install(app, stage.collector, user=lambda request: request.headers["x-user"])

    @app.get("/")
    def home() -> flask.Response:
        def parts() -> Iterator[str]:
            stage.collector.record("cta_click", cta=flask.request.path)
            yield "home"

        return flask.Response(flask.stream_with_context(parts()))

    get(app, "/", ("x-user", "ann"))
    rows = {row["interaction_type"]: row for row in stage.rows()}
    assert rows["cta_click"]["parent_interaction_id"] == rows["api_call"]["interaction_id"]
    assert rows["cta_click"]["user_id"] == rows["api_call"]["user_id"] == "ann"


class Account(UserMixin):  # type: ignore[misc]  # Flask-Login carries no types
    def __init__(self, number: str) -> None:
        self.number = number

    def get_id(self) -> str:
        return self.number


class Shop:
    """An application with Flask-Login that counts how often a user is loaded."""

    def __init__(self, stage: Stage, captured: bool = True) -> None:
        self.loaded = 0
        self.app = flask.Flask("shop")
        self.app.secret_key = "for tests only"
        if captured:
            install(self.app, stage.collector)
        manager = LoginManager(self.app)
        manager.user_loader(self.load)
        for path in ("login", "who", "outcome", "nothing"):
            self.app.add_url_rule(f"/{path}", path, getattr(self, path))
        self.collector = stage.collector

    def load(self, number: str) -> Account:
        self.loaded += 1
        return Account(number)

    def login(self) -> str:
        login_user(Account("u-7"))
        return "in"

    def who(self) -> str:
        return str(current_user.get_id())

    def outcome(self) -> str:
        self.collector.record("cta_click", cta="book")
        return "booked"

    def nothing(self) -> str:
        return "nothing"


def test_a_user_of_flask_login_is_named_and_never_loaded_for_it(stage: Stage) -> None:
    shop = Shop(stage)
    get(shop.app, "/who")
    cookie = get(shop.app, "/login").headers["set-cookie"].partition(";")[0]
    loaded, plain = shop.loaded, Shop(stage, captured=False)
    for path in ("/nothing", "/outcome"):
        answer, without = (get(app, path, ("cookie", cookie)) for app in (shop.app, plain.app))
        assert answer.headers == without.headers
    assert shop.loaded == loaded
    assert get(shop.app, "/who", ("cookie", cookie)).body == b"u-7"
    assert [(row.get("path"), row["user_id"]) for row in stage.rows()] == [
        ("/who", "anonymous"), ("/login", "u-7"), ("/nothing", "u-7"), (None, "u-7"),
        ("/outcome", "u-7"), (None, "anonymous"), ("/who", "u-7"),
    ]  # fmt: skip


def test_an_application_below_another_is_one_call_with_the_whole_path(stage: Stage) -> None:
    inner, outer = flask.Flask("inner"), flask.Flask("outer")
    inner.add_url_rule("/<word>", "word", str)
    install(inner, stage.collector)
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/in": inner})  # type: ignore[method-assign]
    install(outer, stage.collector)
    get(outer, "/in/side")
    row = stage.row()
    assert (row["path"], row["response_status"]) == ("/in/side", 500)


def test_the_address_is_the_servers_whatever_the_application_believes(stage: Stage) -> None:
    app = flask.Flask("site")
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    install(app, stage.collector)
    get(app, "/", ("x-forwarded-for", "198.51.100.9"))
    assert stage.row()["ip_address"] == "203.0.113.7"


def test_a_second_install_is_refused(stage: Stage) -> None:
    app = flask.Flask("site")
    install(app, stage.collector)
    with pytest.raises(Terminal, match="once"):
        install(app, stage.collector)


def test_a_wrapped_application_has_no_route_and_is_recorded_all_the_same(stage: Stage) -> None:
    app = flask.Flask("site")
    get(LakewardMiddleware(app, stage.collector), "/nothing")
    row = stage.row()
    assert (row["response_status"], row.get("route")) == (404, None)
