# mypy: disable-error-code="misc, override"
# pyright: basic, reportGeneralTypeIssues=false
# pyrefly: ignore-errors
# ty: ignore[incompatible-method-override, invalid-generic-class]
# Written by `typed-sessions stubs examples.shop:Visitor`: do not edit it, run that again.
# Stub of examples.shop.Visitor

from collections.abc import ItemsView, Iterable, Iterator, KeysView, MutableMapping
from datetime import datetime
from typing import Literal, Self, TypedDict, TypeVar, Union, overload

from examples.shop import CartItem, Visitor
from typed_sessions import Session

_D = TypeVar("_D")

VisitorUpdate = TypedDict(
    "VisitorUpdate",
    {
        "user": str | None,
        "logged_in_at": datetime | None,
        "cart": list[CartItem],
        "csrf_token": str,
        "_flashes": object,
        "_permanent": object,
    },
    total=False,
)

class VisitorKey(str): ...
class VisitorKeys(Iterable[VisitorKey]): ...

class VisitorSession(VisitorKeys, Session[Visitor]):
    @property
    def data(self) -> Visitor: ...
    @property
    def extras(self) -> MutableMapping[str, object]: ...
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
    def promote(
        self,
        *,
        user: str | None = ...,
        logged_in_at: datetime | None = ...,
        cart: list[CartItem] = ...,
        csrf_token: str = ...,
        _flashes: object = ...,
        _permanent: object = ...,
    ) -> None: ...
    def __ior__(self, other: VisitorUpdate, /) -> Self: ...
