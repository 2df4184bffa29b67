"""Types that are classes of the user's: declared ones, and those that only a converter or pydantic knows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias, cast, get_origin

from attrs import evolve
from cattrs import Converter
from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import described, former_names, origin_class
from typed_sessions.schema.generated import are_names
from typed_sessions.schema.kinds.base import Kind
from typed_sessions.schema.narrowing import is_dict, is_sequence
from typed_sessions.schema.places import MAX_DEPTH
from typed_sessions.schema.sameness import attribute_of
from typed_sessions.schema.types.base import (
    JSON,
    Affinity,
    FieldType,
    Mismatch,
    NativeTypes,
    Reading,
    all_parts,
    attempt,
    name_of,
)
from typed_sessions.schema.types.emitter import IS, Emitted, Emitter, Write

__all__ = ["Adapted", "Declared", "Foreign", "Keyed", "WithNames", "declared_keys", "nests_deep"]

Named: TypeAlias = Iterable[tuple[str, FieldType, object]]
"""Values, each with its name and its type."""


class WithNames(FieldType):
    """A type whose values are written as a dict of declared names."""

    step: ClassVar[str]
    """The step of a path to what a value holds, of its name."""
    json_types: frozenset[type] = frozenset({dict})
    suits_by_class = False

    def __init__(self, text: str, annotations: Mapping[str, Any], required: frozenset[str]) -> None:
        self.text = text
        self.annotations = annotations
        self.required = required
        self.former_names: dict[str, tuple[str, ...]] = {name: former_names(each) for name, each in annotations.items()}
        self.types: dict[str, FieldType] = {}
        """Filled by the compiler once it has seen the class, which may contain itself."""
        self.parts: Iterable[FieldType] = self.types.values()

    @abstractmethod
    def held(self, value: object) -> Named:
        """Return what a value holds. Raises Mismatch for one that is of another type altogether."""

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return self._converted(self.held(value), lambda held, item: held.unstructure(item, native))

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        if not is_dict(plain) or any(self._stored_as(plain, name) is None for name in self.required):
            return Affinity.NONE
        known = sum(self._stored_as(plain, name) is not None for name in self.types)
        if known >= len(plain):
            return Affinity.EXACT
        if not known:
            return Affinity.NONE
        return Affinity.OF_ITS_TYPE if known == len(self.types) else Affinity.PARTIAL

    def _converted(self, items: Named, convert: Callable[[FieldType, object], object]) -> dict[str, object]:
        """Convert each item by its name; a mismatch says at which step."""
        done: dict[str, object] = {}
        for name, held, item in items:
            try:
                done[name] = convert(held, item)
            except Mismatch as mismatch:
                raise mismatch.within(self.step.format(name)) from mismatch
        return done

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        """Return the values of a plain dict by their present names; keys that nobody declares are counted."""
        if not is_dict(plain):
            raise Mismatch.of(self, plain)
        if plain and all(self._stored_as(plain, name) is None for name in self.types):
            # It is of another class, and would read as all defaults.
            raise Mismatch(self.text, "what has none of its names")
        values = self._converted(self._stored(plain), lambda held, item: held.structure(item, reading))
        if len(values) < len(plain):
            reading.unknown[self.text] = reading.unknown.get(self.text, 0) + len(plain) - len(values)
        return values

    def _stored(self, plain: dict[object, object]) -> Iterator[tuple[str, FieldType, object]]:
        for name, held in self.types.items():
            stored_as = self._stored_as(plain, name)
            if stored_as is not None:
                yield name, held, plain[stored_as]
            elif name in self.required:
                raise Mismatch(held.text, "missing", self.step.format(name))

    def _stored_as(self, plain: dict[object, object], name: str) -> str | None:
        """Return the key under which a plain dict has a value: the present name goes before earlier ones."""
        if name in plain:
            return name
        return next((known for known in self.former_names[name] if known in plain), None)


class Declared(WithNames):
    """An instance of a declared class: a dict of its attributes, by attribute name."""

    step = ".{}"

    def __init__(self, kind: Kind, text: str) -> None:
        annotations = {name: member.annotation for name, member in kind.members.items()}
        super().__init__(text, annotations, frozenset(name for name, each in kind.members.items() if each.required))
        self.kind = kind
        self.classes: frozenset[type] | None = frozenset({kind.cls})
        self._generated = {name for name, member in kind.members.items() if member.varies}

    @override
    def validate(self, value: object) -> object:
        self._converted(self.held(value), lambda held, item: held.validate(item))
        return value

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        values = cast("dict[str, object]", super().structure(plain, reading))
        if not values.keys() >= self._generated:
            reading.generated = True
        try:
            return self.kind.construct(values)
        except RecursionError:
            raise
        except Exception as error:  # a converter or validator of the user's may raise anything
            raise Mismatch(f"{self.text} that its own checks allow", "another") from error

    @override
    def emit(self, emitter: Emitter) -> Emitted | None:
        """Return the code of a class whose attributes are what they are. What its constructor changes is looked for."""
        if not self.kind.has_plain_attributes or not are_names(self.types):
            return None
        emitter.declared_classes.add(self.kind.cls)
        items = {name: emitter.emitted(item) for name, item in self.types.items()}
        struct = emitter.class_struct(self.text, items, self.types.keys())
        struct_name, cls = (emitter.module.name(held, held.__name__) for held in (struct, self.kind.cls))
        parts = [*zip(items.values(), struct.__struct_fields__, strict=True)]

        def encode(value: str) -> str:
            encoded = ", ".join(item.encoded(f"{value}.{name}") for name, item in items.items())
            return f"({struct_name}({encoded}) if type({value}) is {cls} else {emitter.unusual}())"

        def unchanged(value: str, part: str) -> str:
            looks = map(emitter.unchanged, items.values())
            each = zip(looks, items, struct.__struct_fields__, strict=True)
            looked = [unchanged(f"{value}.{name}", f"{part}.{its}") for unchanged, name, its in each]
            return f"({' and '.join([f'type({value}) is {cls}', *looked])})"

        return Emitted(
            struct,
            emitter.short(f"encode_{cls}", encode),
            self._emit_construction(emitter, cls, parts),
            emitter.short(f"is_unchanged_{cls}", unchanged, "value, part"),
            all(item.closed for item in items.values()),
        )

    def _emit_construction(self, emitter: Emitter, cls: str, parts: list[tuple[Emitted, str]]) -> Write:
        arguments = self.kind.arguments
        if not self.kind.has_user_code:

            def construct(part: str) -> str:
                return f"{cls}({arguments(item.decoded(f'{part}.{its}') for item, its in parts)})"

            return emitter.short(f"decode_{cls}", construct)
        lines = [f"{its} = {item.decoded(f'value.{its}')}" for item, its in parts]
        lines += ["try:", f"    return {cls}({arguments(its for _, its in parts)})"]
        return emitter.function(f"decode_{cls}", [*lines, f"except Exception: {emitter.unusual}()"])

    @override
    def held(self, value: object) -> Named:
        if type(value) is not self.kind.cls:
            subclass = f", which would come back as {self.text}" if isinstance(value, self.kind.cls) else ""
            raise Mismatch(self.text, type(value).__name__ + subclass)
        return ((name, item_type, attribute_of(value, name, None)) for name, item_type in self.types.items())


class Keyed(WithNames):
    """A TypedDict: a dict with declared keys."""

    step = "[{!r}]"
    classes: frozenset[type] | None = frozenset({dict})

    @override
    def validate(self, value: object) -> object:
        items = self._converted(self.held(value), lambda held, item: held.validate(item))
        return value if is_dict(value) and all(item is value[name] for name, item in items.items()) else items

    @override
    def emit(self, emitter: Emitter) -> Emitted | None:
        if not are_names(self.types):
            return None
        items = {name: emitter.emitted(item) for name, item in self.types.items()}
        struct = emitter.class_struct(self.text, items, self.required)
        struct_name, unset = emitter.module.name(struct, struct.__name__), emitter.unset
        names, required = (emitter.module.name(frozenset(keys), "KEYS") for keys in (items, self.required))
        is_other = f"type(value) is not dict or not {names}.issuperset(value)"
        lacks = f" or not value.keys() >= {required}" if self.required else ""
        parts = [*zip(items.items(), struct.__struct_fields__, strict=True)]
        encoded: list[str] = []
        decode, unchanged = ["item = {}"], [f"if {is_other}: return False", "get = value.get"]
        for (name, item), part in parts:
            is_needed = name in self.required
            encoded.append(f"{part}={item.encoded(f'value[{name!r}]')}")
            encoded[-1] += "" if is_needed else f" if {name!r} in value else {unset}"
            absent = "" if is_needed else f"if value.{part} is not {unset}: "
            decode.append(f"{absent}item[{name!r}] = {item.decoded(f'value.{part}')}")
            unchanged += [f"item, its = get({name!r}, {unset}), part.{part}"]
            if item.unchanged is IS:
                unchanged += ["if item is not its: return False"]
            else:
                unchanged += [f"if item is {unset} or its is {unset}:", "    if item is not its: return False"]
                unchanged += [f"elif not {emitter.unchanged(item)('item', 'its')}: return False"]
        encode = [f"if {is_other}{lacks}: {emitter.unusual}()", f"return {struct_name}({', '.join(encoded)})"]
        decode, unchanged, closed = (
            [*decode, "return item"],
            [*unchanged, "return True"],
            all(each.closed for each in items.values()),
        )
        some = emitter.functions("keys", struct, encode, decode, unchanged, closed=closed)
        return self._emit_whole(emitter, items, some)

    def _emit_whole(self, emitter: Emitter, items: Mapping[str, Emitted], some: Emitted) -> Emitted:
        """Return the code of a dict that has all its keys, in order, as nearly all do; else that of one with some."""
        parts = [*zip(items.items(), some.wire_type.__struct_fields__, strict=True)]
        optional = [its for (name, _), its in parts if name not in self.required]
        in_order, unset = emitter.module.name(tuple(items), "KEYS_IN_ORDER"), emitter.unset

        def decode(part: str) -> str:
            values = ", ".join(f"{name!r}: {item.decoded(f'{part}.{its}')}" for (name, item), its in parts)
            whole = f"{{{values}}}"
            is_whole = " and ".join(f"{part}.{its} is not {unset}" for its in optional)
            return f"({whole} if {is_whole} else {some.decoded(part)})" if optional else whole

        def unchanged(value: str, part: str) -> str:
            looks = [f"type({value}) is dict", f"(*{value},) == {in_order}"]
            for (name, item), its in parts:
                looks += [] if item.unchanged is IS or name in self.required else [f"{part}.{its} is not {unset}"]
                looks += [emitter.unchanged(item)(f"{value}[{name!r}]", f"{part}.{its}")]
            return f"({' and '.join(looks)} or {emitter.unchanged(some)(value, part)})"

        return evolve(
            some,
            decode=emitter.short("decode_whole", decode),
            unchanged=emitter.short("is_unchanged_whole", unchanged, "value, part"),
        )

    @override
    def held(self, value: object) -> Named:
        if not is_dict(value) or type(value) is not dict:
            raise Mismatch.of(self, value)
        for name in sorted(self.required):
            if name not in value:
                raise Mismatch(self.types[name].text, "missing", self.step.format(name))
        if not value.keys() <= self.types.keys():
            raise Mismatch(f"{self.text} with its declared keys alone", "with others")
        return ((name, held, value[name]) for name, held in self.types.items() if name in value)


def nests_deep(field_types: Iterable[FieldType]) -> bool:
    """Return True if values of some of these types may nest deeper than contents may, be it as they are written."""
    depths: dict[FieldType, int] = {}

    def depth(field_type: FieldType) -> int:
        if field_type not in depths:
            depths[field_type] = MAX_DEPTH  # for what contains itself
            anything = object in field_type.plain_types(JSON)
            depths[field_type] = MAX_DEPTH if anything else _LAYERS + max(map(depth, field_type.parts), default=0)
        return depths[field_type]

    return max(map(depth, field_types), default=0) >= MAX_DEPTH


_LAYERS: Final = 3
"""How many containers one makes at most as it is written: with a tag, or beside its name."""


def declared_keys(field_types: Iterable[FieldType]) -> frozenset[str]:
    """Return the keys of all TypedDicts among types and their parts."""
    return frozenset[str]().union(*(each.types for each in all_parts(field_types) if isinstance(each, Keyed)))


class Foreign(FieldType):
    """A type that only the converter's hooks know."""

    json_types: frozenset[type] = frozenset({object})

    def __init__(self, annotation: Any, converter: Converter) -> None:
        self.text: str = described(annotation)
        self._annotation = annotation
        self._converter = converter
        self._cls: object = get_origin(annotation) or annotation

    @override
    def validate(self, value: object) -> object:
        if not self.matches(value):
            raise Mismatch.of(self, value)
        return value

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        write = partial(self._converter.unstructure, unstructure_as=self._annotation)
        refusal = Mismatch(f"{self.text} that its unstructure hook takes", "another")
        plain = _asked(write, self.validate(value), refusal)
        if not _is_plain(plain, native):
            raise Mismatch("a plain value, from an unstructure hook on the converter", type(plain).__name__)
        return plain

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        def read(value: object) -> object:
            # A copy: code of the user's might make its value of a list that is compared with it later.
            return self._converter.structure(deepcopy(value), self._annotation)

        return self.validate(_asked(read, plain, Mismatch.of(self, plain)))

    @override
    def matches(self, value: object) -> bool:
        return not isinstance(self._cls, type) or isinstance(value, self._cls)


class Adapted(FieldType):
    """A type whose values pydantic validates, writes and reads, in JSON's terms: `HttpUrl`, `EmailStr`, and the like.

    Raises:
        SchemaError: it cannot do so; the message begins with `place`.
    """

    json_types: frozenset[type] = frozenset({object})
    matches_by_class = False

    def __init__(self, annotation: Any, place: str) -> None:
        import pydantic  # noqa: PLC0415 -- which few have

        self.text: str = described(annotation)
        cls: Any = origin_class(annotation)
        if cls.__module__ == "pydantic.types" and cls.__qualname__ == "ImportString":
            raise SchemaError(f"{place}: a session cannot hold {self.text}, which runs what a cookie names")
        if hasattr(cls, "get_secret_value"):
            raise SchemaError(
                f"{place}: a session cannot hold {self.text}, of which pydantic writes asterisks; the value itself, as "
                f"str or bytes, could be read in a signed cookie"
            )
        try:
            adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
        except Exception as error:  # its core schema is code of the user's, or lacks a package
            raise SchemaError(f"{place}: pydantic cannot handle {self.text}: {error}") from error
        self._validate: Final = partial(adapter.validate_python, strict=True)
        self._write: Final = partial(adapter.dump_python, mode="json", warnings="error")
        self._read: Final = adapter.validate_python

    @override
    def validate(self, value: object) -> object:
        validated = _asked(self._validate, value, Mismatch.of(self, value))
        if type(validated) is not type(value):
            raise Mismatch.of(self, value)
        return validated

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return _asked(self._write, self.validate(value), Mismatch.of(self, value))

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return _asked(self._read, plain, Mismatch.of(self, plain))

    @override
    def matches(self, value: object) -> bool:
        return len(attempt(self.validate, value)) > 0


def _asked(convert: Callable[[Any], object], value: object, refusal: Mismatch) -> object:
    """Return what a hook, a validator or a serializer of the user's makes of a value. It may raise anything."""
    try:
        return convert(value)
    except Exception as error:
        raise refusal from error


def _is_plain(value: object, native: NativeTypes) -> bool:
    if is_dict(value):
        looks_named = name_of(value, native) is not None  # which only members of unions may
        return not looks_named and all(type(key) is str and _is_plain(item, native) for key, item in value.items())
    if is_sequence(value) and (type(value) is list or tuple in native):
        return all(_is_plain(item, native) for item in value)
    return value is None or type(value) in (bool, int, float, str) or type(value) in native
