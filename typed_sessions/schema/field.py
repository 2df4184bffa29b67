"""`Field`: what a declared class says of one of its attributes, or a TypedDict of one of its keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from keyword import iskeyword
from types import NoneType
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin
from uuid import UUID

from attrs import frozen

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import (
    described,
    former_names,
    is_typed_dict,
    marks_of,
    plain_form,
    reference_in,
    resolved_annotations,
    union_parts,
)
from typed_sessions.schema.generated import Module
from typed_sessions.schema.kinds.base import Member
from typed_sessions.schema.kinds.known import kind_of
from typed_sessions.schema.markers import Essential, Merge, Secret, Subject
from typed_sessions.schema.merging import Rule, rule_of
from typed_sessions.schema.sameness import attribute_names, parts_in_both, same
from typed_sessions.schema.types.base import FieldType, Mismatch

__all__ = ["Field", "declared_field", "non_default", "non_defaults_of", "shared_mutable"]

M = TypeVar("M", Essential, Subject, Merge, Secret)

_SUBJECTS: Final[frozenset[object]] = frozenset({int, str, UUID})
_MERGED: Final[Mapping[object, set[object]]] = {
    "add": {int, float, Decimal, timedelta, list, tuple},
    "union": {set, frozenset, dict},
}
"""What the rules of those names can merge. All others can merge anything that can be compared."""


@frozen
class Field:
    """One declared field of a schema."""

    member: Member
    """What the class says of the attribute."""
    type: FieldType
    default: object
    """For comparison only: never handed out, so that nobody can change it."""
    generated: bool
    """True if each new visitor gets a default of its own, such as a token or the time."""
    essential: bool
    """True if a stored value that does not fit refuses the whole session."""
    former_names: tuple[str, ...]
    """What it was called in earlier releases."""
    merge: Rule | None
    """What becomes of two changes at once; None if the last one counts."""
    is_subject: bool
    """True if it says whose session it is."""
    secret: str | None
    """The path from here to what is marked as `Secret`: empty if that is the field; None if nothing is."""

    @property
    def name(self) -> str:
        """The attribute's name, which is the key in the mapping and in the payload."""
        return self.member.name

    @property
    def varies(self) -> bool:
        """True if a visitor may get a default of its own, be it that two at set-up got the same."""
        return self.generated or self.member.varies

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


def declared_field(
    member: Member, field_type: FieldType, *, place: str, default: object = None, generated: bool = False
) -> Field:
    """Return a field with what its annotation says of it beyond its type.

    Raises:
        SchemaError: the annotation cannot mean what it says; the message begins with `place`.
    """
    placed = _marks_within(member.annotation, set())
    marks = [mark for mark, _ in placed]
    secret = next((path for mark, path in placed if _is(mark, Secret)), None)
    is_subject = _is_subject(member, _marks(marks, Subject), place)
    if secret is not None and is_subject:
        raise SchemaError(f"{place}: a Subject is no Secret, for stores find its sessions by it")
    return Field(
        member=member,
        type=field_type,
        default=default,
        generated=generated,
        essential=bool(_marks(marks, Essential)),  # at any depth: better refused once too often
        former_names=former_names(member.annotation),
        merge=_merge_rule(member, _marks(marks, Merge), place),
        is_subject=is_subject,
        secret=secret,
    )


def _marks_within(annotation: Any, seen: set[object], path: str = "") -> list[tuple[object, str]]:
    """Return what `Annotated` says anywhere in an annotation, and in the declared classes that it names, and where."""
    reference = reference_in(annotation)
    if reference in seen:
        return [(mark, path) for mark in annotation.__metadata__] if get_origin(annotation) is Annotated else []
    inner, marks = plain_form(annotation)
    within = [(part, path) for part in get_args(inner)]
    kind = None if is_typed_dict(inner) else kind_of(inner)
    if kind is not None and kind.cls not in seen:
        within += [(member.annotation, f"{path}.{name}") for name, member in kind.members.items()]
        seen.add(kind.cls)
    elif is_typed_dict(inner) and inner not in seen:
        seen.add(inner)
        within += [(held, f"{path}.{name}") for name, held in resolved_annotations(inner).items()]
    seen |= {reference} - {None}
    return [
        *((mark, path) for mark in marks),
        *(found for part, at in within for found in _marks_within(part, seen, at)),
    ]


def _is(mark: object, cls: type[M]) -> bool:
    return mark is cls or isinstance(mark, cls)


def _marks(marks: list[object], cls: type[M]) -> list[object]:
    return [mark for mark in marks if _is(mark, cls)]


def _merge_rule(member: Member, marks: list[object], place: str) -> Rule | None:
    if not marks:
        return None
    own = [mark for mark in marks_of(member.annotation) if isinstance(mark, Merge)]
    if len(marks) > 1 or not own:
        raise SchemaError(f"{place}: a field has one Merge, with a rule, and on the field itself")
    name = own[0].rule
    try:
        rule = rule_of(name, member.name)
    except ValueError as error:
        raise SchemaError(f"{place}: {error}") from None
    if isinstance(name, str) and name in _MERGED and not _classes_of(member.annotation) <= _MERGED[name]:
        raise SchemaError(f'{place}: Merge("{name}") cannot merge {described(member.annotation)}')
    return rule


def _is_subject(member: Member, marks: list[object], place: str) -> bool:
    """Return True if a field is marked as the Subject: a type of which no two values could be one subject's name."""
    classes = _classes_of(member.annotation) if marks else set[object]()
    if marks and (len(classes) != 1 or not classes <= _SUBJECTS):
        annotation = described(member.annotation)
        raise SchemaError(f"{place}: a Subject is an int, a str or a UUID, or None, not {annotation}")
    return bool(marks)


def _classes_of(annotation: Any) -> set[object]:
    """Return the types that a field's values may have, without their arguments, and without None."""
    declared, _ = plain_form(annotation)
    parts = [plain_form(part)[0] for part in union_parts(declared) or (declared,)]
    return {get_origin(part) or part for part in parts} - {NoneType}


def shared_mutable(one: object, other: object) -> object | None:
    """Return an object that can be changed and that two values have in common, at any depth; None if there is none."""
    cls: Any = type(one)
    kind = kind_of(cls) if one is other and attribute_names(cls) is not None else None
    if (one is other and cls in (list, dict, set)) or (kind is not None and not kind.frozen):
        return one
    shared = (shared_mutable(item, its) for _, item, its in parts_in_both(one, other))
    return next((found for found in shared if found is not None), None)


def non_defaults_of(fields: Mapping[str, Field]) -> Callable[[object], dict[str, object]]:
    """Return a function that returns the fields of an object whose values are not their defaults."""
    module, lines = Module("the fields of a schema"), ["found = {}"]
    for name, field in fields.items():
        plain = name.isidentifier() and not iskeyword(name)
        lines += [f"value = {field.member.expression('data') if plain else f'getattr(data, {name!r})'}"]
        lines += [f"if {non_default(field, module)}:", f"    found[{name!r}] = value"]
    function = module.define("non_defaults", "data", [*lines, "return found"])
    return module.compiled()[function]


def non_default(field: Field, module: Module, value: str = "value") -> str:
    """Return the condition that a value is not a field's default; a comparison that may decide it goes first."""
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
