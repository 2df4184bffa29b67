"""`sessions.transaction`: the session of a test client of Starlette's or httpx's, opened, and saved back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import httpx
import httpx2
import pytest
import trio
from attrs import Factory, define
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from typed_sessions import ConfigurationError, Session, StoreUnavailableError, Subject
from typed_sessions.asgi import Sessions
from typed_sessions.stores import MemoryStore


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


def shop(**settings: Any) -> tuple[Starlette, Sessions[Visitor]]:
    sessions: Sessions[Visitor] = Sessions(Visitor, **{"secret_key": "the key of this application", **settings})

    async def look(request: Request) -> JSONResponse:
        if request.method == "POST":
            sessions.data.cart.append("tea")
        return JSONResponse([sessions.data.user_id, *sessions.data.cart])

    app = Starlette(routes=[Route("/{path:path}", look, methods=["GET", "POST"])])
    app.add_middleware(sessions.middleware)
    return app, sessions


def store_at(url: str | None, tmp_path: Path) -> str | None:
    return None if url is None else url.format(tmp_path / "sessions.db")


async def down(*_: object, **__: object) -> None:
    raise StoreUnavailableError("down")


KEPT = pytest.mark.parametrize("url", [None, "memory://", "sqlite:///{}"], ids=["cookies", "memory", "sqlite"])


@KEPT
def test_a_test_without_an_event_loop_opens_and_changes_the_session(url: str | None, tmp_path: Path) -> None:
    app, sessions = shop(store=store_at(url, tmp_path))
    with TestClient(app) as client:
        with sessions.transaction(client) as session:
            assert session.new
            session.data.user_id = 7
        client.post("/")
        with sessions.transaction(client) as session:
            assert session.data == Visitor(7, ["tea"])
            session["cart"] = ["ink"]
        assert client.get("/").json() == [7, "ink"]
        with sessions.transaction(client) as session:
            session.invalidate()
        assert client.get("/").json() == [None]
        assert not client.cookies


@KEPT
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_a_test_in_an_event_loop_does_so_with_a_client_of_httpx(
    library: Any, url: str | None, tmp_path: Path
) -> None:
    app, sessions = shop(store=store_at(url, tmp_path))
    transport = library.ASGITransport(app)
    async with sessions, library.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        async with sessions.transaction(client) as session:
            session.promote(user_id=7)
        assert (await client.post("/")).json() == [7, "tea"]
        async with sessions.transaction(client) as session:
            assert session.data == Visitor(7, ["tea"])
            session.data.cart.clear()
        assert (await client.get("/")).json() == [7]
        if url is not None:
            assert len(await sessions.of(7)) == 1


def test_cookies_are_kept_under_trio() -> None:
    app, sessions = shop()

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client:
            async with sessions.transaction(client) as session:
                session.data.user_id = 7
            assert (await client.get("/")).json() == [7]

    trio.run(run)


async def test_it_needs_no_loop_of_its_own_beside_a_running_one() -> None:
    app, sessions = shop(store=MemoryStore())
    client = TestClient(app)
    with sessions.transaction(client) as session:
        session.data.user_id = 7
    assert client.get("/").json() == [7]


def change_and_fail(session: Session[Visitor]) -> None:
    session.data.user_id = 8
    raise ZeroDivisionError


def test_a_block_that_raises_saves_nothing() -> None:
    app, sessions = shop()
    client = sessions.client_for(Visitor(user_id=7), app)
    cookies = dict(client.cookies)
    with pytest.raises(ZeroDivisionError), sessions.transaction(client) as session:
        change_and_fail(session)
    assert dict(client.cookies) == cookies


def test_a_look_leaves_the_cookie_alone() -> None:
    app, sessions = shop()
    client = sessions.client_for(Visitor(user_id=7), app)
    cookies = dict(client.cookies)
    with sessions.transaction(client) as session:
        assert session.data.user_id == 7
    assert dict(client.cookies) == cookies


def test_a_cookie_that_the_test_has_set_is_replaced() -> None:
    app, sessions = shop()
    client = TestClient(app, cookies={"session": sessions.cookie_for(Visitor(user_id=7)), "other": "kept"})
    with sessions.transaction(client) as session:
        assert session.data.user_id == 7
        session.data.user_id = 8
    assert client.get("/").json() == [8]
    assert client.cookies["other"] == "kept"
    assert len(client.cookies.jar) == 2


def test_the_path_says_which_cookies_go_with_it() -> None:
    app, sessions = shop(path="/shop", secure=True, cookie_name="__Secure-shop")
    client = sessions.client_for(Visitor(user_id=7), app)
    for path, user_id in (("/", None), ("/shop/cart", 7), ("https://testserver/shop", 7), ("https://other/shop", None)):
        with sessions.transaction(client, path) as session:
            assert session.data.user_id == user_id, path
    with sessions.transaction(client, "/shop") as session:
        session.data.user_id = 8
    assert client.get("/shop/").json() == [8]


async def test_a_client_without_a_host_is_refused() -> None:
    app, sessions = shop()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        with pytest.raises(ConfigurationError, match="base URL"):
            sessions.transaction(client)
        async with sessions.transaction(client, "http://shop.example/") as session:
            session.data.user_id = 7
        assert (await client.get("http://shop.example/")).json() == [7]


@pytest.mark.parametrize("verb", ["load", "update"])
def test_a_store_that_does_not_answer_is_said(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    app, sessions = shop(store=store)
    client = sessions.client_for(Visitor(user_id=7), app)
    monkeypatch.setattr(store, verb, down)
    with pytest.raises(StoreUnavailableError), sessions.transaction(client) as session:
        session.data.cart.append("tea")
