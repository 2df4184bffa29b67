"""What a deploy does to the sessions of the release before, and what a rollback would lose.

Nothing is compared by rule. Values are made of every type that the earlier release declares, written as that release
writes them, and read as the later one reads them; and the other way round for a rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from enum import Enum
from typing import Final

from attrs import frozen

from typed_sessions.schema.migrations import VERSION_KEY, MigrationFailure
from typed_sessions.schema.narrowing import is_dict, is_sequence
from typed_sessions.schema.sameness import same
from typed_sessions.schema.types import NATIVE_CANDIDATES, FieldType, NaiveDatetime, NativeTypes, Reading
from typed_sessions.schema.types.base import attempt
from typed_sessions.tools.lock.declarations import Declaration, Declarations, declarations_of
from typed_sessions.tools.lock.lock import LockedSchema
from typed_sessions.tools.lock.samples import Samples

__all__ = ["Effect", "Finding", "compare"]

Plain = dict[str, object]
Migrate = Callable[[Plain, int], Plain]
"""Brings plain values of a version to the version of the code."""

_WIRE: Final[NativeTypes] = frozenset({*(type(value) for value in NATIVE_CANDIDATES), NaiveDatetime})
"""What built-in serializers bring back: a lock does not say which one writes."""


class Effect(Enum):
    """What a difference between two releases does."""

    KEEPS = "keeps"
    RESETS = "resets"
    REFUSES = "refuses"
    CHANGES = "changes"
    DROPS = "drops"
    LOSES_ON_ROLLBACK = "loses on rollback"
    OUTGROWS = "outgrows"

    @property
    def loses(self) -> bool:
        """True if something that a visitor stored is lost, or may be."""
        return self is not Effect.KEEPS


@frozen
class Finding:
    """One difference, and what it does to the sessions that visitors have."""

    effect: Effect
    place: str
    """The field, or the class's attribute."""
    text: str


def compare(
    before: LockedSchema,
    after: LockedSchema,
    migrate: Migrate,
    *,
    max_cookie_size: int,
    refuses_bad_fields: bool = False,
) -> list[Finding]:
    """Return what a deploy of `after` does to sessions of `before`, and what a rollback would lose; losses first.

    Args:
        before: what is locked.
        after: what the code says.
        migrate: runs the code's migrations.
        max_cookie_size: how large browsers let the whole `Set-Cookie` text be, in bytes.
        refuses_bad_fields: whether `SESSION_ON_BAD_FIELD` is `"session"`.

    Raises:
        ConfigurationError: the lock cannot be read.
    """
    old, new = declarations_of(before), declarations_of(after)
    stored = _payloads(old, new)
    written, failures = _migrated(stored, migrate, before.version)
    taken_away = list(_taken_away(stored, written, old, new))
    found = [
        *_versions(before.version, after.version),
        *_declared(old, new, {finding.place for finding in taken_away}),
        *failures,
        *_read_by_deploy(_read(written, new), old, new, Effect.REFUSES if refuses_bad_fields else Effect.RESETS),
        *taken_away,
        *_read_as_another(written, old, new),
        *_read_by_rollback(_read(_payloads(new, old), old), old, new),
        *_renamed(old, new),
        *_size(before, after, max_cookie_size),
    ]
    return sorted(found, key=lambda finding: not finding.effect.loses)


def _versions(before: int, after: int) -> Iterator[Finding]:
    if after < before:
        text = f"sessions of version {before} are there, and the code leads to {after}: migrations are missing"
        yield Finding(Effect.LOSES_ON_ROLLBACK, VERSION_KEY, text)


def _declared(old: Declarations, new: Declarations, taken_away: Collection[str]) -> Iterator[Finding]:
    """Find what is declared otherwise; by itself that loses nothing."""
    for name, field in new.fields.items():
        earlier_name = _earlier_name(name, new, old)
        if earlier_name is None:
            yield Finding(Effect.KEEPS, name, "is new; visitors have its default")
            continue
        earlier = old.fields[earlier_name]
        if earlier_name != name:
            yield Finding(Effect.KEEPS, name, f"was called {earlier_name}, and is read under both names")
        if field.text != earlier.text:
            yield Finding(Effect.KEEPS, name, f"was {earlier.text}, and is {field.text}")
        if not _is_same_default(field, earlier):
            text = f"had the default {earlier.default}, and has {field.default}, also for those who never set it"
            yield Finding(Effect.KEEPS, name, text)
    for name in old.fields:
        if _present_name(name, new) is None and name not in taken_away:
            text = "is gone; its values stay as undeclared keys, and come back with a rollback"
            yield Finding(Effect.KEEPS, name, text)


def _is_same_default(one: Declaration, other: Declaration) -> bool:
    """Return True if two defaults are one value, be it written in two ways: a member of a union may need a name."""
    return one.default == other.default or (bool(one.default_values) and same(one.default_values, other.default_values))


def _migrated(payloads: list[Plain], migrate: Migrate, version: int) -> tuple[list[Plain], list[Finding]]:
    migrated: list[Plain] = []
    failures: dict[str, None] = {}
    for plain in payloads:
        try:
            migrated.append(migrate(deepcopy(plain), version))  # a step may change what it is given, at any depth
        except MigrationFailure as failure:
            failures[str(failure)] = None
    return migrated, [
        Finding(Effect.REFUSES, VERSION_KEY, f"a migration fails on values of the locked types: {failure}")
        for failure in failures
    ]


def _read_by_deploy(read: _Read, old: Declarations, new: Declarations, misfit: Effect) -> Iterator[Finding]:
    for name, share in read.misfits.items():
        effect = Effect.REFUSES if new.fields[name].essential else misfit
        yield Finding(effect, name, f"{share} stored values do not fit {new.fields[name].text}")
    for place in _unknown(read, old, new):
        yield Finding(Effect.DROPS, place, "is not declared any more; the next change of a session drops it")


def _read_as_another(written: list[Plain], old: Declarations, new: Declarations) -> Iterator[Finding]:
    """Find values that the later release takes for ones of another type: it reads them, and they are not the same."""
    for name, field in old.fields.items():
        later = _present_name(name, new)
        if later is None:
            continue
        present = new.fields[later]
        plain = [values[key] for values in written for key in _stored_as(later, present, values)]
        if any(_becomes_another(each, field.type, present.type) for each in plain):
            other = "with parts of another type" if present.text == field.text else f"as another type of {present.text}"
            yield Finding(Effect.CHANGES, later, f"stored values of {field.text} are read {other}")


def _becomes_another(plain: object, before: FieldType, after: FieldType) -> bool:
    as_before, as_after = (attempt(held.structure, plain, Reading(_WIRE)) for held in (before, after))
    return not all(map(_are_alike, as_before, as_after))


def _are_alike(one: object, other: object) -> bool:
    """Return True if two readings of one plain value are of the same types, at every depth that both of them have."""
    if is_dict(one) and is_dict(other):
        shared = one.keys() & other.keys()
        return (
            type(one) is type(other)
            and {*map(_kind, one)} == {*map(_kind, other)}
            and all(_are_alike(one[key], other[key]) for key in shared)
        )
    if is_sequence(one) and is_sequence(other):
        return type(one) is type(other) and all(map(_are_alike, one, other))
    return _kind(one) == _kind(other)


def _kind(value: object) -> str:
    """Return the name of a value's type, as far as it tells: an `int` that becomes a `float` stays equal.

    An enumeration may have another name: its members are the same as long as their values are.
    """
    if isinstance(value, (int, float)):
        return "number"
    return "member" if isinstance(value, Enum) else type(value).__name__


def _taken_away(stored: list[Plain], written: list[Plain], old: Declarations, new: Declarations) -> Iterator[Finding]:
    for name in old.fields:
        if name in new.fields or not written:
            continue
        if any(name in plain for plain in stored) and not any(name in plain for plain in written):
            yield Finding(Effect.LOSES_ON_ROLLBACK, name, "a migration takes it away, and a rollback reads its default")


def _read_by_rollback(read: _Read, old: Declarations, new: Declarations) -> Iterator[Finding]:
    for name, share in read.misfits.items():
        fate = "refuses the session over" if old.fields[name].essential else "resets"
        text = f"a rollback {fate} {share} values that the new release stores"
        yield Finding(Effect.LOSES_ON_ROLLBACK, name, text)
    for place in _unknown(read, new, old):
        yield Finding(Effect.LOSES_ON_ROLLBACK, place, "a rollback drops it with the next change of a session")


def _renamed(old: Declarations, new: Declarations) -> Iterator[Finding]:
    for name in old.fields:
        later = _later_name(name, new)
        if later is not None and later not in _names(name, old):
            text = f"a rollback reads its default, while the value waits under {later}"
            yield Finding(Effect.LOSES_ON_ROLLBACK, name, text)


def _size(before: LockedSchema, after: LockedSchema, limit: int) -> Iterator[Finding]:
    if not limit:
        return
    fitted = before.largest_cookie is not None and before.largest_cookie <= limit
    if after.largest_cookie is None:
        text = f"the cookie has no bound: {', '.join(after.unbounded)}"
        yield Finding(Effect.OUTGROWS if fitted else Effect.KEEPS, "Set-Cookie", text)
    elif after.largest_cookie > limit:
        text = f"the cookie may take {after.largest_cookie} bytes, and browsers drop it past {limit}"
        accepted = before.largest_cookie is not None and before.largest_cookie >= after.largest_cookie
        yield Finding(Effect.KEEPS if accepted else Effect.OUTGROWS, "Set-Cookie", text)


@frozen
class _Read:
    """What one release makes of what another one wrote."""

    misfits: dict[str, str]
    """The fields with values that do not fit, and whether that is `all` or `some`."""
    unknown: frozenset[str]
    """The classes that found keys which they do not know."""


def _payloads(written: Declarations, read: Declarations) -> list[Plain]:
    """Return plain values as a release stores them: every sample of every field has its place, and one has none."""
    samples = {name: Samples(_WIRE, _read_as(name, read)).of(field.type) for name, field in written.fields.items()}
    made = {name: plain for name, plain in samples.items() if plain}
    count = max(map(len, made.values()), default=0)
    return [{}, *({name: plain[row % len(plain)] for name, plain in made.items()} for row in range(count))]


def _read(payloads: list[Plain], reader: Declarations) -> _Read:
    fits: set[str] = set()
    misfits: set[str] = set()
    reading = Reading(_WIRE)
    for plain in payloads:
        for name, field in reader.fields.items():
            for stored_as in _stored_as(name, field, plain):
                (fits if attempt(field.type.structure, plain[stored_as], reading) else misfits).add(name)
    shares = {name: "some" if name in fits else "all" for name in reader.fields if name in misfits}
    return _Read(shares, frozenset(reading.unknown))


def _unknown(read: _Read, writer: Declarations, reader: Declarations) -> list[str]:
    """Return the attributes that a reader's classes do not know, as `Item.colour`."""
    places: list[str] = []
    for owner in sorted(read.unknown):
        known = reader.classes[owner]
        names = {*known.types, *(former for formers in known.former_names.values() for former in formers)}
        written = writer.classes[owner].types.keys() if owner in writer.classes else ()
        places += [f"{owner}.{name}" for name in written if name not in names] or [f"what {owner} does not declare"]
    return places


def _stored_as(name: str, field: Declaration, plain: Plain) -> list[str]:
    """Return the key under which plain values have a field: the present name goes before earlier ones."""
    return [known for known in (name, *field.former_names) if known in plain][:1]


def _read_as(name: str, reader: Declarations) -> FieldType | None:
    """Return the type as which another release reads what is stored under a name."""
    later = _present_name(name, reader)
    return None if later is None else reader.fields[later].type


def _present_name(name: str, reader: Declarations) -> str | None:
    """Return the name of the field as which another release reads what is stored under a name."""
    return name if name in reader.fields else _later_name(name, reader)


def _names(name: str, declared: Declarations) -> set[str]:
    return {name, *declared.fields[name].former_names}


def _earlier_name(name: str, new: Declarations, old: Declarations) -> str | None:
    """Return what a field was called in the earlier release, if it was there."""
    return next((known for known in (name, *new.fields[name].former_names) if known in old.fields), None)


def _later_name(name: str, new: Declarations) -> str | None:
    """Return what a field is called now, if it was renamed."""
    return next((later for later, field in new.fields.items() if name in field.former_names), None)
