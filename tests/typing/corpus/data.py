"""The data of a session: attributes, their types, and what may be None."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

import attrs
from schemas import (
    Box, Cart, Item, Theme, Visitor,
    box_sessions, cart_sessions, data_sessions, frozen_sessions, members, open_sessions, sessions, struct_sessions,
)  # fmt: skip

visitor = sessions.data
session = sessions.current

# an attribute that is not there
a1 = sessions.data.usr_id  # error
a2 = sessions.current.data.usr_id  # error
a3 = visitor.User_id  # error
a4 = members.data.pionts  # error
a5 = frozen_sessions.data.cart  # error
a6 = data_sessions.data.name  # error
a7 = struct_sessions.data.name  # error
a8 = box_sessions.data.holds  # error
a9 = session.user_id  # error
a10 = sessions.user_id  # error
a11 = open_sessions.data.user_id  # error
sessions.data.usr_id = 7  # error
del sessions.data.usr_id  # error

# and what is there
b1: int | None = sessions.data.user_id
b2: str = session.data.name
b3: int = members.data.points
b4: int | None = members.data.user_id
b5: str = frozen_sessions.data.name
b6: list[Item] = data_sessions.data.cart
b7: list[Item] = struct_sessions.data.cart
b8: int | None = box_sessions.data.held
b9: object = open_sessions.data["user_id"]
assert_type(sessions.data.theme, Theme)
assert_type(sessions.data.seen, datetime | None)

# a value of the wrong type
sessions.data.user_id = "7"  # error
sessions.data.name = None  # error
sessions.data.visits = 1.5  # error
sessions.data.ratio = "0.5"  # error
sessions.data.cart = ["sku"]  # error
sessions.data.cart = ()  # error
sessions.data.tags = ["a"]  # error
sessions.data.theme = "dark"  # error
sessions.data.size = "xl"  # error
sessions.data.seen = "2026-01-02"  # error
members.data.points = "many"  # error
data_sessions.data.user_id = "7"  # error
struct_sessions.data.user_id = "7"  # error
cart_sessions.data["user_id"] = "7"  # error
box_sessions.data.held = "7"  # error

# and of the right one
sessions.data.user_id = 7
sessions.data.user_id = None
sessions.data.name = "Ada"
sessions.data.visits += 1
sessions.data.ratio = 1
sessions.data.cart = [Item("a")]
sessions.data.tags = {"a"}
sessions.data.theme = Theme.DARK
sessions.data.size = "l"
sessions.data.seen = datetime.now()
members.data.points += 10
data_sessions.data.user_id = 7
struct_sessions.data.user_id = 7
cart_sessions.data["user_id"] = 7
box_sessions.data.held = 7
open_sessions.data["anything"] = ("at", "all")

# a change inside
sessions.data.cart.append("sku")  # error
sessions.data.cart.append(Item(7))  # error
sessions.data.cart.add(Item("a"))  # error
sessions.data.cart[0].sku = 7  # error
sessions.data.cart[0].skuu = "a"  # error
sessions.data.cart["first"].sku = "a"  # error
sessions.data.tags.add(7)  # error
data_sessions.data.cart.append("sku")  # error
struct_sessions.data.cart.append("sku")  # error
cart_sessions.data["lines"].append(7)  # error
sessions.data.cart.append(Item("a"))
sessions.data.cart[0].quantity += 1
sessions.data.cart[0].sku = "b"
sessions.data.tags.add("new")
data_sessions.data.cart.append(Item("a"))
struct_sessions.data.cart.append(Item("a"))


# what may be None
def absent(visitor: Visitor, box: Box[int]) -> None:
    print(visitor.user_id + 1)  # error
    print(visitor.seen.year)  # error
    print(box.held + 1)  # error
    needs_a_number(visitor.user_id)  # error


def needs_a_number(number: int) -> None:
    print(number)


def checked(visitor: Visitor) -> int:
    if visitor.user_id is not None:
        return visitor.user_id + 1
    if (seen := visitor.seen) is not None:
        return seen.year
    return visitor.user_id or 0


absent(sessions.data, box_sessions.data)
checked(box_sessions.data)  # error

# the data is no mapping, unless it is a dict
e1 = sessions.data["user_id"]  # error
e2 = cart_sessions.data["usr_id"]  # error
e3 = cart_sessions.data.user_id  # error
e4 = len(sessions.data)  # error
f1 = cart_sessions.data["user_id"]
f2 = cart_sessions.data.get("lines", [])
assert_type(f2, list[str])

# another object as the data
session.data = Visitor()  # error
sessions.data = Visitor()  # error
sessions.replace("visitor")  # error
sessions.replace(Item("a"))  # error
sessions.replace(Visitor)  # error
sessions.replace()  # error
frozen_sessions.replace(attrs.evolve(frozen_sessions.data, user_id="7"))  # error: mypy, pyrefly
frozen_sessions.data.user_id = 7  # error
cart_sessions.replace({"usr_id": 7})  # error
sessions.replace(Visitor(user_id=7))
members.replace(attrs.evolve(members.data, points=7))
frozen_sessions.replace(attrs.evolve(frozen_sessions.data, user_id=7))
cart_sessions.replace({"user_id": 7})
cart_sessions.replace(Cart(lines=["a"]))
