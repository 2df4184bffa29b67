"""`Form`: the short way of one schema in one notation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, TypeAlias, Union

import msgspec
from typing_extensions import override

from typed_sessions.compiled.notations import Notation, notation_of
from typed_sessions.compiled.plans import Planner, are_names
from typed_sessions.contents import Contents, contents_in_parts
from typed_sessions.field_types import Mismatch, Wire
from typed_sessions.migrations import VERSION_KEY
from typed_sessions.payloads import Lowered, Read
from typed_sessions.places import MAX_DEPTH, is_deeper
from typed_sessions.schema import Schema
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.serializers.stock_tags import TheLongWay

__all__ = ["Form", "form_of"]

Plain: TypeAlias = dict[str, Any]
"""What msgspec writes and reads, by key."""


class Form(ABC):
    """The short way between contents and their payload. What it returns None for is for the long way."""

    def __init__(self, schema: Schema[Any], notation: Notation) -> None:
        self._schema: Final = schema
        self._encode: Final = notation.encode
        self._tagged: Final = notation.tagged
        self._untagged: Final = notation.untagged
        self._tags: Final = notation.tags
        self._is_strict: Final = notation.is_strict
        self._marks: Final = notation.container_marks
        self._any: Final = notation.decoder(Any)

    def read(self, payload: bytes) -> Read[Any] | None:
        """Return what a payload holds."""
        try:
            return self._read(payload)
        except _THE_LONG_WAY:
            return None

    def lower(self, contents: Contents[Any], version: int = 0, *, unless: bytes = b"") -> Lowered[Any] | None:
        """Return contents, and their version if they have one, as a payload of which msgspec reads what was written.

        Args:
            contents: what is stored.
            version: of the payload.
            unless: a payload that need not be read, where it is the same.
        """
        try:
            lowered = self._lower(contents, version)
            if lowered.payload != unless:
                lowered.wire = self._read_back(lowered)
        except _THE_LONG_WAY:
            return None
        return lowered

    def is_unchanged(self, read: Read[Any]) -> bool:  # noqa: ARG002 -- a form may say more
        """Return True if a look at contents shows that they are as they were read; False if it takes more than that."""
        return False

    @abstractmethod
    def differs(self, before: Read[Any], after: Lowered[Any]) -> bool:
        """Return True if a draft that reads back does not hold values equal to those of an earlier payload."""

    @abstractmethod
    def _read(self, payload: bytes) -> Read[Any]: ...

    @abstractmethod
    def _lower(self, contents: Contents[Any], version: int) -> Lowered[Any]: ...

    @abstractmethod
    def _read_back(self, lowered: Lowered[Any]) -> object:
        """Return what msgspec reads of a payload, if that is what was written."""

    def _refuse_tag(self, keyed: Mapping[str, object]) -> None:
        """Leave alone a dict whose only key is a tag: it means something else, or is written with another key."""
        if not self._tags.isdisjoint(keyed):
            raise TheLongWay

    def _refuse_depth(self, payload: bytes) -> None:
        """Leave alone what may nest too deep. Most payloads have too few containers for that."""
        containers = len(payload) - len(payload.translate(None, self._marks))
        if containers >= MAX_DEPTH and is_deeper({"": self._any(payload)}, MAX_DEPTH):
            raise TheLongWay


class DeclaredForm(Form):
    """The short way of a declared class or TypedDict: each field has its own type, other keys hold anything."""

    def __init__(self, schema: Schema[Any], notation: Notation, wire: Wire, *, whole_seconds: bool) -> None:
        super().__init__(schema, notation)
        planner = Planner(notation, wire, whole_seconds=whole_seconds)
        plans = {name: planner.plan(field.type) for name, field in schema.fields.items()}
        struct: Any = msgspec.defstruct(
            "Wire",
            [(name, Union[plan.wire, msgspec.UnsetType], msgspec.UNSET) for name, plan in plans.items()],  # noqa: UP007
            gc=False,
        )
        self._decode: Final = notation.decoder(struct)
        self._split: Final = notation.decoder(dict[str, msgspec.Raw])
        self._is_closed: Final = all(plan.closed for plan in plans.values())
        lift = planner.lift_of(plans, {} if schema.keyed else schema.fields)
        lower_values = planner.lower_values_of(plans)
        lower_data = lower_values if schema.keyed else planner.lower_data_of(plans, schema.fields)
        unchanged = "" if schema.keyed else planner.unchanged_of(plans, schema.fields)
        wire_of = planner.wire_of(struct, plans)
        functions = planner.module.compiled()
        self._wire_of: Final[Callable[[Plain], object]] = functions[wire_of]
        self._lift: Final[Callable[[Any], tuple[Plain, list[str]]]] = functions[lift]
        self._lower_values: Final[Callable[[Any], Plain]] = functions[lower_values]
        self._lower_data: Final[Callable[[Any], Plain]] = functions[lower_data]
        self._is_unchanged: Final[Callable[..., bool] | None] = functions.get(unchanged)

    @override
    def _read(self, payload: bytes) -> Read[Any]:
        schema = self._schema
        raws = self._split(payload)
        wire = self._decode(payload)
        declared, pinned = self._lift(wire)
        is_exact = self._is_closed
        if not is_exact:
            self._refuse_depth(payload)
        extras: Plain = {}
        if len(declared) < len(raws):
            if schema.renamed and not schema.renamed.keys().isdisjoint(raws):
                raise TheLongWay
            is_exact = self._read_extras(raws, declared, extras) and is_exact
        version = 0
        if schema.migrations.steps:
            version = schema.migrations.version
            written = extras.pop(VERSION_KEY, 0)
            if type(written) is not int or written != version:
                raise TheLongWay
            raws.pop(VERSION_KEY, None)
        try:
            contents = contents_in_parts(schema, raws, declared, extras, pinned)
        except Exception as error:  # a converter or validator of the user's may raise anything
            raise TheLongWay from error
        return Read(contents, payload, version, wire, is_exact)

    def _read_extras(self, raws: Mapping[str, Any], declared: Plain, extras: Plain) -> bool:
        """Take in the values of undeclared keys. Return True if there is one way to write them."""
        if len(raws) == 1:
            self._refuse_tag(raws)
        is_exact = True
        for key in raws:
            if key not in declared:
                extras[key] = value = self._any(raws[key])
                if type(value) not in _PLAIN:
                    self._refuse_depth(bytes(raws[key]))
                    extras[key] = self._untagged(value)
                    is_exact = self._is_strict
        return is_exact

    @override
    def _lower(self, contents: Contents[Any], version: int) -> Lowered[Any]:
        plain, declared, undeclared = contents.laid_out(self._lower_data, self._lower_values)
        if undeclared:
            for key in undeclared:
                if type(plain[key]) not in _PLAIN:
                    plain[key] = self._tagged(plain[key])
            if len(plain) == 1:
                self._refuse_tag(plain)
        if version:
            plain[VERSION_KEY] = version
        return Lowered(contents, version, self._encode(plain), plain, declared, undeclared)

    @override
    def _read_back(self, lowered: Lowered[Any]) -> object:
        wire = self._decode(lowered.payload)
        if wire != self._wire_of(lowered.declared):
            raise TheLongWay
        for key in lowered.undeclared:
            value = lowered.plain[key]
            if type(value) not in _PLAIN:
                part = self._encode(value)
                self._refuse_depth(part)
                if self._any(part) != value:
                    raise TheLongWay
        if not self._is_closed:
            self._refuse_depth(lowered.payload)
        return wire

    @override
    def is_unchanged(self, read: Read[Any]) -> bool:
        if self._is_unchanged is None:
            return False
        try:
            return read.contents.is_as_loaded(read.wire, self._is_unchanged)
        except _THE_LONG_WAY:
            return False

    @override
    def differs(self, before: Read[Any], after: Lowered[Any]) -> bool:
        if after.wire != before.wire:
            return True
        raws = self._split(before.payload)
        if len(after.plain) != len(raws):
            return True
        return any(key not in raws or self._any(raws[key]) != after.plain[key] for key in after.undeclared)


class OpenForm(Form):
    """The short way without a schema: every key holds anything."""

    def __init__(self, schema: Schema[Any], notation: Notation) -> None:
        super().__init__(schema, notation)
        self._decode: Final = notation.decoder(dict[str, Any])

    @override
    def _read(self, payload: bytes) -> Read[Any]:
        plain: Plain = self._decode(payload)
        self._refuse_depth(payload)
        if len(plain) == 1:
            self._refuse_tag(plain)
        values = {key: item if type(item) in _PLAIN else self._untagged(item) for key, item in plain.items()}
        contents = contents_in_parts(self._schema, values, {}, values)
        return Read(contents, payload, 0, payload, self._is_strict)

    @override
    def _lower(self, contents: Contents[Any], version: int) -> Lowered[Any]:
        plain: Plain = self._tagged(contents.stored())
        if version:
            plain[VERSION_KEY] = version
        return Lowered(contents, version, self._encode(plain), plain, {}, ())

    @override
    def _read_back(self, lowered: Lowered[Any]) -> object:
        plain = self._decode(lowered.payload)
        self._refuse_depth(lowered.payload)
        if plain != lowered.plain:
            raise TheLongWay
        return plain

    @override
    def differs(self, before: Read[Any], after: Lowered[Any]) -> bool:
        return bool(self._decode(before.payload) != after.wire)


_PLAIN: Final = frozenset({NoneType, bool, int, str})

_THE_LONG_WAY: Final = (
    TheLongWay,
    Mismatch,
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What is raised where something is not as it nearly always is. The long way finds out what it is, and says it."""


def form_of(schema: Schema[Any], serializer: AnySerializer, wire: Wire, *, whole_seconds: bool) -> Form | None:
    """Return the short way of a schema in the notation of a built-in serializer; None where there is none.

    Args:
        schema: what a session holds.
        serializer: what writes it.
        wire: the types that the serializer brings back by itself.
        whole_seconds: whether it keeps no more of a datetime.
    """
    notation = notation_of(serializer)
    if notation is None or not are_names(schema.fields):
        return None
    if schema.open:
        return OpenForm(schema, notation)
    return DeclaredForm(schema, notation, wire, whole_seconds=whole_seconds)
