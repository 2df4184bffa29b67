"""How long a session may live at most, and the moment before which all are over: in cookies, stores and frameworks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from attrs import Factory, define
from flask import Flask
from litestar import Litestar, get
from litestar.params import FromPath
from quart import Quart, websocket
from quart import session as quart_session
from starlette.testclient import TestClient
from typing_extensions import override

from typed_sessions import ConfigurationError, Subject, asgi, flask, litestar, quart
from typed_sessions.core.state import SessionState
from typed_sessions.frameworks.quart_interface import QuartSessionInterface
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base import KeylessSealer, SealedSince, newest
from typed_sessions.sealing.keys import SecretKeys
from typed_sessions.sealing.signed import SignedSealer
from typed_sessions.stores import MemoryStore
from typed_sessions.testing import ManualClock

KEY = "a key that is long enough, and secret"
HOUR = timedelta(hours=1)
FORMATS = ("tagged-json", "msgspec-json", "msgspec-msgpack")


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    visits: int = 0
    cart: list[str] = Factory(list[str])


@define
class Site:
    """An application of one framework with views: `/read`, `/count`, `/login/<user>`, `/logout` and `/empty`."""

    ask: Callable[[str, str | None], tuple[str, str | None]]
    """Takes a path and a cookie. Returns the text, and the cookie that the response sets, if any."""
    sessions: Any
    config: Any

    def read(self, cookie: str | None) -> str:
        text, set_cookie = self.ask("/read", cookie)
        assert set_cookie is None
        return text

    def count(self, cookie: str | None) -> str:
        _, set_cookie = self.ask("/count", cookie)
        assert set_cookie is not None
        return set_cookie

    def log_in(self, cookie: str | None = None, user: int = 7) -> str:
        _, set_cookie = self.ask(f"/login/{user}", cookie)
        assert set_cookie is not None
        return set_cookie


def act(sessions: Any, path: str) -> str:
    _, action, *user = path.split("/")
    session = sessions.current
    match action:
        case "count":
            session.data.visits += 1
        case "login":
            session.promote(user_id=int(user[0]))
        case "become":
            session["user_id"] = int(user[0])
        case "logout":
            session.clear()
        case "empty":
            session.data.visits, session.data.user_id = 0, None
        case "stay":
            session.permanent = True
            session.data.visits += 1
        case "replace":
            session.clear()
            session["visits"] = 1
        case _:
            pass
    return f"{session.data.user_id} {session.data.visits}"


def value_in(header: str | None) -> str | None:
    return None if header is None else header.partition(";")[0].removeprefix("session=")


def headers_of(cookie: str | None) -> dict[str, str]:
    return {} if cookie is None else {"Cookie": f"session={cookie}"}


def quart_site(config: dict[str, Any]) -> Site:
    app = Quart("lifetimes")
    app.config.update(config)
    sessions = quart.Sessions(Visitor, app)

    @app.get("/<path:path>")
    async def view(path: str) -> str:
        return act(sessions, f"/{path}")

    async def ask(path: str, cookie: str | None) -> tuple[str, str | None]:
        response = await app.test_client(use_cookies=False).get(path, headers=headers_of(cookie))
        assert response.status_code == 200
        return await response.get_data(as_text=True), value_in(response.headers.get("Set-Cookie"))

    return Site(lambda path, cookie: asyncio.run(ask(path, cookie)), sessions, app.config)


def flask_site(config: dict[str, Any]) -> Site:
    app = Flask("lifetimes")
    app.config.update(config)
    sessions = flask.Sessions(Visitor, app)

    @app.get("/<path:path>")
    def view(path: str) -> str:
        return act(sessions, f"/{path}")

    def ask(path: str, cookie: str | None) -> tuple[str, str | None]:
        response = app.test_client(use_cookies=False).get(path, headers=headers_of(cookie))
        assert response.status_code == 200
        return response.text, value_in(response.headers.get("Set-Cookie"))

    return Site(ask, sessions, app.config)


def asgi_site(config: dict[str, Any]) -> Site:
    sessions = asgi.Sessions.from_config(Visitor, config, permanent=False)

    async def view(scope: Any, _receive: Any, send: Any) -> None:
        body = act(sessions, scope["path"]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    return site_of(sessions.middleware(view), sessions)


def litestar_site(config: dict[str, Any]) -> Site:
    sessions = litestar.Sessions.from_config(Visitor, config, permanent=False)

    @get("/{path:path}", media_type="text/plain")
    async def view(path: FromPath[Path]) -> str:
        return act(sessions, str(path))

    return site_of(Litestar([view], plugins=[sessions], logging_config=None), sessions)


def site_of(app: Any, sessions: Any) -> Site:
    """The site of an ASGI application."""
    client = TestClient(app)

    def ask(path: str, cookie: str | None) -> tuple[str, str | None]:
        response = client.get(path, headers=headers_of(cookie))
        client.cookies.clear()
        return response.text, value_in(response.headers.get("set-cookie"))

    return Site(ask, sessions, sessions._application.config)


MAKERS = {"quart": quart_site, "flask": flask_site, "asgi": asgi_site, "litestar": litestar_site}
Make = Callable[..., Site]


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Make:
    return lambda **config: MAKERS[request.param]({"SECRET_KEY": KEY, **config})


# The longest life


@pytest.mark.parametrize("encryption", ["off", "on"])
@pytest.mark.parametrize("serializer", FORMATS)
def test_a_session_in_a_cookie_ends_however_much_it_is_used(
    make: Make, serializer: str, encryption: str, session_clock: ManualClock
) -> None:
    site = make(SESSION_ABSOLUTE_LIFETIME=3 * HOUR, SESSION_SERIALIZER=serializer, SESSION_ENCRYPTION=encryption)
    cookie = site.count(None)
    for visits in ("2", "3"):
        session_clock.forward(HOUR)
        cookie = site.count(cookie)
        assert site.read(cookie) == f"None {visits}"
    session_clock.forward(HOUR - timedelta(seconds=1))
    assert site.read(cookie) == "None 3"
    session_clock.forward(timedelta(seconds=1))
    assert site.read(cookie) == "None 0"
    cookie = site.count(cookie)  # another session
    session_clock.forward(2 * HOUR)
    assert site.read(cookie) == "None 1"


def test_refreshes_do_not_make_it_longer(make: Make, session_clock: ManualClock) -> None:
    site = make(
        SESSION_ABSOLUTE_LIFETIME=3 * HOUR, PERMANENT_SESSION_LIFETIME=2 * HOUR, SESSION_REFRESH_AFTER=timedelta(0)
    )
    _, cookie = site.ask("/stay", None)
    for _ in range(2):
        session_clock.forward(HOUR)
        _, cookie = site.ask("/other", cookie)
        assert cookie is not None
    session_clock.forward(HOUR)
    assert site.ask("/read", cookie) == ("None 0", None)


@pytest.mark.parametrize("step", ["/login/7", "/login/8", "/become/8", "/replace"])
def test_a_log_in_begins_it_anew(make: Make, step: str, session_clock: ManualClock) -> None:
    site = make(SESSION_ABSOLUTE_LIFETIME=3 * HOUR)
    cookie: str | None = site.log_in(site.count(None))
    session_clock.forward(2 * HOUR)
    text, cookie = site.ask(step, cookie)
    session_clock.forward(2 * HOUR)
    assert site.read(cookie) == text
    session_clock.forward(HOUR)
    assert site.read(cookie) == "None 0"


def test_what_else_changes_does_not(make: Make, session_clock: ManualClock) -> None:
    site = make(SESSION_ABSOLUTE_LIFETIME=3 * HOUR)
    cookie: str | None = site.log_in()
    session_clock.forward(2 * HOUR)
    for step in ("/count", "/stay", "/become/7"):
        _, changed = site.ask(step, cookie)
        cookie = changed or cookie
    session_clock.forward(HOUR)
    assert site.read(cookie) == "None 0"


def test_a_cookie_from_before_there_was_a_limit_counts_from_when_it_was_sealed(
    make: Make, session_clock: ManualClock
) -> None:
    before, site = make(), make(SESSION_ABSOLUTE_LIFETIME=3 * HOUR, SESSION_REFRESH_AFTER=HOUR)
    plain, permanent = before.count(None), before.ask("/stay", None)[1]
    session_clock.forward(HOUR)
    assert site.read(plain) == "None 1"  # writes nothing
    changed = site.count(plain)
    refreshed = site.ask("/read", permanent)[1]
    session_clock.forward(HOUR)
    assert refreshed is not None
    assert site.read(changed) == "None 2"
    assert before.read(changed) == "None 2"  # servers that do not have the setting yet
    session_clock.forward(HOUR)
    for cookie in (plain, permanent, changed, refreshed):
        assert site.ask("/read", cookie) == ("None 0", None)
        assert before.ask("/read", cookie)[0] != "None 0"


@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("step", ["/logout", "/empty"])
def test_the_time_alone_is_no_session(permanent: bool, step: str, session_clock: ManualClock) -> None:
    config = {"SECRET_KEY": KEY, "SESSION_ABSOLUTE_LIFETIME": 3 * HOUR}
    sessions = asgi.Sessions.from_config(Visitor, config, permanent=permanent)

    async def view(scope: Any, _receive: Any, send: Any) -> None:
        act(sessions, scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    client = TestClient(sessions.middleware(view))
    assert "set-cookie" not in client.get("/read").headers
    assert "session=ey" in client.get("/count").headers["set-cookie"]
    session_clock.forward(timedelta(seconds=1))
    assert "session=;" in client.get(step).headers["set-cookie"]


def test_the_time_is_a_key_of_a_session_without_a_schema_too(session_clock: ManualClock) -> None:
    app = Quart("open")
    app.config.update(SECRET_KEY=KEY, SESSION_ABSOLUTE_LIFETIME=3600)
    quart.Sessions(app=app)

    @app.get("/")
    async def view() -> dict[str, Any]:
        quart_session["n"] = quart_session.get("n", 0) + 1
        return dict(quart_session)

    async def visits() -> None:
        client = app.test_client()
        assert await (await client.get("/")).get_json() == {"n": 1}
        session_clock.forward(timedelta(seconds=10))
        second = await (await client.get("/")).get_json()
        assert second == {"n": 2, "_created": int(session_clock()) - 10}
        session_clock.forward(timedelta(seconds=3590))
        assert await (await client.get("/")).get_json() == {"n": 1}

    asyncio.run(visits())


def test_a_field_of_that_name_is_refused() -> None:
    schema: Any = define(type("Stamped", (), {"__annotations__": {"_created": int}, "_created": 0}))
    asgi.Sessions(schema, secret_key=KEY)
    with pytest.raises(ConfigurationError, match=r"Stamped\._created: .*SESSION_ABSOLUTE_LIFETIME"):
        asgi.Sessions(schema, secret_key=KEY, absolute_lifetime=60)


def test_a_time_that_is_none_counts_as_missing(session_clock: ManualClock) -> None:
    site = quart_site({"SECRET_KEY": KEY, "SESSION_ABSOLUTE_LIFETIME": HOUR})
    signing: Any = site.sessions._interface.get_signing_serializer(site.sessions._latest())
    wrong: tuple[object, ...] = ("yesterday", None, True, 1.5, [])
    for created in wrong:
        cookie = signing.dumps({"visits": 3, "_created": created})
        assert site.read(cookie) == "None 3"
        session_clock.forward(HOUR)
        assert site.read(cookie) == "None 0"


def test_a_subclass_that_always_writes_makes_it_no_longer(session_clock: ManualClock) -> None:
    class Eager(QuartSessionInterface[Visitor]):
        @override
        def should_set_cookie(self, app: Any, session: Any) -> bool:
            return True

    before = quart_site({"SECRET_KEY": KEY})
    site = quart_site({"SECRET_KEY": KEY, "SESSION_ABSOLUTE_LIFETIME": 3 * HOUR})
    app = site.sessions._latest()
    app.session_interface = Eager(Visitor)
    cookie: str | None = before.count(None)
    for _ in range(2):
        session_clock.forward(HOUR)
        _, cookie = site.ask("/other", cookie)
        assert cookie is not None
    session_clock.forward(HOUR)
    assert site.ask("/read", cookie)[0] == "None 0"


def test_reload_says_that_it_is_over(session_clock: ManualClock) -> None:
    app = Quart("reload")
    app.config.update(SECRET_KEY=KEY, SESSION_ABSOLUTE_LIFETIME=HOUR)
    sessions = quart.Sessions(Visitor, app)
    cookie = sessions.cookie_for(Visitor(visits=3))

    @app.get("/")
    async def view() -> list[bool]:
        first = await sessions.reload()
        session_clock.forward(HOUR)
        return [first, await sessions.reload()]

    async def visit() -> Any:
        return await (await app.test_client(use_cookies=False).get("/", headers=headers_of(cookie))).get_json()

    assert asyncio.run(visit()) == [True, False]


@pytest.mark.parametrize("limit", [None, HOUR])
def test_a_session_takes_the_quick_path(limit: timedelta | None) -> None:
    site = quart_site({"SECRET_KEY": KEY, "SESSION_ABSOLUTE_LIFETIME": limit})
    rules = site.sessions._interface._applications.rules_of(site.sessions._latest())
    assert rules.load_data is not None
    assert not isinstance(rules.formats[0].sealer, SealedSince)
    made: list[Any] = []
    assert rules.load_data(type("Request", (), {"cookies": {"session": site.count(None)}})(), made) is not None
    assert not any(isinstance(each, SessionState) for each in made)


# The moment before which all is over


@pytest.mark.parametrize("encryption", ["off", "on"])
@pytest.mark.parametrize("serializer", FORMATS)
def test_all_cookies_that_were_sealed_before_are_over(
    make: Make, serializer: str, encryption: str, session_clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"SESSION_SERIALIZER": serializer, "SESSION_ENCRYPTION": encryption}
    site = make(**config)
    cookie = site.log_in()
    permanent = site.ask("/stay", None)[1]
    session_clock.forward(timedelta(seconds=10))
    since = make(**config, SESSION_NOT_BEFORE=session_clock.now)
    with caplog.at_level(logging.DEBUG, "typed_sessions"):
        assert since.read(cookie) == "None 0"
    assert "session cookie refused: it is of before SESSION_NOT_BEFORE" in caplog.messages
    session_clock.forward(timedelta(days=20))
    assert since.ask("/other", permanent) == ("None 0", None)  # a refresh does not bring it back
    assert site.read(cookie) == "7 0"  # the keys are the same
    again = since.log_in(cookie)
    assert since.read(again) == "7 0"


def test_it_may_be_set_while_the_application_serves(session_clock: ManualClock) -> None:
    for maker in (quart_site, flask_site):
        site = maker({"SECRET_KEY": KEY})
        cookie = site.log_in()
        session_clock.forward(timedelta(seconds=1))
        site.config["SESSION_NOT_BEFORE"] = session_clock.now
        assert site.read(cookie) == "None 0"
        cookie = site.log_in()  # at that very moment
        assert site.read(cookie) == "7 0"


def test_of_several_cookies_those_from_before_do_not_count(make: Make, session_clock: ManualClock) -> None:
    site = make()
    before = site.log_in(user=7)
    session_clock.forward(timedelta(seconds=10))
    since = make(SESSION_NOT_BEFORE=session_clock.now.isoformat())
    after = since.log_in(user=8)
    for both in (f"{before}; session={after}", f"{after}; session={before}"):
        assert since.read(both) == "8 0"


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_records_that_were_issued_before_are_over(
    make: Make, store: str, tmp_path: Any, session_clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    url = MemoryStore() if store == "memory" else f"sqlite:///{tmp_path}/sessions.db"
    site = make(SESSION_STORE=url)
    cookie = site.log_in()
    session_clock.forward(timedelta(seconds=10))
    since = make(SESSION_STORE=url, SESSION_NOT_BEFORE=session_clock.now)
    assert site.read(cookie) == "7 0"
    with caplog.at_level(logging.DEBUG, "typed_sessions"):
        assert since.read(cookie) == "None 0"
    assert "session cookie refused: it is of before SESSION_NOT_BEFORE" in caplog.messages
    again = since.log_in()
    listed = since.sessions.of(7)
    listed = asyncio.run(listed) if asyncio.iscoroutine(listed) else listed
    assert [each.created for each in listed] == [session_clock.now.replace(microsecond=0)]
    assert since.read(again) == "7 0"
    assert since.ask("/logout", cookie)[1] == ""
    assert site.read(cookie) == "None 0"  # a log-out ends it for all


def test_a_websocket_finds_out(session_clock: ManualClock) -> None:
    app = Quart("websocket")
    app.config.update(SECRET_KEY=KEY, SESSION_STORE=MemoryStore())
    sessions = quart.Sessions(Visitor, app)

    @app.get("/login")
    async def log_in() -> str:
        sessions.current.promote(user_id=7)
        return ""

    @app.websocket("/ws")
    async def talk() -> None:
        await websocket.accept()
        while True:
            await websocket.receive()
            sessions.data.visits += 1
            kept = await sessions.reload()
            await websocket.send(f"{sessions.data.user_id} {kept}")

    async def talk_to() -> None:
        client = app.test_client()
        await client.get("/login")
        async with client.websocket("/ws") as connection:
            await connection.send("")
            assert await connection.receive() == "7 True"
            session_clock.forward(timedelta(seconds=1))
            app.config["SESSION_NOT_BEFORE"] = session_clock.now
            await connection.send("")
            assert await connection.receive() == "7 False"
        async with client.websocket("/ws") as connection:
            await connection.send("")
            assert await connection.receive() == "None True"

    asyncio.run(talk_to())


def test_signed_cookies_from_before_are_not_adopted(make: Make, session_clock: ManualClock) -> None:
    cookie = make().log_in()
    session_clock.forward(timedelta(seconds=10))
    config: dict[str, Any] = {"SESSION_STORE": MemoryStore(), "SESSION_ADOPT_SIGNED_BEFORE": session_clock.now}
    assert make(**config, SESSION_NOT_BEFORE=session_clock.now).ask("/read", cookie) == ("None 0", None)
    assert make(**config, SESSION_ABSOLUTE_LIFETIME=timedelta(seconds=10)).ask("/read", cookie) == ("None 0", None)
    assert make(**config, SESSION_ABSOLUTE_LIFETIME=timedelta(seconds=11)).ask("/read", cookie)[0] == "7 0"


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (datetime(2026, 1, 1), "must be a datetime with a time zone"),  # noqa: DTZ001 -- that is wrong with it
        ("2026-01-01T00:00:00", "must be a datetime with a time zone"),
        ("yesterday", "must be a datetime, or a text as in"),
        (1_700_000_000, "must be a datetime"),
        pytest.param(datetime.now(UTC) + timedelta(days=1), "is in the future", id="tomorrow"),
        (datetime.max.replace(tzinfo=UTC), "is in the future"),
    ],
    ids=str,
)
def test_a_moment_that_is_none_or_has_not_come_is_refused(moment: object, message: str) -> None:
    for store in (None, "memory://"):
        for maker in MAKERS.values():
            config = {"SECRET_KEY": KEY, "SESSION_NOT_BEFORE": moment, "SESSION_STORE": store}
            with pytest.raises(ConfigurationError, match=f"SESSION_NOT_BEFORE.* {message}"):
                set_up(maker, config)


def set_up(maker: Make, config: dict[str, Any]) -> None:
    sessions = maker(config).sessions
    sessions._interface.check(sessions._app())


def test_what_is_from_before_is_not_among_those_that_are_genuine() -> None:
    now = 1_790_000_000
    ages: Any = {"lifetime": HOUR, "leeway": timedelta(), "clock": lambda: now}
    sealer = SignedSealer(SecretKeys(KEY), salt="cookie-session", **ages)
    text = sealer.seal(b"{}")
    for moment, outcome in [(now, (text, 1)), (now + 1, (Refused(Reason.ENDED), 0))]:
        assert newest([text], [SealedSince(sealer, moment)]) == outcome


def test_what_opens_nothing_is_over_too() -> None:
    sealer = SealedSince(KeylessSealer(), 0)
    assert sealer.overhead == 0
    with pytest.raises(ConfigurationError):
        sealer.seal(b"")
