"""A datetime is a date to Python, and never one to a field: refused where it is set, or else at the save, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, TypedDict

import attrs
import msgspec
import pytest
from attrs import Factory, define, resolve_types
from quart import Quart

from tests.cases import for_each
from tests.through_data import set_in_data
from typed_sessions import FieldTypeError, Schema, SchemaError, SecureCookieSession, SerializationError
from typed_sessions.quart import Sessions

SECRET = "a secret key that is long enough"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FORMATS = pytest.mark.parametrize("name", ["tagged-json", "msgspec-json", "msgspec-msgpack"])


@define
class Inner:
    day: date = date(2026, 1, 1)


@define
class Mutable:
    day: date = date(2026, 1, 1)
    maybe: date | None = None
    days: list[date] = Factory(list[date])
    by_name: dict[str, date] = Factory(dict[str, date])
    by_day: dict[date, int] = Factory(dict[date, int])
    pair: tuple[date, int] | None = None
    few: frozenset[date] = frozenset()
    union: date | str | None = None
    inner: Inner = Factory(Inner)


@define
class Validated(Mutable):
    def __attrs_post_init__(self) -> None:
        """Make it a class with code of its own."""


@dataclasses.dataclass
class Data:
    day: date = date(2026, 1, 1)
    maybe: date | None = None
    days: list[date] = dataclasses.field(default_factory=list[date])
    by_name: dict[str, date] = dataclasses.field(default_factory=dict[str, date])
    by_day: dict[date, int] = dataclasses.field(default_factory=dict[date, int])
    pair: tuple[date, int] | None = None
    few: frozenset[date] = frozenset()
    union: date | str | None = None
    inner: Inner = dataclasses.field(default_factory=Inner)


class Record(msgspec.Struct):
    day: date = date(2026, 1, 1)
    maybe: date | None = None
    days: list[date] = msgspec.field(default_factory=list[date])
    by_name: dict[str, date] = msgspec.field(default_factory=dict[str, date])
    by_day: dict[date, int] = msgspec.field(default_factory=dict[date, int])
    pair: tuple[date, int] | None = None
    few: frozenset[date] = frozenset()
    union: date | str | None = None
    inner: Inner = msgspec.field(default_factory=Inner)


Frozen: Any = attrs.make_class(
    "Frozen",
    {field.name: attrs.field(default=field.default, type=field.type) for field in attrs.fields(resolve_types(Mutable))},
    frozen=True,
)


class Keys(TypedDict, total=False):
    day: date
    maybe: date | None
    days: list[date]
    by_name: dict[str, date]
    by_day: dict[date, int]
    pair: tuple[date, int] | None
    few: frozenset[date]
    union: date | str | None
    inner: Inner


KINDS = pytest.mark.parametrize("kind", [Mutable, Frozen, Validated, Data, Record, Keys])
PLACES: dict[str, Callable[[], tuple[str, object]]] = {
    "day": lambda: ("day", MOMENT),
    "maybe": lambda: ("maybe", MOMENT),
    "days[1]": lambda: ("days", [date(2026, 1, 2), MOMENT]),
    "by_name[...]": lambda: ("by_name", {"a": MOMENT}),
    "by_day (a key)": lambda: ("by_day", {MOMENT: 1}),
    "pair[0]": lambda: ("pair", (MOMENT, 1)),
    "few[0]": lambda: ("few", frozenset({MOMENT})),
    "union": lambda: ("union", MOMENT),
    "inner.day": lambda: ("inner", Inner(MOMENT)),
}


@KINDS
@pytest.mark.parametrize("place", PLACES)
def test_a_datetime_for_a_date_is_refused_at_that_line(kind: Any, place: str) -> None:
    session = SecureCookieSession[object](schema=Schema[object](kind))
    name, value = PLACES[place]()
    ways: list[Callable[[], object]] = [
        lambda: session.__setitem__(name, value),
        lambda: session.update({name: value}),
        lambda: session.setdefault(name, value),
        lambda: session.promote(**{name: value}),
        lambda: session.replace(kind(**{name: value})),
    ]
    for way in ways:
        with pytest.raises(FieldTypeError, match="not datetime") as refusal:
            way()
        assert f".{place} must be date" in str(refusal.value)
    assert not session


@FORMATS
@KINDS
@for_each("place", PLACES)
async def test_a_datetime_for_a_date_is_named_at_the_save(name: str, kind: Any, place: str) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name, PROPAGATE_EXCEPTIONS=True)
    sessions = Sessions[object](kind, app)
    field, value = PLACES[place]()

    @app.get("/")
    async def page() -> str:
        set_in_data(sessions.data, field, value)
        return ""

    with pytest.raises(SerializationError, match="not datetime") as refusal:
        await app.test_client().get("/")
    assert f"session field {place} must be date" in str(refusal.value)


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(define(type("Bad", (), {"__annotations__": {"day": date}, "day": MOMENT})), id="attrs"),
        pytest.param(dataclasses.make_dataclass("Bad", [("day", date, MOMENT)]), id="dataclass"),
        pytest.param(msgspec.defstruct("Bad", [("day", date, MOMENT)]), id="struct"),
        pytest.param(lambda: Mutable(day=MOMENT), id="function"),
    ],
)
def test_a_datetime_as_the_default_of_a_date_is_refused(declared: Any) -> None:
    with pytest.raises(SchemaError, match=r"\.day: the default must be date, not datetime"):
        Schema[Any](declared)
