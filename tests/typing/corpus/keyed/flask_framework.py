"""Keys of Flask's own session, with the plugin and the stubs of `framework.py`."""

from __future__ import annotations

from typing import assert_type

import flask
from flask import session
from schemas import Item, Theme, Visitor

# a key that is not declared
print(session["usr_id"])  # error
print(session.get("nme"))  # error
print(session.pop("nme", None))  # error
session["usr_id"] = 7  # error
session.update(usr_id=7)  # error
del session["usr_id"]  # error
print("usr_id" in session)  # error
session.promote(usr_id=7)  # error
session.data.usr_id  # error

# and one that is
assert_type(session["user_id"], int | None)
assert_type(session["cart"], list[Item])
assert_type(session.get("name"), str | None)
assert_type(session.data, Visitor)
assert_type(flask.request.path, str)

# a value of another type
session["user_id"] = "7"  # error
session["cart"] = ["sku"]  # error
session["theme"] = "dark"  # error
session.setdefault("name", 7)  # error
session.update({"user_id": "7"})  # error
session.data.user_id = "7"  # error
print(session["user_id"] + 1)  # error
session["cart"].append("sku")  # error

# and one of its own
session["user_id"] = 7
session["theme"] = Theme.DARK
session.update(user_id=7, name="Ada")
session["cart"].append(Item("a"))
session["_flashes"] = []
session.promote(user_id=7, name="Ada")
session.permanent = True
