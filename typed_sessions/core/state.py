"""`SessionState`: what the library itself needs of a session, which a program is not shown."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, Generic, Protocol

import msgspec
from attrs import field, frozen
from typing_extensions import TypeVar

from typed_sessions.codec.codec import Changes, Snapshot
from typed_sessions.codec.contents import Contents
from typed_sessions.reports import ChangeLost, Report, ReportSink, log_report
from typed_sessions.schema.values import Value

__all__ = [
    "AWAITED",
    "FAILED",
    "MADE_LATE",
    "SAVED",
    "SUPPRESSED",
    "UNSAVED",
    "Binding",
    "ExtrasRule",
    "Intent",
    "LoadResult",
    "Lost",
    "Progress",
    "Renewal",
    "SessionState",
    "Source",
]

S = TypeVar("S", default=dict[str, object])


@frozen
class ExtrasRule:
    """Which undeclared keys a program may set. Keys that begin with `_` are always allowed."""

    allowed: frozenset[str] | None = None
    """None allows all."""

    def allows(self, key: str) -> bool:
        return self.allowed is None or str(key).startswith("_") or key in self.allowed


class LoadResult(Value, Generic[S]):
    """What opening a session gave."""

    contents: Contents[S]
    snapshot: Snapshot[S] | None = None
    """None if there is nothing to compare with: what is stored now is the change."""
    sealed: str | None = None
    """The sealed text that was opened, of those that came."""
    new: bool = True
    reports: tuple[Report, ...] = ()


MADE_LATE: Final = ChangeLost("it was made after the session was saved; change it before the response is made")


SUPPRESSED: Final = ChangeLost("`session.modified = False`, or should_set_cookie, keeps it from being written")


class Lost:
    """Why a change of a session in a store is lost."""

    NO_COOKIE: Final = ChangeLost(
        "there is no response to carry the session's identifier; begin or renew the session in a request, before a "
        "websocket opens or a stream begins"
    )
    LATE: Final = ChangeLost("its session had got another identifier just before it came")
    GONE: Final = ChangeLost("the session was ended, or got another identifier, while this request was in flight")
    REVOKED: Final = ChangeLost("the sessions of its subject were ended while this request was in flight")


class Source(Protocol[S]):
    """Where a session comes from: what ties it to its request."""

    @property
    def sealed(self) -> tuple[str, ...]:
        """The sealed texts that came with the request; nobody has verified them."""
        ...

    @property
    def rule(self) -> ExtrasRule:
        """Which undeclared keys may be set."""
        ...

    @property
    def late_change(self) -> Report:
        """What there is to say of a change that is made after the save."""
        ...

    @property
    def has_rivals(self) -> bool:
        """True if the request brought more than one genuine session cookie. Known once the session is open."""
        ...

    def open(self) -> LoadResult[S]:
        """Open the session. Called at the first touch, by each thread that comes before one of them is done."""
        ...

    def report(self, report: Report) -> None:
        """Take what there is to say of the session."""
        ...


@frozen
class Binding(Generic[S]):
    """A source that is given in parts."""

    opener: Callable[[], LoadResult[S]]
    sealed: tuple[str, ...] = field(default=(), repr=False)
    rule: ExtrasRule = ExtrasRule()
    sink: ReportSink = log_report
    late_change: Report = MADE_LATE
    has_rivals: bool = False

    def open(self) -> LoadResult[S]:
        return self.opener()

    def report(self, report: Report) -> None:
        self.sink(report)


class Renewal(Enum):
    """What is to become of a session's identifier."""

    NONE = auto()
    REGENERATE = auto()
    """The session gets another one."""
    PROMOTE = auto()
    """The session gets another one, and its absolute lifetime begins anew."""


@frozen
class Intent:
    """What a program has asked of a session beside its contents, since it was loaded or saved last."""

    modified: bool
    assigned: bool | None
    """What was assigned to `modified`."""
    renewal: Renewal
    cleared: bool
    """True if everything was taken out: what is stored now has nothing to do with what was loaded."""
    invalidated: bool
    """True if what was loaded is to end: what is stored now is another session."""

    @property
    def wants_writing(self) -> bool:
        """True if there is anything to save."""
        return self.invalidated or self.renewal is not Renewal.NONE or self.modified


class Progress(Enum):
    """How far the response of a session's request has come."""

    AWAITED = auto()
    """It has still to be made, and will carry what is to be saved."""
    FAILED = auto()
    """The session could not be saved with it. The error response has still to be made, and must not try again."""
    SAVED = auto()
    """It was made, and the session saved with it."""
    UNSAVED = auto()
    """The error response was made, without the session."""


AWAITED: Final = Progress.AWAITED
FAILED: Final = Progress.FAILED
SAVED: Final = Progress.SAVED
UNSAVED: Final = Progress.UNSAVED
"""The same by names that are found at once: Python 3.11 calls a function for each member of an enumeration."""


class SessionState(Value, Generic[S]):
    """What the library keeps of one session, and asks of it, beside what is in it."""

    source: Source[Any]
    """Where the session comes from."""
    progress: Progress = AWAITED
    assigned: bool | None = None
    """What was assigned to `modified`."""
    renewal: Renewal = Renewal.NONE
    cleared: bool = False
    invalidated: bool = False
    sent: str | None = None
    """What the response has made of the cookie: its value, or none; None if the browser keeps what it had."""
    was_used_late: bool = False
    """True if anybody has asked for what is in the session after its response was made."""
    loss_is_reported: bool = False
    loaded: list[tuple[LoadResult[S]]] = msgspec.field(default_factory=list)
    """What opening the session gave to each of the first threads, in a tuple of its own: the first one counts."""

    @property
    def opened(self) -> LoadResult[S] | None:
        """What is in the session; None until the first touch."""
        return self.loaded[0][0] if self.loaded else None

    @opened.setter
    def opened(self, opened: LoadResult[S]) -> None:
        self.loaded[:1] = [(opened,)]

    def open(self) -> LoadResult[S]:
        """Return what opening the session gives, without counting it as an access.

        No thread waits for another. Where several open it at once, what all but the first have made is dropped, with
        what there is to say of it.
        """
        loaded = self.loaded
        if loaded:
            return loaded[0][0]
        ours = (self.source.open(),)
        loaded.append(ours)
        first = loaded[0]
        if first is ours:
            for report in first[0].reports:
                self.source.report(report)
        return first[0]

    @property
    def awaits_response(self) -> bool:
        """True if the response, or the error response, has still to be made."""
        return self.progress is AWAITED or self.progress is FAILED

    @property
    def has_failed(self) -> bool:
        """True if the session could not be saved with its response."""
        return self.progress is FAILED or self.progress is UNSAVED

    def note_change(self) -> None:
        """Say, once, that what is changed after the response was made, or could not be saved, is lost."""
        if self.progress is not AWAITED:
            self.report_loss(self.source.late_change)

    def report_loss(self, report: Report) -> None:
        """Say of a change that it is lost, once until the session is saved again."""
        if not self.loss_is_reported:
            self.loss_is_reported = True
            self.source.report(report)

    def diff(self) -> tuple[bool, Changes | None]:
        """Return what `modified` says, and the changes that were found, if there are any to what was loaded."""
        assigned = self.assigned
        if not self.loaded or assigned is False:
            return bool(assigned), None
        differs, changes = self.compared()
        return assigned or differs, changes

    def compared(self) -> tuple[bool, Changes | None]:
        """Return True if the contents are others than what was loaded, whatever was assigned, and the changes."""
        opened = self.open()
        contents, snapshot = opened.contents, opened.snapshot
        if self.cleared and self.source.sealed and not contents.keys():
            return True, None  # the cookie goes, also one that this instance could not read
        if snapshot is None:
            return len(contents.keys()) > 0, None
        changes = snapshot.codec.diff(contents, snapshot)
        return changes is not None, changes

    @property
    def modified(self) -> bool:
        """What `modified` says; see `Session.modified`."""
        return self.diff()[0] if self.assigned is None else self.assigned

    @property
    def wants_writing(self) -> bool:
        """True if there is anything to save."""
        return self._intent.wants_writing

    @property
    def _intent(self) -> Intent:
        return Intent(self.modified, self.assigned, self.renewal, self.cleared, self.invalidated)

    def take_intent(self) -> Intent:
        """Return what is to be saved beside the contents. What is asked for from now on is for the next save."""
        intent = self._intent
        self.assigned = None
        self.renewal, self.cleared, self.invalidated = Renewal.NONE, False, False
        return intent

    def give_back(self, intent: Intent) -> None:
        """Keep for the next save what this one could not do."""
        self.assigned = intent.assigned if self.assigned is None else self.assigned
        self.renewal = intent.renewal if self.renewal is Renewal.NONE else self.renewal
        self.cleared = self.cleared or intent.cleared
        self.invalidated = self.invalidated or intent.invalidated

    def rebase(self, opened: LoadResult[S]) -> None:
        """Take what was just written as what was loaded, so that only later changes count as such."""
        self.opened = opened
        self.loss_is_reported = False
