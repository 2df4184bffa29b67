"""Keys of `request.session` in Litestar, with the plugin and the stubs of `framework.py`."""

from __future__ import annotations

from typing import Any, assert_type

import litestar.connection
import litestar.types
from litestar import Request, WebSocket
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from schemas import Item, Theme

import typed_sessions.litestar

AnyRequest = Request[Any, Any, State]
AnyWebSocket = WebSocket[Any, Any, State]
AnyConnection = ASGIConnection[Any, Any, Any, State]
sessions = typed_sessions.litestar.Sessions(secret_key="a secret key")


# a key that is not declared
def misspelt(request: AnyRequest, websocket: AnyWebSocket, any_of: AnyConnection) -> None:
    print(request.session["usr_id"])  # error
    print(websocket.session["usr_id"])  # error
    print(any_of.session["usr_id"])  # error
    print(request.session.get("nme"))  # error
    print(request.session.get("nme", ""))  # error
    print(request.session.pop("nme"))  # error
    print(request.session.pop("nme", None))  # error
    print(request.session.setdefault("crat", []))  # error
    request.session["usr_id"] = 7  # error
    request.session.update(usr_id=7)  # error
    request.session.update({"usr_id": 7})  # error
    del request.session["usr_id"]  # error
    print("usr_id" in request.session)  # error
    held = request.session
    print(held["usr_id"])  # error


# and one that is
def spelt(request: AnyRequest, websocket: AnyWebSocket) -> None:
    assert_type(request.session["user_id"], int | None)
    assert_type(websocket.session["theme"], Theme)
    assert_type(request.session.get("name"), str | None)
    assert_type(request.session.get("name", ""), str)
    assert_type(request.session.pop("visits"), int)
    assert_type(request.session.setdefault("cart", []), list[Item])
    print("user_id" in request.session, len(request.session), bool(request.session))
    del request.session["user_id"]


# a value of another type
def mistyped(request: AnyRequest, websocket: AnyWebSocket) -> None:
    request.session["user_id"] = "7"  # error
    request.session["name"] = None  # error
    request.session["cart"] = ["sku"]  # error
    request.session["theme"] = "dark"  # error
    websocket.session["user_id"] = "7"  # error
    request.session.setdefault("name", 7)  # error
    request.session.update(user_id="7")  # error
    request.session.update({"user_id": "7"})  # error
    print(request.session["user_id"] + 1)  # error
    request.session["cart"].append("sku")  # error


# and one of its own
def typed(request: AnyRequest, websocket: AnyWebSocket) -> None:
    request.session["user_id"] = 7
    request.session["theme"] = Theme.DARK
    request.session["visits"] += 1
    request.session.update(user_id=7, name="Ada")
    request.session.update({"user_id": 7, "visits": 1})
    request.session["cart"].append(Item("a"))
    request.session["_flashes"] = []
    websocket.session["cart"] = [Item("a")]
    request.session.clear()


# what Litestar's is, and no more
def as_it_is(request: AnyRequest) -> dict[str, Any]:
    print(request.session.data)  # error
    request.session.promote(user_id=7)  # error
    request.session.invalidate()  # error
    request.session = {}  # error
    request.clear_session()
    return request.session


# all else of a request is as it was
async def untouched(request: AnyRequest, connection: AnyConnection) -> None:
    assert_type(request.method, litestar.types.Method)
    assert_type(request.cookies, dict[str, str])
    assert_type(request.url.path, str)
    assert_type(await request.body(), bytes)
    request.methd  # error
    litestar.connection.Request[Any, Any, State](connection.scope)
    print(request.client, request.state.anything, request.user, connection.route_handler)
