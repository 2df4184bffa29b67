"""Extensions of Starlette that keep things in `request.session`: log in, change something, log out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import Factory, define
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped]  # has no types
from httpx2 import MockTransport
from httpx2 import Request as ToProvider
from httpx2 import Response as FromProvider
from sqladmin import Admin, Flash, ModelView
from sqladmin.authentication import AuthenticationBackend
from sqlalchemy import Engine, StaticPool, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette_admin.auth import AdminUser, AuthProvider
from starlette_admin.base import BaseAdmin
from typing_extensions import override

from typed_sessions import Subject
from typed_sessions.asgi import Sessions

SECRET = "a secret key that is long enough"
STORES = pytest.mark.parametrize("store", [None, "memory://"], ids=["cookie", "store"])


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


def client(app: Starlette) -> TestClient:
    return TestClient(app, "https://testserver", follow_redirects=False)


@STORES
def test_authlib(store: str | None) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET, store=store)
    oauth = OAuth()

    def provider(request: ToProvider) -> FromProvider:
        assert request.url.path == "/token"
        return FromProvider(200, json={"access_token": "the token", "token_type": "bearer"})

    them = oauth.register(
        "them",
        client_id="id",
        client_secret="hush",
        authorize_url="https://provider.example/authorize",
        access_token_url="https://provider.example/token",
        client_kwargs={"transport": MockTransport(provider), "code_challenge_method": "S256"},
    )

    async def login(request: Request) -> Response:
        response: Response = await them.authorize_redirect(request, "https://testserver/back")
        return response

    async def back(request: Request) -> Response:
        token = await them.authorize_access_token(request)
        sessions.current.promote(user_id=7)
        return PlainTextResponse(token["access_token"])

    async def add(_request: Request) -> Response:
        sessions.data.cart.append("tea")
        return JSONResponse(sessions.data.cart)

    async def logout(request: Request) -> Response:
        request.session.clear()
        return PlainTextResponse("")

    async def held(request: Request) -> Response:
        return JSONResponse([[*request.session], [*sessions.current.extras]])

    views = {"/login": login, "/back": back, "/add": add, "/logout": logout, "/held": held}
    routes = [Route(path, view) for path, view in views.items()]
    with client(Starlette(routes=routes, middleware=[Middleware(sessions.middleware)])) as visitor:
        assert visitor.get("/add").json() == ["tea"]
        states = [parse_qs(urlsplit(visitor.get("/login").headers["Location"]).query)["state"][0] for _ in range(2)]
        keys, extras = visitor.get("/held").json()
        assert [key for key in keys if key not in ("cart", "user_id")] == [f"_state_them_{states[1]}"]
        assert f"_state_them_{states[1]}" in extras
        assert visitor.get(f"/back?code=x&state={states[1]}").text == "the token"
        keys, _ = visitor.get("/held").json()
        assert f"_state_them_{states[1]}" not in keys
        assert {"user_id", "cart"} <= {*keys}
        assert visitor.get("/add").json() == ["tea", "tea"]
        visitor.get("/logout")
        assert visitor.get("/held").json() == [[], []]


class Admins(AuthProvider):
    @override
    async def login(self, username: str, password: str, remember_me: bool, request: Request) -> Any:
        request.session.update({"username": username})

    @override
    async def authenticate(self, request: Request) -> AdminUser | None:
        name = request.session.get("username")
        return None if name is None else AdminUser(username=name)

    @override
    async def logout(self, request: Request) -> Any:
        request.session.clear()


@STORES
@pytest.mark.parametrize("place", ["around the application", "in the admin"])
def test_starlette_admin(place: str, store: str | None) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET, store=store)
    middleware = [Middleware(sessions.middleware)]
    is_around = place == "around the application"
    admin = BaseAdmin(auth_provider=Admins(), secret_key=SECRET, middlewares=[] if is_around else middleware)

    async def add(_request: Request) -> Response:
        sessions.data.cart.append("tea")
        return JSONResponse(sessions.data.cart)

    app = Starlette(routes=[Route("/add", add)], middleware=middleware if is_around else [])
    admin.mount_to(app)
    with client(app) as visitor:
        assert visitor.get("/admin/").is_redirect
        token = re.search(r'name="csrftoken"[^>]*value="([^"]+)"', visitor.get("/admin/login").text)
        assert token is not None
        form = {"username": "Ada", "password": "x", "csrftoken": token[1]}
        assert visitor.post("/admin/login", data=form).is_redirect
        page = visitor.get("/admin/")
        assert page.status_code == 200
        assert "Ada" in page.text
        if is_around:
            assert visitor.get("/add").json() == ["tea"]
            assert visitor.get("/admin/").status_code == 200
        headers = {"X-CSRFToken": token[1], "Origin": "https://testserver", "Referer": "https://testserver/admin/"}
        visitor.post("/admin/logout", headers=headers, data={"csrftoken": token[1]})
        assert visitor.get("/admin/").is_redirect


class Table(DeclarativeBase):
    pass


class Product(Table):
    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class ProductView(ModelView, model=Product):
    """Says after a change, in the session, that it was made."""

    @override
    async def after_model_change(self, data: dict[str, Any], model: Any, is_created: bool, request: Request) -> None:
        Flash.success(request, f"{model.name} was saved")


class Staff(AuthenticationBackend):
    @override
    async def login(self, request: Request) -> bool:
        form = await request.form()
        request.session["username"] = str(form["username"])
        return True

    @override
    async def logout(self, request: Request) -> bool:
        request.session.clear()
        return True

    @override
    async def authenticate(self, request: Request) -> bool:
        return "username" in request.session


@pytest.fixture
def products() -> Iterator[Engine]:
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    Table.metadata.create_all(engine)
    yield engine
    engine.dispose()


@STORES
def test_sqladmin(store: str | None, products: Engine) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET, store=store)
    backend = Staff(secret_key="not used")
    backend.middlewares = []

    async def add(_request: Request) -> Response:
        sessions.data.cart.append("tea")
        return JSONResponse(sessions.data.cart)

    app = Starlette(routes=[Route("/add", add)], middleware=[Middleware(sessions.middleware)])
    Admin(app, products, authentication_backend=backend).add_view(ProductView)
    with client(app) as visitor:
        assert visitor.get("/add").json() == ["tea"]
        assert visitor.get("/admin/product/list").headers["Location"].endswith("/admin/login")
        visitor.post("/admin/login", data={"username": "Ada", "password": "x"})
        assert visitor.get("/admin/product/list").status_code == 200
        assert visitor.post("/admin/product/create", data={"name": "sencha"}).is_redirect
        assert "sencha was saved" in visitor.get("/admin/product/list").text
        visitor.post("/admin/product/edit/1", data={"name": "assam"})
        shown = [visitor.get("/admin/product/list").text for _ in range(2)]
        assert ["assam was saved" in page for page in shown] == [True, False]
        assert visitor.get("/add").json() == ["tea", "tea"]
        assert {cookie.name for cookie in visitor.cookies.jar} == {"session"}
        visitor.get("/admin/logout")
        assert visitor.get("/admin/product/list").is_redirect
        assert visitor.get("/add").json() == ["tea"]
