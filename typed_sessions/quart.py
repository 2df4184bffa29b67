"""Typed sessions for Quart applications."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, cast, overload

from blinker import Namespace
from cattrs import Converter
from quart import Quart, current_app, has_app_context
from quart import session as quart_session
from typing_extensions import TypeVar

from typed_sessions import interface
from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import FieldReset, Refused, Report, log_report
from typed_sessions.schema import Schema
from typed_sessions.serializers.base import AnySerializer, SerializerName
from typed_sessions.session import SecureCookieSession, Session

if TYPE_CHECKING:
    from quart.sessions import SecureCookieSessionInterface as _QuartInterface

__all__ = ["SecureCookieSessionInterface", "Sessions", "field_reset", "session_refused"]

S = TypeVar("S", default=dict[str, object])

_signals: Final = Namespace()

session_refused: Final = _signals.signal("session-refused")
"""Sent by the app, with `report: Refused`, when a session cookie is refused."""

field_reset: Final = _signals.signal("session-field-reset")
"""Sent by the app, with `report: FieldReset`, when a stored value no longer fits its field."""

_REFRESH_FRACTION: Final = 0.1
"""As a fraction of the lifetime: a busy visitor gets a new expiry now and then, not with every response."""

_EXTENSION: Final = "typed_sessions"


class TransactingClient(Protocol):
    """What a transaction needs of a test client. Quart's fills it."""

    def session_transaction(self, path: str = ..., /) -> AbstractAsyncContextManager[MutableMapping[str, Any]]:
        """Open the session of the client's next request, and save it afterwards."""
        ...


class Sessions(Generic[S]):
    """The sessions of a Quart application, with contents of one declared class.

    Args:
        schema: the class that declares what a session holds; without one, a session is a dict.
        app: the application; `init_app` takes it later.
        serializer: a built-in serializer's name, or a serializer. The config key `SESSION_SERIALIZER` beats it.
        converter: a cattrs converter with hooks for types that the library does not know.

    Raises:
        SchemaError: the class cannot be a schema; the message names the field.
        ConfigurationError: there is no such serializer.
    """

    @overload
    def __init__(
        self: Sessions[dict[str, object]],
        schema: None = None,
        app: Quart | None = None,
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        schema: Callable[[], S],
        app: Quart | None = None,
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
    ) -> None: ...
    def __init__(
        self,
        schema: Callable[[], S] | None = None,
        app: Quart | None = None,
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
    ) -> None:
        self._interface: interface.SecureCookieSessionInterface[S] = interface.SecureCookieSessionInterface(
            cast("Callable[[], S]", schema),
            serializer=serializer,
            converter=converter,
            refresh_fraction=_REFRESH_FRACTION,
            report=_report,
        )
        self._apps: list[Quart] = []
        if app is not None:
            self.init_app(app)

    @property
    def schema(self) -> Schema[S]:
        """The fields, types and defaults of the declared class."""
        return self._interface.schema

    def init_app(self, app: Quart) -> None:
        """Keep the sessions of an application. Its settings are checked before it serves, and when they change.

        May be called for several applications.
        """
        setattr(app, "session_interface", self._interface)  # noqa: B010 -- Quart's attribute admits only Quart's class
        app.extensions[_EXTENSION] = self

        @app.before_serving
        async def check_settings() -> None:  # pyright: ignore[reportUnusedFunction]  # registered
            self._interface.check(app)

        self._apps.append(app)

    @property
    def current(self) -> Session[S]:
        """The session of the request or websocket that is being handled.

        Raises:
            RuntimeError: none is being handled, or its application was not given to `init_app`.
        """
        session = _current_session()
        if not isinstance(session, SecureCookieSession):
            raise RuntimeError(  # noqa: TRY004 -- the set-up is wrong, not a type
                f"the session of this request is a {type(session).__name__} of another session interface; "
                f"call init_app, and set app.session_interface nowhere else"
            )
        return cast("Session[S]", session)

    @property
    def data(self) -> S:
        """The data of the session of the request or websocket that is being handled; see `current`."""
        return self.current.data

    def replace(self, data: S) -> None:
        """Make another object the data of the current session: `sessions.replace(attrs.evolve(sessions.data, n=1))`.

        Raises:
            FieldTypeError: it is no instance of the schema, or one of its fields does not fit its type.
            RuntimeError: no request or websocket is being handled.
        """
        cast("SecureCookieSession[S]", self.current).replace(data)

    @asynccontextmanager
    async def transaction(self, client: TransactingClient, path: str = "/") -> AsyncGenerator[Session[S], None]:
        """Open the session of a test client, and save what is changed in it back to the client's cookies.

        Args:
            client: what `app.test_client()` returns.
            path: where the request would go, for cookies that are bound to a path.
        """
        async with client.session_transaction(path) as session:
            yield cast("Session[S]", session)

    def cookie_for(self, data: S, *, permanent: bool = False, app: Quart | None = None) -> str:
        """Return the value of the cookie of a visitor who has this data, for tests and tools.

        Args:
            data: what the session holds.
            permanent: whether the session outlives the browser's.
            app: the application whose keys seal it; by default the current one, or the only one given to `init_app`.

        Raises:
            ConfigurationError: no application is known, or it has no secret key.
            FieldTypeError: a field does not fit its type.
            SerializationError: the data cannot be written so that it reads back.
        """
        session = SecureCookieSession(schema=self.schema)
        session.replace(data)
        if permanent:
            session.permanent = True
        return self._interface.seal(app or self._app(), session)

    def _app(self) -> Quart:
        if has_app_context():
            return cast("Quart", _unproxied(current_app))
        if len(self._apps) != 1:
            raise ConfigurationError("which application? give one to init_app, or pass app=")
        return self._apps[0]


def _current_session() -> object:
    return _unproxied(quart_session)


def _unproxied(proxy: object) -> object:
    """Return the object behind one of Quart's proxies. Source: the Flask documentation, "Notes On Proxies"."""
    target: object = cast("Any", proxy)._get_current_object()  # noqa: SLF001 -- documented
    return target


def _report(app: interface.ConfiguredApp, report: Report) -> None:
    log_report(report)
    match report:
        case Refused():
            session_refused.send(app, report=report)
        case FieldReset():
            field_reset.send(app, report=report)
        case _:
            pass


if TYPE_CHECKING:

    class SecureCookieSessionInterface(_QuartInterface, Generic[S]):
        """`typed_sessions.SecureCookieSessionInterface`, as a type that `app.session_interface` admits."""

        schema: Schema[S]

        @overload
        def __init__(
            self: SecureCookieSessionInterface[dict[str, object]],
            schema: None = None,
            *,
            serializer: SerializerName | AnySerializer | None = None,
            converter: Converter | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self,
            schema: Callable[[], S],
            *,
            serializer: SerializerName | AnySerializer | None = None,
            converter: Converter | None = None,
        ) -> None: ...
        def __init__(
            self,
            schema: Callable[[], S] | None = None,
            *,
            serializer: SerializerName | AnySerializer | None = None,
            converter: Converter | None = None,
        ) -> None: ...
else:
    SecureCookieSessionInterface = interface.SecureCookieSessionInterface
