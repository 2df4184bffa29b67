"""A union of a class and a dict: what a visitor puts into a dict stays a dict, in every later release."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Generic, TypeAlias, TypedDict, TypeVar, cast

import attrs
import msgspec
import pytest
from attrs import define, frozen
from quart import Quart, request, session

from typed_sessions import migration
from typed_sessions.errors import SchemaError, SerializationError
from typed_sessions.quart import Sessions

Item = TypeVar("Item")


@frozen
class Grant:
    level: str = ""
    note: str = ""


@dataclasses.dataclass
class GrantDataclass:
    level: str = ""
    note: str = ""


class GrantStruct(msgspec.Struct):
    level: str = ""
    note: str = ""


class GrantKeys(TypedDict, total=False):
    level: str
    note: str


class Preferences(TypedDict, total=False):
    level: str
    theme: str


@define
class Box(Generic[Item]):
    level: Item | None = None


Kept: TypeAlias = dict[str, str]


class PlainJSON:
    """A serializer that brings back nothing but what JSON has."""

    name = "plain"

    def dumps(self, value: dict[str, object], /) -> str:
        return json.dumps(value)

    def loads(self, payload: str, /) -> object:
        return json.loads(payload)


PLAIN = PlainJSON()
SERIALIZERS = pytest.mark.parametrize(
    "serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack", PLAIN], ids=["tagged", "json", "msgpack", "plain"]
)
TWO_SERIALIZERS = pytest.mark.parametrize("serializer", ["tagged-json", PLAIN], ids=["tagged", "plain"])


def schema(annotation: Any) -> Any:
    """A schema with one field of a type; None stands for no schema."""
    if annotation is None:
        return None
    return attrs.make_class("Visitor", {"held": attrs.field(type=annotation | None, default=None)})


def typed_dict(annotation: Any) -> Any:
    return made_typed_dict({"held": annotation})


def made_typed_dict(annotations: dict[str, Any]) -> Any:
    return cast("Any", TypedDict)("Visitor", annotations, total=False)


def release(declared: Any, serializer: Any) -> Quart:
    """An application that keeps what a visitor sends, and tells what it has kept."""
    app = Quart(__name__)
    app.secret_key = "a secret key that is long enough"
    app.config.update(SESSION_SERIALIZER=serializer, PROPAGATE_EXCEPTIONS=True)
    Sessions[Any](declared, app) if declared is not None else Sessions(app=app)

    @app.post("/")
    async def keep() -> str:
        session["held"] = await request.get_json()
        return ""

    return app


async def stored_by(app: Quart, value: object) -> Any:
    """Return a client of a visitor who has sent a value."""
    client = app.test_client()
    await client.post("/", json=value)
    return client


async def read_by(app: Quart, client: Any) -> object:
    """Return what a release reads of the session of another one's client."""
    visitor = app.test_client()
    visitor.cookie_jar = client.cookie_jar
    async with visitor.session_transaction() as opened:
        return opened.get("held")


async def after_release(before: Any, now: Any, value: object, serializer: Any) -> object:
    client = await stored_by(release(before, serializer), value)
    return await read_by(release(now, serializer), client)


ADMIN = {"level": "admin"}
FORGED = {"__type__": "Grant", "__value__": ADMIN}


@TWO_SERIALIZERS
@pytest.mark.parametrize(
    "now",
    [
        Grant | dict[str, str],
        dict[str, str] | Grant,
        GrantDataclass | dict[str, str],
        GrantStruct | dict[str, str],
        Grant | GrantStruct | dict[str, str],
        GrantKeys | dict[str, str],
        Grant | GrantKeys,
        Grant | Kept,
        Box[str] | dict[str, str],
        Grant | dict[str, object],
        Grant | object,
        Grant | dict[str, str] | dict[str, int],
    ],
    ids=str,
)
async def test_a_dict_of_an_earlier_release_is_no_class_of_the_same_keys(now: Any, serializer: Any) -> None:
    back = await after_release(schema(dict[str, str]), schema(now), ADMIN, serializer)
    assert type(back) is dict
    assert back == ADMIN


@TWO_SERIALIZERS
@pytest.mark.parametrize(
    ("before", "now", "value"),
    [
        (list[dict[str, str]], list[Grant | dict[str, str]], [ADMIN]),
        (list[dict[str, str]], list[Grant] | list[dict[str, str]], [ADMIN]),
        (list[dict[str, str]], tuple[Grant, ...] | list[dict[str, str]], [ADMIN]),
        (dict[str, dict[str, str]], dict[str, Grant | dict[str, str]], {"a": ADMIN}),
        (dict[str, dict[str, str]], dict[str, Grant] | dict[str, dict[str, str]], {"a": ADMIN}),
        (dict[str, dict[str, str]], Box[Grant] | dict[str, dict[str, str]], {"level": ADMIN}),
        (dict[str, dict[str, str]], Box[Grant | dict[str, str]], {"level": ADMIN}),
        (Preferences, Grant | Preferences, ADMIN),
        (object, Grant | object, ADMIN),
        (object, list[Grant] | object, [ADMIN]),
    ],
    ids=str,
)
async def test_it_is_none_at_any_depth(before: Any, now: Any, value: object, serializer: Any) -> None:
    back = await after_release(schema(before), schema(now), value, serializer)
    assert back == (Box(ADMIN) if now == Box[Grant | dict[str, str]] else value)


@TWO_SERIALIZERS
@pytest.mark.parametrize("before", [typed_dict(dict[str, str]), None], ids=["typeddict", "no schema"])
@pytest.mark.parametrize("declare", [schema, typed_dict], ids=["class", "typeddict"])
async def test_it_is_none_with_any_schema(before: Any, declare: Any, serializer: Any) -> None:
    assert await after_release(before, declare(Grant | dict[str, str]), ADMIN, serializer) == ADMIN


@SERIALIZERS
@pytest.mark.parametrize(
    ("before", "now"),
    [
        (dict[str, object], Grant | dict[str, object]),
        (dict[str, object], Grant | object),
        (object, dict[str, object] | Grant),
        (dict[str, str | dict[str, str] | list[str]], Grant | dict[str, object]),
    ],
    ids=str,
)
async def test_no_dict_forges_the_name_of_a_class(before: Any, now: Any, serializer: Any) -> None:
    for value in (FORGED, {"__type__": ["Grant"], "__value__": ADMIN}):
        back = await after_release(schema(before), schema(now), value, serializer)
        assert back == value or (back is None and serializer is PLAIN)  # which has only JSON to tell them apart by


async def test_none_does_with_a_serializer_that_shares_the_salt_of_tagged_json() -> None:
    for before in (dict[str, object], object):
        back = await after_release(schema(before), schema(Grant | dict[str, object]), FORGED, json)
        assert isinstance(back, dict)


@TWO_SERIALIZERS
@pytest.mark.parametrize("now", [Grant | dict[str, object], Grant | object, dict[str, object], object], ids=str)
@pytest.mark.parametrize("inside", [False, True], ids=["whole", "part"])
async def test_a_dict_that_looks_named_comes_back_as_it_was(now: Any, serializer: Any, inside: bool) -> None:
    names = ("Grant", "object", "dict[str, object]", "")
    looks = [{"__type__": name, "__value__": held} for name in names for held in (ADMIN, FORGED, 1)]
    for value in looks:
        sent = {"part": [value]} if inside else value
        assert await after_release(schema(now), schema(now), sent, serializer) == sent


@SERIALIZERS
@pytest.mark.parametrize("sent", [FORGED, {"part": [FORGED]}], ids=["whole", "part"])
async def test_what_no_schema_declares_forges_none_either(serializer: Any, sent: object) -> None:
    if serializer is PLAIN:
        with pytest.raises(SerializationError, match="session key held holds a dict with the keys of a union's member"):
            await stored_by(release(None, serializer), sent)
        return
    client = await stored_by(release(None, serializer), sent)
    assert await read_by(release(None, serializer), client) == sent
    assert await read_by(release(schema(Grant | dict[str, object]), serializer), client) == sent


async def test_a_cookie_of_stock_quart_forges_none_either() -> None:
    stock = Quart(__name__)
    stock.secret_key = "a secret key that is long enough"

    @stock.post("/")
    async def keep() -> str:
        session["held"] = await request.get_json()
        return ""

    for value in (FORGED, ADMIN, {" t": ["Grant"]}, {"__type__": {" t": ["Grant"]}, "__value__": ADMIN}):
        client = await stored_by(stock, value)
        assert await read_by(release(schema(Grant | dict[str, object]), "tagged-json"), client) == value


@TWO_SERIALIZERS
@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Grant | dict[str, str], Grant("admin")),
        (Grant | dict[str, str], {}),
        (GrantStruct | dict[str, str], GrantStruct("admin")),
        (Grant | GrantStruct | dict[str, object], GrantStruct("admin")),
        (list[Grant | dict[str, str]], [Grant("admin"), ADMIN]),
        (dict[str, Grant | dict[str, str]], {"a": Grant("admin"), "b": ADMIN}),
        (Box[str] | Box[int] | dict[str, str], Box(7)),
        (list[Grant] | list[dict[str, str]], [Grant("admin")]),
        (list[Grant] | list[dict[str, str]], [ADMIN]),
        (tuple[Grant, dict[str, str]] | tuple[dict[str, str], Grant], (ADMIN, Grant("admin"))),
        (Grant | object, Grant("admin")),
    ],
    ids=str,
)
async def test_each_member_comes_back_as_it_was(annotation: Any, value: Any, serializer: Any) -> None:
    app = release(schema(annotation), serializer)
    client = app.test_client()
    async with client.session_transaction() as opened:
        opened["held"] = value
    back = await read_by(app, client)
    assert type(back) is type(value)
    assert back == value


@pytest.mark.parametrize(
    ("annotation", "plain"),
    [
        (Grant, {"level": "admin", "note": ""}),
        (Grant | GrantStruct, {"level": "admin", "note": ""}),
        (GrantStruct | Grant, {"__type__": "Grant", "__value__": {"level": "admin", "note": ""}}),
        (Grant | list[dict[str, str]], {"level": "admin", "note": ""}),
        (list[str] | Grant, {"level": "admin", "note": ""}),
    ],
    ids=str,
)
async def test_classes_beside_no_dict_are_written_as_before(annotation: Any, plain: object) -> None:
    client = release(schema(annotation), "tagged-json").test_client()
    async with client.session_transaction() as opened:
        opened["held"] = Grant("admin")
    assert await read_by(release(None, "tagged-json"), client) == plain


@SERIALIZERS
async def test_a_rollback_makes_no_dict_of_a_class(serializer: Any) -> None:
    client = release(schema(Grant | dict[str, object]), serializer).test_client()
    async with client.session_transaction() as opened:
        opened["held"] = Grant("admin")
    assert await read_by(release(schema(dict[str, object]), serializer), client) is None


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
async def test_a_migration_names_what_was_a_class_alone(serializer: Any) -> None:
    now = schema(Grant | dict[str, str])

    @migration(now, 1)
    def name_the_class(values: dict[str, object]) -> dict[str, object]:
        return {**values, "held": {"__type__": ("Grant",), "__value__": values["held"]}}

    client = release(schema(Grant), serializer).test_client()
    async with client.session_transaction() as opened:
        opened["held"] = Grant("admin")
    assert await read_by(release(now, serializer), client) == Grant("admin")


async def test_keys_that_only_unions_have_are_no_names_of_a_typeddict() -> None:
    with pytest.raises(SchemaError, match="__type__ and __value__ belong to unions"):
        release(made_typed_dict({"__type__": str, "__value__": str}), "tagged-json")


@SERIALIZERS
async def test_what_an_earlier_release_wrote_with_fewer_attributes_is_no_change(serializer: Any) -> None:
    earlier = attrs.make_class("Grant", {"level": attrs.field(type=str, default="")}, frozen=True)
    client = release(schema(list[earlier | dict[str, str]]), serializer).test_client()  # type: ignore[valid-type]
    async with client.session_transaction() as opened:
        opened["held"] = [earlier("admin"), ADMIN]
    came = client.cookie_jar
    visitor = release(schema(list[Grant | dict[str, str]]), serializer).test_client()
    visitor.cookie_jar = came
    before = str(visitor.cookie_jar)
    async with visitor.session_transaction() as opened:
        assert opened["held"] == [Grant("admin"), ADMIN]
        opened["held"] = [Grant("admin"), dict(ADMIN)]
        assert not opened.modified
    assert str(visitor.cookie_jar) == before
    async with visitor.session_transaction() as opened:
        opened["held"][0] = Grant("admin", "new")
        assert opened.modified
    async with visitor.session_transaction() as opened:
        assert opened["held"] == [Grant("admin", "new"), ADMIN]
