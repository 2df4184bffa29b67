"""`Transaction`: the session of a test client of an ASGI application, opened and saved as a request of it would."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, asynccontextmanager
from email.message import Message as Headers
from http.cookiejar import CookieJar
from types import TracebackType
from typing import Any, Final, Protocol, cast
from urllib.parse import urljoin, urlsplit
from urllib.request import Request

from anyio.from_thread import start_blocking_portal
from typing_extensions import TypeVar, override

from typed_sessions.core.mixin import Session
from typed_sessions.errors import ConfigurationError
from typed_sessions.frameworks.asgi_interface import Application, ASGIResponse, ASGISessionInterface, Connection

__all__ = ["TransactingClient", "Transaction"]

S = TypeVar("S", default=dict[str, object])


class _Cookies(Protocol):
    @property
    def jar(self) -> CookieJar: ...


class TransactingClient(Protocol):
    """What a transaction needs of a test client. Starlette's fills it, and the clients of httpx do."""

    @property
    def base_url(self) -> object: ...
    @property
    def cookies(self) -> _Cookies: ...


class Transaction(AbstractContextManager[Session[S]], AbstractAsyncContextManager[Session[S]]):
    """Opens the session of a client's next request, and saves it into the client's cookies, unless the block raises.

    `async with` it in the event loop of a test, or `with` it where there is none: it brings one of its own then.

    Args:
        interface: opens and saves sessions.
        application: whose sessions they are.
        client: sends the cookies, and keeps them.
        path: where the request would go.

    Raises:
        ConfigurationError: the client does not say to which host it goes.
    """

    def __init__(
        self, interface: ASGISessionInterface[S], application: Application, client: TransactingClient, path: str
    ) -> None:
        url = urljoin(str(client.base_url), path)
        if not urlsplit(url).netloc:
            raise ConfigurationError("the client has no base URL: give it one, or the transaction a URL as its path")
        self._opened: Final = _opened(interface, application, client.cookies.jar, url)
        self._portal: Final = ExitStack()

    @override
    async def __aenter__(self) -> Session[S]:
        return await self._opened.__aenter__()

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._opened.__aexit__(kind, error, traceback)

    @override
    def __enter__(self) -> Session[S]:
        with ExitStack() as opening:
            portal = opening.enter_context(start_blocking_portal())
            session = opening.enter_context(portal.wrap_async_context_manager(self._opened))
            self._portal.push(opening.pop_all())
        return session

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._portal.__exit__(kind, error, traceback)


@asynccontextmanager
async def _opened(
    interface: ASGISessionInterface[S], application: Application, jar: CookieJar, url: str
) -> AsyncGenerator[Session[S]]:
    request = Request(url)  # noqa: S310 -- nobody opens it: a cookie jar asks where it would go
    jar.add_cookie_header(request)
    headers = {"host": urlsplit(url).netloc, "cookie": request.get_header("Cookie", "")}
    session = await interface.opened(
        application, Connection([(name.encode(), text.encode("latin-1")) for name, text in headers.items()])
    )
    yield cast("Session[S]", session)
    response = ASGIResponse({"headers": []})
    await interface.save_session(application, session, response)
    message = Headers()
    for text in response.headers.getlist("set-cookie"):
        message.add_header("Set-Cookie", text)
        _forget_unbound(jar, interface.get_cookie_name(application))
    jar.extract_cookies(cast("Any", _Response(message)), request)


def _forget_unbound(jar: CookieJar, name: str) -> None:
    """Drop a cookie that a test has given to the client: bound to no domain, it would go on beside the new one."""
    for cookie in [*jar]:
        if cookie.name == name and not cookie.domain:
            jar.clear(cookie.domain, cookie.path, cookie.name)


class _Response:
    """What a cookie jar needs of a response."""

    def __init__(self, headers: Headers) -> None:
        self._headers: Final = headers

    def info(self) -> Headers:
        return self._headers
