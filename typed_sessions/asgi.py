"""Typed sessions for Starlette, FastAPI, and all other ASGI applications: a middleware that imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack, overload

from typing_extensions import TypeVar, override

from typed_sessions.core.mixin import Session
from typed_sessions.errors import UndeclaredKeyError
from typed_sessions.frameworks.asgi_sessions import ASGISessions, EventListener, SessionOptions
from typed_sessions.frameworks.session_middleware import ASGIApp, SessionMiddleware
from typed_sessions.frameworks.session_settings import SecretKey, SessionSettings
from typed_sessions.frameworks.sessions import SessionInfo

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from typed_sessions.frameworks.requirement import Requirement

__all__ = [
    "EventListener",
    "SecretKey",
    "SessionInfo",
    "SessionMiddleware",
    "SessionOptions",
    "SessionSettings",
    "Sessions",
]

S = TypeVar("S", default=dict[str, object])
T = TypeVar("T")


class Sessions(ASGISessions[S]):
    """The sessions of an ASGI application, with contents of one declared class.

    `app.add_middleware(sessions.middleware)` in FastAPI, `Middleware(sessions.middleware)` in Starlette, or
    `sessions.middleware(app)` around any application.

    Args:
        schema: the class that declares what a session holds; without one, a session is a dict.
        arguments: see `SessionOptions` and `SessionSettings`.

    Raises:
        SchemaError: the class cannot be a schema; the message names the field.
        ConfigurationError: a setting is wrong; the message names it.
    """

    _installed_by = (
        "give the application their middleware, app.add_middleware(sessions.middleware) or "
        "Middleware(sessions.middleware)"
    )

    @overload
    @classmethod
    def from_config(
        cls, schema: None, config: Mapping[str, Any], **options: Unpack[SessionOptions]
    ) -> Sessions[dict[str, object]]: ...
    @overload
    @classmethod
    def from_config(
        cls, schema: Callable[[], T], config: Mapping[str, Any], **options: Unpack[SessionOptions]
    ) -> Sessions[T]: ...
    @classmethod
    @override
    def from_config(cls, schema: Any, config: Mapping[str, Any], **options: Unpack[SessionOptions]) -> Any:
        given = [config]
        del config  # debugging pages show locals
        return super().from_config(schema, given.pop(), **options)

    def middleware(self, app: ASGIApp) -> SessionMiddleware:
        """Return an application that has these sessions: the one that is given is inside of it."""
        return SessionMiddleware(app, self._handling)

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
        return self._client(TestClient, data, app, "testserver", permanent=permanent)

    @cached_property
    def _requirements(self) -> dict[str, Requirement]:
        return {}
