"""The session interface of Flask applications, and what it answers where the store of the sessions does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, Unpack, overload

from flask import Flask, Request, Response, current_app
from flask.globals import app_ctx
from typing_extensions import TypeIs, TypeVar, override
from werkzeug import Response as WerkzeugResponse
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.sansio.request import Request as SansIORequest

from typed_sessions.core.framework import ConfiguredApp, CookieRequest, CookieResponse
from typed_sessions.core.mixin import SessionMixin
from typed_sessions.core.null_session import NullSession
from typed_sessions.core.session import STREAMING, SecureCookieSession
from typed_sessions.core.session_request import is_left_alone, session_of_request
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.frameworks.unavailable import RETRY_AFTER, headers_instead
from typed_sessions.frameworks.werkzeug_interface import AllInterfaceOptions, WerkzeugSessionInterface
from typed_sessions.schema.schema import Schema
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.server import THREAD, Runtime

if TYPE_CHECKING:
    from flask.sessions import SecureCookieSessionInterface as _FlasksInterface
    from flask.sessions import SessionMixin as _FlasksSession

    from typed_sessions.sealing.keys import DigestMethod

__all__ = ["FlaskSessionInterface", "SecureCookieSessionInterface", "unavailable"]

S = TypeVar("S", default=dict[str, object])
T = TypeVar("T")


class FlaskSessionInterface(WerkzeugSessionInterface[S]):
    """What Flask asks to open and save sessions, in the thread that handles the request.

    Without arguments it is a drop-in for `flask.sessions.SecureCookieSessionInterface`; for what they mean, see
    `typed_sessions.SecureCookieSessionInterface`.
    """

    runtime: Runtime = THREAD

    @override
    def make_null_session(self, app: ConfiguredApp) -> NullSession[S]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # Flask awaits nothing
        return self._finish(app, super().make_null_session(app))

    @override
    def open_session(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # as above
        self, app: ConfiguredApp, request: CookieRequest
    ) -> SecureCookieSession[S] | None:
        rules = self._applications.rules_of(app)
        if rules.is_plain:
            return session_of_request(rules, app, request, rules.new_session)
        return self._finish(app, super().open_session(app, request))

    @override
    def save_session(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # as above
        self, app: ConfiguredApp, session: SessionMixin | None, response: CookieResponse
    ) -> None:
        if session is None:  # it could not be opened, and this is the response that says so
            return
        own: SecureCookieSession[S]
        own = session if type(session) is SecureCookieSession else self._owned(session)  # pyright: ignore[reportAssignmentType]  # it takes the comparison for a proof that there is no schema
        if is_left_alone(own):
            if self._is_streamed(response):
                STREAMING.set(own)
        elif not self._save_data(app, own, response):
            self._finish(app, self._save_contents(app, own, response))

    def _finish(self, app: ConfiguredApp, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what comes of a coroutine of this interface, which blocks where it would wait.

        Raises:
            RuntimeError: the store waits for an event loop, although it says that it never does.
            Exception: what the coroutine raises.
        """
        return THREAD.finish(coroutine, lambda: self.server_side(app).store)

    @override
    def _cookie_header(self, request: SansIORequest) -> str:
        if isinstance(request, Request):
            header: str = request.environ.get("HTTP_COOKIE", "")  # as its headers have it, which are slow
            return header
        return super()._cookie_header(request)

    @override
    def _is_streamed(self, response: CookieResponse | None) -> bool:
        if isinstance(response, WerkzeugResponse):
            return response.is_streamed and not response.direct_passthrough  # which is for files
        return super()._is_streamed(response)

    @override
    async def _answers_instead(
        self, app: ConfiguredApp, response: CookieResponse, error: StoreUnavailableError
    ) -> bool:
        if not isinstance(app, Flask) or not isinstance(response, WerkzeugResponse):
            return False
        _become(response, app.make_response(_handled(app.handle_user_exception, error)))
        return True


def unavailable(error: StoreUnavailableError) -> Response:
    """Return the application's own answer to 503 (RFC 9110, section 15.6.4), or the plain one."""
    current_app.logger.error("the session store is unavailable", exc_info=error)
    answer = _handled(current_app.handle_http_exception, ServiceUnavailable(retry_after=RETRY_AFTER))
    response = current_app.make_response(answer)
    response.headers.setdefault("Retry-After", str(RETRY_AFTER))
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _handled(handle: Callable[..., Any], error: Exception) -> Any:
    """Return what an application answers to an error. From Flask 3.2 on, its methods take the context first."""
    context: Any = app_ctx
    return handle(context._get_current_object(), error) if _TAKES_CONTEXT else handle(error)  # noqa: SLF001 -- documented


_TAKES_CONTEXT: Final = "ctx" in inspect.signature(Flask.handle_user_exception).parameters


def _become(response: WerkzeugResponse, answer: Response) -> None:
    """Make a response what another one is. Of the page itself, which could not be saved, nothing goes out."""
    close = getattr(response.response, "close", None)
    if close is not None:
        close()
    response.status, response.response = answer.status, answer.response
    response.direct_passthrough = answer.direct_passthrough
    headers = headers_instead(response.headers, answer.headers)
    response.headers.clear()
    response.headers.extend(headers)


if TYPE_CHECKING:
    _AnySession: TypeAlias = SessionMixin | _FlasksSession

    class SecureCookieSessionInterface(_FlasksInterface, Generic[S]):
        """`FlaskSessionInterface`, as a type that `app.session_interface` admits.

        What is ignored here are the places where it differs from Flask's own.
        """

        schema: Schema[S]
        salt: str | bytes  # type: ignore[assignment]
        digest_method: DigestMethod
        serializer: AnySerializer  # type: ignore[assignment]
        session_class: type[SecureCookieSession[S]]  # type: ignore[assignment]

        @overload
        def __init__(
            self: SecureCookieSessionInterface[dict[str, object]],
            schema: None = None,
            **options: Unpack[AllInterfaceOptions],
        ) -> None: ...
        @overload
        def __init__(self, schema: Callable[[], S], **options: Unpack[AllInterfaceOptions]) -> None: ...
        def __init__(self, schema: Callable[[], S] | None = None, **options: Unpack[AllInterfaceOptions]) -> None: ...
        def check(self, app: ConfiguredApp) -> None:
            """Refuse wrong settings before the first request."""

        @override
        def make_null_session(self, app: ConfiguredApp) -> NullSession[S]: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        @override
        def is_null_session(self, obj: object) -> TypeIs[NullSession[S]]: ...  # pyright: ignore[reportIncompatibleMethodOverride]
        @override
        def get_expiration_time(self, app: ConfiguredApp, session: _AnySession) -> datetime | None: ...
        @override
        def should_set_cookie(self, app: ConfiguredApp, session: _AnySession) -> bool: ...
        @override
        def open_session(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, app: ConfiguredApp, request: CookieRequest
        ) -> SecureCookieSession[S] | None: ...
        @override
        def save_session(self, app: ConfiguredApp, session: _AnySession, response: CookieResponse) -> None: ...
else:
    SecureCookieSessionInterface = FlaskSessionInterface
