"""What `Sessions` do in every framework: the session of the request that is handled, and those of a subject.

A framework's own `Sessions` says which request that is, by four methods. What waits is written once, as coroutines:
`AwaitedSessions` are for those who await them, and who has no event loop drives them to their end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import Any, Final, Generic, NoReturn, Self, cast
from uuid import UUID
from weakref import ref

from attrs import frozen
from typing_extensions import TypeVar, override

from typed_sessions.core.framework import ConfiguredApp
from typed_sessions.core.hidden import without_arguments
from typed_sessions.core.mixin import Session
from typed_sessions.core.session import SecureCookieSession, state_of
from typed_sessions.core.session_request import was_used_late
from typed_sessions.core.state import Progress
from typed_sessions.errors import ConfigurationError, StoreUnavailableError, answered
from typed_sessions.frameworks.interface import SecureCookieSessionInterface
from typed_sessions.reports import logger
from typed_sessions.schema.schema import Schema
from typed_sessions.server import EVENT_LOOP, Deadline, StoredContext
from typed_sessions.stores import SessionStore, purge

__all__ = [
    "REFRESH_FRACTION",
    "ApplicationSessions",
    "AwaitedSessions",
    "CurrentSessions",
    "SessionInfo",
    "purge_and_log",
    "purge_now_and_then",
    "refuse_forgetful",
    "refuse_mixed_up",
    "refuse_unsaved",
    "unproxied",
]

S = TypeVar("S", default=dict[str, object])
AppT = TypeVar("AppT", bound=ConfiguredApp)

REFRESH_FRACTION: Final = 0.1
"""As a fraction of the lifetime: a busy visitor gets a new expiry now and then, not with every response."""


@frozen
class SessionInfo:
    """One of the sessions of a subject, without what it holds."""

    created: datetime
    last_seen: datetime
    """When it was saved, or refreshed, last; a request that changes nothing counts once in `SESSION_REFRESH_AFTER`."""
    expires_at: datetime
    current: bool
    """True if it is the session of the request that is being handled."""


def _has_secrets(sessions: CurrentSessions[Any]) -> bool:
    return bool(sessions.schema.secrets)


class CurrentSessions(ABC, Generic[S]):
    """The sessions of a framework's applications, whatever waits there.

    Args:
        interface: opens and saves them.
    """

    def __init__(self, interface: SecureCookieSessionInterface[S]) -> None:
        self._interface: Final = interface

    # What a framework says.

    @abstractmethod
    def _app(self) -> ConfiguredApp:
        """Return the application that is at work, or else the one that is meant. Raises ConfigurationError."""

    @abstractmethod
    def _handles_request(self) -> bool:
        """Return True if a request, or a websocket, is being handled."""

    @abstractmethod
    def _session_of_request(self) -> object:
        """Return the session of that, whoever has opened it. Raises RuntimeError if none is being handled."""

    @abstractmethod
    def _gets_response(self) -> bool:
        """Return True if what is being handled gets a response, as a websocket that was accepted does not."""

    @property
    def schema(self) -> Schema[S]:
        """The fields, types and defaults of the declared class."""
        return self._interface.schema

    @property
    def current(self) -> Session[S]:
        """The session of the request or websocket that is being handled.

        Raises:
            RuntimeError: none is being handled, or its application was not given to `init_app`.
        """
        session = self._session_of_request()
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

    @without_arguments(_has_secrets)
    def replace(self, data: S) -> None:
        """Make another object the data of the current session: `sessions.replace(attrs.evolve(sessions.data, n=1))`.

        Raises:
            FieldTypeError: it is no instance of the schema, or one of its fields does not fit its type.
            RuntimeError: no request or websocket is being handled.
        """
        self._current().replace(data)

    def _cookie_for(self, data: S, app: ConfiguredApp, *, permanent: bool) -> str:
        """Return the value of the cookie of a visitor who has this data; see `cookie_for` of a framework's."""
        session = SecureCookieSession(schema=self.schema)
        self._fill(session, data, permanent=permanent or None)
        return self._interface.seal(app, session)

    def _fill(self, session: Session[S], data: S, *, permanent: bool | None) -> bool:
        """Make a session one of a visitor who has this data, and return True if that is anything to be kept.

        Args:
            session: a new one.
            data: what it is to hold.
            permanent: whether it outlives the browser's; None leaves it to the settings.
        """
        cast("SecureCookieSession[S]", session).replace(data)
        if permanent is not None:
            session.permanent = permanent
        return bool(session)

    async def _saved(self) -> bool:
        session, app = self._current(), self._app()
        if self._interface.is_null_session(session):
            return True
        if not isinstance(state_of(session).source, StoredContext):
            return self._interface.is_kept(app, session, answers=self._awaits_response(session))
        self._current_context(app)
        return await self._interface.store(app, session, answers=self._awaits_response(session), verifies=True)

    async def _reloaded(self) -> bool:
        session, app = self._current(), self._app()
        if self._interface.is_null_session(session):
            return True
        bool(session)  # a use
        if isinstance(state_of(session).source, StoredContext):
            self._current_context(app)
        return await self._interface.reload(app, session)

    async def _sessions_of(self, subject: int | str | UUID) -> list[SessionInfo]:
        app = self._app()
        server_side, context = self._interface.server_side(app), self._current_context(app)
        if context is not None:
            bool(self.current)  # a use
        listed = await answered(server_side.listed(subject, self._deadline(app, context)))
        return [
            SessionInfo(each.created, each.last_seen, each.expires_at, context is not None and each.key == context.key)
            for each in listed
        ]

    async def _revoked(self, subject: int | str | UUID, *, except_current: bool) -> None:
        app = self._app()
        server_side = self._interface.server_side(app)
        if except_current:
            bool(self.current)  # a use
            await self._saved()
        context = self._current_context(app)
        if except_current and context is not None and context.failure is not None:
            raise StoreUnavailableError("the store did not answer which session is the current one")
        spared = context if except_current else None
        await answered(server_side.revoke(subject, self._deadline(app, context), spared=spared))

    def _look_back(self) -> None:
        """Say that a change is lost that was made in the data after the save, such as in a teardown function."""
        current = self._session_of_request()
        if not isinstance(current, SecureCookieSession):
            return
        session = cast("SecureCookieSession[S]", current)
        if not was_used_late(session):
            return
        state = state_of(session)
        if state.progress is not Progress.SAVED:
            return
        if not isinstance(state.source, StoredContext):
            self._interface.is_kept(self._app(), session, answers=False)
        elif state.compared()[0]:
            state.report_loss(state.source.late_change)

    def _purge_interval(self, app: ConfiguredApp) -> timedelta | None:
        """Return how often expired sessions of an application are to be deleted; None if nobody wants that."""
        return self._interface.purge_interval(app)

    def _store_to_purge(self, app: ConfiguredApp) -> SessionStore:
        return self._interface.server_side(app).store

    def _current(self) -> SecureCookieSession[S]:
        return cast("SecureCookieSession[S]", self.current)

    def _current_context(self, app: ConfiguredApp) -> StoredContext[S] | None:
        """Return where the session of the current request came from, if there is one, and it is kept on the server.

        Its deadline is that of the request. A websocket, or a stream, may go on for hours: each call gets one of its
        own.
        """
        session = self._session_of_request() if self._handles_request() else None
        if not isinstance(session, SecureCookieSession):
            return None
        own = cast("SecureCookieSession[S]", session)
        context = state_of(own).source
        if not isinstance(context, StoredContext):
            return None
        if not self._awaits_response(own):
            context.deadline = self._interface.server_side(app).new_deadline()
        return context

    def _deadline(self, app: ConfiguredApp, context: StoredContext[S] | None) -> Deadline:
        return self._interface.server_side(app).new_deadline() if context is None else context.deadline

    def _awaits_response(self, session: SecureCookieSession[S]) -> bool:
        """Return True if the response of the current request has still to be made."""
        return self._gets_response() and state_of(session).awaits_response


class AwaitedSessions(CurrentSessions[S]):
    """The sessions of applications that have an event loop."""

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
        return await self._saved()

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
        return await self._reloaded()

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
        return await self._sessions_of(subject)

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
        await self._revoked(subject, except_current=except_current)

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


def refuse_unsaved(session: Session[Any]) -> None:
    """Raise StoreUnavailableError if the response that was to bring a session became the page that says so."""
    if state_of(cast("SecureCookieSession[Any]", session)).has_failed:
        raise StoreUnavailableError("the store did not answer, and the session of the test client is not kept")


def refuse_forgetful(client: object) -> NoReturn:
    """Say that a test client has no session after one was saved: it asks another host than that of the cookie."""
    raise ConfigurationError(
        f"{type(client).__name__} does not have its session: where SESSION_COOKIE_DOMAIN is set, it needs "
        f"a SERVER_NAME of that domain; if it is not that, the log says what became of the session"
    )


class ApplicationSessions(CurrentSessions[S], Generic[AppT, S]):
    """The sessions of applications that `init_app` is given.

    Args:
        interface: opens and saves them.
        app: the first of them, or None.
    """

    def __init__(self, interface: SecureCookieSessionInterface[S], app: AppT | None) -> None:
        super().__init__(interface)
        self._own_app: Final = app
        """Lives as long as they do; one that `init_app` gets lives as long as somebody else has it."""
        self._apps: list[ref[AppT]] = []
        if app is not None:
            self.init_app(app)

    @abstractmethod
    def init_app(self, app: AppT) -> None:
        """Keep the sessions of an application. Its settings are checked before it serves, and when they change.

        May be called for several applications; for one of them a second time, it does nothing.
        """

    def cookie_for(self, data: S, *, permanent: bool = False, app: AppT | None = None) -> str:
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
        return self._cookie_for(data, app or self._app(), permanent=permanent)

    @override
    @abstractmethod
    def _app(self) -> AppT: ...

    def _knows(self, app: AppT) -> None:
        """Count an application as the one that came last."""
        self._apps = [*(known for known in self._apps if known() not in (None, app)), ref(app)]

    def _latest(self) -> AppT:
        """Return the one that came last, of those that there are still. Raises ConfigurationError if there is none."""
        for known in reversed(self._apps):
            app: AppT | None = known()
            if app is not None:
                return app
        raise ConfigurationError("which application? give one to init_app, or pass app=")


async def purge_and_log(store: SessionStore) -> None:
    """Delete the expired records of a store. What keeps it from that is logged, and left to the next time."""
    try:
        await purge(store)
    except Exception as error:  # noqa: BLE001 -- a store of the user's may raise anything
        logger.warning("expired sessions could not be deleted", exc_info=error)


async def purge_now_and_then(store: SessionStore, every: timedelta) -> None:
    """Do so again and again, for as long as an application serves."""
    while True:
        await purge_and_log(store)
        await EVENT_LOOP.sleep(every.total_seconds())


def unproxied(proxy: object) -> object:
    """Return the object behind a proxy of werkzeug's. Source: the Flask documentation, "Notes On Proxies"."""
    target: object = cast("Any", proxy)._get_current_object()  # noqa: SLF001 -- documented
    return target


def refuse_mixed_up(schema: object, app: object, framework: type[object], module: str) -> None:
    """Say what to write instead of what one tries first, coming from other extensions.

    Args:
        schema: what was given as the schema.
        app: what was given as the application.
        framework: the class of the framework's applications.
        module: what has the `Sessions` of that framework.

    Raises:
        ConfigurationError: it is not what was meant.
    """
    if hasattr(schema, "session_interface"):
        name = getattr(app, "__name__", "Visitor")
        raise ConfigurationError(
            f"Sessions takes the schema first: Sessions({name}, app); without a schema, Sessions(app=app)"
        )
    if app is not None and not isinstance(app, framework):
        raise ConfigurationError(
            f"Sessions of {module} takes a {framework.__name__} application as app, not {type(app).__name__}"
        )
