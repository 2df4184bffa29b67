"""Locks of schemas, and what another release makes of them."""

from __future__ import annotations

import secrets
import sys
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, FlagBoundary
from itertools import permutations
from pathlib import Path, PurePosixPath
from types import GenericAlias, ModuleType
from typing import Annotated, Any, ForwardRef, Literal, NotRequired, TypedDict
from uuid import UUID

import pytest
from attrs import Factory, asdict, define, field, make_class, validators
from cattrs import Converter
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, structs, to_builtins
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from tests.strategies import FIELD_VALUES
from typed_sessions import ConfigurationError, Essential, Formerly, Schema, SchemaError, migration
from typed_sessions.codec.codec import Codec, Loaded
from typed_sessions.reports import FieldReset
from typed_sessions.schema.types.base import NATIVE_CANDIDATES, Reading
from typed_sessions.sealing.encrypted import EncryptedSealer
from typed_sessions.sealing.keys import SecretKeys
from typed_sessions.sealing.set_cookie import CookieAttributes, SessionCookie
from typed_sessions.sealing.signed import SignedSealer
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer
from typed_sessions.tools.lock import (
    Effect,
    Finding,
    LockedSchema,
    LockFile,
    compare,
    lock_schema,
    read_lock,
    write_lock,
)
from typed_sessions.tools.lock.declarations import declarations_of
from typed_sessions.tools.lock.extents import extent_of, max_length
from typed_sessions.tools.lock.samples import Samples

SERIALIZERS = pytest.mark.parametrize(
    "serializer",
    [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()],
    ids=["tagged-json", "msgspec-json", "msgspec-msgpack"],
)
NATIVE = frozenset(type(value) for value in NATIVE_CANDIDATES)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Right(Flag):
    READ = 1
    WRITE = 2


class Line(TypedDict):
    sku: Annotated[str, Meta(max_length=3)]
    note: NotRequired[str]


@define
class Item:
    sku: Annotated[str, Formerly("id")]
    colour: Colour = Colour.RED
    inside: list[Item] = Factory(list["Item"])


@define
class Visitor:
    user_id: Annotated[int | None, Formerly("uid", "user")] = None
    tenant: Annotated[int, Essential] = 0
    name: Annotated[str, Meta(max_length=40)] = ""
    cart: list[Item] = Factory(list[Item])
    lines: dict[str, Line] = Factory(dict[str, Line])
    right: Right = Right.READ
    kind: Literal["a", 1, Colour.BLUE] = "a"
    point: tuple[int, Annotated[str, Meta(pattern="^a")] | None] = (0, None)
    path: tuple[int, ...] = ()
    price: Decimal = Decimal("1.50")
    token: str = Factory(secrets.token_hex)


def locked(schema: Any, converter: Converter | None = None) -> LockedSchema:
    return lock_schema(Schema[Any](schema, converter=converter), TaggedJSONSerializer())


LOOSE: dict[str, Any] = {"nick": str, "tags": list[str], "ratio": float, "n": int, "raw": bytes, "seen": dict[str, int]}
BOUNDS: dict[str, Meta] = {
    "nick": Meta(max_length=40),
    "tags": Meta(max_length=2),
    "ratio": Meta(le=1.0),
    "n": Meta(ge=-1),
    "raw": Meta(max_length=10),
    "seen": Meta(max_length=2),
}
DEFAULT: dict[str, Any] = {"nick": "", "tags": Factory(list), "ratio": 0.0, "n": 0, "raw": b"", "seen": Factory(dict)}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_new_bound_resets_what_lies_beyond_it(name: str) -> None:
    types: tuple[Any, Any] = (LOOSE[name], Annotated[LOOSE[name], BOUNDS[name]])
    loose, tight = (make_class("Bounded", {name: field(type=held, default=DEFAULT[name])}) for held in types)
    found = compare(locked(loose), locked(tight), lambda values, _: values, max_cookie_size=0)
    assert (Effect.RESETS, name) in {(finding.effect, finding.place) for finding in found}


def test_a_new_bound_of_a_set_resets_what_lies_beyond_it() -> None:
    loose, tight = (one_field(held, set()) for held in (set[str], Annotated[set[str], Meta(max_length=20)]))
    found = compare(locked(loose), locked(tight), lambda values, _: values, max_cookie_size=0)
    assert [finding.place for finding in found if finding.effect is Effect.RESETS] == ["held"]


def test_a_new_bound_of_keys_resets_what_lies_beyond_it() -> None:
    types: tuple[Any, Any] = (dict[str, int], dict[Annotated[str, Meta(max_length=9)], int])
    loose, tight = (make_class("Bounded", {"held": field(type=held, factory=dict)}) for held in types)
    found = compare(locked(loose), locked(tight), lambda values, _: values, max_cookie_size=0)
    assert [finding.place for finding in found if finding.effect is Effect.RESETS] == ["held"]


def test_a_new_time_zone_resets_what_has_none() -> None:
    types: tuple[Any, Any] = (datetime | None, Annotated[datetime, Meta(tz=True)] | None)
    loose, tight = (make_class("Timed", {"seen": field(type=held, default=None)}) for held in types)
    found = compare(locked(loose), locked(tight), lambda values, _: values, max_cookie_size=0)
    assert (Effect.RESETS, "seen") in {(finding.effect, finding.place) for finding in found}


@define
class Priced:
    price: Decimal = Decimal(0)


@define
class PricedOrNot:
    price: Decimal | str = ""


class Theme(Enum):
    LIGHT = "light"


class Look(Enum):
    BRIGHT = "light"


def retyped(before: Any, after: Any, migrate: Any = lambda values, _: values) -> set[tuple[Effect, str, str]]:
    old = make_class("Retyped", {"held": field(type=before | None, default=None)})
    new = make_class("Retyped", {"held": field(type=after | None, default=None)})
    found = compare(locked(old), locked(new), migrate, max_cookie_size=0)
    return {(finding.effect, finding.place, finding.text) for finding in found if finding.effect is Effect.CHANGES}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Decimal, Decimal | str),
        (date, date | str),
        (Theme, Theme | str),
        (list[Decimal], list[Decimal | str]),
        (dict[Decimal, int], dict[str, int]),
        (tuple[int, timedelta], tuple[int, str | timedelta]),
        (list[int], set[int]),
        (set[int], list[int] | set[int]),
        (Priced, PricedOrNot),
    ],
    ids=str,
)
def test_what_would_read_as_another_type_is_said(before: Any, after: Any) -> None:
    ((_, place, text),) = retyped(before, after)
    assert place == "held"
    assert text.startswith("stored values of ")


def test_what_would_read_as_another_type_under_another_name_is_said() -> None:
    renamed: Any = Annotated[Decimal | str, Formerly("held")]
    old = make_class("Retyped", {"held": field(type=Decimal, default=Decimal(0))})
    new = make_class("Retyped", {"now": field(type=renamed, default="")})
    found = compare(locked(old), locked(new), lambda values, _: values, max_cookie_size=0)
    assert [finding.place for finding in found if finding.effect is Effect.CHANGES] == ["now"]


@pytest.mark.parametrize(
    ("before", "after"),
    [(int, float), (Theme, Look), (str, str | Decimal), (list[int], list[float]), (Priced, Priced | Decimal)],
    ids=str,
)
def test_what_reads_as_it_was_keeps_its_type(before: Any, after: Any) -> None:
    assert retyped(before, after) == set()


def test_a_class_whose_attribute_has_another_type_is_said() -> None:
    types: tuple[Any, Any] = (Decimal, Decimal | str)
    before, after = (make_class("Held", {"price": field(type=price, default=Decimal(0))}) for price in types)
    ((_, _, text),) = retyped(before, after)
    assert text == "stored values of Held | None are read with parts of another type"


def test_a_step_that_gives_values_their_new_type_changes_none_by_accident() -> None:
    def step(values: dict[str, Any], _: int) -> dict[str, Any]:
        held = values.pop("held", None)
        return values if held is None else {**values, "held": f"EUR {held}"}

    assert retyped(Decimal, str, step) == set()


def test_a_migration_may_change_what_it_is_given_at_any_depth() -> None:
    @define
    class Held:
        new: int = 0

    @define
    class Old:
        old: int = 0

    before, after = (
        make_class("M", {"it": field(type=held, factory=held), "n": field(type=int, default=0)}) for held in (Old, Held)
    )

    def step(values: dict[str, Any], _: int) -> dict[str, Any]:
        if "it" in values:
            values["it"]["new"] = values["it"].pop("old")
        return values

    effects = {finding.effect for finding in compare(locked(before), locked(after), step, max_cookie_size=0)}
    assert Effect.REFUSES not in effects


@pytest.mark.parametrize("text", ["Annotated[str, Meta(pattern='(')] = ''", " | ".join(["int"] * 3000) + " = 0"])
def test_a_lock_that_somebody_broke_is_a_clear_error(text: str) -> None:
    broken = structs.replace(locked(Visitor), fields={"name": text})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        declarations_of(broken)


def test_a_lock_says_what_a_release_says() -> None:
    assert to_builtins(locked(Visitor)) == {
        "version": 0,
        "largest_cookie": None,
        "fields": {
            "user_id": "Annotated[int | None, Formerly('uid', 'user')] = None",
            "tenant": "Annotated[int, Essential] = 0",
            "name": "Annotated[str, Meta(max_length=40)] = ''",
            "cart": "list[Item] = []",
            "lines": "dict[str, Line] = {}",
            "right": "Right = 1",
            "kind": "Literal['a', 1, Colour.BLUE] = 'a'",
            "point": "tuple[int, Annotated[str, Meta(pattern='^a')] | None] = [0, None]",
            "path": "tuple[int, ...] = []",
            "price": "Decimal = '1.50'",
            "token": "str = ...",
        },
        "classes": {
            "Item": {"sku": "Annotated[str, Formerly('id')]", "colour": "Colour = ...", "inside": "list[Item] = ..."},
            "Line": {"sku": "Annotated[str, Meta(max_length=3)]", "note": "NotRequired[str]"},
        },
        "enums": {"Colour": {"RED": "red", "BLUE": "blue"}},
        "flags": {"Right": {"READ": 1, "WRITE": 2}},
        "typed_dicts": ["Line"],
        "unbounded": ["cart[...].sku", "lines (a key)", "point[1]", "path", "price", "token"],
    }


Tree = TypeAliasType("Tree", "list[Tree] | int")


def test_a_lock_says_what_an_alias_stands_for_that_contains_itself() -> None:
    lock = locked(one_field(Tree | None, None))
    assert lock.fields == {"held": "Tree | None = None"}
    assert lock.aliases == {"Tree": "list[Tree] | int"}
    assert compare(lock, lock, unmigrated, max_cookie_size=0) == []


def test_an_alias_that_stands_for_something_else_is_told() -> None:
    tree, text = (structs.replace(locked(one_field(Tree | None, None)), aliases={"Tree": held}) for held in TREES)
    found = compare(text, tree, unmigrated, max_cookie_size=0)
    assert [(finding.effect, finding.place) for finding in found] == [(Effect.RESETS, "held")]
    found = compare(tree, text, unmigrated, max_cookie_size=0)
    assert [(finding.effect, finding.place) for finding in found] == [(Effect.LOSES_ON_ROLLBACK, "held")]


TREES = ("list[Tree] | int", "list[Tree | str] | int")


def test_an_alias_is_taken_to_be_as_it_was_where_an_old_lock_does_not_say() -> None:
    lock = locked(one_field(Tree | None, None))
    assert compare(structs.replace(lock, aliases={}), lock, unmigrated, max_cookie_size=0) == []


def test_two_aliases_of_one_name_cannot_be_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere: Any = ModuleType("elsewhere")
    elsewhere.Tree = list["Tree"] | str
    monkeypatch.setitem(sys.modules, "elsewhere", elsewhere)
    other: Any = ForwardRef("Tree", module="elsewhere")
    with pytest.raises(SchemaError, match="two types called Tree"):
        locked(one_field(tuple[Tree | None, other | None], (None, None)))


class Keyed(TypedDict, total=False):
    user_id: Annotated[int, Essential]


def test_a_lock_of_a_typeddict_has_keys_without_defaults() -> None:
    assert locked(Keyed).fields == {"user_id": "NotRequired[Annotated[int, Essential]]"}


def test_a_lock_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    assert read_lock(path) == LockFile(1, {})
    lock = LockFile(1, {"b:B": locked(Visitor), "a:A": locked(Keyed)})
    write_lock(path, lock)
    assert read_lock(path) == lock
    text = path.read_text(encoding="utf-8")
    assert text.index("a:A") < text.index("b:B")
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format":1}', b'{"format":2,"schemas":{}}', b'{"format":1,"schemas":{"a":{"x":1}}}']
)
def test_what_is_no_lock_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"lock\.json"):
        read_lock(path)


def test_a_lock_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_lock(tmp_path / "no" / "lock.json", LockFile(1, {}))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_lock(tmp_path)


def test_two_classes_of_one_name_cannot_be_locked() -> None:
    other: Any = make_class("Item", {"n": field(type=int, default=0)})
    schema = one_field(tuple[Item | None, other | None], (None, None))
    with pytest.raises(SchemaError, match="Schema holds two types called Item; rename one to lock it"):
        locked(schema)


def test_without_a_schema_there_is_no_lock() -> None:
    with pytest.raises(SchemaError, match="nothing to lock"):
        lock_schema(Schema(), TaggedJSONSerializer())


@pytest.mark.parametrize("text", ["", "int +", "dict[str]", "Literal[Gone.RED] = 1", "x: int"])
def test_a_declaration_that_nobody_can_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="declaration"):
        declarations_of(LockedSchema(0, None, {"a": text}))


@pytest.mark.parametrize("text", ["__import__('os').abort()", "list[().__class__]", "Colour.__class__", "[].append"])
def test_nothing_in_a_declaration_is_run(text: str) -> None:
    lock = LockedSchema(0, None, {"a": text}, enums={"Colour": {"RED": "red"}})
    assert declarations_of(lock).fields["a"].type.text == text


def test_a_class_may_be_called_what_a_declaration_calls_something_else() -> None:
    bounded: Any = Annotated[int, Meta(ge=-1)]
    other: Any = make_class("Meta", {"n": field(type=bounded, default=0)})
    lock = locked(one_field(other | None, None))
    assert lock.classes == {"Meta": {"n": "Annotated[int, Meta(ge=-1)] = ..."}}
    assert compare(lock, lock, unmigrated, max_cookie_size=0) == []
    assert [*declarations_of(lock).classes["Meta"].types] == ["n"]


def one_field(annotation: Any, default: object) -> Any:
    held = field(factory=lambda: deepcopy(default))
    return make_class("Schema", {"held": held}, class_body={"__annotations__": {"held": annotation}})


@pytest.mark.parametrize("name", FIELD_VALUES)
def test_samples_of_a_locked_type_are_values_of_the_type(name: str) -> None:
    values = FIELD_VALUES[name]
    schema = Schema[Any](one_field(values.annotation, values.default))
    declaration = declarations_of(lock_schema(schema, TaggedJSONSerializer())).fields["held"]
    samples = Samples(NATIVE).of(declaration.type)
    assert samples
    for plain in samples:
        reading = Reading(NATIVE)
        value = schema.fields["held"].type.structure(plain, reading)
        assert schema.fields["held"].type.unstructure(value, NATIVE) is not None or plain is None
        declaration.type.structure(plain, Reading(NATIVE))
        assert not reading.unknown


@pytest.mark.parametrize("name", FIELD_VALUES)
def test_a_release_keeps_all_of_its_own(name: str) -> None:
    values = FIELD_VALUES[name]
    lock = locked(one_field(values.annotation, values.default))
    assert compare(lock, lock, unmigrated, max_cookie_size=4093) == unbounded_notice(lock)


def unmigrated(plain: dict[str, object], _version: int) -> dict[str, object]:
    return plain


def unbounded_notice(lock: LockedSchema) -> list[Finding]:
    if not lock.unbounded:
        return []
    return [Finding(Effect.KEEPS, "Set-Cookie", f"the cookie has no bound: {', '.join(lock.unbounded)}")]


PAIRS = st.sampled_from(list(permutations(FIELD_VALUES, 2)))


@settings(max_examples=400)
@given(pair=PAIRS, data=st.data())
def test_where_nothing_is_said_to_be_lost_every_value_is_read(pair: tuple[str, str], data: st.DataObject) -> None:
    old, new = (FIELD_VALUES[name] for name in pair)
    before, after = one_field(old.annotation, old.default), one_field(new.annotation, new.default)
    found = compare(locked(before), locked(after), unmigrated, max_cookie_size=4093)
    payload = Codec(Schema[Any](before), MsgspecJSONSerializer()).payload({"held": data.draw(old.values)})
    outcome = Codec(Schema[Any](after), MsgspecJSONSerializer()).decode(payload)
    assert isinstance(outcome, Loaded)
    resets = [report for report in outcome.reports if isinstance(report, FieldReset)]
    if resets:
        assert [finding.effect for finding in found if finding.effect is Effect.RESETS]
    if outcome.reports and not resets:
        assert [finding.effect for finding in found if finding.effect in (Effect.DROPS, Effect.RESETS)]


def findings(before: Any, after: Any, **options: Any) -> list[tuple[Effect, str, str]]:
    schema = Schema[Any](after)
    lock = lock_schema(schema, TaggedJSONSerializer())
    found = compare(locked(before), lock, schema.migrations.migrated, **{"max_cookie_size": 4093, **options})
    return [(finding.effect, finding.place, finding.text) for finding in found if finding.place != "Set-Cookie"]


@define
class Empty:
    pass


@define
class Number:
    n: int = 0


@define
class Text:
    n: str = ""


@define
class Tenant:
    n: Annotated[str, Essential] = ""


@define
class NumberOrText:
    n: int | str = 0


@define
class OtherDefault:
    n: int = 5


@define
class Renamed:
    m: Annotated[int, Formerly("n")] = 0


def test_a_new_field_loses_nothing() -> None:
    assert findings(Empty, Number) == [(Effect.KEEPS, "n", "is new; visitors have its default")]


def test_a_field_that_is_gone_stays_as_an_undeclared_key() -> None:
    text = "is gone; its values stay as undeclared keys, and come back with a rollback"
    assert findings(Number, Empty) == [(Effect.KEEPS, "n", text)]


def test_a_field_of_another_type_is_reset_and_by_a_rollback_too() -> None:
    assert findings(Number, Text)[:2] == [
        (Effect.RESETS, "n", "all stored values do not fit str"),
        (Effect.LOSES_ON_ROLLBACK, "n", "a rollback resets all values that the new release stores"),
    ]


def test_a_wider_type_loses_only_on_rollback() -> None:
    assert findings(Number, NumberOrText) == [
        (Effect.LOSES_ON_ROLLBACK, "n", "a rollback resets some values that the new release stores"),
        (Effect.KEEPS, "n", "was int, and is int | str"),
    ]


def test_a_narrower_type_resets_some() -> None:
    assert (Effect.RESETS, "n", "some stored values do not fit int") in findings(NumberOrText, Number)


def test_an_essential_field_and_a_strict_setting_refuse_the_session() -> None:
    assert (Effect.REFUSES, "n", "all stored values do not fit str") in findings(Number, Tenant)
    assert (Effect.REFUSES, "n", "all stored values do not fit str") in findings(Number, Text, refuses_bad_fields=True)
    text = "a rollback refuses the session over all values that the new release stores"
    assert (Effect.LOSES_ON_ROLLBACK, "n", text) in findings(Tenant, Number)


def test_another_default_is_told() -> None:
    text = "had the default 0, and has 5, also for those who never set it"
    assert findings(Number, OtherDefault) == [(Effect.KEEPS, "n", text)]


def test_a_default_that_is_written_in_another_way_is_the_same() -> None:
    found = findings(one_field(Decimal, Decimal(1)), one_field(Decimal | str, Decimal(1)))
    assert [text for _, _, text in found if "default" in text] == []
    found = findings(one_field(Decimal, Decimal(1)), one_field(Decimal | str, Decimal(2)))
    assert any(text.startswith("had the default") for _, _, text in found)


@pytest.mark.parametrize("default", ["nonsense()", "{[]: 1}", "{'__type__': 'Decimal', '__value__': 'x'}"])
def test_a_default_that_cannot_be_read_is_another_one(default: str) -> None:
    broken = structs.replace(locked(Number), fields={"n": f"int | Decimal = {default}"})
    found = compare(broken, locked(Number), unmigrated, max_cookie_size=0)
    assert any(finding.text.startswith("had the default") for finding in found)


def test_a_rename_keeps_forward_and_not_back() -> None:
    assert findings(Number, Renamed) == [
        (Effect.LOSES_ON_ROLLBACK, "n", "a rollback reads its default, while the value waits under m"),
        (Effect.KEEPS, "m", "was called n, and is read under both names"),
    ]


def holding(**attributes: Any) -> Any:
    """A schema that holds a list of `Part`s with these attributes."""
    part: Any = make_class("Part", {name: field() for name in attributes}, class_body={"__annotations__": attributes})
    return one_field(list[part], [])


def test_an_attribute_that_a_nested_class_lost_is_dropped() -> None:
    assert findings(holding(a=int, b=int), holding(a=int)) == [
        (Effect.DROPS, "Part.b", "is not declared any more; the next change of a session drops it"),
        (Effect.LOSES_ON_ROLLBACK, "held", "a rollback resets some values that the new release stores"),
    ]


def test_an_attribute_that_a_nested_class_needs_resets_the_field() -> None:
    assert findings(holding(a=int), holding(a=int, b=int)) == [
        (Effect.RESETS, "held", "some stored values do not fit list[Part]"),
        (Effect.LOSES_ON_ROLLBACK, "Part.b", "a rollback drops it with the next change of a session"),
    ]


def test_an_attribute_of_a_nested_class_may_be_renamed() -> None:
    found = findings(holding(a=int), holding(b=Annotated[int, Formerly("a")]))
    assert [place for effect, place, _ in found if effect in (Effect.RESETS, Effect.DROPS)] == []


def tones(*names: str) -> Any:
    make: Any = Enum
    return make("Tone", {name: name.lower() for name in names})


def test_a_member_that_an_enumeration_lost_resets_some() -> None:
    one, other = (one_field(GenericAlias(list, tones(*names)), []) for names in (("RED", "BLUE"), ("RED",)))
    assert findings(one, other) == [(Effect.RESETS, "held", "some stored values do not fit list[Tone]")]
    assert [effect for effect, _, _ in findings(other, one)] == [Effect.LOSES_ON_ROLLBACK]


def test_a_tighter_bound_resets_some_and_a_wider_one_none() -> None:
    tight, wide = (one_field(Annotated[str, Meta(max_length=length)], "") for length in (3, 5))
    assert findings(wide, tight)[0] == (
        Effect.RESETS,
        "held",
        "some stored values do not fit Annotated[str, Meta(max_length=3)]",
    )
    assert [effect for effect, _, _ in findings(tight, wide)] == [Effect.LOSES_ON_ROLLBACK, Effect.KEEPS]


def test_a_type_of_the_converters_is_judged_by_its_name() -> None:
    converter = Converter()
    converter.register_unstructure_hook(PurePosixPath, str)
    converter.register_structure_hook(PurePosixPath, lambda text, _type: PurePosixPath(text))
    lock = locked(one_field(PurePosixPath | None, None), converter)
    assert [f.effect for f in compare(lock, lock, unmigrated, max_cookie_size=4093) if f.effect.loses] == []
    text = locked(one_field(str | None, None))
    assert Effect.RESETS in [f.effect for f in compare(lock, text, unmigrated, max_cookie_size=4093)]


@define
class Migrated:
    n: str = ""


@migration(Migrated, 1)
def write_as_text(values: dict[str, object]) -> dict[str, object]:
    return {**values, "n": str(values.get("n", 0))}


@define
class Split:
    first: str = ""


@migration(Split, 1)
def split(values: dict[str, object]) -> dict[str, object]:
    values["first"] = str(values.pop("n", ""))
    return values


@define
class Careless:
    n: int = 0


@migration(Careless, 1)
def read_what_may_not_be_there(values: dict[str, object]) -> dict[str, object]:
    return {"n": values["n"]}


def test_migrated_values_are_judged_after_their_migration() -> None:
    assert findings(Number, Migrated) == [
        (Effect.LOSES_ON_ROLLBACK, "n", "a rollback resets all values that the new release stores"),
        (Effect.KEEPS, "n", "was int, and is str"),
        (Effect.KEEPS, "n", "had the default 0, and has '', also for those who never set it"),
    ]


def test_what_a_migration_takes_away_does_not_come_back() -> None:
    text = "a migration takes it away, and a rollback reads its default"
    found = findings(Number, Split)
    assert (Effect.LOSES_ON_ROLLBACK, "n", text) in found
    assert [place for _, place, _ in found].count("n") == 1


def test_a_migration_that_fails_on_a_session_without_the_key_is_told() -> None:
    text = "a migration fails on values of the locked types: to version 1: KeyError"
    assert findings(Number, Careless) == [(Effect.REFUSES, "_version", text)]


def test_migrations_that_are_missing_are_told() -> None:
    text = "sessions of version 1 are there, and the code leads to 0: migrations are missing"
    assert (Effect.LOSES_ON_ROLLBACK, "_version", text) in findings(Migrated, Number)


def sized(largest: int | None) -> LockedSchema:
    return LockedSchema(0, largest, {}, unbounded=[] if largest else ["name"])


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        pytest.param(100, 200, None, id="fits"),
        pytest.param(100, 5000, Effect.OUTGROWS, id="outgrows"),
        pytest.param(5000, 5000, Effect.KEEPS, id="was-accepted"),
        pytest.param(5000, 6000, Effect.OUTGROWS, id="grows-further"),
        pytest.param(100, None, Effect.OUTGROWS, id="loses-its-bound"),
        pytest.param(None, None, Effect.KEEPS, id="had-no-bound"),
        pytest.param(None, 5000, Effect.OUTGROWS, id="is-known-to-outgrow"),
    ],
)
def test_a_cookie_that_can_outgrow_the_browser_is_told(
    before: int | None, after: int | None, effect: Effect | None
) -> None:
    found = compare(sized(before), sized(after), unmigrated, max_cookie_size=4093)
    assert [finding.effect for finding in found] == ([] if effect is None else [effect])


@define
class Part:
    sku: Annotated[str, Meta(max_length=4)]
    count: Annotated[int, Meta(ge=0, le=99)] = 0


@define
class Bounded:
    name: str = field(default="", validator=[validators.min_len(0), validators.max_len(5)])
    nick: str | None = field(default=None, validator=validators.optional(validators.max_len(3)))
    user_id: int | None = None
    ratio: float = 0.0
    parts: Annotated[list[Part], Meta(max_length=3)] = Factory(list[Part])
    colours: Annotated[set[Colour], Meta(max_length=2)] = Factory(set[Colour])
    table: Annotated[dict[Annotated[str, Meta(max_length=2)], int | None], Meta(max_length=2)] = Factory(dict)
    when: datetime | date | UUID | None = None
    raw: Annotated[bytes, Meta(max_length=9)] = b""
    right: Right = Right.READ
    pair: tuple[bool, Literal["a", "longer"]] = (True, "a")


text = st.text(st.characters(codec="utf-8"), max_size=5)
bounded = st.builds(
    Bounded,
    name=text | st.just("\U0001f600" * 5) | st.just("\x01" * 5),
    nick=st.none() | text.map(lambda name: name[:3]),
    user_id=st.none() | st.integers(-(2**63), 2**64 - 1),
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    parts=st.lists(st.builds(Part, text.map(lambda sku: sku[:4]), st.integers(0, 99)), max_size=3),
    colours=st.sets(st.sampled_from(Colour)),
    table=st.dictionaries(text.map(lambda key: key[:2]), st.none() | st.just(-(2**63)), max_size=2),
    when=st.none() | st.dates() | st.uuids() | st.datetimes(datetime(1000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    raw=st.binary(max_size=9),
    right=st.sampled_from([*Right, Right.READ | Right.WRITE]),
    pair=st.tuples(st.booleans(), st.sampled_from(["a", "longer"])),
)


def cookie_size(serializer: Any, schema: Any, stored: dict[str, object], *, encrypted: bool = False) -> int:
    """The size of the whole `Set-Cookie` of a permanent session, as an application with strict settings sends it."""
    payload = Codec(Schema[Any](schema), serializer).write_stored({"_permanent": True, **stored}).payload
    keys, salt = SecretKeys("a secret key that is long enough"), "cookie-session"
    ages: Any = {"lifetime": timedelta(days=1), "leeway": timedelta(), "clock": lambda: 1_800_000_000.0}
    sealer: Any = SignedSealer(keys, salt=salt, **ages)
    if encrypted:
        sealer = EncryptedSealer(keys, salt=salt, cookie_name="session", room=4_000, **ages)
    attributes = CookieAttributes(name="session", path="/", secure=True, httponly=True, samesite="Strict")
    return len(SessionCookie(attributes).expiring(sealer.seal(payload), datetime(2027, 1, 15, tzinfo=UTC)))


@SERIALIZERS
@given(visitor=bounded)
def test_no_cookie_is_larger_than_the_bounds_say(serializer: Any, visitor: Bounded) -> None:
    extent = extent_of(Schema(Bounded), serializer)
    assert extent.unbounded == ()
    assert extent.bytes is not None
    assert cookie_size(serializer, Bounded, asdict(visitor, recurse=False)) <= extent.bytes


@SERIALIZERS
@pytest.mark.parametrize(
    ("annotation", "default", "largest"),
    [
        pytest.param(Annotated[str, Meta(max_length=1)], "", ["\U0001f600", "\x01"], id="text"),
        pytest.param(Annotated[bytes, Meta(max_length=9)], b"", [bytes(range(247, 256))], id="bytes"),
        pytest.param(Annotated[list[Annotated[int, Meta(lt=100)]], Meta(max_length=1)], [], [[-(2**63)]], id="list"),
        pytest.param(Literal["a", "bcd"], "a", ["bcd"], id="literal"),
    ],
)
def test_the_bound_is_no_larger_than_the_largest_cookie(
    serializer: Any, annotation: Any, default: object, largest: list[object]
) -> None:
    schema = one_field(annotation, default)
    bound = extent_of(Schema[Any](schema), serializer).bytes
    assert bound == max(cookie_size(serializer, schema, {"held": value}) for value in largest)


@SERIALIZERS
@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_bound_is_that_of_what_is_encrypted_where_it_is(serializer: Any, length: int) -> None:
    schema = one_field(Annotated[bytes, Meta(max_length=length)], b"")
    bound = extent_of(Schema[Any](schema), serializer, encrypted=True).bytes
    assert bound == cookie_size(serializer, schema, {"held": b"\xff" * length}, encrypted=True)
    assert lock_schema(Schema[Any](schema), serializer, encrypted=True).largest_cookie == bound


class Bits(Flag, boundary=FlagBoundary.KEEP):
    """Flags that may have bits which no member names."""

    ONE = 1


ODD_OFFSET = timezone(-timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999))


@SERIALIZERS
@pytest.mark.parametrize(
    ("annotation", "largest"),
    [
        pytest.param(
            Annotated[dict[int, bool], Meta(max_length=9)], {n - 2**63: False for n in range(9)}, id="numbers as keys"
        ),
        pytest.param(Bits, Bits(2**63), id="flags"),
        pytest.param(datetime, datetime(2000, 12, 31, 23, 59, 59, 999_999, ODD_OFFSET), id="datetime"),
        pytest.param(time, time(23, 59, 59, 999_999, ODD_OFFSET), id="time"),
    ],
)
def test_no_odd_value_is_larger_than_the_bound(serializer: Any, annotation: Any, largest: object) -> None:
    schema = one_field(annotation | None, None)
    bound = extent_of(Schema[Any](schema), serializer).bytes
    assert bound is not None
    assert cookie_size(serializer, schema, {"held": largest}) <= bound


@pytest.mark.parametrize(
    ("schema", "places"),
    [
        pytest.param(one_field(str, ""), ["held"], id="text"),
        pytest.param(one_field(Decimal, Decimal(0)), ["held"], id="decimal"),
        pytest.param(one_field(object, None), ["held"], id="object"),
        pytest.param(one_field(list[Part], []), ["held"], id="list"),
        pytest.param(one_field(Annotated[list[Item], Meta(max_length=2)], []), ["held[...].sku"], id="nested"),
        pytest.param(one_field(Annotated[list[int], Meta(max_length=10**9)], []), ["held"], id="past-all-sessions"),
    ],
)
def test_places_without_a_bound_are_named(schema: Any, places: list[str]) -> None:
    assert list(extent_of(Schema[Any](schema), TaggedJSONSerializer()).unbounded) == places


@define
class Chain:
    n: Annotated[int, Meta(ge=0, le=9)] = 0
    rest: Chain | None = None


def test_a_class_that_holds_itself_has_no_bound() -> None:
    assert extent_of(Schema(Chain), TaggedJSONSerializer()).unbounded == ("rest.rest",)


class BoundedModel(BaseModel):
    name: str = Field(default="", max_length=3)
    parts: Annotated[list[int], Field(max_length=2), Field(max_length=4)] = []
    note: str = Field(default="", min_length=0)


def test_what_fields_of_a_model_bound_is_a_bound() -> None:
    assert extent_of(Schema(BoundedModel), TaggedJSONSerializer()).unbounded == ("note",)
    lengths = {name: max_length(field.member) for name, field in Schema(BoundedModel).fields.items()}
    assert lengths == {"name": 3, "parts": 4, "note": None}


@define
class Negated:
    name: str = field(default="long enough", validator=validators.not_(validators.max_len(3)))


def test_a_validator_that_asks_for_more_is_no_bound() -> None:
    assert extent_of(Schema(Negated), TaggedJSONSerializer()).unbounded == ("name",)


@define
class Grant:
    level: str = ""
    note: str = ""


class Preferences(TypedDict, total=False):
    level: str


ROLLBACK_RESETS = [Effect.LOSES_ON_ROLLBACK]


@pytest.mark.parametrize(
    ("before", "after", "effects"),
    [
        (dict[str, str], Grant | dict[str, str], ROLLBACK_RESETS),
        (dict[str, object], Grant | dict[str, object], ROLLBACK_RESETS),
        (list[dict[str, str]], list[Grant] | list[dict[str, str]], ROLLBACK_RESETS),
        (Preferences, Grant | Preferences, ROLLBACK_RESETS),
        (object, Grant | object, ROLLBACK_RESETS),
        (Grant, Grant | dict[str, str], [Effect.CHANGES, *ROLLBACK_RESETS]),
        (Grant, Grant | dict[str, int], [Effect.RESETS, *ROLLBACK_RESETS]),
        (dict[str, str], Grant, [Effect.RESETS, Effect.CHANGES]),
        (Grant | dict[str, str], dict[str, str], [Effect.RESETS]),
        (Grant | Preferences, Preferences, [Effect.RESETS]),
    ],
    ids=str,
)
def test_a_class_beside_a_dict_is_told_from_it(before: Any, after: Any, effects: list[Effect]) -> None:
    found = findings(one_field(before | None, None), one_field(after | None, None))
    assert [effect for effect, _, _ in found if effect.loses] == effects
