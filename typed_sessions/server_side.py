"""Sessions that are kept on the server: where a signed cookie holds the contents, these have an identifier there.

What a session means is the same as in `engine`. Here is what a store adds: identity, concurrency, lifetime, whose
session it is, and what happens when the store does not answer. No framework.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeAlias

from attrs import define, field, frozen
from typing_extensions import TypeVar

from typed_sessions.codec import Codec, Decoded
from typed_sessions.contents import Contents, contents_of
from typed_sessions.engine import Decision, Delete, Keep, Policy, Write, opened
from typed_sessions.errors import SerializationError, SessionConflictError, StoreUnavailableError
from typed_sessions.identifiers import is_identifier, key_of, new_identifier
from typed_sessions.merging import MISSING, Rule, merged
from typed_sessions.reports import ChangedLate, ChangeLost, Reason, Refused, Report, ReportSink
from typed_sessions.schema import Schema
from typed_sessions.sealing import sealed_at
from typed_sessions.serializers.base import serializer_name
from typed_sessions.session import ExtrasRule, Opened, Origin, Renewal, SecureCookieSession
from typed_sessions.stores.base import Conflict, Exists, Gone, Lifetime, Listed, Record, Revoked, SessionStore, Written

__all__ = ["Deadline", "ServerSide", "StoredArrival"]

S = TypeVar("S", default=dict[str, object])

MOST_IDENTIFIERS: Final = 4
"""How many different cookies of one name are looked up: browsers send several where paths or domains overlap."""

MOST_ATTEMPTS: Final = 32
"""How often a change is merged with those of others that were faster, before the request is told."""

_END: Final = b"\n"
"""Between the name of the format that a payload is written in, and the payload."""


class Deadline:
    """How much time is left for all that a request asks of the store.

    Args:
        span: how much there is in the beginning.
    """

    def __init__(self, span: timedelta) -> None:
        self._left = span.total_seconds()

    @asynccontextmanager
    async def spent(self) -> AsyncGenerator[None]:
        """Spend of it what the block takes.

        Raises:
            StoreUnavailableError: there was not enough.
        """
        start = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._left)):
                yield
        except TimeoutError as error:
            raise StoreUnavailableError("the session store took longer than SESSION_STORE_TIMEOUT") from error
        finally:
            self._left -= time.monotonic() - start


@define(eq=False)
class StoredArrival(Generic[S]):
    """A request as a session's source: what its identifier led to, or what kept the store from answering."""

    policy: Policy[S]
    sealed: tuple[str, ...]
    """The values of the session cookie."""
    sink: ReportSink
    deadline: Deadline
    began: float = field(factory=time.monotonic)
    identifier: str | None = None
    """The identifier of the record; None if there is none yet."""
    record: Record | None = None
    """As it was loaded, or written last."""
    signed: str | None = None
    """The signed cookie that is to be taken in."""
    failure: StoreUnavailableError | None = None
    """What kept the store from answering."""
    raises: bool = True
    """Whether such a failure is raised; otherwise the visitor is a stranger for this request."""
    refused: Refused | None = None
    unsent: bool = False
    """True if the visitor has not been told the identifier yet."""
    as_of: datetime | None = None
    """From which moment, by the store's clock, the request knows what it knows; see `Written.as_of`."""

    @property
    def rule(self) -> ExtrasRule:
        return self.policy.extras

    @property
    def leaves_untouched(self) -> bool:
        return False

    @property
    def late_change(self) -> Report:
        return ChangedLate()

    def open(self) -> Opened[S]:
        if self.failure is not None and self.raises:
            raise StoreUnavailableError(str(self.failure)) from self.failure.__cause__
        if self.signed is not None:
            return opened((self.signed,), self.policy)
        found = None if self.record is None else _read(self.record.payload, self.policy)
        if isinstance(found, Opened):
            return found
        refused = found or self.refused
        return Opened(contents_of(self.policy.schema, {}), reports=(refused,) if refused else ())

    def report(self, report: Report) -> None:
        self.sink(report)


@define(eq=False)
class Change(Generic[S]):
    """What a save has to write."""

    arrival: StoredArrival[S]
    origin: Origin[S] | None
    stored: Mapping[str, object]
    """What is stored, with what others have changed, as far as it was merged."""
    renewal: Renewal
    merged: bool = False
    payload: bytes = b""
    """What was written."""


Outcome: TypeAlias = "Record | Gone | Revoked"


@frozen
class ServerSide(Generic[S]):
    """The sessions of an application as a store keeps them."""

    store: SessionStore
    schema: Schema[S]
    lifetime: Lifetime
    timeout: timedelta
    raises: bool
    """Whether a store that does not answer fails the request; otherwise the visitor is a stranger for this one."""
    adopt_signed_before: datetime | None
    """Until when a signed cookie must have been made to be taken in; None takes in none."""

    def new_deadline(self) -> Deadline:
        """Return all the time that one request has."""
        return Deadline(self.timeout)

    async def open(self, texts: Sequence[str], policy: Policy[S], report: ReportSink) -> StoredArrival[S]:
        """Return what the cookies of a request lead to. Without one, the store is not asked.

        Raises nothing for what a client sent, nor for a store that does not answer: that is for the first touch.
        """
        arrival = StoredArrival(policy, tuple(texts), report, self.new_deadline(), raises=self.raises)
        if not texts:
            return arrival
        try:
            async with arrival.deadline.spent():
                await self._look_up(arrival)
        except StoreUnavailableError as failure:
            arrival.failure = failure
        return arrival

    async def _look_up(self, arrival: StoredArrival[S]) -> None:
        arrival.refused = Refused(Reason.MALFORMED)
        for text in list(dict.fromkeys(arrival.sealed))[:MOST_IDENTIFIERS]:
            if is_identifier(text):
                arrival.record = await self.store.load(key_of(text))
                if arrival.record is not None:
                    arrival.identifier, arrival.as_of, arrival.refused = text, arrival.record.as_of, None
                    return
                arrival.refused = Refused(Reason.UNKNOWN)
            elif self._may_be_taken_in(text):
                if await self.store.load(_tombstone_of(text)) is None:
                    arrival.signed, arrival.refused = text, None
                    return
                arrival.refused = Refused(Reason.TAKEN_IN)

    def _may_be_taken_in(self, text: str) -> bool:
        made = sealed_at(text)
        return self.adopt_signed_before is not None and made is not None and made < self.adopt_signed_before

    async def save(
        self, session: SecureCookieSession[S], arrival: StoredArrival[S], *, wanted: bool | None, answers: bool
    ) -> Decision:
        """Have the store keep a session as the request leaves it, and return what becomes of the cookie.

        Args:
            session: the session.
            arrival: where it came from.
            wanted: whether a session that holds something is to be written; None leaves that to its contents.
            answers: whether a response will carry a cookie.

        Raises:
            StoreUnavailableError: the store did not answer, and that is to be raised.
            SessionConflictError: another request has changed the same, which the schema does not allow.
            SerializationError: the contents cannot be written so that they read back.
        """
        if arrival.failure is not None:
            return self._left_alone(session, arrival)
        try:
            async with arrival.deadline.spent():
                return await self._saved(session, arrival, wanted=wanted, answers=answers)
        except StoreUnavailableError as failure:
            if self.raises:
                raise
            arrival.failure = failure
            return self._left_alone(session, arrival)

    def _left_alone(self, session: SecureCookieSession[S], arrival: StoredArrival[S]) -> Decision:
        if not arrival.raises and (session.modified or session.invalidated):
            arrival.report(ChangeLost("the session store did not answer"))
        return Keep()

    async def _saved(
        self, session: SecureCookieSession[S], arrival: StoredArrival[S], *, wanted: bool | None, answers: bool
    ) -> Decision:
        opened = session.open() if self._concerns(session, arrival) else None
        if opened is not None and opened.sealed is None:
            arrival.signed = None  # it was not genuine
        if opened is None or (wanted is False and not session.invalidated):
            return self._told(arrival, answers=answers)
        if session.invalidated:
            await self._end(arrival)
        if not opened.contents.keys():
            return await self._emptied(session, arrival)
        if not (session.modified or session.renewal is not Renewal.NONE or arrival.signed or wanted):
            return await self._refreshed(session, arrival, answers=answers)
        return await self._written(session, arrival, opened, answers=answers)

    def _concerns(self, session: SecureCookieSession[S], arrival: StoredArrival[S]) -> bool:
        """Return True if there may be something to do. A session that nobody touched is not decoded."""
        return not session.is_untouched or arrival.signed is not None or self._is_due(arrival)

    def _is_due(self, arrival: StoredArrival[S]) -> bool:
        record, policy = arrival.record, arrival.policy
        if record is None or not policy.refresh_each_request:
            return False
        return record.as_of - record.last_seen >= policy.refresh_after

    async def _end(self, arrival: StoredArrival[S]) -> None:
        """Make sure that what came with the request opens no session any more."""
        if arrival.identifier is not None:
            await self.store.delete(key_of(arrival.identifier))
        await self._bury_signed(arrival)
        arrival.identifier = arrival.record = None

    async def _bury_signed(self, arrival: StoredArrival[S]) -> bool:
        """Refuse the signed cookie from now on, and return True if nobody was faster."""
        signed, arrival.signed = arrival.signed, None
        if signed is None:
            return True
        made = sealed_at(signed) or datetime.now(UTC)
        remaining = max(made + self.lifetime.idle - arrival.policy.now(), timedelta(seconds=1))
        buried = await self.store.create(_tombstone_of(signed), Written(b"", Lifetime(remaining + _LEEWAY)))
        return not isinstance(buried, Exists)

    async def _emptied(self, session: SecureCookieSession[S], arrival: StoredArrival[S]) -> Decision:
        if not (session.modified or session.invalidated):
            return Keep()
        await self._end(arrival)
        session.rebase(Opened(session.open().contents))
        return Delete() if arrival.sealed else Keep()

    async def _refreshed(
        self, session: SecureCookieSession[S], arrival: StoredArrival[S], *, answers: bool
    ) -> Decision:
        if self._is_due(arrival) and arrival.identifier is not None:
            seen = await self.store.touch(key_of(arrival.identifier), self.lifetime)
            if seen is None:
                return Keep()
            arrival.record = seen
            arrival.unsent = arrival.unsent or session.permanent_unaccessed
        return self._told(arrival, answers=answers)

    async def _written(
        self, session: SecureCookieSession[S], arrival: StoredArrival[S], opened: Opened[S], *, answers: bool
    ) -> Decision:
        renewal = self._renewal(session, arrival, opened.contents)
        if not answers and (arrival.record is None or renewal is not Renewal.NONE):
            arrival.report(ChangeLost(_NO_COOKIE))
            if arrival.record is None:
                return Keep()
            renewal = Renewal.NONE
        change = Change(arrival, opened.origin, opened.contents.stored(), renewal)
        outcome = await (self._create(change) if arrival.record is None else self._update(change, arrival.record))
        if not isinstance(outcome, Record):
            arrival.report(ChangeLost(_GONE if isinstance(outcome, Gone) else _REVOKED))
            return Keep()
        arrival.record, arrival.as_of = outcome, outcome.as_of
        self._rebase(session, opened, change)
        arrival.unsent = arrival.unsent or session.permanent_unaccessed
        return self._told(arrival, answers=answers)

    def _renewal(self, session: SecureCookieSession[S], arrival: StoredArrival[S], contents: Contents[S]) -> Renewal:
        """Return what is to become of the identifier. Another subject, or unreadable contents, give a new one."""
        record = arrival.record
        if session.renewal is not Renewal.NONE or record is None:
            return session.renewal
        is_another = self._subject_of(contents.stored()) != record.subject or session.open().origin is None
        return Renewal.PROMOTE if is_another else Renewal.NONE

    async def _create(self, change: Change[S]) -> Outcome:
        arrival, identifier = change.arrival, new_identifier()
        created = await self.store.create(key_of(identifier), await self._as_written(change, None))
        if isinstance(created, Exists):
            raise StoreUnavailableError("the session store has a record under an identifier that was made just now")
        if isinstance(created, Record):
            if not await self._bury_signed(arrival):
                await self.store.delete(key_of(identifier))
                return Gone()
            arrival.identifier, arrival.unsent = identifier, True
        return created

    async def _update(self, change: Change[S], record: Record) -> Outcome:
        arrival, key = change.arrival, key_of(change.arrival.identifier or "")
        identifier = arrival.identifier if change.renewal is Renewal.NONE else new_identifier()
        move_to = None if change.renewal is Renewal.NONE else key_of(identifier or "")
        before: Mapping[str, object] = {} if change.origin is None else change.origin.stored
        for _ in range(MOST_ATTEMPTS):
            written = await self._as_written(change, record.subject)
            outcome = await self.store.update(key, record.version, written, move_to=move_to)
            if not isinstance(outcome, Conflict):
                if isinstance(outcome, Record) and move_to is not None:
                    arrival.identifier, arrival.unsent = identifier, True
                return outcome
            record = outcome.present
            theirs = _read(record.payload, arrival.policy)
            if isinstance(theirs, Refused):
                raise SessionConflictError("another request has made of the session what this one cannot read")
            present = theirs.contents.stored()
            change.stored, before = self._merged(before, change.stored, present, arrival.policy), present
            change.merged = True
        raise SessionConflictError("too many requests change this session at once")

    def _merged(
        self, before: Mapping[str, object], ours: Mapping[str, object], theirs: Mapping[str, object], policy: Policy[S]
    ) -> dict[str, object]:
        codec = policy.writer.codec
        return merged(
            before,
            ours,
            theirs,
            same=lambda key, one, other: _mean_the_same(codec, key, one, other),
            rules=self._rules,
            defaults={name: self.schema.fields[name].default for name in self._rules},
        )

    @property
    def _rules(self) -> dict[str, Rule]:
        return {name: field.merge for name, field in self.schema.fields.items() if field.merge is not None}

    async def _as_written(self, change: Change[S], subject: str | None) -> Written:
        """Return what the store is to keep, proven to read back. `subject` is whose the record is now."""
        codec = change.arrival.policy.writer.codec
        change.payload = codec.prove(change.stored, 0 if change.origin is None else change.origin.version).payload
        name = serializer_name(codec.serializer) or ""
        whose = self._subject_of(change.stored)
        return Written(
            name.encode() + _END + change.payload,
            self.lifetime,
            whose,
            await self._known_since(change.arrival) if whose not in (None, subject) else None,
            restart=change.renewal is Renewal.PROMOTE,
        )

    async def _known_since(self, arrival: StoredArrival[S]) -> datetime:
        """Return from which moment, by the store's clock, the request knows whose session it is, or an earlier one."""
        if arrival.as_of is None:
            now = await self.store.now()
            arrival.as_of = now - timedelta(seconds=time.monotonic() - arrival.began)
        return arrival.as_of

    def _subject_of(self, stored: Mapping[str, object]) -> str | None:
        subject = None if self.schema.subject is None else stored.get(self.schema.subject)
        return None if subject is None else str(subject)

    def _rebase(self, session: SecureCookieSession[S], opened: Opened[S], change: Change[S]) -> None:
        """Take what was written as what was loaded, and show in the session what was merged into it."""
        codec = change.arrival.policy.writer.codec
        if change.merged:
            _take_over(opened.contents, change.stored, codec)
        session.rebase(Opened(opened.contents, Origin(codec, change.payload), opened.sealed, new=False))

    def _told(self, arrival: StoredArrival[S], *, answers: bool) -> Decision:
        """Return the cookie that tells the browser an identifier, or an expiry, that is new to it, if there is one."""
        if not (arrival.unsent and answers) or arrival.identifier is None:
            return Keep()
        return Write(arrival.identifier)

    async def listed(self, subject: object, deadline: Deadline) -> Sequence[Listed]:
        """Return the live sessions of a subject, the one seen last first."""
        async with deadline.spent():
            return await self.store.ids_of(str(subject))

    async def revoke(self, subject: object, deadline: Deadline, *, spare: StoredArrival[S] | None = None) -> None:
        """End the sessions of a subject, but for one that is to be spared."""
        key = None if spare is None or spare.identifier is None else key_of(spare.identifier)
        async with deadline.spent():
            ended = await self.store.delete_subject(str(subject), spare=key)
        if spare is not None:
            spare.as_of = ended


_LEEWAY: Final = timedelta(days=1)
"""How much longer than it would be valid a signed cookie is refused: clocks differ, and settings change."""

_NO_COOKIE: Final = (
    "there is no response to carry the session's identifier; make or renew the session in a request, before a "
    "websocket opens or a stream begins"
)
_GONE: Final = "the session was ended, or got another identifier, while this request was in flight"
_REVOKED: Final = "the sessions of its subject were ended while this request was in flight"


def _tombstone_of(signed: str) -> str:
    """Return the key of the record that says that a signed cookie was taken in.

    It is made of what is signed. The signature has several spellings in base64, each of which verifies.
    """
    return key_of(signed.rpartition(".")[0])


def _read(kept: bytes, policy: Policy[S]) -> Opened[S] | Refused:
    """Return what a record holds, which some release of this application has written."""
    name, end, payload = kept.partition(_END)
    codecs: list[Codec[S]] = [format_.codec for format_ in policy.formats]
    for codec in codecs:
        if end and (serializer_name(codec.serializer) or "").encode() == name:
            outcome = codec.decode(payload, policy.on_bad_field)
            if isinstance(outcome, Decoded):
                return Opened(outcome.contents, Origin(codec, payload, outcome), new=False, reports=outcome.reports)
            return outcome
    return Refused(Reason.UNREADABLE)


def _take_over(contents: Contents[S], stored: Mapping[str, object], codec: Codec[S]) -> None:
    """Bring into live contents what others have changed."""
    ours = contents.stored()
    for key in {**stored, **ours}:
        value = stored.get(key, MISSING)
        if _mean_the_same(codec, key, value, ours.get(key, MISSING)):
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
