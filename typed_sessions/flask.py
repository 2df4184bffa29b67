"""Typed sessions for Flask applications."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine, Generator, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol, Self, Unpack, cast, overload
from uuid import UUID
from weakref import WeakKeyDictionary

from typing_extensions import TypeVar, override

from typed_sessions.core.framework import ConfiguredApp
from typed_sessions.core.mixin import Session
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.frameworks.sessions import (
    REFRESH_FRACTION,
    ApplicationSessions,
    SessionInfo,
    purge_and_log,
    refuse_forgetful,
    refuse_mixed_up,
    refuse_unsaved,
    unproxied,
)
from typed_sessions.server import THREAD

try:
    from flask import Flask, current_app, has_app_context, has_request_context
    from flask import session as flask_session
    from flask.testing import FlaskClient

    from typed_sessions.frameworks.flask_interface import (
        FlaskSessionInterface,
        SecureCookieSessionInterface,
        unavailable,
    )
    from typed_sessions.frameworks.signals import field_reset, log_and_signal, session_refused
    from typed_sessions.frameworks.werkzeug_interface import InterfaceOptions
except ModuleNotFoundError as _missing:
    raise ImportError(
        "typed_sessions.flask needs Flask, which is an extra: pip install 'typed_sessions[flask]'", name=_missing.name
    ) from _missing

__all__ = ["SecureCookieSessionInterface", "SessionInfo", "Sessions", "field_reset", "session_refused"]

S = TypeVar("S", default=dict[str, object])
T = TypeVar("T")

_EXTENSION: Final = "typed_sessions"


class TransactingClient(Protocol):
    """What a transaction needs of a test client. Flask's fills it."""

    def session_transaction(self, path: str = ..., /) -> AbstractContextManager[MutableMapping[str, Any]]:
        """Open the session of the client's next request, and save it afterwards."""
        ...


class Sessions(ApplicationSessions[Flask, S]):
    """The sessions of a Flask application, with contents of one declared class.

    Args:
        schema: the class that declares what a session holds; without one, a session is a dict.
        app: the application; `init_app` takes it later.
        serializer: a built-in serializer's name, or a serializer. The config key `SESSION_SERIALIZER` beats it.
        converter: a cattrs converter with hooks for types that the library does not know.
        store: keeps the contents on the server, with only an identifier in the cookie: the URL of a store, which is
            closed here, or a store, which is closed by whoever has made it. One that waits for an event loop is asked
            in a thread that has one. The config key `SESSION_STORE` beats it.
        encryption: `"on"` encrypts what is written, `"read"` only opens what is encrypted already, and `"off"` is the
            default. The config key `SESSION_ENCRYPTION` beats it.

    Raises:
        SchemaError: the class cannot be a schema; the message names the field.
        ConfigurationError: there is no such serializer, or what encrypts is not installed.
    """

    @overload
    def __init__(
        self: Sessions[dict[str, object]],
        schema: None = None,
        app: Flask | None = None,
        **options: Unpack[InterfaceOptions],
    ) -> None: ...
    @overload
    def __init__(
        self, schema: Callable[[], S], app: Flask | None = None, **options: Unpack[InterfaceOptions]
    ) -> None: ...
    def __init__(
        self, schema: Callable[[], S] | None = None, app: Flask | None = None, **options: Unpack[InterfaceOptions]
    ) -> None:
        refuse_mixed_up(schema, app, Flask, __name__)
        self._purge_at: Final[WeakKeyDictionary[Flask, float]] = WeakKeyDictionary()
        """When expired sessions are to be deleted next, by this machine's monotonic clock."""
        declared = cast("Callable[[], S]", schema)
        super().__init__(
            FlaskSessionInterface(declared, refresh_fraction=REFRESH_FRACTION, report=log_and_signal, **options), app
        )

    @override
    def init_app(self, app: Flask) -> None:
        """Keep the sessions of an application. Its settings are checked at the first request, and when they change.

        May be called for several applications; for one of them a second time, it does nothing.
        """
        if app.extensions.get(_EXTENSION) is self and getattr(app, "session_interface", None) is self._interface:
            return
        setattr(app, "session_interface", self._interface)  # noqa: B010 -- Flask's attribute admits only Flask's class
        app.extensions[_EXTENSION] = self
        self._interface.take_keys(app)

        if StoreUnavailableError not in app.error_handler_spec[None][None]:
            app.register_error_handler(StoreUnavailableError, unavailable)
        app.teardown_request_funcs.setdefault(None, []).insert(0, self._teardown)  # the last one that is called
        self._knows(app)

    def save(self) -> bool:
        """Have the store keep the current session as it is now: for streams, and long requests.

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
            RuntimeError: no request is being handled.
        """
        return self._run(self._saved())

    def reload(self) -> bool:
        """Bring what is kept of the current session now into it: for streams, and long requests.

        `data` stays the same object where it can be changed. Changes that were not saved are merged into what other
        requests have saved, by the rules of the schema, as `save` does.

        Returns:
            False if the session has been ended meanwhile, or has got another identifier: what is in it stays, and no
            `save` keeps it any more. For sessions in cookies, True until they expire.

        Raises:
            StoreUnavailableError: the store did not answer in time.
            SessionConflictError: another request has changed the same field, which the schema does not allow; nothing
                has changed.
            RuntimeError: no request is being handled.
        """
        return self._run(self._reloaded())

    def of(self, subject: int | str | UUID) -> list[SessionInfo]:
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
        return self._run(self._sessions_of(subject))

    def revoke(self, subject: int | str | UUID, *, except_current: bool = False) -> None:
        """End the sessions of a subject, also those that a request in flight is about to begin.

        Outside of the context of an application they are those of the one that was given to `init_app` last.

        Args:
            subject: a value of the field that the schema marks as `Subject`.
            except_current: whether the session of the request that is being handled goes on. It is saved first.

        Raises:
            StoreUnavailableError: the store did not answer in time; some may have been ended, or all.
            FieldTypeError: it is no value of that field.
            ConfigurationError: no field is marked, or sessions are kept in cookies, which nobody can take back.
            RuntimeError: except_current, and no request is being handled.
        """
        self._run(self._revoked(subject, except_current=except_current))

    def close(self) -> None:
        """Close the stores that were opened here by their URLs. They open again when they are used again.

        A store that was given as an object is closed by whoever has made it.
        """
        THREAD.run(self._interface.close(), self._interface)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, client: TransactingClient, path: str = "/") -> Generator[Session[S], None, None]:
        """Open the session of a test client, and save what is changed in it back to the client's cookies.

        Args:
            client: what `app.test_client()` returns.
            path: where the request would go, for cookies that are bound to a path.
        """
        with client.session_transaction(path) as session:
            yield cast("Session[S]", session)

    def client_for(self, data: S, *, permanent: bool = False, app: Flask | None = None) -> FlaskClient:
        """Return a test client whose visitor has this data: `sessions.client_for(Visitor(user_id=7))`.

        A session that is kept on the server is saved there first.

        Args:
            data: what the session holds.
            permanent: whether the session outlives the browser's.
            app: the application whose client it is; by default the current one, or else the one that was given to
                `init_app` last, of those that there are still.

        Raises:
            FieldTypeError: a field does not fit its type.
            SerializationError: the data cannot be written so that it reads back.
            StoreUnavailableError: the store did not answer.
            ConfigurationError: no application is known, or the client does not get its cookie.
        """
        client, path = (app := app or self._app()).test_client(), self._interface.get_cookie_path(app)
        with self.transaction(client, path) as session:
            is_kept = self._fill(session, data, permanent=permanent or None)
        refuse_unsaved(session)
        with self.transaction(client, path) as session:
            if is_kept and not session:
                refuse_forgetful(client)
        return client

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return THREAD.finish(coroutine, lambda: self._interface.server_side(self._app()).store)

    def _teardown(self, error: BaseException | None) -> None:
        if error is not None and not self._was_opened():
            return  # which is that error
        self._look_back()
        self._purge_now_and_then(self._app())

    def _was_opened(self) -> bool:
        """Return True if there is a session. Releases of Flask answer None, refuse, or try once more."""
        try:
            return self._session_of_request() is not None
        except Exception:  # noqa: BLE001 -- a setting may be wrong in any way
            return False

    def _purge_now_and_then(self, app: Flask) -> None:
        """Begin to delete expired sessions, in a thread that ends with that, if it is time to."""
        now = time.monotonic()
        if cast("ConfiguredApp", app).config.get("SESSION_PURGE_EVERY") is None or now < self._purge_at.get(app, 0.0):
            return
        every = self._purge_interval(app)
        if every is not None:
            self._purge_at[app] = now + every.total_seconds()
            store = self._store_to_purge(app)
            threading.Thread(target=lambda: THREAD.run(purge_and_log(store), store), daemon=True).start()

    @override
    def _app(self) -> Flask:
        return cast("Flask", unproxied(current_app)) if has_app_context() else self._latest()

    @override
    def _handles_request(self) -> bool:
        return has_request_context()

    @override
    def _session_of_request(self) -> object:
        return unproxied(flask_session)

    @override
    def _gets_response(self) -> bool:
        return has_request_context()
