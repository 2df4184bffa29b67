"""Types of containers: lists, sets, tuples and dicts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from operator import is_
from typing import Any, Final, TypeAlias, cast, get_args

from typing_extensions import override

from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.narrowing import PLAIN, is_dict, is_sequence, is_set
from typed_sessions.schema.places import SOME_KEY, TYPE_KEY
from typed_sessions.schema.sameness import same
from typed_sessions.schema.types.base import (
    JSON,
    Affinity,
    FieldType,
    Mismatch,
    NativeTypes,
    Reading,
    all_parts,
    indexed,
    name_of,
    named,
)
from typed_sessions.schema.types.emitter import IS, Emitted, Emitter, Write, by_content
from typed_sessions.schema.types.scalars import Scalar, Simple

__all__ = ["Items", "Listed", "Positions", "Table"]

_TEXTS: Final[frozenset[type]] = frozenset({str})
_NUMBERS: Final[frozenset[type]] = frozenset({int})
_WITH_MOMENTS: Final[frozenset[type]] = frozenset({datetime})

Convert: TypeAlias = Callable[[object], object]


class Listed(FieldType):
    """A container whose items are written one after the other."""

    cls: type[Any]
    json_types: frozenset[type] = frozenset({list})

    @override
    def validate(self, value: Any) -> object:
        items = self._converted(self._items(value, self.cls), lambda item_type, item: item_type.validate(item))
        return value if type(value) is self.cls and all(map(is_, items, value)) else self.cls(items)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        items = self._items(value, self.cls)
        plain = self._converted(items, lambda item_type, item: item_type.unstructure(item, native))
        if self.cls in (set, frozenset):
            plain = sorted(plain, key=self._place)
        return tuple(plain) if self.cls is tuple and tuple in native else plain

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        items = self._items(plain, list, tuple, self.cls)  # a set, from an undeclared key or a migration
        values = self._converted(items, lambda item_type, item: item_type.structure(item, reading))
        try:
            return self.cls(values)
        except TypeError as error:  # an unhashable item of a set
            raise Mismatch.of(self, plain) from error

    def _items(self, value: object, *accepted: type) -> list[object]:
        """Return the items of a value of the accepted classes."""
        if not isinstance(value, accepted):
            raise Mismatch.of(self, value)
        return [*cast("Iterable[object]", value)]

    @abstractmethod
    def _converted(self, items: list[object], convert: Callable[[FieldType, object], object]) -> list[object]:
        """Convert each item by its type."""

    @cached_property
    def _place(self) -> Callable[[object], str]:
        """What the items of a set are put in order by."""
        may_hold_moments = any(
            not part.plain_types(_WITH_MOMENTS).isdisjoint({datetime, object}) for part in all_parts(self.parts)
        )
        return _place if may_hold_moments else repr


class Items(Listed):
    """A container of any length whose items have one type: list, set, frozenset, `tuple[T, ...]`."""

    def __init__(self, cls: type[Any], item: FieldType) -> None:
        self.text: str = f"{cls.__name__}[{item.text}{', ...' if cls is tuple else ''}]"
        self.cls: type[Any] = cls
        self.classes: frozenset[type] | None = frozenset({cls})
        self.item = item
        self.native_type: type | None = tuple if cls is tuple else None
        self.parts: Iterable[FieldType] = (item,)

    @override
    def _converted(self, items: list[object], convert: Callable[[FieldType, object], object]) -> list[object]:
        return items if self.item.are_plain(items) else indexed(items, partial(convert, self.item))

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        if is_set(plain):
            return Affinity.OF_ITS_TYPE if type(plain) is self.cls else Affinity.NONE
        return super().affinity(plain, native) if is_sequence(plain) else Affinity.NONE

    @override
    def emit(self, emitter: Emitter) -> Emitted | None:
        item = emitter.emitted(self.item)
        if item.wire_type is Any:
            return None  # one call for all of them takes less than one for each
        if self.cls is list:
            return self._emit_items(emitter, item, list[item.wire_type], "[{}]")  # type: ignore[name-defined]  # a value here
        if self.cls is tuple:
            wire_type: Any = tuple[item.wire_type, ...]  # type: ignore[name-defined]  # as above
            return emitter.tagged(emitter.notation.tuple_tag, self._emit_items(emitter, item, wire_type, "tuple([{}])"))
        return self._emit_set(emitter, item) if item.closed else None

    def _emit_items(self, emitter: Emitter, item: Emitted, wire_type: Any, brackets: str) -> Emitted:
        """Return the code of what msgspec writes as a list."""
        is_list = self.cls is list
        if item.is_as_it_is:
            unchanged = emitter.unchanged_items(list, item) if is_list else IS
            return Emitted(wire_type, None, "{}.copy()".format if is_list else None, unchanged)
        encoded = brackets.format(f"{item.encoded('item')} for item in value")
        name, encode = self.cls.__name__, None
        if not is_list or item.encode is not None:
            encode = emitter.function(f"encode_{name}", [emitter.only(self.cls), f"return {encoded}"])
        decode = emitter.short(
            f"decode_{name}", lambda part: brackets.format(f"{item.decoded('item')} for item in {part}")
        )
        return Emitted(wire_type, encode, decode, emitter.unchanged_items(self.cls, item), item.closed)

    def _emit_set(self, emitter: Emitter, item: Emitted) -> Emitted:
        """Return the code of a set: its items are written in order, and only those that come back as many."""
        cls, native, place, unstructure = self.cls, emitter.native, self._place, self.item.unstructure
        is_itself = item.is_as_it_is or not self.item.plain_types(native).isdisjoint(native)

        def place_of(each: object) -> str:
            return place(each if is_itself else unstructure(each, native))

        leaves = _leaves(item.wire_type)
        is_json = leaves <= PLAIN | {float}  # so what msgspec reads of an item is what it is put in order by

        def ordered(value: Any) -> list[object]:
            if type(value) is not cls:
                raise Unusual
            try:
                return [*value] if is_json else sorted(value, key=place_of)
            except OverflowError:  # a time that is past the last year in UTC
                raise Unusual from None

        def made(items: list[object], part: list[object]) -> object:
            try:
                value = cls(items)
            except Exception:  # noqa: BLE001 -- to hash, and to compare, runs code of the user's
                raise Unusual from None
            places = [*map(place, part)] if is_json else [*map(place_of, items)]
            if len(value) != len(items) or places != sorted(places):
                raise Unusual
            return value

        order, make = emitter.call(ordered, "ordered"), emitter.module.name(made, f"made_{cls.__name__}")
        decoded = f"{make}([{item.decoded('item')} for item in value], value)"
        encode = [f"value = [{item.encoded('item')} for item in {order('value')}]"]
        encode += [f"value.sort(key={emitter.module.name(place, 'place')})"] if is_json else []
        encode += [decoded] if place is not repr else []  # two times of one second come back as one
        wire_type: Any = list[item.wire_type]  # type: ignore[name-defined]  # a value here
        encoded = emitter.function(f"encode_{cls.__name__}", [*encode, "return value"])
        decode = emitter.function(f"decode_{cls.__name__}", [f"return {decoded}"])
        is_told_by_equality = leaves <= {str, date, timedelta}  # none of which equals anything of another type
        return by_content(wire_type, encoded, decode) if is_told_by_equality else Emitted(wire_type, encoded, decode)


def _leaves(wire_type: Any) -> frozenset[object]:
    """Return the types of what msgspec reads in a container of the built-in ones."""
    arguments = get_args(wire_type)
    held = arguments[:1] if hasattr(wire_type, "__metadata__") else arguments
    return frozenset[object]().union(*map(_leaves, held)) if held else frozenset({wire_type})


class Positions(Listed):
    """A tuple of fixed length, each position with a type of its own."""

    cls: type[Any] = tuple
    classes: frozenset[type] | None = frozenset({tuple})
    native_type: type | None = tuple
    matches_by_class = suits_by_class = False

    def __init__(self, items: tuple[FieldType, ...]) -> None:
        self.text: str = f"tuple[{', '.join(item.text for item in items) or '()'}]"
        self.items: tuple[FieldType, ...] = items
        self.parts: Iterable[FieldType] = items

    @override
    def matches(self, value: object) -> bool:
        return is_sequence(value) and type(value) is tuple and len(value) == len(self.items)

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        fits = is_sequence(plain) and len(plain) == len(self.items)
        return super().affinity(plain, native) if fits else Affinity.NONE

    @override
    def _items(self, value: object, *accepted: type) -> list[object]:
        items = super()._items(value, *accepted)
        if len(items) != len(self.items):
            raise Mismatch(self.text, f"{type(value).__name__} of length {len(items)}")
        return items

    @override
    def _converted(self, items: list[object], convert: Callable[[FieldType, object], object]) -> list[object]:
        types = iter(self.items)
        return indexed(items, lambda item: convert(next(types), item))

    @override
    def emit(self, emitter: Emitter) -> Emitted:
        items = [emitter.emitted(item) for item in self.items]
        wire_type: Any = tuple[(*(item.wire_type for item in items),)]  # type: ignore[misc]  # values here
        if all(item.is_as_it_is for item in items):
            return emitter.tagged(emitter.notation.tuple_tag, Emitted(wire_type, unchanged=IS))
        named = [(item, f"item_{index}") for index, item in enumerate(items)]
        is_other = f"type(value) is not tuple or len(value) != {len(items)}"
        unpack = f"{', '.join(name for _, name in named)}, = value"
        encoded = ", ".join(item.encoded(name) for item, name in named)
        decoded = ", ".join(item.decoded(name) for item, name in named)
        encode = [f"if {is_other}: {emitter.unusual}()", unpack, f"return ({encoded},)"]
        looks = [emitter.unchanged(item)(name, f"part[{index}]") for index, (item, name) in enumerate(named)]
        unchanged = [f"if {is_other}: return False", unpack, f"return {' and '.join(looks)}"]
        decode, closed = [unpack, f"return ({decoded},)"], all(item.closed for item in items)
        content = emitter.functions("tuple", wire_type, encode, decode, unchanged, closed=closed)
        return emitter.tagged(emitter.notation.tuple_tag, content)


class Table(FieldType):
    """A dict whose keys have one type and whose values have one type; keys are written as text.

    One that looks like a named member of a union is named itself, so that no later release takes it for that member.
    """

    classes: frozenset[type] | None = frozenset({dict})
    json_types: frozenset[type] = frozenset({dict})

    def __init__(self, key: FieldType, value: FieldType) -> None:
        self.text: str = f"dict[{key.text}, {value.text}]"
        self.key = key
        self.value = value
        self.parts: Iterable[FieldType] = (key, value)
        self._by_number = key.plain_types(JSON) == _NUMBERS
        self._has_text_keys = isinstance(key, Simple) and key.cls is str

    @override
    def validate(self, value: object) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        if type(value) is dict and self._is_plain(value):
            return value
        entries = {**value}  # at once: another thread may change it
        keys, items = self._converted(entries, self.key.validate, self.value.validate)
        if type(value) is dict and all(map(is_, keys, entries)) and all(map(is_, items, entries.values())):
            return value
        return dict(zip(keys, items, strict=True))

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        plain = entries = {**value}  # as above
        if not self._is_plain(entries):
            keys, items = self._converted(entries, self._key_text, partial(self.value.unstructure, native=native))
            plain = dict(zip(keys, items, strict=True))
        if len(plain) != len(entries):
            raise Mismatch(f"{self.key.text} with a text of its own for each", "two of one text", " (a key)")
        return plain if name_of(plain, native) is None else named(self.text, plain, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        plain = self.content_of(plain, reading.native)
        if not is_dict(plain):
            raise Mismatch.of(self, plain)
        if self._is_plain(plain):
            return {**plain}
        keys, items = self._converted(plain, self._key_of, partial(self.value.structure, reading=reading))
        try:
            return dict(zip(keys, items, strict=True))
        except TypeError as error:  # a key that has no hash, such as a signalling NaN
            raise Mismatch.of(self, plain) from error

    @override
    def emit(self, emitter: Emitter) -> Emitted | None:
        """Return the code of a dict, but of none that looks like a tag, or like a named member of a union."""
        item = emitter.emitted(self.value)
        if item.wire_type is Any:
            return None
        encode_key, decode_key = (str, str) if self._has_text_keys else self._emit_keys(emitter)
        items = "{{{}: {} for key, item in {}.items()}}".format
        encode = items(encode_key("key"), item.encoded("item"), "{**value}")
        decode = items(decode_key("key"), item.decoded("item"), "value")
        tags = emitter.module.name(emitter.notation.tags, "TAGS")
        refuse = f"if len({{0}}) == 1 and not {tags}.isdisjoint({{0}}) or len({{0}}) == 2 and {TYPE_KEY!r} in {{0}}"
        refuse += f" or len({{0}}) != len({{1}}): {emitter.unusual}()"
        encode = "value" if self._has_text_keys and item.encode is None else encode
        encode_lines = [emitter.only(dict), f"items = {encode}", refuse.format("items", "value"), "return items"]
        decode_lines = [f"items = {decode}", refuse.format("value", "items"), "return items"]
        unchanged = ["if type(value) is not dict or len(value) != len(part): return False"]
        unchanged += ["for (key, item), (known, its) in zip({**value}.items(), part.items()):"]
        is_same = emitter.unchanged(item)("item", "its")
        unchanged += [f"    if {encode_key('key')} != known or not {is_same}: return False"]
        wire_type: Any = dict[str, item.wire_type]  # type: ignore[name-defined]  # a value here
        unchanged += ["return True"]
        return emitter.functions("dict", wire_type, encode_lines, decode_lines, unchanged, closed=item.closed)

    def _emit_keys(self, emitter: Emitter) -> tuple[Write, Write]:
        """Return what makes text of a key, and a key of its text."""
        text_of: Callable[[Any], Any] = self._exact_key_text
        key_of: Callable[[Any], object] = self._key_of
        if isinstance(self.key, Scalar):
            text_of, key_of = self.key.spelling.write, self.key.spelling.read
        elif self._by_number and isinstance(self.key, Simple):
            text_of, key_of = str, int
        classes = self.key.classes or ()

        def encode(key: object) -> str:
            if type(key) not in classes:
                raise Unusual
            try:
                text: str = text_of(key)
            except ValueError:  # an integer with more digits than Python writes
                raise Unusual from None
            return text

        def decode(text: str) -> object:
            try:
                key = key_of(text)
                hash(key)
            except (ValueError, TypeError):  # no number, or a signalling NaN, which has no hash
                raise Unusual from None
            if encode(key) != text:
                raise Unusual
            return key

        return emitter.call(encode, "key_text"), emitter.call(decode, "key_of")

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        return Affinity.OF_ITS_TYPE if is_dict(plain) else Affinity.NONE

    def _converted(
        self, entries: dict[object, object], convert_key: Convert, convert: Convert
    ) -> tuple[list[object], list[object]]:
        """Convert each key, unless it is text that stands for itself, and each value."""
        keys = [*entries] if self._are_text(entries) else indexed(entries, convert_key, " (a key)")
        return keys, indexed(entries.values(), convert, SOME_KEY)

    def _are_text(self, keys: Iterable[object]) -> bool:
        return self._has_text_keys and {*map(type, keys)} <= _TEXTS

    def _is_plain(self, value: dict[object, object]) -> bool:
        return self._are_text(value) and self.value.are_plain(value.values())

    def _key_text(self, key: object) -> str:
        plain = self.key.unstructure(self.key.validate(key), JSON)
        try:
            return str(plain)
        except ValueError as error:  # an integer with more digits than Python writes
            raise Mismatch(f"{self.key.text} of fewer digits", "a longer one") from error

    def _exact_key_text(self, key: object) -> str:
        text = self._key_text(key)
        if not same(self._key_of(text), key):
            raise Unusual
        return text

    def _key_of(self, text: object) -> object:
        if self._by_number and isinstance(text, str):
            with suppress(ValueError):  # no number, or one with more digits than Python converts
                text = int(text) if str(int(text)) == text else text
        return self.key.structure(text, Reading(JSON))


def _place(plain: object) -> str:
    """Return what puts the items of a set in order, the same one when a time has lost its fraction of a second."""
    if isinstance(plain, datetime):
        return (plain if plain.tzinfo is None else plain.astimezone(UTC)).isoformat()
    if is_sequence(plain):
        return ",".join(map(_place, plain))
    if is_dict(plain):
        return ",".join(f"{key!r}:{_place(item)}" for key, item in plain.items())
    return repr(plain)
