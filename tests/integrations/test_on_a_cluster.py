"""Applications whose sessions are on a cluster: a log-in moves the session, and all else is as ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

import pytest
from attrs import Factory, define
from flask import Flask
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import typed_sessions.asgi
import typed_sessions.flask
import typed_sessions.quart
from tests.valkey_clusters import Cluster
from typed_sessions import Subject


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


@pytest.mark.parametrize("encryption", ["off", "on"])
async def test_one_cluster_serves_quart_and_flask(valkey_cluster: Cluster, encryption: Literal["off", "on"]) -> None:
    settings = {
        "SECRET_KEY": "k" * 32,
        "SESSION_STORE": f"{valkey_cluster.url}?namespace={uuid4().hex}",
        "SESSION_ENCRYPTION": encryption,
    }
    quart, flask = Quart("quart"), Flask("flask")
    for app in (quart, flask):
        app.config.update(settings)
    here, there = typed_sessions.quart.Sessions(Visitor, quart), typed_sessions.flask.Sessions(Visitor, flask)

    @quart.get("/add")
    async def add() -> str:
        here.data.cart.append("tea")
        return ""

    @flask.get("/login")
    def login() -> str:
        there.current.promote(user_id=7)
        return ""

    @quart.get("/read")
    async def read() -> str:
        return f"{here.data.user_id} {here.data.cart}"

    @flask.get("/switch")
    def switch() -> str:
        there.data.user_id = 8
        return ""

    @flask.get("/logout")
    def logout() -> str:
        there.current.invalidate()
        return ""

    def asked_flask(path: str, cookie: str) -> str:
        response = flask.test_client(use_cookies=False).get(path, headers={"Cookie": f"session={cookie}"})
        assert response.status_code == 200
        return cookie_in(response.headers.getlist("Set-Cookie")) or cookie

    async def asked_quart(path: str, cookie: str = "") -> tuple[str, str]:
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        response = await quart.test_client(use_cookies=False).get(path, headers=headers)
        assert response.status_code == 200
        text = str(await response.get_data(as_text=True))
        return text, cookie_in(response.headers.getlist("Set-Cookie")) or cookie

    async with here:
        _, anonymous = await asked_quart("/add")
        cookie = asked_flask("/login", anonymous)
        assert (len(anonymous), len(cookie)) == (43, 47)
        assert await asked_quart("/read", cookie) == ("7 ['tea']", cookie)
        assert (await asked_quart("/read", anonymous))[0] == "None []"
        assert len(await here.of(7)) == 1
        switched = asked_flask("/switch", cookie)
        assert await asked_quart("/read", switched) == ("8 ['tea']", switched)
        assert (await here.of(7), len(await here.of(8))) == ([], 1)
        await here.revoke(8)
        assert (await asked_quart("/read", switched))[0] == "None []"
        _, anonymous = await asked_quart("/add")
        cookie = asked_flask("/login", anonymous)
        asked_flask("/logout", cookie)
        assert (await asked_quart("/read", cookie))[0] == "None []"
        assert await here.of(7) == []
    there.close()


@pytest.mark.parametrize("encryption", ["off", "on"])
async def test_everybody_is_logged_out_of_a_cluster(valkey_cluster: Cluster, encryption: Literal["off", "on"]) -> None:
    url = f"{valkey_cluster.url}?namespace={uuid4().hex}"

    def asked_of(not_before: datetime | None) -> tuple[typed_sessions.asgi.Sessions[Visitor], TestClient]:
        sessions = typed_sessions.asgi.Sessions(
            Visitor, secret_key="k" * 32, store=url, encryption=encryption, not_before=not_before
        )

        async def view(request: Request) -> JSONResponse:
            if request.url.path == "/login":
                sessions.current.promote(user_id=7)
            return JSONResponse([sessions.data.user_id, len(await sessions.of(7))])

        app = Starlette(routes=[Route("/{path}", view)], middleware=[Middleware(sessions.middleware)])
        return sessions, TestClient(app)

    sessions, client = asked_of(None)
    async with sessions:
        client.get("/login")
        assert client.get("/read").json() == [7, 1]
        await asyncio.sleep(1)
        restarted, later = asked_of(datetime.now(UTC))
        async with restarted:
            later.cookies = client.cookies
            assert later.get("/read").json() == [None, 0]
            later.get("/login")
            assert later.get("/read").json() == [7, 1]


def cookie_in(headers: list[str]) -> str:
    return headers[-1].partition(";")[0].partition("=")[2] if headers else ""
