"""Models of pydantic as schemas, without its plugin for mypy."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar, assert_type

from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass
from schemas import HasUser, app

from typed_sessions import Schema, SecureCookieSession, Session, migration
from typed_sessions.quart import Sessions

T = TypeVar("T")


class Item(BaseModel):
    sku: str
    quantity: int = Field(default=1, ge=1)


class Visitor(BaseModel):
    user_id: int | None = None
    name: Annotated[str, Field(max_length=40)] = ""
    cart: list[Item] = []
    tags: set[str] = Field(default_factory=set)


class Frozen(BaseModel, frozen=True):
    user_id: int | None = None


class Box(BaseModel, Generic[T]):
    held: T | None = None


class Required(BaseModel):
    user_id: int | None


class RequiredField(BaseModel):
    user_id: int = Field(ge=1)


@dataclass
class Data:
    user_id: int | None = None


sessions = Sessions(Visitor, app)
frozen_sessions = Sessions(Frozen)
box_sessions = Sessions(Box[int])
data_sessions = Sessions(Data)

# set-up
Sessions(Required)  # error
Sessions(RequiredField, app)  # error
Sessions(Visitor(), app)  # error
Schema(Required)  # error
SecureCookieSession(schema=Required)  # error
migration(Required, 1)  # error
assert_type(sessions, Sessions[Visitor])
assert_type(box_sessions, Sessions[Box[int]])
assert_type(Schema(Frozen), Schema[Frozen])

# attributes
a1 = sessions.data.usr_id  # error
a2 = frozen_sessions.data.name  # error
a3 = box_sessions.data.holds  # error
a4 = data_sessions.data.name  # error
sessions.data.usr_id = 7  # error
assert_type(sessions.data.user_id, int | None)
assert_type(box_sessions.data.held, int | None)
assert_type(data_sessions.data.user_id, int | None)

# values
sessions.data.user_id = "7"  # error
sessions.data.name = None  # error
sessions.data.cart = ["sku"]  # error
sessions.data.cart.append("sku")  # error
sessions.data.cart[0].quantity = "1"  # error
sessions.data.tags.add(7)  # error
frozen_sessions.data.user_id = 7  # error
box_sessions.data.held = "7"  # error
data_sessions.data.user_id = "7"  # error
print(sessions.data.user_id + 1)  # error
sessions.data.user_id = 7
sessions.data.cart.append(Item(sku="a"))
sessions.data.cart[0].quantity += 1
box_sessions.data.held = 7

# another object as the data, and functions over sessions
sessions.replace(Item(sku="a"))  # error
sessions.replace(Visitor(user_id="7"))  # error: mypy, basedpyright, pyright
sessions.replace(Visitor(user_id=7))
frozen_sessions.replace(Frozen(user_id=7))


def user_of(session: Session[HasUser]) -> int | None:
    return session.data.user_id


user_of(sessions.current)
user_of(frozen_sessions.current)
user_of(data_sessions.current)
user_of(box_sessions.current)  # error
