"""`ServerSide`: what a request asks of the store: to open its session, to save it, and to list and end others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Generic

from attrs import frozen
from typing_extensions import TypeVar

from typed_sessions.engine import Policy, opened
from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.identifiers import Identifier
from typed_sessions.reports import ChangeLost, Reason, Refused, ReportSink
from typed_sessions.schema import Schema
from typed_sessions.sealing import sealed_at
from typed_sessions.server_side.arrival import Deadline, StoredArrival
from typed_sessions.server_side.records import JUST_NOW, moved_key, taken_in_key
from typed_sessions.server_side.saving import Saving, subject_text
from typed_sessions.session import SecureCookieSession
from typed_sessions.stores.base import Lifetime, Listed, SessionStore

__all__ = ["ServerSide"]

S = TypeVar("S", default=dict[str, object])

MOST_COOKIES: Final = 4
"""How many different cookies of one name are looked up: browsers send several where paths or domains overlap."""


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
        arrival = StoredArrival(policy, tuple(texts), report, self.new_deadline(), self.raises)
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
        for text in list(dict.fromkeys(arrival.sealed))[:MOST_COOKIES]:
            identifier = Identifier.of(text)
            found = self._take_in(arrival, text) if identifier is None else self._find(arrival, identifier)
            if await found:
                arrival.refused = None
                return

    async def _find(self, arrival: StoredArrival[S], identifier: Identifier) -> bool:
        """Return True if there is a live record of an identifier."""
        record = await self.store.load(identifier.key)
        if record is not None:
            arrival.found(identifier, record)
            arrival.as_of, arrival.came_late = record.as_of, False
            return True
        arrival.refused = Refused(Reason.UNKNOWN)
        arrival.came_late = arrival.came_late or await self.store.load(moved_key(identifier)) is not None
        return False

    async def _take_in(self, arrival: StoredArrival[S], text: str) -> bool:
        """Return True if a cookie is a genuine session of the time before there was a store, and is still one."""
        made = sealed_at(text)
        if self.adopt_signed_before is None or made is None or made >= self.adopt_signed_before:
            return False
        genuine = opened((text,), arrival.policy)
        if genuine.sealed is None:
            return False
        note = await self.store.load(taken_in_key(text))
        if note is not None:
            arrival.refused = Refused(Reason.TAKEN_IN)
            arrival.came_late = arrival.came_late or note.as_of - note.created < JUST_NOW
            return False
        arrival.signed, arrival.opened, arrival.came_late = text, genuine, False
        return True

    async def save(
        self, session: SecureCookieSession[S], arrival: StoredArrival[S], *, wanted: bool | None, answers: bool
    ) -> bool:
        """Have the store keep a session as it is now. What the browser has to be told is in the arrival afterwards.

        Args:
            session: the session.
            arrival: where it came from.
            wanted: whether a change is to be written, where a subclass decides that; None if none does.
            answers: whether a response will carry a cookie.

        Returns:
            False if a change was lost, which has been reported.

        Raises:
            StoreUnavailableError: the store did not answer, and that is to be raised.
            SessionConflictError: another request has changed the same, which the schema does not allow.
            SerializationError: the contents cannot be written so that they read back.
        """
        async with arrival.lock:
            if arrival.failure is not None:
                return _left_alone(session, arrival, "the session store did not answer")
            if arrival.came_late:
                return _left_alone(session, arrival, "its session had got another identifier just before it came")
            try:
                async with arrival.deadline.spent():
                    return await Saving(self.store, self.schema, self.lifetime, session, arrival, answers).run(wanted)
            except StoreUnavailableError:
                if self.raises:
                    raise
                return _left_alone(session, arrival, "the session store did not answer")

    async def listed(self, subject: object, deadline: Deadline) -> Sequence[Listed]:
        """Return the live sessions of a subject, the one seen last first.

        Raises:
            ConfigurationError: the schema marks no field as the Subject.
            FieldTypeError: it is no subject.
            StoreUnavailableError: the store did not answer in time.
        """
        whose = self._subject(subject)
        async with deadline.spent():
            return await self.store.ids_of(whose)

    async def revoke(self, subject: object, deadline: Deadline, *, spare: Identifier | None = None) -> None:
        """End the sessions of a subject, but for one that is to be spared. Raises what `listed` raises."""
        whose = self._subject(subject)
        async with deadline.spent():
            await self.store.delete_subject(whose, spare=None if spare is None else spare.key)

    def _subject(self, subject: object) -> str:
        name = self.schema.subject
        if name is None:
            raise ConfigurationError(
                f"{self.schema.name} does not say whose session it is; mark a field: "
                f"user_id: Annotated[int | None, Subject] = None"
            )
        whose = subject_text(self.schema.admit(name, subject))
        if whose is None:
            raise ConfigurationError("None is nobody, and the sessions of nobody can be neither listed nor ended")
        return whose


def _left_alone(session: SecureCookieSession[S], arrival: StoredArrival[S], reason: str) -> bool:
    """Return True if nothing was to be written; otherwise say that it is lost."""
    if (arrival.failure is not None and arrival.raises) or not session.wants_writing:
        return True
    arrival.report(ChangeLost(reason))
    return False
