"""Applications whose sessions are on a cluster: a log-in moves the session, and all else is as ever."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from attrs import Factory, define
from flask import Flask
from quart import Quart

import typed_sessions.flask
import typed_sessions.quart
from tests.valkey_clusters import Cluster
from typed_sessions import Subject


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


async def test_one_cluster_serves_quart_and_flask(valkey_cluster: Cluster) -> None:
    settings = {"SECRET_KEY": "k" * 32, "SESSION_STORE": f"{valkey_cluster.url}?namespace={uuid4().hex}"}
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


def cookie_in(headers: list[str]) -> str:
    return headers[-1].partition(";")[0].partition("=")[2] if headers else ""
