"""`Schema[S]`: the fields, types and defaults of the class that a user declared for a session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from inspect import isroutine, unwrap
from keyword import iskeyword
from types import NoneType
from typing import Any, Final, Generic, cast, get_origin, get_type_hints, overload
from uuid import UUID

from attrs import frozen
from cattrs import Converter
from typing_extensions import TypeVar, override

from typed_sessions.errors import FieldTypeError, FieldValueError, SchemaError
from typed_sessions.schema.annotations import (
    described,
    former_names,
    is_typed_dict,
    marks_of,
    origin_class,
    plain_form,
    union_parts,
)
from typed_sessions.schema.generated import Module
from typed_sessions.schema.kinds import Kind, MadeKind, Member, Trial, holds_arguments, is_record, kind_of, marks_within
from typed_sessions.schema.markers import Essential, Merge, Subject
from typed_sessions.schema.merging import Rule, rule_of
from typed_sessions.schema.migrations import Migrations
from typed_sessions.schema.sameness import same, shared_mutable
from typed_sessions.schema.types import (
    NATIVE_CANDIDATES,
    Compiler,
    Declared,
    FieldType,
    Mismatch,
    NaiveDatetime,
    NativeTypes,
    OutOfBounds,
    all_parts,
)
from typed_sessions.schema.types.scalars import KNOWN
from typed_sessions.schema.values import Value

__all__ = ["Assignment", "Field", "Schema", "class_made_by", "define_departed", "departure"]

S = TypeVar("S", default=dict[str, object])

_SUBJECTS: Final[frozenset[object]] = frozenset({int, str, UUID})
_MERGED: Final[Mapping[str, set[object]]] = {
    "add": {int, float, Decimal, timedelta, list, tuple},
    "union": {set, frozenset, dict},
}
"""What the rules of those names can merge. All others can merge anything that can be compared."""

_ALL_NATIVE: NativeTypes = frozenset({*(type(value) for value in NATIVE_CANDIDATES), NaiveDatetime})
"""A default may be anything that some serializer takes: which one it will be is not known yet."""


class Assignment(Value, Generic[S]):
    """Values that a class has taken, and that its data has not got yet."""

    values: Mapping[str, object]
    """As the fields hold them."""
    commit: Callable[[], S]
    """Returns the data that has the values: the same object, unless it is frozen. No code of the user's runs."""


@frozen
class Field:
    """One declared field of a schema."""

    name: str
    """The attribute's name, which is the key in the mapping and in the payload."""
    type: FieldType
    default: object
    """For comparison only: never handed out, so that nobody can change it."""
    generated: bool
    """True if each new visitor gets a default of its own, such as a token or the time."""
    varies: bool
    """True if a visitor may get a default of its own, although two at set-up got the same."""
    essential: bool
    """True if a stored value that does not fit refuses the whole session."""
    converts: bool
    former_names: tuple[str, ...]
    """What it was called in earlier releases."""
    merge: Rule | None
    """What becomes of two changes at once; None if the last one counts."""
    is_subject: bool
    """True if it says whose session it is."""
    max_length: int | None = None
    """How long a value may be, as far as the class itself sees to that."""

    def is_default(self, value: object) -> bool:
        """Return True if a value, as the field holds it, is the default and was not made for one visitor."""
        if self.generated:
            return False
        if type(value) is type(self.default):
            return same(value, self.default)
        try:
            return same(self.type.validate(value), self.default)
        except Mismatch:
            return False


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
        keyed = declared is not None and is_typed_dict(declared)
        self._kind = None if declared is None or keyed else _required_kind(declared)
        self.construct: Callable[[Mapping[str, object]], S] = cast(
            "Callable[[Mapping[str, object]], S]", dict if self._kind is None else self._kind.construct
        )
        """Makes data that holds values, by field name, and defaults for the rest; raises what the user's code does."""
        self.open: bool = declared is None
        """True if no class was declared: every key is data."""
        self.keyed: bool = declared is None or keyed
        """True if the data is a dict: a key is stored while it is there."""
        self.name: str = "dict" if declared is None else _name_of(declared if self._kind is None else self._kind.cls)
        self.is_record: bool = self._kind is None or is_record(self._kind)
        """True if data holds what it was made of: no code of the user's changes or refuses a value."""
        self.fields: Mapping[str, Field] = {}
        if self._kind is not None:
            self.fields = self._compiled(self._kind, declared, converter or Converter())
        elif declared is not None:
            self.fields = self._compiled_keys(declared, converter or Converter())
        parts = all_parts(field.type for field in self.fields.values())
        self.is_trusting: bool = self.is_record and not any(map(_has_its_own_word, parts))
        """True if the same is so of each class within the fields."""
        kinds = [part.kind for part in parts if isinstance(part, Declared)]
        self.never_alters: bool = all(map(holds_arguments, kinds if self._kind is None else [self._kind, *kinds]))
        """True if data, and each class within the fields, holds what it is given. Validators may refuse that."""
        self.varying: tuple[str, ...] = tuple(
            name for name, field in self.fields.items() if field.generated or field.varies
        )
        """The fields of which a new visitor may have a value of its own."""
        self._departed = departed_of(self.fields)
        self.subject: str | None = self._subject_field()
        """The name of the field that says whose session it is; None if none does."""
        self.renamed: Mapping[str, str] = self._former_names()
        """The present name of each field, by each of its earlier ones."""
        self.migrations: Migrations = Migrations(declared)
        self._aware: Mapping[str, NativeTypes] = {}
        """The fields that take no naive datetimes, each with the wire that would not bring one back."""

    @override
    def __repr__(self) -> str:
        return f"Schema({self.name})"

    def written_as(self, wire: NativeTypes) -> Schema[S]:
        """Return the schema as it is where values are written by a serializer with this wire.

        It is the same but for naive datetimes, which some serializers bring back as aware ones: fields take none then.

        Raises:
            SchemaError: such a one is a default.
        """
        if datetime not in wire or NaiveDatetime in wire:
            return self
        fields = {name for name, field in self.fields.items() if _holds_datetimes(field.type)}
        if not fields:
            return self
        for name in () if self.keyed else sorted(fields):
            try:
                self.fields[name].type.unstructure(self.fields[name].default, wire)
            except Mismatch as mismatch:
                raise SchemaError(f"{self.name}.{name}{mismatch.path}: the default {mismatch}") from None
        written = copy(self)
        written._aware = dict.fromkeys(fields, wire)  # noqa: SLF001 -- its own, of a copy
        return written

    @property
    def steady_class(self) -> Kind | None:
        """The declared class, if it makes its instances itself, with defaults that are the same for all."""
        return None if isinstance(self._kind, MadeKind) or self.varying else self._kind

    @property
    def plain_class(self) -> Kind | None:
        """The declared class, if it is a steady one, and instances hold what they are made of, or refuse it."""
        kind = self.steady_class
        return None if kind is None or not holds_arguments(kind) else kind

    def create(self) -> S:
        """Return the data of a new visitor: all defaults, nobody else's."""
        return self.construct({})

    def departed(self, data: object) -> dict[str, object]:
        """Return the fields whose values are not their defaults, in the order of their declaration.

        Raises:
            AttributeError: the program deleted an attribute.
        """
        return self._departed(data)

    def defaults_among(self, values: Mapping[str, object], data: object) -> set[str]:
        """Return the names of the values that are the defaults of their fields; `data` was made of them."""
        if self.is_record:
            return values.keys() - self._departed(data).keys()
        return {name for name, value in values.items() if self.fields[name].is_default(value)}

    def read(self, data: object, name: str) -> object:
        """Return the value of a field.

        Raises:
            AttributeError: the program deleted the attribute.
        """
        value: object = getattr(data, name)
        return value

    def admit(self, name: str, value: object) -> object:
        """Return a value as its field holds it: itself wherever it fits.

        Raises:
            FieldTypeError: the field's declared type does not allow it.
            FieldValueError: the type's bounds do not allow it, or no store could find a session by it.
        """
        field = self.fields[name]
        try:
            admitted = field.type.validate(value)
            if name in self._aware:
                field.type.unstructure(admitted, self._aware[name])
        except OutOfBounds as mismatch:
            raise FieldValueError(f"{self.name}.{name}{mismatch.path} {mismatch}") from None
        except Mismatch as mismatch:
            raise FieldTypeError(f"{self.name}.{name}{mismatch.path} {mismatch}") from None
        except RecursionError:
            raise FieldTypeError(f"{self.name}.{name} is nested too deep to be held") from None
        if field.is_subject and not _is_writable_subject(admitted):
            raise FieldValueError(f"{self.name}.{name} must be a text that can be written as UTF-8")
        return admitted

    def assign(self, data: S, values: Mapping[str, object]) -> Assignment[S]:
        """Set fields as the class's author meant it, in this order, in data that nobody has yet.

        The class's own converters and validators run, once for each value.

        Raises:
            FieldTypeError: a field's declared type does not allow its value.
            FieldValueError: a converter or validator refuses a value.
        """
        kind = self._declared_kind
        if self.is_record and not kind.frozen:
            admitted = {name: self.admit(name, value) for name, value in values.items()}
            return Assignment(admitted, partial(self.place, data, admitted))
        if kind.frozen:
            changed = self._succeeded(data, values)
            return Assignment({name: self.read(changed, name) for name in values}, lambda: changed)
        trial = Trial(kind, data)
        for name, value in values.items():
            self._assign(trial.copy, name, value)
        return Assignment({name: self.read(trial.copy, name) for name in values}, trial.commit)

    def place(self, data: S, values: Mapping[str, object]) -> S:
        """Put values into the data past converters and validators, and return the data that has them; see `Kind`."""
        return cast("S", self._declared_kind.place(data, values))

    def restore_defaults(self, data: S, names: Iterable[str]) -> S:
        """Put fresh defaults into fields, and return the data that has them: the same object unless it is frozen."""
        fresh = self.create()
        return self.put(data, {name: self.read(fresh, name) for name in names})

    def put(self, data: S, values: Mapping[str, object]) -> S:
        """Put all values into the data, or none, past converters and validators, and return the data that has them."""
        kind = self._declared_kind
        if self.is_record or kind.frozen:
            return self.place(data, values)
        trial = Trial(kind, data)  # a field may be a property, whose setter refuses its value
        kind.place(trial.copy, values)
        return trial.commit()

    def duplicate(self, data: S) -> S:
        """Return a shallow copy of data. Nothing of the user's runs."""
        kind = self._declared_kind
        return cast("S", kind.copied(data, kind.attributes(data)))

    def adopt(self, data: object) -> S:
        """Return an object as the data of a session.

        Raises:
            FieldTypeError: it is no instance of the schema, or one of its fields does not fit its type.
        """
        if self.keyed:
            return self._adopted_keys(data)
        if type(data) is not self._declared_kind.cls:
            raise FieldTypeError(f"the data of this session must be a {self.name}, not {type(data).__name__}")
        adopted = cast("S", data)
        for name in self.fields:
            if not hasattr(data, name):
                raise FieldTypeError(f"{self.name}.{name} is missing from the data of this session")
        exact = {name: self.admit(name, self.read(data, name)) for name in self.fields}
        widened = {name: value for name, value in exact.items() if value is not self.read(data, name)}
        return self.place(adopted, widened) if widened else adopted

    def _subject_field(self) -> str | None:
        marked = [name for name, field in self.fields.items() if field.is_subject]
        if len(marked) > 1:
            raise SchemaError(f"{self.name}.{marked[1]}: a session has one Subject, which is {marked[0]} already")
        return marked[0] if marked else None

    def _merge_rule(self, name: str, annotation: Any) -> Rule | None:
        """Return what a field's own mark says of two changes at once."""
        marks = [mark for mark in marks_within(annotation) if mark is Merge or isinstance(mark, Merge)]
        own = [mark for mark in marks_of(annotation) if isinstance(mark, Merge)]
        if not marks:
            return None
        if len(marks) > 1 or not own:
            raise SchemaError(f"{self.name}.{name}: a field has one Merge, with a rule, and on the field itself")
        try:
            rule = rule_of(own[0].rule, name)
        except ValueError as error:
            raise SchemaError(f"{self.name}.{name}: {error}") from None
        if isinstance(own[0].rule, str) and not _kinds_of(annotation) <= _MERGED.get(
            own[0].rule, _kinds_of(annotation)
        ):
            raise SchemaError(f'{self.name}.{name}: Merge("{own[0].rule}") cannot merge {described(annotation)}')
        return rule

    def _is_subject(self, name: str, annotation: Any) -> bool:
        """Return True if a field is marked as the Subject.

        Raises:
            SchemaError: it is no number, text or UUID, so that one subject might have two names, or two subjects one.
        """
        if not any(mark is Subject or isinstance(mark, Subject) for mark in marks_within(annotation)):
            return False
        kinds = _kinds_of(annotation)
        if len(kinds) != 1 or not kinds <= _SUBJECTS:
            raise SchemaError(
                f"{self.name}.{name}: a Subject is an int, a str or a UUID, or None, not {described(annotation)}"
            )
        return True

    def _former_names(self) -> dict[str, str]:
        renamed: dict[str, str] = {}
        for field in self.fields.values():
            for former in field.former_names:
                if former in self.fields or former in renamed:
                    raise SchemaError(f"{self.name}.{field.name}: another field is, or was, called {former}")
                renamed[former] = field.name
        return renamed

    def _adopted_keys(self, data: object) -> S:
        if not isinstance(data, dict):
            raise FieldTypeError(f"the data of this session must be a dict, not {type(data).__name__}")
        adopted = cast("dict[str, object]", data)
        exact = {key: self.admit(key, value) for key, value in adopted.items() if key in self.fields}
        adopted.update({key: value for key, value in exact.items() if value is not adopted[key]})
        return cast("S", adopted)

    @property
    def _declared_kind(self) -> Kind:
        if self._kind is None:
            raise TypeError("a session without a schema has no fields")
        return self._kind

    def _assign(self, data: S, name: str, value: object) -> None:
        """Set a field of data that is not frozen. If it is refused, the data may have it all the same."""
        kind, converts = self._declared_kind, self.fields[name].converts
        taken = value if converts else self.admit(name, value)
        try:
            kind.assign(data, name, taken)
        except Exception as error:  # a converter or validator of the user's may raise anything
            raise FieldValueError(f"{self.name}.{name}: its converter or validator refuses the value") from error
        if converts:
            self._admit_converted(data, name)

    def _succeeded(self, data: S, values: Mapping[str, object]) -> S:
        """Return the successor of frozen data, for which its constructor is called once."""
        fields = self.fields
        taken = {name: value if fields[name].converts else self.admit(name, value) for name, value in values.items()}
        try:
            successor = cast("S", self._declared_kind.succeeded(data, taken))
        except Exception as error:  # a converter or validator of the user's may raise anything
            if len(values) == 1:
                place = f"{self.name}.{next(iter(values))}: its converter or validator refuses the value"
            else:
                place = f"{', '.join(f'{self.name}.{name}' for name in values)}: a converter or validator refuses them"
            raise FieldValueError(place) from error
        for name in values:
            if fields[name].converts:
                self._admit_converted(successor, name)
        return successor

    def _admit_converted(self, data: S, name: str) -> None:
        converted = self.read(data, name)
        admitted = self.admit(name, converted)
        if admitted is not converted:
            self._declared_kind.force(data, name, admitted)

    def _compiled(self, kind: Kind, declared: object, converter: Converter) -> dict[str, Field]:
        for member in kind.members.values():
            if member.required:
                raise SchemaError(
                    f"{self.name}.{member.name} has no default; a new visitor has no data, so every field needs one"
                )
        annotation = kind.cls if isinstance(kind, MadeKind) else declared
        types = Compiler(converter).declared(annotation, kind, self.name).types
        one, other = self._sample(), self._sample()
        for name in kind.members:
            if not hasattr(one, name):
                raise SchemaError(f"{self.name}.{name} has no default, and the constructor does not set it")
        fields = {
            name: self._field(member, types[name], self.read(one, name), self.read(other, name))
            for name, member in kind.members.items()
        }
        self._prove_defaults(fields)
        return fields

    def _compiled_keys(self, declared: object, converter: Converter) -> dict[str, Field]:
        """Return the fields of a TypedDict: a key that is not there has no default."""
        keyed = Compiler(converter).keyed(declared, self.name)
        for name in sorted(keyed.required):
            raise SchemaError(
                f"{self.name}.{name} is a required key; a new visitor has no data, so declare it NotRequired, or the "
                f"whole TypedDict total=False"
            )
        return {
            name: Field(
                name=name,
                type=field_type,
                default=None,
                generated=False,
                varies=False,
                essential=_is_essential(keyed.annotations[name]),
                converts=False,
                former_names=former_names(keyed.annotations[name]),
                merge=self._merge_rule(name, keyed.annotations[name]),
                is_subject=self._is_subject(name, keyed.annotations[name]),
            )
            for name, field_type in keyed.types.items()
        }

    def _field(self, member: Member, field_type: FieldType, default: object, another: object) -> Field:
        try:
            field_type.unstructure(default, _ALL_NATIVE)
        except Mismatch as mismatch:
            raise SchemaError(f"{self.name}.{member.name}{mismatch.path}: the default {mismatch}") from None
        shared = shared_mutable(default, another)
        if shared is not None:
            raise SchemaError(
                f"{self.name}.{member.name}: one {type(shared).__name__} is in the default of all visitors, who would "
                f"see each other's changes; let a factory make a new one each time"
            )
        return Field(
            name=member.name,
            type=field_type,
            default=default,
            generated=not same(default, another),
            varies=member.varies,
            essential=_is_essential(member.annotation),
            converts=member.converts,
            former_names=former_names(member.annotation),
            merge=self._merge_rule(member.name, member.annotation),
            is_subject=self._is_subject(member.name, member.annotation),
            max_length=member.max_length,
        )

    def _sample(self) -> S:
        try:
            return self.create()
        except Exception as error:
            raise SchemaError(f"{self.name} cannot be made without arguments: {error}") from error

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


def _is_writable_subject(subject: object) -> bool:
    """Return False for a text with a lone surrogate: stores find a subject by its UTF-8."""
    if not isinstance(subject, str):
        return True
    try:
        subject.encode()
    except UnicodeEncodeError:
        return False
    return True


def _holds_datetimes(field_type: FieldType) -> bool:
    return KNOWN[datetime] in all_parts([field_type])


def _has_its_own_word(field_type: FieldType) -> bool:
    """Return True for a class with code of the user's, which may change or refuse what the constructor is given."""
    return isinstance(field_type, Declared) and not is_record(field_type.kind)


def departed_of(fields: Mapping[str, Field]) -> Callable[[Any], dict[str, object]]:
    """Return the function that finds the fields of an object whose values are not their defaults."""
    module = Module("the fields of a schema")
    function = define_departed(module, fields, dict.fromkeys(fields, "value"))
    return module.compiled()[function]


def define_departed(module: Module, fields: Mapping[str, Field], forms: Mapping[str, str]) -> str:
    """Add a function that returns the fields of an object whose values are not their defaults, and return its name.

    Args:
        module: where to add it.
        fields: the fields.
        forms: for each field the expression that makes of `value` what is returned.
    """
    lines = ['"""Return the fields whose values are not their defaults."""', "departed = {}"]
    for name, field in fields.items():
        lines += [f"value = {_attribute('data', name)}", f"if {departure(field, module)}:"]
        lines += [f"    departed[{name!r}] = {forms[name]}"]
    return module.define("departed", "data", [*lines, "return departed"])


def _attribute(owner: str, name: str) -> str:
    plain = name.isidentifier() and not iskeyword(name)
    return f"{owner}.{name}" if plain else f"getattr({owner}, {name!r})"


def departure(field: Field, module: Module, value: str = "value") -> str:
    """Return the condition that a value is not a field's default; a comparison that may settle it goes first."""
    if field.generated:
        return "True"
    if field.default is None:
        return f"{value} is not None"
    is_default = module.name(field.is_default, f"is_default_{field.name}")
    if type(field.default) in _PLAIN:
        default = module.name(field.default, f"default_{field.name}")
        return f"{value} != {default} or ({value} is not {default} and not {is_default}({value}))"
    if type(field.default) in _CONTAINERS and not field.default:
        return f"{value} or (type({value}) is not {type(field.default).__name__} and not {is_default}({value}))"
    return f"not {is_default}({value})"


_PLAIN: Final = (bool, int, float, str, bytes)
_CONTAINERS: Final = (list, tuple, dict, set, frozenset)
"""What is compared without surprises: of containers, the empty ones."""


def _required_kind(declared: Callable[[], object]) -> Kind:
    """Return the adapter of a declared class, or of the class of what a function returns."""
    kind = kind_of(declared)
    if kind is not None:
        return kind
    if origin_class(declared) is None and callable(declared):
        kind = kind_of(class_made_by(declared))
        if kind is not None:
            return MadeKind(kind, declared)
    if kind_of(type(declared)) is not None:
        name = type(declared).__qualname__
        raise SchemaError(f"the schema is the class, not an instance of it: write {name}, not {name}()")
    raise SchemaError(
        f"{_name_of(declared)} cannot be the schema of a session; declare an attrs class, a dataclass, a Struct or a "
        f"TypedDict, or write a function that returns an instance of one of the first three"
    )


def class_made_by(function: Callable[[], object]) -> Any:
    """Return the class of what a function makes, with the type arguments that are written down.

    Raises:
        SchemaError: the function cannot be called.
    """
    made = type(_made_by(function))
    called: Any = unwrap(function)
    while isinstance(called, partial):
        called = unwrap(called.func)
    try:
        hints = get_type_hints(called if isroutine(called) else type(called).__call__)
    except (AttributeError, NameError, TypeError):  # it is a class, or names what only checkers see
        hints = {}
    return next((each for each in (called, hints.get("return")) if origin_class(each) is made), made)


def _made_by(function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as error:
        raise SchemaError(f"{_name_of(function)} cannot be called without arguments: {error}") from error


def _name_of(declared: object) -> str:
    name: str = getattr(declared, "__qualname__", type(declared).__qualname__)
    return name


def _kinds_of(annotation: Any) -> set[Any]:
    """Return the types that a field's values may have, without their arguments, and without None."""
    declared, _ = plain_form(annotation)
    parts = [plain_form(part)[0] for part in union_parts(declared) or (declared,)]
    return {get_origin(part) or part for part in parts} - {NoneType}


def _is_essential(annotation: Any) -> bool:
    """Return True if a field is marked, or any part of what it holds: better refused once too often."""
    return any(mark is Essential or isinstance(mark, Essential) for mark in marks_within(annotation))
