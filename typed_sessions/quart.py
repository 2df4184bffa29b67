"""Typed sessions for Quart applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, Protocol, Unpack, cast, overload
from weakref import WeakKeyDictionary

from typing_extensions import TypeVar, override

from typed_sessions.core.mixin import Session
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.frameworks.sessions import (
    REFRESH_FRACTION,
    ApplicationSessions,
    AwaitedSessions,
    SessionInfo,
    purge_now_and_then,
    refuse_forgetful,
    refuse_mixed_up,
    refuse_unsaved,
    unproxied,
)

try:
    from quart import Quart, current_app, has_app_context, has_request_context, has_websocket_context
    from quart import session as quart_session
    from quart.typing import TestClientProtocol

    from typed_sessions.frameworks.quart_interface import (
        QuartSessionInterface,
        SecureCookieSessionInterface,
        unavailable,
    )
    from typed_sessions.frameworks.signals import field_reset, log_and_signal, session_refused
    from typed_sessions.frameworks.werkzeug_interface import InterfaceOptions
except ModuleNotFoundError as _missing:
    raise ImportError(
        "typed_sessions.quart needs Quart, which is an extra: pip install 'typed_sessions[quart]'", name=_missing.name
    ) from _missing

__all__ = ["SecureCookieSessionInterface", "SessionInfo", "Sessions", "field_reset", "session_refused"]

S = TypeVar("S", default=dict[str, object])

_EXTENSION: Final = "typed_sessions"


class TransactingClient(Protocol):
    """What a transaction needs of a test client. Quart's fills it."""

    def session_transaction(self, path: str = ..., /) -> AbstractAsyncContextManager[MutableMapping[str, Any]]:
        """Open the session of the client's next request, and save it afterwards."""
        ...


class Sessions(AwaitedSessions[S], ApplicationSessions[Quart, S]):
    """The sessions of a Quart application, with contents of one declared class.

    Args:
        schema: the class that declares what a session holds; without one, a session is a dict.
        app: the application; `init_app` takes it later.
        serializer: a built-in serializer's name, or a serializer. The config key `SESSION_SERIALIZER` beats it.
        converter: a cattrs converter with hooks for types that the library does not know.
        store: keeps the contents on the server, with only an identifier in the cookie: the URL of a store, which is
            closed here, or a store, which is closed by whoever has made it. The config key `SESSION_STORE` beats it.
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
        app: Quart | None = None,
        **options: Unpack[InterfaceOptions],
    ) -> None: ...
    @overload
    def __init__(
        self, schema: Callable[[], S], app: Quart | None = None, **options: Unpack[InterfaceOptions]
    ) -> None: ...
    def __init__(
        self, schema: Callable[[], S] | None = None, app: Quart | None = None, **options: Unpack[InterfaceOptions]
    ) -> None:
        refuse_mixed_up(schema, app, Quart, __name__)
        self._serving: WeakKeyDictionary[Quart, asyncio.Task[None] | None] = WeakKeyDictionary()
        """The applications that serve, with what deletes expired sessions meanwhile."""
        declared = cast("Callable[[], S]", schema)
        super().__init__(
            QuartSessionInterface(declared, refresh_fraction=REFRESH_FRACTION, report=log_and_signal, **options), app
        )

    @override
    def init_app(self, app: Quart) -> None:
        """Keep the sessions of an application. Its settings are checked before it serves, and when they change.

        May be called for several applications; for one of them a second time, it does nothing.
        """
        if app.extensions.get(_EXTENSION) is self and getattr(app, "session_interface", None) is self._interface:
            return
        setattr(app, "session_interface", self._interface)  # noqa: B010 -- Quart's attribute admits only Quart's class
        app.extensions[_EXTENSION] = self
        self._interface.take_keys(app)

        if StoreUnavailableError not in app.error_handler_spec[None][None]:
            app.register_error_handler(StoreUnavailableError, unavailable)
        for functions in (app.teardown_request_funcs, app.teardown_websocket_funcs):
            functions[None].insert(0, self._teardown)  # the last one that is called
        app.before_serving(partial(self._begin, app))
        app.after_serving(partial(self._end, app))
        self._knows(app)

    async def _teardown(self, _error: BaseException | None) -> None:
        self._look_back()

    async def _begin(self, app: Quart) -> None:
        self._interface.check(app)
        every = self._purge_interval(app)
        self._serving[app] = (
            None if every is None else asyncio.create_task(purge_now_and_then(self._store_to_purge(app), every))
        )

    async def _end(self, app: Quart) -> None:
        purging = self._serving.pop(app, None)
        if purging is not None:
            purging.cancel()
            await asyncio.gather(purging, return_exceptions=True)
        if not self._serving:
            await self._interface.close()

    @asynccontextmanager
    async def transaction(self, client: TransactingClient, path: str = "/") -> AsyncGenerator[Session[S], None]:
        """Open the session of a test client, and save what is changed in it back to the client's cookies.

        Args:
            client: what `app.test_client()` returns.
            path: where the request would go, for cookies that are bound to a path.
        """
        async with client.session_transaction(path) as session:
            yield cast("Session[S]", session)

    async def client_for(self, data: S, *, permanent: bool = False, app: Quart | None = None) -> TestClientProtocol:
        """Return a test client whose visitor has this data: `await sessions.client_for(Visitor(user_id=7))`.

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
        async with self.transaction(client, path) as session:
            is_kept = self._fill(session, data, permanent=permanent or None)
        refuse_unsaved(session)
        async with self.transaction(client, path) as session:
            if is_kept and not session:
                refuse_forgetful(client)
        return client

    @override
    def _app(self) -> Quart:
        return cast("Quart", unproxied(current_app)) if has_app_context() else self._latest()

    @override
    def _handles_request(self) -> bool:
        return has_request_context() or has_websocket_context()

    @override
    def _session_of_request(self) -> object:
        return unproxied(quart_session)

    @override
    def _gets_response(self) -> bool:
        return has_request_context()
