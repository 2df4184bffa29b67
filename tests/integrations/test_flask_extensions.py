"""Extensions of Flask that keep things in the session: log in, change something, log out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import Factory, define
from authlib.integrations.flask_client import OAuth  # type: ignore[import-untyped]  # has no types
from flask import Flask, flash, get_flashed_messages, render_template_string
from flask import session as flask_session
from flask.testing import FlaskClient
from flask_login import (  # type: ignore[import-untyped]  # as above
    LoginManager,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
    user_logged_in,
)
from flask_principal import (  # type: ignore[import-untyped]  # as above
    AnonymousIdentity,
    Identity,
    Permission,
    Principal,
    RoleNeed,
    identity_changed,
    identity_loaded,
)
from flask_wtf import CSRFProtect, FlaskForm  # type: ignore[import-untyped]  # as above
from typing_extensions import override
from wtforms import StringField  # type: ignore[import-untyped]  # as above

from typed_sessions import Subject
from typed_sessions.flask import Sessions


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


class User(UserMixin):  # type: ignore[misc]  # its base has no types
    def __init__(self, user_id: str) -> None:
        self.id = user_id


@define
class Site:
    app: Flask
    sessions: Sessions[Visitor]
    client: FlaskClient

    def route(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        return self.app.route(path, endpoint=path, **options)


@pytest.fixture(params=[None, "memory://"], ids=["in cookies", "on the server"])
def site(request: pytest.FixtureRequest) -> Site:
    app = Flask(__name__)
    app.config.update(SECRET_KEY="k" * 32, TESTING=True, SESSION_PROTECTION="strong")
    sessions = Sessions(Visitor, app, store=request.param)

    @app.post("/cart/<item>")
    def add(item: str) -> list[str]:
        sessions.data.cart.append(item)
        return sessions.data.cart

    return Site(app, sessions, app.test_client())


@pytest.mark.parametrize("remember", [False, True])
def test_flask_login(site: Site, *, remember: bool) -> None:
    manager = LoginManager(site.app)
    manager.user_loader(User)

    @site.route("/login", methods=["POST"])
    def login() -> str:
        login_user(User("7"), remember=remember)
        flash("welcome")
        return "in"

    @site.route("/me")
    @login_required  # type: ignore[untyped-decorator]  # it has no types
    def me() -> dict[str, Any]:
        return {"id": current_user.id, "flashes": get_flashed_messages(), "cart": site.sessions.data.cart}

    @site.route("/fresh")
    @fresh_login_required  # type: ignore[untyped-decorator]  # as above
    def fresh() -> str:
        return "fresh"

    @site.route("/stale", methods=["POST"])
    def stale() -> str:
        flask_session["_fresh"] = False
        return ""

    @site.route("/confirm", methods=["POST"])
    def confirm() -> str:
        confirm_login()
        return ""

    @site.route("/logout", methods=["POST"])
    def logout() -> str:
        logout_user()
        return "out"

    client = site.client
    assert client.get("/me").status_code == 401
    client.post("/cart/before")
    client.post("/login")
    client.post("/cart/after")
    assert client.get("/me").get_json() == {"id": "7", "flashes": ["welcome"], "cart": ["before", "after"]}
    assert client.get("/fresh").text == "fresh"
    client.post("/stale")
    assert client.get("/fresh").status_code == 401
    client.post("/confirm")
    assert client.get("/fresh").text == "fresh"
    client.post("/logout")
    assert client.get("/me").status_code == 401
    assert (client.get_cookie("remember_token") is None) or not remember
    assert client.post("/cart/later").get_json() == ["before", "after", "later"]


def test_a_login_of_flask_login_is_a_promotion_if_the_application_says_so(site: Site) -> None:
    """As docs/how-to/flask.md has it: the session gets a new identifier, and is known as its user's."""
    LoginManager(site.app).user_loader(User)

    @site.route("/login", methods=["POST"])
    def login() -> str:
        login_user(User("7"))
        return ""

    def promote(_app: Flask, user: User) -> None:
        site.sessions.current.promote(user_id=int(user.get_id()))

    site.client.post("/cart/before")
    before = site.client.get_cookie("session")
    with user_logged_in.connected_to(promote, site.app):
        site.client.post("/login")
    after = site.client.get_cookie("session")
    assert before is not None
    assert after is not None
    assert before.value != after.value
    with site.sessions.transaction(site.client) as session:
        assert session.data == Visitor(7, ["before"])


def test_flask_wtf(site: Site) -> None:
    class Form(FlaskForm):  # type: ignore[misc]  # its base has no types
        name = StringField()

    CSRFProtect(site.app)

    @site.route("/form", methods=["GET", "POST"])
    def form() -> Any:
        form = Form()
        if form.validate_on_submit():
            site.sessions.data.cart.append(form.name.data)
            return {"cart": site.sessions.data.cart}
        return render_template_string("{{ form.csrf_token.current_token }}", form=form)

    token = site.client.get("/form").text
    assert site.client.get("/form").text != ""
    assert site.client.post("/form", data={"name": "forged"}).status_code == 400
    for cart in (["a"], ["a", "a"]):
        answer = site.client.post("/form", data={"name": "a", "csrf_token": token})
        assert answer.get_json() == {"cart": cart}
    with site.sessions.transaction(site.client) as session:
        assert list(session.extras) == ["csrf_token"]
        session.clear()
    assert site.client.post("/form", data={"name": "a", "csrf_token": token}).status_code == 400


def test_flask_principal(site: Site) -> None:
    Principal(site.app)
    admin = Permission(RoleNeed("admin"))

    @site.route("/admin")
    @admin.require(403)  # type: ignore[untyped-decorator]  # it has no types
    def administrate() -> str:
        return "admin"

    @site.route("/become/<name>", methods=["POST"])
    def become(name: str) -> str:
        identity = AnonymousIdentity() if name == "nobody" else Identity(name)
        identity_changed.send(site.app, identity=identity)
        return ""

    def provide(_app: Flask, identity: Any) -> None:
        if identity.id == "7":
            identity.provides.add(RoleNeed("admin"))

    with identity_loaded.connected_to(provide, site.app):
        assert site.client.get("/admin").status_code == 403
        site.client.post("/become/7")
        assert site.client.post("/cart/a").get_json() == ["a"]
        assert site.client.get("/admin").text == "admin"
        with site.sessions.transaction(site.client) as session:
            assert session["identity.id"] == "7"
        site.client.post("/become/nobody")
        assert site.client.get("/admin").status_code == 403
        assert site.client.post("/cart/b").get_json() == ["a", "b"]


class _Provider(BaseHTTPRequestHandler):
    """Gives a token for each code."""

    def do_POST(self) -> None:
        body = json.dumps({"access_token": "the token", "token_type": "bearer"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[str]:
    """The URL of a server that knows who somebody is."""
    with HTTPServer(("127.0.0.1", 0), _Provider) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_authlib(site: Site, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    oauth = OAuth(site.app)
    urls = {"authorize_url": f"{provider}/authorize", "access_token_url": f"{provider}/token"}
    client = oauth.register("them", client_id="id", client_secret="hush", **urls)

    @site.route("/login")
    def login() -> Any:
        return client.authorize_redirect("https://shop.example/back")

    @site.route("/back")
    def back() -> str:
        token = client.authorize_access_token()
        site.sessions.current.promote(user_id=7)
        return str(token["access_token"])

    @site.route("/logout", methods=["POST"])
    def logout() -> str:
        site.sessions.current.invalidate()
        return ""

    state = parse_qs(urlsplit(site.client.get("/login").headers["Location"]).query)["state"][0]
    assert site.client.post("/cart/a").get_json() == ["a"]
    with site.sessions.transaction(site.client) as session:
        assert [key for key in session.extras if key.startswith("_state_them_")] == [f"_state_them_{state}"]
    assert site.client.get(f"/back?code=x&state={state}").text == "the token"
    with site.sessions.transaction(site.client) as session:
        assert session.data == Visitor(7, ["a"])
        assert list(session.extras) == []
    site.client.post("/logout")
    assert site.client.post("/cart/b").get_json() == ["b"]
