"""A Quart application on typed sessions, used by Quart's own test client."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import flask
import flask.sessions
import pytest
from attrs import Factory, define, evolve, frozen
from itsdangerous import URLSafeTimedSerializer
from quart import (
    Blueprint,
    Quart,
    Response,
    copy_current_request_context,
    flash,
    get_flashed_messages,
    render_template_string,
    request,
    stream_with_context,
    websocket,
)
from quart import Request as QuartRequest
from quart import session as quart_session
from quart.testing import QuartClient, WebsocketResponseError
from quart.testing.app import LifespanError
from typing_extensions import override
from werkzeug.datastructures import Headers

from typed_sessions import (
    ConfigurationError,
    CookieTooLargeError,
    Essential,
    FieldTypeError,
    NullSession,
    SecureCookieSessionInterface,
    SerializationError,
    Session,
    UndeclaredKeyError,
)
from typed_sessions.quart import Sessions, field_reset, session_refused
from typed_sessions.reports import FieldReset, Reason, Refused

SECRET = "a secret key that is long enough"


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
    """An application, its sessions, and routes for what the tests do."""

    app: Quart
    sessions: Sessions[Visitor]

    def client(self) -> QuartClient:
        return QuartClient(self.app)


def make_shop(**config: object) -> Shop:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, **config)
    shop = Shop(app, Sessions(Visitor, app))
    sessions = shop.sessions

    @app.get("/nothing")
    async def nothing() -> str:
        return ""

    @app.get("/read")
    async def read() -> str:
        return str(sessions.data.user_id)

    @app.get("/login/<int:user>")
    async def login(user: int) -> str:
        sessions.data.user_id = user
        return ""

    @app.get("/stay")
    async def stay() -> str:
        sessions.current.permanent = True
        return ""

    @app.get("/add/<sku>")
    async def add(sku: str) -> str:
        sessions.data.cart.append(Item(sku))
        return str(len(sessions.data.cart))

    @app.get("/clear")
    async def clear() -> str:
        sessions.current.clear()
        return ""

    return shop


@pytest.fixture
def shop() -> Shop:
    return make_shop()


def set_cookies(response: Any) -> list[str]:
    headers: Headers = response.headers
    return headers.getlist("Set-Cookie")


def stock(**config: object) -> Quart:
    """An application on Quart's own sessions, with the same secret key."""
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, **config)
    return app


async def text(response: Any) -> str:
    body: str = await response.get_data(as_text=True)
    return body


async def get(client: Any, path: str, **options: Any) -> Any:
    return await client.get(path, **options)


async def test_a_nested_append_is_saved(shop: Shop) -> None:
    client = shop.client()
    assert [await text(await get(client, f"/add/{sku}")) for sku in "abc"] == ["1", "2", "3"]
    async with shop.sessions.transaction(client) as session:
        assert session.data.cart == [Item("a"), Item("b"), Item("c")]


async def test_nothing_is_set_and_nothing_varies_when_the_session_is_not_used(shop: Shop) -> None:
    client = shop.client()
    await get(client, "/login/7")
    response = await get(client, "/nothing")
    assert set_cookies(response) == []
    assert "Vary" not in response.headers


async def test_a_read_varies_by_cookie_and_sets_none(shop: Shop) -> None:
    client = shop.client()
    await get(client, "/login/7")
    response = await get(client, "/read")
    assert await text(response) == "7"
    assert set_cookies(response) == []
    assert response.headers["Vary"] == "Cookie"


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        pytest.param(["Accept-Encoding, Accept-Language"], "Accept-Encoding, Accept-Language, Cookie", id="one-header"),
        pytest.param(["Accept-Encoding", "Origin"], "Accept-Encoding, Origin, Cookie", id="several-headers"),
        pytest.param(["cookie"], "cookie", id="named-already"),
        pytest.param(["*"], "*", id="everything"),
        pytest.param([""], "Cookie", id="empty"),
    ],
)
async def test_what_a_page_varies_by_already_is_kept(shop: Shop, present: list[str], expected: str) -> None:
    @shop.app.get("/varying")
    async def varying() -> Response:
        shop.sessions.data.user_id = 7
        response = Response("")
        for value in present:
            response.headers.add("Vary", value)
        return response

    response = await get(shop.client(), "/varying")
    assert response.headers.getlist("Vary") == [expected]


async def test_an_equal_value_sets_no_cookie(shop: Shop) -> None:
    client = shop.client()
    await get(client, "/login/7")
    assert set_cookies(await get(client, "/login/7")) == []


async def test_clearing_deletes_the_cookie_with_all_its_attributes() -> None:
    shop = make_shop(
        SERVER_NAME="shop.example.com",
        APPLICATION_ROOT="/shop",
        SESSION_COOKIE_NAME="sid",
        SESSION_COOKIE_DOMAIN=".example.com",
        SESSION_COOKIE_PATH="/p",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_SAMESITE="none",
        SESSION_COOKIE_PARTITIONED=True,
    )
    cookie = shop.sessions.cookie_for(Visitor(user_id=7))
    response = await get(shop.client(), "/clear", headers={"Cookie": f"sid={cookie}"})
    (deleting,) = set_cookies(response)
    assert deleting == (
        "sid=; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure; Path=/p; SameSite=None;"
        " Partitioned"
    )
    assert response.headers["Vary"] == "Cookie"


async def test_clearing_an_empty_session_sets_nothing(shop: Shop) -> None:
    assert set_cookies(await get(shop.client(), "/clear")) == []


@pytest.mark.parametrize("cookie", ["forged", "reset"])
async def test_a_log_out_deletes_a_cookie_that_this_instance_could_not_read(shop: Shop, cookie: str) -> None:
    text = Sessions(app=stock()).cookie_for({"user_id": "a name"}) if cookie == "reset" else "a.b.c"
    response = await get(shop.client(), "/clear", headers={"Cookie": f"session={text}"})
    (deleting,) = set_cookies(response)
    assert "Max-Age=0" in deleting


async def test_settings_that_change_between_requests_count(shop: Shop) -> None:
    client = shop.client()
    await get(client, "/login/7")
    shop.app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    shop.app.config["SECRET_KEY_FALLBACKS"] = [SECRET]
    shop.app.secret_key = "another secret key, newer than that"
    assert await text(await get(client, "/read")) == "7"
    (cookie,) = set_cookies(await get(client, "/login/8"))
    assert "SameSite=Lax" in cookie
    shop.app.config["SECRET_KEY_FALLBACKS"].clear()
    assert await text(await get(client, "/read")) == "8"


class Overridden(QuartRequest):
    """A request whose cookies come in a header of their own."""

    @property
    @override
    def cookies(self) -> Any:
        return {"session": self.headers["X-Session"]}


@pytest.mark.parametrize("way", ["header", "parsed before", "quoted", "beside a quoted one", "assigned", "overridden"])
async def test_a_cookie_is_found_however_a_request_has_it(shop: Shop, way: str) -> None:
    value = shop.sessions.cookie_for(Visitor(user_id=7))
    headers = Headers({"Cookie": f"session={value}", "X-Session": value})

    async def look_before() -> None:
        assert request.cookies["session"] == value

    async def assign() -> None:
        setattr(request, "cookies", {"session": value})  # noqa: B010 -- which has no setter to type checkers

    match way:
        case "parsed before":
            shop.app.before_request(look_before)
        case "quoted":
            headers["Cookie"] = f'session="{value}"'
        case "beside a quoted one":
            headers["Cookie"] = f'other="a, b"; session={value}'
        case "assigned":
            headers["Cookie"] = "session=none"
            shop.app.before_request(assign)
        case "overridden":
            headers["Cookie"] = "session=none"
            shop.app.request_class = Overridden
        case _:
            pass
    assert await text(await shop.client().get("/read", headers=headers)) == "7"


async def test_a_visitor_whose_key_is_gone_starts_anew_and_keeps_the_cookie(shop: Shop) -> None:
    client = shop.client()
    await get(client, "/login/7")
    shop.app.secret_key = "another secret key, newer than that"
    response = await get(client, "/read")
    assert (response.status_code, await text(response), set_cookies(response)) == (200, "None", [])
    shop.app.secret_key = SECRET
    assert await text(await get(client, "/read")) == "7"


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "ÿ", "." * 50])
async def test_a_bad_cookie_never_fails_a_request(shop: Shop, value: str) -> None:
    response = await get(shop.client(), "/read", headers={"Cookie": f"session={value}"})
    assert (response.status_code, await text(response)) == (200, "None")


async def test_the_first_genuine_one_of_several_cookies_counts(shop: Shop) -> None:
    genuine = shop.sessions.cookie_for(Visitor(user_id=7))
    cookies = f"session=forged; session={genuine}; session={shop.sessions.cookie_for(Visitor(user_id=8))}"
    assert await text(await get(shop.client(), "/read", headers={"Cookie": cookies})) == "7"


@frozen
class FrozenVisitor:
    user_id: int | None = None


async def test_a_frozen_object_is_replaced() -> None:
    app = stock()
    sessions = Sessions(FrozenVisitor, app)

    @app.get("/<int:user>")
    async def login(user: int) -> str:
        sessions.replace(evolve(sessions.data, user_id=user))
        return ""

    client = app.test_client()
    await client.get("/7")
    async with sessions.transaction(client) as session:
        assert session.data == FrozenVisitor(7)


async def test_current_needs_a_request_and_the_interface(shop: Shop) -> None:
    with pytest.raises(RuntimeError):
        _ = shop.sessions.current
    other = stock()
    async with other.test_request_context("/"):
        with pytest.raises(RuntimeError, match="init_app"):
            _ = shop.sessions.current


async def test_one_sessions_object_serves_several_applications() -> None:
    sessions = Sessions(Visitor)
    first, second = stock(), stock(SESSION_COOKIE_NAME="other")
    for app in (first, second):
        sessions.init_app(app)
    cookie = sessions.cookie_for(Visitor(user_id=7))  # of the latest
    async with second.test_request_context("/", headers={"Cookie": f"other={cookie}"}):
        assert sessions.data.user_id == 7
        assert sessions.cookie_for(Visitor(user_id=7))


async def test_cookie_for_can_be_permanent(shop: Shop) -> None:
    cookie = shop.sessions.cookie_for(Visitor(user_id=7), permanent=True)
    async with shop.app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        assert shop.sessions.current.permanent


async def test_cookie_for_needs_a_secret_key_and_a_visitor_that_fits(shop: Shop) -> None:
    with pytest.raises(FieldTypeError):
        shop.sessions.cookie_for(Visitor(user_id="7"))  # type: ignore[arg-type]  # the misuse
    shop.app.secret_key = None
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        shop.sessions.cookie_for(Visitor())


async def test_code_that_knows_only_quart_works_unchanged(shop: Shop) -> None:
    @shop.app.get("/quart")
    async def quart() -> str:
        quart_session["user_id"] = 7
        await flash("hello", "info")
        quart_session["csrf_token"] = "t"
        return repr(quart_session.get("cart", "no cart"))

    @shop.app.get("/flashed")
    async def flashed() -> str:
        return json.dumps(get_flashed_messages(with_categories=True))

    client = shop.client()
    assert await text(await get(client, "/quart")) == "'no cart'"
    async with shop.sessions.transaction(client) as session:
        assert session.data == Visitor(user_id=7)
        assert dict(session.extras) == {"_flashes": [("info", "hello")], "csrf_token": "t"}
    assert json.loads(await text(await get(client, "/flashed"))) == [["info", "hello"]]
    assert json.loads(await text(await get(client, "/flashed"))) == []


async def test_quarts_own_session_transaction_works(shop: Shop) -> None:
    client = shop.client()
    async with client.session_transaction() as session:
        session["user_id"] = 7
    assert await text(await get(client, "/read")) == "7"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("{% if session %}{{ session }}{% endif %}", "user_id", id="repr-after-bool"),
        pytest.param("{% if session %}yes{% endif %}", "yes", id="bool"),
        pytest.param("{{ session.user_id }}", "7", id="key"),
        pytest.param("{{ session['user_id'] }}", "7", id="item"),
        pytest.param("{{ session.data.cart | length }}", "0", id="data"),
    ],
)
async def test_a_template_that_uses_the_session_varies_by_cookie(shop: Shop, template: str, expected: str) -> None:
    @shop.app.get("/template")
    async def page() -> str:
        return await render_template_string(template)

    client = shop.client()
    await get(client, "/login/7")
    response = await get(client, "/template")
    assert expected in await text(response)
    assert response.headers["Vary"] == "Cookie"


async def test_a_template_that_shows_a_session_shows_nothing_of_one_that_was_not_used(shop: Shop) -> None:
    @shop.app.get("/template")
    async def page() -> str:
        return await render_template_string("{{ session }}")

    client = shop.client()
    await get(client, "/login/7")
    response = await get(client, "/template")
    assert await text(response) == "&lt;SecureCookieSession, not opened&gt;"
    assert "Vary" not in response.headers


async def test_hooks_and_blueprints_share_the_session(shop: Shop) -> None:
    blueprint = Blueprint("b", __name__)

    @blueprint.get("/b")
    async def page() -> str:
        return str(shop.sessions.data.user_id)

    @shop.app.before_request
    async def before() -> None:
        shop.sessions.data.user_id = 5

    @shop.app.after_request
    async def after(response: Response) -> Response:
        shop.sessions.data.cart.append(Item("after"))
        return response

    shop.app.register_blueprint(blueprint)
    client = shop.client()
    assert await text(await get(client, "/b")) == "5"
    async with shop.sessions.transaction(client) as session:
        assert session.data == Visitor(5, [Item("after")])


async def test_a_background_task_reads_and_its_change_is_reported_as_lost(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int | None] = []
    saved = asyncio.Event()

    @shop.app.get("/task")
    async def task() -> str:
        @copy_current_request_context
        async def later() -> None:
            await saved.wait()
            seen.append(shop.sessions.data.user_id)
            shop.sessions.current["user_id"] = 9

        shop.app.add_background_task(later)
        return ""

    async with shop.app.test_app():
        client = shop.client()
        await get(client, "/login/7")
        await get(client, "/task")
        saved.set()
        await asyncio.gather(*shop.app.background_tasks)
        assert await text(await get(client, "/read")) == "7"
    assert seen == [7]
    assert "a session change is lost" in caplog.text


async def test_a_stream_reads_and_its_change_is_reported_as_lost(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    @shop.app.get("/stream")
    async def stream() -> AsyncGenerator[str, None]:
        @stream_with_context
        async def body() -> AsyncGenerator[str, None]:
            yield str(shop.sessions.data.user_id)
            shop.sessions.current["user_id"] = 9

        chunks: AsyncGenerator[str, None] = body()
        return chunks

    client = shop.client()
    await get(client, "/login/7")
    assert await text(await get(client, "/stream")) == "7"
    assert "a session change is lost" in caplog.text
    assert await text(await get(client, "/read")) == "7"


async def test_a_websocket_reads_the_session(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    @shop.app.websocket("/ws")
    async def ws() -> None:
        await websocket.send(str(shop.sessions.data.user_id))

    client = shop.client()
    await get(client, "/login/7")
    async with client.websocket("/ws") as socket:
        assert await socket.receive() == "7"
    assert caplog.records == []


async def test_a_websocket_that_is_refused_has_a_response_which_carries_the_cookie(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    @shop.app.websocket("/refused")
    async def refused() -> tuple[str, int]:
        shop.sessions.data.user_id = 9
        return "not now", 403

    with pytest.raises(WebsocketResponseError) as caught:
        async with shop.client().websocket("/refused") as socket:
            await socket.receive()
    (cookie,) = set_cookies(caught.value.response)
    value = cookie.partition("=")[2].partition(";")[0]
    assert await text(await get(shop.client(), "/read", headers={"Cookie": f"session={value}"})) == "9"
    assert caplog.records == []


@pytest.mark.parametrize("nested", [False, True], ids=["by-key", "nested"])
async def test_a_change_in_a_websocket_is_reported_with_the_way_out(
    shop: Shop, caplog: pytest.LogCaptureFixture, nested: bool
) -> None:
    done = asyncio.Event()

    @shop.app.websocket("/ws")
    async def ws() -> None:
        await websocket.accept()
        if nested:
            shop.sessions.data.cart.append(Item("a"))
        else:
            shop.sessions.current["user_id"] = 9
        await websocket.send("done")

    @shop.app.teardown_websocket
    async def teardown(_: BaseException | None) -> None:
        done.set()

    client = shop.client()
    async with client.websocket("/ws") as socket:
        await socket.receive()
    await asyncio.wait_for(done.wait(), 5)
    (record,) = [record for record in caplog.records if record.name == "typed_sessions"]
    assert record.levelno == logging.ERROR
    assert "change the session in a request" in record.getMessage()


async def test_contents_that_would_not_come_back_are_an_error_and_the_cookie_stays(shop: Shop) -> None:
    saves: list[int] = []

    @shop.app.get("/wrong")
    async def wrong() -> str:
        shop.sessions.data.user_id = "7"  # type: ignore[assignment]  # the misuse
        return ""

    @shop.app.errorhandler(500)
    async def handler(error: Any) -> tuple[str, int]:
        saves.append(1)
        assert isinstance(error.original_exception, SerializationError)
        return "sorry", 500

    client = shop.client()
    await get(client, "/login/7")
    response = await get(client, "/wrong")
    assert (response.status_code, await text(response)) == (500, "sorry")
    assert set_cookies(response) == []
    assert response.headers["Vary"] == "Cookie"
    assert saves == [1]
    assert await text(await get(client, "/read")) == "7"


async def test_a_cookie_that_browsers_would_drop_is_an_error_before_anything_is_sent(shop: Shop) -> None:
    shop.app.testing = True
    client = shop.client()
    await get(client, "/login/7")
    with pytest.raises(CookieTooLargeError, match="MAX_COOKIE_SIZE") as caught:
        async with shop.sessions.transaction(client) as session:
            session["noise"] = "".join(chr(33 + n * n % 90) + str(n) for n in range(2000))
    assert caught.value.size > caught.value.limit == 4093
    assert await text(await get(client, "/read")) == "7"


async def test_oversize_can_be_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop(SESSION_ON_OVERSIZE="warn", MAX_COOKIE_SIZE=100)
    (cookie,) = set_cookies(await get(shop.client(), "/add/" + "a" * 90))
    assert len(cookie) > 100
    assert "browsers may drop it past 100" in caplog.text


@pytest.mark.parametrize("spare", [0, -1])
async def test_the_whole_text_counts_against_the_limit(spare: int) -> None:
    shop = make_shop()
    (cookie,) = set_cookies(await get(shop.client(), "/login/7"))
    shop.app.config["MAX_COOKIE_SIZE"] = len(cookie) + spare
    response = await get(shop.client(), "/login/7")
    assert response.status_code == (200 if spare == 0 else 500)


async def test_no_limit_is_no_limit() -> None:
    shop = make_shop(MAX_COOKIE_SIZE=0)
    noise = "".join(chr(97 + n * n % 26) for n in range(9000))
    client = shop.client()
    async with shop.sessions.transaction(client) as session:
        session["noise"] = noise
    async with shop.sessions.transaction(client) as session:
        assert session["noise"] == noise


async def test_extras_are_forbidden_by_setting() -> None:
    shop = make_shop(SESSION_EXTRAS="forbid", TESTING=True)
    async with shop.app.test_request_context("/"):
        session = shop.sessions.current
        session["_flashes"] = []
        with pytest.raises(UndeclaredKeyError):
            session["usr_id"] = 7


async def test_forbidden_extras_of_a_payload_are_kept_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop()
    client = shop.client()
    async with shop.sessions.transaction(client) as session:
        session["newer"] = 1
    shop.app.config["SESSION_EXTRAS"] = {"other"}
    await get(client, "/login/7")
    assert "1 undeclared key(s)" in caplog.text
    shop.app.config["SESSION_EXTRAS"] = "keep"
    async with shop.sessions.transaction(client) as session:
        assert session["newer"] == 1


@define
class Clock:
    time: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


def on_clock(refresh_fraction: float = 0.0, **config: object) -> tuple[Quart, Clock]:
    clock = Clock()
    app = stock(PERMANENT_SESSION_LIFETIME=timedelta(seconds=1000), **config)
    interface = SecureCookieSessionInterface(Visitor, refresh_fraction=refresh_fraction, clock=clock)
    setattr(app, "session_interface", interface)  # noqa: B010 -- as Sessions.init_app does

    @app.get("/stay")
    async def stay() -> str:
        quart_session.permanent = True
        return ""

    @app.get("/read")
    async def read() -> str:
        return str(quart_session.permanent)

    @app.get("/nothing")
    async def nothing() -> str:
        return ""

    return app, clock


async def test_the_bare_interface_refreshes_a_permanent_session_with_every_response() -> None:
    app, clock = on_clock()
    client = app.test_client()
    await client.get("/stay")
    clock.time += 1
    response = await client.get("/nothing")
    (cookie,) = set_cookies(response)
    assert "Expires=" in cookie
    assert response.headers["Vary"] == "Cookie"


@pytest.mark.parametrize("path", ["/nothing", "/read"])
async def test_a_refresh_waits_until_the_cookie_is_old_enough(path: str) -> None:
    app, clock = on_clock(refresh_fraction=0.1)
    client = app.test_client()
    await client.get("/stay")
    clock.time += 99
    assert set_cookies(await client.get(path)) == []
    clock.time += 1
    assert len(set_cookies(await client.get(path))) == 1
    clock.time += 999
    assert await text(await client.get("/read")) == "True"


async def test_the_setting_beats_the_argument() -> None:
    app, clock = on_clock(refresh_fraction=0.1, SESSION_REFRESH_AFTER=timedelta(seconds=5))
    client = app.test_client()
    await client.get("/stay")
    clock.time += 5
    assert len(set_cookies(await client.get("/nothing"))) == 1


async def test_no_refresh_where_the_setting_says_none() -> None:
    app, clock = on_clock(SESSION_REFRESH_EACH_REQUEST=False)
    client = app.test_client()
    await client.get("/stay")
    clock.time += 500
    assert set_cookies(await client.get("/read")) == []


async def test_a_session_ends_with_its_lifetime() -> None:
    app, clock = on_clock(SESSION_REFRESH_EACH_REQUEST=False)
    client = app.test_client()
    await client.get("/stay")
    clock.time += 1001
    assert await text(await client.get("/read")) == "False"


async def test_a_clock_that_is_a_little_behind_is_forgiven() -> None:
    app, clock = on_clock()
    client = app.test_client()
    await client.get("/stay")
    clock.time -= 30
    assert await text(await client.get("/read")) == "True"
    clock.time -= 1
    assert await text(await client.get("/read")) == "False"


async def test_a_refresh_keeps_what_this_release_cannot_read() -> None:
    app, clock = on_clock()
    interface = SecureCookieSessionInterface(clock=clock)
    sealed = interface.get_signing_serializer(app)
    assert isinstance(sealed, URLSafeTimedSerializer)
    other, _ = on_clock()
    old = SecureCookieSessionInterface(clock=clock)
    session = await old.open_session(other, Request())
    assert session is not None
    session.update({"user_id": "a name", "_permanent": True})
    cookie = old.seal(other, session)
    clock.time = 1_800_000_001.0
    (refreshed,) = set_cookies(await app.test_client().get("/read", headers={"Cookie": f"session={cookie}"}))
    value = refreshed.partition("=")[2].partition(";")[0]
    back = await old.open_session(other, Request({"session": value}))
    assert back == {"user_id": "a name", "_permanent": True}


@define
class Request:
    """The least that an interface needs of a request."""

    cookies: dict[str, str] = Factory(dict[str, str])


async def test_a_refused_cookie_sends_a_signal_and_a_log_record(caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop()
    heard: list[tuple[object, Refused]] = []

    def receive(sender: object, report: Refused) -> None:
        heard.append((sender, report))

    with caplog.at_level(logging.DEBUG, "typed_sessions"), session_refused.connected_to(receive):
        await get(shop.client(), "/read", headers={"Cookie": "session=a.b.c"})
        await get(shop.client(), "/nothing", headers={"Cookie": "session=a.b.c"})
    assert heard == [(shop.app, Refused(Reason.SIGNATURE))]
    assert [record.levelno for record in caplog.records if record.name == "typed_sessions"] == [logging.DEBUG]


async def test_a_signed_cookie_that_cannot_be_read_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop()
    sealed = URLSafeTimedSerializer(
        SECRET, salt="cookie-session", serializer=json, signer_kwargs={"key_derivation": "hmac"}
    )
    response = await get(shop.client(), "/read", headers={"Cookie": f"session={sealed.dumps([1, 2])}"})
    assert (response.status_code, await text(response)) == (200, "None")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_reset_field_sends_a_signal_and_writes_nothing() -> None:
    shop = make_shop()
    heard: list[FieldReset] = []

    def receive(_: object, report: FieldReset) -> None:
        heard.append(report)

    app = stock()
    plain = Sessions(app=app)
    cookie = plain.cookie_for({"user_id": "a name", "cart": [{"sku": "a"}]})
    with field_reset.connected_to(receive):
        response = await get(shop.client(), "/read", headers={"Cookie": f"session={cookie}"})
    assert (await text(response), set_cookies(response)) == ("None", [])
    assert heard == [FieldReset("user_id", "int | None")]


@define
class Guarded:
    mfa_pending: Annotated[bool, Essential] = False
    user_id: int | None = None


@pytest.mark.parametrize(
    ("schema", "config", "stored"),
    [
        pytest.param(Guarded, {}, {"mfa_pending": "yes", "user_id": 7}, id="essential"),
        pytest.param(Visitor, {"SESSION_ON_BAD_FIELD": "session"}, {"cart": 1, "user_id": 7}, id="setting"),
    ],
)
async def test_a_field_can_refuse_the_whole_session(
    schema: Callable[[], Any], config: dict[str, object], stored: dict[str, object]
) -> None:
    app = stock(**config)
    cookie = Sessions(app=app).cookie_for(stored)
    sessions = Sessions(schema, app)
    async with app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        assert sessions.data.user_id is None
        assert sessions.current.new


async def test_without_a_secret_key_the_session_reads_as_empty_and_names_the_setting() -> None:
    shop = make_shop()
    shop.app.secret_key = None
    async with shop.app.test_request_context("/"):
        session = shop.sessions.current
        assert isinstance(session, NullSession)
        assert dict(session) == {}
        with pytest.raises(RuntimeError, match="SECRET_KEY"):
            session["user_id"] = 7
        with pytest.raises(RuntimeError, match="SECRET_KEY"):
            _ = shop.sessions.data


WRONG: list[tuple[str, dict[str, object]]] = [
    ("SESSION_SERIALIZER", {"SESSION_SERIALIZER": "tagged_json"}),
    ("SECRET_KEY_FALLBACKS", {"SECRET_KEY_FALLBACKS": "one key"}),
    ("SESSION_COOKIE_SECURE", {"SESSION_COOKIE_SAMESITE": "None"}),
    ("__Host-", {"SESSION_COOKIE_NAME": "__Host-s"}),
    ("SESSION_EXTRAS", {"SESSION_EXTRAS": "ignore"}),
]


@pytest.mark.parametrize(("named", "config"), WRONG, ids=[named for named, _ in WRONG])
async def test_a_wrong_setting_is_refused_before_serving(named: str, config: dict[str, object]) -> None:
    shop = make_shop(**config)
    with pytest.raises(LifespanError, match=named):
        async with shop.app.test_app():
            pass


async def test_a_setting_that_goes_wrong_later_is_refused_at_the_next_request(shop: Shop) -> None:
    await get(shop.client(), "/read")
    shop.app.config["SESSION_COOKIE_SAMESITE"] = "sometimes"
    with pytest.raises(ConfigurationError, match="SESSION_COOKIE_SAMESITE"):
        async with shop.app.test_request_context("/read"):
            pass


async def test_no_frame_of_a_refused_setting_holds_the_secret(shop: Shop) -> None:
    """A debugging page shows the locals of all frames, and that of Quart 0.21 is there without debugging."""
    shop.app.config["SESSION_COOKIE_SAMESITE"] = "sometimes"
    with pytest.raises(ConfigurationError) as caught:
        async with shop.app.test_request_context("/read"):
            pass
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    ours = [frame for frame in frames if "typed_sessions" in frame.f_code.co_filename]
    assert ours
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert not any(SECRET in repr(frame.f_locals) for frame in ours if "tests" not in frame.f_code.co_filename)


async def test_a_session_is_saved_by_the_settings_that_it_was_opened_with(shop: Shop) -> None:
    @shop.app.get("/lose")
    async def lose() -> str:
        shop.sessions.data.user_id = 7
        shop.app.config.update(SECRET_KEY=None, SESSION_COOKIE_NAME="another")
        return ""

    response = await get(shop.client(), "/lose")
    assert response.status_code == 200
    (cookie,) = set_cookies(response)
    assert cookie.startswith("session=")
    shop.app.config.update(SECRET_KEY=SECRET, SESSION_COOKIE_NAME="session")
    async with shop.app.test_request_context("/", headers={"Cookie": cookie.partition(";")[0]}):
        assert shop.sessions.data.user_id == 7


def test_forbidding_extras_needs_a_schema() -> None:
    app = stock(SESSION_EXTRAS="forbid")
    with pytest.raises(ConfigurationError, match="SESSION_EXTRAS needs a schema"):
        Sessions(app=app).cookie_for({})


class Reversed:
    """A serializer of a user's own."""

    name = "reversed"

    def dumps(self, value: dict[str, object], /) -> str:
        return json.dumps(value)[::-1]

    def loads(self, payload: str, /) -> object:
        return json.loads(payload[::-1])


@pytest.mark.parametrize("setting", [Reversed(), f"{__name__}:Reversed"], ids=["object", "path"])
async def test_a_serializer_of_ones_own_has_a_salt_of_its_own_and_loses_nobody(setting: object) -> None:
    shop = make_shop()
    client = shop.client()
    await get(client, "/login/7")
    shop.app.config["SESSION_SERIALIZER"] = setting
    assert await text(await get(client, "/read")) == "7"
    assert set_cookies(await get(client, "/read")) == []
    (cookie,) = set_cookies(await get(client, "/add/a"))
    value = cookie.partition("=")[2].partition(";")[0]
    oracle = URLSafeTimedSerializer(
        SECRET, salt="cookie-session.reversed", serializer=Reversed(), signer_kwargs={"key_derivation": "hmac"}
    )
    assert oracle.loads(value) == {"user_id": 7, "cart": [{"sku": "a", "quantity": 1}]}
    async with shop.sessions.transaction(client) as session:
        assert session.data == Visitor(7, [Item("a")])


async def test_a_serializer_without_a_name_loses_nothing_of_a_tagged_cookie() -> None:
    app = stock()
    sessions = Sessions(app=app)
    contents: dict[str, object] = {"pair": (1, 2), "_flashes": [("message", "hi")]}
    cookie = sessions.cookie_for(contents)
    app.config["SESSION_SERIALIZER"] = json
    async with app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        assert sessions.data == contents


async def test_a_serializer_without_a_name_is_signed_as_quart_would() -> None:
    app = stock()
    sessions = Sessions(Visitor, app, serializer=json)
    oracle = URLSafeTimedSerializer(
        SECRET, salt="cookie-session", serializer=json, signer_kwargs={"key_derivation": "hmac"}
    )
    assert oracle.loads(sessions.cookie_for(Visitor(user_id=7))) == {"user_id": 7}


CONTENTS: dict[str, object] = {
    "user_id": 7,
    "_flashes": [("message", "hi")],
    "csrf_token": "0" * 40,
    "_user_id": "7",
    "_fresh": True,
    "identity.id": 7,
    "_state_google_x": {"data": {"nonce": "n", "url": "u"}, "exp": 1.5},
    "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    " t": {" t": "x"},
    "bytes": b"\xff",
}


async def test_cookies_go_back_and_forth_with_quart_and_flask() -> None:
    quart_app = stock()
    flask_app = flask.Flask(__name__)
    flask_app.secret_key = SECRET
    ours = Sessions(Visitor, stock())
    stock_serializer = quart_app.session_interface.get_signing_serializer(quart_app)
    flask_serializer = flask.sessions.SecureCookieSessionInterface().get_signing_serializer(flask_app)
    assert stock_serializer is not None
    assert flask_serializer is not None
    for theirs in (stock_serializer, flask_serializer):
        app = ours._app()
        async with app.test_request_context("/", headers={"Cookie": f"session={theirs.dumps(CONTENTS)}"}):
            assert dict(ours.current) == CONTENTS
            assert ours.data.user_id == 7
        client = app.test_client()
        async with ours.transaction(client) as session:
            session.update(CONTENTS)
        (cookie,) = client.cookie_jar or []
        assert theirs.loads(cookie.value or "") == CONTENTS


async def test_a_refresh_keeps_what_cannot_be_read_also_when_a_setting_changes_meanwhile() -> None:
    app = stock(SESSION_REFRESH_AFTER=timedelta())
    plain = Sessions(app=app)
    cookie = plain.cookie_for({"user_id": "a name", "_permanent": True})
    sessions = Sessions(Visitor, app)

    @app.get("/")
    async def page() -> str:
        app.config["MAX_COOKIE_SIZE"] -= 1
        return str(sessions.data.user_id)

    (refreshed,) = set_cookies(await app.test_client().get("/", headers={"Cookie": f"session={cookie}"}))
    stock_serializer = stock().session_interface.get_signing_serializer(stock())
    assert stock_serializer is not None
    value = refreshed.partition("=")[2].partition(";")[0]
    assert stock_serializer.loads(value) == {"user_id": "a name", "_permanent": True}


async def test_get_signing_serializer_reads_and_writes_the_same_cookies() -> None:
    app = stock()
    interface = SecureCookieSessionInterface()
    sealed = interface.get_signing_serializer(app)
    assert sealed is not None
    assert sealed.loads(Sessions(app=app).cookie_for({"a": (1, 2)})) == {"a": (1, 2)}
    app.secret_key = None
    assert interface.get_signing_serializer(app) is None


async def test_typed_and_plain_functions_take_the_session(shop: Shop) -> None:
    def count(session: Session[Visitor]) -> int:
        return len(session.data.cart)

    async with shop.app.test_request_context("/"):
        assert count(shop.sessions.current) == 0
