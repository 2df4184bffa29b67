"""`ServerSide`: what a request asks of the store: to open its session, to save it, and to list and end others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Generic

from attrs import field, frozen
from typing_extensions import TypeVar

from typed_sessions.core.engine import Policy, opened
from typed_sessions.core.session import SecureCookieSession, state_of
from typed_sessions.core.state import Opened
from typed_sessions.errors import SerializationError, StoreUnavailableError
from typed_sessions.reports import ChangeLost, Reason, Refused, ReportSink
from typed_sessions.schema.schema import Schema
from typed_sessions.server.arrival import StoredArrival
from typed_sessions.server.deadline import Deadline
from typed_sessions.server.records import note, revoked_key, taken_in_key
from typed_sessions.server.runtime import EVENT_LOOP, Runtime
from typed_sessions.server.saving import Saving
from typed_sessions.server.subjects import named_subject, subject_of
from typed_sessions.server.turns import Turns
from typed_sessions.stores.base import MOVES_KEPT, Exists, Lifetime, Listed, Moved, Record, SessionStore
from typed_sessions.stores.identifiers import Identifier, Namespace

__all__ = ["ServerSide"]

S = TypeVar("S", default=dict[str, object])

MOST_COOKIES: Final = 20
"""How many different identifiers, and signed cookies, are looked at: browsers send several where paths overlap."""


@frozen
class ServerSide(Generic[S]):
    """The sessions of an application as a store keeps them."""

    store: SessionStore
    schema: Schema[S]
    namespaces: tuple[Namespace, ...]
    """The present one first. What is found in an earlier one moves with its next save."""
    lifetime: Lifetime
    timeout: timedelta
    raises: bool
    """Whether a store that does not answer fails the request; otherwise the visitor is a stranger for this one."""
    adopt_signed_before: datetime | None
    """Until when a signed cookie must have been made to be taken in; None takes in none."""
    runtime: Runtime = EVENT_LOOP
    """What waits. One that is not an event loop takes a store that never waits for one."""
    turns: Turns = field(factory=Turns)

    def new_deadline(self) -> Deadline:
        """Return all the time that one request has."""
        return Deadline(self.timeout, self.runtime)

    async def open(self, texts: Sequence[str], policy: Policy[S], report: ReportSink) -> StoredArrival[S]:
        """Return what the cookies of a request lead to. Without one, the store is not asked.

        Raises nothing for what a client sent, nor for a store that does not answer: that is for the first touch.
        """
        arrival = StoredArrival(policy, tuple(texts), report, self.new_deadline(), self.raises)
        del texts  # debugging pages show locals
        if not arrival.sealed:
            return arrival
        try:
            async with arrival.deadline.spent():
                await self._look_up(arrival)
        except StoreUnavailableError as failure:
            arrival.failure = failure
        return arrival

    async def _look_up(self, arrival: StoredArrival[S]) -> None:
        """Find the session that the browser got last, of those that are genuine."""
        arrival.refused = Refused(Reason.MALFORMED)
        texts = dict.fromkeys(arrival.sealed)
        identifiers = [identifier for text in texts if (identifier := Identifier.of(text)) is not None]
        del texts  # debugging pages show locals
        newest: datetime | None = None
        for identifier in identifiers[:MOST_COOKIES]:
            found = await self._find(arrival, identifier)
            if found is None:
                continue
            key, record = found
            arrival.others.add(key)
            arrival.genuine += arrival.sealed.count(identifier.text)
            if newest is None or record.issued > newest:
                newest = record.issued
                arrival.found(identifier, key, record)
                arrival.as_of = record.as_of
        await self._take_in(arrival, newest)
        if arrival.genuine:
            arrival.refused, arrival.came_late = None, False

    async def _find(self, arrival: StoredArrival[S], identifier: Identifier) -> tuple[str, Record] | None:
        """Return the live record of an identifier, and its key."""
        arrival.refused = Refused(Reason.UNKNOWN)
        keys = [namespace.key_of(identifier) for namespace in self.namespaces]
        for each in keys:
            key, found = each, await self.store.load(each)
            if isinstance(found, Moved) and found.target in keys:  # into another namespace, just now
                key, found = found.target, await self.store.load(found.target)
            if isinstance(found, Record):
                return key, found
            if isinstance(found, Moved):
                arrival.came_late = True
                arrival.others.add(key)
        return None

    async def _take_in(self, arrival: StoredArrival[S], newest: datetime | None) -> None:
        """Look for a genuine session of the time before there was a store."""
        before = self.adopt_signed_before
        if before is None:
            return
        policy = arrival.policy
        earlier = (text for text in dict.fromkeys(arrival.sealed) if _is_sealed_before(before, text, policy))
        arrival.signed_texts = tuple(islice(earlier, MOST_COOKIES))
        if not arrival.signed_texts:
            return
        genuine = opened(arrival.signed_texts, policy)
        made = None if genuine.sealed is None else policy.sealed_at(genuine.sealed)
        if genuine.sealed is None or made is None or await self._has_ended(arrival, genuine, made):
            return
        arrival.genuine += 2 if genuine.has_rivals else 1
        if newest is None or made > newest:
            arrival.forget()
            arrival.signed, arrival.opened = genuine.sealed, genuine

    async def _has_ended(self, arrival: StoredArrival[S], genuine: Opened[S], made: datetime) -> bool:
        """Return True if a signed session was taken in before, or its subject's sessions were ended since."""
        if arrival.as_of is None:
            arrival.as_of = await self.store.now()  # what is ended from now on, the store refuses
        for namespace in self.namespaces:
            taken_in = await self.store.load(taken_in_key(namespace, genuine.sealed or ""))
            if isinstance(taken_in, Record):
                arrival.refused = Refused(Reason.TAKEN_IN)
                if taken_in.as_of - taken_in.created < MOVES_KEPT:
                    arrival.came_late = True
                    arrival.others.update(taken_in.payload.decode().split())  # none, if it was a log-out
                return True
        try:
            subject = subject_of(self.schema, genuine.contents.stored())
        except SerializationError:
            return True
        for namespace in () if subject is None else self.namespaces:
            revoked = await self.store.load(revoked_key(namespace, subject or ""))
            if isinstance(revoked, Record) and revoked.last_seen >= made:
                arrival.refused = Refused(Reason.REVOKED)
                return True
        return False

    async def save(
        self,
        session: SecureCookieSession[S],
        arrival: StoredArrival[S],
        *,
        wanted: bool | None,
        answers: bool,
        verifies: bool = False,
    ) -> bool:
        """Have the store keep a session as it is now. What the browser has to be told is in the arrival afterwards.

        Args:
            session: the session.
            arrival: where it came from.
            wanted: whether a change is to be written, where a subclass decides that; None if none does.
            answers: whether a response will carry a cookie.
            verifies: whether to ask, although nothing has changed, whether the session is still there.

        Returns:
            False if a change was lost, which has been reported.

        Raises:
            StoreUnavailableError: the store did not answer, and that is to be raised.
            SessionConflictError: another request has changed the same, which the schema does not allow.
            SerializationError: the contents cannot be written so that they read back.
        """
        async with arrival.lock:
            failure = arrival.failure
            if failure is not None:
                if verifies and self.raises:
                    raise StoreUnavailableError(str(failure))
                return _left_alone(session, arrival)
            saving = Saving(
                self.store, self.schema, self.namespaces, self.lifetime, session, arrival, answers, verifies
            )
            try:
                return await saving.run(wanted, self.turns)
            except StoreUnavailableError:
                if self.raises:
                    raise
                return _left_alone(session, arrival, verifies=verifies)

    async def reload(self, session: SecureCookieSession[S], arrival: StoredArrival[S]) -> bool:
        """Bring into a session what the store has of it now; see `SecureCookieSessionInterface.reload`."""
        async with arrival.lock:
            if arrival.failure is not None:
                raise StoreUnavailableError(str(arrival.failure))
            saving = Saving(
                self.store, self.schema, self.namespaces, self.lifetime, session, arrival, answers=False, verifies=True
            )
            async with arrival.deadline.spent():
                return await saving.reload()

    async def listed(self, subject: object, deadline: Deadline) -> Sequence[Listed]:
        """Return the live sessions of a subject, the one seen last first.

        Raises:
            ConfigurationError: the schema marks no field as the Subject.
            FieldTypeError: it is no subject.
            StoreUnavailableError: the store did not answer in time.
        """
        whose = named_subject(self.schema, subject)
        async with deadline.spent():
            listed = [one for each in self.namespaces for one in await self.store.ids_of(each.subject(whose))]
        return sorted(listed, key=lambda one: one.last_seen, reverse=True)

    async def revoke(self, subject: object, deadline: Deadline, *, spared: StoredArrival[S] | None = None) -> None:
        """End the sessions of a subject, but for that of the request to be spared. Raises what `listed` raises."""
        spare = None if spared is None else spared.key
        whose = named_subject(self.schema, subject)
        async with deadline.spent():
            if self.adopt_signed_before is not None:
                await self._refuse_signed(whose, self.adopt_signed_before)
            for namespace in self.namespaces:
                await self.store.delete_subject(namespace.subject(whose), spare=spare)

    async def _refuse_signed(self, subject: str, before: datetime) -> None:
        """Keep signed sessions of a subject from being taken in, as long as any can be. The note's time counts."""
        key = revoked_key(self.namespaces[0], subject)
        written = note(before + self.lifetime.idle - await self.store.now())
        if isinstance(await self.store.create(key, written), Exists):
            await self.store.touch(key, written.lifetime)


def _is_sealed_before(before: datetime, text: str, policy: Policy[S]) -> bool:
    """Return True if a text claims to have been sealed before a time. An identifier claims none."""
    made = policy.sealed_at(text)
    return made is not None and made < before


def _left_alone(session: SecureCookieSession[S], arrival: StoredArrival[S], *, verifies: bool = False) -> bool:
    """Return True if nothing was to be written, or found out; otherwise say that it is lost."""
    state = state_of(session)
    if (arrival.failure is not None and arrival.raises) or not (verifies or state.wants_writing):
        return True
    state.report_loss(ChangeLost("the session store did not answer"))
    return False
