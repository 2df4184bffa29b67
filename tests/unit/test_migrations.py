"""Steps from one version of a schema to the next."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, TypedDict, TypeVar, cast
from uuid import UUID

import pytest
from attrs import Factory, define

from typed_sessions import Formerly, Schema, SchemaError, SerializationError, migration
from typed_sessions.codec.codec import Codec, Loaded
from typed_sessions.codec.contents import contents_of
from typed_sessions.reports import Reason, Refused, UndeclaredNestedKeys
from typed_sessions.schema.migrations import Migrations
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer

T = TypeVar("T")

SERIALIZERS = pytest.mark.parametrize(
    "serializer",
    [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()],
    ids=["tagged-json", "msgspec-json", "msgspec-msgpack"],
)


@define
class Visitor:
    first: str = ""
    last: str = ""
    visits: int = 0


calls: list[int] = []


@migration(Visitor, 1)
def split_name(values: dict[str, object]) -> dict[str, object]:
    calls.append(1)
    name = values.pop("name", None)
    if isinstance(name, str):
        values["first"], _, values["last"] = name.partition(" ")
    return values


@migration(Visitor, 2)
def count_visits(values: dict[str, object]) -> dict[str, object]:
    calls.append(2)
    seen = values.pop("seen", ())
    return {**values, "visits": len(cast("tuple[object, ...]", seen))}


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def codec(serializer: Any = None, schema: Any = Visitor) -> Codec[Any]:
    return Codec(Schema[Any](schema), serializer or TaggedJSONSerializer())


def decoded(payload: bytes, schema: Any = Visitor) -> Loaded[Any]:
    outcome = codec(schema=schema).decode(payload)
    assert isinstance(outcome, Loaded)
    return outcome


def plain_payload(serializer: Any, plain: dict[str, object]) -> bytes:
    payload = serializer.dumps(plain)
    return payload.encode() if isinstance(payload, str) else cast("bytes", payload)


@SERIALIZERS
def test_steps_take_old_values_as_the_serializer_brings_them_back(serializer: Any) -> None:
    days = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    outcome = codec(serializer).decode(plain_payload(serializer, {"name": "Ada L", "seen": days, "_x": (1,)}))
    assert isinstance(outcome, Loaded)
    assert outcome.contents.data == Visitor("Ada", "L", 2)
    assert outcome.contents.stored()["_x"] == (1,)
    assert calls == [1, 2]


@pytest.mark.parametrize(
    ("version", "run"),
    [(0, [1, 2]), (1, [2]), (2, []), (7, [])],
    ids=["none", "from-the-first", "present", "later-release"],
)
def test_only_the_steps_that_are_missing_run(version: int, run: list[int]) -> None:
    decoded(b'{"name":"Ada L","_version":%d}' % version)
    assert calls == run


def test_the_version_is_written_and_is_no_key_of_the_session() -> None:
    outcome = decoded(b'{"name":"Ada"}')
    assert "_version" not in outcome.contents
    payload = codec().write_stored(outcome.contents.stored()).payload
    assert payload == b'{"first":"Ada","last":"","visits":0,"_version":2}'
    calls.clear()
    assert decoded(payload).contents.data == Visitor("Ada")
    assert calls == []


def test_a_later_version_is_kept_so_that_no_step_runs_twice() -> None:
    outcome = decoded(b'{"first":"Ada","later":1,"_version":7}')
    snapshot = outcome.snapshot
    assert snapshot.version == 7
    assert codec().payload(outcome.contents.stored(), snapshot.version) == b'{"first":"Ada","later":1,"_version":7}'
    outcome.contents.data.first = "Grace"
    changes = snapshot.codec.diff(outcome.contents, snapshot)
    assert changes is not None
    assert snapshot.codec.encode(snapshot, changes).payload == b'{"first":"Grace","later":1,"_version":7}'


def test_a_migration_is_no_change() -> None:
    payload = b'{"name":"Ada L"}'
    outcome = decoded(payload)
    snapshot = outcome.snapshot
    assert snapshot.codec.diff(outcome.contents, snapshot) is None
    assert snapshot.payload == payload
    outcome.contents.data.visits += 1
    assert snapshot.codec.diff(outcome.contents, snapshot) is not None


def test_a_step_whose_result_changes_each_time_is_no_change_either() -> None:
    tokens = iter(("one", "two", "three"))

    @define
    class Token:
        token: str = ""

    @migration(Token, 1)
    def make_token(values: dict[str, object]) -> dict[str, object]:
        return {**values, "token": next(tokens)}

    payload = b'{"a":1}'
    read = Codec(Schema(Token), TaggedJSONSerializer())
    outcome = read.decode(payload)
    assert isinstance(outcome, Loaded)
    assert read.diff(outcome.contents, outcome.snapshot) is None


@define
class Booking:
    """Fields of types that no serializer, or not every one, has in its payloads."""

    price: Decimal = Decimal(0)
    day: Annotated[date | None, Formerly("arrival")] = None
    stay: timedelta = timedelta()
    rooms: set[int] = Factory(set[int])
    guests: list[UUID] = Factory(list[UUID])
    either: Decimal | str = ""


NATIVE: dict[str, object] = {
    "price": Decimal("1.50"),
    "stay": timedelta(days=2),
    "rooms": {1, 2},
    "guests": [UUID(int=7)],
    "either": Decimal("2.0"),
}


@migration(Booking, 1)
def to_native_values(values: dict[str, object]) -> dict[str, object]:
    return {**values, **NATIVE, "arrival": date(2026, 1, 2)}


@pytest.mark.parametrize(
    "serializer",
    [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer(), json],
    ids=["tagged-json", "msgspec-json", "msgspec-msgpack", "json"],
)
def test_a_step_may_return_values_of_the_fields_own_types_in_every_format(serializer: Any) -> None:
    read = codec(serializer, Booking)
    payload = plain_payload(serializer, {"old": 1})
    outcome = read.decode(payload)
    assert isinstance(outcome, Loaded)
    assert outcome.reports == ()
    assert outcome.contents.stored() == {"old": 1, **NATIVE, "day": date(2026, 1, 2)}
    assert read.diff(outcome.contents, outcome.snapshot) is None


@define
class Nested:
    kept: int = 0


@define
class Holding:
    held: Nested = Factory(Nested)


@migration(Holding, 1)
def to_a_later_form(values: dict[str, object]) -> dict[str, object]:
    return {**values, "held": {"kept": 1, "later": 2}}


def test_what_a_step_returns_and_no_class_declares_is_reported() -> None:
    outcome = decoded(b"{}", Holding)
    assert outcome.reports == (UndeclaredNestedKeys("Nested", 1),)
    assert b'"later":2' in outcome.snapshot.source
    assert outcome.snapshot.payload == b"{}"


@define
class Ticket:
    sku: str = ""
    token: str = Factory(secrets.token_hex)


@define
class Order:
    ticket: Ticket | None = None


@migration(Order, 1)
def to_a_ticket(values: dict[str, object]) -> dict[str, object]:
    return {"ticket": {"sku": values["sku"]}}


@SERIALIZERS
def test_a_default_that_was_generated_for_what_a_step_returns_is_no_change(serializer: Any) -> None:
    read = codec(serializer, Order)
    payload = plain_payload(serializer, {"sku": "a"})
    outcome = read.decode(payload)
    assert isinstance(outcome, Loaded)
    assert read.diff(outcome.contents, outcome.snapshot) is None
    outcome.contents.data.ticket.token = "another"
    assert read.diff(outcome.contents, outcome.snapshot) is not None


def failing(values: dict[str, object]) -> dict[str, object]:
    raise ValueError(values["name"])


def returning_nothing(values: dict[str, object]) -> Any:
    values.clear()


def returning_an_object(values: dict[str, object]) -> dict[str, object]:
    return {**values, "name": object()}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        pytest.param(failing, "to version 1: ValueError", id="raising"),
        pytest.param(returning_nothing, "to version 1: it returned NoneType instead of a dict", id="no-dict"),
        pytest.param(returning_an_object, "what the steps return cannot be written", id="unwritable"),
    ],
)
def test_a_step_that_fails_refuses_the_session_and_says_no_data(step: Any, said: str) -> None:
    @define
    class Broken:
        name: str = ""

    migration(Broken, 1)(step)
    refused = codec(schema=Broken).decode(b'{"name":"a secret"}')
    assert refused == Refused(Reason.MIGRATION, step=said)


@pytest.mark.parametrize("version", ['"1"', "-1", "1.0", "2.0", "true", "null", "[1]"])
def test_a_version_that_is_no_number_refuses_the_session(version: str) -> None:
    outcome = codec().decode(b'{"_version":%s}' % version.encode())
    assert outcome == Refused(Reason.MIGRATION, step="the version is no number")


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("version", [b'"x"', b"0", b"1"])
def test_a_class_without_migrations_has_the_key_for_itself(version: bytes, compiled: bool) -> None:
    @define
    class Plain:
        n: int = 0

    plain = Codec(Schema(Plain), TaggedJSONSerializer(), generates=compiled)
    outcome = plain.decode(b'{"n":1,"_version":%s}' % version)
    assert isinstance(outcome, Loaded)
    assert outcome.contents.stored() == {"n": 1, "_version": json.loads(version)}
    assert plain.payload(outcome.contents.stored()) == b'{"n":1,"_version":%s}' % version


def test_the_key_cannot_be_used_beside_migrations() -> None:
    contents = contents_of(codec().schema, {})
    contents.store("_version", 3)
    with pytest.raises(SerializationError, match="_version belongs to the migrations"):
        codec().payload(contents.stored())


class Keyed(TypedDict, total=False):
    n: int


@define
class Box(Generic[T]):
    held: T | None = None


def made() -> Visitor:
    return Visitor("made")


@pytest.mark.parametrize("schema", [Keyed, Box[int], made], ids=["typeddict", "generic", "function"])
def test_every_kind_of_schema_has_steps_of_its_own(schema: Callable[[], object]) -> None:
    @migration(schema, 1)
    def add(values: dict[str, object]) -> dict[str, object]:
        return {**values, "added": True}

    assert decoded(b'{"a":1}', schema).contents.stored()["added"] is True
    assert Migrations(Visitor).version == 2


def test_a_subclass_has_steps_of_its_own() -> None:
    @define
    class Admin(Visitor):
        pass

    assert Migrations(Admin).version == 0


def test_steps_that_are_registered_after_the_set_up_count() -> None:
    @define
    class Late:
        n: int = 0

    read = codec(schema=Late)

    @migration(Late, 1)
    def double(values: dict[str, object]) -> dict[str, object]:
        return {"n": cast("int", values["n"]) * 2}

    outcome = read.decode(b'{"n":2}')
    assert isinstance(outcome, Loaded)
    assert outcome.contents.data == Late(4)


@pytest.mark.parametrize("version", [0, -1, True])
def test_a_version_is_counted_from_one(version: int) -> None:
    with pytest.raises(SchemaError, match="leads to version 1, 2, 3"):
        migration(Visitor, version)


def test_two_steps_to_one_version_are_refused() -> None:
    with pytest.raises(SchemaError, match="split_name leads to version 1 already"):
        migration(Visitor, 1)(count_visits)


def same(values: dict[str, object]) -> dict[str, object]:
    return values


def test_a_gap_between_steps_is_refused() -> None:
    @define
    class Gap:
        n: int = 0

    migration(Gap, 2)(same)
    with pytest.raises(SchemaError, match="Gap has a migration to version 2, and none to 1"):
        Migrations(Gap).check("Gap", ["n"])


def test_a_field_under_the_key_of_the_version_is_refused() -> None:
    @define
    class Versioned:
        _version: int = 0

    fields: Mapping[str, object] = Schema(Versioned).fields
    Migrations(Versioned).check("Versioned", fields.keys())
    migration(Versioned, 1)(same)
    with pytest.raises(SchemaError, match=r"Versioned\._version: .*rename the field"):
        Migrations(Versioned).check("Versioned", fields.keys())


@pytest.mark.parametrize(("version", "goes"), [(2, True), (3, False)])
def test_of_payloads_that_need_no_step_only_the_present_version_takes_the_generated_path(
    version: int, goes: bool
) -> None:
    outcome = decoded(b'{"first":"Ada","extra":1,"_version":%d}' % version)
    assert (outcome.snapshot.decoded is not None) is goes


class Stepped(TypedDict, total=False):
    """A TypedDict with a step."""

    visits: int


@migration(Stepped, 1)
def begin_to_count(values: dict[str, object]) -> dict[str, object]:
    return {"visits": 0, **values}


@pytest.mark.parametrize("compiled", [True, False])
@SERIALIZERS
def test_the_version_is_no_key_of_the_data(serializer: Any, compiled: bool) -> None:
    for schema, stored in ((Stepped, {"visits": 7, "extra": 1}), (Visitor, {"first": "Ada", "extra": 1})):
        stepped: Codec[Any] = Codec(Schema[Any](schema), serializer, generates=compiled)
        payload = stepped.payload(stored)
        outcome = stepped.decode(payload)
        assert isinstance(outcome, Loaded)
        assert outcome.contents.stored() == stored
        assert outcome.contents.keys() == list(stored)
        assert stepped.diff(outcome.contents, outcome.snapshot) is None
        assert stepped.write(outcome.contents, outcome.snapshot.version).payload == payload


@pytest.mark.parametrize("compiled", [True, False])
@SERIALIZERS
def test_a_change_is_written_with_the_version(serializer: Any, compiled: bool) -> None:
    stepped: Codec[Any] = Codec(Schema[Any](Visitor), serializer, generates=compiled)
    payload = stepped.payload({"first": "Ada", "extra": 1})
    outcome = stepped.decode(payload)
    assert isinstance(outcome, Loaded)
    outcome.contents.data.first = "Grace"
    changes = stepped.diff(outcome.contents, outcome.snapshot)
    assert changes is not None
    assert (changes.is_generated) is compiled
    assert stepped.encode(outcome.snapshot, changes).payload == stepped.payload({"first": "Grace", "extra": 1})


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("version", [0, 1, 2, 7])
def test_what_is_written_anew_has_the_later_version(version: int, compiled: bool) -> None:
    stepped: Codec[Any] = Codec(Schema[Any](Visitor), TaggedJSONSerializer(), generates=compiled)
    written = stepped.write(contents_of(stepped.schema, {"first": "Ada"}), version)
    assert written.payload == b'{"first":"Ada","_version":%d}' % max(version, 2)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_change_cannot_use_the_key_beside_migrations(compiled: bool) -> None:
    stepped: Codec[Any] = Codec(Schema[Any](Visitor), TaggedJSONSerializer(), generates=compiled)
    with pytest.raises(SerializationError, match="_version belongs to the migrations"):
        stepped.write(contents_of(stepped.schema, {"_version": 7}))
    outcome = stepped.decode(b'{"first":"Ada","_version":2}')
    assert isinstance(outcome, Loaded)
    outcome.contents.store("_version", 7)
    changes = stepped.diff(outcome.contents, outcome.snapshot)
    assert changes is not None
    with pytest.raises(SerializationError, match="_version belongs to the migrations"):
        stepped.encode(outcome.snapshot, changes)
