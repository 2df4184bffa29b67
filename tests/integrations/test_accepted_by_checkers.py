"""What type checkers accept works at run time, or is refused in an error of this library that says where to look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypedDict, TypeVar

import msgspec
import pytest
import quart.sessions
from attrs import Factory, define, frozen
from pydantic import BaseModel
from quart import Quart, session

import typed_sessions
from typed_sessions import (
    NullSession,
    Schema,
    SchemaError,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SerializationError,
    SessionsLike,
    UndeclaredKeyError,
)
from typed_sessions.quart import Sessions
from typed_sessions.serializers.base import SerializerName

T = TypeVar("T")


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


@dataclass
class DataVisitor:
    user_id: int | None = None


class StructVisitor(msgspec.Struct):
    user_id: int | None = None


class ModelVisitor(BaseModel):
    user_id: int | None = None


class KeyedVisitor(TypedDict, total=False):
    user_id: int | None


@define
class Box(Generic[T]):
    held: T | None = None


@dataclass
class DataBox(Generic[T]):
    held: T | None = None


class StructBox(msgspec.Struct, Generic[T]):
    held: T | None = None


class ModelBox(BaseModel, Generic[T]):
    held: T | None = None


def box() -> Box[int]:
    return Box(7)


def data_box() -> DataBox[int]:
    return DataBox(7)


def struct_box() -> StructBox[int]:
    return StructBox(7)


def model_box() -> ModelBox[int]:
    return ModelBox[int](held=7)


class Maker:
    def __call__(self) -> Box[int]:
        return Box(7)


def box_of(held: int) -> Box[int]:
    return Box(held)


class Undecorated(Visitor):
    level: int = 0


@frozen
class FrozenVisitor:
    user_id: int | None = None


class UndecoratedFrozen(FrozenVisitor):
    pass


class UndecoratedData(DataVisitor):
    level: int = 0


class UndecoratedDataWithMethods(DataVisitor):
    def is_known(self) -> bool:
        return self.user_id is not None


@define
class Holder:
    visitor: Visitor = Factory(Undecorated)
    other: Undecorated = Factory(Undecorated)


def make_undecorated() -> Undecorated:
    return Undecorated()


def application(schema: Any, serializer: SerializerName = "tagged-json") -> tuple[Quart, Sessions[Any]]:
    app = Quart(__name__)
    app.secret_key = "a long random text of the application"
    app.config["PROPAGATE_EXCEPTIONS"] = True
    return app, Sessions(schema, app, serializer=serializer)


@pytest.mark.parametrize("schema", [Visitor, DataVisitor, StructVisitor, ModelVisitor, KeyedVisitor, None])
async def test_keys_and_defaults_may_be_given_by_name_as_in_flasks_session(schema: Any) -> None:
    app, _ = application(schema)
    async with app.test_request_context("/"):
        opened: Any = session
        assert opened.get("user_id", default=0) == opened.get(key="user_id", default=0) == 0
        assert opened.pop("user_id", default=1) == opened.pop(key="user_id", default=1) == 1
        assert opened.setdefault(key="user_id", default=7) == opened.setdefault("user_id", 8) == 7
        assert opened.get(key="user_id") == opened.pop(key="user_id") == 7
        with pytest.raises(KeyError):
            opened.pop("user_id")
        assert opened.setdefault("user_id") is None
        assert "user_id" in opened


@pytest.mark.parametrize("call", ["pop", "setdefault"])
def test_a_null_session_takes_them_by_name_and_refuses(call: str) -> None:
    null = NullSession(schema=Visitor)
    assert null.get("user_id", default=7) == null.get(key="user_id", default=7) == 7
    with pytest.raises(RuntimeError, match="SECRET_KEY"):
        getattr(null, call)(key="user_id", default=7)
    with pytest.raises(RuntimeError, match="SECRET_KEY"):
        assert null.data is None


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
@pytest.mark.parametrize(
    "make", [box, data_box, struct_box, model_box, Maker(), Maker().__call__, partial(box_of, 7), partial(Box[int], 7)]
)
async def test_a_function_may_return_a_generic_class_with_its_arguments(
    make: Callable[[], Any], serializer: SerializerName
) -> None:
    app, sessions = application(make, serializer)

    @app.get("/")
    async def index() -> str:
        sessions.data.held += 1
        with pytest.raises(TypeError, match=r"held must be int \| None, not str"):
            session["held"] = "7"
        return str(sessions.data.held)

    client = app.test_client()
    assert [await (await client.get("/")).get_data(as_text=True) for _ in range(3)] == ["8", "9", "10"]


def test_a_function_that_is_not_annotated_and_returns_a_generic_class_is_told_what_to_write() -> None:
    with pytest.raises(SchemaError, match=r"^Box\.held: T has no argument; .* annotated to return that$"):
        Sessions(lambda: Box(7))


@pytest.mark.parametrize("schema", [Undecorated, UndecoratedFrozen, Holder, make_undecorated])
def test_a_subclass_of_an_attrs_class_that_is_none_itself_is_refused(schema: Any) -> None:
    with pytest.raises(
        SchemaError, match=r"^Undecorated(Frozen)? is based on the attrs class .*; decorate it.*@define$"
    ):
        Sessions(schema)


def test_a_field_that_a_subclass_of_a_dataclass_only_annotates_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"^UndecoratedData\.level would not be stored, .* @dataclass$"):
        Sessions(UndecoratedData)
    assert Schema(UndecoratedDataWithMethods).create() == UndecoratedDataWithMethods()


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
@pytest.mark.parametrize("schema", [Visitor, DataVisitor, StructVisitor, ModelVisitor, KeyedVisitor])
async def test_a_wrong_value_in_the_data_is_named_at_the_save_as_it_is_by_key(
    schema: Any, serializer: SerializerName
) -> None:
    app, sessions = application(schema, serializer)

    @app.get("/")
    async def index() -> str:
        with pytest.raises(TypeError) as by_key:
            session["user_id"] = "7"
        said.append(str(by_key.value))
        if schema is KeyedVisitor:
            sessions.data["user_id"] = "7"
        else:
            sessions.data.user_id = "7"
        return ""

    said: list[str] = []
    with pytest.raises(SerializationError) as at_save:
        await app.test_client().get("/")
    assert said == [f"{schema.__name__}.user_id must be int | None, not str"]
    assert said[0] in str(at_save.value)
    assert "set in .data" in str(at_save.value)


async def test_a_wrong_value_within_the_data_is_named_by_its_place() -> None:
    app, sessions = application(Visitor)

    @app.get("/")
    async def index() -> str:
        sessions.data.cart.append(7)
        return ""

    with pytest.raises(
        SerializationError,
        match=r"field cart\[0\] must be str, not int; it was set in \.data.* Visitor\.cart\[0\] must",
    ):
        await app.test_client().get("/")


@pytest.mark.parametrize("schema", [None, Visitor, DataVisitor, StructVisitor, ModelVisitor, KeyedVisitor])
@pytest.mark.parametrize("refresh", [True, False])
def test_a_bare_interface_would_refresh_a_permanent_session_that_a_program_made(schema: Any, refresh: bool) -> None:
    app = Quart(__name__)
    app.secret_key = "a long random text of the application"
    app.config["SESSION_REFRESH_EACH_REQUEST"] = refresh
    app.permanent_session_lifetime = timedelta(days=1)
    interface = SecureCookieSessionInterface[Any](schema)
    permanent = SecureCookieSession[Any]({"_permanent": True, "user_id": 7}, schema=schema)
    assert interface.should_set_cookie(app, permanent) is refresh
    assert not permanent.accessed
    assert not interface.should_set_cookie(app, SecureCookieSession[Any]({"user_id": 7}, schema=schema))
    assert not interface.should_set_cookie(app, SecureCookieSession[Any](schema=schema))


def test_an_interface_says_of_quarts_own_session_what_quarts_does() -> None:
    app = Quart(__name__)
    app.secret_key = "a long random text of the application"
    interface: Any = SecureCookieSessionInterface(Visitor)
    for permanent in (True, False):
        foreign = quart.sessions.SecureCookieSession({"_permanent": permanent, "user_id": 7})
        assert interface.should_set_cookie(app, foreign) is permanent
        foreign["user_id"] = 8
        assert interface.should_set_cookie(app, foreign)


def test_what_takes_anybodys_sessions_needs_no_framework() -> None:
    assert "SessionsLike" in typed_sessions.__all__

    class Fixed:
        """Sessions of no framework."""

        current = SecureCookieSession(schema=Visitor)
        data = Visitor(user_id=7)

    def user_of(sessions: SessionsLike[Visitor]) -> int | None:
        return sessions.data.user_id

    assert user_of(Fixed()) == 7


def test_the_name_that_was_meant_is_found_when_it_is_asked_for() -> None:
    def declared() -> list[str]:
        return [f"field_{number}" for number in range(500)]

    refused = [UndeclaredKeyError("feild_7" * 10_000, declared()) for _ in range(1_000)]
    assert str(UndeclaredKeyError("feild_7", declared())).endswith('did you mean "field_7"?')
    assert refused[0].closest is None
