"""Sessions in Litestar: settings as arguments, the plugin, and what handlers are given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, assert_type

from litestar import Litestar, Request, WebSocket, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.testing import TestClient
from pydantic import SecretStr
from schemas import Box, Cart, HasUser, Item, Required, Visitor, make_visitor

from typed_sessions import Session, SessionsLike
from typed_sessions.litestar import SessionInfo, Sessions
from typed_sessions.stores import MemoryStore

KEY = "a secret key"
sessions = Sessions(Visitor, secret_key=KEY)
app = Litestar([], plugins=[sessions])

# set-up
Sessions(Required, secret_key=KEY)  # error
Sessions(Visitor(), secret_key=KEY)  # error
Sessions(Visitor, KEY)  # error
Sessions(app, secret_key=KEY)  # error
Litestar([], plugins=sessions)  # error
Litestar([], plugins=[Sessions])  # error: mypy, basedpyright, pyright, pyrefly
sessions.init_app(app)  # error
sessions.middleware(app)  # error
assert_type(Sessions(Visitor, secret_key=KEY), Sessions[Visitor])
assert_type(Sessions(make_visitor, secret_key=KEY), Sessions[Visitor])
assert_type(Sessions(Box[int], secret_key=KEY), Sessions[Box[int]])
assert_type(Sessions(secret_key=KEY), Sessions[dict[str, object]])
assert_type(Sessions[Cart](Cart, secret_key=KEY), Sessions[Cart])

# settings
Sessions(Visitor, secret_key=7)  # error
Sessions(Visitor, secret_key=KEY, lifetme=60)  # error: mypy, basedpyright, pyright, pyrefly
Sessions(Visitor, secret_key=KEY, max_age=60)  # error: mypy, basedpyright, pyright, pyrefly
Sessions(Visitor, secret_key=KEY, samesite="laxx")  # error
Sessions(Visitor, secret_key=KEY, serializer="pickle")  # error
Sessions(Visitor, secret_key=KEY, store=7)  # error
Sessions(Visitor, secret_key=SecretStr(KEY))
Sessions(Visitor, secret_key=KEY, store="redis://localhost", lifetime=timedelta(days=14), serializer="msgspec-json")
Sessions(Visitor, secret_key=KEY, store=MemoryStore(), permanent=False, refresh_after=3600, on_store_error="anonymous")

# config keys
config: Mapping[str, object] = {"SECRET_KEY": KEY}
Sessions.from_config(Required, config)  # error
Sessions.from_config(Visitor)  # error
Sessions.from_config(Visitor, KEY)  # error
assert_type(Sessions.from_config(Visitor, config), Sessions[Visitor])
assert_type(Sessions.from_config(None, config, permanent=False), Sessions[dict[str, object]])

# the session of a request
sessions.data.usr_id  # error
sessions.data.user_id = "7"  # error
sessions.current.data.cart.append("sku")  # error
sessions.replace("7")  # error
sessions.user_id  # error
assert_type(sessions.data, Visitor)
assert_type(sessions.current, Session[Visitor])
sessions.replace(Visitor(7))
sessions.data.user_id = 7


# what a handler is given, and one that is at hand
@get("/", sync_to_thread=False)
def handler(session_data: NamedDependency[Visitor], request: Request[Any, Any, State]) -> int:
    session_data.usr_id  # error
    session_data.user_id = "7"  # error
    sessions.on()  # error
    sessions.on(request.scope)  # error
    sessions.on(request).data.usr_id  # error
    sessions.on(request).data.user_id = "7"  # error
    session_data.user_id = 7
    session_data.cart.append(Item("sku"))
    assert_type(sessions.on(request), Session[Visitor])
    return session_data.visits


def listen(socket: WebSocket[Any, Any, State]) -> None:
    assert_type(sessions.on(socket).data.cart, list[Item])
    sessions.on(socket).data.cart.append("sku")  # error


# what is awaited
async def awaited() -> None:
    sessions.data = Visitor()  # error
    assert_type(await sessions.save(), bool)
    assert_type(await sessions.reload(), bool)
    assert_type(await sessions.of("Ada"), list[SessionInfo])
    await sessions.revoke(7, except_current=True)
    await sessions.of([7])  # error
    await sessions.revoke(7, True)  # error
    async with Sessions(Visitor, secret_key=KEY) as opened:
        assert_type(opened, Sessions[Visitor])


# transactions
def transacted(test_client: TestClient[Litestar]) -> None:
    sessions.transaction(app)  # error
    with sessions.transaction(test_client) as session:
        session.data.user_id = "7"  # error
        assert_type(session, Session[Visitor])
        session.data.user_id = 7


# clients that have logged in
sessions.cookie_for("7")  # error
sessions.client_for("7", app)  # error
sessions.client_for(Visitor(7))  # error
assert_type(sessions.cookie_for(Visitor(7), permanent=False), str)
assert_type(sessions.client_for(Visitor(7), app), TestClient[Litestar])
with TestClient(app, session_config=sessions.backend_config()) as client:
    client.set_session_data({"user_id": 7})


# helpers that know no framework
def user_of(of: SessionsLike[HasUser]) -> int | None:
    return of.data.user_id


user_of(Sessions(Box[str], secret_key=KEY))  # error
user_of(sessions)
