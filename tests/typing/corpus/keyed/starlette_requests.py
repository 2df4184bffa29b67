"""Keys of `request.session` in Starlette and FastAPI, with the plugin and the stubs of `framework.py`."""

from __future__ import annotations

from typing import Any, assert_type

import starlette.requests
from fastapi import Request as FastAPIRequest
from fastapi import WebSocket
from schemas import Item, Theme
from starlette.requests import HTTPConnection, Request


# a key that is not declared
def misspelt(request: Request, fastapi_request: FastAPIRequest, websocket: WebSocket, any_of: HTTPConnection) -> None:
    print(request.session["usr_id"])  # error
    print(fastapi_request.session["usr_id"])  # error
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
def spelt(request: Request, fastapi_request: FastAPIRequest, websocket: WebSocket) -> None:
    assert_type(request.session["user_id"], int | None)
    assert_type(fastapi_request.session["cart"], list[Item])
    assert_type(websocket.session["theme"], Theme)
    assert_type(request.session.get("name"), str | None)
    assert_type(request.session.get("name", ""), str)
    assert_type(request.session.pop("visits"), int)
    assert_type(request.session.setdefault("cart", []), list[Item])
    print("user_id" in request.session, len(request.session), bool(request.session))
    del request.session["user_id"]


# a value of another type
def mistyped(request: Request, websocket: WebSocket) -> None:
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
def typed(request: Request, websocket: WebSocket) -> None:
    request.session["user_id"] = 7
    request.session["theme"] = Theme.DARK
    request.session["visits"] += 1
    request.session.update(user_id=7, name="Ada")
    request.session.update({"user_id": 7, "visits": 1})
    request.session["cart"].append(Item("a"))
    request.session["_flashes"] = []
    websocket.session["cart"] = [Item("a")]
    request.session.clear()


# what Starlette's is, and no more
def as_it_is(request: Request) -> dict[str, Any]:
    print(request.session.data)  # error
    request.session.promote(user_id=7)  # error
    request.session.invalidate()  # error
    request.session = {}  # error
    return request.session


# all else of a request is as it was
async def untouched(request: Request, connection: HTTPConnection, fastapi_request: FastAPIRequest) -> None:
    assert_type(request.method, str)
    assert_type(request.cookies, dict[str, str])
    assert_type(request.url.path, str)
    assert_type(await request.body(), bytes)
    assert_type(await fastapi_request.is_disconnected(), bool)
    request.methd  # error
    starlette.requests.Request(connection.scope)
    async with request.form() as form:
        form.getlst("name")  # error
    print(form.get("name"), request.client, request.state.anything)
