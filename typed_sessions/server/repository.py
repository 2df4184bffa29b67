"""`Repository`: the sessions of one application in a store, which others may share."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from threading import Lock as Mutex
from typing import Any, Final

import msgspec
from attrs import Factory, field, frozen

from typed_sessions.core.rules import Rules
from typed_sessions.errors import ConfigurationError, FieldTypeError, SerializationError, SessionConflictError
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.values import Value
from typed_sessions.server.records import resealed
from typed_sessions.server.runtime import Lock, Runtime
from typed_sessions.stores.base import Exists, Found, Lifetime, Moved, PlacedStore, Record, SessionStore, WriteRequest
from typed_sessions.stores.identifiers import Identifier, Namespace

__all__ = ["Located", "Repository", "Turn", "named_subject", "subject_of"]

MOST_MOVES: Final = 20
"""How often a session that is to end is followed: nobody moves one so often in the meantime without meaning to."""

_LEEWAY: Final = timedelta(days=1)
"""How much longer than it would be valid a signed cookie is refused: clocks differ."""


class Located(Value):
    """A record, and where it is."""

    identifier: Identifier
    key: str
    """What the store knows it by, perhaps in an earlier namespace."""
    record: Record
    looked_at: float = msgspec.field(default_factory=time.monotonic)
    """When it was there, by this machine's clock."""

    @property
    def unseen_for(self) -> timedelta:
        """How long ago the record was counted as seen."""
        return self.record.as_of - self.record.last_seen + timedelta(seconds=time.monotonic() - self.looked_at)


class Turn(Value):
    """What the saves of one record have in common, in this process.

    Requests that change one session at once would all be refused but one, merge, and be refused again. One after the
    other, each of them merges once.
    """

    place: tuple[Hashable, str] | None
    """What the lock is good for, and the key of the record; None for a new record."""
    lock: Lock
    """Held by the one whose turn it is."""
    takers: int = 1
    """How many take it, or wait for it."""
    latest: Record | None = None
    """What the one before has written."""


@frozen(eq=False)
class Repository:
    """A store, and the namespaces in which an application has its sessions there."""

    store: SessionStore
    namespaces: tuple[Namespace, ...]
    """The present one first. What is found in an earlier one moves with its next write."""
    lifetime: Lifetime
    not_before: int | None = None
    """What was issued before has ended. In seconds since the epoch."""
    _placed: PlacedStore | None = field(
        default=Factory(lambda self: self.store if isinstance(self.store, PlacedStore) else None, takes_self=True),
        init=False,
        repr=False,
    )
    """The store, if it has places: found out once, for that takes its time."""
    _turns: dict[tuple[Hashable, str], Turn] = field(factory=dict[tuple[Hashable, str], Turn], repr=False)
    """Those that somebody takes, or waits for."""
    _looking: Mutex = field(factory=Mutex, repr=False)

    def key_of(self, identifier: Identifier, subject: str | None = None) -> str:
        """Return the key that a session of a subject, perhaps in an earlier namespace, has with its next write."""
        present = self.namespaces[0]
        if subject is None or len(self.namespaces) == 1:
            return present.key_of(identifier)
        name = subject.partition(":")[0]
        return next((each for each in self.namespaces if each.name == name), present).key_of(identifier)

    def keys_of(self, identifier: Identifier) -> Iterator[str]:
        """Return all keys that a session may have, the present one first."""
        return (namespace.key_of(identifier) for namespace in self.namespaces)

    def subjects_of(self, subject: str | None) -> list[str | None]:
        """Return what the store knows a subject by, in each namespace."""
        return [None if subject is None else namespace.subject(subject) for namespace in self.namespaces]

    def new_identifier(self, subject: str | None) -> Identifier:
        """Return one for a session of what the store knows a subject by, or of nobody's."""
        if subject is not None and self._placed is not None:
            return Identifier.new(self._placed.place_of(subject))
        return Identifier.new()

    def is_misplaced(self, located: Located | None) -> bool:
        """Return True if a session needs another identifier to come from an earlier namespace to the present one.

        In a store that keeps the records of a subject together, a subject has another place in each namespace.
        """
        if located is None or self._placed is None:
            return False
        subject = self.subjects_of(_owner_of(located.record))[0]
        return subject is not None and self._placed.place_of(subject) != located.identifier.place

    def take_turn(self, key: str | None, runtime: Runtime) -> Turn:
        """Return the turn of a record, for what a lock of this runtime is good for; that of a new record is its own.

        `leave_turn` is due for it.
        """
        if key is None:
            return Turn(None, runtime.lock())
        place = runtime.scope(), key
        with self._looking:
            turn = self._turns.get(place)
            if turn is None:
                turn = self._turns[place] = Turn(place, runtime.lock())
            else:
                turn.takers += 1
            return turn

    def is_over(self, found: object) -> bool:
        """Return True if what was found is a record that has ended, although the store has it still."""
        return self.not_before is not None and isinstance(found, Record) and found.issued.timestamp() < self.not_before

    def leave_turn(self, turn: Turn) -> None:
        """Take note that somebody does not take a turn any more."""
        with self._looking:
            turn.takers -= 1
            if not turn.takers and turn.place is not None:
                del self._turns[turn.place]

    async def load(self, key: str, identifier: Identifier) -> tuple[str, Found]:
        """Return what is under one of the keys of a session; or under another one, if it has just moved there."""
        found = await self.store.load(key)
        if isinstance(found, Moved) and found.target in self.keys_of(identifier):
            return found.target, await self.store.load(found.target)
        return key, found

    async def touch(self, located: Located, as_of: datetime | None, rules: Rules[Any]) -> Located | None:
        """Count a session as seen, and return its record; None if it has ended or changed.

        It moves to its present key, unless that takes another identifier, and is encrypted under the present one.
        """
        key, record, present = located.key, located.record, self.key_of(located.identifier)
        if self.is_misplaced(located):
            present = key
        payload, is_moved = resealed(record.payload, key, rules, move_to=present), key != present
        if payload is record.payload and not is_moved:
            seen: object = await self.store.touch(key, self.lifetime)
        else:
            subject = self.subjects_of(_owner_of(record))[0]
            write = WriteRequest(payload, self.lifetime, subject, as_of, device=record.device)
            seen = await self.store.update(key, record.version, write, move_to=present if is_moved else None)
        return Located(located.identifier, present, seen) if isinstance(seen, Record) else None

    async def end(self, key: str, loaded: Record | None = None) -> bool:
        """End the session of a key, wherever it has moved, and return True if it was there.

        If it has become somebody else's since it was loaded, it is another session.
        """
        for _ in range(MOST_MOVES):
            if await self.store.delete(key):
                return True
            found = await self.store.load(key)
            if not isinstance(found, Moved):
                return False
            key = found.target
            present = None if loaded is None else await self.store.load(key)
            if loaded is not None and isinstance(present, Record) and _owner_of(present) != _owner_of(loaded):
                return False
        raise SessionConflictError("the session that is to end moves on and on")

    def tombstone(self, signed: str, rules: Rules[Any], became: str = "") -> tuple[str, WriteRequest]:
        """Return the record, and its key, that refuses a signed cookie as long as it is valid.

        It has the key of the session that the cookie `became`.
        """
        now = rules.now()
        until = (rules.sealed_at(signed) or now) + self.lifetime.idle
        if rules.succession is not None:
            until = max(until, rules.succession.until)
        return self.tombstone_keys(signed)[0], self._note(until - now, became)

    def tombstone_keys(self, signed: str) -> list[str]:
        """Return the keys that the tombstone of a signed cookie may have.

        They are made of what is signed. The signature has several spellings in base64, each of which verifies.
        """
        return self._keys_of_note("taken in", signed.rpartition(".")[0])

    async def refuse_signed(self, subject: str, remaining: timedelta) -> None:
        """Keep the signed cookies of a subject that were made until now from being adopted, for so long."""
        key, note = self._keys_of_note("revoked", subject)[0], self._note(remaining)
        if isinstance(await self.store.create(key, note), Exists):
            await self.store.touch(key, note.lifetime)

    async def refuses_signed(self, subject: str, made: datetime) -> bool:
        """Return True if a note says so of a signed cookie: it counts for those that were made until it was seen."""
        return any(note.last_seen >= made for note in await self.found(self._keys_of_note("revoked", subject)))

    async def found(self, keys: Iterable[str]) -> list[Record]:
        """Return the records of keys."""
        return [found for key in keys if isinstance(found := await self.store.load(key), Record)]

    def _keys_of_note(self, kind: str, of: str) -> list[str]:
        return [namespace.key_of_note(kind, of) for namespace in self.namespaces]

    def _note(self, remaining: timedelta, payload: str = "") -> WriteRequest:
        return WriteRequest(payload.encode(), Lifetime(max(remaining, timedelta()) + _LEEWAY))


def _owner_of(record: Record) -> str | None:
    """Return whose record it is, in whatever namespace."""
    return None if record.subject is None else record.subject.partition(":")[2]


def subject_of(schema: Schema[Any], stored: Mapping[str, object]) -> str | None:
    """Return the subject of what is stored, as it reads back; None if it is nobody's.

    Raises:
        SerializationError: the field does not fit its type, or is a text that no store can look up.
    """
    name = schema.subject
    if name is None or stored.get(name) is None:
        return None
    try:
        return str(schema.validate(name, stored[name]))
    except FieldTypeError as error:
        raise SerializationError(f"session field {name} cannot say whose session it is: {error}") from None


def named_subject(schema: Schema[Any], subject: object) -> str:
    """Return a subject that a program names.

    Raises:
        ConfigurationError: the schema marks no field as the Subject, or the subject is None.
        FieldTypeError: it is no subject.
    """
    name = schema.subject
    if name is None:
        raise ConfigurationError(
            f"{schema.name} does not say whose session it is; mark a field: "
            f"user_id: Annotated[int | None, Subject] = None"
        )
    if subject is None:
        raise ConfigurationError("None is nobody, and the sessions of nobody can be neither listed nor ended")
    return str(schema.validate(name, subject))
