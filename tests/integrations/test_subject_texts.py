"""A subject is found by its UTF-8, so a text that has none is refused where it is set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NewType, TypedDict

import attrs
import msgspec
import pytest
from attrs import define, field
from pydantic import BaseModel
from quart import Quart

from typed_sessions import FieldTypeError, FieldValueError, SecureCookieSession, Subject
from typed_sessions.quart import Sessions

LONE = "visitor \ud800"

Name = NewType("Name", str)


@define
class Plain:
    name: Annotated[str | None, Subject] = None


@define
class Bounded:
    name: Annotated[Name, Subject, msgspec.Meta(max_length=40)] = Name("")


@define
class Converted:
    name: Annotated[str, Subject] = field(default="", converter=str)


@define(frozen=True)
class Frozen:
    name: Annotated[str, Subject] = field(default="", validator=attrs.validators.instance_of(str))


@dataclass
class Data:
    name: Annotated[str | None, Subject()] = None


@dataclass(frozen=True)
class FrozenData:
    name: Annotated[str, Subject] = dataclasses.field(default="")


class Struct(msgspec.Struct):
    name: Annotated[str | None, Subject] = None


class Model(BaseModel):
    name: Annotated[str | None, Subject] = None


class Keyed(TypedDict, total=False):
    name: Annotated[str | None, Subject]


def made() -> Plain:
    return Plain()


SCHEMAS: dict[str, Any] = {
    "attrs": Plain,
    "bounded": Bounded,
    "converter": Converted,
    "frozen-attrs": Frozen,
    "dataclass": Data,
    "frozen-dataclass": FrozenData,
    "struct": Struct,
    "model": Model,
    "typeddict": Keyed,
    "function": made,
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_subject_with_a_lone_surrogate_is_refused_by_name(schema: Any) -> None:
    session: SecureCookieSession[Any] = SecureCookieSession({"name": "a"}, schema=schema)
    changes: dict[str, Callable[[], object]] = {
        "key": lambda: session.__setitem__("name", LONE),
        "update": lambda: session.update(_flashes=1, name=LONE),
        "promote": lambda: session.promote(name=LONE),
        "initial": lambda: SecureCookieSession({"name": LONE}, schema=schema),
    }
    for change in changes.values():
        with pytest.raises(FieldValueError, match="name") as refused:
            change()
        assert isinstance(refused.value, FieldTypeError)
        assert "visitor" not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
    del session["name"]
    with pytest.raises(FieldValueError, match="name"):
        session.setdefault("name", LONE)
    assert dict(session) == {}


@pytest.mark.parametrize("schema", [Plain, Data, Struct, Model, Keyed, made])
def test_data_with_a_lone_surrogate_as_its_subject_replaces_nothing(schema: Any) -> None:
    session: SecureCookieSession[Any] = SecureCookieSession({"name": "a"}, schema=schema)
    other = {"name": LONE} if schema is Keyed else type(session.data)(name=LONE)
    with pytest.raises(FieldValueError, match="name"):
        session.replace(other)
    assert dict(session) == {"name": "a"}


@pytest.mark.parametrize("name", ["", "é", "\U0001f600", "\x00", "a" * 1000])
def test_any_other_text_is_a_subject(name: str) -> None:
    session = SecureCookieSession({}, schema=Plain)
    session.promote(name=name)
    assert session["name"] == name


def test_a_text_that_is_no_subject_may_be_any() -> None:
    @define
    class Noted:
        name: Annotated[str | None, Subject] = None
        note: str = ""

    session = SecureCookieSession({}, schema=Noted)
    session["note"] = LONE
    assert session.data.note == LONE


async def test_a_login_under_a_lone_surrogate_is_an_error_at_its_line() -> None:
    app = Quart(__name__)
    sessions = Sessions(Plain, app, store="memory://?namespace=texts")

    @app.get("/login")
    async def login() -> str:
        with pytest.raises(FieldValueError, match=r"Plain\.name"):
            sessions.current.promote(name=LONE)
        with pytest.raises(FieldValueError, match=r"Plain\.name"):
            await sessions.of(LONE)
        with pytest.raises(FieldValueError, match=r"Plain\.name"):
            await sessions.revoke(LONE)
        return str(sessions.data.name)

    answer = await app.test_client().get("/login")
    assert (answer.status_code, await answer.get_data(as_text=True)) == (200, "None")
    assert "Set-Cookie" not in answer.headers
