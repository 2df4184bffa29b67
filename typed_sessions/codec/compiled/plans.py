"""The generated functions of a schema: what its types emit, put together field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Union

import msgspec

from typed_sessions.schema.generated import are_names
from typed_sessions.schema.kinds import Kind, takes_positions
from typed_sessions.schema.schema import Field, define_departed, departure
from typed_sessions.schema.types import FieldType, NativeTypes
from typed_sessions.schema.types.emitter import IS, Emitted, Emitter, Write
from typed_sessions.schema.types.notation import Notation

__all__ = ["PERMANENT_KEY", "Plan", "Planner", "are_names", "known_struct", "wire_struct"]

Plan = Emitted

PERMANENT_KEY: Final = "_permanent"
"""Quart's key, which says that a session is permanent."""


class Planner(Emitter):
    """Writes the functions of a schema in a notation into a module."""

    def __init__(self, notation: Notation, native: NativeTypes, *, whole_seconds: bool) -> None:
        super().__init__(notation, native, whole_seconds=whole_seconds)
        self._proofs: dict[Plan, str] = {}

    def plan(self, field_type: FieldType) -> Plan:
        """Return what generated code does with a type."""
        return self.emitted(field_type)

    def lift_of(self, plans: Mapping[str, Plan], fields: Mapping[str, Field]) -> str:
        """Add a function that makes the values, by name, of what msgspec has read, and return its name.

        Args:
            plans: how each field goes.
            fields: those that have defaults; the function returns the names of those whose value is one, too.
        """
        lines = ['"""Return the values of the fields that are set, and which of them are defaults."""']
        lines += ["values, defaults = {}, []"]
        for name, plan in plans.items():
            lines += [f"value = wire.{name}", f"if value is not {self.unset}:"]
            if plan.decode is not None:
                lines += [f"    value = {plan.decode('value')}"]
            lines += [f"    values[{name!r}] = value"]
            if name in fields and not fields[name].generated:
                lines += [f"    if not ({departure(fields[name], self.module)}):", f"        defaults.append({name!r})"]
        return self.module.define("decode", "wire", [*lines, "return values, defaults"])

    def made_of(self, plans: Mapping[str, Plan], fields: Mapping[str, Field], kind: Kind, *, has_flag: bool) -> str:
        """Add a function that makes data, and what belongs to it, of what msgspec has read, and return its name.

        Args:
            plans: how each field goes.
            fields: the fields.
            kind: a class whose instances hold what the constructor is given, and nothing else.
            has_flag: whether msgspec reads `_permanent`, too.
        """
        none = self.module.name(frozenset[str](), "NONE")
        lines = [
            '"""Return the data, the names of the fields whose default itself is stored, and the undeclared keys."""'
        ]
        lines += [f"defaults = {none}"]
        for number, (name, plan) in enumerate(plans.items()):
            field, part = fields[name], f"part_{number}"
            lines += [f"{part} = wire.{name}", f"if {part} is {self.unset}:", f"    {part} = {self._fresh(field)}"]
            lines += ["else:"] if plan.decode is None else ["else:", f"    {part} = {plan.decode(part)}"]
            lines += [f"    if not ({departure(field, self.module, part)}):", f"        defaults |= {{{name!r}}}"]
        takes = "" if takes_positions(kind) else "{}="
        parts = [f"{takes.format(member.alias)}part_{number}" for number, member in enumerate(kind.members.values())]
        cls = self.module.name(kind.cls, kind.cls.__name__)
        extras = f"{{}} if wire.{PERMANENT_KEY} is {self.unset} else {{{PERMANENT_KEY!r}: wire.{PERMANENT_KEY}}}"
        lines += [f"return {cls}({', '.join(parts)}), defaults, {extras if has_flag else '{}'}"]
        return self.module.define("made", "wire", lines)

    def _fresh(self, field: Field) -> str:
        """Return the expression of a default, which nobody else has if it can be changed."""
        if type(field.default) in (list, dict, set):
            return f"{type(field.default).__name__}()"
        return self.module.name(field.default, f"default_{field.name}")

    def wire_of(self, struct: Any) -> str:
        """Add a function that makes a Struct of what is encoded, and return its name."""
        parts = ", ".join(f"get({field!r}, {self.unset})" for field in struct.__struct_fields__)
        lines = ['"""Return the fields as msgspec reads them; those that are not there are unset."""']
        return self.module.define("wire_of", "Wire, encoded", [*lines, "get = encoded.get", f"return Wire({parts})"])

    def changes_of_fields(self, plans: Mapping[str, Plan], fields: Mapping[str, Field]) -> str:
        """Add a function that finds what has changed since data was made, and return its name.

        It takes the data, what msgspec had read, a dict for the values of which nothing is proven yet, and the names of
        the fields whose default itself was stored.
        """
        lines = ["changes = {}"]
        for name, plan in plans.items():
            is_non_default = departure(fields[name], self.module)
            lines += [f"value, part = data.{name}, wire.{name}", *self._unless_unchanged(plan)]
            lines += [f"    if {is_non_default} or {name!r} in defaults:", *self._change(name, plan, indent=8)]
            lines += [f"    elif part is not {self.unset}: changes[{name!r}] = {self.unset}"]
        return self._changes("data, wire, unproven, defaults", lines)

    def changes_of_keys(self, plans: Mapping[str, Plan]) -> str:
        """Add a function that finds the same in a TypedDict, and return its name."""
        lines = ["changes, get = {}, data.get"]
        for name, plan in plans.items():
            lines += [f"value, part = get({name!r}, {self.unset}), wire.{name}", f"if value is {self.unset}:"]
            lines += [f"    if part is not {self.unset}: changes[{name!r}] = {self.unset}", "else:"]
            lines += [f"    {line}" for line in (*self._unless_unchanged(plan), *self._change(name, plan, indent=4))]
        return self._changes("data, wire, unproven", lines)

    def _changes(self, parameters: str, lines: list[str]) -> str:
        text = '"""Return the fields that may have changed, as msgspec writes them; those not stored are unset."""'
        return self.module.define("changes", parameters, [text, *self.guarded([*lines, "return changes"], "data")])

    def _unless_unchanged(self, plan: Plan) -> list[str]:
        """Return the lines that lead to what is done of a value that has changed."""
        if plan.unchanged is IS:
            return ["if value is not part:"]
        if plan.closed:
            return [f"if part is {self.unset} or not {self.look(plan)('value', 'part')}:"]
        encoded = f"encoded = {plan.encoded('value')}"
        return [encoded, f"if part is {self.unset} or not {self.comparing(plan)}(encoded, part):"]

    def _change(self, name: str, plan: Plan, indent: int) -> list[str]:
        """Return the lines that note a change."""
        lines = [f"changes[{name!r}] = {plan.encoded('value') if plan.closed else 'encoded'}"]
        lines += [] if plan.closed else [f"unproven[{name!r}] = value"]
        return [" " * indent + line for line in lines]

    def lower_values_of(self, plans: Mapping[str, Plan], *, proven: bool) -> str:
        """Add a function that encodes the values of fields, given by name, and return its name.

        Args:
            plans: how each field goes.
            proven: whether it proves that what it makes comes back.
        """
        lines = ["values = {**values}"]
        for name, plan in plans.items():
            if plan.encode is not None:
                lines += [f"if {name!r} in values:", f"    value = values[{name!r}]"]
                lines += [f"    values[{name!r}] = {self._proven(plan)('value') if proven else plan.encoded('value')}"]
        text = '"""Return the same with the values of declared fields as msgspec writes them."""'
        return self.module.define("encode_values", "values", [text, *self.guarded([*lines, "return values"])])

    def lower_data_of(self, plans: Mapping[str, Plan], fields: Mapping[str, Field], *, proven: bool) -> str:
        """Add the same for the fields of an object that are not their defaults."""
        encoded = {name: (self._proven(plan) if proven else plan.encoded)("value") for name, plan in plans.items()}
        non_defaults = define_departed(self.module, fields, encoded)
        return self.module.define("encode_data", "data", self.guarded([f"return {non_defaults}(data)"], "data"))

    def usual_of(self, plan: Plan) -> str:
        """Add a function that makes, of what msgspec has read, what it would write of the same, and return its name."""
        return self.module.define(
            "usual", "part", [f"value = {plan.decoded('part')}", f"return {plan.encoded('value')}"]
        )

    def _proven(self, plan: Plan) -> Write:
        """Return what encodes the value of a field, and proves that it comes back where msgspec alone does not."""
        if plan.closed:
            return plan.encoded
        return lambda value: f"{self.proof_of(plan)}({value}, {plan.encoded(value)})"

    def proof_of(self, plan: Plan) -> str:
        """Add a function that returns what is encoded of a value, if that comes back, and return its name."""
        if plan not in self._proofs:
            came_back = self.module.name(self.comparison.came_back, "came_back")
            lines = ["try:", f"    is_same = {came_back}(value, {plan.decoded('part')})"]
            lines += ["except Exception:", "    is_same = False"]  # a class of the user's may raise anything
            lines += [f"if not is_same: {self.unusual}()", "return part"]
            self._proofs[plan] = self.module.define("proven", "value, part", lines)
        return self._proofs[plan]


def wire_struct(plans: Mapping[str, Plan], *, has_flag: bool) -> Any:
    """Return the Struct that msgspec reads the fields of a session as, and `_permanent`, if that is no field."""
    wires: dict[str, Any] = {PERMANENT_KEY: bool} if has_flag else {}
    wires |= {name: plan.wire_type for name, plan in plans.items()}
    fields = [(name, Union[wire, msgspec.UnsetType], msgspec.UNSET) for name, wire in wires.items()]  # noqa: UP007
    return msgspec.defstruct("Wire", fields, gc=False)


def known_struct(struct: Any) -> Any:
    """Return the Struct that msgspec reads the same as, if there is nothing else."""
    return msgspec.defstruct("Known", [], bases=(struct,), forbid_unknown_fields=True, gc=False)
