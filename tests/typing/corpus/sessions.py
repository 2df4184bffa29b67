"""Sessions by themselves: set-up, flags, extras, transactions, and functions over sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from typing import Literal, assert_type

import attrs
from cattrs import Converter
from quart import Quart, Request
from quart.typing import TestClientProtocol
from schemas import (
    Box, Cart, FrozenVisitor, HasName, HasUser, Item, Member, Required, Visitor,
    app, box_sessions, cart_sessions, data_sessions, frozen_sessions, make_visitor, members, open_sessions, sessions,
)  # fmt: skip

from typed_sessions import (
    Formerly, Merge, NullSession, Schema, SecureCookieSession, SecureCookieSessionInterface, Session, SessionsLike,
    migration,
)  # fmt: skip
from typed_sessions import quart as typed_quart
from typed_sessions.quart import Sessions

session = sessions.current

# names
from typed_sessions import Sesion  # error
from typed_sessions.serializers import YAMLSerializer  # error

# set-up
Sessions(Required, app)  # error
Sessions(Required)  # error
Sessions(Visitor(), app)  # error
Sessions("Visitor", app)  # error
Sessions(Visitor, "app")  # error
Sessions(Visitor, app, serializer="tagged_json")  # error
Sessions(Visitor, app, serializer="pickle")  # error
Sessions(Visitor, app, serializer="yaml:Serializer")  # error
Sessions(Visitor, app, serializer=object())  # error
Sessions(Visitor, app, serializer=7)  # error
Sessions(Visitor, app, converter=print)  # error
Sessions(Visitor, app, store=7)  # error
Sessions(schema=7)  # error
Sessions[Visitor]()  # error: basedpyright, pyright, ty, pyrefly
SecureCookieSession(schema=Required)  # error
SecureCookieSession({7: 1})  # error
SecureCookieSessionInterface(Required)  # error
Schema(Required)  # error
app.session_interface = SecureCookieSessionInterface()  # error
app.session_interface = sessions  # error
assert_type(Sessions(Visitor, app), Sessions[Visitor])
assert_type(Sessions(Visitor), Sessions[Visitor])
assert_type(Sessions(make_visitor), Sessions[Visitor])
assert_type(Sessions(Box[int]), Sessions[Box[int]])
assert_type(Sessions(app=app), Sessions[dict[str, object]])
assert_type(Sessions(), Sessions[dict[str, object]])
assert_type(Sessions[Cart](Cart), Sessions[Cart])
Sessions(Visitor, app, serializer="tagged-json")
Sessions(Visitor, app, serializer="msgspec-json")
Sessions(Visitor, app, serializer="msgspec-msgpack")
Sessions(Visitor, app, serializer=json)
Sessions(Visitor, app, converter=Converter())
Sessions(lambda: Visitor(name="made"))
assert_type(SecureCookieSession(), SecureCookieSession[dict[str, object]])
assert_type(SecureCookieSession({"a": 1}), SecureCookieSession[dict[str, object]])
assert_type(SecureCookieSession(schema=Visitor), SecureCookieSession[Visitor])
assert_type(SecureCookieSession(schema=Schema(Visitor)).data, Visitor)
assert_type(Schema(Visitor).create(), Visitor)
assert_type(SecureCookieSessionInterface(Visitor), SecureCookieSessionInterface[Visitor])
app.session_interface = typed_quart.SecureCookieSessionInterface()
app.session_interface = typed_quart.SecureCookieSessionInterface(Visitor)
typed_quart.SecureCookieSessionInterface(Visitor, report=print, clock=lambda: 0.0, refresh_fraction=0.1).check(app)
typed_quart.SecureCookieSessionInterface(Visitor, report=7)  # error
sessions.init_app(app)
sessions.init_app("app")  # error
sessions.init_app()  # error

# cookies and transactions
sessions.cookie_for({"user_id": 7})  # error
sessions.cookie_for(Item("a"))  # error
sessions.cookie_for(Visitor(), True)  # error
cookie: bytes = sessions.cookie_for(Visitor())  # error
assert_type(sessions.cookie_for(Visitor(user_id=7)), str)
assert_type(sessions.cookie_for(Visitor(), permanent=True, app=app), str)


async def transactions() -> None:
    sessions.client_for(Visitor()).get("/")  # error
    await sessions.client_for({"user_id": 7})  # error
    assert_type(await sessions.client_for(Visitor(), permanent=True, app=app), TestClientProtocol)
    await (await sessions.client_for(Visitor())).get("/")
    async with sessions.transaction(app) as opened:  # error
        print(opened)
    async with sessions.transaction(app.test_client()) as opened:
        assert_type(opened, Session[Visitor])
        opened.data.user_id = "7"  # error
        opened.data.usr_id = 7  # error
        opened.data.user_id = 7
    with sessions.transaction(app.test_client()):  # error
        pass


# flags and extras
session.permanent = True
session.modified = session.accessed = True
session.extras["csrf_token"] = "token"
g1: bool = session.new
g2: object = session.extras.get("csrf_token")
assert_type(session.extras, MutableMapping[str, object])
session.extras[7] = "a"  # error
session.extras["other"].upper()  # error
session.permanent = "yes"  # error
session.modified = 1  # error
session.accessed = None  # error
session.new = True  # error
session.extras = {}  # error
session.unknown  # error

# a mapping of objects
session[7]  # error
session[7] = 7  # error
session.get(7)  # error
session["user_id"].bit_length()  # error
session["visits"] + 1  # error
session.update([7])  # error
del session[7]  # error
for key in session:
    key.append("a")  # error
h1: object = session["user_id"]
h2: object = session.get("user_id")
h3: dict[str, object] = session.copy()
h4: dict[str, object] = session | {"a": 1}
h5: Mapping[str, object] = session
h6: MutableMapping[str, object] = session
h7: list[str] = list(reversed(session))
session["user_id"] = 7
session |= {"user_id": 8}
session.update({"user_id": 9}, visits=1)
session.setdefault("_flashes", [])
session.setdefault("user_id")
session.setdefault("user_id", default=7)
h8: object = session.get("visits", default=0)
h9: object = session.get(key="visits")
h10: object = session.pop("visits", default=None)
session.get("visits", fallback=0)  # error
session.get()  # error
session.promote(7)  # error
session.promote(user_id=7)
session.clear()
del session["user_id"]


# functions over sessions
def greet(held: Session[HasName]) -> str:
    return held.data.name


def user_of(held: Session[HasUser]) -> int | None:
    return held.data.user_id


def only_members(held: Session[Member]) -> int:
    return held.data.points


def any_session(held: Session[object]) -> object:
    return held.data


greet(sessions.current)
greet(members.current)
greet(frozen_sessions.current)
user_of(sessions.current)
user_of(data_sessions.current)
any_session(box_sessions.current)
only_members(members.current)
visitors: Session[Visitor] = members.current
greet(data_sessions.current)  # error
greet(box_sessions.current)  # error
user_of(box_sessions.current)  # error
user_of(cart_sessions.current)  # error
user_of(open_sessions.current)  # error
user_of(sessions)  # error
only_members(sessions.current)  # error
wrong: Session[FrozenVisitor] = sessions.current  # error

# and over all sessions of an application
def known(like: SessionsLike[Visitor]) -> None:
    assert_type(like.current, Session[Visitor])
    assert_type(like.data, Visitor)
    like.data.user_id = 7
    like.data.usr_id  # error
    like.data = Visitor()  # error


known(members)


def current_user(held: SessionsLike[HasUser]) -> int | None:
    return held.current.data.user_id or held.data.user_id


current_user(sessions)
current_user(members)
current_user(data_sessions)
current_user(box_sessions)  # error
current_user(open_sessions)  # error
current_user(sessions.current)  # error
unlike: SessionsLike[Member] = sessions  # error

# narrowing
interface = SecureCookieSessionInterface(Visitor)


def narrowed(held: Session[Visitor]) -> None:
    if interface.is_null_session(held):
        held.replace(Visitor())
        null: NullSession[Visitor] = held
        print(null)
    else:
        held.data.user_id = 7


def unavailable(null: NullSession[Visitor]) -> None:
    assert_type(null.data, Visitor)
    null.data.usr_id  # error


async def opened_by_quarts(own: typed_quart.SecureCookieSessionInterface[Visitor], request: Request) -> None:
    opened = await own.open_session(app, request)
    if opened is not None:
        opened.data.usr_id = 7  # error
        opened.data.user_id = 7
        assert_type(opened.data, Visitor)
        own.should_set_cookie(app, opened)


# markers
def of_two(mine: int, theirs: int) -> int:
    return mine + theirs


def of_three(before: int, mine: int, theirs: int) -> int:
    return mine + theirs - before


Merge(of_two)  # error
Merge(lambda mine, theirs: mine)  # error
Merge("sum")  # error
Merge()  # error
Formerly()  # error
Formerly(7)  # error
Merge(of_three)
Merge("add")
Merge(max)
Merge(min)
Merge(lambda before, mine, theirs: mine)
Formerly("uid")
Formerly("uid", "user")


# migrations
def returns_nothing(values: dict[str, object]) -> None:
    values.clear()


def takes_text(values: str) -> dict[str, object]:
    return {"n": values}


migration(Visitor, 1)(returns_nothing)  # error
migration(Visitor, 1)(takes_text)  # error
migration(Visitor, "1")  # error
migration(Visitor)  # error
migration(Required, 1)  # error


@migration(Visitor, 1)
def renamed(values: dict[str, object]) -> dict[str, object]:
    values["user_id"] = values.pop("uid", None)
    return values


@migration(make_visitor, 1)
def adds(values: dict[str, object]) -> dict[str, object]:
    return {**values, "n": values["n"] + 1}  # error


assert_type(renamed({}), dict[str, object])
another_app = Quart("another")
Sessions(Visitor).init_app(another_app)
members.replace(attrs.evolve(members.data, points=7))


# many keys at once
def stored(concrete: SecureCookieSession[Visitor], name: Literal["user_id"], several: dict[str, int]) -> None:
    concrete.update({name: 7})
    concrete.update({name: 7}, name="Ada")
    concrete.update([(name, 7)])
    concrete.update(several, name="Ada")
    concrete.update(concrete)
    concrete.update(name="Ada")
    concrete.update()
    concrete.update(7)  # error
    concrete.update([7])  # error
    concrete.update({7: 7})  # error
