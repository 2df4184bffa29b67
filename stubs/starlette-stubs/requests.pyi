# mypy: disable-error-code="misc, override"
# pyright: basic, reportGeneralTypeIssues=false, reportMissingImports=false
# pyrefly: ignore-errors
# ty: ignore
# Stub of examples.shop.Visitor

from collections.abc import AsyncGenerator, ItemsView, Iterator, KeysView, Mapping
from datetime import datetime
from typing import Any, Generic, Literal, NoReturn, Self, Union, overload

from examples.shop import CartItem
from starlette._utils import AwaitableOrContextManager
from starlette.datastructures import URL, Address, FormData, Headers, QueryParams, State
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import TypeVar
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
    def session(self) -> _VisitorSession: ...
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
