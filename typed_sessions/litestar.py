"""Typed sessions for Litestar: a plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

from typing_extensions import TypeVar, override

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.frameworks.asgi_sessions import ASGISessions, EventListener, SessionOptions
from typed_sessions.frameworks.session_settings import SecretKey, SessionSettings
from typed_sessions.frameworks.sessions import SessionInfo
from typed_sessions.frameworks.unavailable import RETRY_AFTER
from typed_sessions.reports import logger

try:
    from litestar import Litestar, Request, Response
    from litestar.config.app import AppConfig
    from litestar.di import Provide
    from litestar.params import DependencyKwarg, SkipValidationMarker
    from litestar.plugins import InitPlugin, ReceiveRoutePlugin
    from litestar.routes import BaseRoute

    from typed_sessions.frameworks.litestar_middleware import BackendConfig, ShownSession
except ModuleNotFoundError as _missing:
    raise ImportError(
        "typed_sessions.litestar needs Litestar, which is an extra: pip install 'typed_sessions[litestar]'",
        name=_missing.name,
    ) from _missing

if TYPE_CHECKING:
    from litestar.testing import TestClient

__all__ = ["EventListener", "SecretKey", "SessionInfo", "SessionOptions", "SessionSettings", "Sessions"]

S = TypeVar("S", default=dict[str, object])
T = TypeVar("T")


class Sessions(ASGISessions[S], InitPlugin, ReceiveRoutePlugin):
    """The sessions of a Litestar application, with contents of one declared class: `Litestar(..., plugins=[sessions])`.

    A handler with a parameter `session_data: Visitor`, or `NamedDependency[Visitor]`, is given the data of its session.

    Args:
        schema: the class that declares what a session holds; without one, a session is a dict.
        arguments: see `SessionOptions` and `SessionSettings`.

    Raises:
        SchemaError: the class cannot be a schema; the message names the field.
        ConfigurationError: a setting is wrong; the message names it.
    """

    _installed_by = "give the application the plugin, Litestar(..., plugins=[sessions])"

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

    def backend_config(self) -> BackendConfig:
        """Return these sessions for the parts of Litestar that take a backend's configuration.

        `SessionAuth` takes it as `session_backend_config`, and `TestClient` as `session_config`.
        """
        return BackendConfig(self._handling)

    def client_for(self, data: S, app: Litestar, *, permanent: bool | None = None) -> TestClient[Litestar]:
        """Return a test client whose visitor has this data: `sessions.client_for(Visitor(user_id=7), app)`.

        It is a `TestClient` of Litestar's. A session that is kept on the server is saved there first. The client asks
        `testserver.local`, or the `domain` of the cookie, by https where the cookie is `secure`.

        Args:
            data: what the session holds.
            app: the application whose client it is, with the plugin.
            permanent: whether the session outlives the browser's; None leaves it to the settings.

        Raises:
            FieldTypeError: a field does not fit its type.
            SerializationError: the data cannot be written so that it reads back.
            StoreUnavailableError: the store did not answer.
            ImportError: what Litestar's test client needs is not installed.
        """
        from litestar.testing import TestClient  # noqa: PLC0415 -- it needs more than serving does

        return self._client(TestClient, data, cast("Any", app), "testserver.local", permanent=permanent)

    @override
    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Give an application its sessions. Litestar calls this."""
        app_config.middleware.insert(0, self.backend_config().middleware)
        app_config.dependencies.setdefault("session_data", Provide(self._session_data))
        app_config.type_encoders = {ShownSession: ShownSession.in_response, **(app_config.type_encoders or {})}
        untyped: Any = app_config  # to some checkers two of its lists are partially unknown
        untyped.exception_handlers.setdefault(StoreUnavailableError, _unavailable)
        untyped.lifespan.append(self._serves)
        return app_config

    @override
    def receive_route(self, route: BaseRoute) -> None:
        """Refuse a handler that would be given a copy of the data, or something else. Litestar calls this."""
        handlers: list[Any] = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            dependencies = handler.resolve_dependencies()
            if dependencies["session_data"].dependency != self._session_data:  # the application has one of its own
                continue
            for each in (handler, *dependencies.values()):
                field = each.parsed_fn_signature.parameters.get("session_data")
                if field is not None:
                    self._check(field, str(handler.handler_name))

    def _check(self, field: Any, handler: str) -> None:
        if self.schema.keyed and not _is_handed_on(field):
            raise ConfigurationError(
                f"{handler} would get a copy of the session's dict, and changes of it would be lost: write "
                "session_data: NamedDependency[SkipValidation[...]], or ask sessions.data"
            )
        wanted: Any = field.annotation
        is_class = (
            isinstance(wanted, type) and field.annotation is not Any and not getattr(wanted, "_is_protocol", False)
        )
        if not self.schema.keyed and is_class and not isinstance(self.schema.create(), wanted):
            raise ConfigurationError(
                f"{handler} takes {wanted.__name__} as session_data, which is the data of the session, a "
                f"{self.schema.name}; another parameter needs another name"
            )

    async def _session_data(self) -> S:
        return self.current.data

    @asynccontextmanager
    async def _serves(self, _app: Litestar) -> AsyncGenerator[None]:
        self._begin()
        try:
            yield
        finally:
            await self._end()


def _is_handed_on(field: Any) -> bool:
    """Return True if Litestar gives a parameter what its dependency gives, and not what msgspec makes of that."""
    kwarg = field.kwarg_definition
    skips = isinstance(kwarg, DependencyKwarg) and kwarg.skip_validation
    return skips or field.annotation is Any or field.has_metadata(SkipValidationMarker)


def _unavailable(_request: Request[Any, Any, Any], error: StoreUnavailableError) -> Response[dict[str, object]]:
    logger.error("the session store is unavailable", exc_info=error)
    headers = {"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"}
    return Response({"status_code": 503, "detail": "Service Unavailable"}, status_code=503, headers=headers)
