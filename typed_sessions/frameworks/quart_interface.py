"""The session interface of Quart applications, and what it answers where the store of the sessions does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeAlias, Unpack, overload

from quart import Quart, Response, current_app
from quart.wrappers.response import DataBody
from typing_extensions import TypeIs, TypeVar, override
from werkzeug import Response as WerkzeugResponse
from werkzeug.exceptions import ServiceUnavailable

from typed_sessions.core.framework import ConfiguredApp, CookieRequest, CookieResponse
from typed_sessions.core.mixin import SessionMixin
from typed_sessions.core.null_session import NullSession
from typed_sessions.core.session import SecureCookieSession
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.frameworks import interface
from typed_sessions.frameworks.unavailable import RETRY_AFTER, headers_instead
from typed_sessions.frameworks.werkzeug_interface import AllInterfaceOptions, WerkzeugSessionInterface
from typed_sessions.schema.schema import Schema
from typed_sessions.serializers.base import AnySerializer

if TYPE_CHECKING:
    from quart.sessions import SecureCookieSessionInterface as _QuartInterface
    from quart.sessions import SessionMixin as _QuartSession

    from typed_sessions.sealing.keys import DigestMethod

__all__ = ["QuartSessionInterface", "SecureCookieSessionInterface", "unavailable"]

S = TypeVar("S", default=dict[str, object])


class QuartSessionInterface(WerkzeugSessionInterface[S]):
    """What Quart asks to open and save sessions."""

    @override
    def _is_streamed(self, response: CookieResponse | None) -> bool:
        if type(response) is Response and type(response.response) is DataBody:  # nearly always
            return False
        if isinstance(response, Response):
            body = response.response
            return not isinstance(body, (response.data_body_class, response.file_body_class, response.io_body_class))
        return isinstance(response, WerkzeugResponse) and response.is_streamed

    @override
    async def _answers_instead(
        self, app: ConfiguredApp, response: CookieResponse, error: StoreUnavailableError
    ) -> bool:
        if not isinstance(app, Quart) or not isinstance(response, Response | WerkzeugResponse):
            return False
        await _become(response, await app.make_response(await app.handle_user_exception(error)))
        return True


async def unavailable(error: StoreUnavailableError) -> Response:
    """Return the application's own answer to 503 (RFC 9110, section 15.6.4), or the plain one."""
    current_app.logger.error("the session store is unavailable", exc_info=error)
    answer = await current_app.handle_http_exception(ServiceUnavailable(retry_after=RETRY_AFTER))
    response = _quarts(await current_app.make_response(answer))
    response.headers.setdefault("Retry-After", str(RETRY_AFTER))
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _quarts(response: Response | WerkzeugResponse) -> Response:
    """Return a response as one of Quart's; werkzeug's own has its body at hand."""
    if isinstance(response, Response):
        return response
    return Response(response.get_data(), response.status_code, response.headers)


async def _become(response: Response | WerkzeugResponse, answer: Response | WerkzeugResponse) -> None:
    """Make a response what another one is. Of the page itself, which could not be saved, nothing goes out."""
    response.status = answer.status
    if isinstance(response, Response):
        other = _quarts(answer)
        response.response, response.timeout = other.response, other.timeout
    else:  # a redirect
        response.set_data(await answer.get_data(as_text=False) if isinstance(answer, Response) else answer.get_data())
    headers = headers_instead(response.headers, answer.headers)
    response.headers.clear()
    response.headers.extend(headers)


if TYPE_CHECKING:
    _AnySession: TypeAlias = SessionMixin | _QuartSession

    class SecureCookieSessionInterface(_QuartInterface, Generic[S]):
        """`typed_sessions.SecureCookieSessionInterface`, as a type that `app.session_interface` admits.

        What is ignored here are the places where it differs from Quart's own.
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

        async def close(self) -> None:
            """Give back what the stores hold that were opened by their URLs."""

        @override
        async def make_null_session(self, app: ConfiguredApp) -> NullSession[S]: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        @override
        def is_null_session(self, obj: object) -> TypeIs[NullSession[S]]: ...  # pyright: ignore[reportIncompatibleMethodOverride]
        @override
        def get_expiration_time(self, app: ConfiguredApp, session: _AnySession) -> datetime | None: ...
        @override
        def should_set_cookie(self, app: ConfiguredApp, session: _AnySession) -> bool: ...
        @override
        async def open_session(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, app: ConfiguredApp, request: CookieRequest
        ) -> SecureCookieSession[S] | None: ...
        @override
        async def save_session(
            self, app: ConfiguredApp, session: _AnySession, response: CookieResponse | None
        ) -> None: ...
else:
    SecureCookieSessionInterface = interface.SecureCookieSessionInterface
