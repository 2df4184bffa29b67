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
from msgspec import Struct, structs

from typed_sessions.schema.migrations import VERSION_KEY, MigrationFailure
from typed_sessions.schema.narrowing import is_dict, is_set
from typed_sessions.schema.sameness import parts_in_both
from typed_sessions.schema.types.base import NATIVE_CANDIDATES, FieldType, NaiveDatetime, NativeTypes, Reading, attempt
from typed_sessions.tools.lock.declarations import MISSING, Declarations, declarations_of
from typed_sessions.tools.lock.lock import LockedSchema
from typed_sessions.tools.lock.samples import Samples

__all__ = ["Effect", "Finding", "compare"]

Plain = dict[str, object]
Migrate = Callable[[Plain, int], Plain]
"""Brings plain values of a version to the version of the code."""

_NATIVE: Final[NativeTypes] = frozenset({*(type(value) for value in NATIVE_CANDIDATES), NaiveDatetime})
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
    only_signs: bool = False,
) -> list[Finding]:
    """Return what a deploy of `after` does to sessions of `before`, and what a rollback would lose; losses first.

    Args:
        before: what is locked.
        after: what the code says.
        migrate: runs the code's migrations.
        max_cookie_size: how large browsers let the whole `Set-Cookie` text be, in bytes.
        refuses_bad_fields: whether `SESSION_ON_BAD_FIELD` is `"session"`.
        only_signs: whether sessions are in cookies that are not encrypted.

    Raises:
        ConfigurationError: the lock cannot be read.
    """
    # What an alias stands for is not in a lock of an earlier release of this library; it is taken to be as it was.
    before = structs.replace(before, aliases=after.aliases | before.aliases)
    old, new = declarations_of(before), declarations_of(after)
    stored = _payloads(old, new)
    written, failures = _migrated(stored, migrate, before.version)
    taken_away = _taken_away(stored, written, old, new)
    found = [
        *_declared(old, new, taken_away),
        *_secrets(old, new, Effect.REFUSES if only_signs else Effect.KEEPS),
        *failures,
        *_read_by_deploy(written, old, new, Effect.REFUSES if refuses_bad_fields else Effect.RESETS),
        *taken_away.values(),
        *_read_as_another(written, old, new),
        *_read_by_rollback(_payloads(new, old), old, new),
        *_size(before, after, max_cookie_size),
    ]
    if after.version < before.version:
        text = f"sessions of version {before.version} are there, and the code leads to {after.version}"
        found.insert(0, Finding(Effect.LOSES_ON_ROLLBACK, VERSION_KEY, f"{text}: migrations are missing"))
    return sorted(found, key=lambda finding: not finding.effect.loses)


def _declared(old: Declarations, new: Declarations, taken_away: Collection[str]) -> Iterator[Finding]:
    """Find what is declared otherwise; by itself that loses nothing."""
    for name, field in new.fields.items():
        former = _first(new.names_of(name), old.fields)
        if former is None:
            yield Finding(Effect.KEEPS, name, "is new; visitors have its default")
            continue
        earlier = old.fields[former]
        if former != name:
            yield Finding(Effect.KEEPS, name, f"was called {former}, and is read under both names")
        if field.text != earlier.text:
            yield Finding(Effect.KEEPS, name, f"was {earlier.text}, and is {field.text}")
        if not field.has_default_of(earlier):
            text = f"had the default {earlier.default}, and has {field.default}, also for those who never set it"
            yield Finding(Effect.KEEPS, name, text)
    for name in old.fields:
        if new.reader_of(name) is None and name not in taken_away:
            text = "is gone; its values stay as undeclared keys, and come back with a rollback"
            yield Finding(Effect.KEEPS, name, text)


def _secrets(old: Declarations, new: Declarations, effect: Effect) -> Iterator[Finding]:
    """Find what has become a `Secret`, or is one no more."""
    for name, field in new.fields.items():
        former = _first(new.names_of(name), old.fields)
        was_secret = former is not None and old.fields[former].secret
        if field.secret and not was_secret:
            refused = "; the application does not start where cookies are only signed: --encryption on, or --store"
            yield Finding(effect, name, f"is a Secret now{refused if effect is Effect.REFUSES else ''}")
        elif was_secret and not field.secret:
            yield Finding(Effect.KEEPS, name, "is no Secret any more")


def _first(names: Collection[str], known: Collection[str]) -> str | None:
    return next((name for name in names if name in known), None)


def _payloads(writer: Declarations, reader: Declarations) -> list[Plain]:
    """Return plain values as a release stores them: every sample of every field has its place, and one has none."""
    made: dict[str, list[object]] = {}
    for name, field in writer.fields.items():
        later = reader.reader_of(name)
        plain = Samples(_NATIVE, None if later is None else reader.fields[later].type).of(field.type)
        made |= {name: plain} if plain else {}
    count = max(map(len, made.values()), default=0)
    return [{}, *({name: plain[row % len(plain)] for name, plain in made.items()} for row in range(count))]


def _migrated(payloads: list[Plain], migrate: Migrate, version: int) -> tuple[list[Plain], list[Finding]]:
    migrated: list[Plain] = []
    failures: dict[str, None] = {}
    for plain in payloads:
        try:
            migrated.append(migrate(deepcopy(plain), version))  # a step may change what it is given, at any depth
        except MigrationFailure as failure:
            failures[f"a migration fails on values of the locked types: {failure}"] = None
    return migrated, [Finding(Effect.REFUSES, VERSION_KEY, text) for text in failures]


def _taken_away(stored: list[Plain], written: list[Plain], old: Declarations, new: Declarations) -> dict[str, Finding]:
    text = "a migration takes it away, and a rollback reads its default"
    lost = set[str]().union(*stored) - set[str]().union(*written) if written else set[str]()
    gone = [name for name in old.fields if name not in new.fields and name in lost]
    return {name: Finding(Effect.LOSES_ON_ROLLBACK, name, text) for name in gone}


def _read_by_deploy(written: list[Plain], old: Declarations, new: Declarations, misfit: Effect) -> Iterator[Finding]:
    misfits, unknown = _misread(written, old, new)
    for name, share in misfits.items():
        field = new.fields[name]
        effect = Effect.REFUSES if field.essential else misfit
        yield Finding(effect, name, f"{share} stored values do not fit {field.text}")
    for place in unknown:
        yield Finding(Effect.DROPS, place, "is not declared any more; the next change of a session drops it")


def _read_by_rollback(written: list[Plain], old: Declarations, new: Declarations) -> Iterator[Finding]:
    misfits, unknown = _misread(written, new, old)
    for name, share in misfits.items():
        fate = "refuses the session over" if old.fields[name].essential else "resets"
        text = f"a rollback {fate} {share} values that the new release stores"
        yield Finding(Effect.LOSES_ON_ROLLBACK, name, text)
    for place in unknown:
        yield Finding(Effect.LOSES_ON_ROLLBACK, place, "a rollback drops it with the next change of a session")
    for name in old.fields:
        later = new.reader_of(name)
        if later not in (None, *old.names_of(name)):
            text = f"a rollback reads its default, while the value waits under {later}"
            yield Finding(Effect.LOSES_ON_ROLLBACK, name, text)


def _misread(payloads: list[Plain], writer: Declarations, reader: Declarations) -> tuple[dict[str, str], list[str]]:
    """Return what a reader makes of payloads.

    Returns:
        The fields with values that do not fit, with `all` or `some`, and the attributes, as `Item.colour`, that the
        reader's classes do not know.
    """
    outcomes: dict[str, set[bool]] = {name: set() for name in reader.fields}
    reading = Reading(_NATIVE)
    for plain in payloads:
        for name, field in reader.fields.items():
            key = _first(reader.names_of(name), plain)
            if key is not None:
                outcomes[name].add(bool(attempt(field.type.structure, plain[key], reading)))
    misfits = {name: "some" if True in fits else "all" for name, fits in outcomes.items() if False in fits}
    unknown: list[str] = []
    for owner in sorted(reading.unknown):
        known = {*reader.classes[owner].types}.union(*reader.classes[owner].former_names.values())
        written = writer.classes[owner].types if owner in writer.classes else ()
        unknown += [f"{owner}.{name}" for name in written if name not in known] or [f"what {owner} does not declare"]
    return misfits, unknown


def _read_as_another(written: list[Plain], old: Declarations, new: Declarations) -> Iterator[Finding]:
    """Find values that the later release takes for ones of another type: it reads them, and they are not the same."""
    for name, field in old.fields.items():
        later = new.reader_of(name)
        if later is None:
            continue
        present, keys = new.fields[later], new.names_of(later)
        plain = [values[key] for values in written if (key := _first(keys, values)) is not None]
        if any(_becomes_another(each, field.type, present.type) for each in plain):
            other = "with parts of another type" if present.text == field.text else f"as another type of {present.text}"
            yield Finding(Effect.CHANGES, later, f"stored values of {field.text} are read {other}")


def _becomes_another(plain: object, before: FieldType, after: FieldType) -> bool:
    as_before, as_after = (attempt(held.structure, plain, Reading(_NATIVE)) for held in (before, after))
    return not all(map(_are_alike, as_before, as_after))


def _are_alike(one: object, other: object) -> bool:
    """Return True if two readings of one plain value are of the same types, at every depth that both of them have."""
    if _kind(one) != _kind(other):
        return False
    if is_dict(one) and is_dict(other) and {*map(_kind, one)} != {*map(_kind, other)}:
        return False
    if is_set(one) and is_set(other):
        return len(one) == len(other) and all(any(_are_alike(item, its) for its in other) for item in one)
    one, other = (structs.asdict(held) if isinstance(held, Struct) else held for held in (one, other))
    return all(item is MISSING or its is MISSING or _are_alike(item, its) for _, item, its in parts_in_both(one, other))


def _kind(value: object) -> object:
    """Return a value's type, as far as it tells: an `int` that becomes a `float` stays equal.

    A class, or an enumeration, may have another name: what it holds, or its values, is the same.
    """
    alike = next((base for base in (int, float, Enum, Struct) if isinstance(value, base)), None)
    return int if alike is float else alike or type(value).__name__


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
