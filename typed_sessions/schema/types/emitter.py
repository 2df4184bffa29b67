"""`Emitter`: the text of generated code in the making, to which each type adds its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import is_
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, Union, cast

import msgspec
from attrs import frozen

from typed_sessions.schema.generated import Module, Unusual
from typed_sessions.schema.places import MAX_DEPTH, TYPE_KEY, VALUE_KEY, Comparison
from typed_sessions.schema.sameness import same
from typed_sessions.schema.types.notation import Notation

__all__ = ["IS", "Emits", "Emitted", "Emitter", "Unchanged", "Write", "by_content"]

Write: TypeAlias = Callable[[str], str]
"""Makes an expression, in generated text, of one for a value."""

Unchanged: TypeAlias = Callable[[str, str], str]
"""Makes an expression of one for a value and one for what msgspec has read."""


W = TypeVar("W", Write, Unchanged)


@frozen
class Emitted:
    """What generated code does with the values of one type.

    What `encode` makes is what msgspec reads back as `wire_type`, equal in all its parts: so comparing both proves that
    a value of a type that is closed comes back.
    """

    wire_type: Any
    """What msgspec reads."""
    encode: Write | None = None
    """From a value to what msgspec writes; None if it writes the value itself."""
    decode: Write | None = None
    """From what msgspec has read to the value; None if they are one."""
    unchanged: Unchanged | None = None
    """Whether a value is what was made of what msgspec has read; None if they have to be compared at length.

    What cannot be changed is the same as long as it is the same object.
    """
    closed: bool = True
    """True if it is known of all values how deep they nest and how they are written.

    False where a type is asked about each value, be it somewhere inside.
    """

    def encoded(self, value: str) -> str:
        """Return the expression of what msgspec writes of a value."""
        return value if self.encode is None else self.encode(value)

    def decoded(self, part: str) -> str:
        """Return the expression of the value of what msgspec has read."""
        return part if self.decode is None else self.decode(part)

    def checked(self, check: Write) -> Emitted:
        """Return the same with a check of each value, before it is encoded, and after it is decoded."""
        return Emitted(
            self.wire_type,
            lambda value: self.encoded(check(value)),
            lambda part: check(self.decoded(part)),
            self.unchanged,
            self.closed,
        )

    @property
    def is_as_it_is(self) -> bool:
        """True if msgspec reads and writes the values themselves."""
        return self.encode is None and self.decode is None


class Emits(Protocol):
    """What an emitter asks of a `FieldType`."""

    def emit(self, emitter: Emitter, /) -> Emitted | None: ...
    def explained(self, emitter: Emitter, /) -> Emitted: ...


_DEEPEST: Final = MAX_DEPTH - 10
"""How deep types with code of their own nest, so that no value of theirs nests too deep."""

_LONGEST_EXPRESSION: Final = 20
"""How many brackets an expression opens before it becomes a function of its own: Python nests 200 at most."""


class Emitter:
    """Writes generated code into a module.

    Args:
        notation: how the serializer writes what JSON lacks.
        native: the types that the serializer brings back by itself.
        whole_seconds: whether it keeps no more of a datetime.
    """

    def __init__(self, notation: Notation, native: frozenset[type], *, whole_seconds: bool) -> None:
        self.module: Final = Module("a schema and its serializer")
        self.notation: Final = notation
        self.native: Final = native
        self.comparison: Final = Comparison(whole_seconds)
        self.unusual: Final = self.module.name(_unusual, "unusual")
        """The name, in generated text, of the function that hands over to the explaining path."""
        self.unset: Final = self.module.name(msgspec.UNSET, "UNSET")
        self.declared_classes: Final[set[type]] = set()
        """The classes whose attributes generated text reads. A program may have deleted some."""
        self._structs: dict[object, Any] = {}
        self._emitted: dict[Emits, Emitted] = {}
        self._unfinished: set[Emits] = set()
        self._same: Final = self.module.name(same, "same")
        self._alike: Final = self.module.name(notation.are_alike, "are_alike")

    def emitted(self, field_type: Emits) -> Emitted:
        """Return the generated code of a type: every type has some, if only to ask the type itself."""
        if field_type in self._unfinished or len(self._unfinished) > _DEEPEST:
            return field_type.explained(self)  # it contains itself, or may be deeper than contents may be
        if field_type not in self._emitted:
            self._unfinished.add(field_type)
            self._emitted[field_type] = field_type.emit(self) or field_type.explained(self)
            self._unfinished.discard(field_type)
        return self._emitted[field_type]

    def call(self, function: Callable[[Any], object], hint: str) -> Write:
        """Return what calls a function."""
        name = self.module.name(function, hint)
        return lambda value: f"{name}({value})"

    def function(self, hint: str, lines: list[str], parameters: str = "value") -> Callable[..., str]:
        """Add a function, of `value` or of `value, part`, and return what calls it."""
        name = self.module.define(hint, parameters, lines)
        return lambda *values: f"{name}({', '.join(values)})"

    def functions(
        self,
        hint: str,
        wire_type: Any,
        encode: list[str],
        decode: list[str],
        unchanged: list[str],
        *,
        closed: bool = True,
    ) -> Emitted:
        """Return the code of a type whose values are encoded, decoded and compared by a function each."""
        return Emitted(
            wire_type,
            self.function(f"encode_{hint}", encode),
            self.function(f"decode_{hint}", decode),
            self.function(f"is_unchanged_{hint}", unchanged, "value, part"),
            closed,
        )

    def short(self, hint: str, write: W, parameters: str = "value") -> W:
        """Return what writes the same, by the name of a function where the expression gets long."""
        write_of: Callable[..., str] = write
        expression = write_of(*parameters.split(", "))
        nesting = "([" if parameters == "value" else "("  # where values are compared, `[` only looks one up
        is_long = sum(map(expression.count, nesting)) > _LONGEST_EXPRESSION
        return cast("W", self.function(hint, [f"return {expression}"], parameters)) if is_long else write

    def only(self, cls: type) -> str:
        """Return the line that hands over values that are not of exactly one built-in class."""
        return f"if type(value) is not {cls.__name__}: {self.unusual}()"

    def unchanged(self, emitted: Emitted) -> Unchanged:
        """Return what finds out whether a value is what was made of what msgspec has read."""
        comparing = self.comparing(emitted)
        return emitted.unchanged or (lambda value, part: f"{comparing}({emitted.encoded(value)}, {part})")

    def comparing(self, emitted: Emitted) -> str:
        """Return the name of the function that compares what is encoded with what msgspec has read."""
        return self._alike if emitted.wire_type is Any else self._same

    def unchanged_items(self, cls: type, item: Emitted) -> Unchanged:
        """Return what looks at each item of a list, or of a tuple."""
        if item.is_as_it_is:
            items = self.module.name(_are_the_same, "are_the_same")
            return lambda value, part: f"(type({value}) is {cls.__name__} and {items}({value}, {part}))"
        lines = [f"if type(value) is not {cls.__name__} or len(value) != len(part): return False"]
        lines += ["for item, its in zip(value, part):"]
        lines += [f"    if not {self.unchanged(item)('item', 'its')}: return False"]
        return self.function(f"is_unchanged_{cls.__name__}", [*lines, "return True"], "value, part")

    def tagged(self, tag: str, content: Emitted) -> Emitted:
        """Return the code of a value that is written under a tag."""
        return self._held(f"Tagged{tag.strip().title()}", (("content", tag, content.wire_type),), "", content)

    def named(self, name: str, item: Emitted, *, in_tuple: bool) -> Emitted:
        """Return the code of a value that is written beside the name of its type."""
        held: Any = Literal[name]
        written = repr(name)
        if in_tuple:
            held = self.tagged(self.notation.tuple_tag, Emitted(tuple[held])).wire_type
            written = self.module.name(held((name,)), "NAME")
        fields = (("name", TYPE_KEY, held), ("content", VALUE_KEY, item.wire_type))
        return self._held("Named", fields, f"{written}, ", item)

    def _held(self, name: str, fields: tuple[tuple[str, str, Any], ...], before: str, content: Emitted) -> Emitted:
        """Return the code of what is written as the last field of a Struct; `before` is what stands in the others."""
        if fields not in self._structs:
            described = [(field, held, msgspec.field(name=key)) for field, key, held in fields]
            self._structs[fields] = msgspec.defstruct(name, described, forbid_unknown_fields=True, gc=False)
        struct = self._structs[fields]
        struct_name, unchanged = self.module.name(struct, name), self.unchanged(content)
        return Emitted(
            struct,
            lambda value: f"{struct_name}({before}{content.encoded(value)})",
            lambda part: content.decoded(f"{part}.content"),
            lambda value, part: unchanged(value, f"{part}.content"),
            content.closed,
        )

    def class_struct(self, text: str, items: Mapping[str, Emitted], required: Collection[str]) -> Any:
        """Return the Struct that msgspec reads a declared class as: with its names, and with no others."""
        fields: list[Any] = []
        for number, (name, item) in enumerate(items.items()):
            is_needed = name in required
            wire_type: Any = item.wire_type if is_needed else Union[item.wire_type, msgspec.UnsetType]  # noqa: UP007
            default = {} if is_needed else {"default": msgspec.UNSET}
            fields.append((f"part_{number}", wire_type, msgspec.field(name=name, **cast("Any", default))))
        plain_name = "".join(character if character.isidentifier() else "_" for character in text)
        return msgspec.defstruct(
            f"{plain_name}Decoded",
            fields,
            forbid_unknown_fields=True,
            kw_only=len(required) != len(items),
            gc=False,  # it is made of a payload, or as one: there is no cycle in it
        )

    def guarded(self, lines: Iterable[str], data: str | None = None) -> list[str]:
        """Return lines that hand over where the program has deleted an attribute: of a class within, or of `data`."""
        deleted = self.module.name(self._hand_over_deleted, "hand_over_deleted")
        catch = f"except AttributeError as error: {deleted}(error, {data or self.unset})"
        return ["try:", *(f"    {line}" for line in lines), catch]

    def _hand_over_deleted(self, error: AttributeError, data: object) -> None:
        if error.obj is data or type(error.obj) in self.declared_classes:
            raise Unusual from None
        raise error


IS: Final[Unchanged] = "({} is {})".format


def by_content(wire_type: Any, encode: Write, decode: Write) -> Emitted:
    """Return the code of what is told by what is written of it."""
    return Emitted(wire_type, encode, decode, lambda value, part: f"({encode(value)} == {part})")


def _are_the_same(items: Collection[object], parts: Collection[object]) -> bool:
    return len(items) == len(parts) and all(map(is_, items, parts))


def _unusual() -> None:
    raise Unusual
