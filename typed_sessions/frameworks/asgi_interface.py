"""The session interface of ASGI applications, and what of ASGI it meets: connections, and the start of a response."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from typing_extensions import TypeVar, override

from typed_sessions.core.caching import OF_ALL_PAGES
from typed_sessions.core.cookie_header import cookie_values, parsed_cookies, parsed_values
from typed_sessions.core.framework import ConfiguredApp, CookieRequest, CookieResponse, values_of, vary_by_cookie
from typed_sessions.core.rules import Rules
from typed_sessions.core.session import STREAMING, SecureCookieSession, state_of
from typed_sessions.core.session_request import is_left_alone, save_data
from typed_sessions.core.state import UNSAVED
from typed_sessions.errors import ConfigurationError
from typed_sessions.frameworks import interface
from typed_sessions.frameworks.applications import AppRules
from typed_sessions.frameworks.unavailable import RETRY_AFTER, headers_instead
from typed_sessions.server import ServerSide, StoredContext

__all__ = ["UNAVAILABLE", "ASGIHeaders", "ASGIResponse", "ASGISessionInterface", "Application", "Connection"]

S = TypeVar("S", default=dict[str, object])

Message: TypeAlias = MutableMapping[str, Any]
"""What an application and a server send each other."""

UNAVAILABLE: Final = b"Service Unavailable"
"""The body of a response where the store does not answer."""

_ABOUT_UNAVAILABLE: Final = (
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Length", str(len(UNAVAILABLE))),
    ("Retry-After", str(RETRY_AFTER)),
)
_VARY: Final = (b"vary", b"Cookie")
_OF_ALL_PAGES: Final = frozenset(map(str.encode, OF_ALL_PAGES))

_ACCEPTED: Final = 101
"""The status of a websocket that is accepted, whose message says none."""

_WITHOUT_BODY: Final = frozenset({_ACCEPTED, 204, 304})


class Application:
    """Stands for the application where the framework's own has no config.

    Args:
        config: the settings, by their config keys.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config: Final = config
        self.rules: AppRules[Any] | None = None
        """The rules, once they were checked, if a session needs nothing but its cookie. They stay as they are.

        None if the keys are in a file, which may change."""


class Connection:
    """What a session needs of a request or a websocket.

    Args:
        headers: as a scope has them.
    """

    __slots__ = ("_headers",)

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers = headers

    @property
    def cookies(self) -> Mapping[str, str]:
        """All cookies; of several values the first."""
        return dict(reversed([*parsed_cookies(self._text(b"cookie"))]))

    @property
    def host(self) -> str:
        """What the client calls the server, perhaps with a port; empty if it does not say."""
        return self._text(b"host")

    def values_of(self, name: str) -> tuple[str, ...]:
        """Return all values of a cookie."""
        found = None
        for each, value in self._headers:
            if each == b"cookie":
                if found is not None:
                    return parsed_values(self._text(b"cookie"), name)
                found = value
        if found is None:
            return ()
        header = found.decode("latin-1")
        values = cookie_values(header, name)
        return parsed_values(header, name) if values is None else values

    def _text(self, name: bytes) -> str:
        """Return what headers of a name say. HTTP/2 may send a cookie in several (RFC 9113, section 8.2.3)."""
        return b";".join([value for each, value in self._headers if each == name]).decode("latin-1")


class ASGIHeaders:
    """The headers of a response, which ASGI has as pairs of bytes.

    Args:
        raw: as they are in the message. What changes is a copy: a response that is sent twice has the same ones again,
            and must not have the cookie of whoever got it first.
    """

    __slots__ = ("raw",)
    raw: Iterable[tuple[bytes, bytes]]

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self.raw = raw

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw])

    def add(self, key: str, value: str, /) -> None:
        """Add a header beside those of its name."""
        self.raw = [*self.raw, (key.lower().encode("latin-1"), value.encode("latin-1"))]

    def getlist(self, key: str, /) -> list[str]:
        """Return what the headers of a name say."""
        return [value for name, value in self if name.lower() == key.lower()]

    def set(self, key: str, value: str, /) -> None:
        """Have one header of a name."""
        name = key.lower().encode("latin-1")
        self.raw = [each for each in self.raw if each[0].lower() != name]
        self.add(key, value)


class ASGIResponse:
    """The message that begins a response, as far as sessions are concerned."""

    __slots__ = ("has_length", "headers")
    headers: ASGIHeaders
    has_length: bool
    """True if the body is known when it begins."""

    def __init__(self, message: Message) -> None:
        self.headers = ASGIHeaders(message.get("headers", ()))
        self.has_length = _has_length(message)


class ASGISessionInterface(interface.SecureCookieSessionInterface[S]):
    """Finds the cookie in the headers of a scope, and takes stores that an event loop of asyncio awaits."""

    @override
    def cookie_values(self, request: CookieRequest, name: str) -> tuple[str, ...]:
        return request.values_of(name) if type(request) is Connection else values_of(request.cookies, name)

    @override
    def check(self, app: ConfiguredApp) -> None:
        rules = self._applications.rules_of(app)
        if rules.settings.keys is None and rules.server_side is None:
            raise ConfigurationError("SECRET_KEY is missing, which the cookies of sessions are signed with")
        if isinstance(app, Application) and rules.is_plain and not rules.may_change:
            app.rules = rules

    async def opened(self, app: Application, connection: CookieRequest) -> SecureCookieSession[S]:
        """Return the session of a connection that needs more than its cookie."""
        session = await self.open_session(app, connection)
        if session is None:  # `check` has seen a key, and settings do not change
            raise ConfigurationError("SECRET_KEY is missing, which the cookies of sessions are signed with")
        return session

    def saved_at_once(self, app: Application, session: SecureCookieSession[S], message: Message) -> Message | None:
        """Save a session of which nobody has asked more than its data, with the message that begins its response.

        Returns:
            The message, with what becomes of its headers; None where it takes `save_session`.
        """
        if not session.accessed:
            if not is_left_alone(session):
                return None
            if not _has_length(message):
                STREAMING.set(session)
            return message
        text = save_data(session, self)
        if text is None:
            return None
        raw = message["headers"]
        for name, _ in raw:
            if name not in _OF_ALL_PAGES:
                return self._with_cookie(app, message, text)
        if text:
            return {**message, "headers": [*raw, _VARY, (b"set-cookie", text.encode("latin-1"))]}
        return {**message, "headers": [*raw, _VARY]}

    def _with_cookie(self, app: Application, message: Message, text: str) -> Message:
        """Return a message whose headers take a look at each of them."""
        headers = ASGIHeaders(message["headers"])
        vary_by_cookie(headers)
        if text:
            headers.add("Set-Cookie", text)
            self._make_private(app, headers)
        return {**message, "headers": headers.raw}

    @override
    def _is_streamed(self, response: CookieResponse | None) -> bool:
        return isinstance(response, ASGIResponse) and not response.has_length

    @override
    async def _stored_context(
        self, app: ConfiguredApp, request: CookieRequest | None, server_side: ServerSide[S], rules: Rules[S]
    ) -> StoredContext[S]:
        need_asyncio()
        return await super()._stored_context(app, request, server_side, rules)

    def unavailable(
        self, app: ConfiguredApp, session: SecureCookieSession[S], page: ASGIHeaders | None
    ) -> ASGIResponse:
        """Return what goes out instead of a page, where the store does not answer: its body is `UNAVAILABLE`.

        Args:
            app: the application.
            session: that of the request.
            page: the headers of the page that could not be saved; None if none was made.
        """
        answer = ASGIResponse({"status": 503})
        for name, value in headers_instead(page or (), _ABOUT_UNAVAILABLE):
            answer.headers.add(name, value)
        state_of(session).progress = UNSAVED
        self.add_stored_cookie(app, session, answer)
        return answer


def _has_length(message: Message) -> bool:
    for name, _ in message.get("headers", ()):
        if name == b"content-length":
            return True
    return message.get("status", _ACCEPTED) in _WITHOUT_BODY


def need_asyncio() -> None:
    """Refuse any other event loop. Raises RuntimeError."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "a session store needs an event loop of asyncio, and the application runs on another one, such as trio: "
            "serve it with asyncio, or leave out the store, for sessions in cookies"
        ) from None
