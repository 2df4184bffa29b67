"""The contenders that this repository does not install: Starlette, Litestar, aiohttp-session and asgi-sessions.

They are imported by name, because no type checker here may have them, and left out where they are missing. All keep
JSON and nothing else, so their sessions hold the plain values: a time as text, a tuple as a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from attrs import define
from typing_extensions import override

from benchmarks.contenders import (
    CHANGED_QUANTITY,
    SECRET_KEY,
    Contender,
    cookie_header,
    permanent,
    sent_cookies,
)
from benchmarks.payloads import Size, plain_values

__all__ = ["peers"]

_MAX_AGE: Final = 31 * 24 * 60 * 60
"""In seconds: Quart's default."""


def peers(size: Size) -> tuple[list[Contender], list[str]]:
    """Return the peers that are installed, and for each of the others a line that says what is missing."""
    present: list[Contender] = []
    missing: list[str] = []
    for peer in (Starlette, Litestar, AiohttpSession, AsgiSessions):
        try:
            present.append(peer(permanent(plain_values(size))))
        except ImportError as error:
            missing.append(f"{peer.__name__} is left out: {error}")
    return present, missing


@define
class Handled:
    """A request in the hands of a middleware: the session that it made, and where the response goes."""

    session: Any
    send: Callable[[dict[str, Any]], Any]

    def __getitem__(self, key: str) -> Any:
        return self.session[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.session[key] = value


class Middleware(Contender):
    """A session middleware of ASGI: what it does before the application is called opens, and `send` saves.

    Args:
        name: the heading of its column.
        contents: what the sessions hold.
        module: where its class `SessionMiddleware` is.
        options: what the class takes beside the application and the key.
    """

    def __init__(self, name: str, contents: dict[str, object], module: str, **options: object) -> None:
        super().__init__(name, contents)
        self._handled: Final[list[Handled]] = []
        self._middleware: Final = import_module(module).SessionMiddleware(self._handle, SECRET_KEY, **options)
        self.bring({})

    @override
    def bring(self, cookies: Mapping[str, str]) -> None:
        headers = [(b"cookie", cookie_header(cookies).encode())] if cookies else []
        self._scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": headers}

    @override
    def response(self) -> Any:
        return {"type": "http.response.start", "status": 200, "headers": []}

    @override
    async def open(self) -> Any:
        await self._middleware(self._scope.copy(), None, self._sink)
        return self._handled.pop()

    async def _handle(self, scope: dict[str, Any], receive: object, send: Any) -> None:  # noqa: ARG002 -- ASGI's
        """Be the application: hand out what the middleware made."""
        self._handled.append(Handled(scope["session"], send))

    async def _sink(self, message: object) -> None:
        """Be the server: take a message."""

    @override
    def sent(self, response: Any) -> dict[str, str]:
        return sent_cookies(value.decode() for name, value in response["headers"] if name.lower() == b"set-cookie")

    @override
    async def save(self, session: Any, response: Any) -> None:
        await session.send(response)

    @override
    def change_nested(self, session: Any) -> None:
        session["cart"][0]["qty"] = CHANGED_QUANTITY
        session.session.modified = True

    @override
    def held(self, session: Any) -> dict[str, object]:
        return dict(session.session)


class Starlette(Middleware):
    """Starlette's middleware, which parses the Cookie header itself: that is in its time."""

    def __init__(self, contents: dict[str, object]) -> None:
        super().__init__("Starlette", contents, "starlette.middleware.sessions", max_age=_MAX_AGE)


class AsgiSessions(Middleware):
    """asgi-sessions with signed tokens, the kind that is neither unsigned nor encrypted."""

    def __init__(self, contents: dict[str, object]) -> None:
        import_module("jwt")  # which asgi-sessions misses only when it is used
        self._request: Final = import_module("asgi_tools").Request
        super().__init__("asgi-sessions", contents, "asgi_sessions", session_type="jwt", max_age=_MAX_AGE)

    @override
    def bring(self, cookies: Mapping[str, str]) -> None:
        super().bring(cookies)
        request = self._request(self._scope, None, None)
        assert request.cookies == dict(cookies)  # noqa: S101 -- parsed here, as Quart's
        self._scope["request"] = request


class Litestar(Contender):
    """Litestar's backend for cookies, which encrypts, and writes with every response."""

    writes_unchanged = True

    def __init__(self, contents: dict[str, object]) -> None:
        super().__init__("Litestar", contents)
        module = import_module("litestar.middleware.session.client_side")
        self._requests: Final = import_module("litestar.testing").RequestFactory()
        config = module.CookieBackendConfig(secret=SECRET_KEY.encode(), max_age=_MAX_AGE)
        self._backend: Final = module.ClientSideSessionBackend(config)
        self.bring({})

    @override
    def bring(self, cookies: Mapping[str, str]) -> None:
        headers = {"cookie": cookie_header(cookies)} if cookies else {}
        self._connection: Any = self._requests.get("/", headers=headers)
        assert set(self._connection.cookies) == set(cookies)  # noqa: S101 -- parsed here; the values were quoted

    @override
    def response(self) -> Any:
        return {"type": "http.response.start", "status": 200, "headers": []}

    @override
    async def open(self) -> Any:
        return await self._backend.load_from_connection(self._connection)

    @override
    async def save(self, session: Any, response: Any) -> None:
        await self._backend.store_in_message(session, response, self._connection)

    @override
    def sent(self, response: Any) -> dict[str, str]:
        return sent_cookies(value.decode() for _, value in response["headers"])

    @override
    def change_nested(self, session: Any) -> None:
        session["cart"][0]["qty"] = CHANGED_QUANTITY


class AiohttpSession(Contender):
    """aiohttp-session with its encrypted cookies: it has none that are signed only."""

    def __init__(self, contents: dict[str, object]) -> None:
        super().__init__("aiohttp-session", contents)
        storage = import_module("aiohttp_session.cookie_storage").EncryptedCookieStorage
        self._web: Final = import_module("aiohttp.web")
        self._make_request: Final = import_module("aiohttp.test_utils").make_mocked_request
        self._storage: Final = storage(SECRET_KEY.encode(), cookie_name="session", max_age=_MAX_AGE)
        self.bring({})

    @override
    def bring(self, cookies: Mapping[str, str]) -> None:
        self._request: Any = self._make_request("GET", "/", headers={"Cookie": cookie_header(cookies)})
        assert dict(self._request.cookies) == dict(cookies)  # noqa: S101 -- parsed here, as Quart's

    @override
    def response(self) -> Any:
        return self._web.Response()

    @override
    async def open(self) -> Any:
        return await self._storage.load_session(self._request)

    @override
    async def save(self, session: Any, response: Any) -> None:
        """Do what its middleware does, and what aiohttp does when the response leaves: write the header's text."""
        if not session._changed:  # noqa: SLF001 -- as its middleware
            return
        await self._storage.save_session(self._request, response, session)
        for cookie in response.cookies.values():
            response.headers.add("Set-Cookie", cookie.OutputString())

    @override
    def sent(self, response: Any) -> dict[str, str]:
        return sent_cookies(response.headers.getall("Set-Cookie", ()))

    @override
    def change_nested(self, session: Any) -> None:
        session["cart"][0]["qty"] = CHANGED_QUANTITY
        session.changed()
