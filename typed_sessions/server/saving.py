"""`Saving`: one save of one session in the store."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeAlias

from attrs import define, evolve, frozen
from typing_extensions import TypeVar

from typed_sessions.codec.codec import Codec, Proven
from typed_sessions.codec.contents import Contents, contents_of
from typed_sessions.codec.payloads import Decoded
from typed_sessions.codec.snapshot import Origin
from typed_sessions.core.engine import Format
from typed_sessions.core.session import SecureCookieSession, is_permanent, state_of
from typed_sessions.core.state import SUPPRESSED, Intent, Opened, Renewal, SessionState
from typed_sessions.errors import SerializationError, SessionConflictError, StoreUnavailableError
from typed_sessions.reports import ChangeLost, Refused
from typed_sessions.schema.merging import MISSING, Rule, merged
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.server.arrival import News, StoredArrival
from typed_sessions.server.records import Attempt, note, packed, read, taken_in_key, was_written_by
from typed_sessions.server.subjects import subject_of
from typed_sessions.server.turns import Turn, Turns
from typed_sessions.stores.base import (
    Conflict,
    Exists,
    Found,
    Gone,
    Lifetime,
    Moved,
    PlacedStore,
    Record,
    Revoked,
    SessionStore,
    WriteRequest,
)
from typed_sessions.stores.identifiers import Identifier, Namespace

__all__ = ["Saving"]

S = TypeVar("S", default=dict[str, object])

MOST_ATTEMPTS: Final = 1_000
"""How often a change is merged with those of others that were faster. The deadline is the nearer bound."""

MOST_MOVES: Final = 20
"""How often a session that is to end is followed: nobody moves one so often in the meantime without meaning to."""

_PAUSE: Final = 0.002
"""In seconds: after each attempt the next one waits up to so much longer, so that many writers get their turns."""

_LONGEST_PAUSE: Final = 0.05

_NO_COOKIE: Final = (
    "there is no response to carry the session's identifier; begin or renew the session in a request, before a "
    "websocket opens or a stream begins"
)
_LATE: Final = "its session had got another identifier just before it came"
_GONE: Final = "the session was ended, or got another identifier, while this request was in flight"
_UNREADABLE: Final = "another request has made of the session what this one cannot read"
_REVOKED: Final = "the sessions of its subject were ended while this request was in flight"


@frozen
class Emptied:
    """The record was deleted, for nothing is stored any more."""


Outcome: TypeAlias = Record | Emptied | Gone | Revoked


@define(eq=False, repr=False)
class _Change(Generic[S]):
    """What is to be written, and what it is compared with when others were faster."""

    origin: Origin[S] | None
    """What this request has loaded, or what was there when it merged last; None if there was nothing."""
    contents: Contents[S] | None
    """The live ones, or others once they were merged; None if the class refuses those."""
    stored: Mapping[str, object]
    """What is in them."""
    version: int
    replaces: bool
    """True if everything was taken out of what was loaded: nothing that others have put in is of it."""
    renewal: Renewal
    logs_in: bool
    """True if the session becomes somebody's."""
    format: Format[S]
    as_it_was: Mapping[str, object] | None = None
    """What is stored, as it was before it was merged; None if it was not."""
    payload: bytes = b""
    """Proven to read back; empty while nobody knows."""


@frozen
class Saving(Generic[S]):
    """One save of one session."""

    store: SessionStore
    schema: Schema[S]
    namespaces: tuple[Namespace, ...]
    """The present one first."""
    lifetime: Lifetime
    session: SecureCookieSession[S]
    arrival: StoredArrival[S]
    answers: bool
    """Whether a response will carry a cookie."""
    verifies: bool
    """Whether to find out, although nothing is to be written, whether what is in the session is kept."""

    @property
    def _state(self) -> SessionState[S]:
        return state_of(self.session)

    async def run(self, wanted: bool | None, turns: Turns) -> bool:  # noqa: FBT001 -- what should_set_cookie says
        """See `ServerSide.save`."""
        arrival, intent = self.arrival, self._state.take_intent()
        if not (intent.wants_writing or arrival.signed or wanted or self._is_due):
            self._state.give_back(intent)
            return await self._is_kept()
        try:
            opened = self._state.open()
            runtime = arrival.deadline.runtime
            turn = Turn(runtime.lock()) if arrival.key is None else turns.of(arrival.key, runtime)
            async with arrival.deadline.holding(turn.lock), arrival.deadline.spent():
                return await self._carry_out(opened, intent, wanted, turn)
        except BaseException:
            self._state.give_back(intent)
            raise

    async def _carry_out(self, opened: Opened[S], intent: Intent, wanted: bool | None, turn: Turn) -> bool:  # noqa: FBT001
        arrival = self.arrival
        if arrival.attempt is not None:
            opened = await self._settled(opened, arrival.attempt)
        if arrival.has_ended and not (intent.invalidated or intent.cleared or self._logs_in(opened, intent)):
            return self._lost(_GONE) if intent.wants_writing or self.verifies else True
        stores = len(opened.contents.keys()) > 0
        is_emptied = not stores and (intent.cleared or arrival.signed is not None)
        if intent.invalidated or is_emptied or (intent.cleared and arrival.record is None):
            await self._end()
        elif intent.cleared:
            await self._end_others()
        elif arrival.came_late and not self._logs_in(opened, intent):
            return self._lost(_LATE) if intent.wants_writing else True
        if intent.renewal is not Renewal.NONE or intent.cleared:
            await self._end_unreadable()
        if not stores and arrival.record is None:
            self._state.rebase(Opened(opened.contents))
            return True
        is_change = (intent.modified and wanted is not False) or intent.renewal is not Renewal.NONE
        if is_change or wanted or arrival.signed is not None:
            return await self._write(opened, intent, turn)
        await self._refresh()
        return await self._is_kept()

    def _logs_in(self, opened: Opened[S], intent: Intent) -> bool:
        """Return True if the session has become somebody's: that counts, whatever the browser did not know yet."""
        if intent.renewal is Renewal.PROMOTE:
            return True
        subject = self.schema.subject
        if subject is None or opened.contents.get(subject) is None:
            return False
        return opened.origin is None or opened.origin.stored.get(subject) != opened.contents.get(subject)

    @property
    def _is_due(self) -> bool:
        policy, unseen_for = self.arrival.policy, self.arrival.unseen_for
        return unseen_for is not None and policy.refresh_each_request and unseen_for >= policy.refresh_after

    async def _refresh(self) -> None:
        identifier, key, record = self.arrival.identifier, self.arrival.key, self.arrival.record
        if identifier is None or key is None or record is None or not self._is_due:
            return
        present = self.namespaces[0].key_of(identifier)
        seen = (
            await self.store.touch(key, self.lifetime) if key == present else await self._brought(record, key, present)
        )
        if isinstance(seen, Record):
            self.arrival.found(identifier, present, seen)
            if is_permanent(self.session):
                self.arrival.news = News.IDENTIFIER

    async def _brought(self, record: Record, key: str, present: str) -> object:
        """Bring a record as it is into the present namespace."""
        owner = _owner(record)
        subject = None if owner is None else self.namespaces[0].subject(owner)
        written = WriteRequest(record.payload, self.lifetime, subject, self.arrival.as_of, device=record.device)
        return await self.store.update(key, record.version, written, move_to=present)

    async def _end(self) -> None:
        """Make sure that what came with the request opens no session any more."""
        arrival = self.arrival
        led_somewhere = arrival.key is not None or len(arrival.others) > 0
        has_ended = arrival.key is not None and await self._have_ended(arrival.key)
        has_ended = await self._end_others() or has_ended
        if arrival.signed is not None:
            await self._bury_signed("")
        arrival.forget()
        arrival.came_late = arrival.has_ended = False
        if arrival.sealed and (has_ended or not led_somewhere):  # otherwise a newer login may have replaced the cookie
            arrival.news = News.END

    async def _end_others(self) -> bool:
        """Do the same for what else came, and return True if any of it was there."""
        arrival = self.arrival
        others, arrival.others = arrival.others - {arrival.key}, set()
        have_ended = [await self._have_ended(key) for key in others]
        genuine = filter(arrival.policy.is_genuine, set(arrival.signed_texts) - {arrival.signed})
        for key, written in [self._burial(text, "") for text in genuine]:
            await self.store.create(key, written)
        arrival.signed_texts = ()
        return any(have_ended)

    async def _have_ended(self, key: str) -> bool:
        """End the session of a key, wherever it has moved, and return True if it was there.

        The one that this request has loaded may have become somebody else's since: then it is another session.
        """
        loaded = self.arrival.record if key == self.arrival.key else None
        for _ in range(MOST_MOVES):
            if await self.store.delete(key):
                return True
            found = await self.store.load(key)
            if not isinstance(found, Moved):
                return False
            key = found.target
            present = None if loaded is None else await self.store.load(key)
            if loaded is not None and isinstance(present, Record) and _owner(present) != _owner(loaded):
                return False
        raise SessionConflictError("the session that is to end moves on and on")

    async def _end_unreadable(self) -> None:
        """End what this release cannot read: the session becomes another one, and no release is to open that again."""
        unreadable, self.arrival.unreadable = self.arrival.unreadable, None
        if unreadable is not None and await self._have_ended(unreadable):
            self.arrival.news = News.END

    async def _bury_signed(self, key: str) -> bool:
        """Refuse the signed cookie from now on, for what became of it, and return True if nobody was faster."""
        signed, self.arrival.signed = self.arrival.signed, None
        if signed is None:
            return True
        burial = self._burial(signed, key)
        del signed  # debugging pages show locals
        return not isinstance(await self.store.create(*burial), Exists)

    def _burial(self, text: str, key: str) -> tuple[str, WriteRequest]:
        """Return the note that a signed cookie became the session of a key, or none, and the key of the note."""
        made = self.arrival.policy.sealed_at(text) or datetime.now(UTC)
        remaining = made + self.lifetime.idle - self.arrival.policy.now()
        return taken_in_key(self.namespaces[0], text), note(remaining, key)

    async def _settled(self, opened: Opened[S], attempt: Attempt) -> Opened[S]:
        """Find out what became of a write that was not answered, and take it as loaded if it took place."""
        key = self.namespaces[0].key_of(attempt.identifier)
        present = await self.store.load(key)
        self.arrival.attempt = None
        if not isinstance(present, Record) or not was_written_by(attempt, present.payload):
            return opened
        if self.arrival.record is None and isinstance(await self._taking_in(attempt.identifier, present), Gone):
            return opened
        if attempt.identifier != self.arrival.identifier:
            self.arrival.news = News.IDENTIFIER
        self.arrival.found(attempt.identifier, key, present)
        written = read(present.payload, self.arrival.policy)
        origin = opened.origin if isinstance(written, Refused) else written.origin
        return Opened(opened.contents, origin, opened.sealed, new=False)

    async def _write(self, opened: Opened[S], intent: Intent, turn: Turn) -> bool:
        change = self._change(opened, intent)
        if not self.answers and not self._needs_no_response(change, intent):
            if intent.cleared and self.arrival.record is not None:
                await self._end()  # a logout is one, although what was stored since is lost
            return not (intent.modified or intent.renewal is Renewal.PROMOTE)
        record = self.arrival.record
        if change.renewal is not Renewal.NONE:
            await self._end_unreadable()
        outcome = await (self._create(change) if record is None else self._update(change, record, turn))
        match outcome:
            case Record():
                self._take_note(opened, change, outcome)
                return True
            case Emptied():
                self.arrival.forget()
                self.arrival.news = News.END
                self._state.rebase(Opened(opened.contents))
                return True
            case _:
                self.arrival.has_ended = isinstance(outcome, Gone) and record is not None
                return self._lost(_GONE if isinstance(outcome, Gone) else _REVOKED)

    async def _is_kept(self) -> bool:
        """Return True if the store has what is in the session, or nobody asks. Otherwise say that it is lost."""
        if not self.verifies:
            return True
        async with self.arrival.deadline.spent():
            is_there = await self._present()
        if not is_there:
            return self._lost(_GONE)
        if self._state.compared()[0]:
            self._state.report_loss(SUPPRESSED)
            return False
        return True

    async def _present(self) -> Record | bool:
        """Return the present record; True if there never was one; False if it has ended, or has got another key."""
        arrival = self.arrival
        if arrival.record is None or arrival.has_ended:
            return not arrival.has_ended
        found = await self._moved_on()
        if isinstance(found, Record):
            return found
        arrival.has_ended = True
        return False

    async def reload(self) -> bool:
        """See `ServerSide.reload`."""
        arrival, opened = self.arrival, self._state.open()
        if arrival.attempt is not None:
            opened = self._state.opened = await self._settled(opened, arrival.attempt)
        arrival.has_ended = arrival.has_ended or arrival.came_late
        present = await self._present()
        if not isinstance(present, Record) or arrival.record is None:
            return present is True
        if present.version != arrival.record.version and not self._state.cleared:
            self._bring(opened, present)
        arrival.record, arrival.looked_at = present, time.monotonic()
        return True

    def _bring(self, opened: Opened[S], record: Record) -> None:
        """Merge unsaved changes into what is there now, and show it in the session, or change nothing."""
        # Twice: what was read is in the session then, where it may change, and changes are told by what was read.
        theirs, unchanged = [read(record.payload, self.arrival.policy) for _ in range(2)]
        if isinstance(theirs, Refused) or isinstance(unchanged, Refused):
            raise SessionConflictError(_UNREADABLE)
        ours = opened.contents.stored()
        together = self._merged(opened.origin, ours, theirs.contents.stored())
        try:
            merged_contents = contents_of(self.schema, together)
        except Exception as error:  # a converter or validator of the user's may raise anything
            raise SessionConflictError("the class refuses what two requests have made of the session") from error
        _take_over(opened.contents, ours, merged_contents, self.arrival.policy.writer.codec)
        self._state.opened = Opened(opened.contents, unchanged.origin, opened.sealed, new=False)
        for report in theirs.reports:
            self._state.source.report(report)

    def _merged(
        self, origin: Origin[S] | None, ours: Mapping[str, object], theirs: Mapping[str, object]
    ) -> dict[str, object]:
        """Return what is stored after a change here and one there. Raises SessionConflictError."""
        return merged(
            {} if origin is None else origin.stored,
            ours,
            theirs,
            means_the_same=_Meanings(self.arrival.policy.writer.codec).are_the_same,
            rules=self._rules,
            defaults=self._defaults,
            generated=frozenset(self.schema.varying),
        )

    def _lost(self, reason: str) -> bool:
        self._state.report_loss(ChangeLost(reason))
        return False

    def _change(self, opened: Opened[S], intent: Intent) -> _Change[S]:
        origin, stored, record = opened.origin, opened.contents.stored(), self.arrival.record
        change = _Change(
            origin=origin,
            contents=opened.contents,
            stored=stored,
            version=0 if origin is None else origin.version,
            replaces=intent.cleared,
            renewal=intent.renewal,
            logs_in=self._logs_in(opened, intent),
            format=self.arrival.policy.writer,
        )
        if stored:
            self._prove(change)
        former = None if record is None else record.subject
        if former not in self._subjects_of(stored):
            change.renewal = Renewal.PROMOTE  # another subject always gets another identifier
        return change

    def _needs_no_response(self, change: _Change[S], intent: Intent) -> bool:
        """Return True if what is to be written needs no cookie to be told. Otherwise say so, if it is a change."""
        if self.arrival.record is not None and change.renewal is not Renewal.PROMOTE:
            if change.renewal is Renewal.REGENERATE:
                self._state.give_back(evolve(intent, assigned=None, cleared=False))  # until there is a response
                change.renewal = Renewal.NONE
            return True
        if intent.modified or intent.renewal is Renewal.PROMOTE:
            self._state.give_back(intent)
            self._lost(_NO_COOKIE)
        return False

    async def _create(self, change: _Change[S]) -> Outcome:
        written, identifier = await self._written(change, None)
        created = await self.store.create(self._key_of(identifier), written)
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
        is_first, key = False, self._key_of(identifier)
        try:
            is_first = await self._bury_signed(key)
        finally:
            if not is_first:
                with suppress(StoreUnavailableError):
                    await self.store.delete(key)
        if not is_first:
            self.arrival.came_late = True
            return Gone()
        self.arrival.found(identifier, key, created)
        self.arrival.news = News.IDENTIFIER
        return created

    async def _update(self, change: _Change[S], record: Record, turn: Turn) -> Outcome:
        latest = turn.latest
        if latest is not None and latest.version != record.version and latest.as_of >= record.as_of:
            record = latest  # if it is older, another process has written since, and this request knows of that
            self._merge(change, record)
        for attempt in range(MOST_ATTEMPTS):
            outcome = await self._put(change, record)
            if isinstance(outcome, Gone):
                present = await self._moved_on()
                if isinstance(present, Moved) and change.logs_in and change.stored:
                    self.arrival.forget()
                    self.arrival.has_ended = False
                    return await self._create(change)
            elif isinstance(outcome, Conflict):
                present = outcome.present
            else:
                turn.latest = outcome if isinstance(outcome, Record) and change.renewal is Renewal.NONE else None
                return outcome
            if not isinstance(present, Record):
                return Gone()
            record = present
            start = time.monotonic()
            self._merge(change, record)
            pause = max(min(attempt * _PAUSE, _LONGEST_PAUSE), time.monotonic() - start)
            pause = random.uniform(0, pause)  # noqa: S311 -- only so that others take turns
            await self.arrival.deadline.runtime.sleep(pause)
        raise SessionConflictError("too many requests change this session at once")

    async def _moved_on(self) -> Found:
        """Return what is there of a record that is gone from its key: itself, if it is in another namespace by now.

        That is the present one, or one of a key that only other instances write with yet.
        """
        arrival = self.arrival
        if arrival.identifier is None or arrival.key is None:
            return None
        found = await self.store.load(arrival.key)
        keys = [namespace.key_of(arrival.identifier) for namespace in self.namespaces]
        if isinstance(found, Moved) and found.target in keys:
            arrival.key = found.target
            return await self.store.load(found.target)
        return found

    async def _put(self, change: _Change[S], record: Record) -> Outcome | Conflict:
        key = self.arrival.key or ""
        if change.stored:
            written, identifier = await self._written(change, record)
            target = self._key_of(identifier)
            outcome = await self.store.update(key, record.version, written, move_to=None if target == key else target)
            self.arrival.attempt = None
            if isinstance(outcome, Record):
                if identifier != self.arrival.identifier:
                    self.arrival.news = News.IDENTIFIER
                self.arrival.found(identifier, target, outcome)
            return outcome
        if await self.store.delete(key, version=record.version):
            return Emptied()
        present = await self.store.load(key)
        return Conflict(present) if isinstance(present, Record) else Gone()

    def _merge(self, change: _Change[S], record: Record) -> None:
        theirs = read(record.payload, self.arrival.policy)
        if isinstance(theirs, Refused):
            if change.replaces:
                return
            raise SessionConflictError(_UNREADABLE)
        change.version = max(change.version, 0 if theirs.origin is None else theirs.origin.version)
        if change.replaces:
            return
        ours = self._read_back(change)
        together = self._merged(change.origin, ours, theirs.contents.stored())
        change.as_it_was = ours if change.as_it_was is None else change.as_it_was
        change.origin, change.stored, change.payload = theirs.origin, together, b""
        try:
            change.contents = contents_of(self.schema, together)
        except Exception:  # noqa: BLE001 -- a converter or validator of the user's may raise anything
            change.contents = None

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

    async def _written(self, change: _Change[S], record: Record | None) -> tuple[WriteRequest, Identifier]:
        """Return what the store is to keep, proven to read back, and its identifier. `record` is what is there now."""
        if not change.payload:
            self._prove(change)
        subject, *_ = self._subjects_of(change.stored)
        identifier = self.arrival.identifier
        if identifier is None or record is None or change.renewal is not Renewal.NONE:
            identifier = self._new_identifier(subject)
        was_subject = None if record is None else record.subject
        since = await self._known_since() if subject not in (None, was_subject) else None
        attempt = self.arrival.attempt = Attempt(identifier, int(self.arrival.policy.clock()))
        written = WriteRequest(
            packed(attempt, change.format, change.payload),
            self.lifetime,
            subject,
            since,
            restart=change.renewal is Renewal.PROMOTE,
            device=None if record is None else record.device,
        )
        return written, identifier

    def _new_identifier(self, subject: str | None) -> Identifier:
        if subject is not None and isinstance(self.store, PlacedStore):
            return Identifier.new(self.store.place_of(subject))
        return Identifier.new()

    def _prove(self, change: _Change[S]) -> None:
        """Make the payload."""
        policy = self.arrival.policy
        try:
            change.format, proven = policy.writer, self._proven(change)
        except SerializationError:
            change.format, proven = policy.prove(change.stored, change.origin, change.version)
        change.payload = proven.payload
        self.arrival.altered.update(proven.altered)

    def _proven(self, change: _Change[S]) -> Proven:
        codec = self.arrival.policy.writer.codec
        if change.contents is None:
            return codec.prove(change.stored, change.version)
        draft = codec.draft(change.contents, change.version)
        return Proven(draft.payload, codec.prove_draft(draft))

    async def _known_since(self) -> datetime:
        """Return from which moment, by the store's clock, the request knows whose session it is, or an earlier one."""
        arrival = self.arrival
        if arrival.as_of is None:
            now = await self.store.now()
            arrival.as_of = now - timedelta(seconds=time.monotonic() - arrival.began)
        return arrival.as_of

    def _key_of(self, identifier: Identifier) -> str:
        return self.namespaces[0].key_of(identifier)

    def _subjects_of(self, stored: Mapping[str, object]) -> list[str | None]:
        """Return whose session it is, as each namespace has it, the present one first."""
        subject = subject_of(self.schema, stored)
        return [None if subject is None else namespace.subject(subject) for namespace in self.namespaces]

    def _take_note(self, opened: Opened[S], change: _Change[S], record: Record) -> None:
        """Take what was written as what was loaded, and show in the session what was merged into it."""
        if change.as_it_was is not None and change.contents is not None:
            _take_over(opened.contents, change.as_it_was, change.contents, change.format.codec)
        was_permanent = bool(opened.origin is not None and opened.origin.stored.get("_permanent"))
        origin = Origin(change.format.codec, change.payload, written_version=change.version)
        self._state.rebase(Opened(opened.contents, origin, opened.sealed, new=False))
        if was_permanent or is_permanent(self.session):
            self.arrival.news = News.IDENTIFIER
        self.arrival.record = record


def _owner(record: Record) -> str | None:
    """Return whose record it is, in whatever namespace."""
    return None if record.subject is None else record.subject.partition(":")[2]


def _take_over(contents: Contents[S], ours: Mapping[str, object], together: Contents[S], codec: Codec[S]) -> None:
    """Bring into live contents what others have changed. What has changed here meanwhile stays, and is a change."""
    live, means, theirs = contents.stored(), _Meanings(codec), together.stored()
    contents.take(
        together,
        [
            key
            for key in {**theirs, **ours}
            if not means.are_the_same(key, theirs.get(key, MISSING), ours.get(key, MISSING))
            and means.are_the_same(key, live.get(key, MISSING), ours.get(key, MISSING))
        ],
    )


class _Meanings:
    """Compares values by what would be written of them, which is made once for each."""

    def __init__(self, codec: Codec[Any]) -> None:
        self._codec = codec
        self._known: dict[tuple[str, int], tuple[object, bytes | None]] = {}
        """By the key and the identity of a value, which is kept so that no other one gets that identity."""

    def are_the_same(self, key: str, one: object, other: object) -> bool:
        if one is MISSING or other is MISSING:
            return one is other
        if same(one, other):
            return True
        meaning = self._meaning(key, one)
        return meaning is not None and meaning == self._meaning(key, other)

    def _meaning(self, key: str, value: object) -> bytes | None:
        """Return what would be written of a value; None if it cannot be written."""
        place = key, id(value)
        if place not in self._known:
            meaning = None
            with suppress(SerializationError):
                meaning = self._codec.canonical({key: value})
            self._known[place] = (value, meaning)
        return self._known[place][1]
