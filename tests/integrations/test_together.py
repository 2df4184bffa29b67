"""One session in all frameworks: a visitor goes from one to the next, changes something in each, and loses nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias
from uuid import UUID

import flask
import httpx
import litestar
import pytest
import quart
from attrs import Factory, define, field
from fastapi import FastAPI
from litestar.params import FromPath
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.postgresql_servers import postgresql_schema
from typed_sessions import SessionsLike, Subject
from typed_sessions import asgi as typed_asgi
from typed_sessions import flask as typed_flask
from typed_sessions import litestar as typed_litestar
from typed_sessions import quart as typed_quart
from typed_sessions.stores import with_table


@define
class Item:
    sku: str
    quantity: int = 1


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[Item] = Factory(list[Item])
    token: UUID | None = None
    total: Decimal = Decimal(0)
    tags: set[str] = field(factory=set[str])
    since: datetime | None = None


CONFIG: Final[dict[str, Any]] = {"SECRET_KEY": "k" * 32, "PROPAGATE_EXCEPTIONS": True}
SINCE: Final = datetime(2026, 12, 1, 12, 30, tzinfo=UTC)
SERIALIZERS: Final = ("tagged-json", "msgspec-json", "msgspec-msgpack")
TURNS: Final = 11

Visit: TypeAlias = Callable[[str], Awaitable[dict[str, Any]]]
"""Makes a request, as the one browser of a test."""


@define
class Browser:
    """Has one cookie."""

    closing: ExitStack
    """Of what has to be closed when it has made its last visit."""
    cookie: str | None = None

    def headers(self) -> dict[str, str]:
        return {} if self.cookie is None else {"Cookie": f"session={self.cookie}"}

    def answered(self, status: int, set_cookies: list[str]) -> None:
        assert status == 200
        for each in set_cookies:
            self.cookie = each.partition(";")[0].partition("=")[2]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with ExitStack() as closing:
        yield Browser(closing)


def work(sessions: SessionsLike[Visitor], session: Any, name: str) -> dict[str, Any]:
    """Change something of each kind, by attribute and by key, and return what is there."""
    data = sessions.data
    data.cart.append(Item(name))
    data.tags.add(name)
    data.total += Decimal("0.10")
    data.token = data.token or UUID(int=7)
    data.since = data.since or SINCE
    session["_seen"] = [*session.get("_seen", ()), name]
    if data.user_id is None:
        sessions.current.promote(user_id=7)
    return {
        "cart": [item.sku for item in data.cart],
        "tags": sorted(data.tags),
        "total": str(data.total),
        "token": str(data.token),
        "since": data.since.isoformat(),
        "seen": session["_seen"],
        "user": data.user_id,
    }


def on_quart(browser: Browser, store: str | None, serializer: Any) -> Visit:
    app = quart.Quart("shop")
    app.config.update(CONFIG)
    sessions = typed_quart.Sessions(Visitor, app, store=store, serializer=serializer)

    @app.post("/<name>")
    async def view(name: str) -> dict[str, Any]:
        return work(sessions, quart.session, name)

    async def visit(name: str) -> dict[str, Any]:
        response = await app.test_client(use_cookies=False).post(f"/{name}", headers=browser.headers())
        browser.answered(response.status_code, response.headers.getlist("Set-Cookie"))
        seen: dict[str, Any] = await response.get_json()
        return seen

    return visit


def on_flask(browser: Browser, store: str | None, serializer: Any) -> Visit:
    app = flask.Flask("shop")
    app.config.update(CONFIG)
    sessions = browser.closing.enter_context(typed_flask.Sessions(Visitor, app, store=store, serializer=serializer))

    @app.post("/<name>")
    def view(name: str) -> dict[str, Any]:
        return work(sessions, flask.session, name)

    async def visit(name: str) -> dict[str, Any]:
        response = app.test_client(use_cookies=False).post(f"/{name}", headers=browser.headers())
        browser.answered(response.status_code, response.headers.getlist("Set-Cookie"))
        seen: dict[str, Any] = response.get_json()
        return seen

    return visit


async def visited(app: Any, browser: Browser, name: str) -> dict[str, Any]:
    """Make a request to an ASGI application."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        response = await client.post(f"/{name}", headers=browser.headers())
    browser.answered(response.status_code, response.headers.get_list("set-cookie"))
    seen: dict[str, Any] = response.json()
    return seen


def on_starlette(browser: Browser, store: str | None, serializer: Any) -> Visit:
    sessions = typed_asgi.Sessions(Visitor, secret_key=CONFIG["SECRET_KEY"], store=store, serializer=serializer)

    async def view(request: Request) -> JSONResponse:
        return JSONResponse(work(sessions, request.session, request.path_params["name"]))

    routes = [Route("/{name}", view, methods=["POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(sessions.middleware)])
    return lambda name: visited(app, browser, name)


def on_fastapi(browser: Browser, store: str | None, serializer: Any) -> Visit:
    sessions = typed_asgi.Sessions.from_config(
        Visitor, {**CONFIG, "SESSION_STORE": store, "SESSION_SERIALIZER": serializer}
    )
    app = FastAPI()
    app.add_middleware(sessions.middleware)

    @app.post("/{name}")
    async def view(name: str) -> dict[str, Any]:
        return work(sessions, sessions.current, name)

    return lambda name: visited(app, browser, name)


def on_litestar(browser: Browser, store: str | None, serializer: Any) -> Visit:
    sessions = typed_litestar.Sessions(Visitor, secret_key=CONFIG["SECRET_KEY"], store=store, serializer=serializer)

    @litestar.post("/{name:str}", status_code=200)
    async def view(name: FromPath[str], request: litestar.Request[Any, Any, Any]) -> dict[str, Any]:
        return work(sessions, request.session, name)

    app = litestar.Litestar([view], plugins=[sessions], logging_config=None)
    return lambda name: visited(app, browser, name)


FRAMEWORKS: Final = (on_quart, on_flask, on_fastapi, on_starlette, on_litestar)


@pytest.fixture(params=["cookie", "sqlite", "redis", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    """Where the sessions are: a URL, or None."""
    with ExitStack() as schemas:
        match request.param:
            case "cookie":
                yield None
            case "sqlite":
                yield f"sqlite:///{tmp_path}/sessions.db"
            case "redis":
                yield request.getfixturevalue("redis_url")
            case _:
                server = request.getfixturevalue("postgresql_url")
                yield with_table(server, f"{schemas.enter_context(postgresql_schema(server))}.sessions")


@pytest.mark.parametrize("serializers", [*((each,) for each in SERIALIZERS), SERIALIZERS], ids="+".join)
async def test_a_visitor_goes_from_one_framework_to_the_next(
    browser: Browser, store: str | None, serializers: tuple[str, ...]
) -> None:
    """Also where each framework writes another format."""
    names = [f"visit-{number:02}" for number in range(TURNS)]
    formats = cycle(serializers)
    visits = [framework(browser, store, next(formats)) for framework in FRAMEWORKS]
    for number, visit in enumerate(islice(cycle(visits), TURNS), 1):
        assert await visit(names[number - 1]) == {
            "cart": names[:number],
            "tags": names[:number],
            "total": f"{number * Decimal('0.10')}",
            "token": str(UUID(int=7)),
            "since": SINCE.isoformat(),
            "seen": names[:number],
            "user": 7,
        }


def stock_quart(app: quart.Quart) -> Callable[[Browser], Awaitable[list[str]]]:
    @app.post("/")
    async def view() -> dict[str, Any]:
        quart.session["cart"] = [*quart.session.get("cart", ()), {"sku": "x", "quantity": len(quart.session)}]
        return {"cart": quart.session["cart"]}

    async def visit(browser: Browser) -> list[str]:
        response = await app.test_client(use_cookies=False).post("/", headers=browser.headers())
        browser.answered(response.status_code, response.headers.getlist("Set-Cookie"))
        return [item["sku"] for item in (await response.get_json())["cart"]]

    return visit


def stock_flask(app: flask.Flask) -> Callable[[Browser], Awaitable[list[str]]]:
    @app.post("/")
    def view() -> dict[str, Any]:
        flask.session["cart"] = [*flask.session.get("cart", ()), {"sku": "x", "quantity": len(flask.session)}]
        return {"cart": flask.session["cart"]}

    async def visit(browser: Browser) -> list[str]:
        response = app.test_client(use_cookies=False).post("/", headers=browser.headers())
        browser.answered(response.status_code, response.headers.getlist("Set-Cookie"))
        return [item["sku"] for item in response.get_json()["cart"]]

    return visit


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.__name__)
@pytest.mark.parametrize("stock", ["quart", "flask"])
async def test_the_cookies_of_stock_frameworks_open_here_and_ours_there(
    browser: Browser, framework: Any, stock: str
) -> None:
    if stock == "quart":
        app = quart.Quart("stock")
        app.config.update(CONFIG)
        visit_stock = stock_quart(app)
    else:
        other = flask.Flask("stock")
        other.config.update(CONFIG)
        visit_stock = stock_flask(other)
    visit, skus = framework(browser, None, "tagged-json"), list[str]()
    for number in range(2):
        skus.append("x")
        assert await visit_stock(browser) == skus
        skus.append(f"visit-{number}")
        assert (await visit(skus[-1]))["cart"] == skus
