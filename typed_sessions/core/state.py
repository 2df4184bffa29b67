"""`SessionState`: what the library itself needs of a session, which a program is not shown."""

from __future__ import annotations

from _thread import RLock  # what `threading.RLock` makes, without a function in between
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from enum import Enum, auto
from functools import cached_property
from threading import Lock
from typing import Any, Final, Generic, Protocol

from attrs import field, frozen
from typing_extensions import TypeVar

from typed_sessions.codec.codec import Codec
from typed_sessions.codec.contents import Contents
from typed_sessions.codec.payloads import Decoded, Draft, Lowered, Read
from typed_sessions.errors import SerializationError
from typed_sessions.reports import ChangeLost, Report, ReportSink, UsedLate, log_report
from typed_sessions.schema.sameness import same
from typed_sessions.schema.values import Value

__all__ = [
    "KEEP_EXTRAS",
    "MADE_LATE",
    "SUPPRESSED",
    "Binding",
    "ExtrasRule",
    "Intent",
    "Opened",
    "Origin",
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


class Origin(Value, Generic[S], dict=True):
    """The payload that a session was loaded from, and what reads it. Changes are found by comparing with it."""

    codec: Codec[S]
    """What read the payload."""
    payload: bytes
    """The payload as it came."""
    decoded: Decoded[S] | None = None
    """What it held; None if it holds what this release has just written."""
    written_version: int = 0
    """The version of what was just written."""

    def remember(self) -> None:
        """Write what was loaded while nobody has changed it, so that it need not be read again to compare with it."""
        decoded = self.decoded
        if decoded is not None and type(decoded) is not Read and not decoded.generated:
            with suppress(Exception):  # code of the user's may raise anything; the save meets it again
                self._rewritten = self.codec.payload(decoded.contents, decoded.version)

    @property
    def version(self) -> int:
        """The version of the payload that was read: after migration, where there was one."""
        return self.written_version if self.decoded is None else self.decoded.version

    @property
    def stored(self) -> Mapping[str, object]:
        """What was loaded. Nobody may change it."""
        return self._stored

    def holds(self, contents: Contents[S]) -> bool:
        """Return True if contents mean what was loaded, whatever the order of their keys.

        What cannot be written, and yet was loaded, is compared by value.
        """
        return self.judged(contents)[0]

    def judged(self, contents: Contents[S]) -> tuple[bool, Draft[S] | None]:
        """Return True if contents mean what was loaded, and their draft, if that took one and they can be written."""
        decoded = self.decoded
        if isinstance(decoded, Read) and decoded.contents is contents:
            seen = self.codec.look(decoded)
            if type(seen) is Lowered:
                return False, seen
            if seen is not None:
                return True, None
        return self._judged_at_length(contents)

    def _judged_at_length(self, contents: Contents[S]) -> tuple[bool, Draft[S] | None]:
        decoded, codec = self.decoded, self.codec
        try:
            if "_rewritten" in self.__dict__ and codec.payload(contents, self.version) == self._rewritten:
                return True, None
            draft = codec.draft(contents, self.version, unless=self._read)
            if draft.payload == self._read:
                return True, draft
            if decoded is not None and not decoded.generated:
                if codec.differs(draft, decoded):
                    return False, draft
                rewritten = self._rewritten
                if draft.payload == rewritten:
                    return True, draft
                if rewritten is not None and codec.is_built_in and Counter(draft.payload) != Counter(rewritten):
                    return False, draft  # another order of keys alone makes no other bytes
            return codec.canonical(contents.stored()) == self._canonical, draft
        except SerializationError:
            return same(contents.stored(), self._stored), None

    @property
    def _read(self) -> bytes:
        """The payload that was read: after migration, where there was one."""
        return self.payload if self.decoded is None else self.decoded.payload

    @cached_property
    def _stored(self) -> Mapping[str, object]:
        """What was loaded; empty if it cannot be read again, which only a fault explains."""
        decoded = self.decoded
        if decoded is not None and decoded.remembered is not None:
            return decoded.remembered
        outcome = self.codec.decode(self._read)
        return outcome.contents.stored() if isinstance(outcome, Decoded) else {}

    @cached_property
    def _rewritten(self) -> bytes | None:
        """What reading the payload and writing it again makes of it; None if it cannot be read."""
        return None if self.decoded is None else self.codec.rewritten(self.decoded)

    @cached_property
    def _canonical(self) -> bytes:
        """What was loaded, as this release would write it."""
        return self.codec.canonical(self._stored)


class Opened(Value, Generic[S]):
    """What opening a session gave."""

    contents: Contents[S]
    origin: Origin[S] | None = None
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

    def judged(self) -> tuple[bool, Draft[S] | None]:
        """Return what `modified` says, and the draft that was made of the contents to find it out, if one was."""
        if self.opened is None or self.assigned is False:
            return bool(self.assigned), None
        differs, draft = self.compared()
        return self.assigned or differs, draft

    def compared(self) -> tuple[bool, Draft[S] | None]:
        """Return True if the contents are others than what was loaded, whatever was assigned, and the draft."""
        opened = self.open()
        if self.cleared and self.source.sealed and not opened.contents.keys():
            return True, None  # the cookie goes, also one that this instance could not read
        if opened.origin is None:
            return len(opened.contents.keys()) > 0, None
        holds, draft = opened.origin.judged(opened.contents)
        return not holds, draft

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
