"""A small tea shop. What it knows of a visitor is an attrs class, kept in a signed cookie, or on the server.

This module is the whole shop. `python -m examples.shop`, from the root of the repository, serves it at
http://127.0.0.1:5000 within a demo (`demo.py`), which shows what happens to the visitor's session.
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, cast, get_args
from urllib.parse import urlsplit

from attrs import Factory, define, evolve, frozen
from quart import (
    Blueprint,
    Quart,
    abort,
    current_app,
    flash,
    has_request_context,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug import Response
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.http import dump_cookie

from typed_sessions import Merge, Subject
from typed_sessions.quart import SessionInfo, Sessions
from typed_sessions.serializers import SerializerName

FORMATS = get_args(SerializerName)
MAX_QUANTITY = 99
MAX_NAME_LENGTH = 40


def new_token() -> str:
    return secrets.token_urlsafe(16)


@define
class CartItem:
    sku: str
    name: str
    price: Decimal
    quantity: int = 1


def both_carts(before: list[CartItem], mine: list[CartItem], theirs: list[CartItem]) -> list[CartItem]:
    """Keep what two tabs did at once: both have added their tins, and what either has taken out is gone."""
    were = {item.sku: item.quantity for item in before}
    cart = {item.sku: item for item in theirs if item.sku not in were or any(item.sku == own.sku for own in mine)}
    for item in mine:
        if item.sku in cart:
            quantity = cart[item.sku].quantity + item.quantity - were.get(item.sku, 0)
            cart[item.sku] = evolve(item, quantity=min(max(quantity, 1), MAX_QUANTITY))
        elif item.sku not in were:
            cart[item.sku] = item
    return list(cart.values())


@define
class Visitor:
    """The schema: everything that a session holds, with the default that a new visitor has."""

    user: Annotated[str | None, Subject] = None  # whose session it is
    logged_in_at: datetime | None = None
    cart: Annotated[list[CartItem], Merge(both_carts)] = Factory(list[CartItem])
    csrf_token: str = Factory(new_token)  # each visitor gets one of their own

    @property
    def total(self) -> Decimal:
        return sum((item.price * item.quantity for item in self.cart), Decimal())

    def item(self, sku: str) -> CartItem | None:
        return next((item for item in self.cart if item.sku == sku), None)


@frozen
class Product:
    sku: str
    name: str
    price: Decimal
    taste: str


PRODUCTS = {
    product.sku: product
    for product in (
        Product("sencha", "Harbour Sencha", Decimal("11.50"), "Green and brisk, like cut grass after rain."),
        Product("assam", "Night Train Assam", Decimal("9.80"), "Malt and toast. Takes milk without a word."),
        Product("earl-grey", "Lighthouse Earl Grey", Decimal("10.40"), "Bergamot in front, smoke behind."),
        Product("oolong", "Slow Tide Oolong", Decimal("16.00"), "Orchid and warm butter, six times over."),
        Product("rooibos", "Ember Rooibos", Decimal("8.20"), "Vanilla, honey, and nothing to keep you up."),
        Product("jasmine", "Moon Jasmine", Decimal("13.60"), "White tea that slept among flowers."),
    )
}

sessions = Sessions(Visitor)
shop = Blueprint("shop", __name__)


def create_app(store: str | None = None, **settings: object) -> Quart:
    app = Quart(__name__)
    app.config.from_mapping(
        SECRET_KEY=os.environ.get("SHOP_SECRET_KEY") or secrets.token_urlsafe(),
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_SERIALIZER="tagged-json",  # what Quart itself writes; another name here logs nobody out
        SESSION_STORE=store,
        SESSION_PURGE_EVERY=None if store is None else timedelta(hours=1),
    )
    app.config.from_mapping(settings)
    if store is None and "SECRET_KEY" not in settings and not os.environ.get("SHOP_SECRET_KEY"):
        app.logger.warning("SHOP_SECRET_KEY is not set: the key is a random one, and sessions end with this process")
    sessions.init_app(app)
    app.register_blueprint(shop)
    return app


@shop.get("/")
async def products() -> str:
    return await render_template("products.html", products=PRODUCTS.values())


@shop.get("/products/<sku>")
async def product(sku: str) -> str:
    return await render_template("product.html", product=known_product(sku), max_quantity=MAX_QUANTITY)


@shop.get("/cart")
async def cart() -> str:
    # To look at `data` makes a CSRF token, which then is stored. Whoever has nothing stored has an empty cart.
    visitor = sessions.data if "cart" in sessions.current else Visitor()
    return await render_template("cart.html", visitor=visitor, max_quantity=MAX_QUANTITY)


@shop.post("/cart/<sku>")
async def add_to_cart(sku: str) -> Response:
    product, quantity = known_product(sku), await posted_quantity()
    visitor = sessions.data
    item = visitor.item(sku)
    if item is None:
        visitor.cart.append(CartItem(product.sku, product.name, product.price, quantity))
    else:
        item.quantity = min(item.quantity + quantity, MAX_QUANTITY)  # a change this deep is saved, too
    await flash(f"{product.name} is in your cart.")
    return see_other("shop.cart")


@shop.post("/cart/<sku>/quantity")
async def change_quantity(sku: str) -> Response:
    item = item_in_cart(sku)
    item.quantity = await posted_quantity()
    await flash(f"{item.name}: {item.quantity} in your cart.")
    return see_other("shop.cart")


@shop.post("/cart/<sku>/remove")
async def remove_from_cart(sku: str) -> Response:
    item = item_in_cart(sku)
    sessions.data.cart.remove(item)
    await flash(f"{item.name} is no longer in your cart.")
    return see_other("shop.cart")


@shop.get("/login")
async def login() -> str:
    return await render_template("login.html", max_length=MAX_NAME_LENGTH)


@shop.post("/login")
async def log_in() -> Response:
    """Remember who it is, and keep the cart. On the server the session gets a new identifier."""
    name = (await posted("name")).strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        abort(400, f"A name has 1 to {MAX_NAME_LENGTH} characters.")
    sessions.current.promote(user=name, logged_in_at=datetime.now(UTC), csrf_token=new_token())
    await flash(f"Welcome, {name}.")
    return see_other("shop.products")


@shop.post("/logout")
async def log_out() -> Response:
    """Forget everything. This is Quart's own `session`: the same contents, by key."""
    session.clear()
    await flash("You are logged out, and your cart is empty.")
    return see_other("shop.products")


@shop.get("/session")
async def show_session() -> str:
    """Show what the session holds. It is read by key, so that looking at it stores nothing."""
    cookie = sent_cookie()
    if on_server() and cookie is not None:
        # Whoever has the identifier has the session: it belongs in no page, where a script, or a screenshot, finds it.
        cookie = "*" * len(cookie)
    return await render_template(
        "session.html",
        fields=sessions.schema.fields.values(),
        stored=dict(sessions.current),
        extras=dict(sessions.current.extras),
        new=sessions.current.new,
        cookie=cookie,
        size=0 if cookie is None else set_cookie_size(cookie),
        formats=FORMATS,
        on_server=on_server(),
        own_sessions=await own_sessions(),
    )


@shop.post("/session/others/end")
async def end_other_sessions() -> Response:
    """Log the customer out everywhere else."""
    user = sessions.current.get("user")
    if not isinstance(user, str) or not on_server():
        abort(404, "You have no other sessions here.")
    await sessions.revoke(user, except_current=True)
    await flash("You are logged out everywhere else.")
    return see_other("shop.show_session")


@shop.post("/session/format")
async def change_format() -> Response:
    """Change the format of everybody's sessions, while the shop is open. Nobody loses a cart."""
    name = await posted("format")
    if name not in FORMATS:
        abort(400, "There is no such format.")
    current_app.config["SESSION_SERIALIZER"] = name
    await flash(f"Sessions are written as {name} from now on.")
    return see_other("shop.show_session")


@shop.before_request
async def check_csrf() -> None:
    """Refuse a form that another site sent.

    A visitor with a session has a token in it, which no other site knows. A visitor without one gets none for looking
    at a form, since each crawler would leave a session behind. There the browser says where the form comes from, which
    keeps other sites from logging a visitor in as somebody else.
    """
    if request.method != "POST":
        return
    if "csrf_token" not in sessions.current:
        if not is_from_this_site():
            abort(403, "This form came from another site.")
        return
    sent, expected = await posted("csrf_token", ""), sessions.data.csrf_token
    if not secrets.compare_digest(sent.encode(), expected.encode()):
        abort(403, "This form is out of date. Go back, reload the page and send it again.")


@shop.app_errorhandler(400)
@shop.app_errorhandler(403)
@shop.app_errorhandler(404)
async def show_error(error: HTTPException) -> tuple[str, int]:
    if not has_request_context():  # a websocket to nowhere, which has no page
        return error.name, error.code or 500
    return await render_template("error.html", error=error), error.code or 500


@shop.app_template_filter("money")
def money(amount: Decimal) -> str:
    return f"€{amount:,.2f}"


def is_from_this_site() -> bool:
    """Return what the browser says. All have sent `Origin` with each POST for years, and scripts cannot change it."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(request.headers.get("Origin", "")).netloc == request.host


def on_server() -> bool:
    return current_app.config["SESSION_STORE"] is not None


def sent_cookie() -> str | None:
    return request.cookies.get(current_app.session_interface.get_cookie_name(current_app))


async def own_sessions() -> list[SessionInfo]:
    """Return all sessions of the customer who is logged in. Those in cookies nobody can count."""
    user = sessions.current.get("user")
    return await sessions.of(user) if on_server() and isinstance(user, str) else []


def known_product(sku: str) -> Product:
    return PRODUCTS.get(sku) or abort(404, "There is no such tea here.")


def item_in_cart(sku: str) -> CartItem:
    item = sessions.data.item(sku) if "cart" in sessions.current else None
    return item or abort(404, "There is no such tea in your cart.")


async def posted(name: str, default: str | None = None) -> str:
    """Return a value of the form; without a default, one that is missing gives the status 400."""
    form = cast("MultiDict[str, str]", await request.form)  # Quart does not say what is in it
    return form[name] if default is None else form.get(name, default)


async def posted_quantity() -> int:
    text = await posted("quantity")
    quantity = int(text) if text.isdecimal() and len(text) <= len(str(MAX_QUANTITY)) else 0
    if not 1 <= quantity <= MAX_QUANTITY:
        abort(400, f"A quantity is a whole number from 1 to {MAX_QUANTITY}.")
    return quantity


def see_other(endpoint: str) -> Response:
    """Send the browser on with a GET, so that to reload the page does not send the form again."""
    return redirect(url_for(endpoint), 303)


def set_cookie_size(value: str) -> int:
    """Return the bytes of the whole `Set-Cookie` text, which is what browsers limit."""
    rules, app = current_app.session_interface, current_app
    return len(
        dump_cookie(
            rules.get_cookie_name(app),
            value,
            path=rules.get_cookie_path(app),
            httponly=rules.get_cookie_httponly(app),
            samesite=rules.get_cookie_samesite(app),
        )
    )
