"""Sessions in Starlette and FastAPI: settings as arguments, the middleware, and dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, assert_type

import httpx
from fastapi import Depends, FastAPI, Request
from pydantic import SecretStr
from schemas import Box, Cart, HasUser, Item, Required, Visitor, make_visitor
from starlette.applications import Starlette
from starlette.datastructures import Secret
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from typed_sessions import Session, SessionsLike
from typed_sessions.asgi import SessionInfo, SessionMiddleware, Sessions
from typed_sessions.reports import Report
from typed_sessions.stores import MemoryStore

KEY = "a secret key"
sessions = Sessions(Visitor, secret_key=KEY)
app = FastAPI()


def takes_two(request: Request, report: Report) -> None:
    print(request, report)


def takes_report(report: Report) -> None:
    assert_type(report, Report)


# set-up
Sessions(Required, secret_key=KEY)  # error
Sessions(Visitor(), secret_key=KEY)  # error
Sessions(Visitor, KEY)  # error
Sessions(app, secret_key=KEY)  # error
assert_type(Sessions(Visitor, secret_key=KEY), Sessions[Visitor])
assert_type(Sessions(make_visitor, secret_key=KEY), Sessions[Visitor])
assert_type(Sessions(Box[int], secret_key=KEY), Sessions[Box[int]])
assert_type(Sessions(secret_key=KEY), Sessions[dict[str, object]])
assert_type(Sessions[Cart](Cart, secret_key=KEY), Sessions[Cart])

# settings
Sessions(Visitor, secret_key=7)  # error
Sessions(Visitor, secret_key=None)  # error
Sessions(Visitor, secret_key_fallbacks=7)  # error
Sessions(Visitor, secret_key=KEY, lifetme=60)  # error: mypy, basedpyright, pyright, pyrefly
Sessions(Visitor, secret_key=KEY, session_cookie="shop")  # error: mypy, basedpyright, pyright, pyrefly
Sessions(Visitor, secret_key=KEY, max_age=60)  # error: mypy, basedpyright, pyright, pyrefly
Sessions(Visitor, secret_key=KEY, lifetime="soon")  # error
Sessions(Visitor, secret_key=KEY, samesite="laxx")  # error
Sessions(Visitor, secret_key=KEY, secure="yes")  # error
Sessions(Visitor, secret_key=KEY, serializer="pickle")  # error
Sessions(Visitor, secret_key=KEY, store=7)  # error
Sessions(Visitor, secret_key=KEY, permanent="yes")  # error
Sessions(Visitor, secret_key=KEY, on_bad_field="drop")  # error
Sessions(Visitor, secret_key=KEY, path=None)  # error
Sessions(Visitor, secret_key=KEY, on_event=7)  # error
Sessions(Visitor, secret_key=KEY, on_event=takes_two)  # error
Sessions(Visitor, secret_key=b"key", secret_key_fallbacks=[KEY, b"older"])
Sessions(Visitor, secret_key=SecretStr(KEY))
Sessions(Visitor, secret_key=Secret(KEY))
Sessions(Visitor, secret_key=KEY, store="redis://localhost", lifetime=timedelta(days=14), serializer="msgspec-json")
Sessions(Visitor, secret_key=KEY, store=MemoryStore(), permanent=False, refresh_after=3600, on_store_error="anonymous")
Sessions(Visitor, secret_key=KEY, cookie_name="shop", path="/shop", domain=None, samesite=None, secure=True)
Sessions(Visitor, secret_key=KEY, namespace="shop", extras={"theme"}, purge_every=timedelta(hours=1))

Sessions(Visitor, secret_key=KEY, on_event=print)
Sessions(Visitor, secret_key=KEY, on_event=takes_report)

# config keys
config: Mapping[str, object] = {"SECRET_KEY": KEY}
Sessions.from_config(Required, config)  # error
Sessions.from_config(Visitor)  # error
Sessions.from_config(Visitor, KEY)  # error
Sessions.from_config(Visitor, secret_key=KEY)  # error
assert_type(Sessions.from_config(Visitor, config), Sessions[Visitor])
assert_type(Sessions.from_config(None, config, permanent=False), Sessions[dict[str, object]])

# the middleware
app.add_middleware(sessions)  # error
app.add_middleware(sessions.middleware, secret_key=KEY)  # error
Middleware(sessions)  # error
Middleware(sessions.middleware, KEY)  # error
sessions.middleware()  # error
sessions.init_app(app)  # error
app.add_middleware(sessions.middleware)
starlette_app = Starlette(middleware=[Middleware(sessions.middleware)])
assert_type(sessions.middleware(starlette_app), SessionMiddleware)

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


# of one that is at hand
async def view(request: Request, websocket: WebSocket) -> None:
    sessions.on()  # error
    sessions.on(request.scope)  # error
    sessions.on(request).data.usr_id  # error
    sessions.on(request).data.user_id = "7"  # error
    sessions.on(request).user_id  # error
    assert_type(sessions.on(request), Session[Visitor])
    assert_type(sessions.on(websocket).data.cart, list[Item])
    sessions.on(request).data.user_id = 7


# dependencies
CurrentVisitor = Annotated[Visitor, Depends(sessions.get_data)]
CurrentSession = Annotated[Session[Visitor], Depends(sessions.get_session)]
UserID = Annotated[int, Depends(sessions.require("user_id"))]
sessions.require()  # error
sessions.require(7)  # error


@app.get("/")
async def depending(visitor: CurrentVisitor, session: CurrentSession, user_id: UserID) -> int:
    visitor.usr_id  # error
    visitor.user_id = "7"  # error
    session.data.usr_id  # error
    user_id.upper()  # error
    visitor.user_id = user_id
    session.data.visits += 1
    return user_id + visitor.visits


# what is awaited
async def awaited() -> None:
    sessions.data = Visitor()  # error
    assert_type(await sessions.get_data(), Visitor)
    assert_type(await sessions.get_session(), Session[Visitor])
    assert_type(await sessions.save(), bool)
    assert_type(await sessions.reload(), bool)
    assert_type(await sessions.of("Ada"), list[SessionInfo])
    await sessions.revoke(7, except_current=True)
    await sessions.of()  # error
    await sessions.of([7])  # error
    await sessions.revoke(7, True)  # error
    await sessions.save(7)  # error
    (await sessions.get_data()).usr_id  # error
    sessions.get_data().user_id  # error
    async with Sessions(Visitor, secret_key=KEY) as opened:
        assert_type(opened, Sessions[Visitor])
    with Sessions(Visitor, secret_key=KEY):  # error
        pass



# transactions
async def transacted(test_client: TestClient, async_client: httpx.AsyncClient) -> None:
    sessions.transaction()  # error
    sessions.transaction(app)  # error
    sessions.transaction(test_client, 7)  # error
    with sessions.transaction(test_client) as session:
        session.data.user_id = "7"  # error
        session.data.usr_id = 7  # error
        assert_type(session, Session[Visitor])
        session.data.user_id = 7
    async with sessions.transaction(async_client, "/cart") as awaited_session:
        awaited_session.data.cart.append("sku")  # error
        assert_type(awaited_session, Session[Visitor])


# clients that have logged in
sessions.cookie_for("7")  # error
sessions.cookie_for(Visitor(), app=app)  # error
sessions.client_for("7", app)  # error
sessions.client_for(Visitor(7))  # error
assert_type(sessions.cookie_for(Visitor(7), permanent=False), str)
assert_type(sessions.client_for(Visitor(7), app), TestClient)
assert_type(sessions.client_for(Visitor(7), Starlette(), permanent=False), TestClient)


# helpers that know no framework
def user_of(of: SessionsLike[HasUser]) -> int | None:
    return of.data.user_id


user_of(Sessions(Box[str], secret_key=KEY))  # error
user_of(sessions)
