"""`Saving`: one save of one session in the store."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Generic, TypeAlias

from attrs import Factory, define, evolve, field
from typing_extensions import TypeVar

from typed_sessions.codec.codec import Loaded, Snapshot
from typed_sessions.codec.contents import Contents, contents_of
from typed_sessions.core.lifecycle import Delete, Write, make_permanent
from typed_sessions.core.rules import Format
from typed_sessions.core.session import SecureCookieSession, is_permanent, state_of
from typed_sessions.core.state import SUPPRESSED, Intent, LoadResult, Lost, Renewal, SessionState
from typed_sessions.errors import SerializationError, SessionConflictError, StoreUnavailableError
from typed_sessions.reports import Refused, Report
from typed_sessions.schema.merging import MISSING, merged
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.server.context import StoredContext
from typed_sessions.server.records import Attempt, Parts, name_of, read, was_written_by
from typed_sessions.server.repository import Located, Repository, Turn, subject_of
from typed_sessions.stores.base import Conflict, Exists, Found, Gone, Moved, Record, Revoked, WriteRequest
from typed_sessions.stores.identifiers import Identifier

__all__ = ["Saving"]

S = TypeVar("S", default=dict[str, object])

MOST_ATTEMPTS: Final = 1_000
"""How often a change is merged with those of others that were faster. The deadline is the nearer bound."""

_PAUSE: Final = 0.002
"""In seconds: after each attempt the next one waits up to so much longer, so that many writers get their turns."""

_LONGEST_PAUSE: Final = 0.05

Outcome: TypeAlias = Record | Gone | Revoked | None
"""The record as it was written; None if it was deleted, for nothing is stored any more."""


@define(eq=False, repr=False)
class Saving(Generic[S]):
    """One save of one session."""

    repository: Repository
    schema: Schema[S]
    session: SecureCookieSession[S]
    context: StoredContext[S]
    wanted: bool | None = field(default=None, kw_only=True)
    """What should_set_cookie says, where that is a subclass's own."""
    answers: bool = field(default=False, kw_only=True)
    """Whether a response will carry a cookie."""
    verifies: bool = field(default=False, kw_only=True)
    """Whether to find out, although nothing is to be written, whether what is in the session is kept."""
    state: SessionState[S] = Factory(lambda self: state_of(self.session), takes_self=True)
    opened: LoadResult[S] = field(init=False)
    """What is live in the session, and what it was loaded from."""
    intent: Intent = field(init=False)
    renewal: Renewal = field(init=False)
    snapshot: Snapshot[S] | None = field(init=False)
    """What this request has loaded, or what was there when it merged last; None if there was nothing."""
    contents: Contents[S] | None = field(init=False)
    """What is to be written: the live contents, or others once they were merged; None if the class refuses those."""
    stored: Mapping[str, object] = field(init=False)
    unmerged: Mapping[str, object] | None = None
    """What was stored before it was merged; None if it was not."""
    version: int = 0
    payload: bytes = b""
    """Proven to read back; empty while nobody knows."""
    format: Format[S] = field(init=False)

    async def run(self) -> bool:
        """See `ServerSide.save`."""
        context = self.context
        if context.rules.makes_permanent:
            make_permanent(self.state)
        self.intent = self.state.take_intent()
        if not (self.intent.wants_writing or context.signed or self.wanted or self._is_due):
            self.state.give_back(self.intent)
            return await self._is_kept()
        try:
            self.opened = self.state.open()
            turn = self.repository.take_turn(context.key, context.deadline.runtime)
            try:
                async with context.deadline.holding(turn.lock):
                    return await context.deadline.spend(self._carry_out(turn))
            finally:
                self.repository.leave_turn(turn)
        except BaseException:
            self.state.give_back(self.intent)
            raise

    async def _carry_out(self, turn: Turn) -> bool:
        context, intent, wanted = self.context, self.intent, self.wanted
        if context.attempt is not None:
            await self._find_out(context.attempt)
        if context.has_ended and not (intent.invalidated or intent.cleared or self._logs_in):
            return self._lost(Lost.GONE) if intent.wants_writing or self.verifies else True
        stores = len(self.opened.contents.keys()) > 0
        is_emptied = not stores and (intent.cleared or context.signed is not None)
        if intent.invalidated or is_emptied or (intent.cleared and context.located is None):
            await self._end()
        elif intent.cleared:
            await self._end_others()
        elif context.stale_id and not self._logs_in:
            return self._lost(Lost.LATE) if intent.wants_writing else True
        if intent.renewal is not Renewal.NONE or intent.cleared:
            await self._end_unreadable()
        if not stores and context.located is None:
            self.state.rebase(LoadResult(self.opened.contents))
            return True
        is_change = (intent.modified and wanted is not False) or intent.renewal is not Renewal.NONE
        is_to_write = is_change or wanted or context.signed is not None
        if is_to_write or (self._is_due and self.answers and self.repository.is_misplaced(context.located)):
            return await self._write(turn)
        await self._refresh()
        return await self._is_kept()

    @property
    def _logs_in(self) -> bool:
        """True if the session has become somebody's: that counts, whatever the browser did not know yet."""
        opened, subject = self.opened, self.schema.subject
        if self.intent.renewal is Renewal.PROMOTE:
            return True
        if subject is None or opened.contents.get(subject) is None:
            return False
        return opened.snapshot is None or opened.snapshot.stored.get(subject) != opened.contents.get(subject)

    def _lost(self, report: Report) -> bool:
        self.state.report_loss(report)
        return False

    @property
    def _is_due(self) -> bool:
        return self.context.rules.refresh_each_request and self.context.is_due

    async def _refresh(self) -> None:
        if self.context.located is None or not self._is_due:
            return
        seen = await self.repository.touch(self.context.located, self.context.as_of, self.context.rules)
        if seen is not None:
            self.context.located = seen
            if is_permanent(self.session):
                self.context.cookie_due = Write

    async def _is_kept(self) -> bool:
        """Return True if the store has what is in the session, or nobody asks. Otherwise say that it is lost."""
        if not self.verifies:
            return True
        if not await self.context.deadline.spend(self._present()):
            return self._lost(Lost.GONE)
        return self._lost(SUPPRESSED) if self.state.compared()[0] else True

    async def _present(self) -> Record | bool:
        """Return the present record; True if there never was one; False if it has ended, or has got another key."""
        context = self.context
        if context.located is None or context.has_ended:
            return not context.has_ended
        found = await self._moved_on()
        context.has_ended = not isinstance(found, Record)
        return found if isinstance(found, Record) else False

    async def _moved_on(self) -> Found:
        """Return what is there of a record that is gone from its key: itself, if it is in another namespace by now.

        That is the present one, or one of a key that only other instances write with yet.
        """
        located = self.context.located
        if located is None:
            return None
        key, found = await self.repository.load(located.key, located.identifier)
        self.context.located = Located(located.identifier, key, located.record, located.looked_at)
        return None if self.repository.is_over(found) else found

    async def reload(self) -> bool:
        """See `ServerSide.reload`."""
        context, self.opened = self.context, self.state.open()
        if context.attempt is not None:
            await self._find_out(context.attempt)
            self.state.opened = self.opened
        context.has_ended = context.has_ended or context.stale_id
        present = await self._present()
        if not isinstance(present, Record) or context.located is None:
            return present is True
        if present.version != context.located.record.version and not self.state.cleared:
            self._bring(present)
        context.located = Located(context.located.identifier, context.located.key, present)
        return True

    async def _end(self) -> None:
        """Make sure that what came with the request opens no session any more."""
        context, located = self.context, self.context.located
        led_somewhere = located is not None or len(context.others) > 0
        has_ended = located is not None and await self.repository.end(located.key, located.record)
        has_ended = await self._end_others() or has_ended
        await self._refuse_signed("")
        context.located = None
        context.stale_id = context.has_ended = False
        if context.sealed and (has_ended or not led_somewhere):  # otherwise a newer login may have replaced the cookie
            context.cookie_due = Delete

    async def _end_others(self) -> bool:
        """Do the same for what else came, and return True if any of it was there."""
        context = self.context
        others, context.others = context.others - {context.key}, set()
        have_ended = [await self.repository.end(key) for key in others]
        await context.end_claims(self.repository)
        genuine = filter(context.rules.is_genuine, set(context.signed_texts) - {context.signed})
        for key, tombstone in [self.repository.tombstone(text, context.rules) for text in genuine]:
            await self.repository.store.create(key, tombstone)
        context.signed_texts = ()
        return any(have_ended)

    async def _end_unreadable(self) -> None:
        """End what this release cannot read: the session becomes another one, and no release is to open that again."""
        unreadable, self.context.unreadable = self.context.unreadable, None
        if unreadable is not None and await self.repository.end(unreadable):
            self.context.cookie_due = Delete

    async def _refuse_signed(self, key: str) -> bool:
        """Refuse the signed cookie from now on, for what became of it, and return True if nobody was faster."""
        context = self.context
        signed, context.signed = context.signed, None
        if signed is None:
            return True
        tombstone = self.repository.tombstone(signed, context.rules, key)
        del signed  # debugging pages show locals
        is_first = not isinstance(await self.repository.store.create(*tombstone), Exists)
        await context.end_inherited(quietly=key != "")
        return is_first

    async def _write(self, turn: Turn) -> bool:
        context, intent = self.context, self.intent
        self._begin()
        if not self.answers and not self._needs_no_response():
            if intent.cleared and context.located is not None:
                await self._end()  # a logout is one, although what was stored since is lost
            return not (intent.modified or intent.renewal is Renewal.PROMOTE)
        record = None if context.located is None else context.located.record
        if self.renewal is not Renewal.NONE:
            await self._end_unreadable()
        outcome = await (self._create() if record is None else self._update(record, turn))
        match outcome:
            case Record():
                self._take_note()
                return True
            case None:
                context.located = None
                context.cookie_due = Delete
                self.state.rebase(LoadResult(self.opened.contents))
                return True
            case _:
                context.has_ended = isinstance(outcome, Gone) and record is not None
                report = Lost.GONE if isinstance(outcome, Gone) else Lost.REVOKED
                return self._lost(report) if intent.wants_writing or self.verifies else True  # it was but to be adopted

    def _begin(self) -> None:
        """Find out what is to be written, before it is merged with anything."""
        self._take_stock()
        self.renewal = self.intent.renewal
        if self.stored:
            self._prove()
        located = self.context.located
        if (None if located is None else located.record.subject) not in self._subjects:
            self.renewal = Renewal.PROMOTE  # another subject always gets another identifier
        elif self.renewal is Renewal.NONE and self.answers and self.repository.is_misplaced(located):
            self.renewal = Renewal.REGENERATE

    def _take_stock(self) -> None:
        snapshot = self.snapshot = self.opened.snapshot
        self.contents, self.stored = self.opened.contents, self.opened.contents.stored()
        self.version = 0 if snapshot is None else snapshot.version

    @property
    def _subjects(self) -> list[str | None]:
        """Whose session it is to be, in each namespace, the present one first."""
        return self.repository.subjects_of(subject_of(self.schema, self.stored))

    def _needs_no_response(self) -> bool:
        """Return True if what is to be written needs no cookie to be told. Otherwise say so, if it is a change."""
        intent = self.intent
        if self.context.located is not None and self.renewal is not Renewal.PROMOTE:
            if self.renewal is Renewal.REGENERATE:
                self.state.give_back(evolve(intent, assigned=None, cleared=False))  # until there is a response
                self.renewal = Renewal.NONE
            return True
        if intent.modified or intent.renewal is Renewal.PROMOTE:
            self.state.give_back(intent)
            self._lost(Lost.NO_COOKIE)
        return False

    async def _create(self) -> Outcome:
        write, identifier = await self._requested(None)
        created = await self.repository.store.create(self.repository.key_of(identifier), write)
        self.context.attempt = None
        if isinstance(created, Exists):
            raise StoreUnavailableError("the session store has a record under an identifier made just now")
        return created if isinstance(created, Revoked) else await self._adopted(identifier, created)

    async def _adopted(self, identifier: Identifier, created: Record) -> Outcome:
        """Return a record that was made of a signed cookie, unless another request was faster with that."""
        is_first, key = False, self.repository.key_of(identifier)
        try:
            is_first = await self._refuse_signed(key)
        finally:
            if not is_first:
                with suppress(StoreUnavailableError):
                    await self.repository.store.delete(key)
        if not is_first:
            self.context.stale_id = True
            return Gone()
        self._note_written(identifier, created)
        return created

    async def _update(self, record: Record, turn: Turn) -> Outcome:
        latest, self.context.newer = turn.latest or self.context.newer, None
        if latest is not None and latest.version != record.version and latest.as_of >= record.as_of:
            record, located = latest, self.context.located  # if it is older, another process has written since
            if located is not None:
                key = self.repository.key_of(located.identifier, latest.subject)
                self.context.located = Located(located.identifier, key, located.record, located.looked_at)
            if not self.intent.cleared:  # then nothing that others have put in is of what is to be written
                self._merge(record)
        for attempt in range(MOST_ATTEMPTS):
            outcome = await self._put(record)
            if isinstance(outcome, Gone):
                present = await self._moved_on()
                if isinstance(present, Moved) and self._logs_in and self.stored:
                    self.context.located, self.context.has_ended = None, False
                    return await self._create()
            elif isinstance(outcome, Conflict):
                present = outcome.present
            else:
                turn.latest = outcome if isinstance(outcome, Record) and self.renewal is Renewal.NONE else None
                return outcome
            if not isinstance(present, Record):
                return Gone()
            record = present
            start = time.monotonic()
            if not self.intent.cleared:
                self._merge(record)
            pause = max(min(attempt * _PAUSE, _LONGEST_PAUSE), time.monotonic() - start)
            await self.context.deadline.runtime.sleep(random.uniform(0, pause))  # noqa: S311 -- others take turns
        raise SessionConflictError("too many requests change this session at once")

    async def _put(self, record: Record) -> Outcome | Conflict:
        store, key = self.repository.store, self.context.key or ""
        if not self.stored:
            if await store.delete(key, version=record.version):
                return None
            present = await store.load(key)
            return Conflict(present) if isinstance(present, Record) else Gone()
        write, identifier = await self._requested(record)
        target = self.repository.key_of(identifier, write.subject)
        outcome = await store.update(key, record.version, write, move_to=None if target == key else target)
        self.context.attempt = None
        if isinstance(outcome, Record):
            self._note_written(identifier, outcome)
        return outcome

    def _note_written(self, identifier: Identifier, record: Record) -> None:
        located = self.context.located
        if located is None or identifier != located.identifier:
            self.context.cookie_due = Write
        self.context.located = Located(identifier, self.repository.key_of(identifier, record.subject), record)

    async def _requested(self, record: Record | None) -> tuple[WriteRequest, Identifier]:
        """Return what the store is to keep, proven to read back, and its identifier. `record` is what is there now."""
        if not self.payload:
            self._prove()
        subject, located = self._subjects[0], self.context.located
        if located is None or record is None or self.renewal is not Renewal.NONE:
            identifier = self.repository.new_identifier(subject)
        else:
            identifier = located.identifier
            subject = record.subject if self.repository.is_misplaced(located) else subject
        is_anew = subject not in (None, record and record.subject)
        since = await self.context.known_since(self.repository.store, subject) if is_anew else None
        attempt = self.context.attempt = Attempt(identifier, int(self.context.rules.clock()))
        key = self.repository.key_of(identifier, subject)
        write = WriteRequest(
            Parts(name_of(self.format), attempt.token, self.payload).packed(attempt.stamp, key, self.context.rules),
            self.repository.lifetime,
            subject,
            since,
            restart=self.renewal is Renewal.PROMOTE,
            device=None if record is None else record.device,
        )
        return write, identifier

    def _prove(self) -> None:
        rules = self.context.rules
        if self.contents is None:
            self.format, encoded = rules.writer, rules.writer.codec.write_stored(self.stored, self.version)
        else:
            self.format, encoded = rules.encode(self.contents, self.snapshot, self.version)
        self.payload = encoded.payload
        self.context.lossy_keys.update(encoded.lossy_keys)

    def _take_note(self) -> None:
        """Take what was written as what was loaded, and show in the session what was merged into it."""
        opened = self.opened
        self._take_over()
        was_permanent = bool(opened.snapshot is not None and opened.snapshot.stored.get("_permanent"))
        snapshot = Snapshot(self.format.codec, self.payload, self.payload, self.version)
        self.state.rebase(LoadResult(opened.contents, snapshot, opened.sealed, new=False))
        if was_permanent or is_permanent(self.session):
            self.context.cookie_due = Write

    async def _find_out(self, attempt: Attempt) -> None:
        """Ask what became of a write that was not answered, and take it as loaded if it took place."""
        context, opened = self.context, self.opened
        found = await self.repository.found(self.repository.keys_of(attempt.identifier))
        context.attempt, present = None, next((each for each in found if was_written_by(attempt, each.payload)), None)
        if present is None:
            return
        if context.located is None and isinstance(await self._adopted(attempt.identifier, present), Gone):
            return
        self._note_written(attempt.identifier, present)
        written = read(present.payload, context.key or "", context.rules)
        snapshot = opened.snapshot if isinstance(written, Refused) else written.snapshot
        self.opened = LoadResult(opened.contents, snapshot, opened.sealed, new=False)

    def _merge(self, record: Record) -> None:
        """Merge what is to be written into what is there now. Raises SessionConflictError."""
        theirs, ours, schema = self._read(record), self.stored, self.schema
        if self.payload:  # copies: the live objects may change while the store is asked
            loaded = self.format.codec.decode(self.payload)
            ours = loaded.contents.stored() if isinstance(loaded, Loaded) else ours
        fresh = None if schema.keyed else schema.create()  # a rule may change what it is given
        self.stored = merged(
            {} if self.snapshot is None else self.snapshot.stored,
            ours,
            theirs.contents.stored(),
            means_the_same=self._mean_the_same,
            rules={name: field.merge for name, field in schema.fields.items() if field.merge is not None},
            defaults={} if fresh is None else {name: schema.read(fresh, name) for name in schema.fields},
            generated=frozenset(schema.varying),
        )
        self.unmerged = ours if self.unmerged is None else self.unmerged
        self.snapshot, self.payload = theirs.snapshot, b""
        self.version = max(self.version, 0 if theirs.snapshot is None else theirs.snapshot.version)
        try:
            self.contents = contents_of(self.schema, self.stored)
        except Exception:  # noqa: BLE001 -- a converter or validator of the user's may raise anything
            self.contents = None

    def _bring(self, record: Record) -> None:
        """Merge unsaved changes into what is there now, and show it in the session, or change nothing."""
        self._take_stock()
        self._merge(record)
        if self.contents is None:
            raise SessionConflictError("the class refuses what two requests have made of the session")
        self._take_over()
        theirs = self._read(record)  # once more: what was read is in the session by now, where it may change
        self.state.opened = LoadResult(self.opened.contents, theirs.snapshot, self.opened.sealed, new=False)
        for report in theirs.reports:
            self.state.source.report(report)

    def _read(self, record: Record) -> LoadResult[S]:
        found = read(record.payload, self.context.key or "", self.context.rules)
        if isinstance(found, Refused):
            raise SessionConflictError("another request has made of the session what this one cannot read")
        return found

    def _take_over(self) -> None:
        """Show in the session what others have changed. What has changed here meanwhile stays, and is a change."""
        if self.unmerged is None or self.contents is None:
            return
        live, theirs, ours = self.opened.contents.stored(), self.contents.stored(), self.unmerged
        merged_keys = [
            key
            for key in {**theirs, **ours}
            if not self._mean_the_same(key, theirs.get(key, MISSING), ours.get(key, MISSING))
            and self._mean_the_same(key, live.get(key, MISSING), ours.get(key, MISSING))
        ]
        self.opened.contents.take(self.contents, merged_keys)

    def _mean_the_same(self, key: str, one: object, other: object) -> bool:
        """Return True if what would be written of two values of a key, either of which may be MISSING, is the same."""
        if one is MISSING or other is MISSING:
            return one is other
        if same(one, other):
            return True
        canonical = self.context.rules.writer.codec.canonical
        try:
            return canonical({key: one}) == canonical({key: other})
        except SerializationError:
            return False
