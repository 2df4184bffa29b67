"""`Schema[S]`: the fields, types and defaults of the class that a user declared for a session."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from datetime import datetime
from functools import cache, cached_property, partial
from inspect import isroutine, unwrap
from typing import Any, Final, Generic, cast, get_type_hints, overload

from cattrs import Converter
from msgspec import UNSET
from typing_extensions import TypeVar, override

from typed_sessions.errors import FieldTypeError, FieldValueError, SchemaError
from typed_sessions.schema.annotations import is_typed_dict, origin_class
from typed_sessions.schema.field import Field, declared_field, non_defaults_of, shared_mutable
from typed_sessions.schema.kinds.base import Kind, Member
from typed_sessions.schema.kinds.known import kind_of
from typed_sessions.schema.migrations import Migrations
from typed_sessions.schema.sameness import attribute_of, same
from typed_sessions.schema.types import base
from typed_sessions.schema.types.base import FieldType, Mismatch, NaiveDatetime, NativeTypes, OutOfBounds
from typed_sessions.schema.types.classes import Declared, WithNames
from typed_sessions.schema.types.compiler import Compiler
from typed_sessions.schema.types.scalars import KNOWN
from typed_sessions.schema.values import Value

__all__ = ["Assignment", "Schema", "class_made_by"]

S = TypeVar("S", default=dict[str, object])

_ALL_NATIVE: Final[NativeTypes] = frozenset({*map(type, base.NATIVE_CANDIDATES), NaiveDatetime})
"""A default may be anything that some serializer takes: which one it will be is not known yet."""


class Assignment(Value, Generic[S]):
    """Values that a class has taken, and that its data has not got yet."""

    values: Mapping[str, object]
    """As the fields hold them."""
    commit: Callable[[], S]
    """Returns the data that has the values: the same object, unless it is frozen. No code of the user's runs."""


class Schema(Generic[S]):
    """What a session holds: a declared class, or, without one, anything under any key.

    Args:
        declared: the class, or a generic class with its arguments. A new visitor has no data, so it is called without
            arguments, and every field has a default.
        converter: a cattrs converter with hooks for types that the library does not know.

    Raises:
        SchemaError: the class cannot be a schema; the message names the field and what to do.
    """

    @overload
    def __init__(
        self: Schema[dict[str, object]], declared: None = None, *, converter: Converter | None = None
    ) -> None: ...
    @overload
    def __init__(self, declared: Callable[[], S], *, converter: Converter | None = None) -> None: ...
    def __init__(self, declared: Callable[[], S] | None = None, *, converter: Converter | None = None) -> None:
        self.declared = declared
        """The class, or the function, that it was made of; None if there is none."""
        self.open: bool = declared is None
        """True if no class was declared: every key is data."""
        self.keyed: bool = declared is None or is_typed_dict(declared)
        """True if the data is a dict: a key is stored while it is there."""
        self._kind = None if declared is None or self.keyed else _required_kind(declared)
        self.construct: Callable[[Mapping[str, object]], S] = cast(
            "Callable[[Mapping[str, object]], S]", dict if self._kind is None else self._kind.construct
        )
        """Makes data that holds values, by field name, and defaults for the rest; raises what the user's code does."""
        self.name: str = "dict" if declared is None else _name_of(declared if self._kind is None else self._kind.cls)
        compiler = Compiler(converter or _converter())
        self.fields: Mapping[str, Field] = {}
        if self._kind is not None:
            self.fields = self._fields_of(self._kind, compiler)
        elif declared is not None:
            self.fields = self._keys_of(declared, compiler)
        self.subject: str | None = self._subject_field()
        """The name of the field that says whose session it is; None if none does."""
        self.secrets: frozenset[str] = frozenset(name for name, each in self.fields.items() if each.secret is not None)
        """The names of the fields whose values are shown to nobody."""
        self.renamed: Mapping[str, str] = self._former_names()
        """The present name of each field, by each of its earlier ones."""
        self.varying: tuple[str, ...] = tuple(name for name, field in self.fields.items() if field.varies)
        """The fields of which a new visitor may have a value of its own."""
        parts = base.all_parts(field.type for field in self.fields.values())
        kinds = [*filter(None, [self._kind]), *(part.kind for part in parts if isinstance(part, Declared))]
        self.has_user_code: bool = self._kind is not None and self._kind.has_user_code
        """True if code of the user's in the class may change or refuse a value; else data holds what it was made of."""
        self.assigns_plainly: bool = self._kind is not None and not (self.has_user_code or self._kind.frozen)
        """True if to set a field is to put a value of its type into the data, which stays the same object."""
        self.is_pure: bool = not any(kind.has_user_code for kind in kinds)
        """True if no user code runs when this class, or any within its fields, is made or assigned to."""
        self.never_alters: bool = all(kind.holds_arguments for kind in kinds)
        """True if data, and each class within the fields, holds what it is given. Validators may refuse that."""
        self.migrations: Migrations = Migrations(declared)
        self._aware: Mapping[str, NativeTypes] = {}
        """The fields that take no naive datetimes, each with the native that would not bring one back."""

    @override
    def __repr__(self) -> str:
        return f"Schema({self.name})"

    def written_as(self, native: NativeTypes) -> Schema[S]:
        """Return the schema as it is where values are written by a serializer with this native.

        It is the same but for naive datetimes, which some serializers bring back as aware ones: fields take none then.

        Raises:
            SchemaError: such a one is a default.
        """
        if datetime not in native or NaiveDatetime in native:
            return self
        fields = {name: field for name, field in self.fields.items() if KNOWN[datetime] in base.all_parts([field.type])}
        if not fields:
            return self
        for name in () if self.keyed else sorted(fields):
            self._prove_writable(name, fields[name].type, fields[name].default, native)
        written = copy(self)
        written._aware = dict.fromkeys(fields, native)  # noqa: SLF001 -- its own, of a copy
        return written

    @property
    def plain_class(self) -> Kind | None:
        """The declared class, if its defaults are the same for all, and its instances hold what it is given.

        Defaults may be given to it as well: instances do not tell that.
        """
        kind = self._kind
        is_plain = kind is not None and kind.holds_arguments and not (kind.remembers_given or self.varying)
        return kind if is_plain else None

    def create(self) -> S:
        """Return the data of a new visitor: all defaults, nobody else's."""
        return self.construct({})

    @cached_property
    def non_defaults(self) -> Callable[[object], dict[str, object]]:
        """Returns the fields of data whose values are not their defaults, in the order of their declaration.

        Raises AttributeError if the program deleted an attribute.
        """
        return non_defaults_of(self.fields)

    def defaults_among(self, values: Mapping[str, object], data: object) -> set[str]:
        """Return the names of the values that are the defaults of their fields; `data` was made of them."""
        if not self.has_user_code:
            return values.keys() - self.non_defaults(data).keys()
        return {name for name, value in values.items() if self.fields[name].is_default(value)}

    def read(self, data: object, name: str) -> object:
        """Return the value of a field. Raises AttributeError if the program deleted the attribute."""
        return attribute_of(data, name)

    def validate(self, name: str, value: object) -> object:
        """Return a value as its field holds it: itself wherever it fits.

        Raises:
            FieldTypeError: the field's declared type does not allow it.
            FieldValueError: the type's bounds do not allow it, or no store could find a session by it.
        """
        field = self.fields[name]
        try:
            validated = field.type.validate(value)
            if name in self._aware:
                field.type.unstructure(validated, self._aware[name])
            if field.is_subject and isinstance(validated, str):
                validated.encode()  # as stores find it
        except OutOfBounds as mismatch:
            raise FieldValueError(f"{self.name}.{name}{mismatch.path} {mismatch}") from None
        except Mismatch as mismatch:
            raise FieldTypeError(f"{self.name}.{name}{mismatch.path} {mismatch}") from None
        except RecursionError:
            raise FieldTypeError(f"{self.name}.{name} is nested too deep to be held") from None
        except UnicodeEncodeError:
            raise FieldValueError(f"{self.name}.{name} must be a text that can be written as UTF-8") from None
        return validated

    def assign(self, data: S, values: Mapping[str, object]) -> Assignment[S]:
        """Set fields as the class's author meant it, in this order, in data that nobody has yet.

        The class's own converters and validators run, once for each value.

        Raises:
            FieldTypeError: a field's declared type does not allow its value.
            FieldValueError: a converter or validator refuses a value.
        """
        if self.assigns_plainly:
            validated = {name: self.validate(name, value) for name, value in values.items()}
            return Assignment(validated, partial(self.put, data, validated))
        kind = self._declared_kind
        if kind.frozen:
            changed = self._changed(data, values)
            return Assignment({name: self.read(changed, name) for name in values}, lambda: changed)
        changed = self.duplicate(data)
        before = kind.state(changed)
        for name, value in values.items():
            self._changed(changed, {name: value})
        assigned = {name: self.read(changed, name) for name in values}
        return Assignment(assigned, lambda: cast("S", kind.carried_over(data, before, changed)))

    def put(self, data: S, values: Mapping[str, object]) -> S:
        """Put all values into the data, or none, past converters and validators, and return the data that has them."""
        return cast("S", self._declared_kind.put(data, values))

    def restore_defaults(self, data: S, names: Iterable[str]) -> S:
        """Put fresh defaults into fields, and return the data that has them: the same object unless it is frozen."""
        fresh = self.create()
        return self.put(data, {name: self.read(fresh, name) for name in names})

    def superseded(self, extras: Iterable[str], declared: Collection[str]) -> list[str]:
        """Return the undeclared keys that are earlier names of fields which are not stored any more.

        Such a key was kept beside the field for a rollback. Alone, the next request would read it as the field's value,
        and so bring back what the field has dropped since, such as a login.
        """
        keys = (*extras,)  # which another thread may change
        return [key for key in keys if key in self.renamed and self.renamed[key] not in declared]

    def duplicate(self, data: S) -> S:
        """Return a shallow copy of data. Nothing of the user's runs."""
        return cast("S", self._declared_kind.copied(data))

    def adopt(self, data: object) -> S:
        """Return an object as the data of a session.

        Raises:
            FieldTypeError: it is no instance of the schema, or one of its fields does not fit its type.
        """
        if self.keyed:
            return self._adopted_keys(data)
        if type(data) is not self._declared_kind.cls:
            raise FieldTypeError(f"the data of this session must be a {self.name}, not {type(data).__name__}")
        for name in self.fields:
            if attribute_of(data, name, UNSET) is UNSET:
                raise FieldTypeError(f"{self.name}.{name} is missing from the data of this session")
        exact = {name: self.validate(name, self.read(data, name)) for name in self.fields}
        widened = {name: value for name, value in exact.items() if value is not self.read(data, name)}
        return self.put(cast("S", data), widened) if widened else cast("S", data)

    def _adopted_keys(self, data: object) -> S:
        if not isinstance(data, dict):
            raise FieldTypeError(f"the data of this session must be a dict, not {type(data).__name__}")
        adopted = cast("dict[str, object]", data)
        exact = {key: self.validate(key, value) for key, value in adopted.items() if key in self.fields}
        adopted.update({key: value for key, value in exact.items() if value is not adopted[key]})
        return cast("S", adopted)

    @property
    def _declared_kind(self) -> Kind:
        if self._kind is None:
            raise TypeError("a session without a schema has no fields")
        return self._kind

    def _changed(self, data: S, values: Mapping[str, object]) -> S:
        """Return data with fields set as the class's author meant it: a successor, if it is frozen.

        Data that is not frozen may have a value that is refused all the same.
        """
        kind = self._declared_kind
        converted = [name for name in values if self.fields[name].member.converts]
        taken = {name: value if name in converted else self.validate(name, value) for name, value in values.items()}
        try:
            if kind.frozen:
                data = cast("S", kind.successor(data, taken))
            else:
                for name, value in taken.items():
                    kind.assign(data, name, value)
        except Exception as error:  # a converter or validator of the user's may raise anything
            places = ", ".join(f"{self.name}.{name}" for name in values)
            one, several = "its converter or validator refuses the value", "a converter or validator refuses them"
            raise FieldValueError(f"{places}: {one if len(values) == 1 else several}") from error
        for name in converted:
            value = self.read(data, name)
            validated = self.validate(name, value)
            if validated is not value:
                kind.force(data, name, validated)
        return data

    def _fields_of(self, kind: Kind, compiler: Compiler) -> dict[str, Field]:
        for member in kind.members.values():
            if member.required:
                raise SchemaError(
                    f"{self.name}.{member.name} has no default; a new visitor has no data, so every field needs one"
                )
        annotation = self.declared if kind.make is None else kind.cls
        types = cast("WithNames", compiler.compile(annotation, self.name, kind)).types
        try:
            one, other = self.create(), self.create()
        except Exception as error:
            raise SchemaError(f"{self.name} cannot be made without arguments: {error}") from error
        for name in kind.members:
            if attribute_of(one, name, UNSET) is UNSET:
                raise SchemaError(f"{self.name}.{name} has no default, and the constructor does not set it")
        both = {name: (self.read(one, name), self.read(other, name)) for name in kind.members}
        fields = {name: self._field(member, types[name], *both[name]) for name, member in kind.members.items()}
        self._prove_defaults(fields)
        return fields

    def _keys_of(self, declared: object, compiler: Compiler) -> dict[str, Field]:
        """Return the fields of a TypedDict: a key that is not there has no default."""
        keyed = cast("WithNames", compiler.compile(declared, self.name))
        for name in sorted(keyed.required):
            raise SchemaError(
                f"{self.name}.{name} is a required key; a new visitor has no data, so declare it NotRequired, or the "
                f"whole TypedDict total=False"
            )
        members = (Member(name, keyed.annotations[name], required=False, varies=False) for name in keyed.types)
        return {
            each.name: declared_field(each, keyed.types[each.name], place=f"{self.name}.{each.name}")
            for each in members
        }

    def _field(self, member: Member, field_type: FieldType, default: object, another: object) -> Field:
        place = f"{self.name}.{member.name}"
        self._prove_writable(member.name, field_type, default, _ALL_NATIVE)
        shared = shared_mutable(default, another)
        if shared is not None:
            raise SchemaError(
                f"{place}: one {type(shared).__name__} is in the default of all visitors, who would see each other's "
                f"changes; let a factory make a new one each time"
            )
        return declared_field(member, field_type, place=place, default=default, generated=not same(default, another))

    def _prove_writable(self, name: str, field_type: FieldType, default: object, native: NativeTypes) -> None:
        try:
            field_type.unstructure(default, native)
        except Mismatch as mismatch:
            raise SchemaError(f"{self.name}.{name}{mismatch.path}: the default {mismatch}") from None

    def _prove_defaults(self, fields: Mapping[str, Field]) -> None:
        """Refuse a class that cannot be made again from its own values, or changes them as it is made."""
        values = {name: field.default for name, field in fields.items()}
        try:
            again = self.construct(values)
        except Exception as error:
            raise SchemaError(f"{self.name} cannot be made again from its own defaults: {error}") from error
        for name, value in values.items():
            if not same(self.read(again, name), value):
                raise SchemaError(
                    f"{self.name}.{name}: its converter changes a value that it has converted already, so the value "
                    f"would change with every request; let the converter leave such a value alone"
                )

    def _subject_field(self) -> str | None:
        marked = [name for name, field in self.fields.items() if field.is_subject]
        if len(marked) > 1:
            raise SchemaError(f"{self.name}.{marked[1]}: a session has one Subject, which is {marked[0]} already")
        return marked[0] if marked else None

    def _former_names(self) -> dict[str, str]:
        renamed: dict[str, str] = {}
        for name, field in self.fields.items():
            for former in field.former_names:
                if former in self.fields or former in renamed:
                    raise SchemaError(f"{self.name}.{name}: another field is, or was, called {former}")
                renamed[former] = name
        return renamed


@cache
def _converter() -> Converter:
    """Return the converter for those who bring none: to make one takes longer than all the rest of a schema."""
    return Converter()


def _required_kind(declared: Callable[[], object]) -> Kind:
    """Return the adapter of a declared class, or of the class of what a function returns."""
    kind = kind_of(declared)
    if kind is not None:
        if getattr(kind.cls, "__pydantic_root_model__", False):
            raise SchemaError(f"{kind.cls.__qualname__} has a value in place of fields; make it a field of a model")
        return kind
    if origin_class(declared) is None and callable(declared):
        kind = kind_of(class_made_by(declared))
        if kind is not None:
            return kind.made_by(declared)
    if kind_of(type(declared)) is not None:
        name = type(declared).__qualname__
        raise SchemaError(f"the schema is the class, not an instance of it: write {name}, not {name}()")
    raise SchemaError(
        f"{_name_of(declared)} cannot be the schema of a session; declare an attrs class, a dataclass, a Struct, a "
        f"pydantic model or a TypedDict, or write a function that returns an instance of one of the first four"
    )


def class_made_by(function: Callable[[], object]) -> Any:
    """Return the class of what a function makes, with its type arguments. Raises SchemaError if it cannot be called."""
    try:
        made = type(function())
    except Exception as error:
        raise SchemaError(f"{_name_of(function)} cannot be called without arguments: {error}") from error
    called: Any = unwrap(function)
    while isinstance(called, partial):
        called = unwrap(called.func)
    try:
        hints = get_type_hints(called if isroutine(called) else type(called).__call__)
    except (AttributeError, NameError, TypeError):  # it is a class, or names what only checkers see
        hints = {}
    return next((each for each in (called, hints.get("return")) if origin_class(each) is made), made)


def _name_of(declared: object) -> str:
    name: str = getattr(declared, "__qualname__", type(declared).__qualname__)
    return name
