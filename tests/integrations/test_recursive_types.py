"""Fields that hold what holds itself: aliases of every sort, and `Self`, in every kind of schema and every format."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Self, TypedDict

import msgspec
import pytest
from attrs import Factory, define, frozen
from quart import Quart
from typing_extensions import TypeAliasType, TypeVar

from typed_sessions import FieldTypeError, Schema, SchemaError, SecureCookieSession
from typed_sessions.quart import Sessions
from typed_sessions.schema.sameness import same

SECRET = "a secret key that is long enough"
FORMATS = pytest.mark.parametrize("name", ["tagged-json", "msgspec-json", "msgspec-msgpack"])

T = TypeVar("T")
PARAMETERS: Any = (T,)
JSON = dict[str, "JSON"] | list["JSON"] | str | int | None
Document: Any = TypeAliasType("Document", "dict[str, Document] | list[Document] | str | int | None")
Nested: Any = TypeAliasType("Nested", "T | list[Nested[T]]", type_params=PARAMETERS)
Tree: Any = TypeAliasType("Tree", "dict[str, Forest] | int")
Forest: Any = TypeAliasType("Forest", "list[Tree]")

HELD: object = {"a": [1, "two", None, {"b": []}], "c": {"d": {"e": 1}}}


@define
class Attrs:
    json: JSON = None
    document: Document = None
    nested: Nested[int] = 0
    forest: Forest = Factory(list[Any])


@frozen
class Frozen:
    json: JSON = None
    document: Document = None
    nested: Nested[int] = 0
    forest: Forest = Factory(list[Any])


@dataclasses.dataclass
class Data:
    json: JSON = None
    document: Document = None
    nested: Nested[int] = 0
    forest: Forest = dataclasses.field(default_factory=list[Any])


class Record(msgspec.Struct):
    json: JSON = None
    document: Document = None
    nested: Nested[int] = 0
    forest: Forest = msgspec.field(default_factory=list[Any])


class Keys(TypedDict, total=False):
    json: JSON
    document: Document
    nested: Nested[int]
    forest: Forest


def made() -> Attrs:
    return Attrs(document="made")


VALUES: dict[str, object] = {
    "json": HELD,
    "document": HELD,
    "nested": [1, [2, [3]]],
    "forest": [{"oak": [1, {}]}, 2],
}


@FORMATS
@pytest.mark.parametrize("declared", [Attrs, Frozen, Data, Record, Keys, made])
async def test_what_holds_itself_comes_back_from_a_request(name: str, declared: Any) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name)
    sessions = Sessions[object](declared, app)
    seen: list[dict[str, object]] = []

    @app.get("/<what>")
    async def page(what: str) -> str:
        if what == "write":
            sessions.current.update(VALUES)
        seen.append(sessions.current.copy())
        return ""

    client = app.test_client()
    for what in ("write", "read"):
        assert (await client.get(f"/{what}")).status_code == 200
    assert same(seen[1], VALUES)


@pytest.mark.parametrize("declared", [Attrs, Frozen, Data, Record, Keys])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("json", {"a": [1, {2}]}),
        ("document", [[[1.5]]]),
        ("nested", [1, ["two"]]),
        ("forest", [{"oak": [b""]}]),
    ],
)
def test_what_does_not_fit_at_any_depth_is_refused_at_that_line(declared: Any, name: str, value: object) -> None:
    session = SecureCookieSession[object](schema=Schema[object](declared))
    with pytest.raises(FieldTypeError, match=rf"\.{name}\["):
        session[name] = value
    assert not session


@define
class Node:
    parent: Self | None = None
    children: list[Self] = Factory(list[Any])


@define
class Leaf(Node):
    weight: int = 0


@dataclasses.dataclass
class DataNode:
    parent: Self | None = None
    children: list[Self] = dataclasses.field(default_factory=list[Any])


class RecordNode(msgspec.Struct):
    parent: Self | None = None
    children: list[Self] = msgspec.field(default_factory=list[Any])


@define
class Holder:
    leaf: Leaf | None = None


@FORMATS
@pytest.mark.parametrize("declared", [Node, Leaf, DataNode, RecordNode])
async def test_self_is_the_class_that_has_the_field(name: str, declared: Any) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name)
    held = declared(parent=declared(), children=[declared(), declared(children=[declared()])])
    cookie = Sessions[object](declared, app).cookie_for(held)
    sessions = Sessions[object](declared, app)

    @app.get("/")
    async def page() -> str:
        return repr(sessions.data)

    response = await app.test_client().get("/", headers={"Cookie": f"session={cookie}"})
    assert await response.get_data(as_text=True) == repr(held)


def test_self_of_an_inherited_field_is_the_class_that_inherits() -> None:
    assert Schema(Leaf).fields["children"].type.text == "list[Leaf]"
    session = SecureCookieSession[object](schema=Schema[object](Holder))
    leaf: Any = Leaf
    session["leaf"] = leaf(parent=Leaf())
    with pytest.raises(FieldTypeError, match=r"Holder\.leaf\.parent must be Leaf"):
        session["leaf"] = leaf(parent=Node())


Loop: Any = TypeAliasType("Loop", "Loop")
Member: Any = TypeAliasType("Member", "Member | int")
Missing: Any = TypeAliasType("Missing", "list[Nowhere]")  # noqa: F821  # what is refused
Wider: Any = TypeAliasType("Wider", "list[Wider[list[T]]]", type_params=PARAMETERS)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("Loop", "Loop stands for nothing but itself"),
        ("Member", "the alias Member is a member of itself"),
        ("Missing", "the name 'Nowhere' in its annotation cannot be found from module"),
        ("list[Nowhere]", "the name 'Nowhere' in its annotation cannot be found from module"),
        ("Wider[int]", "the alias Wider.* has no end"),
    ],
)
def test_what_cannot_be_resolved_is_refused_by_name(annotation: str, message: str) -> None:
    refused = define(type("Refused", (), {"__annotations__": {"held": annotation}, "held": None}))
    with pytest.raises(SchemaError, match=rf"Refused\.held: .*{message}"):
        Schema[object](refused)


DEPTH = 60
for number in range(DEPTH):
    _next = f"Deep{(number + 1) % DEPTH}"
    globals()[f"Deep{number}"] = TypeAliasType(f"Deep{number}", f"dict[str, {_next}] | list[{_next}] | int")


def test_the_cost_of_a_deep_recursive_union_is_linear() -> None:
    deep = define(type("Deep", (), {"__annotations__": {"held": "Deep0"}, "held": 0}))
    began = time.perf_counter()
    Schema[object](deep)
    assert time.perf_counter() - began < 5
