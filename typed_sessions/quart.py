"""Typed sessions for Quart applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Generic, Protocol, Self, cast, overload
from uuid import UUID
from weakref import WeakKeyDictionary, ref

from attrs import frozen
from cattrs import Converter
from typing_extensions import TypeVar

from typed_sessions import interface
from typed_sessions.core.mixin import Session
from typed_sessions.core.session import SecureCookieSession, state_of, was_used_late
from typed_sessions.core.settings import purge_interval_of
from typed_sessions.core.state import Progress
from typed_sessions.errors import ConfigurationError, StoreUnavailableError, answered
from typed_sessions.reports import FieldReset, Refused, Report, log_report, logger
from typed_sessions.schema.schema import Schema
from typed_sessions.serializers.base import AnySerializer, SerializerName
from typed_sessions.server import ServerSide, StoredContext
from typed_sessions.stores import SessionStore, purge

try:
    from blinker import Namespace
    from quart import Quart, current_app, has_app_context, has_request_context, has_websocket_context
    from quart import session as quart_session

    from typed_sessions.quart_interface import QuartSessionInterface, SecureCookieSessionInterface, unavailable
except ModuleNotFoundError as _missing:
    raise ImportError(
        "typed_sessions.quart needs Quart, which is an extra: pip install 'typed_sessions[quart]'", name=_missing.name
    ) from _missing

__all__ = ["SecureCookieSessionInterface", "SessionInfo", "Sessions", "field_reset", "session_refused"]

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
        store: keeps the contents on the server, with only an identifier in the cookie: the URL of a store, which is
            closed here, or a store, which is closed by whoever has made it. The config key `SESSION_STORE` beats it.

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
        store: str | SessionStore | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        schema: Callable[[], S],
        app: Quart | None = None,
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
        store: str | SessionStore | None = None,
    ) -> None: ...
    def __init__(
        self,
        schema: Callable[[], S] | None = None,
        app: Quart | None = None,
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
        store: str | SessionStore | None = None,
    ) -> None:
        _refuse_mixed_up(schema, app)
        self._interface: QuartSessionInterface[S] = QuartSessionInterface(
            cast("Callable[[], S]", schema),
            serializer=serializer,
            converter=converter,
            store=store,
            refresh_fraction=_REFRESH_FRACTION,
            report=_report,
        )
        self._own_app: Final = app
        """Lives as long as they do; one that `init_app` gets lives as long as somebody else has it."""
        self._apps: list[ref[Quart]] = []
        self._serving: WeakKeyDictionary[Quart, asyncio.Task[None] | None] = WeakKeyDictionary()
        """The applications that serve, with what deletes expired sessions meanwhile."""
        if app is not None:
            self.init_app(app)

    @property
    def schema(self) -> Schema[S]:
        """The fields, types and defaults of the declared class."""
        return self._interface.schema

    def init_app(self, app: Quart) -> None:
        """Keep the sessions of an application. Its settings are checked before it serves, and when they change.

        May be called for several applications; for one of them a second time, it does nothing.
        """
        if app.extensions.get(_EXTENSION) is self and getattr(app, "session_interface", None) is self._interface:
            return
        setattr(app, "session_interface", self._interface)  # noqa: B010 -- Quart's attribute admits only Quart's class
        app.extensions[_EXTENSION] = self

        if StoreUnavailableError not in app.error_handler_spec[None][None]:
            app.register_error_handler(StoreUnavailableError, unavailable)
        for functions in (app.teardown_request_funcs, app.teardown_websocket_funcs):
            functions[None].insert(0, self._look_back)  # the last one that is called
        app.before_serving(partial(self._begin, app))
        app.after_serving(partial(self._end, app))
        self._apps = [*(known for known in self._apps if known() not in (None, app)), ref(app)]

    async def _look_back(self, _error: BaseException | None) -> None:
        """Say that a change is lost that was made in the data after the save, such as in `teardown_request`."""
        current = _current_session()
        if not isinstance(current, SecureCookieSession):
            return
        session = cast("SecureCookieSession[S]", current)
        if not was_used_late(session):
            return
        state = state_of(session)
        if state.progress is not Progress.SAVED:
            return
        if not isinstance(state.source, StoredContext):
            self._interface.is_kept(_current_app(), session, answers=False)
        elif state.compared()[0]:
            state.report_loss(state.source.late_change)

    async def _begin(self, app: Quart) -> None:
        self._interface.check(app)
        every = purge_interval_of(cast("interface.ConfiguredApp", app).config.get("SESSION_PURGE_EVERY"))
        self._serving[app] = None if every is None else asyncio.create_task(_purge(self._store_to_purge(app), every))

    def _store_to_purge(self, app: Quart) -> SessionStore:
        try:
            return self._interface.server_side(app).store
        except ConfigurationError:
            raise ConfigurationError("SESSION_PURGE_EVERY needs sessions that are kept on the server") from None

    async def _end(self, app: Quart) -> None:
        purging = self._serving.pop(app, None)
        if purging is not None:
            purging.cancel()
            await asyncio.gather(purging, return_exceptions=True)
        if not self._serving:
            await self._interface.close()

    async def close(self) -> None:
        """Close the stores that were opened here by their URLs, in the event loop that runs.

        A served application does so when it stops serving, and an event loop when it ends. A store that was given as an
        object is closed by whoever has made it. All open again when they are used again.
        """
        await self._interface.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

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

    async def save(self) -> bool:
        """Have the store keep the current session as it is now: for websockets, streams, and long requests.

        A new session, and one that gets a new identifier, needs a response to carry it; where there is none, that is
        reported as a lost change. Sessions in cookies are saved with their response, and by nothing else: before it is
        made, True means that they go out with it.

        Returns:
            False if what is in the session will not be kept, because it has been ended meanwhile, or for another reason
            that is in the log.

        Raises:
            StoreUnavailableError: the store did not answer in time. It may be tried again.
            SessionConflictError: another request has changed the same field, which the schema does not allow.
            SerializationError: the contents cannot be written so that they read back.
            RuntimeError: no request or websocket is being handled.
        """
        app, session = _current_app(), cast("SecureCookieSession[S]", self.current)
        if self._interface.is_null_session(session):
            return True
        if not isinstance(state_of(session).source, StoredContext):
            return self._interface.is_kept(app, session, answers=_awaits_response(session))
        _current_context(self._interface.server_side(app))
        return await self._interface.store(app, session, answers=_awaits_response(session), verifies=True)

    async def reload(self) -> bool:
        """Bring what is kept of the current session now into it: for websockets, streams, and long requests.

        `data` stays the same object where it can be changed. Changes that were not saved are merged into what other
        requests have saved, by the rules of the schema, as `save` does.

        Returns:
            False if the session has been ended meanwhile, or has got another identifier: what is in it stays, and no
            `save` keeps it any more. For sessions in cookies, True until they expire.

        Raises:
            StoreUnavailableError: the store did not answer in time.
            SessionConflictError: another request has changed the same field, which the schema does not allow; nothing
                has changed.
            RuntimeError: no request or websocket is being handled.
        """
        app, session = _current_app(), cast("SecureCookieSession[S]", self.current)
        if self._interface.is_null_session(session):
            return True
        bool(session)  # a use
        if isinstance(state_of(session).source, StoredContext):
            _current_context(self._interface.server_side(app))
        return await self._interface.reload(app, session)

    async def of(self, subject: int | str | UUID) -> list[SessionInfo]:
        """Return the live sessions of a subject, the one used last first.

        Outside of the context of an application they are those of the one that was given to `init_app` last.
        Within a request this is a use of its session, for the answer depends on which one that is.

        Args:
            subject: a value of the field that the schema marks as `Subject`.

        Raises:
            StoreUnavailableError: the store did not answer in time.
            FieldTypeError: it is no value of that field.
            ConfigurationError: no field is marked, or sessions are kept in cookies, where nobody can count them.
        """
        server_side = self._interface.server_side(self._app())
        context = _current_context(server_side)
        if context is not None:
            bool(self.current)  # a use
        deadline = server_side.new_deadline() if context is None else context.deadline
        listed = await answered(server_side.listed(subject, deadline))
        return [
            SessionInfo(each.created, each.last_seen, each.expires_at, context is not None and each.key == context.key)
            for each in listed
        ]

    async def revoke(self, subject: int | str | UUID, *, except_current: bool = False) -> None:
        """End the sessions of a subject, also those that a request in flight is about to begin.

        Outside of the context of an application they are those of the one that was given to `init_app` last.

        Args:
            subject: a value of the field that the schema marks as `Subject`.
            except_current: whether the session of the request that is being handled goes on. It is saved first.

        Raises:
            StoreUnavailableError: the store did not answer in time; some may have been ended, or all.
            FieldTypeError: it is no value of that field.
            ConfigurationError: no field is marked, or sessions are kept in cookies, which nobody can take back.
            RuntimeError: except_current, and no request or websocket is being handled.
        """
        server_side = self._interface.server_side(self._app())
        if except_current:
            bool(self.current)  # a use
            await self.save()
        context = _current_context(server_side)
        if except_current and context is not None and context.failure is not None:
            raise StoreUnavailableError("the store did not answer which session is the current one")
        deadline = server_side.new_deadline() if context is None else context.deadline
        spared = context if except_current else None
        await answered(server_side.revoke(subject, deadline, spared=spared))

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
            app: the application whose keys seal it; by default the current one, or else the one that was
                given to `init_app` last, of those that there are still.

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
            return _current_app()
        for known in reversed(self._apps):
            app = known()
            if app is not None:
                return app
        raise ConfigurationError("which application? give one to init_app, or pass app=")


@frozen
class SessionInfo:
    """One of the sessions of a subject, without what it holds."""

    created: datetime
    last_seen: datetime
    """When it was saved, or refreshed, last; a request that changes nothing counts once in `SESSION_REFRESH_AFTER`."""
    expires_at: datetime
    current: bool
    """True if it is the session of the request that is being handled."""


def _refuse_mixed_up(schema: object, app: object) -> None:
    """Say what to write instead of what one tries first, coming from other extensions."""
    if hasattr(schema, "session_interface"):
        name = getattr(app, "__name__", "Visitor")
        raise ConfigurationError(
            f"Sessions takes the schema first: Sessions({name}, app); without a schema, Sessions(app=app)"
        )
    if app is not None and not isinstance(app, Quart):
        raise ConfigurationError(
            f"Sessions of typed_sessions.quart takes a Quart application as app, not {type(app).__name__}"
        )


async def _purge(store: SessionStore, every: timedelta) -> None:
    """Delete expired records now and then, for as long as the application serves."""
    while True:
        try:
            await purge(store)
        except Exception as error:  # noqa: BLE001 -- a store of the user's may raise anything
            logger.warning("expired sessions could not be deleted", exc_info=error)
        await asyncio.sleep(every.total_seconds())


def _current_app() -> Quart:
    return cast("Quart", _unproxied(current_app))


def _current_context(server_side: ServerSide[Any]) -> StoredContext[Any] | None:
    """Return where the session of the current request came from, if there is one, and it is kept on the server.

    Its deadline is that of the request. A websocket, or a stream, may go on for hours: each call gets one of its own.
    """
    if not (has_request_context() or has_websocket_context()):
        return None
    session = _current_session()
    if not isinstance(session, SecureCookieSession):
        return None
    context = state_of(session).source
    if not isinstance(context, StoredContext):
        return None
    if not _awaits_response(session):
        context.deadline = server_side.new_deadline()
    return context


def _awaits_response(session: SecureCookieSession[Any]) -> bool:
    """Return True if the response of the current request has still to be made."""
    return has_request_context() and state_of(session).awaits_response


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
