"""What debugging pages show of requests under ASGI: no frame of ours has what opens a session, or what is in one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import pytest
from attrs import Factory, define

import typed_sessions
from tests.failing_store import Failing
from typed_sessions import CookieTooLargeError, SerializationError, StoreUnavailableError, Subject
from typed_sessions.asgi import Sessions

LIBRARY = str(Path(typed_sessions.__file__).parent)
SECRET = "hush: the secret key of these tests"
BOOK = "a-book-about-tea"


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[Any] = Factory(list[Any])


async def receive() -> Any:
    """Return what comes from the client: nothing."""


@define
class Site:
    """An application that does as the path says, and the cookie of its one visitor."""

    sessions: Sessions[Visitor]
    cookie: str = ""

    async def app(self, scope: Any, _receive: Any, send: Any) -> None:
        data = self.sessions.data
        match scope["path"]:
            case "/add":
                data.cart.append(BOOK)
            case "/crash":
                raise ZeroDivisionError
            case "/unwritable":
                data.cart.append(object())
            case "/too-large":
                data.cart.append(secrets.token_hex(4_000))
            case _:
                pass
        begin = "websocket.accept" if scope["type"] == "websocket" else "http.response.start"
        await send({"type": begin, "status": 200, "headers": []})
        if scope["type"] == "http":
            await send({"type": "http.response.body", "body": b""})

    async def visit(self, path: str, kind: str = "http") -> int:
        """Make a request, and return its status."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"shop.example"), (b"cookie", f"session={self.cookie}".encode())]
        scope = {"type": kind, "path": path, "headers": headers, "extensions": {}}
        await self.sessions.middleware(self.app)(scope, receive, send)
        for name, value in sent[0].get("headers", ()):
            if name == b"set-cookie":
                self.cookie = value.decode().split(";")[0].partition("=")[2]
        status: int = sent[0].get("status", 0)
        return status


def frames_of(error: BaseException | None) -> Iterator[FrameType]:
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


def assert_silent(error: BaseException, *hidden: str) -> None:
    ours = [frame for frame in frames_of(error) if frame.f_code.co_filename.startswith(LIBRARY)]
    assert ours
    for frame in ours:
        shown = repr(frame.f_locals)
        assert not [secret for secret in hidden if secret in shown], frame.f_code.co_qualname


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [("/crash", ZeroDivisionError), ("/unwritable", SerializationError), ("/too-large", CookieTooLargeError)],
)
async def test_a_request_that_fails_shows_neither_the_cookie_nor_the_key(
    path: str, expected: type[Exception], kind: str
) -> None:
    site = Site(Sessions(Visitor, secret_key=SECRET))
    await site.visit("/add")
    with pytest.raises(expected) as caught:
        await site.visit(path, kind)
    assert_silent(caught.value, SECRET, site.cookie)


@pytest.mark.parametrize("method", ["load", "update"])
async def test_a_store_that_does_not_answer_shows_nothing_in_the_log(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Failing()
    site = Site(Sessions(Visitor, secret_key=SECRET, store=store))
    await site.visit("/add")
    store.broken = frozenset({method})
    assert await site.visit("/add") == 503
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.exc_info is not None
    error = record.exc_info[1]
    assert isinstance(error, StoreUnavailableError)
    assert_silent(error, SECRET, site.cookie)
    frames = [frame for frame in frames_of(error) if frame.f_code.co_filename.endswith("session_middleware.py")]
    assert frames
    assert BOOK not in "".join(repr(frame.f_locals) for frame in frames)


async def test_a_websocket_whose_store_does_not_answer_is_closed_for_later() -> None:
    store = Failing()
    site = Site(Sessions(Visitor, secret_key=SECRET, store=store))
    await site.visit("/add")
    store.broken = frozenset({"load"})
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [(b"cookie", f"session={site.cookie}".encode())]}
    await site.sessions.middleware(site.app)(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1013}]


def test_a_loop_that_is_none_of_asyncio_shows_nothing() -> None:
    site = Site(Sessions(Visitor, secret_key=SECRET, store=Failing()))
    asyncio.run(site.visit("/add"))
    waiting = site.visit("/add")
    with pytest.raises(RuntimeError, match="needs an event loop of asyncio") as caught:
        waiting.send(None)
    assert_silent(caught.value, SECRET, site.cookie)
