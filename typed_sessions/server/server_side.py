"""`ServerSide`: what a request asks of the store: to open its session, to save it, and to list and end others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Final, Generic

from attrs import frozen
from msgspec.structs import replace
from typing_extensions import TypeVar

from typed_sessions.core.loading import RequestContext, adopted
from typed_sessions.core.predecessors import Claim
from typed_sessions.core.rules import Rules
from typed_sessions.core.session import SecureCookieSession, state_of
from typed_sessions.core.settings import Settings
from typed_sessions.core.state import LoadResult
from typed_sessions.errors import SerializationError, StoreUnavailableError
from typed_sessions.reports import ChangeLost, Reason, Refused, ReportSink
from typed_sessions.schema.schema import Schema
from typed_sessions.server.context import StoredContext
from typed_sessions.server.repository import Located, Repository, named_subject, subject_of
from typed_sessions.server.runtime import EVENT_LOOP, Deadline, Runtime
from typed_sessions.server.saving import Saving
from typed_sessions.stores.base import MOVES_KEPT, Listed, Moved, Record, SessionStore
from typed_sessions.stores.identifiers import Identifier

__all__ = ["ServerSide"]

S = TypeVar("S", default=dict[str, object])

_MALFORMED: Final = Refused(Reason.MALFORMED)
_UNKNOWN: Final = Refused(Reason.UNKNOWN)

MOST_COOKIES: Final = 20
"""How many different identifiers, and signed cookies, are looked at: browsers send several where paths overlap."""


@frozen
class ServerSide(Generic[S]):
    """The sessions of an application as a store keeps them."""

    repository: Repository
    schema: Schema[S]
    settings: Settings
    runtime: Runtime = EVENT_LOOP
    """What waits. One that is not an event loop takes a store that never waits for one."""

    @property
    def store(self) -> SessionStore:
        return self.repository.store

    def new_deadline(self) -> Deadline:
        """Return all the time that one request has."""
        return Deadline(self.settings.store_timeout, self.runtime)

    async def open(
        self, texts: Sequence[str], rules: Rules[S], report: ReportSink, claims: tuple[Claim, ...] = ()
    ) -> StoredContext[S]:
        """Return what the cookies of a request lead to. Without one, the store is not asked.

        Raises nothing for what a client sent, nor for a store that does not answer: that is for the first touch.
        """
        context = StoredContext(rules, tuple(texts), report, self.new_deadline(), claims=claims)
        del texts, claims  # debugging pages show locals
        if not context.sealed and not context.claims:
            return context
        try:
            await context.deadline.spend(self._look_up(context))
        except StoreUnavailableError as failure:
            context.failure = failure
        return context

    async def _look_up(self, context: StoredContext[S]) -> None:
        """Find the session that the browser got last, of those that are genuine."""
        context.refused = _MALFORMED
        texts = dict.fromkeys(context.sealed)
        identifiers = [identifier for text in texts if (identifier := Identifier.of(text)) is not None]
        del texts  # debugging pages show locals
        for identifier in identifiers[:MOST_COOKIES]:
            found = await self._find(context, identifier)
            if found is None:
                continue
            context.others.add(found.key)
            context.genuine += context.sealed.count(identifier.text)
            if context.located is None or found.record.issued > context.located.record.issued:
                context.located, context.as_of = found, found.record.as_of
        before = self.settings.adopt_signed_before
        if before is not None:
            await self._adopt(context, before)
        await self._inherit(context)
        if context.genuine:
            context.refused, context.stale_id = None, False

    async def _find(self, context: StoredContext[S], identifier: Identifier) -> Located | None:
        """Return the live record of an identifier."""
        context.refused = _UNKNOWN
        for number, each in enumerate(self.repository.keys_of(identifier)):
            key, found = await self.repository.load(each, identifier)
            if self.repository.is_over(found):
                context.refused = Refused(Reason.ENDED)
                context.others.add(key)
                return None
            if isinstance(found, Record):
                context.is_plain = number == 0 and key is each and len(context.sealed) == 1 and not context.claims
                return Located(identifier, key, found)
            if isinstance(found, Moved):
                context.stale_id = True
                context.others.add(key)
        return None

    async def _adopt(self, context: StoredContext[S], before: datetime) -> None:
        """Look for a genuine session of the time before there was a store."""
        rules = context.rules
        texts = dict.fromkeys(context.sealed)
        earlier = (text for text in texts if (at := rules.sealed_at(text)) is not None and at < before)
        del texts  # debugging pages show locals
        context.signed_texts = tuple(islice(earlier, MOST_COOKIES))
        if not context.signed_texts:
            return
        signed = RequestContext(rules, None, context.signed_texts)
        genuine = signed.open()
        made = None if genuine.sealed is None else rules.sealed_at(genuine.sealed)
        if genuine.sealed is None or made is None or await self._has_ended(context, genuine, made):
            return
        context.genuine += 2 if signed.has_rivals else 1
        if context.located is None or made > context.located.record.issued:
            context.located, context.signed, context.opened = None, genuine.sealed, genuine

    async def _inherit(self, context: StoredContext[S]) -> None:
        """Look for a session that another library has written, if none of ours has come."""
        rules = context.rules
        if rules.succession is None or context.located is not None or context.opened is not None:
            return
        for claim in context.claims[:MOST_COOKIES]:
            found = await self.runtime.call(partial(claim.predecessor.load, claim.text, rules.now()))
            if isinstance(found, Refused):
                if found.reason is Reason.UNKNOWN:  # it may be gone because a request just before has adopted it
                    await self._was_adopted(context, self.repository.tombstone_keys(claim.mark))
                continue
            opened = adopted(claim, found, rules)
            if isinstance(opened, Refused):
                context.refused = opened
            elif opened is not None:
                opened = replace(opened, sealed=claim.mark)
                if not await self._has_ended(context, opened, found.written):
                    context.signed, context.inherited, context.opened = opened.sealed, claim, opened
                    context.genuine += 1
                    return

    async def _has_ended(self, context: StoredContext[S], genuine: LoadResult[S], made: datetime) -> bool:
        """Return True if a signed session was adopted before, or its subject's sessions were ended since."""
        await context.known_since(self.store)  # what is ended from now on, the store refuses
        if await self._was_adopted(context, self.repository.tombstone_keys(genuine.sealed or "")):
            return True
        try:
            subject = subject_of(self.schema, genuine.contents.stored())
        except SerializationError:
            return True
        if subject is not None and await self.repository.refuses_signed(subject, made):
            context.refused = Refused(Reason.REVOKED)
            return True
        return False

    async def _was_adopted(self, context: StoredContext[S], keys: Sequence[str]) -> bool:
        """Return True if there is a tombstone under any of these keys, and note what it leads to."""
        for tombstone in await self.repository.found(keys):
            context.refused = Refused(Reason.ADOPTED_BEFORE)
            if tombstone.as_of - tombstone.created < MOVES_KEPT:
                context.stale_id = True
                context.others.update(tombstone.payload.decode().split())  # none, if it was a log-out
            return True
        return False

    async def save(
        self,
        session: SecureCookieSession[S],
        context: StoredContext[S],
        *,
        wanted: bool | None,
        answers: bool,
        verifies: bool = False,
    ) -> bool:
        """Have the store keep a session as it is now. What becomes of the cookie is in the context afterwards.

        What is wanted, answers and verifies, see `Saving`. False if a change was lost, which has been reported.

        Raises:
            StoreUnavailableError: the store did not answer, and that is to be raised.
            SessionConflictError: another request has changed the same, which the schema does not allow.
            SerializationError: the contents cannot be written so that they read back.
        """
        async with context.lock:
            failure = context.failure
            if failure is not None:
                if verifies and self.settings.raise_on_store_error:
                    raise StoreUnavailableError(str(failure))
                return _left_alone(session, context)
            saving = Saving(
                self.repository, self.schema, session, context, wanted=wanted, answers=answers, verifies=verifies
            )
            try:
                return await saving.run()
            except StoreUnavailableError:
                if self.settings.raise_on_store_error:
                    raise
                return _left_alone(session, context, verifies=verifies)

    async def reload(self, session: SecureCookieSession[S], context: StoredContext[S]) -> bool:
        """Bring into a session what the store has of it now; see `SecureCookieSessionInterface.reload`."""
        async with context.lock:
            if context.failure is not None:
                raise StoreUnavailableError(str(context.failure))
            saving = Saving(self.repository, self.schema, session, context)
            return await context.deadline.spend(saving.reload())

    @property
    def _adopts_until(self) -> datetime | None:
        """Until when what was made before there was a store may be adopted; None if nothing ever is."""
        settings = self.settings
        ends = [each.before + each.lifetime for each in settings.adopt]
        if settings.adopt_signed_before is not None:
            ends.append(settings.adopt_signed_before + settings.lifetime)
        return max(ends, default=None)

    async def listed(self, subject: object, deadline: Deadline) -> Sequence[Listed]:
        """Return the live sessions of a subject, the one seen last first.

        Raises:
            ConfigurationError: the schema marks no field as the Subject.
            FieldTypeError: it is no subject.
            StoreUnavailableError: the store did not answer in time.
        """
        whose = named_subject(self.schema, subject)
        found = await deadline.spend(self._listed(whose))
        return sorted(found, key=lambda one: one.last_seen, reverse=True)

    async def _listed(self, subject: str) -> list[Listed]:
        found = [await self.store.ids_of(namespace.subject(subject)) for namespace in self.repository.namespaces]
        return [one for one in chain(*found) if not await self._is_over(one)]

    async def _is_over(self, listed: Listed) -> bool:
        """Return True if a session that is listed has ended. It takes a look at the record where it may have moved."""
        moment = self.settings.not_before
        if moment is None or listed.created.timestamp() >= moment:
            return False
        return self.repository.is_over(await self.store.load(listed.key))

    async def revoke(self, subject: object, deadline: Deadline, *, spared: StoredContext[S] | None = None) -> None:
        """End the sessions of a subject, but for that of the request to be spared. Raises what `listed` raises."""
        spare = None if spared is None else spared.key
        whose = named_subject(self.schema, subject)
        await deadline.spend(self._revoke(whose, spare))

    async def _revoke(self, subject: str, spare: str | None) -> None:
        until = self._adopts_until
        if until is not None:  # as long as any cookie can be adopted
            await self.repository.refuse_signed(subject, until - await self.store.now())
        for namespace in self.repository.namespaces:
            await self.store.delete_subject(namespace.subject(subject), spare=spare)


def _left_alone(session: SecureCookieSession[S], context: StoredContext[S], *, verifies: bool = False) -> bool:
    """Return True if nothing was to be written, or found out; otherwise say that it is lost."""
    state = state_of(session)
    has_raised = context.failure is not None and context.rules.settings.raise_on_store_error
    if has_raised or not (verifies or state.wants_writing):
        return True
    state.report_loss(ChangeLost("the session store did not answer"))
    return False
