"""A change of several keys is made as a whole, or not at all, whoever refuses it."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypedDict, cast

import attrs
import msgspec
import pytest
from attrs import Factory, define, field
from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, field_validator
from quart import Quart
from typing_extensions import override

from tests.cases import for_each
from typed_sessions import (
    FieldTypeError,
    FieldValueError,
    Formerly,
    SecureCookieSession,
    Subject,
    UndeclaredKeyError,
)
from typed_sessions.core.session import state_of
from typed_sessions.quart import Sessions

SECRET = "a secret key that is long enough"
WRONG: Any = "not a number"


def refuse_text(_instance: object, _attribute: object, value: object) -> None:
    if not isinstance(value, int) or value < 0:
        raise ValueError("no age")


def whole(value: Any) -> int:
    return int(value)


@define
class Plain:
    user_id: Annotated[int | None, Subject] = None
    age: int = 0
    cart: list[str] = Factory(list[str])


@define
class Converted:
    user_id: Annotated[int | None, Subject] = None
    age: int = field(default=0, converter=whole)
    cart: list[str] = Factory(list[str])


@define
class Validated:
    user_id: Annotated[int | None, Subject] = None
    age: object = field(default=0, validator=refuse_text)
    cart: list[str] = Factory(list[str])


@define(slots=False)
class Hooked:
    user_id: Annotated[int | None, Subject] = None
    age: object = field(default=0, on_setattr=lambda self, _, value: self.aged(value))
    cart: list[str] = Factory(list[str])
    changes: int = field(default=0, init=False)

    def aged(self, value: object) -> int:
        self.changes += 1
        self.cart = [*self.cart, "half done"]
        return whole(value)


@define
class PartlyFrozen:
    user_id: Annotated[int | None, Subject] = None
    age: object = field(default=0, validator=refuse_text, on_setattr=attrs.setters.frozen)
    cart: list[str] = Factory(list[str])


@define(frozen=True)
class Frozen:
    user_id: Annotated[int | None, Subject] = None
    age: int = field(default=0, converter=whole)
    cart: list[str] = Factory(list[str])


@dataclass
class Guarded:
    user_id: Annotated[int | None, Subject] = None
    age: object = 0
    cart: list[str] = dataclasses.field(default_factory=list[str])

    @override
    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, whole(value) if name == "age" else value)


@dataclass
class WithProperty:
    user_id: Annotated[int | None, Subject] = None
    age: object = 0
    cart: list[str] = dataclasses.field(default_factory=list[str])


def _get_age(self: Any) -> object:
    return self._age


def _set_age(self: Any, value: object) -> None:
    self._tried = value
    self._age = whole(value)


cast("Any", WithProperty).age = property(_get_age, _set_age)


@dataclass(frozen=True, slots=True)
class Checked:
    user_id: Annotated[int | None, Subject] = None
    age: object = 0
    cart: list[str] = dataclasses.field(default_factory=list[str])

    def __post_init__(self) -> None:
        whole(self.age)


class GuardedStruct(msgspec.Struct, dict=True):
    user_id: Annotated[int | None, Subject] = None
    age: object = 0
    cart: list[str] = []

    @override
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, whole(value) if name == "age" else value)


class CheckedStruct(msgspec.Struct, frozen=True):
    user_id: Annotated[int | None, Subject] = None
    age: object = 0
    cart: list[str] = []

    def __post_init__(self) -> None:
        whole(self.age)


class Model(BaseModel):
    user_id: Annotated[int | None, Subject] = None
    age: Annotated[int, Field(ge=0)] = 0
    cart: list[str] = []
    _tried: int = PrivateAttr(default=0)

    @field_validator("age")
    @classmethod
    def whole(cls, age: int) -> int:
        return age


class GuardedModel(BaseModel):
    user_id: Annotated[int | None, Subject] = None
    age: Annotated[object, AfterValidator(whole)] = 0
    cart: list[str] = []


class FrozenModel(BaseModel, frozen=True):
    user_id: Annotated[int | None, Subject] = None
    age: Annotated[object, AfterValidator(whole)] = 0
    cart: list[str] = []


class UncopyableError(Exception):
    """What a class raises whose author refuses copies."""


@define(slots=False)
class OneOfAKind:
    user_id: Annotated[int | None, Subject] = None
    age: int = field(default=0, converter=whole)
    cart: list[str] = Factory(list[str])

    def __copy__(self) -> OneOfAKind:
        raise UncopyableError

    @override
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise UncopyableError


class Keyed(TypedDict, total=False):
    user_id: Annotated[int | None, Subject]
    age: int
    cart: list[str]


def made() -> Converted:
    return Converted()


SCHEMAS: dict[str, Any] = {
    "plain": Plain,
    "converter": Converted,
    "validator": Validated,
    "hook": Hooked,
    "frozen-attribute": PartlyFrozen,
    "frozen": Frozen,
    "dataclass": Guarded,
    "property": WithProperty,
    "frozen-dataclass": Checked,
    "struct": GuardedStruct,
    "frozen-struct": CheckedStruct,
    "model": Model,
    "guarded-model": GuardedModel,
    "frozen-model": FrozenModel,
    "uncopyable": OneOfAKind,
    "typeddict": Keyed,
    "function": made,
}
every_schema = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)

CHANGES: dict[str, Callable[[Any, dict[str, object]], object]] = {
    "update": lambda session, values: session.update(values),
    "update-pairs": lambda session, values: session.update(list(values.items())),
    "ior": lambda session, values: session.__ior__(values),
    "promote": lambda session, values: session.promote(**values),
}
every_change = for_each("change", CHANGES.values(), ids=CHANGES)


def held(data: Any) -> object:
    """Return all that an object holds, nested containers as they are now."""
    names = [each for each in ("user_id", "age", "cart", "changes") if hasattr(data, each)]
    hidden = dict(data) if isinstance(data, dict) else dict(getattr(data, "__dict__", {}))
    return [list(value) if isinstance(value, list) else value for value in (getattr(data, name) for name in names)], {
        name: list(value) if isinstance(value, list) else value for name, value in hidden.items()
    }


def state(session: SecureCookieSession[Any]) -> list[object]:
    return [
        list(session.items()),
        list(session.extras),
        held(session.data),
        session.modified,
        state_of(session).wants_writing,
    ]


@every_schema
@every_change
@pytest.mark.parametrize("assigned", [None, True, False], ids=["unassigned", "assigned", "denied"])
def test_a_refused_change_leaves_everything_as_it_was(
    schema: Any, change: Callable[[Any, dict[str, object]], object], assigned: bool | None
) -> None:
    session = SecureCookieSession({"_first": 1, "age": 0, "cart": ["a"]}, schema=schema)
    if assigned is not None:
        session.modified = assigned
    before, data, cart = state(session), session.data, session["cart"]
    with pytest.raises(FieldTypeError, match="age"):
        change(session, {"_flashes": [1], "cart": ["b"], "user_id": 7, "age": WRONG, "_last": 2})
    assert state(session) == before
    assert session.data is data
    assert session["cart"] is cart
    with pytest.raises(FieldTypeError, match="age"):
        session["age"] = WRONG
    assert state(session) == before
    del session["age"]
    with pytest.raises(FieldTypeError, match="age"):
        session.setdefault("age", WRONG)
    assert "age" not in session


@every_schema
@every_change
def test_a_change_is_made_in_the_order_given_in_the_object_that_was_there(
    schema: Any, change: Callable[[Any, dict[str, object]], object]
) -> None:
    session: SecureCookieSession[Any] = SecureCookieSession({"cart": ["a"]}, schema=schema)
    data = session.data
    change(session, {"_flashes": [1], "age": 3, "cart": ["b"], "user_id": 7})
    assert list(session)[:4] == ["cart", "_flashes", "age", "user_id"]
    assert (session["user_id"], session["age"]) == (7, 3)
    frozen = schema in (Frozen, Checked, CheckedStruct, FrozenModel)
    assert (session.data is data) is not frozen
    if not frozen and schema is not Keyed:
        assert (data.user_id, data.age) == (7, 3)


@pytest.mark.parametrize("store", [None, "memory://"], ids=["cookie", "store"])
@every_schema
async def test_a_login_that_is_refused_logs_nobody_in(schema: Any, store: str | None) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_STORE=store)
    sessions: Sessions[Any] = Sessions(schema, app)

    @app.get("/cart")
    async def cart() -> str:
        sessions.current["cart"] = ["a"]
        return ""

    @app.get("/login")
    async def login() -> str:
        sessions.current.promote(user_id=7, age=WRONG)
        return ""

    @app.get("/caught")
    async def caught() -> str:
        with pytest.raises(FieldTypeError):
            sessions.current.promote(user_id=7, age=WRONG)
        return ""

    @app.get("/")
    async def page() -> str:
        return str(dict(sessions.current))

    client = app.test_client()
    await client.get("/cart")
    for path, status in (("/login", 500), ("/caught", 200)):
        answer = await client.get(path)
        assert answer.status_code == status
        assert "Set-Cookie" not in answer.headers
        assert await (await client.get("/")).get_data(as_text=True) == "{'cart': ['a']}"


class Stop(BaseException):
    """As KeyboardInterrupt, or the cancellation of a task."""


@pytest.mark.parametrize("error", [Stop, KeyError, AttributeError, RecursionError], ids=lambda error: error.__name__)
@every_change
def test_whatever_a_validator_raises_nothing_is_half_done(
    error: type[BaseException], change: Callable[[Any, dict[str, object]], object]
) -> None:
    def refuse(_instance: object, _attribute: object, value: int) -> None:
        if value:
            raise error

    @define
    class Picky:
        user_id: int | None = None
        age: int = field(default=0, validator=refuse)

    session = SecureCookieSession({"user_id": 1}, schema=Picky)
    with pytest.raises(Stop if error is Stop else FieldValueError):
        change(session, {"user_id": 7, "age": 1})
    assert (dict(session), session.data) == ({"user_id": 1}, Picky(1))
    assert not state_of(session).wants_writing


def pairs() -> Iterator[tuple[str, object]]:
    yield "user_id", 7
    raise LookupError("midway")


class Torn(Mapping[str, object]):
    """A mapping that fails while it is read."""

    @override
    def __getitem__(self, key: str) -> object:
        if key == "age":
            raise LookupError("midway")
        return 7

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(("user_id", "age"))

    @override
    def __len__(self) -> int:
        return 2


class TornKeys(Torn):
    @override
    def __iter__(self) -> Iterator[str]:
        yield "user_id"
        raise LookupError("midway")


@pytest.mark.parametrize("values", [pairs, Torn, TornKeys], ids=["generator", "mapping", "keys"])
@every_schema
def test_what_fails_while_it_is_read_stores_nothing(schema: Any, values: Callable[[], Any]) -> None:
    session: SecureCookieSession[Any] = SecureCookieSession({"age": 3}, schema=schema)
    before = state(session)
    for change in (session.update, session.__ior__):
        with pytest.raises(LookupError, match="midway"):
            change(values())
    assert state(session) == before


def test_an_earlier_name_or_a_forbidden_key_stores_nothing_of_its_change() -> None:
    @define
    class Renamed:
        user_id: Annotated[int | None, Formerly("uid")] = None
        age: int = field(default=0, converter=whole)

    session = SecureCookieSession({"age": 1}, schema=Renamed)
    with pytest.raises(UndeclaredKeyError, match="user_id"):
        session.update({"age": 2, "uid": 7})
    with pytest.raises(UndeclaredKeyError, match="user_id"):
        session.promote(age=2, uid=7)
    assert dict(session) == {"age": 1}
    assert not state_of(session).wants_writing


@pytest.mark.parametrize("last", ["user_id", "other", "uid"], ids=["declared", "forbidden", "an earlier name"])
@pytest.mark.parametrize("pairs_of", [dict, iter], ids=["mapping", "pairs"])
async def test_extras_take_all_keys_or_none(last: str, pairs_of: Callable[[Any], Any]) -> None:
    @define
    class Renamed:
        user_id: Annotated[int | None, Formerly("uid")] = None

    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_EXTRAS={"csrf_token", "theme"})
    sessions = Sessions(Renamed, app)

    @app.get("/")
    async def page() -> str:
        extras = sessions.current.extras
        extras.update(pairs_of([("theme", "dark")]), csrf_token="t")
        with pytest.raises(KeyError, match=last):
            extras.update(pairs_of([("theme", "light"), (last, 7)]))
        return str(dict(sessions.current))

    response = await app.test_client().get("/")
    assert await response.get_data(as_text=True) == "{'theme': 'dark', 'csrf_token': 't'}"


@every_schema
def test_replaced_data_that_is_refused_stays_as_it_is_and_replaces_nothing(schema: Any) -> None:
    if schema in (Guarded, WithProperty, GuardedStruct, CheckedStruct, Checked, Hooked, Validated, PartlyFrozen):
        return  # their age is anything
    if schema in (GuardedModel, FrozenModel):
        return  # as above
    session: SecureCookieSession[Any] = SecureCookieSession({"age": 1}, schema=schema)
    session.modified = False
    before, data = state(session), session.data
    if schema is Keyed:
        other: Any = {"user_id": True, "age": WRONG}
        given: object = dict(other)
    else:
        other = type(data)(user_id=True)
        object.__setattr__(other, "age", WRONG)
        given = held(other)
    with pytest.raises(FieldTypeError, match="age"):
        session.replace(other)
    assert (state(session), session.data is data) == (before, True)
    assert (dict(other) if schema is Keyed else held(other)) == given


@pytest.mark.parametrize("frozen", [False, True], ids=["mutable", "frozen"])
@every_change
def test_each_value_is_converted_and_validated_once(
    frozen: bool, change: Callable[[Any, dict[str, object]], object]
) -> None:
    converted, validated = list[object](), list[object]()

    def convert(value: Any) -> int:
        converted.append(value)
        return int(value)

    def counting() -> Any:
        return field(default=0, converter=convert, validator=lambda _i, _a, value: validated.append(value), type=int)

    hooks = [attrs.setters.convert, attrs.setters.validate]
    options: dict[str, Any] = {"frozen": True} if frozen else {"on_setattr": hooks}
    attributes = {"a": counting(), "b": counting(), "c": field(default=0, type=int)}
    schema = attrs.make_class("Counting", attributes, **options)
    session: SecureCookieSession[Any] = SecureCookieSession({"c": 1}, schema=schema)
    converted.clear()
    validated.clear()
    change(session, {"a": "1", "c": 3, "b": "2"})
    assert (converted, validated) == (["1", "2"], [1, 2])
    assert session.data == schema(1, 2, 3)


def test_a_frozen_attribute_of_a_mutable_class_is_validated_once_and_no_other_is() -> None:
    validated = list[object]()

    @define
    class Counting:
        a: int = field(default=0, validator=lambda _i, _a, value: validated.append(value))
        b: int = field(
            default=0, validator=lambda _i, _a, value: validated.append(value), on_setattr=attrs.setters.frozen
        )

    session = SecureCookieSession({}, schema=Counting)
    session.data  # noqa: B018 -- opens it
    validated.clear()
    session.update(a=1, b=2)
    assert validated == [1, 2]
    assert session.data == Counting(1, 2)


def test_a_converter_sees_what_was_given_before_it_and_the_live_object_has_nothing_yet() -> None:
    seen = list[object]()

    def convert(value: int, instance: Any) -> int:
        live = sessions[0].data if sessions else None
        seen.append((instance.start, None if live is None else live.start, instance is live))
        return value

    sessions = list[SecureCookieSession[Any]]()
    takes_self: Any = attrs.Converter(convert, takes_self=True)

    @define
    class Span:
        start: int = 0
        end: int = field(default=0, converter=takes_self)  # type: ignore[misc]  # the plugin of mypy does not know it

    sessions.append(SecureCookieSession({"start": 1}, schema=Span))
    seen.clear()
    sessions[0].update(start=5, end=9)
    assert seen == [(5, 1, False)]
    assert sessions[0].data == Span(5, 9)


def test_a_frozen_class_judges_the_values_together() -> None:
    @define(frozen=True)
    class Span:
        start: int = 0
        end: int = field(default=0)

        @end.validator
        def _check(self, _attribute: object, value: int) -> None:
            if value < self.start:
                raise ValueError("ends before it starts")

    session = SecureCookieSession({"start": 1, "end": 2}, schema=Span)
    session.update(start=5, end=9)
    assert session.data == Span(5, 9)
    with pytest.raises(FieldValueError, match=r"Span\.start"):
        session["start"] = 10
    assert session.data == Span(5, 9)


def test_a_set_by_key_keeps_what_the_constructor_of_a_frozen_class_does_not_take() -> None:
    @define(frozen=True)
    class Visited:
        user_id: int | None = None
        visits: int = field(init=False, default=0)

    @dataclass(frozen=True)
    class VisitedData:
        user_id: int | None = None
        visits: int = dataclasses.field(init=False, default=0)

    for schema in (Visited, VisitedData):
        session: SecureCookieSession[Any] = SecureCookieSession(schema=schema)
        session["visits"] = 5
        session["user_id"] = 7
        assert dict(session) == {"visits": 5, "user_id": 7}


class Touchy:
    """A value that cannot be compared."""

    is_touchy: ClassVar[bool] = False

    @override
    def __eq__(self, other: object) -> bool:
        if self.is_touchy:
            raise ArithmeticError("no comparison")
        return self is other

    __hash__ = object.__hash__


def test_a_value_that_cannot_be_compared_stores_nothing_of_its_change(monkeypatch: pytest.MonkeyPatch) -> None:
    from cattrs import Converter  # noqa: PLC0415 -- for this test alone

    from typed_sessions import Schema  # noqa: PLC0415

    default = Touchy()
    converter = Converter()
    converter.register_unstructure_hook(Touchy, lambda _: "touchy")
    converter.register_structure_hook(Touchy, lambda _value, _type: default)

    @define(eq=False)
    class Holder:
        user_id: int | None = None
        held: Touchy = field(factory=lambda: default)

    session = SecureCookieSession({"user_id": 1}, schema=Schema(Holder, converter=converter))
    data = session.data
    monkeypatch.setattr(Touchy, "is_touchy", True)
    with pytest.raises(ArithmeticError):
        session.update(user_id=7, held=Touchy())
    assert (session["user_id"], data.user_id, data.held is default) == (1, 1, True)


class Shouting(OrderedDict[str, object]):
    """A dict that refuses some values."""

    @override
    def __setitem__(self, key: str, value: object) -> None:
        super().__setitem__(key, value)
        if value == "whisper":
            raise ValueError("too quiet")


@pytest.mark.parametrize("schema", [None, Keyed], ids=["no-schema", "typeddict"])
def test_a_dict_of_the_users_that_refuses_a_value_is_as_it_was(schema: Any) -> None:
    session: SecureCookieSession[Any] = SecureCookieSession(schema=schema)
    live = Shouting(user_id=1, age=2)
    live.move_to_end("user_id")
    session.replace(live)
    with pytest.raises(ValueError, match="too quiet"):
        session.update({"user_id": 7, "new": 1, "word": "whisper"})
    with pytest.raises(ValueError, match="too quiet"):
        session["word"] = "whisper"
    assert list(session.data.items()) == [("age", 2), ("user_id", 1)]
    assert session.data is live


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda session: session.clear(), id="clear"),
        pytest.param(lambda session: session.invalidate(), id="invalidate"),
        pytest.param(lambda session: session.pop("user_id"), id="pop"),
        pytest.param(lambda session: session.__delitem__("user_id"), id="del"),
        pytest.param(lambda session: session.popitem(), id="popitem"),
    ],
)
def test_what_cannot_be_taken_out_stays(change: Callable[[Any], object], monkeypatch: pytest.MonkeyPatch) -> None:
    broken = dict[str, bool]()

    def made_token() -> str:
        if broken:
            raise OSError("no entropy")
        return "t"

    @define
    class Tokened:
        user_id: int | None = None
        token: str = Factory(made_token)

    session = SecureCookieSession({"_flashes": 1, "user_id": 7}, schema=Tokened)
    monkeypatch.setitem(broken, "is", True)
    with pytest.raises(OSError, match="no entropy"):
        change(session)
    assert dict(session) == {"_flashes": 1, "user_id": 7}
    assert not state_of(session).wants_writing


def test_an_explicit_default_is_still_stored_after_a_refused_change() -> None:
    session = SecureCookieSession({"user_id": None}, schema=Converted)
    with pytest.raises(FieldValueError):
        session.update(user_id=7, age=WRONG)
    assert dict(session) == {"user_id": None}
    session.data.user_id = 7
    session.data.user_id = None
    assert dict(session) == {"user_id": None}


@every_schema
@pytest.mark.parametrize("name", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
async def test_what_was_stored_together_is_read_by_the_next_request(schema: Any, name: str) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name)
    sessions: Sessions[Any] = Sessions(schema, app)

    @app.get("/login")
    async def login() -> str:
        sessions.current.promote(user_id=7, age=30)
        sessions.current.update(cart=["a"], _flashes=[])
        return ""

    @app.get("/")
    async def page() -> str:
        return str({key: sessions.current[key] for key in ("user_id", "age", "cart", "_flashes")})

    client = app.test_client()
    await client.get("/login")
    expected = {"user_id": 7, "age": 30, "cart": ["a"], "_flashes": []}
    assert await (await client.get("/")).get_data(as_text=True) == str(expected)
