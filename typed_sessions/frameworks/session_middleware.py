"""`SessionMiddleware`: opens the session of each request and websocket of an ASGI application, and saves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from attrs import frozen

from typed_sessions.core.session import SecureCookieSession, state_of
from typed_sessions.core.session_request import session_of_request, source_of, was_used_late
from typed_sessions.core.state import AWAITED
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.frameworks.asgi_interface import (
    UNAVAILABLE,
    Application,
    ASGIHeaders,
    ASGIResponse,
    ASGISessionInterface,
    Connection,
    Message,
)
from typed_sessions.frameworks.request_session import RequestSession
from typed_sessions.reports import logger
from typed_sessions.server import StoredContext

__all__ = ["BEGINS", "ASGIApp", "Exchange", "Handling", "Message", "Receive", "Scope", "Send", "SessionMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_CONNECTIONS: Final = frozenset({"http", "websocket"})
_ACCEPTS: Final = "websocket.accept"
BEGINS: Final = frozenset({"http.response.start", _ACCEPTS, "websocket.http.response.start"})
_TRY_AGAIN_LATER: Final = 1013
"""Closes a websocket (the registry of RFC 6455, section 11.7)."""


@frozen(eq=False)
class Handling:
    """What is there for all connections of an application."""

    interface: ASGISessionInterface[Any]
    application: Application
    current: ContextVar[Exchange]
    """What is being handled."""
    key: str
    """Where its session is in a scope."""
    look_back: Callable[[], None]
    """Is called when a session was used after its response had begun."""
    begin: Callable[[], None]
    """Is called when the application begins to serve."""
    end: Callable[[], Awaitable[None]]
    """Is called when it ends."""


class SessionMiddleware:
    """Opens the session of each request and websocket, and saves it with the message that begins the response.

    Args:
        app: what is inside.
        handling: what `Sessions` have for it.
    """

    def __init__(self, app: ASGIApp, handling: Handling) -> None:
        self._app: Final = app
        self._handling: Final = handling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection (the ASGI specification, version 3)."""
        kind: str = scope["type"]
        if kind not in _CONNECTIONS:
            await self._app(scope, receive, _lifespan(self._handling, send) if kind == "lifespan" else send)
            return
        handling = self._handling
        if handling.key in scope and handling.current.get(None) is not None:  # an application outside has the same ones
            outer = [scope]
            del scope  # debugging pages show locals
            await self._app(outer.pop(), receive, send)
            return
        interface, application = handling.interface, handling.application
        passed_on: list[Scope] = []
        try:
            connection = Connection(scope["headers"])
            rules = application.rules
            if rules is None:
                session = await interface.opened(application, connection)
            else:
                session = session_of_request(rules, application, connection, SecureCookieSession)
            exchange = Exchange(handling, session, send, scope if kind == "websocket" else None)
            scope["session"] = RequestSession(session)
            scope[handling.key] = session
            passed_on.append(scope)
        finally:
            del scope  # debugging pages show locals
        del session
        token = handling.current.set(exchange)
        try:
            await self._app(passed_on.pop(), receive, exchange.send)
            if kind == "websocket":
                await exchange.end()
            elif was_used_late(exchange.session):
                handling.look_back()
        except StoreUnavailableError as error:
            if not await exchange.is_answered(error):
                raise
        except Exception:  # one of the framework's may say no more than that a response had begun
            if exchange.failure is None or not await exchange.is_answered(exchange.failure):
                raise
        finally:
            handling.current.reset(token)


class Exchange:
    """A request or a websocket, its session, and what becomes of its response.

    Args:
        handling: of the application.
        session: that of the request.
        send: sends a message to the client.
        websocket: the scope, if it is a websocket.
    """

    has_begun: bool = False
    """True once the response has begun."""
    failure: StoreUnavailableError | None = None
    """What kept the session from being saved with it."""
    _page: ASGIHeaders | None = None
    """The headers of the response that could not be saved."""

    def __init__(
        self, handling: Handling, session: SecureCookieSession[Any], send: Send, websocket: Scope | None
    ) -> None:
        self._handling = handling
        self.session = session
        self._send = send
        self._websocket = websocket

    @property
    def gets_response(self) -> bool:
        """True unless it is a websocket that was accepted."""
        return self._websocket is None or not self.has_begun

    @property
    def _is_stored(self) -> bool:
        return isinstance(source_of(self.session), StoredContext)

    async def send(self, message: Message) -> None:
        """Send a message of the application's, with what the session makes of the headers."""
        if message["type"] in BEGINS:
            headers = message.get("headers", ())
            if type(headers) is not list:  # it is looked at several times
                message = {**message, "headers": [*headers]}
            handling = self._handling
            saved = handling.interface.saved_at_once(handling.application, self.session, message)
            message = await self._saved(message) if saved is None else saved
            self.has_begun = True
        await self._send(message)

    async def _saved(self, message: Message) -> Message:
        """Save the session, and return the message with what becomes of its headers."""
        handling, response = self._handling, ASGIResponse(message)
        try:
            await handling.interface.save_session(handling.application, self.session, response)
        except StoreUnavailableError as error:
            self.failure, self._page = error, response.headers
            raise
        if message["type"] == _ACCEPTS and self._is_stored:
            state_of(self.session).progress = AWAITED  # the end of the websocket saves it once more
        return {**message, "headers": response.headers.raw}

    async def end(self) -> None:
        """Save the session of a websocket once more, or say that a change of it came too late."""
        if not self.has_begun or self._is_stored:
            await self._handling.interface.save_session(self._handling.application, self.session, None)
        elif was_used_late(self.session):
            self._handling.look_back()

    async def is_answered(self, error: StoreUnavailableError) -> bool:
        """Answer that the store does not. False, with nothing done, where a response has begun."""
        if self.has_begun:
            return False
        logger.error("the session store is unavailable", exc_info=error)
        kind = "http"
        if self._websocket is not None:
            if "websocket.http.response" not in (self._websocket.get("extensions") or ()):
                await self._send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
                return True
            kind = "websocket.http"
        interface, application = self._handling.interface, self._handling.application
        answer = interface.unavailable(application, self.session, self._page)
        await self._send({"type": f"{kind}.response.start", "status": 503, "headers": answer.headers.raw})
        await self._send({"type": f"{kind}.response.body", "body": UNAVAILABLE})
        return True


def _lifespan(handling: Handling, send: Send) -> Send:
    """Return what sends the messages of a lifespan, and takes note of them."""

    async def noting(message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            handling.begin()
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            await handling.end()
        await send(message)

    return noting
