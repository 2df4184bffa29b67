"""The functions that are generated for a schema in a format: `load`, `changes`, and what these need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from types import NoneType
from typing import Any, Final, cast, get_args, get_origin

from typed_sessions.codec.generated import PERMANENT_KEY, Changes
from typed_sessions.schema.field import non_default
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.kinds.base import Kind
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types.base import FieldType, all_parts
from typed_sessions.schema.types.classes import Foreign
from typed_sessions.schema.types.containers import Items, Positions
from typed_sessions.schema.types.emitter import IS, Emitted, Emitter
from typed_sessions.schema.types.scalars import Choice, Enumeration, Scalar, Simple
from typed_sessions.schema.types.union import OneOf
from typed_sessions.schema.types.wrappers import Bounded

__all__ = ["Functions"]

_IMMUTABLE: Final = (Simple, Scalar, Enumeration, Bounded, Choice, OneOf, Positions)


class Functions:
    """Writes the text of the functions of one schema in one format.

    Args:
        schema: what a session holds.
        emitter: has the module, and knows the format.
        fields: the generated code of each field's type.
        known: the class of what msgspec reads of a payload.
        means_the_same: for each field that can be written in several ways, what compares two of them.
    """

    def __init__(
        self,
        schema: Schema[Any],
        emitter: Emitter,
        fields: Mapping[str, Emitted],
        known: type,
        means_the_same: Mapping[str, Callable[[object, object], bool]],
    ) -> None:
        self._schema: Final = schema
        self._emitter: Final = emitter
        self._fields: Final = fields
        self._module: Final = emitter.module
        self._unset: Final = emitter.unset
        self._known: Final = self._module.name(known, "Known")
        self._has_flag: Final = PERMANENT_KEY in cast("Any", known).__struct_fields__ and PERMANENT_KEY not in fields
        self._same: Final = self._module.name(same, "same")
        changes = self._module.name(Changes, "Changes")
        found = f"{changes}({{contents}}, new, changed, adds, differs, gone, unproven)"
        self._end: Final = f"return None if new is None else {found}"
        self._means_the_same: Final = means_the_same
        self._made: Final = [name for name, code in fields.items() if self._is_made(name, code)]
        """The fields whose values are made of what msgspec reads, and cannot be changed: told by being the same."""

    def _is_made(self, name: str, code: Emitted) -> bool:
        return code.decode is not None and _is_immutable(self._schema.fields[name].type)

    def load(self, kind: Kind | None) -> str:
        """Add the function that makes data, and the values that are told by being the same, of what msgspec reads.

        Args:
            kind: a class that is made by one call with all its attributes; None for one that makes itself of some.
        """
        lines: list[str] = [] if kind is not None else ["given = {}"]
        for number, (name, code) in enumerate(self._fields.items()):
            part = f"part_{number}"
            lines += [f"{part} = decoded.{name}"]
            if kind is None:
                lines += [f"if {part} is not {self._unset}: given[{name!r}] = {part} = {code.decoded(part)}"]
            elif code.decode is None:
                lines += [f"if {part} is {self._unset}: {part} = {self._fresh(name)}"]
            elif name in self._made:
                lines += [f"if {part} is {self._unset}: {part}, made_{number} = {self._fresh(name)}, {self._unset}"]
                lines += [f"else: {part} = made_{number} = {code.decoded(part)}"]
            else:
                lines += [f"{part} = {self._fresh(name)} if {part} is {self._unset} else {code.decoded(part)}"]
        numbers = {name: number for number, name in enumerate(self._fields)}
        told_by = "part" if kind is None else "made"
        made = "".join(f"{told_by}_{numbers[name]}, " for name in self._made)
        if kind is None:
            data = f"{self._module.name(self._schema.construct, 'construct')}(given)"
        else:
            arguments = kind.arguments(f"part_{numbers[name]}" for name in kind.members)
            data = f"{self._module.name(kind.cls, kind.cls.__name__)}({arguments})"
        return self._module.define("load", "decoded", [*lines, f"return {data}, ({made})"])

    def load_keys(self) -> str:
        """Add the function that makes a dict, in the order of the declaration, and what is told by being the same."""
        lines, made = self._flagged(), ""
        for number, (name, code) in enumerate(self._fields.items()):
            told = ""
            if name in self._made:
                told, made = f"made_{number} = ", f"{made}made_{number}, "
                lines += [f"made_{number} = {self._unset}"]
            lines += [f"part = decoded.{name}"]
            lines += [f"if part is not {self._unset}: values[{name!r}] = {told}{code.decoded('part')}"]
        return self._module.define("load", "decoded", [*lines, f"return values, ({made})"])

    def _flagged(self) -> list[str]:
        """Return the lines that begin a dict of what is stored: with `_permanent`, unless the class declares that."""
        if not self._has_flag:
            return ["values = {}"]
        return ["flag = decoded._permanent", f"values = {{}} if flag is {self._unset} else {{'_permanent': flag}}"]

    def explicit_defaults(self) -> str:
        """Add the function that returns the names of the fields of which msgspec has read the default itself."""
        lines = ["found = []"]
        for name, code in self._fields.items():
            field = self._schema.fields[name]
            if field.generated:
                continue
            kind, wire = type(field.default), code.wire_type
            is_empty = code.closed and not field.default and kind in (NoneType, list, dict)
            is_told = is_empty and kind in (get_origin(wire), *get_args(wire))  # without making a value of it
            may_be_it = f"value is not {self._unset}{' and not value' if is_told else ''}"
            lines += [f"value = decoded.{name}", f"if {may_be_it}:"]
            lines += [] if code.decode is None else [f"    value = {code.decoded('value')}"]
            lines += [f"    if not ({non_default(field, self._module)}): found.append({name!r})"]
        return self._module.define("explicit_defaults", "decoded", [*lines, "return found"])

    def changes(self) -> str:
        """Add the function that finds what has changed in data since it was loaded: `Changes`, or None."""
        lines = _BEGIN[:]
        for name, code in self._fields.items():
            field = self._schema.fields[name]
            value, part = field.member.expression("data"), f"decoded.{name}"
            if code.closed and code.unchanged is IS:
                inner = [f"if {value} is not {part}:", f"    value, part = {value}, {part}"]
            elif code.closed and name in self._made:
                unchanged = self._emitter.unchanged(code)(value, part)
                may_differ = f"({part} is {self._unset} or not {unchanged})"
                inner = [f"if {value} is not made[{self._made.index(name)}] and {may_differ}:"]
                inner += [f"    value, part = {value}, {part}"]
            else:
                inner = [f"value, part = {value}, {part}", *self._unless_unchanged(code)]
            is_explicit = f"{name!r} in explicit if part is {self._unset} else {name!r} in contents.explicit"
            inner += [f"    if {non_default(field, self._module)} or ({is_explicit}):"]
            inner += [*_indented(self._change(name, code), 8), f"    elif part is not {self._unset}:"]
            inner += _indented(self._removal(name), 8)
            if field.generated or field.varies:
                lines += [f"if {name!r} in contents.unread:", f"    if decoded.{name} is not {self._unset}:"]
                lines += [*_indented(self._removal(name), 8), "else:", *_indented(inner, 4)]
            else:
                lines += inner
        guarded = self._emitter.guarded([*lines, self._end.format(contents="contents")], "data")
        return self._module.define("changes", "contents, data, decoded, made, explicit", guarded)

    def changes_of_keys(self) -> str:
        """Add the function that finds the same in the dict of a TypedDict."""
        lines, unset = [*_BEGIN, "get = data.get"], self._unset
        for name, code in self._fields.items():
            now = f"get({name!r}, {unset})"
            inner = [f"value, part = {now}, decoded.{name}", f"if value is {unset}:", f"    if part is not {unset}:"]
            inner += [*_indented(self._removal(name), 8), "else:"]
            inner += _indented([*self._unless_unchanged(code), *_indented(self._change(name, code), 4)], 4)
            if code.closed and code.unchanged is IS:
                inner = [f"if {now} is not decoded.{name}:", *_indented(inner, 4)]
            elif code.closed and name in self._made:
                inner = [f"if {now} is not made[{self._made.index(name)}]:", *_indented(inner, 4)]
            lines += inner
        return self._module.define(
            "changes", "data, decoded, made", self._emitter.guarded([*lines, self._end.format(contents=None)])
        )

    def usual(self, name: str) -> str:
        """Add the function that makes, of what msgspec has read of a field, what is written of the same."""
        code = self._fields[name]
        lines = [f"value = {code.decoded('part')}", f"return {code.encoded('value')}"]
        return self._module.define(f"usual_{name}", "part", lines)

    def proof(self, name: str) -> str:
        """Add the function that hands over where a field's value does not come back of what is written of it."""
        came_back = self._module.name(self._emitter.comparison.came_back, "came_back")
        lines = [f"is_same = {came_back}(value, {self._fields[name].decoded('part')})"]
        if any(isinstance(part, Foreign) for part in all_parts([self._schema.fields[name].type])):
            # Its class, and its hooks, may raise anything.
            lines = ["try:", *_indented(lines, 4), "except Exception: is_same = False"]
        return self._module.define(
            f"prove_{name}", "value, part", [*lines, f"if not is_same: {self._emitter.unusual}()"]
        )

    def _unless_unchanged(self, code: Emitted) -> list[str]:
        """Return the lines that lead to what is done of a value that may have changed."""
        if not code.closed:
            comparing = self._emitter.comparing(code)
            return [
                f"encoded = {code.encoded('value')}",
                f"if part is {self._unset} or not {comparing}(encoded, part):",
            ]
        if code.unchanged is IS:
            return ["if value is not part:"]
        return [f"if part is {self._unset} or not {self._emitter.unchanged(code)('value', 'part')}:"]

    def _change(self, name: str, code: Emitted) -> list[str]:
        if code.closed:
            is_copied = code.encode is None and not _is_immutable(self._schema.fields[name].type)
            copied = f"{self._module.name(_copied, 'copied')}(value)"
            lines = [f"encoded = {copied if is_copied else code.encoded('value')}"]
            # What equals what came, and is not the same, such as True for 1, may be what the field makes of it.
            differs = f"encoded != part or not ({self._same}(encoded, part) or {self._emitter.unusual}())"
        else:
            lines = [f"unproven += (({name!r}, value, encoded),)"]
            differs = f"not {self._module.name(self._means_the_same[name], f'is_same_{name}')}(part, encoded)"
        return [
            *lines,
            f"if new is None: new, changed = decoded.__copy__(), {self._known}()",
            f"new.{name} = changed.{name} = encoded",
            f"if part is {self._unset}: adds = True",
            f"elif not differs: differs = {differs}",
        ]

    def _removal(self, name: str) -> list[str]:
        return [
            f"if new is None: new, changed = decoded.__copy__(), {self._known}()",
            f"new.{name} = {self._unset}",
            f"gone += ({name!r},)",
        ]

    def _fresh(self, name: str) -> str:
        """Return the expression of a default, which nobody else has if it can be changed."""
        default = self._schema.fields[name].default
        if type(default) in (list, dict, set):
            return f"{type(default).__name__}()"
        return self._module.name(default, f"default_{name}")


_BEGIN: Final = ["new = changed = None", "adds = differs = False", "gone = unproven = ()"]


def _copied(value: object) -> object:
    """Return a copy of a container that msgspec writes as it is: another thread may change it before that is done."""
    if type(value) is list or type(value) is dict:
        return copy(cast("object", value))
    if value is not None:
        raise Unusual
    return None


def _indented(lines: list[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


def _is_immutable(field_type: FieldType) -> bool:
    """Return True if values of a type cannot be changed, and hold nothing that can be."""
    return all(
        isinstance(part, _IMMUTABLE) or (isinstance(part, Items) and part.cls in (tuple, frozenset))
        for part in all_parts([field_type])
    )
