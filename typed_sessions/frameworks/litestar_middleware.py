"""Typed sessions as a middleware of Litestar: what its plugins, its SessionAuth and its test client look for."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final, Literal, Self, cast

from litestar.connection import ASGIConnection
from litestar.middleware import DefineMiddleware
from litestar.middleware.session.base import BaseBackendConfig, BaseSessionBackend
from litestar.middleware.session.base import SessionMiddleware as LitestarsMiddleware
from litestar.serialization import decode_json, encode_json
from litestar.types import ASGIApp, Empty, Message, Receive, Scope, Send
from litestar.utils import get_serializer_from_scope
from litestar.utils.scope.state import ScopeState
from typing_extensions import override

from typed_sessions.core.session import SecureCookieSession, state_of, stored_in
from typed_sessions.core.settings import DEFAULT_LIFETIME, lifetime_of
from typed_sessions.core.templates import shareable
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.frameworks import session_middleware
from typed_sessions.frameworks.asgi_interface import ASGIResponse
from typed_sessions.frameworks.request_session import RequestSession
from typed_sessions.frameworks.session_middleware import BEGINS, Exchange, Handling
from typed_sessions.server import StoredContext

__all__ = ["BackendConfig", "ShownSession"]

_PERMANENT: Final = "_permanent"
_INTERNAL_ERROR: Final = 4500
"""What Litestar closes a websocket with where something was raised."""


class ShownSession(MutableMapping[str, Any]):
    """What `request.session` is: what is stored in a session, but for the flag that Quart and Flask keep in it.

    It is no dict. Litestar does not say when somebody asks for it, and what reads a dict past its methods, as encoders
    do, would read one that nobody has filled. Responses may be made of it all the same.

    Args:
        session: the session.
    """

    __slots__ = ("_session",)

    def __init__(self, session: SecureCookieSession[Any]) -> None:
        self._session = session

    @override
    def __getitem__(self, key: str) -> Any:
        if key == _PERMANENT:
            raise KeyError(key)
        return self._session[key]

    @override
    def __contains__(self, key: object) -> bool:
        return key != _PERMANENT and key in self._session

    @override
    def __setitem__(self, key: str, value: Any) -> None:
        try:
            self._session[key] = value
        except Exception:
            del value  # debugging pages show locals
            raise

    @override
    def __delitem__(self, key: str) -> None:
        if key == _PERMANENT:
            raise KeyError(key)
        del self._session[key]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.copy())

    @override
    def __len__(self) -> int:
        return len(self.copy())

    @override
    def __repr__(self) -> str:
        return repr(self._session)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self.copy())

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return self.copy() | dict(other)

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(other) | self.copy()

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        try:
            self.update(other)
        except Exception:
            del other  # debugging pages show locals
            raise
        return self

    @override
    def update(self, *others: Any, **values: Any) -> None:
        try:
            self._session.update(*others, **values)  # all of it, or nothing
        except Exception:
            del others, values  # debugging pages show locals
            raise

    @override
    def setdefault(self, key: str, default: Any = None) -> Any:
        try:
            return self._session.setdefault(key, default)
        except Exception:
            del default  # debugging pages show locals
            raise

    @override
    def clear(self) -> None:
        self._session.clear()

    def copy(self) -> dict[str, Any]:
        """Return what is in it as a dict."""
        stored = stored_in(self._session)
        stored.pop(_PERMANENT, None)
        return stored

    def in_response(self) -> dict[str, Any]:
        """Return what a response has of it: all but the fields that are marked as `Secret`."""
        stored = shareable(self._session)
        stored.pop(_PERMANENT, None)
        return stored


class Backend(BaseSessionBackend["BackendConfig"]):
    """What the test client of Litestar asks for the data of a session, by connections that were never made."""

    @override
    async def load_from_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> dict[str, Any]:
        return ShownSession(await self._opened(connection)).copy()

    @override
    async def store_in_message(
        self, scope_session: Any, message: Message, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> None:
        handling, session = self.config.handling, await self._opened(connection)
        _take_over(session, scope_session, connection.scope)
        response = ASGIResponse(cast("Any", message))
        await handling.interface.save_session(handling.application, session, response)
        cast("Any", message)["headers"][:] = response.headers.raw  # the client has the list, and not the message

    @override
    def get_session_id(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
        return None

    async def _opened(self, connection: ASGIConnection[Any, Any, Any, Any]) -> SecureCookieSession[Any]:
        handling = self.config.handling
        return await handling.interface.opened(handling.application, connection)


class BackendConfig(BaseBackendConfig[Backend]):
    """The sessions, for those parts of Litestar that take the configuration of a backend.

    Args:
        handling: what `Sessions` have for a middleware.
    """

    _backend_class = Backend
    exclude: str | list[str] | None = None
    exclude_opt_key = "skip_session"

    def __init__(self, handling: Handling) -> None:
        self.handling: Final = handling
        interface, application = handling.interface, handling.application
        self.key: str = interface.get_cookie_name(application)
        lifetime = lifetime_of(application.config.get("PERMANENT_SESSION_LIFETIME", DEFAULT_LIFETIME))
        self.max_age: int = int(lifetime.total_seconds())
        self.path: str = interface.get_cookie_path(application)
        self.domain: str | None = interface.get_cookie_domain(application)
        self.secure: bool = interface.get_cookie_secure(application)
        self.httponly: bool = interface.get_cookie_httponly(application)
        samesite = (interface.get_cookie_samesite(application) or "lax").lower()
        self.samesite: Literal["lax", "strict", "none"] = cast("Any", samesite)

    @property
    @override
    def middleware(self) -> DefineMiddleware:
        return DefineMiddleware(Middleware, backend=Backend(config=self))


class Middleware(LitestarsMiddleware[Backend]):
    """Opens and saves the sessions of a route. It is one of Litestar's, which plugins look for."""

    def __init__(self, app: ASGIApp, backend: Backend) -> None:
        super().__init__(app, backend)
        self._handling: Final = backend.config.handling
        self._within: Final = session_middleware.SessionMiddleware(cast("Any", self._handled), self._handling)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection; one that has these sessions already has them from the plugin, or from SessionAuth."""
        app = cast("Any", self.app if self._handling.key in scope else self._within)
        await app(scope, receive, send)

    async def _handled(self, scope: Any, receive: Receive, send: Send) -> None:
        exchange = self._handling.current.get()
        shown = scope["session"] = ShownSession(exchange.session)

        async def saving(message: Message) -> None:
            kind = message["type"]
            if kind == "websocket.close":
                _refuse_unsaved(exchange, cast("Any", message).get("code"))
            elif kind in BEGINS:
                try:
                    if scope["session"] is not shown:
                        replaced, scope["session"] = [scope["session"]], shown
                        _take_over(exchange.session, replaced.pop(), scope)  # which no frame holds then
                    await send(message)
                except Exception:
                    if not exchange.has_begun:  # so that the application's exception handlers may still answer
                        ScopeState.from_scope(scope).response_started = False
                    raise
                return
            await send(message)

        await self.app(scope, receive, saving)


def _take_over(session: SecureCookieSession[Any], other: object, scope: Scope) -> None:
    """Make what a program has put in the place of a session its contents: all of it, or nothing.

    It is what `set_session` and `clear_session` of Litestar do: nothing at all ends the session, and other contents get
    another identifier, since applications log in by it.

    Raises:
        FieldTypeError: a value does not fit its field.
        UndeclaredKeyError: a key is not allowed.
    """
    if isinstance(other, (ShownSession, RequestSession)):  # that of other sessions, further inside
        return
    if other is None or other is Empty or (isinstance(other, Mapping) and not other):
        session.invalidate()
        return
    try:
        if not isinstance(other, Mapping) and type(other) is not type(session.data):
            other = decode_json(encode_json(other, get_serializer_from_scope(scope)))
        trial = copy.copy(session)
        for each in (trial, session):
            if each is session and trial == ShownSession(session).copy():
                return
            each.clear()
            if not isinstance(other, Mapping):
                each.replace(copy.copy(other))
            else:
                each.update(cast("Mapping[str, object]", other))
    except Exception:
        del other  # debugging pages show locals
        raise
    session.regenerate()


def _refuse_unsaved(exchange: Exchange, code: object) -> None:
    """Have a websocket that was not accepted, for the store does not answer, refused as such.

    Raises:
        StoreUnavailableError: it is so.
    """
    source = state_of(exchange.session).source
    failure = exchange.failure or (source.failure if isinstance(source, StoredContext) else None)
    if failure is not None and code == _INTERNAL_ERROR and not exchange.has_begun and exchange.session.accessed:
        raise StoreUnavailableError(str(failure))
