"""Typed sessions for Starlette, FastAPI, and all other ASGI applications: a middleware that imports no framework."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, Unpack, cast, overload

from cattrs import Converter
from typing_extensions import TypeVar, override

from typed_sessions.core.mixin import Session
from typed_sessions.core.unknown_settings import advice_on
from typed_sessions.errors import ConfigurationError, UndeclaredKeyError
from typed_sessions.frameworks.asgi_interface import Application, ASGISessionInterface, need_asyncio
from typed_sessions.frameworks.session_middleware import (
    ASGIApp,
    Exchange,
    Handling,
    SessionMiddleware,
)
from typed_sessions.frameworks.session_settings import (
    SecretKey,
    SessionSettings,
    config_of,
    in_arguments,
    settings_of,
    unknown_among,
)
from typed_sessions.frameworks.sessions import REFRESH_FRACTION, AwaitedSessions, SessionInfo, purge_now_and_then
from typed_sessions.reports import Report, UnknownSetting, log_report

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from typed_sessions.frameworks.requirement import Requirement
    from typed_sessions.frameworks.transaction import TransactingClient, Transaction

__all__ = ["EventListener", "SecretKey", "SessionInfo", "SessionMiddleware", "SessionSettings", "Sessions"]

S = TypeVar("S", default=dict[str, object])
T = TypeVar("T")

EventListener: TypeAlias = Callable[[Report], object]
"""Takes what there is to say of a session: one of the classes in `typed_sessions.reports`."""

_numbers: Final = count(1)


class HasScope(Protocol):
    """A request or a websocket. Starlette's have their scope."""

    @property
    def scope(self) -> Mapping[str, Any]: ...


class Sessions(AwaitedSessions[S]):
    """The sessions of an ASGI application, with contents of one declared class.

    `app.add_middleware(sessions.middleware)` in FastAPI, `Middleware(sessions.middleware)` in Starlette, or
    `sessions.middleware(app)` around any application.

    Args:
        schema: the class that declares what a session holds; without one, a session is a dict.
        permanent: whether a session outlives the browser's from its first content on, without being told.
        converter: a cattrs converter with hooks for types that the library does not know.
        on_event: is called with each report on a session, such as `Refused` or `FieldReset`, after it was logged. What
            it raises fails the request.
        settings: see `SessionSettings`.

    Raises:
        SchemaError: the class cannot be a schema; the message names the field.
        ConfigurationError: a setting is wrong; the message names it.
    """

    @overload
    def __init__(
        self: Sessions[dict[str, object]],
        schema: None = None,
        *,
        permanent: bool = True,
        converter: Converter | None = None,
        on_event: EventListener | None = None,
        **settings: Unpack[SessionSettings],
    ) -> None: ...
    @overload
    def __init__(
        self,
        schema: Callable[[], S],
        *,
        permanent: bool = True,
        converter: Converter | None = None,
        on_event: EventListener | None = None,
        **settings: Unpack[SessionSettings],
    ) -> None: ...
    def __init__(
        self,
        schema: Callable[[], S] | None = None,
        *,
        permanent: bool = True,
        converter: Converter | None = None,
        on_event: EventListener | None = None,
        **settings: Unpack[SessionSettings],
    ) -> None:
        unknown = unknown_among(settings)
        application = Application({} if unknown else config_of(settings))
        del settings  # debugging pages show locals
        if unknown:
            raise TypeError(f"Sessions() {unknown}")
        _refuse_application(schema)
        interface = ASGISessionInterface(
            cast("Callable[[], S]", schema),
            converter=converter,
            refresh_fraction=REFRESH_FRACTION,
            report=partial(_log_and_tell, on_event),
        )
        interface.makes_permanent = permanent
        super().__init__(interface)
        self._application: Final = application
        self._permanent: Final = permanent
        self._exchange: Final = ContextVar[Exchange](f"typed_sessions.{next(_numbers)}")
        self._requirements: Final = dict[str, "Requirement"]()
        self._purging: asyncio.Task[None] | None = None
        self._serving = 0
        """How many times the application, or another one that has the same sessions, serves."""
        self._purge_every: Final = self._checked(interface)
        self._handling: Final = Handling(
            interface, application, self._exchange, self._exchange.name, self._look_back, self._begin, self._end
        )

    def _checked(self, interface: ASGISessionInterface[S]) -> timedelta | None:
        """Check the settings, and return how often expired sessions are to be deleted."""
        try:
            interface.check(self._application)
            return self._purge_interval(self._application)
        except ConfigurationError as error:
            if type(error) is not ConfigurationError:
                raise
            message = in_arguments(str(error))
        raise ConfigurationError(message)

    @overload
    @classmethod
    def from_config(
        cls,
        schema: None,
        config: Mapping[str, Any],
        *,
        permanent: bool = True,
        converter: Converter | None = None,
        on_event: EventListener | None = None,
    ) -> Sessions[dict[str, object]]: ...
    @overload
    @classmethod
    def from_config(
        cls,
        schema: Callable[[], T],
        config: Mapping[str, Any],
        *,
        permanent: bool = True,
        converter: Converter | None = None,
        on_event: EventListener | None = None,
    ) -> Sessions[T]: ...
    @classmethod
    def from_config(
        cls,
        schema: Callable[[], T] | None,
        config: Mapping[str, Any],
        *,
        permanent: bool = True,
        converter: Converter | None = None,
        on_event: EventListener | None = None,
    ) -> Sessions[T] | Sessions[dict[str, object]]:
        """Return the sessions that config keys describe, such as those of a Flask application: `SECRET_KEY` and so on.

        Args:
            schema: the class that declares what a session holds, or None.
            config: the config keys. What it does not have is as the constructor has it; what is no setting of sessions
                is left alone.
            permanent: as in the constructor.
            converter: as in the constructor.
            on_event: as in the constructor.

        Raises:
            SchemaError: the class cannot be a schema; the message names the field.
            ConfigurationError: a setting is wrong; the message names it.
        """
        for name in config:
            advice = advice_on(name)
            if advice is not None:
                _log_and_tell(on_event, None, UnknownSetting(name, advice))
        settings = [settings_of(config)]
        del config  # debugging pages show locals
        return Sessions(
            cast("Callable[[], T]", schema),
            permanent=permanent,
            converter=converter,
            on_event=on_event,
            **settings.pop(),
        )

    def middleware(self, app: ASGIApp) -> SessionMiddleware:
        """Return an application that has these sessions: the one that is given is inside of it."""
        return SessionMiddleware(app, self._handling)

    @property
    @override
    def current(self) -> Session[S]:
        """The session of the request or websocket that is being handled.

        Raises:
            RuntimeError: none is being handled, or its application does not have the middleware.
        """
        session: Session[S] = self._handled().session
        return session

    @property
    @override
    def data(self) -> S:
        """The data of the session of the request or websocket that is being handled; see `current`."""
        try:  # as `_handled` does, without a call: this is what most requests ask
            exchange = self._exchange.get()
        except LookupError:
            raise RuntimeError(_NO_MIDDLEWARE) from None
        data: S = exchange.session.data
        return data

    def on(self, request: HasScope) -> Session[S]:
        """Return the session of a request or a websocket of Starlette's, also where nothing is being handled.

        Raises:
            RuntimeError: its application does not have the middleware.
        """
        session: Session[S] | None = request.scope.get(self._exchange.name)
        if session is None:
            raise RuntimeError(_NO_MIDDLEWARE)
        return session

    async def get_session(self) -> Session[S]:
        """Return the current session, for `Depends(sessions.get_session)` in FastAPI; see `current`."""
        return self.current

    async def get_data(self) -> S:
        """Return the data of the current session, for `Depends(sessions.get_data)` in FastAPI; see `current`."""
        return self.current.data

    def require(self, field: str) -> Requirement:
        """Return a dependency of FastAPI that gives the value of a field, and answers 401 where that is the default.

        `user_id: Annotated[int, Depends(sessions.require("user_id"))]`. It shows as a cookie in OpenAPI descriptions,
        and is the same object each time, for `app.dependency_overrides`.

        Raises:
            UndeclaredKeyError: the schema has no such field.
            ImportError: FastAPI is not installed.
        """
        from typed_sessions.frameworks.requirement import Requirement  # noqa: PLC0415 -- it imports FastAPI

        schema = self.schema
        if not schema.open and field not in schema.fields:
            raise UndeclaredKeyError(field, schema.fields)
        if field not in self._requirements:
            name = self._interface.get_cookie_name(self._application)
            self._requirements[field] = Requirement(field, schema, self.on, name)
        return self._requirements[field]

    def cookie_for(self, data: S, *, permanent: bool | None = None) -> str:
        """Return the value of the cookie of a visitor who has this data, for tests and tools.

        Args:
            data: what the session holds.
            permanent: whether the session outlives the browser's; None leaves it to the settings.

        Raises:
            FieldTypeError: a field does not fit its type.
            SerializationError: the data cannot be written so that it reads back.
            ConfigurationError: sessions are kept on the server.
        """
        return self._cookie_for(data, self._application, permanent=self._permanent if permanent is None else permanent)

    def client_for(self, data: S, app: ASGIApp, *, permanent: bool | None = None) -> TestClient:
        """Return a test client whose visitor has this data: `sessions.client_for(Visitor(user_id=7), app)`.

        It is a `TestClient` of Starlette's. A session that is kept on the server is saved there first. The client asks
        `testserver`, or the `domain` of the cookie, by https where the cookie is `secure`. Its `cookies` do for an
        `httpx.AsyncClient`, too.

        Args:
            data: what the session holds.
            app: the application whose client it is, with the middleware of these sessions.
            permanent: whether the session outlives the browser's; None leaves it to the settings.

        Raises:
            FieldTypeError: a field does not fit its type.
            SerializationError: the data cannot be written so that it reads back.
            StoreUnavailableError: the store did not answer.
            ImportError: Starlette, or what its test client needs, is not installed.
        """
        try:
            from starlette.testclient import TestClient  # noqa: PLC0415 -- nobody else imports Starlette here
        except (ModuleNotFoundError, RuntimeError) as missing:  # the latter is Starlette's own word on it
            raise ImportError(
                "Sessions.client_for needs the test client of Starlette: "
                "pip install 'typed_sessions[starlette]' httpx2",
                name=getattr(missing, "name", None) or "httpx2",
            ) from missing
        interface, application = self._interface, self._application
        host = (interface.get_cookie_domain(application) or "testserver").lstrip(".")
        client = TestClient(app, f"{'https' if interface.get_cookie_secure(application) else 'http'}://{host}")
        with self.transaction(client, interface.get_cookie_path(application)) as session:
            self._fill(session, data, permanent=permanent)
        return client

    def transaction(self, client: TransactingClient, path: str = "/") -> Transaction[S]:
        """Open the session of a test client, and save what is changed in it back to the client's cookies.

        `with sessions.transaction(client) as session` in a test without an event loop, `async with` in one with a loop.

        Args:
            client: a `TestClient` of Starlette's, or a client of httpx, that has a base URL.
            path: where the request would go, for cookies that are bound to a path.

        Raises:
            StoreUnavailableError: the store did not answer.
            ConfigurationError: the client has no base URL.
        """
        from typed_sessions.frameworks.transaction import Transaction  # noqa: PLC0415 -- it imports much, for tests

        return Transaction(self._handling.interface, self._application, client, path)

    def _begin(self) -> None:
        self._serving += 1
        if self._purge_every is not None and self._purging is None:
            need_asyncio()
            store = self._store_to_purge(self._application)
            self._purging = asyncio.create_task(purge_now_and_then(store, self._purge_every))

    async def _end(self) -> None:
        self._serving -= 1
        if self._serving:
            return
        purging, self._purging = self._purging, None
        if purging is not None:
            purging.cancel()
            await asyncio.gather(purging, return_exceptions=True)
        await self.close()

    def _handled(self) -> Exchange:
        try:
            return self._exchange.get()
        except LookupError:
            raise RuntimeError(_NO_MIDDLEWARE) from None

    @override
    def _app(self) -> Application:
        return self._application

    @override
    def _handles_request(self) -> bool:
        return self._exchange.get(None) is not None

    @override
    def _session_of_request(self) -> object:
        return self._handled().session

    @override
    def _gets_response(self) -> bool:
        return self._handled().gets_response


_NO_MIDDLEWARE: Final = (
    "no request with these sessions is being handled: give the application their middleware, "
    "app.add_middleware(sessions.middleware) or Middleware(sessions.middleware)"
)


def _log_and_tell(on_event: EventListener | None, _app: object, report: Report) -> None:
    log_report(report)
    if on_event is not None:
        on_event(report)


def _refuse_application(schema: object) -> None:
    """Say what to write instead of what one tries first, coming from other frameworks."""
    if hasattr(schema, "add_middleware"):
        raise ConfigurationError(
            "Sessions takes the schema, and the application takes the middleware: sessions = Sessions(Visitor, ...), "
            "app.add_middleware(sessions.middleware)"
        )
