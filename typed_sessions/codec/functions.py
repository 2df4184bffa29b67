"""The functions that are made for a schema and a format: `load`, `explicit_defaults` and `changes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from typed_sessions.codec.compiled.plans import _NO_LONGER, Plan, Planner, _is
from typed_sessions.schema.field import non_default
from typed_sessions.schema.generated import Module
from typed_sessions.schema.kinds import Kind
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types import FieldType, all_parts
from typed_sessions.schema.types.bounded import Bounded
from typed_sessions.schema.types.containers import Items, Positions
from typed_sessions.schema.types.scalars import Choice, Enumeration, Scalar, Simple
from typed_sessions.schema.types.union import OneOf

__all__ = ["Found", "Functions"]

_IMMUTABLE: Final = (Simple, Scalar, Enumeration, Bounded, Choice, OneOf, Positions)


class Functions:
    """Writes the text of the functions of one schema in one format.

    Args:
        schema: what a session holds.
        planner: knows how each type is written.
        plans: how each field goes.
        known: the class of what msgspec reads of a payload.
        spelled: for each field that can be written in several ways what tells whether two of them mean the same.
    """

    def __init__(
        self, schema: Schema[Any], planner: Planner, plans: Mapping[str, Plan], known: type, spelled: Mapping[str, Any]
    ) -> None:
        self._schema: Final = schema
        self._planner: Final = planner
        self._plans: Final = plans
        self._spelled: Final = spelled
        self._module: Final[Module] = planner.module
        self._unset: Final = self._module.name(msgspec.UNSET, "UNSET")
        self._known: Final = self._module.name(known, "Known")
        self._same: Final = self._module.name(same, "same")
        self._made: Final = [name for name, plan in plans.items() if self._is_made(name, plan)]
        """The fields whose values are made of what msgspec reads, and cannot be changed: told by being the same."""

    def _is_made(self, name: str, plan: Plan) -> bool:
        return plan.lift is not None and _is_immutable(self._schema.fields[name].type)

    def load(self, kind: Kind | None) -> str:
        """Add the function that makes data, and the values that are told by being the same, of what msgspec reads.

        Args:
            kind: a class that is made by one call with all its attributes; None for one that makes itself of some.
        """
        lines: list[str] = [] if kind is not None else ["values = {}"]
        for number, (name, plan) in enumerate(self._plans.items()):
            part = f"part_{number}"
            lines += [f"{part} = decoded.{name}"]
            if kind is None:
                lines += [f"if {part} is not {self._unset}: values[{name!r}] = {part} = {plan.lifted(part)}"]
            elif plan.lift is None:
                lines += [f"if {part} is {self._unset}: {part} = {self._fresh(name)}"]
            else:
                lines += [f"{part} = {self._fresh(name)} if {part} is {self._unset} else {plan.lifted(part)}"]
        numbers = {name: number for number, name in enumerate(self._plans)}
        made = "".join(f"part_{numbers[name]}, " for name in self._made)
        if kind is None:
            data = f"{self._module.name(self._schema.construct, 'construct')}(values)"
        else:
            takes = "" if kind.takes_positions else "{}="
            parts = [f"{takes.format(member.alias)}part_{numbers[name]}" for name, member in kind.members.items()]
            data = f"{self._module.name(kind.cls, kind.cls.__name__)}({', '.join(parts)})"
        return self._module.define("load", "decoded", [*lines, f"return {data}, ({made})"])

    def load_keys(self) -> str:
        """Add the function that makes a dict, in the order of the declaration, of what msgspec reads."""
        lines = ["values = {}"]
        for name, plan in self._plans.items():
            lines += [
                f"part = decoded.{name}",
                f"if part is not {self._unset}: values[{name!r}] = {plan.lifted('part')}",
            ]
        return self._module.define("load", "decoded", [*lines, "return values"])

    def explicit_defaults(self) -> str:
        """Add the function that returns the names of the fields of which msgspec has read the default itself."""
        lines = ["found = []"]
        for name, plan in self._plans.items():
            field = self._schema.fields[name]
            if not field.generated:
                lines += [f"value = decoded.{name}", f"if value is not {self._unset}:"]
                lines += [] if plan.lift is None else [f"    value = {plan.lifted('value')}"]
                lines += [f"    if not ({non_default(field, self._module)}): found.append({name!r})"]
        return self._module.define("explicit_defaults", "decoded", [*lines, "return found"])

    def changes(self) -> str:
        """Add the function that finds what has changed in data since it was loaded.

        It returns None, or what `Found` has.
        """
        lines = _BEGIN[:]
        for name, plan in self._plans.items():
            field = self._schema.fields[name]
            inner = [f"value, part = data.{name}, decoded.{name}", *self._unless_unchanged(name, plan)]
            is_explicit = f"{name!r} in explicit if part is {self._unset} else {name!r} in contents.explicit"
            is_stored = f"{non_default(field, self._module)} or ({is_explicit})"
            inner += [f"    if {is_stored}:", *_indented(self._change(name, plan), 8)]
            inner += [f"    elif part is not {self._unset}:", *_indented(self._removal(name), 8)]
            varies = field.generated or field.varies
            if varies:
                lines += [f"if {name!r} in contents.unread:", f"    if decoded.{name} is not {self._unset}:"]
                lines += [*_indented(self._removal(name), 8), "else:", *_indented(inner, 4)]
            else:
                lines += inner
        return self._module.define("changes", "contents, data, decoded, made, explicit", [*lines, _END])

    def changes_of_keys(self) -> str:
        """Add the function that finds the same in the dict of a TypedDict."""
        lines = [*_BEGIN, "get = data.get"]
        for name, plan in self._plans.items():
            lines += [f"value, part = get({name!r}, {self._unset}), decoded.{name}", f"if value is {self._unset}:"]
            lines += [f"    if part is not {self._unset}:", *_indented(self._removal(name), 8), "else:"]
            lines += _indented([*self._unless_unchanged(name, plan), *_indented(self._change(name, plan), 4)], 4)
        return self._module.define("changes", "data, decoded", [*lines, _END])

    def _unless_unchanged(self, name: str, plan: Plan) -> list[str]:
        """Return the lines that lead to what is done of a value that may have changed."""
        if not plan.closed:
            lowered = f"lowered = {plan.lowered('value')}"
            return [lowered, f"if part is {self._unset} or not {self._planner._comparing(plan)}(lowered, part):"]
        look = self._planner._look(plan)("value", "part")
        if plan.look is _is:
            return ["if value is not part:"]
        changed = f"if part is {self._unset} or not {look}:"
        if name in self._made and not self._schema.keyed:
            return [f"if part is {self._unset} or (value is not made[{self._made.index(name)}] and not {look}):"]
        return [changed]

    def _change(self, name: str, plan: Plan) -> list[str]:
        if not plan.closed:
            lines = [f"unproven.append(({name!r}, value, lowered))"]
            spelled = self._module.name(self._spelled[name].is_same, f"is_same_{name}")
            differs = f"not {spelled}(part, lowered)"
        else:
            copied = plan.lower is None and plan.look is not _is
            lines = [f"lowered = {'value.copy()' if copied else plan.lowered('value')}"]
            # What equals what came, and is not the same, such as True for 1, may be what the field makes of it.
            differs = f"lowered != part or not ({self._same}(lowered, part) or {_NO_LONGER}())"
        lines += [f"if new is None: new, changed = decoded.__copy__(), {self._known}()"]
        lines += [f"new.{name} = changed.{name} = lowered"]
        return [
            *lines,
            f"if part is {self._unset}: adds = True",
            f"elif not differs: differs = {differs}",
        ]

    def _removal(self, name: str) -> list[str]:
        return [
            f"if new is None: new, changed = decoded.__copy__(), {self._known}()",
            f"new.{name} = {self._unset}",
            f"gone.append({name!r})",
        ]

    def _fresh(self, name: str) -> str:
        """Return the expression of a default, which nobody else has if it can be changed."""
        default = self._schema.fields[name].default
        if type(default) in (list, dict, set):
            return f"{type(default).__name__}()"
        return self._module.name(default, f"default_{name}")


Found: TypeAlias = tuple[Any, Any, bool, bool, list[str], list[tuple[str, object, object]]]
"""What is to be written, of which all that has not changed is as it was read; what of it has changed; whether a field
is there that was not; whether another one means something else than before; the fields that are stored no longer; and
what is still to be proven to read back: names, values, and what is written of them."""

_BEGIN: Final = ["new = changed = None", "adds = differs = False", "gone, unproven = [], []"]
_END: Final = "return None if new is None else (new, changed, adds, differs, gone, unproven)"


def _indented(lines: list[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


def _is_immutable(field_type: FieldType) -> bool:
    """Return True if values of a type cannot be changed, and hold nothing that can be."""
    return all(
        isinstance(part, _IMMUTABLE) or (isinstance(part, Items) and part.cls in (tuple, frozenset))
        for part in all_parts([field_type])
    )
