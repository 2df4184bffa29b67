"""Which types have generated code, and which are asked about each value: a table, so that none falls back unseen."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import pytest
from attrs import define
from cattrs import Converter
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from msgspec import Meta, MsgspecError

from tests.strategies import FIELD_VALUES, Colour
from typed_sessions.codec.codec import native_types
from typed_sessions.codec.notations import Notation, notation_of
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.sameness import attribute_names
from typed_sessions.schema.types.compiler import Compiler
from typed_sessions.schema.types.emitter import Emitter
from typed_sessions.serializers.base import BUILT_IN

TABLE: Final[dict[str, dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("generated_types.toml").read_text("utf-8")
)


@define
class Checked:
    """A class with code of its own."""

    names: set[str]

    def __attrs_post_init__(self) -> None:
        self.names.discard("")


TYPES: Final[dict[str, Any]] = {
    **{name: declared.annotation for name, declared in FIELD_VALUES.items()},
    "bounded int": Annotated[int, Meta(ge=0)],
    "bounded float": Annotated[float, Meta(le=1)],
    "bounded bytes": Annotated[bytes, Meta(max_length=4)],
    "bounded list": Annotated[list[UUID], Meta(max_length=4)],
    "bounded dict or None": Annotated[dict[int, str], Meta(max_length=4)] | None,
    "list of Literals": list[Literal["a", "b", 1, True]],
    "set of tuples": set[tuple[UUID, int]],
    "checked class": Checked,
    "list of objects": list[object],
    "dict of objects": dict[str, object],
}


def emitter_of(name: str) -> tuple[Emitter, Notation]:
    serializer: Any = BUILT_IN[name]()
    notation = notation_of(serializer)
    assert notation is not None
    return Emitter(notation, native_types(serializer), whole_seconds=name == "tagged-json"), notation


def derived() -> dict[str, list[str]]:
    """The formats in which each type has generated code."""
    compiler = Compiler(Converter())
    found: dict[str, list[str]] = {name: [] for name in TYPES}
    for serializer in BUILT_IN:
        emitter, _ = emitter_of(serializer)
        for name, annotation in TYPES.items():
            if emitter.emitted(compiler.compile(annotation, name)).closed:
                found[name].append(serializer)
    return found


def test_the_table_says_which_types_have_generated_code() -> None:
    assert {**TABLE["generated"], **{name: [] for name in TABLE["explained"]}} == derived()


def test_a_type_is_asked_about_each_value_for_a_reason() -> None:
    assert {*TABLE["explained"].values()} <= {
        "it contains itself",
        "anything may be in it",
        "values of several types",
        "members of one class",
    }


HANDED_OVER: Final = (Unusual, MsgspecError, RecursionError)
"""All that generated code raises of its own. What a user's class raises it hands over, too."""

NAIVE: Final = datetime(2026, 1, 2)  # noqa: DTZ001 -- naive on purpose

ODD: Final[tuple[Any, ...]] = (
    None, True, 7, -1, 10**5000, 2**70, 1.5, float("nan"), "x", "\ud800", b"x", Markup("x"), (), (1,), ("a", 2), NAIVE,
    [], [[]], [None, 7], {}, {"a": 1}, {1: 2}, {"a": 1, 2: {}}, {" t": []}, {"__type__": "x", "__value__": 1}, {()},
    set(), frozenset({1, "a"}), {Decimal("1.0")}, Decimal("sNaN"), UUID(int=1), date(2026, 1, 2), timedelta(1),
    datetime(2026, 1, 2, tzinfo=UTC), time(1, fold=1), object(), Colour.RED, len,
    {Colour.RED: 1}, {10**5000: 1}, {Decimal(1): 1, Decimal(2): 2},
)  # fmt: skip


def deleted(value: object) -> object:
    """An instance of a class that lacks its attributes."""
    made: object = copy(value)
    cls: Any = type(made)
    for name in attribute_names(cls) or ():
        with suppress(AttributeError, TypeError):
            object.__delattr__(made, name)  # also of what is frozen
    return made


@pytest.mark.parametrize("serializer", BUILT_IN)
@settings(max_examples=2, phases=[Phase.generate])
@given(st.data())
def test_what_generated_code_does_not_take_it_hands_over(serializer: str, data: st.DataObject) -> None:
    emitter, notation = emitter_of(serializer)
    compiler = Compiler(Converter())
    values: dict[str, object] = {name: data.draw(FIELD_VALUES[name].values) for name in FIELD_VALUES}
    odd = [*ODD, *values.values(), *map(deleted, values.values())]
    functions: dict[str, list[str]] = {}
    for name in values:
        code, define = emitter.emitted(compiler.compile(TYPES[name], name)), emitter.module.define
        functions[name] = [
            define("encode", "value", emitter.guarded([f"return {code.encoded('value')}"])),
            define(
                "is_unchanged", "value, part", emitter.guarded([f"return {emitter.unchanged(code)('value', 'part')}"])
            ),
            define("decode", "part", [f"return {code.decoded('part')}"]),
        ]
    compiled = emitter.module.compiled()
    for name, value in values.items():
        encode, is_unchanged, decode = (compiled[function] for function in functions[name])
        read = notation.decoder(emitter.emitted(compiler.compile(TYPES[name], name)).wire_type)
        with suppress(*HANDED_OVER):
            payload = notation.encode(encode(value))
            part = read(payload)
            assert is_unchanged(decode(part), part)
            for other in odd:
                with suppress(*HANDED_OVER):
                    assert is_unchanged(other, part) in (True, False)
        for other in odd:
            with suppress(*HANDED_OVER, UnicodeDecodeError):
                payload = notation.encode(encode(other))
                decode(read(payload))
