"""`SessionState`: what the library itself needs of a session, which a program is not shown."""

from __future__ import annotations

from _thread import RLock  # what `threading.RLock` makes, without a function in between
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum, auto
from threading import Lock
from typing import Any, Final, Generic, Protocol

from attrs import field, frozen
from typing_extensions import TypeVar

from typed_sessions.codec.codec import Changes, Snapshot
from typed_sessions.codec.contents import Contents
from typed_sessions.reports import ChangeLost, Report, ReportSink, UsedLate, log_report
from typed_sessions.schema.values import Value

__all__ = [
    "KEEP_EXTRAS",
    "MADE_LATE",
    "SUPPRESSED",
    "Binding",
    "ExtrasRule",
    "Intent",
    "Opened",
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


KEEP_EXTRAS: Final = ExtrasRule()


class Opened(Value, Generic[S]):
    """What opening a session gave."""

    contents: Contents[S]
    origin: Snapshot[S] | None = None
    """None if there is nothing to compare with: what is stored now is the change."""
    sealed: str | None = None
    """The sealed text that was opened, of those that came."""
    new: bool = True
    reports: tuple[Report, ...] = ()
    has_rivals: bool = False
    """True if more than one genuine text came."""


MADE_LATE: Final = ChangeLost("it was made after the session was saved; change it before the response is made")


SUPPRESSED: Final = ChangeLost("`session.modified = False`, or should_set_cookie, keeps it from being written")


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
    def leaves_untouched(self) -> bool:
        """True if a session that nobody touched is left alone, whatever is in it: no refresh can be due."""
        ...

    @property
    def late_change(self) -> Report:
        """What there is to say of a change that is made after the save."""
        ...

    @property
    def has_rivals(self) -> bool:
        """True if the request brought more than one genuine session cookie. Known once the session is open."""
        ...

    def open(self) -> Opened[S]:
        """Open the session. Called once, at the first touch, from whichever thread touches the session."""
        ...

    def report(self, report: Report) -> None:
        """Take what there is to say of the session."""
        ...


@frozen
class Binding(Generic[S]):
    """A source that is given in parts."""

    opener: Callable[[], Opened[S]]
    sealed: tuple[str, ...] = field(default=(), repr=False)
    rule: ExtrasRule = KEEP_EXTRAS
    sink: ReportSink = log_report
    leaves_untouched: bool = False
    late_change: Report = MADE_LATE
    has_rivals: bool = False

    def open(self) -> Opened[S]:
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


_making_locks: Final = Lock()
"""Is held while a session gets its own lock: one for all threads that touch it first."""


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


_streaming: Final[ContextVar[object]] = ContextVar("streaming", default=None)
"""What belongs to the response that is made here while it is sent. A task that was begun before the save makes none."""


class SessionState(Generic[S]):
    """What the library keeps of one session, and asks of it, beside what is in it.

    Args:
        source: where the session comes from.
    """

    renewal: Renewal = Renewal.NONE
    invalidated: bool = False
    sent: str | None = None
    """What the response has made of the cookie: its value, or none; None if the browser keeps what it had."""
    was_used_late: bool = False
    """True if anybody has asked for what is in the session after its response was made."""
    _loss_is_reported = False

    def __init__(self, source: Source[Any]) -> None:
        self.source = source
        self.opened: Opened[S] | None = None
        """None until the first touch."""
        self.assigned: bool | None = None
        """What was assigned to `modified`."""
        self.cleared: bool = False
        self.progress: Progress = Progress.AWAITED
        self._lock: RLock | None = None

    def open(self) -> Opened[S]:
        """Return what opening the session gives, without counting it as an access."""
        return self.opened or self._load()

    def _load(self) -> Opened[S]:
        with _making_locks:
            lock = self._lock = self._lock or RLock()
        with lock:
            opened = self.opened
            if opened is not None:
                return opened
            opened = self.opened = self.source.open()
        for report in opened.reports:
            self.source.report(report)
        return opened

    @property
    def is_untouched(self) -> bool:
        """True if nobody has opened the session, or set its flags, and no refresh can be due."""
        return self.opened is None and self.assigned is None and self.source.leaves_untouched

    @property
    def awaits_response(self) -> bool:
        """True if the response, or the error response, has still to be made."""
        return self.progress in (Progress.AWAITED, Progress.FAILED)

    @property
    def has_failed(self) -> bool:
        """True if the session could not be saved with its response."""
        return self.progress in (Progress.FAILED, Progress.UNSAVED)

    def note_saved(self, *, streams: bool) -> None:
        """Note that the session was saved with its response: what changes from now on is lost.

        Args:
            streams: whether a program makes the response while it is sent, and has not used the session before.
        """
        self.progress = Progress.SAVED
        if streams:
            _streaming.set(self)

    def note_use(self, *, accessed: bool) -> None:
        """Take note of a use of the session after its response was made."""
        self.was_used_late = True
        if not accessed and _streaming.get() is self:
            self.source.report(UsedLate())

    def note_change(self) -> None:
        """Say, once, that what is changed after the response was made, or could not be saved, is lost."""
        if self.progress is not Progress.AWAITED:
            self.report_loss(self.source.late_change)

    def report_loss(self, report: Report) -> None:
        """Say of a change that it is lost, once until the session is saved again."""
        if not self._loss_is_reported:
            self._loss_is_reported = True
            self.source.report(report)

    def judged(self) -> tuple[bool, Changes[S] | None]:
        """Return what `modified` says, and the changes that were found, if there are any to what was loaded."""
        if self.opened is None or self.assigned is False:
            return bool(self.assigned), None
        differs, changes = self.compared()
        return self.assigned or differs, changes

    def compared(self) -> tuple[bool, Changes[S] | None]:
        """Return True if the contents are others than what was loaded, whatever was assigned, and the changes."""
        opened = self.open()
        if self.cleared and self.source.sealed and not opened.contents.keys():
            return True, None  # the cookie goes, also one that this instance could not read
        if opened.origin is None:
            return len(opened.contents.keys()) > 0, None
        changes = opened.origin.codec.diff(opened.contents, opened.origin)
        return changes is not None, changes

    @property
    def wants_writing(self) -> bool:
        """True if there is anything to save."""
        return self._intent.wants_writing

    @property
    def _intent(self) -> Intent:
        modified = self.judged()[0] if self.assigned is None else self.assigned
        return Intent(modified, self.assigned, self.renewal, self.cleared, self.invalidated)

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

    def rebase(self, opened: Opened[S]) -> None:
        """Take what was just written as what was loaded, so that only later changes count as such."""
        self.opened = opened
        self._loss_is_reported = False
