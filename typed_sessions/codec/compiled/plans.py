"""How the values of a field type are written and read on the short way: a plan for each type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from datetime import datetime
from keyword import iskeyword
from operator import is_
from types import NoneType
from typing import Any, Final, Union, cast

import msgspec
from attrs import frozen

from typed_sessions.codec.compiled.notations import Notation
from typed_sessions.schema.generated import Module, Unusual
from typed_sessions.schema.kinds import Kind, has_plain_attributes, takes_positions
from typed_sessions.schema.places import MAX_DEPTH, TYPE_KEY, Comparison
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Field, define_departed, departure
from typed_sessions.schema.types import FieldType, NaiveDatetime, NativeTypes, Reading
from typed_sessions.schema.types.alias import Alias
from typed_sessions.schema.types.bounded import Bounded
from typed_sessions.schema.types.classes import Declared, Foreign, Keyed, all_parts
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.notation import Convert
from typed_sessions.schema.types.scalars import KNOWN, Enumeration, Scalar, Simple
from typed_sessions.schema.types.union import OneOf

__all__ = ["PERMANENT_KEY", "Plan", "Planner", "are_names", "known_struct", "wire_struct"]

Write = Callable[[str], str]
"""Makes an expression, in generated text, of one for a value."""

Look = Callable[[str, str], str]
"""Makes an expression of one for a value and one for what msgspec has read."""


@frozen
class Plan:
    """How one type goes.

    What `lower` makes is what msgspec reads back as `wire`, equal in all its parts: so comparing both proves that a
    value of a plan that is closed comes back.
    """

    wire: Any
    """What msgspec reads."""
    lower: Write | None = None
    """From a value to what msgspec writes; None if it writes the value itself."""
    lift: Write | None = None
    """From what msgspec has read to the value; None if they are one."""
    look: Look | None = None
    """Whether a value is what was made of what msgspec has read; None if they have to be compared at length.

    What cannot be changed is the same as long as it is the same object.
    """
    closed: bool = True
    """True if the plan says of all values how deep they nest and how they are written.

    False where a type goes by itself, be it somewhere inside.
    """

    def lowered(self, value: str) -> str:
        return value if self.lower is None else self.lower(value)

    def lifted(self, wire: str) -> str:
        return wire if self.lift is None else self.lift(wire)


PERMANENT_KEY: Final = "_permanent"
"""Quart's key, which says that a session is permanent."""

_NO_LONGER: Final = "the_long_way"
"""The name, in generated text, of the function that ends the short way."""

_DEEPEST: Final = MAX_DEPTH - 10
"""How deep the types of a plan nest, so that no value of theirs nests too deep."""

_LONGEST_EXPRESSION: Final = 20
"""How many brackets an expression opens before it becomes a function of its own: Python nests 200 at most."""


class Planner:
    """Makes plans for a notation, and writes what they need into a module.

    Args:
        notation: how the serializer writes what JSON lacks.
        wire: the types that the serializer brings back by itself.
        whole_seconds: whether it keeps no more of a datetime.
    """

    def __init__(self, notation: Notation, wire: NativeTypes, *, whole_seconds: bool) -> None:
        self.module: Final = Module("a schema and its serializer")
        self._notation: Final = notation
        self._wire: Final = wire
        self._comparison: Final = Comparison(whole_seconds)
        self._tagged_structs: dict[object, Any] = {}
        self._plans: dict[FieldType, Plan] = {}
        self._proofs: dict[Plan, str] = {}
        self._open: set[FieldType] = set()
        self._ways: Final[Mapping[type, Callable[[Any], Plan | None]]] = {
            Simple: self._simple,
            Scalar: self._scalar,
            Enumeration: self._enumeration,
            Bounded: self._bounded,
            Items: self._items,
            Positions: self._positions,
            Table: self._table,
            OneOf: self._union,
            Alias: self._alias,
            Declared: self._declared,
            Keyed: self._keyed,
        }
        self.module.name(_the_long_way, _NO_LONGER)
        self._same: Final = self.module.name(same, "same")
        self._alike: Final = self.module.name(notation.are_alike, "are_alike")

    def plan(self, field_type: FieldType) -> Plan:
        """Return how a type goes. Every type goes somehow: at worst by its own `lower` and `lift`."""
        if field_type in self._open or len(self._open) > _DEEPEST:
            return self._by_itself(field_type)  # it contains itself, or may be deeper than contents may be
        if field_type not in self._plans:
            self._open.add(field_type)
            self._plans[field_type] = self._planned(field_type) or self._by_itself(field_type)
            self._open.discard(field_type)
        return self._plans[field_type]

    def lift_of(self, plans: Mapping[str, Plan], fields: Mapping[str, Field]) -> str:
        """Add a function that makes the values, by name, of what msgspec has read, and return its name.

        Args:
            plans: how each field goes.
            fields: those that have defaults; the function returns the names of those whose value is one, too.
        """
        unset = self.module.name(msgspec.UNSET, "UNSET")
        lines = ['"""Return the values of the fields that are set, and which of them are defaults."""']
        lines += ["values, defaults = {}, []"]
        for name, plan in plans.items():
            lines += [f"value = wire.{name}", f"if value is not {unset}:"]
            if plan.lift is not None:
                lines += [f"    value = {plan.lift('value')}"]
            lines += [f"    values[{name!r}] = value"]
            if name in fields and not fields[name].generated:
                lines += [f"    if not ({departure(fields[name], self.module)}):", f"        defaults.append({name!r})"]
        return self.module.define("lift", "wire", [*lines, "return values, defaults"])

    def made_of(self, plans: Mapping[str, Plan], fields: Mapping[str, Field], kind: Kind, *, has_flag: bool) -> str:
        """Add a function that makes data, and what belongs to it, of what msgspec has read, and return its name.

        Args:
            plans: how each field goes.
            fields: the fields.
            kind: a class whose instances hold what the constructor is given, and nothing else.
            has_flag: whether msgspec reads `_permanent`, too.
        """
        unset, none = self.module.name(msgspec.UNSET, "UNSET"), self.module.name(frozenset[str](), "NONE")
        lines = [
            '"""Return the data, the names of the fields whose default itself is stored, and the undeclared keys."""'
        ]
        lines += [f"defaults = {none}"]
        for number, (name, plan) in enumerate(plans.items()):
            field, part = fields[name], f"part_{number}"
            lines += [f"{part} = wire.{name}", f"if {part} is {unset}:", f"    {part} = {self._fresh(field)}", "else:"]
            lines += [] if plan.lift is None else [f"    {part} = {plan.lift(part)}"]
            lines += [f"    if not ({departure(field, self.module, part)}):", f"        defaults |= {{{name!r}}}"]
        takes = "" if takes_positions(kind) else "{}="
        parts = [f"{takes.format(member.alias)}part_{number}" for number, member in enumerate(kind.members.values())]
        cls = self.module.name(kind.cls, kind.cls.__name__)
        extras = f"{{}} if wire.{PERMANENT_KEY} is {unset} else {{{PERMANENT_KEY!r}: wire.{PERMANENT_KEY}}}"
        lines += [f"return {cls}({', '.join(parts)}), defaults, {extras if has_flag else '{}'}"]
        return self.module.define("made", "wire", lines)

    def _fresh(self, field: Field) -> str:
        """Return the expression of a default, which nobody else has if it can be changed."""
        if type(field.default) in (list, dict, set):
            return f"{type(field.default).__name__}()"
        return self.module.name(field.default, f"default_{field.name}")

    def wire_of(self, struct: Any) -> str:
        """Add a function that makes a Struct of what is lowered, and return its name."""
        unset = self.module.name(msgspec.UNSET, "UNSET")
        parts = ", ".join(f"get({field!r}, {unset})" for field in struct.__struct_fields__)
        lines = ['"""Return the fields as msgspec reads them; those that are not there are unset."""']
        return self.module.define("wire_of", "Wire, lowered", [*lines, "get = lowered.get", f"return Wire({parts})"])

    def changes_of_fields(self, plans: Mapping[str, Plan], fields: Mapping[str, Field]) -> str:
        """Add a function that finds what has changed since data was made, and return its name.

        It takes the data, what msgspec had read, a dict for the values of which nothing is proven yet, and the names of
        the fields whose default itself was stored.
        """
        unset = self.module.name(msgspec.UNSET, "UNSET")
        lines = ['"""Return the fields that may have changed, as msgspec writes them; those not stored are unset."""']
        lines += ["changes = {}"]
        for name, plan in plans.items():
            has_departed = departure(fields[name], self.module)
            lines += [f"value, part = data.{name}, wire.{name}", *self._unless_unchanged(plan)]
            lines += [f"    if {has_departed} or {name!r} in defaults:", *self._change(name, plan, indent=8)]
            lines += [f"    elif part is not {unset}: changes[{name!r}] = {unset}"]
        return self.module.define("changes", "data, wire, unproven, defaults", [*lines, "return changes"])

    def changes_of_keys(self, plans: Mapping[str, Plan]) -> str:
        """Add a function that finds the same in a TypedDict, and return its name."""
        unset = self.module.name(msgspec.UNSET, "UNSET")
        lines = ['"""Return the keys that may have changed, as msgspec writes them; those not stored are unset."""']
        lines += ["changes, get = {}, data.get"]
        for name, plan in plans.items():
            lines += [f"value, part = get({name!r}, {unset}), wire.{name}", f"if value is {unset}:"]
            lines += [f"    if part is not {unset}: changes[{name!r}] = {unset}", "else:"]
            lines += [f"    {line}" for line in (*self._unless_unchanged(plan), *self._change(name, plan, indent=4))]
        return self.module.define("changes", "data, wire, unproven", [*lines, "return changes"])

    def _unless_unchanged(self, plan: Plan) -> list[str]:
        """Return the lines that lead to what is done of a value that has changed."""
        unset = self.module.name(msgspec.UNSET, "UNSET")
        if plan.look is _is:
            return ["if value is not part:"]
        if plan.closed:
            return [f"if part is {unset} or not {self._look(plan)('value', 'part')}:"]
        lowered = f"lowered = {plan.lowered('value')}"
        return [lowered, f"if part is {unset} or not {self._comparing(plan)}(lowered, part):"]

    def _change(self, name: str, plan: Plan, indent: int) -> list[str]:
        """Return the lines that note a change."""
        lines = [f"changes[{name!r}] = {plan.lowered('value') if plan.closed else 'lowered'}"]
        lines += [] if plan.closed else [f"unproven[{name!r}] = value"]
        return [" " * indent + line for line in lines]

    def lower_values_of(self, plans: Mapping[str, Plan], *, proven: bool) -> str:
        """Add a function that lowers the values of fields, given by name, and return its name.

        Args:
            plans: how each field goes.
            proven: whether it proves that what it makes comes back.
        """
        lines = ['"""Return the same with the values of declared fields as msgspec writes them."""']
        lines += ["values = {**values}"]
        for name, plan in plans.items():
            if plan.lower is not None:
                lines += [f"if {name!r} in values:", f"    value = values[{name!r}]"]
                lines += [f"    values[{name!r}] = {self._proven(plan)('value') if proven else plan.lowered('value')}"]
        return self.module.define("lower_values", "values", [*lines, "return values"])

    def lower_data_of(self, plans: Mapping[str, Plan], fields: Mapping[str, Field], *, proven: bool) -> str:
        """Add the same for the fields of an object that have departed from their defaults."""
        lowered = {name: (self._proven(plan) if proven else plan.lowered)("value") for name, plan in plans.items()}
        return define_departed(self.module, fields, lowered)

    def usual_of(self, plan: Plan) -> str:
        """Add a function that makes, of what msgspec has read, what it would write of the same, and return its name."""
        return self.module.define(
            "usual", "part", [f"value = {plan.lifted('part')}", f"return {plan.lowered('value')}"]
        )

    def _proven(self, plan: Plan) -> Write:
        """Return what lowers the value of a field, and proves that it comes back where msgspec alone does not."""
        if plan.closed:
            return plan.lowered
        return lambda value: f"{self.proof_of(plan)}({value}, {plan.lowered(value)})"

    def proof_of(self, plan: Plan) -> str:
        """Add a function that returns what is lowered of a value, if that comes back, and return its name."""
        if plan not in self._proofs:
            came_back = self.module.name(self._comparison.came_back, "came_back")
            lines = ["try:", f"    is_same = {came_back}(value, {plan.lifted('part')})"]
            lines += ["except Exception:", "    is_same = False"]  # a class of the user's may raise anything
            lines += [f"if not is_same: {_NO_LONGER}()", "return part"]
            self._proofs[plan] = self.module.define("proven", "value, part", lines)
        return self._proofs[plan]

    def _planned(self, field_type: FieldType) -> Plan | None:
        planned = self._ways.get(type(field_type))
        return None if planned is None else planned(field_type)

    def _by_itself(self, field_type: FieldType) -> Plan:
        """Return the plan of a type that only it itself knows to write; the field tries whether a value comes back."""
        wire, parts = self._wire, all_parts([field_type])
        needs_tags = not all(map(self._is_json, parts))
        is_kept = any(isinstance(part, Foreign) for part in parts)

        def lift(plain: object) -> object:
            reading = Reading(wire)
            if is_kept:  # a hook of the user's may make its value of the very list that is compared with it later
                plain = deepcopy(plain)
            value = field_type.structure(self._notation.untagged(plain) if needs_tags else plain, reading)
            if reading.unknown or reading.generated:  # which is for the long way to report, and to remember
                raise Unusual
            return value

        def lower(value: object) -> object:
            plain = field_type.unstructure(value, wire)
            return self._notation.tagged(plain) if needs_tags else plain

        return Plan(Any, self._call(lower, "lower"), self._call(lift, "lift"), closed=False)

    def _is_json(self, part: FieldType) -> bool:
        """Return True if a type makes nothing that JSON lacks, no float, and no dict whose key could be a tag."""
        if isinstance(part, (OneOf, Alias)):
            return True  # its members, and what it stands for, are parts, too
        made = part.plain_types(self._wire)
        is_class = isinstance(part, Declared)
        return not isinstance(part, Foreign) and (is_class or made <= {NoneType, bool, int, str, list})

    def _short(self, hint: str, write: Write) -> Write:
        """Return what writes the same, by the name of a function where the expression gets long."""
        expression = write("value")
        if expression.count("(") + expression.count("[") <= _LONGEST_EXPRESSION:
            return write
        return self._function(hint, "value", [f"return {expression}"])

    def _short_look(self, hint: str, look: Look) -> Look:
        """Return what looks the same, by the name of a function where the expression gets long."""
        expression = look("value", "wire")
        if expression.count("(") <= _LONGEST_EXPRESSION:
            return look
        name = self.module.define(hint, "value, wire", [f"return {expression}"])
        return lambda value, wire: f"{name}({value}, {wire})"

    def _look(self, plan: Plan) -> Look:
        return plan.look or (lambda value, wire: f"{self._comparing(plan)}({plan.lowered(value)}, {wire})")

    def _comparing(self, plan: Plan) -> str:
        """Return the name of the function that compares what is lowered with what msgspec has read."""
        return self._alike if plan.wire is Any else self._same

    def _look_at_each(self, cls: type, item: Plan) -> Look:
        """Return what looks at each item of a list, or of a tuple."""
        if item.lower is None and item.lift is None:
            items = self.module.name(_are_the_same, "are_the_same")
            return lambda value, wire: f"(type({value}) is {cls.__name__} and {items}({value}, {wire}))"
        lines = [f"if type(value) is not {cls.__name__} or len(value) != len(wire): return False"]
        lines += ["for item, part in zip(value, wire):"]
        lines += [f"    if not {self._look(item)('item', 'part')}: return False"]
        name = self.module.define(f"is_unchanged_{cls.__name__}", "value, wire", [*lines, "return True"])
        return lambda value, wire: f"{name}({value}, {wire})"

    def _look_at_items(self, value: Plan) -> Look:
        """Return what looks at each key and value of a dict. Another order is written where anything else changes."""
        lines = ["if type(value) is not dict or len(value) != len(wire): return False"]
        lines += ["for (key, item), (known, part) in zip(value.items(), wire.items()):"]
        lines += [f"    if key != known or not {self._look(value)('item', 'part')}: return False"]
        name = self.module.define("is_unchanged_dict", "value, wire", [*lines, "return True"])
        return lambda value, wire: f"{name}({value}, {wire})"

    def _call(self, function: Callable[[Any], object], hint: str) -> Write:
        name = self.module.name(function, hint)
        return lambda value: f"{name}({value})"

    def _simple(self, field_type: Simple) -> Plan:
        if field_type.cls is not float:
            return Plan(field_type.cls, look=_is)
        check = self._call(self._notation.exact_float, "exact_float")
        return Plan(_union_of((float, int)), check, check, _is)  # msgspec would round an int that no float is equal to

    def _scalar(self, field_type: Scalar) -> Plan:
        spelling = self._notation.spellings.get(field_type.cls)
        if spelling is None or field_type.cls not in self._wire:
            return self._text(field_type)
        if spelling.native is not None:
            return self._tagged(spelling.tag, spelling.native, None, None)
        may_be_naive = field_type.cls is not datetime or NaiveDatetime in self._wire

        def write(value: Any) -> object:
            if type(value) is not field_type.cls or not (may_be_naive or value.utcoffset() is not None):
                raise Unusual
            return spelling.write(value)

        def read(content: object) -> object:
            try:
                return spelling.read_exactly(content)
            except ValueError:
                raise Unusual from None

        return self._tagged(spelling.tag, str, write, read)

    def _tagged(self, tag: str, content: type, write: Convert | None, read: Convert | None) -> Plan:
        struct = self._tagged_struct(tag, content)
        name = self.module.name(struct, struct.__name__)
        if write is None or read is None:
            return Plan(struct, lambda value: f"{name}({value})", lambda wire: f"{wire}.content", _is_content)
        lower, lift = self._call(write, f"write{tag}"), self._call(read, f"read{tag}")
        return Plan(
            struct,
            lambda value: f"{name}({lower(value)})",
            lambda wire: lift(f"{wire}.content"),
            lambda value, wire: f"({lower(value)} == {wire}.content)",
        )

    def _text(self, field_type: Scalar) -> Plan:
        """Return the plan of a value that is written as text. A text that is written in another way is left alone."""
        wire, comparison = self._wire, self._comparison

        def lower(value: object) -> object:
            text = field_type.unstructure(value, wire)
            if not comparison.came_back(value, field_type.structure(text, Reading(wire))):
                raise Unusual
            return text

        def lift(text: object) -> object:
            value = field_type.structure(text, Reading(wire))
            if field_type.unstructure(value, wire) != text:
                raise Unusual
            return value

        def looks_the_same(value: object, text: object) -> bool:
            return bool(field_type.unstructure(value, wire) == text)

        look = self.module.name(looks_the_same, f"looks_the_same_{field_type.text}")
        return Plan(
            str,
            self._call(lower, f"lower_{field_type.text}"),
            self._call(lift, f"lift_{field_type.text}"),
            lambda value, part: f"{look}({value}, {part})",
        )

    def _enumeration(self, field_type: Enumeration) -> Plan:
        cls: Any = field_type.cls

        def lift(value: object) -> Any:
            try:
                member = cls(value)
            except Exception as error:  # a user's `_missing_` may raise anything
                raise Unusual from error
            if type(member.value) is not type(value):
                raise Unusual
            return member

        def lower(member: Any) -> object:
            if type(member) is not cls or lift(member.value) is not member:
                raise Unusual
            return member.value

        types: set[type] = {type(cast("object", member.value)) for member in field_type.members}
        lower_name, lift_name = f"lower_{cls.__name__}", f"lift_{cls.__name__}"
        return _by_text(_union_of(types), self._call(lower, lower_name), self._call(lift, lift_name))

    def _bounded(self, field_type: Bounded) -> Plan | None:
        """Return the plan of a type whose bounds msgspec keeps while it reads."""
        inner = field_type.inner
        if isinstance(inner, Simple) and inner.cls is not float:
            return Plan(field_type.constraint, look=_is)
        return None

    def _items(self, field_type: Items) -> Plan | None:
        item = self.plan(field_type.item)
        if item.wire is Any or (item.wire is str and item.lower is not None):
            return None  # one call for all of them takes less than one for each
        if field_type.cls is tuple:
            return self._tuple(_of(tuple, item.wire, ...), item, closed=item.closed)
        if field_type.cls is not list:
            return self._set(field_type, item)
        if item.lower is None and item.lift is None:
            return Plan(_of(list, item.wire), None, lambda wire: f"{wire}.copy()", self._look_at_each(list, item))
        return Plan(
            _of(list, item.wire),
            None if item.lower is None else self._each(list, item),
            self._short("lift_list", lambda wire: f"[{item.lifted('item')} for item in {wire}]"),
            self._look_at_each(list, item),
            item.closed,
        )

    def _each(self, cls: type, item: Plan) -> Write:
        """Return what lowers each item of a list or a tuple."""
        brackets = "[{}]" if cls is list else "tuple([{}])"
        items = brackets.format(f"{item.lowered('item')} for item in value")
        return self._function(f"lower_{cls.__name__}", "value", [_only(cls, "value"), f"return {items}"])

    def _function(self, hint: str, parameter: str, lines: list[str]) -> Write:
        name = self.module.define(hint, parameter, lines)
        return lambda value: f"{name}({value})"

    def _set(self, field_type: Items, item: Plan) -> Plan | None:
        """Return the plan of a set of what JSON has; it is written in order."""
        if item.lower is not None or item.lift is not None or not isinstance(field_type.item, Simple):
            return None
        cls = field_type.cls

        def lower(value: Any) -> object:
            if type(value) is not cls:
                raise Unusual
            return sorted(value, key=repr)

        def lift(items: list[object]) -> object:
            value: Any = cls(items)
            if sorted(value, key=repr) != items:
                raise Unusual
            return value

        name = cls.__name__
        return Plan(_of(list, item.wire), self._call(lower, f"lower_{name}"), self._call(lift, f"lift_{name}"))

    def _tuple(self, wire: Any, item: Plan, *, closed: bool) -> Plan:
        struct = self._tagged_struct(self._notation.tuple_tag, wire)
        name = self.module.name(struct, struct.__name__)
        if item.lower is None and item.lift is None:
            return Plan(struct, lambda value: f"{name}({value})", lambda wire: f"{wire}.content", _is_content, closed)
        each = self._each(tuple, item)
        look = self._look_at_each(tuple, item)
        return Plan(
            struct,
            lambda value: f"{name}({each(value)})",
            self._short("lift_tuple", lambda wire: f"tuple([{item.lifted('item')} for item in {wire}.content])"),
            lambda value, wire: look(value, f"{wire}.content"),
            closed,
        )

    def _positions(self, field_type: Positions) -> Plan:
        plans = [self.plan(item) for item in field_type.items]
        struct = self._tagged_struct(self._notation.tuple_tag, _of(tuple, *(plan.wire for plan in plans)))
        name = self.module.name(struct, struct.__name__)
        closed = all(plan.closed for plan in plans)
        if all(plan.lower is None and plan.lift is None for plan in plans):
            return Plan(struct, lambda value: f"{name}({value})", lambda wire: f"{wire}.content", _is_content, closed)
        names = [f"item_{index}" for index in range(len(plans))]
        unpacked = f"{', '.join(names)}, = "

        def parts(convert: Callable[[Plan, str], str]) -> str:
            return f"({', '.join(convert(plan, item) for plan, item in zip(plans, names, strict=True))},)"

        lower = [_only(tuple, "value"), f"{unpacked}value", f"return {name}({parts(Plan.lowered)})"]
        lift = [f"{unpacked}wire.content", f"return {parts(Plan.lifted)}"]
        return Plan(
            struct,
            self._function("lower_tuple", "value", lower),
            self._function("lift_tuple", "wire", lift),
            closed=closed,
        )

    def _table(self, field_type: Table) -> Plan | None:
        """Return the plan of a dict with keys of text.

        A dict whose only key is a tag is written with another one, and one that looks like a named member of a union,
        with its own name.
        """
        if field_type.key is not KNOWN[str]:
            return None
        value = self.plan(field_type.value)
        if value.wire is Any:
            return None
        tags = self.module.name(self._notation.tags, "TAGS")
        items = "{{key: {} for key, item in {}.items()}}"
        refuse = "if len({0}) == 1 and not {1}.isdisjoint({0}) or len({0}) == 2 and {2!r} in {0}: {3}()"
        lower = [_only(dict, "value"), refuse.format("value", tags, TYPE_KEY, _NO_LONGER)]
        lower += [f"return {'value' if value.lower is None else items.format(value.lowered('item'), 'value')}"]
        lift = [refuse.format("wire", tags, TYPE_KEY, _NO_LONGER)]
        lift += [f"return {items.format(value.lifted('item'), 'wire')}"]
        return Plan(
            _of(dict, str, value.wire),
            self._function("lower_dict", "value", lower),
            self._function("lift_dict", "wire", lift),
            self._look_at_items(value),
            value.closed,
        )

    def _alias(self, field_type: Alias) -> Plan:
        return self.plan(field_type.target)

    def _union(self, field_type: OneOf) -> Plan | None:
        """Return the plan of what may be None, and of unions of what JSON has."""
        if all(isinstance(member, Simple) for member in field_type.members):
            return self._simple_union(cast("list[Simple]", list(field_type.members)))
        others = [member for member in field_type.members if member is not KNOWN[NoneType]]
        if len(others) == 1 and not isinstance(others[0], (Table, Keyed)):  # which could look like a named member
            return self._optional(others[0])
        return None

    def _simple_union(self, members: list[Simple]) -> Plan:
        types = {member.cls for member in members}
        if float not in types:
            return Plan(_union_of(types), look=_is)
        exact = self._notation.exact_float

        def check(value: object) -> object:
            if type(value) is int and int not in types:
                raise Unusual
            return exact(value) if isinstance(value, float) else value

        return Plan(_union_of({*types, int}), self._call(check, "exact"), self._call(check, "exact"), _is)

    def _optional(self, member: FieldType) -> Plan | None:
        inner = self.plan(member)
        if inner.wire is Any:
            return None
        lower, lift, look = inner.lower, inner.lift, self._look(inner)
        return Plan(
            Union[inner.wire, None],  # noqa: UP007 -- of a value, which may be a constraint
            None
            if lower is None
            else self._short("lower_optional", lambda value: f"(None if {value} is None else {lower(value)})"),
            None
            if lift is None
            else self._short("lift_optional", lambda wire: f"(None if {wire} is None else {lift(wire)})"),
            lambda value, wire: f"({value} is None if {wire} is None else {look(value, wire)})",
            inner.closed,
        )

    def _declared(self, field_type: Declared) -> Plan | None:
        """Return the plan of a declared class. What its constructor does of its own accord, a look at it finds."""
        kind = field_type.kind
        if not has_plain_attributes(kind) or not are_names(field_type.types):
            return None
        plans = {name: self.plan(item) for name, item in field_type.types.items()}
        struct = self._struct(field_type.text, plans, frozenset(plans))
        struct_name, cls = self.module.name(struct, struct.__name__), self.module.name(kind.cls, kind.cls.__name__)
        takes = "" if takes_positions(kind) else "{}="
        aliases = [takes.format(member.alias) for member in kind.members.values()]

        def lower(value: str) -> str:
            parts = ", ".join(plan.lowered(f"{value}.{name}") for name, plan in plans.items())
            return f"({struct_name}({parts}) if type({value}) is {cls} else {_NO_LONGER}())"

        def lift(wire: str) -> str:
            parts = zip(aliases, plans.values(), struct.__struct_fields__, strict=True)
            return f"{cls}({', '.join(alias + plan.lifted(f'{wire}.{part}') for alias, plan, part in parts)})"

        def look(value: str, wire: str) -> str:
            parts = zip(plans, map(self._look, plans.values()), struct.__struct_fields__, strict=True)
            looks = [look_at(f"{value}.{name}", f"{wire}.{part}") for name, look_at, part in parts]
            return f"({' and '.join([f'type({value}) is {cls}', *looks])})"

        return Plan(
            struct,
            self._short(f"lower_{cls}", lower),
            self._short(f"lift_{cls}", lift),
            self._short_look(f"is_unchanged_{cls}", look),
            all(plan.closed for plan in plans.values()),
        )

    def _keyed(self, field_type: Keyed) -> Plan | None:
        """Return the plan of a TypedDict whose keys are names."""
        if not are_names(field_type.types):
            return None
        plans = {name: self.plan(item) for name, item in field_type.types.items()}
        struct = self._struct(field_type.text, plans, field_type.required)
        struct_name, unset = self.module.name(struct, struct.__name__), self.module.name(msgspec.UNSET, "UNSET")
        names = self.module.name(frozenset(plans), "KEYS")
        lowered: list[str] = []
        lift = ["value = {}"]
        for (name, plan), part in zip(plans.items(), struct.__struct_fields__, strict=True):
            item, absent = f"value[{name!r}]", "" if name in field_type.required else f"if wire.{part} is not {unset}: "
            needs = "" if name in field_type.required else f" if {name!r} in value else {unset}"
            lowered.append(f"{part}={plan.lowered(item)}{needs}")
            lift.append(f"{absent}value[{name!r}] = {plan.lifted(f'wire.{part}')}")
        lower = [f"if type(value) is not dict or not {names}.issuperset(value): {_NO_LONGER}()"]
        return Plan(
            struct,
            self._function("lower_keys", "value", [*lower, f"return {struct_name}({', '.join(lowered)})"]),
            self._function("lift_keys", "wire", [*lift, "return value"]),
            self._look_at_keys(plans, struct, names),
            all(plan.closed for plan in plans.values()),
        )

    def _look_at_keys(self, plans: Mapping[str, Plan], struct: Any, names: str) -> Look:
        """Return what looks at each key of a TypedDict."""
        unset = self.module.name(msgspec.UNSET, "UNSET")
        lines = [f"if type(value) is not dict or not {names}.issuperset(value): return False", "get = value.get"]
        for (name, plan), part in zip(plans.items(), struct.__struct_fields__, strict=True):
            if plan.look is _is:
                lines += [f"if get({name!r}, {unset}) is not wire.{part}: return False"]
            else:
                lines += [
                    f"item, part = get({name!r}, {unset}), wire.{part}",
                    f"if item is {unset} or part is {unset}:",
                ]
                lines += ["    if item is not part: return False"]
                lines += [f"elif not {self._look(plan)('item', 'part')}: return False"]
        name = self.module.define("is_unchanged_keys", "value, wire", [*lines, "return True"])
        return lambda value, wire: f"{name}({value}, {wire})"

    def _struct(self, text: str, plans: dict[str, Plan], required: Iterable[str]) -> Any:
        """Return the Struct that msgspec reads a declared class as: with its names, and with no others."""
        needed = frozenset(required)
        fields: list[Any] = []
        for number, (name, plan) in enumerate(plans.items()):
            wire: Any = plan.wire if name in needed else Union[plan.wire, msgspec.UnsetType]  # noqa: UP007
            default = {} if name in needed else {"default": msgspec.UNSET}
            fields.append((f"part_{number}", wire, msgspec.field(name=name, **cast("Any", default))))
        plain_name = "".join(character if character.isidentifier() else "_" for character in text)
        return msgspec.defstruct(
            f"{plain_name}Wire",
            fields,
            forbid_unknown_fields=True,
            kw_only=needed != frozenset(plans),
            gc=False,  # it is made of a payload, or as one: there is no cycle in it
        )

    def _tagged_struct(self, tag: str, content: Any) -> Any:
        """Return the Struct that msgspec reads a tag and its content as."""
        key = tag, content
        if key not in self._tagged_structs:
            self._tagged_structs[key] = msgspec.defstruct(
                f"Tagged{tag.strip().title()}",
                [("content", content, msgspec.field(name=tag))],
                forbid_unknown_fields=True,
                gc=False,
            )
        return self._tagged_structs[key]


def wire_struct(plans: Mapping[str, Plan], *, has_flag: bool) -> Any:
    """Return the Struct that msgspec reads the fields of a session as, and `_permanent`, if that is no field."""
    wires: dict[str, Any] = {PERMANENT_KEY: bool} if has_flag else {}
    wires |= {name: plan.wire for name, plan in plans.items()}
    fields = [(name, Union[wire, msgspec.UnsetType], msgspec.UNSET) for name, wire in wires.items()]  # noqa: UP007
    return msgspec.defstruct("Wire", fields, gc=False)


def known_struct(struct: Any) -> Any:
    """Return the Struct that msgspec reads the same as, if there is nothing else."""
    return msgspec.defstruct("Known", [], bases=(struct,), forbid_unknown_fields=True, gc=False)


def are_names(names: Iterable[str]) -> bool:
    """Return True if all can be written as names in generated text."""
    return all(name.isidentifier() and name.isascii() and not iskeyword(name) for name in names)


def _union_of(types: Iterable[type]) -> Any:
    return Union[tuple(types)]  # noqa: UP007 -- of a value


def _of(container: Any, *arguments: Any) -> Any:
    """Return a container's type with arguments that are values here."""
    return container[arguments]


def _by_text(wire: Any, lower: Write, lift: Write) -> Plan:
    """Return the plan of what is told by its text, or by a value that no other one is equal to."""
    return Plan(wire, lower, lift, lambda value, part: f"({lower(value)} == {part})")


def _is(value: str, wire: str) -> str:
    return f"({value} is {wire})"


def _is_content(value: str, wire: str) -> str:
    return f"({value} is {wire}.content)"


def _are_the_same(items: Collection[object], parts: Collection[object]) -> bool:
    return len(items) == len(parts) and all(map(is_, items, parts))


def _only(cls: type, name: str) -> str:
    return f"if type({name}) is not {cls.__name__}: {_NO_LONGER}()"


def _the_long_way() -> None:
    raise Unusual
