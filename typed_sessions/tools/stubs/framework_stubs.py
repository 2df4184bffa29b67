"""Partial stubs of the frameworks, in which their own `session` is one of a schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from typed_sessions.tools.stubs.expressions import Name
from typed_sessions.tools.stubs.schema_stub import SchemaStub, schema_line
from typed_sessions.tools.stubs.session_class import dict_class

__all__ = ["FRAMEWORKS", "framework_files"]

_HEADER: Final = """\
# mypy: disable-error-code="misc, override"
# pyright: basic, reportGeneralTypeIssues=false, reportMissingImports=false
# pyrefly: ignore-errors
"""

# A stub stands for the whole module, so each has all of the framework's module `globals`: Quart 0.20 to 0.22 and
# Flask 3.1; or `requests`, of Starlette, or `connection.base`, of Litestar. Where its other modules are concerned, it
# leaves the framework as it is.
_CLASSES: Final[Mapping[str, str]] = {
    "quart": """\
from .app import Quart
from .ctx import AppContext, RequestContext, WebsocketContext, _AppCtxGlobals
from .sessions import SessionMixin
from .wrappers import Request, Websocket
""",
    "flask": """\
from .app import Flask
from .ctx import AppContext, RequestContext, _AppCtxGlobals
from .sessions import SessionMixin
from .wrappers import Request
""",
}
_VARIABLES: Final[Mapping[str, str]] = {
    "quart": """\
_cv_app: ContextVar[AppContext]
_cv_request: ContextVar[RequestContext]
_cv_websocket: ContextVar[WebsocketContext]
app_ctx: _AppCtxGlobals
current_app: Quart
g: _AppCtxGlobals
request: Request
request_ctx: RequestContext
websocket: Websocket
websocket_ctx: WebsocketContext
""",
    "flask": """\
_cv_app: ContextVar[AppContext]
_cv_request: ContextVar[RequestContext]
app_ctx: AppContext
current_app: Flask
g: _AppCtxGlobals
request: Request
request_ctx: RequestContext
""",
}

_IMPORTED: Final = tuple(
    Name(module, name)
    for module, names in {
        "collections.abc": ("AsyncGenerator", "Iterator", "Mapping"),
        "starlette._utils": ("AwaitableOrContextManager",),
        "starlette.datastructures": ("URL", "Address", "FormData", "Headers", "QueryParams", "State"),
        "starlette.types": ("Message", "Receive", "Scope", "Send"),
        "typing": ("Any", "Generic", "NoReturn"),
        "typing_extensions": ("TypeVar",),
    }.items()
    for name in names
)
_DEFINED: Final = ("ClientDisconnect", "HTTPConnection", "Request", "StateT", "cookie_parser")
_SESSION: Final = "_Session"
_REQUESTS: Final = f"""\
    accessed: bool
    modified: bool
    def mark_accessed(self) -> None: ...
    def mark_modified(self) -> None: ...

SERVER_PUSH_HEADERS_TO_COPY: set[str]
StateT = TypeVar("StateT", bound=Mapping[str, Any] | State, default=State)

def cookie_parser(cookie_string: str) -> dict[str, str]: ...
async def empty_receive() -> NoReturn: ...
async def empty_send(message: Message) -> NoReturn: ...

class ClientDisconnect(Exception): ...

class HTTPConnection(Mapping[str, Any], Generic[StateT]):
    scope: Scope
    def __init__(self, scope: Scope, receive: Receive | None = None) -> None: ...
    def __getitem__(self, key: str) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @property
    def app(self) -> Any: ...
    @property
    def url(self) -> URL: ...
    @property
    def base_url(self) -> URL: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def query_params(self) -> QueryParams: ...
    @property
    def path_params(self) -> dict[str, Any]: ...
    @property
    def cookies(self) -> dict[str, str]: ...
    @property
    def client(self) -> Address | None: ...
    @property
    def session(self) -> {_SESSION}: ...
    @property
    def auth(self) -> Any: ...
    @property
    def user(self) -> Any: ...
    @property
    def state(self) -> StateT: ...
    def url_for(self, name: str, /, **path_params: Any) -> URL: ...

class Request(HTTPConnection[StateT]):
    def __init__(
        self,
        scope: Scope,
        receive: Receive = ...,
        send: Send = ...,
    ) -> None: ...
    @property
    def method(self) -> str: ...
    @property
    def receive(self) -> Receive: ...
    def stream(self) -> AsyncGenerator[bytes]: ...
    async def body(self) -> bytes: ...
    async def json(self) -> Any: ...
    def form(
        self,
        *,
        max_files: float = 1000,
        max_fields: float = 1000,
        max_part_size: int = ...,
    ) -> AwaitableOrContextManager[FormData]: ...
    async def close(self) -> None: ...
    async def is_disconnected(self) -> bool: ...
    async def send_push_promise(self, path: str) -> None: ...
    async def send_early_hints(
        self,
        link: str,
        /,
        *additional_links: str,
    ) -> None: ...
"""

_IMPORTED_BY_LITESTAR: Final = tuple(
    Name(module, name)
    for module, names in {
        "litestar.app": ("Litestar",),
        "litestar.datastructures.headers": ("Headers",),
        "litestar.datastructures.multi_dicts": ("MultiDict",),
        "litestar.datastructures.state": ("State",),
        "litestar.datastructures.url": ("URL", "Address"),
        "litestar.handlers": ("BaseRouteHandler",),
        "litestar.types": ("DataContainerType",),
        "litestar.types.asgi_types": ("Message", "Receive", "Scope", "Send"),
        "litestar.types.empty": ("EmptyType",),
        "litestar.types.protocols": ("Logger",),
        "litestar.utils.scope.state": ("ScopeState",),
        "typing": ("Any", "Generic", "NoReturn", "TypeVar"),
    }.items()
    for name in names
)
_DEFINED_BY_LITESTAR: Final = ("ASGIConnection", "AuthT", "HandlerT", "StateT", "UserT", "empty_receive", "empty_send")
_CONNECTION: Final = f"""\
UserT = TypeVar("UserT")
AuthT = TypeVar("AuthT")
HandlerT = TypeVar("HandlerT")
StateT = TypeVar("StateT", bound=State)

async def empty_receive() -> NoReturn: ...
async def empty_send(_: Message) -> NoReturn: ...

class ASGIConnection(Generic[HandlerT, UserT, AuthT, StateT]):
    scope: Scope
    receive: Receive
    send: Send
    _base_url: URL | EmptyType
    _connection_state: ScopeState
    _cookies: dict[str, str] | EmptyType
    _parsed_query: tuple[tuple[str, str], ...] | EmptyType
    _server_extensions: dict[str, Any]
    _url: URL | EmptyType
    def __init__(
        self,
        scope: Scope,
        receive: Receive = ...,
        send: Send = ...,
    ) -> None: ...
    @property
    def app(self) -> Litestar: ...
    @property
    def route_handler(self) -> HandlerT: ...
    @property
    def state(self) -> StateT: ...
    @property
    def url(self) -> URL: ...
    @property
    def base_url(self) -> URL: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def query_params(self) -> MultiDict[Any]: ...
    @property
    def path_params(self) -> dict[str, Any]: ...
    @property
    def cookies(self) -> dict[str, str]: ...
    @property
    def client(self) -> Address | None: ...
    @property
    def auth(self) -> AuthT: ...
    @property
    def user(self) -> UserT: ...
    @property
    def session(self) -> {_SESSION}: ...
    @property
    def logger(self) -> Logger: ...
    def set_session(
        self,
        value: dict[str, Any] | DataContainerType | EmptyType,
    ) -> None: ...
    def clear_session(self) -> None: ...
    def get_session_id(self) -> str | None: ...
    def url_for(self, name: str | BaseRouteHandler, **path_parameters: Any) -> str: ...
    def url_for_static_asset(self, name: str, file_path: str) -> str: ...
"""

FRAMEWORKS: Final = (*_CLASSES, "starlette", "litestar")
"""The frameworks whose `session` can be typed. FastAPI has its requests from Starlette."""


def framework_files(stub: SchemaStub, framework: str) -> dict[PurePosixPath, str]:
    """Return the files of a partial stub package."""
    match framework:
        case "starlette":
            module, text = "requests", _requests(stub)
        case "litestar":
            module, text = "connection/base", _connection(stub)
        case _:
            module, text = "globals", _globals(stub, framework)
    package = PurePosixPath(f"{framework}-stubs")
    return {package / f"{module}.pyi": f"{_HEADER}{text}", package / "py.typed": "partial\n"}


def _globals(stub: SchemaStub, framework: str) -> str:
    """Return a framework's module `globals`."""
    session = stub.class_name
    return f"""\
# ty: ignore[import-not-found, unused-ignore-comment]
{schema_line(stub)}

from contextvars import ContextVar

from {stub.module} import {session}

{_CLASSES[framework]}
class _{session}({session}, SessionMixin): ...

session: _{session}
{_VARIABLES[framework]}"""


def _requests(stub: SchemaStub) -> str:
    """Return Starlette's module `requests` as of release 1.10, with all that earlier ones have."""
    session = f"_{stub.class_name}"
    return f"""\
# ty: ignore
{schema_line(stub)}

{dict_class(stub, session, _IMPORTED, _DEFINED)}{_REQUESTS.replace(_SESSION, session)}"""


def _connection(stub: SchemaStub) -> str:
    """Return Litestar's module `connection.base` as of release 2.25, with all that 2.24 has."""
    session = f"_{stub.class_name}"
    return f"""\
# ty: ignore
{schema_line(stub)}

{dict_class(stub, session, _IMPORTED_BY_LITESTAR, _DEFINED_BY_LITESTAR)}
{_CONNECTION.replace(_SESSION, session)}"""
