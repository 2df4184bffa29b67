"""Misuses: each line must be reported by mypy and by basedpyright, as its comments say. Checked, never run.

An ignore that is not needed is an error in both checkers, so a misuse that goes unnoticed fails the check.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true, reportUnusedExpression=false, reportUnknownMemberType=false

from __future__ import annotations

from attrs import Factory, define
from quart import Quart

from typed_sessions import SecureCookieSession, SecureCookieSessionInterface, Session, migration
from typed_sessions.quart import Sessions
from typed_sessions.serializers import Serializer


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


@define
class Required:
    user_id: int


app = Quart(__name__)
sessions = Sessions(Visitor, app)
session = sessions.current

# the data
sessions.data.usr_id  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
session.data.usr_id  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
sessions.data.user_id = "7"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
sessions.data.cart.append(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sessions.data.user_id + 1  # type: ignore[operator]  # pyright: ignore[reportOptionalOperand]
sessions.data["user_id"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
session.user_id  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
session.data = Visitor()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
session.extras = {}  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
session.new = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
sessions.replace("7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sessions.cookie_for({"user_id": 7})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# the mapping
session[7]  # type: ignore[index]  # pyright: ignore[reportArgumentType]
session["user_id"] + 1  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
session.permanent = "yes"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
session.get("user_id").bit_length()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]

# set-up
Sessions(Required, app)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
Sessions(Visitor(), app)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
Sessions(Visitor, app, serializer="tagged_json")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
Sessions(Visitor, app, serializer=object())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
Sessions(Visitor, app, converter=print)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
SecureCookieSession(schema=Required)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
SecureCookieSession({7: 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.session_interface = SecureCookieSessionInterface()  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


# functions and classes
def needs_user(session: Session[Required]) -> int:
    return session.data.user_id


needs_user(session)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class TakesTwo:
    def dumps(self, value: dict[str, object], indent: int, /) -> str:
        return str(value) + " " * indent

    def loads(self, payload: str, /) -> object:
        return payload


wrong: Serializer[str] = TakesTwo()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


# migrations
def returns_nothing(values: dict[str, object]) -> None:
    values.clear()


def takes_text(values: str) -> dict[str, object]:
    return {"n": values}


def adds(values: dict[str, object]) -> dict[str, object]:
    return {"n": values["n"] + 1}  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]


migration(Visitor, 1)(returns_nothing)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
migration(Visitor, 1)(takes_text)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
migration(Visitor, "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
migration(Required, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
migration(Visitor())  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
