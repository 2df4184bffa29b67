"""`Model`: what a store may answer, told by dicts, for `store_machine`.

After a call that failed nobody knows whether it took place. So the model keeps *worlds*, each of them a state in which
the store may be; an answer leaves those that would have given it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from attrs import evolve, field, frozen

from typed_sessions.stores.base import (
    MOVES_KEPT,
    REVOCATIONS_KEPT,
    Conflict,
    Exists,
    Gone,
    Lifetime,
    Listed,
    Moved,
    Record,
    Revoked,
    WriteRequest,
)

__all__ = ["Model", "Step"]


@frozen
class Row:
    """A live record."""

    payload: bytes
    version: int | None
    """None if it was written by a call whose answer is not known: no caller can know it yet."""
    created: datetime
    last_seen: datetime
    expires_at: datetime
    issued: datetime
    subject: str | None
    device: str | None

    def shown_by(self, answer: object, now: datetime) -> bool:
        """Return True if that is what a store answers that has this record."""
        return isinstance(answer, Record) and answer == Record(
            self.payload,
            answer.version if self.version is None else self.version,
            self.created,
            self.last_seen,
            self.expires_at,
            as_of=now,
            issued=self.issued,
            subject=self.subject,
            device=self.device,
        )


@frozen
class Note:
    """Where a record has moved to from its key."""

    target: str
    moved_at: datetime


@frozen
class Outcome:
    """One of the things that a call may do."""

    fits: Callable[[object], bool]
    """Tells whether an answer is the one to be expected."""
    world: World
    key: str | None = None
    """The key of the record that the answer shows, if it shows one."""


Step: TypeAlias = Callable[["World"], Sequence[Outcome]]
"""What a call may do in a world. If there is more than one outcome, they differ in the answer alone."""


@frozen
class World:
    """A state in which the store may be, at one moment."""

    now: datetime
    rows: Mapping[str, Row] = field(factory=dict[str, Row])
    notes: Mapping[str, Note] = field(factory=dict[str, Note])
    """Under the keys that the records had. A record that is made there is in its place."""
    revocations: Mapping[str, datetime] = field(factory=dict[str, datetime])

    def at(self, now: datetime) -> World:
        """Return what time leaves."""
        return evolve(
            self,
            now=now,
            rows={key: row for key, row in self.rows.items() if row.expires_at > now},
            notes={key: note for key, note in self.notes.items() if note.moved_at + MOVES_KEPT > now},
        )

    def told(self, key: str | None, answer: object) -> World:
        """Return the world in which the version is known that an answer shows."""
        record = answer.present if isinstance(answer, Conflict) else answer
        if key is None or key not in self.rows or not isinstance(record, Record):
            return self
        return self._with(key, evolve(self.rows[key], version=record.version))

    def create(self, key: str, write: WriteRequest) -> list[Outcome]:
        if key in self.rows:
            return [_equals(Exists(), self)] + ([] if self._may_be_of(write) else [_equals(Revoked(), self)])
        if not self._may_be_of(write):
            return [_equals(Revoked(), self)]
        return self.written(key, write, created=self.now, issued=self.now)

    def load(self, key: str) -> list[Outcome]:
        row, note = self.rows.get(key), self.notes.get(key)
        if row is not None:
            return [Outcome(lambda answer: row.shown_by(answer, self.now), self, key)]
        return [_equals(None if note is None else Moved(note.target, note.moved_at, as_of=self.now), self)]

    def update(self, key: str, version: int, write: WriteRequest, move_to: str | None) -> list[Outcome]:
        row = self.rows.get(key)
        if row is None:
            return [_equals(Gone(), self)]
        is_refused = write.subject != row.subject and not self._may_be_of(write)
        refused = [_equals(Revoked(), self)] if is_refused else []
        if row.version != version:
            return [Outcome(lambda answer: self._conflicts(row, answer), self, key), *refused]
        if refused:
            return refused
        created = self.now if write.restart else row.created
        if move_to is None:
            return self.written(key, write, created=created, issued=row.issued)
        notes = {**self.notes, key: Note(move_to, self.now)}
        return evolve(self, notes=notes).written(move_to, write, created=created, issued=self.now, instead_of=key)

    def touch(self, key: str, lifetime: Lifetime) -> list[Outcome]:
        row = self.rows.get(key)
        if row is None:
            return [_equals(None, self)]
        touched = evolve(row, last_seen=self.now, expires_at=_expiry(row.created, self.now, lifetime))
        return self._shown(key, touched, key)

    def delete(self, key: str, version: int | None) -> list[Outcome]:
        row = self.rows.get(key)
        is_deleted = row is not None and version in {None, row.version}
        return [_equals(is_deleted, self.without({key}) if is_deleted else self)]

    def ids_of(self, subject: str) -> list[Outcome]:
        rows = {key: row for key, row in self.rows.items() if row.subject == subject}
        expected = {
            key: Listed(key, row.created, row.last_seen, row.expires_at, row.device) for key, row in rows.items()
        }

        def fits(answer: object) -> bool:
            assert isinstance(answer, Sequence)
            listed = [one for one in answer if isinstance(one, Listed)]
            times = [one.last_seen for one in listed]
            return {one.key: one for one in listed} == expected and times == sorted(times, reverse=True)

        return [Outcome(fits, self)]

    def delete_subject(self, subject: str, spare: str | None) -> list[Outcome]:
        ended = {key for key, row in self.rows.items() if row.subject == subject} - {spare}
        world = evolve(self.without(ended), revocations={**self.revocations, subject: self.now})
        return [_equals(self.now, world)]

    def delete_expired(self, limit: int) -> list[Outcome]:
        return [Outcome(lambda answer: isinstance(answer, int) and 0 <= answer <= limit, self)]

    def written(
        self, key: str, write: WriteRequest, *, created: datetime, issued: datetime, instead_of: str | None = None
    ) -> list[Outcome]:
        expires_at = _expiry(created, self.now, write.lifetime)
        row = Row(write.payload, None, created, self.now, expires_at, issued, write.subject, write.device)
        return self._shown(key, row, instead_of or key)

    def _shown(self, key: str, row: Row, instead_of: str) -> list[Outcome]:
        """Return what it does to write a record, which may be at its end already: then it need not be shown."""
        without = {place: other for place, other in self.rows.items() if place != instead_of}
        notes = {place: note for place, note in self.notes.items() if place != key}
        if row.expires_at > self.now:
            world = evolve(self, rows={**without, key: row}, notes=notes)
            return [Outcome(lambda answer: row.shown_by(answer, self.now), world, key)]
        world = evolve(self, rows=without, notes=notes)
        return [Outcome(lambda answer: row.shown_by(answer, self.now), world), _equals(None, world)]

    def _conflicts(self, row: Row, answer: object) -> bool:
        return isinstance(answer, Conflict) and row.shown_by(answer.present, self.now)

    def _may_be_of(self, write: WriteRequest) -> bool:
        if write.subject is None:
            return True
        if write.as_of is None or write.as_of < self.now - REVOCATIONS_KEPT:
            return False
        return write.as_of >= self.revocations.get(write.subject, write.as_of)

    def _with(self, key: str, row: Row) -> World:
        return evolve(self, rows={**self.rows, key: row})

    def without(self, keys: set[str]) -> World:
        """Return the world in which there is nothing under these keys."""
        rows = {key: row for key, row in self.rows.items() if key not in keys}
        return evolve(self, rows=rows, notes={key: note for key, note in self.notes.items() if key not in keys})


class Model:
    """All worlds that are possible after what has been answered."""

    def __init__(self, now: datetime) -> None:
        self.worlds: list[World] = [World(now)]

    def pass_time(self, now: datetime) -> None:
        """Go on to another moment."""
        self._leave([world.at(now) for world in self.worlds])

    def answered(self, step: Step, answer: object) -> None:
        """Leave the worlds in which a call gives this answer. There has to be one."""
        possible = [
            outcome.world.told(outcome.key, answer)
            for world in self.worlds
            for outcome in step(world)
            if outcome.fits(answer)
        ]
        assert possible, f"answered {answer!r}, which is right in none of {self.worlds!r}"
        self._leave(possible)

    def failed(self, step: Step, target: str | None = None) -> None:
        """Take into account that a call may have taken place, or not.

        Args:
            step: the call.
            target: the key of a record that may have been lost on its way to it, or have left there no room for a note.
        """
        done = [outcome.world for world in self.worlds for outcome in step(world)]
        lost = [] if target is None else [world.without({target}) for world in [*self.worlds, *done]]
        self._leave([*self.worlds, *done, *lost])

    def is_free(self, key: str) -> bool:
        """Return True if there cannot be a live record of that key."""
        return not any(key in world.rows for world in self.worlds)

    def _leave(self, worlds: list[World]) -> None:
        self.worlds = [world for place, world in enumerate(worlds) if world not in worlds[:place]]


def _equals(expected: object, world: World) -> Outcome:
    return Outcome(lambda answer: answer == expected, world)


def _expiry(created: datetime, last_seen: datetime, lifetime: Lifetime) -> datetime:
    ends = last_seen + lifetime.idle
    return ends if lifetime.absolute is None else min(ends, created + lifetime.absolute)
