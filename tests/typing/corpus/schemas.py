"""What the programs of the corpus share: a schema of every kind, an application, and its sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated, Generic, Literal, Protocol, TypedDict, TypeVar

import msgspec
from attrs import Factory, define, frozen
from quart import Quart

from typed_sessions import Secret
from typed_sessions.quart import Sessions

T = TypeVar("T")


class Theme(Enum):
    LIGHT = "light"
    DARK = "dark"


@define
class Item:
    sku: str
    quantity: int = 1


@define
class Visitor:
    user_id: int | None = None
    name: Annotated[str, Secret] = ""
    visits: int = 0
    ratio: float = 0.0
    cart: list[Item] = Factory(list[Item])
    tags: set[str] = Factory(set[str])
    theme: Theme = Theme.LIGHT
    size: Literal["s", "m", "l"] = "m"
    seen: datetime | None = None


@define
class Member(Visitor):
    points: int = 0


@frozen
class FrozenVisitor:
    user_id: int | None = None
    name: Annotated[str, Secret] = ""


@dataclass
class DataVisitor:
    user_id: int | None = None
    cart: list[Item] = field(default_factory=list[Item])


class StructVisitor(msgspec.Struct):
    user_id: int | None = None
    cart: list[Item] = msgspec.field(default_factory=list[Item])


class Cart(TypedDict, total=False):
    user_id: int | None
    lines: list[str]


@define
class Box(Generic[T]):
    held: T | None = None


@define
class Required:
    user_id: int


class HasUser(Protocol):
    @property
    def user_id(self) -> int | None: ...


class HasName(Protocol):
    @property
    def name(self) -> str: ...


def make_visitor() -> Visitor:
    return Visitor(name="made")


app = Quart(__name__)
sessions = Sessions(Visitor, app)
members = Sessions(Member)
frozen_sessions = Sessions(FrozenVisitor)
data_sessions = Sessions(DataVisitor)
struct_sessions = Sessions(StructVisitor)
cart_sessions = Sessions[Cart](Cart)
box_sessions = Sessions(Box[int])
open_sessions = Sessions(app=app)
