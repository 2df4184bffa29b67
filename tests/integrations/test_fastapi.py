"""What FastAPI adds: dependencies, their overrides, and the description of the interface."""

# FastAPI reads the annotations of views within functions, which it could not resolve if they were texts.

import sys
from typing import Annotated, Any, TypedDict
from uuid import UUID

import pytest
from attrs import define
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.websockets import WebSocketDisconnect

from typed_sessions import Session, UndeclaredKeyError
from typed_sessions.asgi import Sessions

SECRET = "a secret key that is long enough"


@define
class Visitor:
    user_id: int | None = None
    token: UUID | None = None
    visits: int = 0


class Basket(TypedDict, total=False):
    user_id: int


@define
class Site:
    app: FastAPI
    sessions: Sessions[Visitor]

    def client(self, visitor: Visitor | None = None) -> TestClient:
        client = TestClient(self.app, "https://testserver")
        if visitor is not None:  # where the client keeps what a response sets, too
            client.cookies.set("session", self.sessions.cookie_for(visitor), domain="testserver.local")
        return client


class Fake:
    new = False


@pytest.fixture
def site() -> Site:
    app, sessions = FastAPI(), Sessions(Visitor, secret_key=SecretStr(SECRET))
    app.add_middleware(sessions.middleware)
    site = Site(app, sessions)

    @app.get("/me")
    async def me(user_id: Annotated[int, Depends(sessions.require("user_id"))]) -> dict[str, object]:
        return {"user_id": user_id, "type": type(user_id).__name__}

    @app.get("/token")
    def token(token: Annotated[UUID, Depends(sessions.require("token"))]) -> str:
        return f"{type(token).__name__} {token}"

    @app.get("/visits")
    async def visits(data: Annotated[Visitor, Depends(sessions.get_data)]) -> int:
        data.visits += 1
        return data.visits

    @app.get("/new")
    async def new(session: Annotated[Session[Visitor], Depends(sessions.get_session)]) -> bool:
        return session.new

    @app.websocket("/talk")
    async def talk(websocket: WebSocket, user_id: Annotated[int, Depends(sessions.require("user_id"))]) -> None:
        await websocket.accept()
        await websocket.send_json(user_id)

    return site


def test_a_required_field_is_given_with_its_type(site: Site) -> None:
    visitor = site.client(Visitor(user_id=7, token=UUID(int=3)))
    assert visitor.get("/me").json() == {"user_id": 7, "type": "int"}
    assert visitor.get("/token").json() == f"UUID {UUID(int=3)}"
    with visitor.websocket_connect("/talk") as websocket:
        assert websocket.receive_json() == 7


def test_without_it_the_answer_is_401(site: Site) -> None:
    answer = site.client().get("/me")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})
    assert answer.headers["www-authenticate"] == "Cookie"
    assert answer.headers["vary"] == "Cookie"
    assert site.client(Visitor(visits=3)).get("/me").status_code == 401
    with pytest.raises(WebSocketDisconnect), site.client().websocket_connect("/talk"):
        pass


def test_a_default_that_is_stored_as_such_is_no_value(site: Site) -> None:
    @site.app.get("/forget")
    async def forget() -> None:
        site.sessions.current["user_id"] = None

    visitor = site.client(Visitor(user_id=7))
    visitor.get("/forget")
    assert visitor.get("/me").status_code == 401


def test_it_shows_as_a_cookie_in_the_description(site: Site) -> None:
    description = site.client().get("/openapi.json").json()
    schemes = description["components"]["securitySchemes"]
    assert schemes["session with user_id"]["in"] == "cookie"
    assert schemes["session with user_id"]["name"] == "session"
    assert schemes["session with user_id"]["type"] == "apiKey"
    assert description["paths"]["/me"]["get"]["security"] == [{"session with user_id": []}]
    assert description["paths"]["/me"]["get"].get("parameters") is None
    assert "security" not in description["paths"]["/visits"]["get"]


def test_dependencies_may_be_overridden(site: Site) -> None:
    given = Visitor(visits=10)
    site.app.dependency_overrides |= {
        site.sessions.get_data: lambda: given,
        site.sessions.require("user_id"): lambda: 99,
        site.sessions.get_session: Fake,  # any callable
    }
    visitor = site.client()
    assert visitor.get("/visits").json() == 11
    assert visitor.get("/me").json()["user_id"] == 99
    assert visitor.get("/new").json() is False
    site.app.dependency_overrides.clear()
    assert visitor.get("/visits").json() == 1


def test_a_field_that_is_not_there_cannot_be_required(site: Site) -> None:
    with pytest.raises(UndeclaredKeyError, match='did you mean "user_id"'):
        site.sessions.require("usr_id")


@pytest.mark.parametrize("schema", [Basket, None], ids=["TypedDict", "no schema"])
def test_a_key_may_be_required(schema: Any) -> None:
    app, sessions = FastAPI(), Sessions(schema, secret_key=SECRET)
    app.add_middleware(sessions.middleware)

    @app.get("/me")
    async def me(user_id: Annotated[int, Depends(sessions.require("user_id"))]) -> int:
        return user_id

    visitor = TestClient(app, "https://testserver")
    assert visitor.get("/me").status_code == 401
    visitor.cookies.set("session", sessions.cookie_for({"user_id": 0}))
    assert visitor.get("/me").json() == 0


def test_without_fastapi_the_extra_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "typed_sessions.frameworks.requirement", raising=False)
    for name in [name for name in sys.modules if name == "fastapi" or name.startswith("fastapi.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'typed_sessions\[fastapi\]'"):
        site.sessions.require("user_id")
