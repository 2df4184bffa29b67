"""What `Sessions` do wherever a middleware of ASGI opens and saves them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeAlias, TypedDict, Unpack, cast, overload

from cattrs import Converter
from typing_extensions import TypeVar, override

from typed_sessions.core.mixin import Session
from typed_sessions.core.settings import advice_on, flag_of
from typed_sessions.errors import ConfigurationError
from typed_sessions.frameworks.asgi_interface import Application, ASGISessionInterface, need_asyncio
from typed_sessions.frameworks.session_middleware import (
    ASGIApp,
    Exchange,
    Handling,
)
from typed_sessions.frameworks.session_settings import (
    SessionSettings,
    config_of,
    in_arguments,
    settings_of,
    unknown_among,
)
from typed_sessions.frameworks.sessions import REFRESH_FRACTION, AwaitedSessions, purge_now_and_then
from typed_sessions.reports import Report, UnknownSetting, log_report

if TYPE_CHECKING:
    from typed_sessions.frameworks.transaction import TransactingClient, Transaction

__all__ = ["ASGISessions", "EventListener", "HasScope", "SessionArguments", "SessionOptions", "settings_from"]

S = TypeVar("S", default=dict[str, object])
C = TypeVar("C", bound="TransactingClient")

EventListener: TypeAlias = Callable[[Report], object]
"""Takes what there is to say of a session: one of the classes in `typed_sessions.reports`."""

_numbers: Final = count(1)


class SessionOptions(TypedDict, total=False):
    """What sessions are made with beside their settings."""

    permanent: bool
    """Whether a session outlives the browser's from its first content on, without being told: True by default."""
    converter: Converter | None
    """A cattrs converter with hooks for types that the library does not know."""
    on_event: EventListener | None
    """Is called with each report on a session, such as `Refused` or `FieldReset`, after it was logged. What it raises
    fails the request."""


_OPTIONS: Final = frozenset(SessionOptions.__annotations__)


class SessionArguments(SessionOptions, SessionSettings, total=False):
    """All that sessions are made with."""


class HasScope(Protocol):
    """A request or a websocket. Starlette's and Litestar's have their scope."""

    @property
    def scope(self) -> Mapping[str, Any]: ...


class ASGISessions(AwaitedSessions[S]):
    """The sessions of applications whose settings are arguments.

    Args:
        schema: the class that declares what a session holds; without one, a session is a dict.
        arguments: see `SessionOptions` and `SessionSettings`.

    Raises:
        SchemaError: the class cannot be a schema; the message names the field.
        ConfigurationError: a setting is wrong; the message names it.
    """

    _installed_by: ClassVar[str]
    """How an application gets the sessions, for those who have forgotten."""

    @overload
    def __init__(
        self: ASGISessions[dict[str, object]], schema: None = None, **arguments: Unpack[SessionArguments]
    ) -> None: ...
    @overload
    def __init__(self, schema: Callable[[], S], **arguments: Unpack[SessionArguments]) -> None: ...
    def __init__(self, schema: Callable[[], S] | None = None, **arguments: Unpack[SessionArguments]) -> None:
        options = cast("SessionOptions", {name: each for name, each in arguments.items() if name in _OPTIONS})
        settings = cast("SessionSettings", {name: each for name, each in arguments.items() if name not in _OPTIONS})
        del arguments  # debugging pages show locals
        unknown = unknown_among(settings)
        application = Application({} if unknown else config_of(settings))
        del settings  # debugging pages show locals
        if unknown:
            raise TypeError(f"Sessions() {unknown}")
        self._refuse_application(schema)
        permanent, on_event = flag_of("permanent", options.get("permanent", True)), options.get("on_event")
        if on_event is not None and not callable(on_event):
            raise ConfigurationError(f"on_event must be a function that takes a report, not {type(on_event).__name__}")
        interface = ASGISessionInterface(
            cast("Callable[[], S]", schema),
            converter=options.get("converter"),
            refresh_fraction=REFRESH_FRACTION,
            report=partial(log_and_tell, on_event),
        )
        interface.makes_permanent = permanent
        super().__init__(interface)
        self._application: Final = application
        self._permanent: Final = permanent
        self._exchange: Final = ContextVar[Exchange](f"typed_sessions.{next(_numbers)}")
        self._purging: asyncio.Task[None] | None = None
        self._serving = 0
        """How many times the application, or another one that has the same sessions, serves."""
        self._purge_every: Final = self._checked(interface)
        self._handling: Final = Handling(
            interface, application, self._exchange, self._exchange.name, self._look_back, self._begin, self._end
        )

    @classmethod
    def from_config(cls, schema: Any, config: Mapping[str, Any], **options: Unpack[SessionOptions]) -> Any:
        """Return the sessions that config keys describe, such as those of a Flask application: `SECRET_KEY` and so on.

        Args:
            schema: the class that declares what a session holds, or None.
            config: the config keys. What it does not have is as the constructor has it; what is no setting of sessions
                is left alone.
            options: as in the constructor: `permanent`, `converter`, `on_event`.

        Raises:
            SchemaError: the class cannot be a schema; the message names the field.
            ConfigurationError: a setting is wrong; the message names it.
        """
        settings = [settings_from(config, options.get("on_event"))]
        del config  # debugging pages show locals
        return cls(schema, **options, **settings.pop())

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
            raise RuntimeError(self._not_installed) from None
        data: S = exchange.session.data
        return data

    def on(self, request: HasScope) -> Session[S]:
        """Return the session of a request or a websocket of the framework's, also where nothing is being handled.

        Raises:
            RuntimeError: its application does not have the middleware.
        """
        session: Session[S] | None = request.scope.get(self._exchange.name)
        if session is None:
            raise RuntimeError(self._not_installed)
        return session

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
            raise RuntimeError(self._not_installed) from None

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

    @property
    def _not_installed(self) -> str:
        return f"no request with these sessions is being handled: {self._installed_by}"

    @classmethod
    def _refuse_application(cls, schema: object) -> None:
        """Say what to write instead of what one tries first, coming from other frameworks."""
        if hasattr(schema, "add_middleware") or hasattr(schema, "on_startup"):
            raise ConfigurationError(
                "Sessions takes the schema, and the application takes the sessions: sessions = Sessions(Visitor, ...); "
                + cls._installed_by
            )

    def transaction(self, client: TransactingClient, path: str = "/") -> Transaction[S]:
        """Open the session of a test client, and save what is changed in it back to the client's cookies.

        `with sessions.transaction(client) as session` in a test without an event loop, `async with` in one with a loop.

        Args:
            client: a test client of the framework's, or a client of httpx, that has a base URL.
            path: where the request would go, for cookies that are bound to a path.

        Raises:
            StoreUnavailableError: the store did not answer.
            ConfigurationError: the client has no base URL.
        """
        from typed_sessions.frameworks.transaction import Transaction  # noqa: PLC0415 -- it imports much, for tests

        return Transaction(self._handling.interface, self._application, client, path)

    def _client(self, client: Callable[..., C], data: S, app: ASGIApp, host: str, *, permanent: bool | None) -> C:
        """Return a test client whose visitor has this data; see `client_for` of a framework's.

        Args:
            client: the class of the framework's test clients.
            data: what the session holds.
            app: the application whose client it is.
            host: what the client calls the server, where the settings do not say.
            permanent: whether the session outlives the browser's; None leaves it to the settings.
        """
        interface, application = self._interface, self._application
        host = (interface.get_cookie_domain(application) or host).lstrip(".")
        base_url = f"{'https' if interface.get_cookie_secure(application) else 'http'}://{host}"
        made = client(app, base_url=base_url)
        with self.transaction(made, interface.get_cookie_path(application)) as session:
            self._fill(session, data, permanent=permanent)
        return made


def settings_from(config: Mapping[str, Any], on_event: EventListener | None) -> SessionSettings:
    """Return the settings that config keys describe, and report the keys that may be misspelt."""
    for name in config:
        advice = advice_on(name)
        if advice is not None:
            log_and_tell(on_event, None, UnknownSetting(name, advice))
    return settings_of(config)


def log_and_tell(on_event: EventListener | None, _app: object, report: Report) -> None:
    """Log a report, and tell it to who listens."""
    log_report(report)
    if on_event is not None:
        on_event(report)
