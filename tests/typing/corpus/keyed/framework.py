"""Keys of the framework's own session: mypy has its plugin here, and the others generated stubs."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime
from typing import Literal, assert_type

from quart import session
from schemas import Item, Theme, Visitor

# a key that is not declared
print(session["usr_id"])  # error
print(session["User_id"])  # error
print(session["user_id "])  # error
print(session[""])  # error
print(session.get("nme"))  # error
print(session.get("nme", ""))  # error
print(session.pop("nme"))  # error
print(session.pop("nme", None))  # error
print(session.setdefault("crat", []))  # error
session["usr_id"] = 7  # error
session.update(usr_id=7)  # error
session.update({"usr_id": 7})  # error
del session["usr_id"]  # error
print("usr_id" in session)  # error
print("usr_id" not in session)  # error
session.promote(usr_id=7)  # error
session.data.usr_id  # error
session.demote()  # error

# and one that is
assert_type(session["user_id"], int | None)
assert_type(session["cart"], list[Item])
assert_type(session["theme"], Theme)
assert_type(session["seen"], datetime | None)
assert_type(session.get("name"), str | None)
either: str | int = session.get("name", 7)
assert_type(session.pop("visits"), int)
assert_type(session.pop("visits", None), int | None)
assert_type(session.setdefault("cart", []), list[Item])
del session["user_id"]

# a value of another type
session["user_id"] = "7"  # error
session["name"] = None  # error
session["visits"] = 1.5  # error
session["cart"] = ["sku"]  # error
session["cart"] = {}  # error
session["theme"] = "dark"  # error
session["size"] = "xl"  # error
session["seen"] = "2026-01-02"  # error
session["tags"] = ["a"]  # error
session.setdefault("name", 7)  # error
session.update(user_id="7")  # error
session.update({"user_id": "7"})  # error
session.promote(user_id="7")  # error
session.data.user_id = "7"  # error
session.data = Visitor()  # error
session.invalidate(7)  # error

# and one of its own
session["user_id"] = 7
session["user_id"] = None
session["name"] = "Ada"
session["ratio"] = 1
session["cart"] = [Item("a")]
session["cart"] = []
session["theme"] = Theme.DARK
session["size"] = "l"
session["tags"] = {"a"}
session["visits"] += 1
session.setdefault("name", "Ada")
session.update(user_id=7, name="Ada")
session.update({"user_id": 7, "visits": 1})
session["_permanent"] = True
session["_flashes"] = []
session.promote(user_id=7, name="Ada")
session.data.user_id = 7
session.data.cart.append(Item("a"))
session.extras["csrf_token"] = "token"
session.regenerate()
session.invalidate()
assert_type(session.data, Visitor)
assert_type(session.extras, MutableMapping[str, object])


# one of several keys
def chosen(key: Literal["name", "size"], typo: Literal["name", "nme"]) -> None:
    print(session[key].upper())
    for each in ("name", "size"):
        print(session[each].upper(), session.get(each))
    if key in session:
        del session[key]
    print(session[typo])  # error
    print(session.get(typo))  # error
    for wrong in ("nme", "size"):
        print(session[wrong])  # error
    for each in ("name", "siz"):
        print(session[each])  # error


# all of them
def copied() -> None:
    one = dict(session)
    other: dict[str, object] = {**session}
    third: dict[str, object] = session.copy()
    for key in session:
        value: object = session[key]
        text: str = key
        print(value, text.upper(), session.get(key), key in session)
    for name, item in session.items():
        print(name.upper(), item)
    for name in list(session.keys()):
        del session[name]
    print(one, other, third, {**session, "n": 1}, list(session), sorted(session), set(session))
    names: list[str] = list(session)
    print(names, {key: value for key, value in session.items() if key != "cart"})


# what a value may be
def used() -> None:
    print(session["user_id"] + 1)  # error
    print(session["seen"].year)  # error
    print(session["name"].bit_length())  # error
    print(session["cart"][0].skuu)  # error
    print(session.get("name").upper())  # error
    print(session.get("visits") + 1)  # error
    session["cart"].append("sku")  # error
    number: int = session["name"]  # error
    text: str = session.get("name")  # error
    print(number, text)


def used_well() -> None:
    user_id = session["user_id"]
    if user_id is not None:
        print(user_id + 1)
    print(session["name"].upper())
    print(session.get("name", "").upper())
    print(session.get("visits", 0) + 1)
    session["cart"].append(Item("a"))
    session["cart"][0].quantity += 1
    for item in session["cart"]:
        print(item.sku)
    visits: int = session["visits"]
    print(visits, list(session), len(session), "user_id" in session)
    session.clear()
