"""A Flask application on typed sessions, used by Flask's own test client."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast

import flask
import pytest
from attrs import Factory, define, evolve, frozen
from flask import Blueprint, Flask, copy_current_request_context, flash, get_flashed_messages, render_template_string
from flask import session as flask_session
from flask.ctx import AppContext
from flask.sessions import SecureCookieSessionInterface as StockInterface
from flask.testing import FlaskClient
from itsdangerous.encoding import base64_decode
from typing_extensions import override

from typed_sessions import (
    ConfigurationError,
    FieldTypeError,
    NullSession,
    SecureCookieSession,
    SerializationError,
    UndeclaredKeyError,
)
from typed_sessions.flask import SecureCookieSessionInterface, Sessions, field_reset, session_refused
from typed_sessions.reports import FieldReset, Reason, Refused
from typed_sessions.serializers import TaggedJSONSerializer

SECRET = "a secret key that is long enough"
TRIES = 2 if hasattr(AppContext, "has_request") else 1
"""How often Flask tries to open a session that cannot be opened: from 3.2 on once more for the page that says so."""


@define
class Item:
    sku: str
    quantity: int = 1


@define
class Visitor:
    user_id: int | None = None
    cart: list[Item] = Factory(list[Item])


@define
class Shop:
    """An application, its sessions, and a client of each test's own."""

    app: Flask
    sessions: Sessions[Visitor]
    client: FlaskClient

    def does(self, view: Callable[[], object]) -> Any:
        """Return the response to a request that a view handles."""
        self.app.view_functions["view"] = lambda: cast("Any", view() or "")
        return self.client.get("/view")


def make_shop(**config: object) -> Shop:
    app = Flask(__name__)
    app.config.update({"SECRET_KEY": SECRET, "TESTING": True} | config)
    app.add_url_rule("/view", "view", lambda: "")
    return Shop(app, Sessions(Visitor, app), app.test_client())


@pytest.fixture
def shop() -> Shop:
    return make_shop()


def set_cookies(response: Any) -> list[str]:
    cookies: list[str] = response.headers.getlist("Set-Cookie")
    return cookies


def cookie_of(client: FlaskClient) -> str | None:
    cookie = client.get_cookie("session")
    return None if cookie is None else cookie.value


# Reading and writing


def test_a_nested_append_is_saved(shop: Shop) -> None:
    for _ in range(2):
        shop.does(lambda: shop.sessions.data.cart.append(Item("apple")))
    with shop.sessions.transaction(shop.client) as session:
        assert session.data.cart == [Item("apple"), Item("apple")]


def test_a_request_that_only_reads_varies_by_cookie_and_sets_none(shop: Shop) -> None:
    shop.does(lambda: shop.sessions.replace(Visitor(7)))
    response = shop.does(lambda: str(shop.sessions.data.user_id))
    assert response.text == "7"
    assert set_cookies(response) == []
    assert response.headers["Vary"] == "Cookie"


def test_a_request_that_leaves_the_session_alone_says_nothing_of_it(shop: Shop) -> None:
    shop.does(lambda: shop.sessions.replace(Visitor(7)))
    response = shop.does(lambda: render_template_string("{{ request.path }}"))
    assert "Vary" not in response.headers
    assert set_cookies(response) == []


def test_setting_an_equal_value_is_no_change(shop: Shop) -> None:
    shop.does(lambda: flask_session.update(user_id=7))
    assert set_cookies(shop.does(lambda: flask_session.update(user_id=7))) == []


def test_the_frameworks_own_session_is_the_same_one(shop: Shop) -> None:
    def view() -> str:
        flask_session["user_id"] = 7
        assert flask_session._get_current_object() is shop.sessions.current  # type: ignore[attr-defined]
        return str(shop.sessions.data.user_id)

    assert shop.does(view).text == "7"


def test_flashes_are_shown_once(shop: Shop) -> None:
    shop.does(lambda: flash("hello", "greeting"))
    shows = [shop.does(lambda: str(get_flashed_messages(with_categories=True))).text for _ in range(2)]
    assert shows == ["[('greeting', 'hello')]", "[]"]


def test_a_frozen_visitor_is_replaced() -> None:
    @frozen
    class Frozen:
        user_id: int | None = None

    app = Flask(__name__)
    app.secret_key = SECRET
    sessions = Sessions(Frozen, app)

    @app.get("/")
    def view() -> str:
        sessions.replace(evolve(sessions.data, user_id=7))
        return ""

    client = app.test_client()
    client.get("/")
    with sessions.transaction(client) as session:
        assert session.data == Frozen(7)


def test_clearing_deletes_the_cookie(shop: Shop) -> None:
    shop.does(lambda: flask_session.update(user_id=7))

    def view() -> None:
        flask_session.clear()

    shop.does(view)
    assert cookie_of(shop.client) is None


def test_a_permanent_session_gets_an_expiry_and_keeps_it_for_a_tenth_of_its_life(shop: Shop) -> None:
    def stay() -> None:
        shop.sessions.current.permanent = True

    assert "Expires=" in set_cookies(shop.does(stay))[0]
    assert set_cookies(shop.does(lambda: flask_session.get("user_id"))) == []


@pytest.mark.parametrize("looks_up", [False, True], ids=["untouched", "looked up"])
def test_a_permanent_session_is_refreshed_also_if_only_flask_says_it_was_used(shop: Shop, *, looks_up: bool) -> None:
    now = [time.time()]
    shop.sessions._interface._applications.clock = lambda: now[0]
    shop.client.set_cookie("session", shop.sessions.cookie_for(Visitor(7), permanent=True))
    for days in (1, 4):
        now[0] += timedelta(days=days).total_seconds()
        response = shop.does(lambda: str(looks_up and type(shop.sessions.current)))
        assert len(set_cookies(response)) == (days == 4)
        assert ("Vary" in response.headers) is (looks_up or days == 4)
    assert shop.does(lambda: str(shop.sessions.data.user_id)).text == "7"


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
def test_each_serializer_is_selected_by_config(serializer: str) -> None:
    shop = make_shop(SESSION_SERIALIZER=serializer)
    shop.does(lambda: shop.sessions.data.cart.append(Item("apple", 2)))
    assert shop.does(lambda: shop.sessions.data.cart[0].sku).text == "apple"


def test_wrong_types_and_keys_are_refused_where_they_are_set() -> None:
    shop = make_shop(SESSION_EXTRAS="forbid")

    def view() -> None:
        with pytest.raises(FieldTypeError):
            flask_session["user_id"] = "7"
        with pytest.raises(UndeclaredKeyError, match='did you mean "user_id"'):
            flask_session["usr_id"] = 7

    assert shop.does(view).status_code == 200


def test_what_would_not_read_back_is_an_error_and_the_cookie_stays() -> None:
    shop = make_shop(TESTING=False)
    shop.does(lambda: flask_session.update(user_id=7))
    before = cookie_of(shop.client)

    def view() -> None:
        shop.sessions.data.user_id = "seven"  # type: ignore[assignment]

    response = shop.does(view)
    assert response.status_code == 500
    assert "Cookie" in response.headers["Vary"]
    assert cookie_of(shop.client) == before


def test_the_error_of_a_save_reaches_the_handlers_of_the_application(shop: Shop) -> None:
    """Flask has made its response by then, and looks for handlers of a 500 only."""
    shop.app.config["PROPAGATE_EXCEPTIONS"] = False
    shop.app.register_error_handler(500, lambda error: (type(error.original_exception).__name__, 500))

    def view() -> None:
        shop.sessions.data.user_id = "seven"  # type: ignore[assignment]

    assert shop.does(view).text == SerializationError.__name__


# What Flask offers


def test_a_session_transaction_is_what_flask_says_it_is(shop: Shop) -> None:
    with shop.client.session_transaction() as session:
        assert isinstance(session, SecureCookieSession)
        session["user_id"] = 7
    assert shop.does(lambda: str(shop.sessions.data.user_id)).text == "7"


def test_a_transaction_takes_the_path_that_the_cookie_is_bound_to() -> None:
    shop = make_shop(SESSION_COOKIE_PATH="/view")
    with shop.sessions.transaction(shop.client, "/view") as session:
        session.data.user_id = 7
    assert shop.does(lambda: str(shop.sessions.data.user_id)).text == "7"


def test_a_cookie_is_made_for_a_visitor(shop: Shop) -> None:
    shop.client.set_cookie("session", shop.sessions.cookie_for(Visitor(7)))
    assert shop.does(lambda: str(shop.sessions.data.user_id)).text == "7"


def test_a_test_request_context_has_a_session(shop: Shop) -> None:
    with shop.app.test_request_context("/", headers={"Cookie": f"session={shop.sessions.cookie_for(Visitor(7))}"}):
        assert shop.sessions.data.user_id == 7
        assert shop.sessions.save()
        assert shop.sessions.reload()


def test_a_test_may_look_at_the_session_of_the_last_request(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with shop.client:
        shop.does(lambda: flask_session.update(user_id=7))
        assert shop.sessions.data.user_id == flask_session["user_id"] == 7
    assert caplog.text == ""


def test_another_thread_with_a_copy_of_the_context_has_the_same_session(shop: Shop) -> None:
    def view() -> None:
        @copy_current_request_context
        def work() -> None:
            shop.sessions.data.user_id = 7

        with ThreadPoolExecutor(1) as threads:
            threads.submit(work).result()

    shop.does(view)
    assert shop.does(lambda: str(shop.sessions.data.user_id)).text == "7"


def test_an_async_view_reads_and_changes_and_saves(shop: Shop) -> None:
    @shop.app.get("/async")
    async def asynchronous() -> str:
        shop.sessions.data.cart.append(Item("apple"))
        assert shop.sessions.save()
        return ""

    shop.client.get("/async")
    assert shop.does(lambda: str(len(shop.sessions.data.cart))).text == "1"


def test_templates_see_the_session(shop: Shop) -> None:
    shop.does(lambda: flask_session.update(user_id=7))
    response = shop.does(lambda: render_template_string("{{ session.user_id }} {{ session|tojson }}"))
    assert response.text == '7 {"user_id": 7}'
    assert response.headers["Vary"] == "Cookie"


def test_blueprints_and_their_teardown_have_the_session(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    blueprint = Blueprint("cart", __name__, url_prefix="/cart")

    @blueprint.get("/")
    def view() -> str:
        return str(shop.sessions.data.user_id)

    @blueprint.teardown_request
    def teardown(_error: BaseException | None) -> None:
        shop.sessions.data.user_id = 8

    shop.app.register_blueprint(blueprint)
    assert shop.client.get("/cart/").text == "None"
    assert caplog.text.count("session change is lost") == 1


def test_sessions_serve_several_applications_and_know_which_one_is_at_work() -> None:
    sessions, apps = Sessions(Visitor), [Flask("first"), Flask("second")]
    for app in apps:
        app.secret_key = f"the key of the {app.name} application"
        sessions.init_app(app)
        app.add_url_rule("/", "view", lambda: str(sessions.data.user_id))
    for app in apps:
        client = app.test_client()
        client.set_cookie("session", sessions.cookie_for(Visitor(7), app=app))
        assert client.get("/").text == "7"
    assert sessions.cookie_for(Visitor(7)).split(".")[0] == sessions.cookie_for(Visitor(7), app=apps[1]).split(".")[0]


def test_a_second_init_app_registers_nothing_more(shop: Shop) -> None:
    teardown = list(shop.app.teardown_request_funcs[None])
    shop.sessions.init_app(shop.app)
    assert shop.app.teardown_request_funcs[None] == teardown


def test_a_shell_has_no_session_and_says_so(shop: Shop) -> None:
    with shop.app.app_context():
        for use in (lambda: shop.sessions.data, shop.sessions.save, shop.sessions.reload):
            with pytest.raises(RuntimeError, match="request"):
                use()
        assert shop.sessions.cookie_for(Visitor(7))


def test_a_stream_that_comes_to_the_session_late_is_told(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The response was sent by then, without `Vary`, and without what the stream changes."""

    def view() -> flask.Response:
        def body() -> Iterator[str]:
            yield "a"
            shop.sessions.data.user_id = 7
            yield str(shop.sessions.data.user_id)

        return flask.Response(flask.stream_with_context(body()))

    assert shop.does(view).text == "a7"
    assert caplog.text.count("session used after it was saved") == 1, caplog.text
    assert caplog.text.count("session change is lost") == 1


def test_a_stream_reads_what_the_view_has_read(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.does(lambda: flask_session.update(user_id=7))

    def view() -> flask.Response:
        data = shop.sessions.data

        def body() -> Iterator[str]:
            yield str(data.user_id)
            yield str(flask_session["user_id"])

        return flask.Response(flask.stream_with_context(body()))

    assert shop.does(view).text == "77"
    assert caplog.text == ""


# Reports


def test_signals_tell_of_refused_cookies_and_reset_fields(shop: Shop) -> None:
    refused, reset = list[Refused](), list[FieldReset]()
    with (
        session_refused.connected_to(lambda _app, report: refused.append(report), sender=shop.app),
        field_reset.connected_to(lambda _app, report: reset.append(report), sender=shop.app),
    ):
        shop.client.set_cookie("session", "forged")
        shop.does(lambda: shop.sessions.data.user_id)
        stock = Flask("stock")
        stock.secret_key = SECRET
        signer = StockInterface().get_signing_serializer(stock)
        assert signer is not None
        shop.client.set_cookie("session", str(signer.dumps({"user_id": "seven"})))
        shop.does(lambda: shop.sessions.data.user_id)
    assert [report.reason for report in refused] == [Reason.MALFORMED]
    assert [report.field for report in reset] == ["user_id"]


def test_a_change_after_the_save_is_lost_and_reported_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    def view() -> None:
        shop.sessions.data.user_id = 7

    @shop.app.teardown_request
    def teardown(_error: BaseException | None) -> None:
        shop.sessions.data.user_id = 8
        assert not shop.sessions.save()

    shop.does(view)
    assert caplog.text.count("session change is lost") == 1
    assert shop.sessions.schema.fields.keys() == {"user_id", "cart"}


# Set-up


def test_without_a_secret_key_the_session_reads_as_empty_and_says_what_is_missing() -> None:
    shop = make_shop(SECRET_KEY=None)

    def view() -> str:
        assert isinstance(shop.sessions.current, NullSession)
        assert dict(flask_session) == {}
        assert shop.sessions.save()
        with pytest.raises(RuntimeError, match="SECRET_KEY"):
            flask_session["user_id"] = 7
        return "fine"

    assert shop.does(view).text == "fine"


@pytest.mark.parametrize(
    "config",
    [{"SESSION_COOKIE_SAMESITE": "None"}, {"SESSION_PURGE_EVERY": timedelta(1)}, {"SESSION_SERIALIZER": "xml"}],
)
def test_a_wrong_setting_is_the_first_requests_error_and_the_only_one(
    config: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(TESTING=False, **config)
    assert shop.does(lambda: None).status_code == 500
    logged = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert logged[0] is ConfigurationError
    assert len(logged) <= TRIES
    shop.app.config["TESTING"] = True
    with pytest.raises(ConfigurationError, match="SESSION_"):
        shop.does(lambda: None)


def test_what_one_tries_first_is_told_what_to_write_instead() -> None:
    app: Any = Flask("a")
    with pytest.raises(ConfigurationError, match=r"Sessions\(Visitor, app\)"):
        Sessions(app, Visitor)  # type: ignore[call-overload]  # that is what is wrong
    with pytest.raises(ConfigurationError, match=r"typed_sessions\.flask takes a Flask application as app, not type"):
        Sessions(Visitor, Visitor)  # type: ignore[call-overload]  # as above


def test_a_session_of_another_interface_is_told_from_one_of_ours(shop: Shop) -> None:
    shop.app.session_interface = StockInterface()

    def view() -> None:
        with pytest.raises(RuntimeError, match="another session interface; call init_app"):
            _ = shop.sessions.current

    assert shop.does(view).status_code == 200


@pytest.mark.parametrize("missing", ["flask", "blinker", "werkzeug"])
def test_without_the_extra_the_import_names_it(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import typed_sessions.flask"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert ended.returncode == 1
    assert "pip install 'typed_sessions[flask]'" in ended.stderr.splitlines()[-1]


def test_it_needs_no_quart() -> None:
    program = "import sys; sys.modules['quart'] = None; import typed_sessions.flask"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 -- our own


# The drop-in


def stock_with(interface: Any = None) -> Flask:
    app = Flask("stock")
    app.secret_key = SECRET
    if interface is not None:
        app.session_interface = interface

    @app.get("/add/<name>")
    def add(name: str) -> dict[str, Any]:
        flask_session[name] = {"b": (1, b"2"), "a": name}
        return {"names": list(flask_session)}

    return app


def payload_of(cookie: str) -> bytes:
    """Return what is signed in a cookie; stock Flask compresses it from a smaller size on."""
    text = base64_decode(cookie.removeprefix(".").split(".")[0])
    return zlib.decompress(text) if cookie.startswith(".") else text


@pytest.mark.parametrize("schema", [None, Visitor], ids=["no schema", "a schema"])
def test_payloads_are_stock_flasks_byte_for_byte(schema: Any) -> None:
    """With sorted keys, at each depth, as Flask writes inside of its application context."""
    interface = SecureCookieSessionInterface(schema, serializer=TaggedJSONSerializer(sort_keys=True))
    clients = [stock_with(interface).test_client(), stock_with().test_client()]
    for name in ("z", "y", "user"):
        for client in clients:
            client.get(f"/add/{name}")
        ours, stocks = [payload_of(cookie_of(client) or "") for client in clients]
        assert ours == stocks


def test_a_visitor_goes_to_and_fro_between_stock_flask_and_here() -> None:
    apps = [stock_with(SecureCookieSessionInterface(Visitor)), stock_with()]
    cookie, names = None, "abcdef"
    for at, name in enumerate(names):
        client = apps[at % 2].test_client()
        if cookie is not None:
            client.set_cookie("session", cookie)
        assert client.get(f"/add/{name}").get_json()["names"] == list(names[: at + 1])
        cookie = cookie_of(client)


def test_a_subclass_has_its_own_word() -> None:
    class Interface(SecureCookieSessionInterface[Visitor]):
        salt = "of its own"  # type: ignore[mutable-override]  # as Flask's own, but for bytes

        @override
        def get_cookie_name(self, app: Any) -> str:
            return f"session-of-{flask.request.args.get('tenant', 'nobody')}"

    app = stock_with(Interface(Visitor))
    response = app.test_client().get("/add/a?tenant=shop")
    assert set_cookies(response)[0].startswith("session-of-shop=")
    assert app.session_interface.get_signing_serializer(app).salt == b"of its own"  # type: ignore[attr-defined]


def test_the_bare_interface_refreshes_a_permanent_session_with_each_response() -> None:
    app = stock_with(SecureCookieSessionInterface())
    app.config["SESSION_REFRESH_EACH_REQUEST"] = True
    client = app.test_client()
    with client.session_transaction() as session:
        session.permanent = True
    app.add_url_rule("/", "nothing", lambda: "")
    assert len(set_cookies(client.get("/"))) == 1


def test_logging_is_what_reports_go_to(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shop.client.set_cookie("session", "forged")
    shop.does(lambda: shop.sessions.data.user_id)
    assert "session cookie refused" in caplog.text
