"""What each extra is for, tried where nothing else is installed: `python -I trials.py quart`. No test of pytest's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import define

SECRET = "a secret key that is long enough"


@define
class Visitor:
    user_id: int | None = None


def without_extras() -> None:
    """The core, sessions of ASGI, and the stores that need no driver; what needs an extra says which."""
    from typed_sessions import SecureCookieSession
    from typed_sessions.asgi import Sessions

    session = SecureCookieSession({"user_id": 7}, schema=Visitor)
    assert session.data == Visitor(7)
    command = Path(sys.executable).with_name("typed-sessions")
    for help_of in ([str(command), "--help"], [sys.executable, "-I", "-m", "typed_sessions", "--help"]):
        subprocess.run(help_of, check=True, capture_output=True)  # noqa: S603 -- what was just installed
    with tempfile.TemporaryDirectory() as directory:
        for store in (None, "memory://", f"sqlite:///{directory}/sessions.db"):
            two_visits(store)
    sessions = Sessions(Visitor, secret_key=SECRET)
    refused(lambda: __import__("typed_sessions.quart"), "quart")
    refused(lambda: __import__("typed_sessions.flask"), "flask")
    refused(lambda: __import__("typed_sessions.litestar"), "litestar")
    refused(lambda: sessions.require("user_id"), "fastapi")
    refused(lambda: sessions.client_for(Visitor(7), lambda *_: None), "starlette")  # type: ignore[arg-type]  # it is not asked
    refused(lambda: two_visits(None, encryption="on"), "encryption")
    refused(lambda: two_visits("redis://localhost"), "redis")
    refused(lambda: two_visits("postgresql://localhost/sessions"), "postgresql")


def refused(use: Callable[[], object], extra: str) -> None:
    """Hold what lacks an extra to naming it."""
    from typed_sessions import ConfigurationError

    said = "nothing"
    try:
        use()
    except (ImportError, ConfigurationError) as error:
        said = str(error)
    assert f"typed_sessions[{extra}" in said, f"without {extra}: {said}"


def two_visits(store: str | None, **settings: Any) -> None:
    """Hold an ASGI application without a framework to knowing a visitor who comes again."""
    from typed_sessions.asgi import Sessions

    said = asyncio.run(visits(Sessions(Visitor, secret_key=SECRET, store=store, **settings)))
    assert said == [b"1", b"2"], f"{store}: {said}"


async def visits(sessions: Any) -> list[bytes]:
    sent: list[MutableMapping[str, Any]] = []

    async def count(_scope: object, _receive: object, send: Any) -> None:
        sessions.data.user_id = (sessions.data.user_id or 0) + 1
        body = str(sessions.data.user_id).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": body})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    headers: list[tuple[bytes, bytes]] = []
    for _ in range(2):
        await sessions.middleware(count)({"type": "http", "path": "/", "headers": headers}, receive, send)
        found = dict(sent[-2]["headers"])
        headers = [(b"cookie", found[b"set-cookie"].partition(b";")[0])] if b"set-cookie" in found else headers
    await sessions.close()
    return [message["body"] for message in sent if "body" in message]


def quart() -> None:
    from quart import Quart

    from typed_sessions.quart import Sessions

    async def visit() -> None:
        app = Quart(__name__)
        app.secret_key = SECRET
        sessions = Sessions(Visitor, app)
        app.get("/")(lambda: str(sessions.data.user_id))
        client = await sessions.client_for(Visitor(7))
        assert await (await client.get("/")).get_data(as_text=True) == "7"

    asyncio.run(visit())


def flask() -> None:
    from flask import Flask

    from typed_sessions.flask import Sessions

    app = Flask(__name__)
    app.secret_key = SECRET
    sessions = Sessions(Visitor, app)
    app.get("/")(lambda: str(sessions.data.user_id))
    assert sessions.client_for(Visitor(7)).get("/").text == "7"


def starlette() -> None:
    sessions, app = starlette_application()
    refused(lambda: sessions.client_for(Visitor(7), app), "starlette]' httpx2")  # httpx2 is no part of it


def starlette_application() -> tuple[Any, Any]:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    from typed_sessions.asgi import Sessions

    sessions = Sessions(Visitor, secret_key=SECRET)
    app = Starlette(middleware=[Middleware(sessions.middleware)])
    assert app.user_middleware
    return sessions, app


def fastapi() -> None:
    from fastapi import FastAPI

    from typed_sessions.asgi import Sessions

    sessions = Sessions(Visitor, secret_key=SECRET)
    app = FastAPI()
    app.add_middleware(sessions.middleware)
    assert sessions.require("user_id") is sessions.require("user_id")


def litestar() -> None:
    from litestar import Litestar, get

    from typed_sessions.litestar import Sessions

    sessions = Sessions(Visitor, secret_key=SECRET)

    @get("/")
    async def view(session_data: Visitor) -> int | None:
        assert session_data is sessions.data
        return session_data.user_id

    with sessions.client_for(Visitor(7), Litestar([view], plugins=[sessions])) as client:
        assert client.get("/").json() == 7


def redis() -> None:
    unanswered("redis://127.0.0.1:1/0")


def postgresql() -> None:
    unanswered("postgresql://127.0.0.1:1/sessions")


def unanswered(url: str) -> None:
    """Hold a driver to being there: where no server is, the session says that none answers."""
    from typed_sessions import StoreUnavailableError
    from typed_sessions.stores import open_store

    async def load() -> None:
        store = open_store(url)
        try:
            await store.load("ab" * 32)
        finally:
            await store.close()

    try:
        asyncio.run(load())
    except StoreUnavailableError:
        return
    raise AssertionError(f"something answers at {url}")


def pydantic() -> None:
    from pydantic import BaseModel

    from typed_sessions import SecureCookieSession

    class Model(BaseModel):
        user_id: int | None = None

    assert SecureCookieSession({"user_id": 7}, schema=Model).data == Model(user_id=7)


def encryption() -> None:
    for store in (None, "memory://"):
        two_visits(store, encryption="on")


def speed() -> None:
    import pybase64

    assert pybase64.b64decode(b"YQ==") == b"a"
    two_visits(None)


def demo() -> None:
    for server in ("hypercorn", "python_multipart", "uvicorn"):
        import_module(server)
    for trial in (quart, flask, starlette_application, fastapi, litestar):
        trial()  # Litestar brings httpx: Starlette's test client is there, too


TRIALS: dict[str, Callable[[], None]] = {
    "": without_extras,
    "quart": quart,
    "flask": flask,
    "starlette": starlette,
    "fastapi": fastapi,
    "litestar": litestar,
    "redis": redis,
    "postgresql": postgresql,
    "pydantic": pydantic,
    "encryption": encryption,
    "speed": speed,
    "demo": demo,
}

if __name__ == "__main__":
    import typed_sessions

    assert Path(typed_sessions.__file__).is_relative_to(sys.prefix), typed_sessions.__file__
    os.environ.pop("PYTHONPATH", None)
    TRIALS["".join(sys.argv[1:])]()
