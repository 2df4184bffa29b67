# mypy: disable-error-code="misc, override"
# pyright: basic, reportGeneralTypeIssues=false, reportMissingImports=false
# pyrefly: ignore-errors
# ty: ignore
# Stub of examples.shop.Visitor

from collections.abc import ItemsView, Iterator, KeysView
from datetime import datetime
from typing import Any, Generic, Literal, NoReturn, Self, TypeVar, Union, overload

from examples.shop import CartItem
from litestar.app import Litestar
from litestar.datastructures.headers import Headers
from litestar.datastructures.multi_dicts import MultiDict
from litestar.datastructures.state import State
from litestar.datastructures.url import URL, Address
from litestar.handlers import BaseRouteHandler
from litestar.types import DataContainerType
from litestar.types.asgi_types import Message, Receive, Scope, Send
from litestar.types.empty import EmptyType
from litestar.types.protocols import Logger
from litestar.utils.scope.state import ScopeState
from visitor_session import _D, VisitorKey, VisitorKeys, VisitorUpdate

class _VisitorSession(VisitorKeys, dict[str, Any]):
    def __iter__(self) -> Iterator[VisitorKey]: ...
    def __reversed__(self) -> Iterator[VisitorKey]: ...
    def __len__(self) -> int: ...
    def __contains__(
        self,
        key: Union[
            Literal[
                "user",
                "logged_in_at",
                "cart",
                "csrf_token",
                "_flashes",
                "_permanent",
            ],
            VisitorKey,
        ],
        /,
    ) -> bool: ...
    def keys(self) -> KeysView[VisitorKey]: ...
    def items(self) -> ItemsView[VisitorKey, object]: ...
    @overload
    def __getitem__(self, key: Literal["user"], /) -> str | None: ...
    @overload
    def __getitem__(self, key: Literal["logged_in_at"], /) -> datetime | None: ...
    @overload
    def __getitem__(self, key: Literal["cart"], /) -> list[CartItem]: ...
    @overload
    def __getitem__(self, key: Literal["csrf_token"], /) -> str: ...
    @overload
    def __getitem__(self, key: Literal["_flashes", "_permanent"], /) -> object: ...
    @overload
    def __getitem__(self, key: VisitorKey, /) -> object: ...
    @overload
    def __setitem__(self, key: Literal["user"], value: str | None, /) -> None: ...
    @overload
    def __setitem__(
        self,
        key: Literal["logged_in_at"],
        value: datetime | None,
        /,
    ) -> None: ...
    @overload
    def __setitem__(self, key: Literal["cart"], value: list[CartItem], /) -> None: ...
    @overload
    def __setitem__(self, key: Literal["csrf_token"], value: str, /) -> None: ...
    @overload
    def __setitem__(
        self,
        key: Literal["_flashes", "_permanent"],
        value: object,
        /,
    ) -> None: ...
    @overload
    def __setitem__(self, key: VisitorKey, value: object, /) -> None: ...
    def __delitem__(
        self,
        key: Union[
            Literal[
                "user",
                "logged_in_at",
                "cart",
                "csrf_token",
                "_flashes",
                "_permanent",
            ],
            VisitorKey,
        ],
        /,
    ) -> None: ...
    @overload
    def get(self, key: Literal["user"], /) -> str | None: ...
    @overload
    def get(self, key: Literal["user"], /, default: str | None) -> str | None: ...
    @overload
    def get(self, key: Literal["user"], /, default: _D) -> str | _D | None: ...
    @overload
    def get(self, key: Literal["logged_in_at"], /) -> datetime | None: ...
    @overload
    def get(
        self,
        key: Literal["logged_in_at"],
        /,
        default: datetime | None,
    ) -> datetime | None: ...
    @overload
    def get(
        self,
        key: Literal["logged_in_at"],
        /,
        default: _D,
    ) -> datetime | _D | None: ...
    @overload
    def get(self, key: Literal["cart"], /) -> list[CartItem] | None: ...
    @overload
    def get(
        self,
        key: Literal["cart"],
        /,
        default: list[CartItem],
    ) -> list[CartItem]: ...
    @overload
    def get(self, key: Literal["cart"], /, default: _D) -> list[CartItem] | _D: ...
    @overload
    def get(self, key: Literal["csrf_token"], /) -> str | None: ...
    @overload
    def get(self, key: Literal["csrf_token"], /, default: str) -> str: ...
    @overload
    def get(self, key: Literal["csrf_token"], /, default: _D) -> str | _D: ...
    @overload
    def get(
        self,
        key: Literal["_flashes", "_permanent"],
        /,
        default: object = ...,
    ) -> object: ...
    @overload
    def get(self, key: VisitorKey, /, default: object = ...) -> object: ...
    @overload
    def pop(self, key: Literal["user"], /) -> str | None: ...
    @overload
    def pop(self, key: Literal["user"], /, default: str | None) -> str | None: ...
    @overload
    def pop(self, key: Literal["user"], /, default: _D) -> str | _D | None: ...
    @overload
    def pop(self, key: Literal["logged_in_at"], /) -> datetime | None: ...
    @overload
    def pop(
        self,
        key: Literal["logged_in_at"],
        /,
        default: datetime | None,
    ) -> datetime | None: ...
    @overload
    def pop(
        self,
        key: Literal["logged_in_at"],
        /,
        default: _D,
    ) -> datetime | _D | None: ...
    @overload
    def pop(self, key: Literal["cart"], /) -> list[CartItem]: ...
    @overload
    def pop(
        self,
        key: Literal["cart"],
        /,
        default: list[CartItem],
    ) -> list[CartItem]: ...
    @overload
    def pop(self, key: Literal["cart"], /, default: _D) -> list[CartItem] | _D: ...
    @overload
    def pop(self, key: Literal["csrf_token"], /) -> str: ...
    @overload
    def pop(self, key: Literal["csrf_token"], /, default: str) -> str: ...
    @overload
    def pop(self, key: Literal["csrf_token"], /, default: _D) -> str | _D: ...
    @overload
    def pop(
        self,
        key: Literal["_flashes", "_permanent"],
        /,
        default: object = ...,
    ) -> object: ...
    @overload
    def pop(self, key: VisitorKey, /, default: object = ...) -> object: ...
    @overload
    def setdefault(
        self,
        key: Literal["user"],
        /,
        default: str | None = None,
    ) -> str | None: ...
    @overload
    def setdefault(
        self,
        key: Literal["logged_in_at"],
        /,
        default: datetime | None = None,
    ) -> datetime | None: ...
    @overload
    def setdefault(
        self,
        key: Literal["cart"],
        /,
        default: list[CartItem],
    ) -> list[CartItem]: ...
    @overload
    def setdefault(self, key: Literal["csrf_token"], /, default: str) -> str: ...
    @overload
    def setdefault(
        self,
        key: Literal["_flashes", "_permanent"],
        /,
        default: object = None,
    ) -> object: ...
    @overload
    def setdefault(self, key: VisitorKey, /, default: object = None) -> object: ...
    def update(
        self,
        other: VisitorUpdate = ...,
        /,
        *,
        user: str | None = ...,
        logged_in_at: datetime | None = ...,
        cart: list[CartItem] = ...,
        csrf_token: str = ...,
        _flashes: object = ...,
        _permanent: object = ...,
    ) -> None: ...
    def __ior__(self, other: VisitorUpdate, /) -> Self: ...

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
    def session(self) -> _VisitorSession: ...
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
