"""The classes that the requests' sessions hold, of every kind."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import count
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict
from uuid import UUID

import attrs
from attrs import Factory, define, field, frozen
from cattrs import Converter
from markupsafe import Markup
from msgspec import Meta, Struct
from typing_extensions import override

from typed_sessions import Essential, Formerly, Merge, Subject, migration

__all__ = [
    "Address",
    "Checked",
    "Colour",
    "Customer",
    "Frozen",
    "Line",
    "Many",
    "Member1",
    "Member2",
    "Member3",
    "Money",
    "Packed",
    "Plain",
    "Point",
    "Private",
    "Shelf",
    "Shopper",
    "Size",
    "Small",
    "Tokens",
    "Tree",
    "Typed",
    "converter",
    "guest",
    "new_token",
    "parcel",
    "rack",
]

_tokens: Final = count()


def new_token() -> str:
    """Return a text that differs each time; how often it is called is nobody's concern (`Aliases` in outcomes.py)."""
    return f"token-{next(_tokens):012d}"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@define
class Line:
    sku: str = ""
    qty: int = 0
    tags: list[str] = Factory(list[str])


@frozen
class Point:
    x: int = 0
    y: int = 0


class Size(Struct, frozen=True, rename="camel"):
    full_width: int = 0
    name: str = ""


@dataclasses.dataclass
class Shelf:
    lines: list[Line] = dataclasses.field(default_factory=list)
    size: Size | None = None
    by_name: dict[str, Line] = dataclasses.field(default_factory=dict)


class Address(TypedDict):
    street: str
    number: NotRequired[int]


@define
class Many:
    """A field of each type, in one class without code of its own."""

    n: int | None = None
    f: float = 0.0
    t: str = "x"
    b: bool = True
    by: bytes = b""
    m: Markup = Markup()  # noqa: RUF009 -- it cannot be changed
    when: datetime | None = None
    day: date | None = None
    span: timedelta = timedelta()
    d: Decimal = Decimal(1)
    u: UUID | None = None
    c: Colour = Colour.RED
    word: Literal["a", "b"] = "a"
    either: int | str = 0
    lst: list[int] = Factory(list[int])
    names: set[str] = Factory(set[str])
    tab: dict[str, int] = Factory(dict[str, int])
    lines: list[Line] = Factory(list[Line])
    line: Line | None = None
    shelf: Shelf = Factory(Shelf)
    point: Point = Point()
    address: Address | None = None
    pair: tuple[int, str] | None = None
    deep: list[list[int]] = Factory(list[list[int]])
    whens: list[datetime] = Factory(list[datetime])
    anything: Any = None


@define
class Small:
    """What most sessions are."""

    user_id: int | None = None
    locale: str = "en"
    cart: list[str] = Factory(list[str])


def _stripped(value: str) -> str:
    return value.strip()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


@define
class Checked:
    """Validators and converters, of one field and of several."""

    n: int = field(default=0, validator=attrs.validators.ge(0))
    most: int = 10
    t: str = field(default="", converter=_stripped)
    code: str = field(default="", converter=_lower, validator=attrs.validators.max_len(5))
    roles: list[str] = field(factory=list, validator=attrs.validators.max_len(3))

    @n.validator
    def _is_not_too_much(self, _: object, value: int) -> None:
        if value > self.most:
            raise ValueError("too much")


@frozen
class Frozen:
    n: int = 0
    t: str = ""
    tags: tuple[str, ...] = ()
    point: Point = Point()


@define
class Private:
    """Names that the class's signature has otherwise."""

    _hidden: int = 0
    shown: str = field(default="", alias="said")
    __twice: int = 0
    only: int = field(default=0, kw_only=True)
    made: list[str] = field(factory=list, init=False)


@define
class Tree:
    label: str = ""
    children: list[Tree] = Factory(list["Tree"])
    left: Tree | None = None


@dataclasses.dataclass
class Plain:
    n: int = 0
    names: list[str] = dataclasses.field(default_factory=list)
    shelf: Shelf | None = None
    kept: int = dataclasses.field(default=3, kw_only=True)


class Packed(Struct, rename="camel"):
    n: int = 0
    long_name: str = ""
    names: list[str] = []
    line: Line | None = None
    size: Size = Size()


class Typed(TypedDict):
    n: NotRequired[int]
    t: NotRequired[str]
    when: NotRequired[datetime]
    lines: NotRequired[list[Line]]
    tab: NotRequired[dict[str, int]]
    address: NotRequired[Address]


def guest() -> Small:
    return Small(user_id=5, locale="de", cart=["gift"])


def rack() -> Plain:
    return Plain(names=["first"], shelf=Shelf([Line("given")]))


def parcel() -> Packed:
    return Packed(n=3, long_name="a parcel", size=Size(2))


class Money:
    """A class that nobody knows but the converter."""

    __slots__ = ("amount", "currency")

    def __init__(self, amount: int, currency: str) -> None:
        self.amount = amount
        self.currency = currency

    @override
    def __repr__(self) -> str:
        return f"Money({self.amount}, {self.currency!r})"

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and (self.amount, self.currency) == (other.amount, other.currency)

    @override
    def __hash__(self) -> int:
        return hash((self.amount, self.currency))


def _money(text: object, _: object) -> Money:
    amount, currency = str(text).split()
    return Money(int(amount), currency)


def converter() -> Converter:
    made = Converter()
    made.register_unstructure_hook(Money, lambda money: f"{money.amount} {money.currency}")
    made.register_structure_hook(Money, _money)
    made.register_unstructure_hook(PurePosixPath, str)
    made.register_structure_hook(PurePosixPath, lambda text, _: PurePosixPath(text))
    return made


@define
class Customer:
    """Types of which only the converter knows how they are written."""

    n: int = 0
    price: Money = Money(0, "EUR")  # noqa: RUF009 -- it is not changed
    paid: Money | None = None
    prices: list[Money] = Factory(list[Money])
    by_day: dict[str, Money] = Factory(dict[str, Money])
    page: PurePosixPath = PurePosixPath("/")  # noqa: RUF009 -- nor can this be


@define
class Tokens:
    """Defaults that differ each time."""

    token: str = Factory(new_token)
    n: int = 0
    others: list[str] = Factory(lambda: [new_token()])


@define
class Shopper:
    """What a store needs to know of a session."""

    user_id: Annotated[int | None, Subject] = None
    visits: Annotated[int, Merge("add")] = 0
    seen: Annotated[set[str], Merge("union")] = Factory(set[str])
    best: Annotated[int, Merge("max")] = 0
    once: Annotated[str, Merge("fail")] = ""
    cart: list[str] = Factory(list[str])


@define
class Member1:
    """The first release of a class that changes."""

    uid: int | None = None
    name: str = ""
    tags: list[str] = Factory(list[str])
    tenant: str = "none"
    height: int = 0
    gone: int = 0


@define
class Member2:
    """A field has another name, one another type, one is essential, one bounded, one is no more."""

    user_id: Annotated[int | None, Formerly("uid")] = None
    name: str = ""
    tags: set[str] = Factory(set[str])
    tenant: Annotated[str, Essential] = "none"
    height: Annotated[int, Meta(le=10)] = 0


@define
class Member3:
    """There are steps to this one."""

    user_id: int | None = None
    first: str = ""
    last: str = ""
    tags: list[str] = Factory(list[str])
    tenant: str = "none"
    height: float = 0.0


@migration(Member3, 1)
def _joined(values: dict[str, object]) -> dict[str, object]:
    if "uid" in values:
        values["user_id"] = values.pop("uid")
    return values


@migration(Member3, 2)
def _split(values: dict[str, object]) -> dict[str, object]:
    name = values.pop("name", None)
    if isinstance(name, str) and name:
        values["first"], _, values["last"] = name.partition(" ")
    elif name is not None:
        raise ValueError("no name")
    return values
