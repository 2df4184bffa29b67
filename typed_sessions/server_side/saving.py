"""`Saving`: one save of one session in the store."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeAlias

from attrs import define, evolve, frozen
from typing_extensions import TypeVar

from typed_sessions.codec import Codec
from typed_sessions.contents import Contents
from typed_sessions.engine import Format
from typed_sessions.errors import SerializationError, SessionConflictError, StoreUnavailableError
from typed_sessions.identifiers import Identifier
from typed_sessions.merging import MISSING, Rule, merged
from typed_sessions.payloads import Decoded
from typed_sessions.reports import ChangeLost, Refused
from typed_sessions.schema import Schema
from typed_sessions.sealing import sealed_at
from typed_sessions.server_side.arrival import News, StoredArrival
from typed_sessions.server_side.records import (
    Attempt,
    moved_key,
    moved_note,
    packed,
    read,
    taken_in_key,
    taken_in_note,
    was_written_by,
)
from typed_sessions.session import Intent, Opened, Origin, Renewal, SecureCookieSession
from typed_sessions.stores.base import Conflict, Exists, Gone, Lifetime, Record, Revoked, SessionStore, Written

__all__ = ["Saving", "subject_text"]

S = TypeVar("S", default=dict[str, object])

MOST_ATTEMPTS: Final = 1_000
"""How often a change is merged with those of others that were faster. The deadline is the nearer bound."""

_PAUSE: Final = 0.002
"""In seconds: after each attempt the next one waits up to so much longer, so that many writers get their turns."""

_LONGEST_PAUSE: Final = 0.05

_NO_COOKIE: Final = (
    "there is no response to carry the session's identifier; begin or renew the session in a request, before a "
    "websocket opens or a stream begins"
)
_GONE: Final = "the session was ended, or got another identifier, while this request was in flight"
_REVOKED: Final = "the sessions of its subject were ended while this request was in flight"


@frozen
class Emptied:
    """The record was deleted, for nothing is stored any more."""


Outcome: TypeAlias = Record | Emptied | Gone | Revoked


@define(eq=False, repr=False)
class _Change(Generic[S]):
    """What is to be written, and what it is compared with when others were faster."""

    before: Mapping[str, object]
    """What this request has loaded, or what was there when it merged last."""
    stored: Mapping[str, object]
    version: int
    replaces: bool
    """True if everything was taken out of what was loaded: nothing that others have put in is of it."""
    renewal: Renewal
    format: Format[S]
    as_it_was: Mapping[str, object] | None = None
    """What is stored, as it was before it was merged; None if it was not."""
    payload: bytes = b""


@frozen
class Saving(Generic[S]):
    """One save of one session."""

    store: SessionStore
    schema: Schema[S]
    lifetime: Lifetime
    session: SecureCookieSession[S]
    arrival: StoredArrival[S]
    answers: bool
    """Whether a response will carry a cookie."""

    async def run(self, wanted: bool | None) -> bool:  # noqa: FBT001 -- what should_set_cookie says
        """See `ServerSide.save`."""
        intent = self.session.take_intent()
        if not (intent.wants_writing or self.arrival.signed or wanted or self._is_due):
            self.session.give_back(intent)
            return True
        try:
            return await self._carry_out(self.session.open(), intent, wanted)
        except BaseException:
            self.session.give_back(intent)
            raise

    async def _carry_out(self, opened: Opened[S], intent: Intent, wanted: bool | None) -> bool:  # noqa: FBT001
        arrival = self.arrival
        if arrival.attempt is not None:
            opened = await self._settled(opened, arrival.attempt)
        if arrival.came_late:
            return self._lost(Gone())
        stores = len(opened.contents.keys()) > 0
        if intent.invalidated or (not stores and (intent.cleared or arrival.signed is not None)):
            await self._end()
        if not stores and arrival.record is None:
            self.session.rebase(Opened(opened.contents))
            return True
        is_change = (intent.modified and wanted is not False) or intent.renewal is not Renewal.NONE
        if is_change or wanted or arrival.signed is not None:
            return await self._write(opened, intent)
        await self._refresh()
        return True

    @property
    def _is_due(self) -> bool:
        policy, unseen_for = self.arrival.policy, self.arrival.unseen_for
        return unseen_for is not None and policy.refresh_each_request and unseen_for >= policy.refresh_after

    async def _refresh(self) -> None:
        identifier = self.arrival.identifier
        if identifier is None or not self._is_due:
            return
        seen = await self.store.touch(identifier.key, self.lifetime)
        if seen is not None:
            self.arrival.found(identifier, seen)
            if self.session.permanent_unaccessed:
                self.arrival.news = News.IDENTIFIER

    async def _end(self) -> None:
        """Make sure that what came with the request opens no session any more."""
        arrival, identifier = self.arrival, self.arrival.identifier
        is_gone = identifier is not None and not await self.store.delete(identifier.key)
        await self._bury_signed()
        arrival.identifier = arrival.record = None
        if arrival.sealed and not is_gone:  # otherwise a newer login may have replaced the cookie
            arrival.news = News.END

    async def _bury_signed(self) -> bool:
        """Refuse the signed cookie from now on, and return True if nobody was faster."""
        signed = self.arrival.signed
        if signed is None:
            return True
        made = sealed_at(signed) or datetime.now(UTC)
        remaining = max(made + self.lifetime.idle - self.arrival.policy.now(), timedelta())
        buried = await self.store.create(taken_in_key(signed), taken_in_note(remaining))
        self.arrival.signed = None
        return not isinstance(buried, Exists)

    async def _settled(self, opened: Opened[S], attempt: Attempt) -> Opened[S]:
        """Find out what became of a write that was not answered, and take it as loaded if it took place."""
        present = await self.store.load(attempt.identifier.key)
        self.arrival.attempt = None
        if present is None or not was_written_by(attempt, present.payload):
            return opened
        if self.arrival.record is None and isinstance(await self._taking_in(attempt.identifier, present), Gone):
            return opened
        if attempt.identifier != self.arrival.identifier:
            self.arrival.news = News.IDENTIFIER
        self.arrival.found(attempt.identifier, present)
        written = read(present.payload, self.arrival.policy)
        origin = opened.origin if isinstance(written, Refused) else written.origin
        return Opened(opened.contents, origin, opened.sealed, new=False)

    async def _write(self, opened: Opened[S], intent: Intent) -> bool:
        change = self._change(opened, intent)
        if not self.answers and not self._needs_no_response(change, intent):
            return not intent.modified
        record = self.arrival.record
        outcome = await (self._create(change) if record is None else self._update(change, record))
        match outcome:
            case Record():
                self._take_note(opened, change, outcome)
                return True
            case Emptied():
                self.arrival.identifier = self.arrival.record = None
                self.arrival.news = News.END
                self.session.rebase(Opened(opened.contents))
                return True
            case _:
                return self._lost(outcome)

    def _lost(self, outcome: Gone | Revoked) -> bool:
        self.arrival.report(ChangeLost(_GONE if isinstance(outcome, Gone) else _REVOKED))
        return False

    def _change(self, opened: Opened[S], intent: Intent) -> _Change[S]:
        origin, stored = opened.origin, opened.contents.stored()
        return _Change(
            before={} if origin is None else origin.stored,
            stored=stored,
            version=0 if origin is None else origin.version,
            replaces=intent.cleared,
            renewal=self._renewal(stored, intent),
            format=self.arrival.policy.writer,
        )

    def _renewal(self, stored: Mapping[str, object], intent: Intent) -> Renewal:
        """Return what is to become of the identifier. Another subject always gives a new one."""
        record = self.arrival.record
        if record is not None and intent.renewal is Renewal.NONE and self._subject_of(stored) != record.subject:
            return Renewal.PROMOTE
        return intent.renewal

    def _needs_no_response(self, change: _Change[S], intent: Intent) -> bool:
        """Return True if what is to be written needs no cookie to be told. Otherwise say so, if it is a change."""
        if self.arrival.record is not None and change.renewal is not Renewal.PROMOTE:
            if change.renewal is Renewal.REGENERATE:
                self.session.give_back(evolve(intent, assigned=None, cleared=False))  # until there is a response
                change.renewal = Renewal.NONE
            return True
        if intent.modified:
            self.session.give_back(intent)
            self.arrival.report(ChangeLost(_NO_COOKIE))
        return False

    async def _create(self, change: _Change[S]) -> Outcome:
        identifier = Identifier.new()
        created = await self.store.create(identifier.key, await self._written(change, identifier, None))
        self.arrival.attempt = None
        match created:
            case Exists():
                raise StoreUnavailableError("the session store has a record under an identifier made just now")
            case Revoked():
                return created
            case Record():
                return await self._taking_in(identifier, created)

    async def _taking_in(self, identifier: Identifier, created: Record) -> Outcome:
        """Return a record that was made of a signed cookie, unless another request was faster with that."""
        is_first = False
        try:
            is_first = await self._bury_signed()
        finally:
            if not is_first:
                with suppress(StoreUnavailableError):
                    await self.store.delete(identifier.key)
        if not is_first:
            self.arrival.came_late = True
            return Gone()
        self.arrival.found(identifier, created)
        self.arrival.news = News.IDENTIFIER
        return created

    async def _update(self, change: _Change[S], record: Record) -> Outcome:
        former = self.arrival.identifier or Identifier.new()
        identifier = former if change.renewal is Renewal.NONE else Identifier.new()
        for attempt in range(MOST_ATTEMPTS):
            outcome = await self._put(change, record, former, identifier)
            if isinstance(outcome, Conflict):
                record = outcome.present
                self._merge(change, record)
                pause = min(attempt * _PAUSE, _LONGEST_PAUSE)
                await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 -- only so that writers take turns
                continue
            if isinstance(outcome, Record):
                self.arrival.found(identifier, outcome)
                if identifier != former:
                    self.arrival.news = News.IDENTIFIER
                    with suppress(StoreUnavailableError):
                        await self.store.create(moved_key(former), moved_note())
            return outcome
        raise SessionConflictError("too many requests change this session at once")

    async def _put(
        self, change: _Change[S], record: Record, former: Identifier, identifier: Identifier
    ) -> Outcome | Conflict:
        if change.stored:
            move_to = None if identifier == former else identifier.key
            written = await self._written(change, identifier, record.subject)
            outcome = await self.store.update(former.key, record.version, written, move_to=move_to)
            self.arrival.attempt = None
            return outcome
        if await self.store.delete(former.key, version=record.version):
            return Emptied()
        present = await self.store.load(former.key)
        return Gone() if present is None else Conflict(present)

    def _merge(self, change: _Change[S], record: Record) -> None:
        theirs = read(record.payload, self.arrival.policy)
        if isinstance(theirs, Refused):
            raise SessionConflictError("another request has made of the session what this one cannot read")
        change.version = max(change.version, 0 if theirs.origin is None else theirs.origin.version)
        if change.replaces:
            return
        ours = self._read_back(change)
        present = theirs.contents.stored()
        codec = self.arrival.policy.writer.codec
        together = merged(
            change.before,
            ours,
            present,
            means_the_same=lambda key, one, other: _mean_the_same(codec, key, one, other),
            rules=self._rules,
            defaults=self._defaults,
            generated=frozenset(self.schema.varying),
        )
        change.as_it_was = ours if change.as_it_was is None else change.as_it_was
        change.before, change.stored = present, together

    def _read_back(self, change: _Change[S]) -> Mapping[str, object]:
        """Return copies of what was to be written: the live objects may change while the store is asked."""
        if not change.stored:
            return {}
        decoded = change.format.codec.decode(change.payload)
        return decoded.contents.stored() if isinstance(decoded, Decoded) else change.stored

    @property
    def _rules(self) -> Mapping[str, Rule]:
        return {name: field.merge for name, field in self.schema.fields.items() if field.merge is not None}

    @property
    def _defaults(self) -> Mapping[str, object]:
        if self.schema.keyed:
            return {}
        fresh = self.schema.create()  # a rule may change what it is given
        return {name: self.schema.read(fresh, name) for name in self.schema.fields}

    async def _written(self, change: _Change[S], identifier: Identifier, subject: str | None) -> Written:
        """Return what the store is to keep, proven to read back. `subject` is whose the record is now."""
        self._prove(change)
        whose = self._subject_of(change.stored)
        since = await self._known_since() if whose not in (None, subject) else None
        attempt = self.arrival.attempt = Attempt(identifier)
        return Written(
            packed(attempt, change.format, change.payload),
            self.lifetime,
            whose,
            since,
            restart=change.renewal is Renewal.PROMOTE,
        )

    def _prove(self, change: _Change[S]) -> None:
        """Make the payload."""
        origin = self.session.open().origin
        change.format, proven = self.arrival.policy.prove(change.stored, origin, change.version)
        change.payload = proven.payload
        self.arrival.altered.update(proven.altered)

    async def _known_since(self) -> datetime:
        """Return from which moment, by the store's clock, the request knows whose session it is, or an earlier one."""
        arrival = self.arrival
        if arrival.as_of is None:
            now = await self.store.now()
            arrival.as_of = now - timedelta(seconds=time.monotonic() - arrival.began)
        return arrival.as_of

    def _subject_of(self, stored: Mapping[str, object]) -> str | None:
        return None if self.schema.subject is None else subject_text(stored.get(self.schema.subject))

    def _take_note(self, opened: Opened[S], change: _Change[S], record: Record) -> None:
        """Take what was written as what was loaded, and show in the session what was merged into it."""
        if change.as_it_was is not None:
            _take_over(opened.contents, change.as_it_was, change.stored, change.format.codec)
        was_permanent = bool(opened.origin is not None and opened.origin.stored.get("_permanent"))
        origin = Origin(change.format.codec, change.payload, written_version=change.version)
        self.session.rebase(Opened(opened.contents, origin, opened.sealed, new=False))
        if was_permanent or self.session.permanent_unaccessed:
            self.arrival.news = News.IDENTIFIER
        self.arrival.record = record


def subject_text(subject: object) -> str | None:
    """Return what a store knows a subject by; None for nobody."""
    return None if subject is None else str(subject)


def _take_over(
    contents: Contents[S], ours: Mapping[str, object], together: Mapping[str, object], codec: Codec[S]
) -> None:
    """Bring into live contents what others have changed. What has changed here meanwhile stays, and is a change."""
    live = contents.stored()
    for key in {**together, **ours}:
        value, mine = together.get(key, MISSING), ours.get(key, MISSING)
        if _mean_the_same(codec, key, value, mine) or not _mean_the_same(codec, key, live.get(key, MISSING), mine):
            continue
        if value is MISSING:
            contents.remove(key)
        else:
            contents.store(key, value)


def _mean_the_same(codec: Codec[Any], key: str, one: object, other: object) -> bool:
    if one is MISSING or other is MISSING:
        return one is other
    with suppress(SerializationError):
        return codec.canonical({key: one}) == codec.canonical({key: other})
    return False
