"""`client_for`: test clients whose visitor has a session already, in each framework."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from attrs import Factory, define
from fastapi import FastAPI
from flask import Flask
from quart import Quart
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import typed_sessions.asgi
import typed_sessions.flask
import typed_sessions.quart
from typed_sessions import ConfigurationError, FieldTypeError, StoreUnavailableError, Subject
from typed_sessions.stores import MemoryStore, SessionStore
from typed_sessions.testing import ManualClock

SECRET = "the key of this application"


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


KEPT = pytest.mark.parametrize("url", [None, "memory://", "sqlite:///{}"], ids=["cookies", "memory", "sqlite"])


def store_at(url: str | None, tmp_path: Path) -> str | None:
    return None if url is None else url.format(tmp_path / "sessions.db")


def quart_app(**config: object) -> tuple[Quart, typed_sessions.quart.Sessions[Visitor]]:
    app = Quart(__name__)
    app.config.update({"SECRET_KEY": SECRET, **config})
    sessions = typed_sessions.quart.Sessions(Visitor, app)

    @app.get("/", defaults={"path": ""})
    @app.get("/<path:path>")
    async def look(path: str) -> list[object]:  # noqa: ARG001 -- any
        sessions.data.cart.append("tea")
        return [sessions.data.user_id, *sessions.data.cart]

    return app, sessions


def flask_app(**config: object) -> tuple[Flask, typed_sessions.flask.Sessions[Visitor]]:
    app = Flask(__name__)
    app.config.update({"SECRET_KEY": SECRET, **config})
    sessions = typed_sessions.flask.Sessions(Visitor, app)

    @app.get("/", defaults={"path": ""})
    @app.get("/<path:path>")
    def look(path: str) -> list[object]:  # noqa: ARG001 -- any
        sessions.data.cart.append("tea")
        return [sessions.data.user_id, *sessions.data.cart]

    return app, sessions


def asgi_app(**settings: Any) -> tuple[FastAPI, typed_sessions.asgi.Sessions[Visitor]]:
    app = FastAPI()
    sessions: typed_sessions.asgi.Sessions[Visitor] = typed_sessions.asgi.Sessions(
        Visitor, **{"secret_key": SECRET, **settings}
    )
    app.add_middleware(sessions.middleware)

    @app.get("/{path:path}")
    async def look(path: str) -> list[object]:  # noqa: ARG001 -- any
        sessions.data.cart.append("tea")
        return [sessions.data.user_id, *sessions.data.cart]

    return app, sessions


@KEPT
async def test_a_client_of_quart_is_logged_in(url: str | None, tmp_path: Path) -> None:
    _, sessions = quart_app(SESSION_STORE=store_at(url, tmp_path))
    async with sessions:
        client = await sessions.client_for(Visitor(user_id=7, cart=["ink"]))
        other = await sessions.client_for(Visitor(user_id=8))
        assert await (await client.get("/")).get_json() == [7, "ink", "tea"]
        assert await (await client.get("/")).get_json() == [7, "ink", "tea", "tea"]
        assert await (await other.get("/")).get_json() == [8, "tea"]
        if url is not None:
            assert len(await sessions.of(7)) == 1
            await sessions.revoke(7)
            assert await (await client.get("/")).get_json() == [None, "tea"]


@KEPT
def test_a_client_of_flask_is_logged_in(url: str | None, tmp_path: Path) -> None:
    _, sessions = flask_app(SESSION_STORE=store_at(url, tmp_path))
    with sessions:
        client = sessions.client_for(Visitor(user_id=7, cart=["ink"]))
        other = sessions.client_for(Visitor(user_id=8))
        assert client.get("/").json == [7, "ink", "tea"]
        assert client.get("/").json == [7, "ink", "tea", "tea"]
        assert other.get("/").json == [8, "tea"]
        if url is not None:
            assert len(sessions.of(7)) == 1
            sessions.revoke(7)
            assert client.get("/").json == [None, "tea"]


@KEPT
@pytest.mark.parametrize("serves", [True, False], ids=["with its lifespan", "without"])
def test_a_client_of_fastapi_is_logged_in(url: str | None, tmp_path: Path, *, serves: bool) -> None:
    app, sessions = asgi_app(store=store_at(url, tmp_path))
    client = sessions.client_for(Visitor(user_id=7, cart=["ink"]), app)
    other = sessions.client_for(Visitor(user_id=8), app)
    if serves:
        with client:
            assert client.get("/").json() == [7, "ink", "tea"]
            assert client.get("/").json() == [7, "ink", "tea", "tea"]
    else:
        assert client.get("/").json() == [7, "ink", "tea"]
        assert client.get("/").json() == [7, "ink", "tea", "tea"]
    assert other.get("/").json() == [8, "tea"]


def test_a_client_of_starlette_is_logged_in() -> None:
    sessions = typed_sessions.asgi.Sessions(Visitor, secret_key=SECRET)

    async def look(request: Request) -> JSONResponse:
        return JSONResponse(sessions.on(request).data.user_id)

    app = Starlette(routes=[Route("/", look)])
    app.add_middleware(sessions.middleware)
    assert sessions.client_for(Visitor(user_id=7), app).get("/").json() == 7


async def test_an_async_client_takes_the_cookies_of_one() -> None:
    app, sessions = asgi_app(store=MemoryStore())
    cookies = dict(sessions.client_for(Visitor(user_id=7), app).cookies)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://testserver", cookies=cookies
    ) as client:
        assert (await client.get("/")).json() == [7, "tea"]


async def test_a_new_visitor_has_no_cookie() -> None:
    app, quart = quart_app()
    client = await quart.client_for(Visitor())
    assert client.cookie_jar is not None
    assert len(client.cookie_jar) == 0
    _, flask = flask_app()
    assert flask.client_for(Visitor()).get_cookie("session") is None
    asgi, sessions = asgi_app()
    assert not sessions.client_for(Visitor(), asgi).cookies
    assert await (await app.test_client().get("/")).get_json() == [None, "tea"]


async def test_the_session_is_as_permanent_as_one_asks_for() -> None:
    _, quart = quart_app()
    for permanent in (False, True):
        async with quart.transaction(await quart.client_for(Visitor(user_id=7), permanent=permanent)) as session:
            assert session.permanent is permanent
    _, flask = flask_app()
    for permanent in (False, True):
        with flask.transaction(flask.client_for(Visitor(user_id=7), permanent=permanent)) as session:
            assert session.permanent is permanent
    app, asgi = asgi_app()
    for asked, permanent in ((None, True), (True, True), (False, False)):
        (cookie,) = asgi.client_for(Visitor(user_id=7), app, permanent=asked).cookies.jar
        assert (cookie.expires is not None) is permanent


@pytest.mark.parametrize("store", [None, MemoryStore()], ids=["cookies", "memory"])
async def test_the_cookie_may_have_a_path_and_a_domain(store: SessionStore | None) -> None:
    config = {"SESSION_COOKIE_PATH": "/shop", "SESSION_COOKIE_DOMAIN": "example.org", "SERVER_NAME": "www.example.org"}
    _, quart = quart_app(**config, SESSION_STORE=store)
    client = await quart.client_for(Visitor(user_id=7))
    assert await (await client.get("/shop/")).get_json() == [7, "tea"]
    _, flask = flask_app(**config, SESSION_STORE=store)
    browser = flask.client_for(Visitor(user_id=8))
    assert browser.get("/shop/").json == [8, "tea"]
    assert browser.get("/other").json == [None, "tea"]
    app, asgi = asgi_app(path="/shop", domain="example.org", secure=True, store=store)
    visitor = asgi.client_for(Visitor(user_id=9), app)
    assert visitor.get("/shop/").json() == [9, "tea"]
    assert visitor.get("/other").json() == [None, "tea"]


async def test_a_secure_cookie_is_sent() -> None:
    config = {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_NAME": "__Host-session"}
    _, quart = quart_app(**config)
    client = await quart.client_for(Visitor(user_id=7))
    assert await (await client.get("/")).get_json() == [7, "tea"]
    _, flask = flask_app(**config)
    assert flask.client_for(Visitor(user_id=7)).get("/").json == [7, "tea"]
    app, asgi = asgi_app(secure=True, cookie_name="__Host-session")
    assert asgi.client_for(Visitor(user_id=7), app).get("/").json() == [7, "tea"]


async def test_a_client_that_gets_no_cookie_is_refused() -> None:
    _, quart = quart_app(SESSION_COOKIE_DOMAIN="example.org")
    with pytest.raises(ConfigurationError, match="SERVER_NAME"):
        await quart.client_for(Visitor(user_id=7))
    _, flask = flask_app(SESSION_COOKIE_DOMAIN="example.org")
    with pytest.raises(ConfigurationError, match="SERVER_NAME"):
        flask.client_for(Visitor(user_id=7))


async def test_wrong_data_is_refused() -> None:
    wrong = Visitor(user_id="7")  # type: ignore[arg-type]  # the misuse
    _, quart = quart_app()
    with pytest.raises(FieldTypeError, match="user_id"):
        await quart.client_for(wrong)
    _, flask = flask_app()
    with pytest.raises(FieldTypeError, match="user_id"):
        flask.client_for(wrong)
    app, asgi = asgi_app()
    with pytest.raises(FieldTypeError, match="user_id"):
        asgi.client_for(wrong, app)


async def down(*_: object) -> None:
    raise StoreUnavailableError("down")


async def test_a_store_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr(store, "create", down)
    _, quart = quart_app(SESSION_STORE=store)
    with pytest.raises(StoreUnavailableError):
        await quart.client_for(Visitor(user_id=7))
    _, flask = flask_app(SESSION_STORE=store)
    with pytest.raises(StoreUnavailableError):
        flask.client_for(Visitor(user_id=7))
    app, asgi = asgi_app(store=store)
    with pytest.raises(StoreUnavailableError):
        asgi.client_for(Visitor(user_id=7), app)


async def test_one_of_several_applications_is_asked_for() -> None:
    first, sessions = quart_app()
    second = Quart(__name__)
    second.secret_key = "another key"
    sessions.init_app(second)
    assert (await sessions.client_for(Visitor(user_id=7))).app is second
    client = await sessions.client_for(Visitor(user_id=7), app=first)
    assert await (await client.get("/")).get_json() == [7, "tea"]


@pytest.mark.parametrize("missing", ["starlette", "httpx2,httpx"])
def test_a_missing_test_client_is_named(missing: str) -> None:
    code = (
        f"import sys\nfor name in {missing!r}.split(','): sys.modules[name] = None\n"
        "from typed_sessions.asgi import Sessions\n"
        "try: Sessions(secret_key='a key of the application').client_for({}, None)\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 -- this interpreter
    assert run.stdout == (
        "Sessions.client_for needs the test client of Starlette: pip install 'typed_sessions[starlette]' httpx2\n"
    )


# The clock of a test.


@pytest.mark.parametrize("store", [True, False], ids=["memory", "cookies"])
async def test_sessions_of_quart_and_flask_end_by_the_clock_of_a_test(
    session_clock: ManualClock, session_store: MemoryStore, *, store: bool
) -> None:
    config = {
        "PERMANENT_SESSION_LIFETIME": timedelta(days=1),
        "SESSION_STORE": session_store if store else None,
    }
    _, quart = quart_app(**config)
    _, flask = flask_app(**config)
    client = await quart.client_for(Visitor(user_id=7), permanent=True)
    browser = flask.client_for(Visitor(user_id=8), permanent=True)
    session_clock.forward(timedelta(hours=23))
    assert await (await client.get("/")).get_json() == [7, "tea"]
    assert browser.get("/").json == [8, "tea"]
    session_clock.forward(timedelta(hours=23))
    assert await (await client.get("/")).get_json() == [7, "tea", "tea"]
    assert browser.get("/").json == [8, "tea", "tea"]
    session_clock.forward(timedelta(hours=25))
    assert await (await client.get("/")).get_json() == [None, "tea"]
    assert browser.get("/").json == [None, "tea"]


@pytest.mark.parametrize("store", [True, False], ids=["memory", "cookies"])
def test_sessions_of_fastapi_end_by_the_clock_of_a_test(
    session_clock: ManualClock, session_store: MemoryStore, *, store: bool
) -> None:
    app, sessions = asgi_app(lifetime=timedelta(days=1), store=session_store if store else None)
    client = sessions.client_for(Visitor(user_id=7), app)
    cookies = dict(client.cookies)
    session_clock.forward(timedelta(hours=23))
    assert client.get("/").json() == [7, "tea"]
    session_clock.forward(timedelta(hours=25))
    assert client.get("/").json() == [None, "tea"]
    client.cookies.clear()
    client.cookies.update(cookies)  # a browser that kept it for longer
    assert client.get("/").json() == [None, "tea"]


@pytest.mark.parametrize("after", [1, 4], ids=["early", "due"])
def test_a_refresh_is_due_by_the_clock_of_a_test(session_clock: ManualClock, after: int) -> None:
    sessions = typed_sessions.asgi.Sessions(Visitor, secret_key=SECRET, lifetime=timedelta(days=31))

    async def read(_: Request) -> JSONResponse:
        return JSONResponse(sessions.data.user_id)

    app = Starlette(routes=[Route("/", read)])
    app.add_middleware(sessions.middleware)
    client = sessions.client_for(Visitor(user_id=7), app)
    session_clock.forward(timedelta(days=after))
    assert ("Set-Cookie" in client.get("/").headers) is (after == 4)


def test_a_refresh_may_be_due_after_parts_of_a_second(session_clock: ManualClock) -> None:
    app, sessions = asgi_app(refresh_after=timedelta(seconds=1.5))

    @app.post("/")
    async def read() -> int | None:
        return sessions.data.user_id

    for seconds, is_due in ((0, False), (1, False), (1.4, False), (1.5, True), (1.6, True), (2, True)):
        client = sessions.client_for(Visitor(user_id=7), app)
        session_clock.forward(timedelta(seconds=seconds))
        assert ("Set-Cookie" in client.post("/").headers) is is_due, seconds
        session_clock.forward(timedelta(seconds=3 - seconds))


@pytest.mark.parametrize("visit", [1, 2])
async def test_each_test_has_a_store_of_its_own(session_store: MemoryStore, visit: int) -> None:
    _, sessions = quart_app(SESSION_STORE=session_store)
    assert await sessions.of(7) == [], visit
    await sessions.client_for(Visitor(user_id=7))
    assert len(await sessions.of(7)) == 1
