"""`StoredContext`: what a request knows of its session, from its cookie on until the response tells the browser."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from threading import Lock as Mutex
from typing import Final, Generic

from msgspec import field
from typing_extensions import TypeVar

from typed_sessions.codec.contents import contents_of
from typed_sessions.core.lifecycle import CookieAction, Delete, Keep, Write
from typed_sessions.core.predecessors import Claim, Inheritance
from typed_sessions.core.rules import Rules
from typed_sessions.core.state import ExtrasRule, LoadResult
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.reports import ChangedLate, Reason, Refused, Report, ReportSink
from typed_sessions.schema.values import Value
from typed_sessions.server.records import Attempt, read
from typed_sessions.server.repository import Located, Repository
from typed_sessions.server.runtime import Deadline, Lock
from typed_sessions.stores.base import PlacedStore, Record, SessionStore

__all__ = ["StoredContext"]

S = TypeVar("S", default=dict[str, object])

_deciding: Final = Mutex()
"""Is held while what was found becomes what is there; no code of the user's runs meanwhile."""


class StoredContext(Value, Generic[S]):
    """A request as a session's source, and what it has made of the session in the store so far."""

    rules: Rules[S]
    sealed: tuple[str, ...]
    """The values of the session cookie."""
    sink: ReportSink
    deadline: Deadline
    began: float = field(default_factory=time.monotonic)
    located: Located | None = None
    """The record, as it was loaded or written last; None if there is none yet, or any more."""
    as_of: datetime | None = None
    """From which moment, by the store's clock, the request knows what it knows; see `WriteRequest.as_of`."""
    signed: str | None = None
    """The genuine signed cookie that is to be adopted: to become a session in the store."""
    claims: tuple[Claim, ...] = ()
    """What came of other libraries' cookies, and may lead to sessions of theirs."""
    inherited: Claim | None = None
    """That of these which is to be adopted; `signed` is its mark then."""
    signed_texts: tuple[str, ...] = ()
    """The signed cookies that came, and might be adopted."""
    opened: LoadResult[S] | None = None
    """What is in that; for other cookies, what is in the record, once the session was touched."""
    refused: Refused | None = None
    stale_id: bool = False
    """True if the browser sent it before it knew that the session has another identifier, or none any more."""
    has_ended: bool = False
    """True once it is known that the session was ended, or got another identifier elsewhere."""
    others: set[str] = field(default_factory=set[str])
    """The keys of what else came: records of other cookies, one that this release cannot read, one that has moved."""
    unreadable: str | None = None
    """That of the record that this release cannot read, if there is one."""
    genuine: int = 0
    """How many genuine session cookies came."""
    is_plain: bool = False
    """True if all that came is one identifier, whose record was under its present key."""
    failure: StoreUnavailableError | None = None
    """What kept the store from answering."""
    attempt: Attempt | None = None
    """What was asked to be written, and not answered."""
    cookie_due: type[CookieAction] = Keep
    """What is to become of the cookie; what is written is the identifier that the session has in the end."""
    lossy_keys: set[str] = field(default_factory=set[str])
    """The undeclared keys whose values will read back as others."""
    newer: Record | None = None
    """What was there instead when the data was to be written."""
    saving: Lock | None = None
    """See `lock`."""

    @property
    def lock(self) -> Lock:
        """Held by a save: one comes after the other."""
        with _deciding:
            if self.saving is None:
                self.saving = self.deadline.runtime.lock()
            return self.saving

    @property
    def rule(self) -> ExtrasRule:
        return self.rules.settings.extras

    @property
    def late_change(self) -> Report:
        return ChangedLate()

    @property
    def has_rivals(self) -> bool:
        return self.genuine > 1

    def open(self) -> LoadResult[S]:
        if self.failure is not None and self.rules.settings.raise_on_store_error:
            raise StoreUnavailableError(str(self.failure)) from self.failure.__cause__
        located, opened = self.located, self.opened
        if opened is not None:
            return opened
        found = None if located is None else read(located.record.payload, located.key, self.rules)
        if isinstance(found, LoadResult):
            opened = found
        else:
            refused = found or self.refused
            opened = LoadResult(contents_of(self.rules.schema, {}), reports=(refused,) if refused else ())
        with _deciding:  # what one of the threads has found that touch the session first, all have
            if self.opened is None:
                self.opened = opened
                if isinstance(found, Refused):  # another release may read it; this one must not write over it
                    self.unreadable, self.located = self.key, None
            return self.opened

    def report(self, report: Report) -> None:
        self.sink(report)

    @property
    def key(self) -> str | None:
        """What the store knows the record by, perhaps in an earlier namespace."""
        return None if self.located is None else self.located.key

    @property
    def is_due(self) -> bool:
        """True if the record was not counted as seen for long enough."""
        return self.located is not None and self.located.unseen_for >= self.rules.refresh_after

    async def known_since(self, store: SessionStore, subject: str | None = None) -> datetime:
        """Return from which moment, by the store's clock, the request knows whose session it is, or an earlier one."""
        if isinstance(store, PlacedStore):  # the clock that a record was loaded by may be another one
            return await store.now(subject) - timedelta(seconds=time.monotonic() - self.began)
        if self.as_of is None:
            now = await store.now()
            self.as_of = now - timedelta(seconds=time.monotonic() - self.began)
        return self.as_of

    async def end_inherited(self, *, quietly: bool) -> None:
        """Have what was adopted of another library's lead nowhere there, either. Here a tombstone refuses it."""
        if self.inherited is not None:
            with suppress(*((StoreUnavailableError,) if quietly else ())):
                await self.deadline.runtime.call(self.inherited.end)

    async def end_claims(self, repository: Repository) -> None:
        """Have what else came of other libraries' cookies open nothing any more, as far as it is genuine."""
        claims, self.claims, rules, call = {*self.claims} - {self.inherited}, (), self.rules, self.deadline.runtime.call
        for claim in claims:
            found = await call(partial(claim.predecessor.load, claim.text, rules.now()))
            # a record that cannot be read here may be open there
            if isinstance(found, Inheritance) or (claim.predecessor.needs_store and found.reason is Reason.UNREADABLE):
                await repository.store.create(*repository.tombstone(claim.mark, rules))
                await call(claim.end)

    def decision(self) -> CookieAction:
        """Return what becomes of the cookie."""
        if self.cookie_due is Write and self.located is not None:
            return Write(self.located.identifier.text)
        return Delete() if self.cookie_due is Delete else Keep()
