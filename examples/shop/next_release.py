"""The next release of the shop, as far as sessions go: another schema over the cookies and the store of this one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from attrs import Factory, define
from quart import Quart

from examples.shop import new_token
from typed_sessions import Formerly, Subject
from typed_sessions.quart import Sessions


@define
class CartItem:
    sku: str
    name: str
    price: Decimal
    quantity: int = 1
    gift_wrapped: bool = False  # is new


@define
class Visitor:
    customer: Annotated[str | None, Subject, Formerly("user")] = None  # was called `user`
    logged_in_at: date | None = None  # was a datetime
    cart: list[CartItem] = Factory(list[CartItem])  # of another class
    csrf_token: str = Factory(new_token)
    stamps: int = 0  # is new


sessions = Sessions(Visitor)


def create_app(**settings: object) -> Quart:
    app = Quart(__name__)
    app.config.from_mapping(settings)
    sessions.init_app(app)

    @app.get("/")
    async def show() -> str:
        return repr(sessions.data) if "cart" in sessions.current else "a new visitor"

    return app
