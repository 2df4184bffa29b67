"""`Session[S]` and its kinds: the mapping that a program sees, and the flags of a session."""

from __future__ import annotations

import copy
from _thread import RLock  # what `threading.RLock` makes, without a function in between
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from enum import Enum, auto
from functools import cached_property
from threading import Lock
from typing import Any, Final, Generic, NoReturn, Protocol, Self, SupportsIndex, cast, overload

from attrs import field, frozen
from typing_extensions import TypeVar, override

from typed_sessions.codec import Codec
from typed_sessions.contents import Contents, contents_of
from typed_sessions.errors import SerializationError, UndeclaredKeyError
from typed_sessions.payloads import Decoded, Draft, Lowered, Read
from typed_sessions.reports import ChangeLost, Report, ReportSink, UsedLate, log_report
from typed_sessions.sameness import same
from typed_sessions.schema import Schema
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer
from typed_sessions.values import Value

__all__ = [
    "Extras",
    "ExtrasRule",
    "Intent",
    "NullSession",
    "Opened",
    "Origin",
    "Renewal",
    "SecureCookieSession",
    "Session",
    "SessionMixin",
    "Source",
]

S = TypeVar("S", default=dict[str, object])
S_co = TypeVar("S_co", covariant=True, default=dict[str, object])
K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)

_MISSING: Final = object()


class Keyed(Protocol[K, V_co]):
    """What `dict.update` takes beside pairs: anything with keys and items.

    Generic, so that a checker reads a dict display with the keys that are expected of it, not with those of a Literal.
    """

    def keys(self) -> Iterable[K]:
        """Return the keys."""
        ...

    def __getitem__(self, key: K, /) -> V_co: ...


class SessionMixin(MutableMapping[str, object]):
    """What a framework asks of a session beyond a mapping. Same meaning as `quart.sessions.SessionMixin`."""

    accessed: bool = False
    """True once the session was used. The response then varies by cookie. May be assigned."""

    _modified: bool = True

    @property
    def new(self) -> bool:
        """True if no valid session came with the request, as far as an implementation can tell."""
        return False

    @property
    def modified(self) -> bool:
        """True if the session is to be saved. May be assigned; always True where changes are not tracked."""
        return self._modified

    @modified.setter
    def modified(self, value: bool) -> None:
        self._modified = value

    @property
    def permanent(self) -> bool:
        """True if the session outlives the browser's, for `PERMANENT_SESSION_LIFETIME`: the key `_permanent`."""
        return bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


class Session(SessionMixin, Generic[S_co]):
    """A session whose contents are an object of the class that the user declared.

    `data` is that object. The mapping shows what of it is stored, by attribute name, beside undeclared keys.
    """

    @property
    @abstractmethod
    def data(self) -> S_co:
        """The live object: what is changed in it, at any depth, is saved."""

    @property
    @abstractmethod
    def extras(self) -> MutableMapping[str, object]:
        """The keys that the schema does not declare, such as those of extensions."""

    def copy(self) -> dict[str, object]:
        """Return what is stored as a dict."""
        return dict(self)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self))

    def __or__(self, other: Mapping[str, object]) -> dict[str, object]:
        return self.copy() | dict(other)

    def __ror__(self, other: Mapping[str, object]) -> dict[str, object]:
        return dict(other) | self.copy()

    @abstractmethod
    def __ior__(self, other: Mapping[str, object]) -> Self: ...

    @abstractmethod
    def regenerate(self) -> None:
        """Give the session a new identifier, with the same contents; the present one is dead from the save on.

        A session that is kept in a cookie has no identifier: it stays as it is.
        """

    @abstractmethod
    def invalidate(self) -> None:
        """End the session: a logout. Everything is taken out, and what is stored afterwards is another session."""

    @abstractmethod
    def promote(self, **fields: object) -> None:
        """Store values in the session under a new identifier: a login. Its absolute lifetime begins anew.

        Raises:
            FieldTypeError: a value does not fit its field.
            UndeclaredKeyError: a key is not allowed.
        """


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

    @property
    def _rewritten(self) -> bytes | None:
        """What reading the payload and writing it again makes of it; None if it cannot be read."""
        outcome = self.codec.decode(self._read)
        return self.codec.draft(outcome.contents, self.version).payload if isinstance(outcome, Decoded) else None

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
class _Binding(Generic[S]):
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


def _opened_with(initial: Mapping[str, object], schema: Schema[S]) -> Opened[S]:
    """Return what a program asked a session to begin with, as if it had been loaded."""
    contents = contents_of(schema, {})
    for key in initial:
        _refuse_earlier_name(key, schema)
    contents.update(initial)
    codec = Codec(schema, TaggedJSONSerializer())
    try:
        return Opened(contents, Origin(codec, codec.encode(contents.stored())) if initial else None)
    except SerializationError:  # the save will say so
        return Opened(contents)


def _refuse_earlier_name(key: str, schema: Schema[Any]) -> None:
    """Refuse a key that would be read as a field, at the latest in the next request. Raises UndeclaredKeyError."""
    if key in schema.renamed:
        raise UndeclaredKeyError(key, (), schema.renamed[key])


def _opened_empty() -> Opened[Any]:
    return _opened_with({}, Schema())


_making_locks: Final = Lock()
"""Is held while a session gets its own lock: one for all threads that touch it first."""


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


_MADE_BY_A_PROGRAM: Final = _Binding(_opened_empty)


class SecureCookieSession(Session[S_co]):
    """A session that is kept in a signed cookie. Its contents are decoded at the first touch.

    Args:
        initial: what is stored, by key, to begin with. It does not count as a change.
        schema: the class that declares the contents, or its `Schema`; without one, everything may be stored.

    Raises:
        SchemaError: the class cannot be a schema.
        FieldTypeError: an initial value does not fit its field.
        UndeclaredKeyError: an initial key is an earlier name of a field.
    """

    _source: Source[Any] = _MADE_BY_A_PROGRAM
    _opened: Opened[S_co] | None = None
    _assigned: bool | None = None
    _saved: bool | None = None
    _lock: RLock | None = None
    _cleared = False
    _renewal = Renewal.NONE
    _invalidated = False
    _loss_reported = False
    _is_streamed = True
    _used_late = False
    decision: object = None
    """What has become of the cookie with the save."""

    @overload
    def __init__(
        self: SecureCookieSession[dict[str, object]],
        initial: Mapping[str, object] | Iterable[tuple[str, object]] | None = None,
        *,
        schema: None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        initial: Mapping[str, object] | Iterable[tuple[str, object]] | None = None,
        *,
        schema: Callable[[], S_co] | Schema[S_co],
    ) -> None: ...
    def __init__(
        self,
        initial: Mapping[str, object] | Iterable[tuple[str, object]] | None = None,
        *,
        schema: Callable[[], S_co] | Schema[S_co] | None = None,
    ) -> None:
        self._opened = self._assigned = self._saved = self._lock = None  # its own, which is found faster than a default
        self.accessed = self._cleared = False
        if schema is None and not initial:
            return  # as a session of a request is made: nothing that takes time
        declared = schema if isinstance(schema, Schema) else Schema(cast("Callable[[], S_co]", schema))
        self._source = _Binding(lambda: _opened_with({}, declared))
        if initial:
            self._opened = _opened_with(dict(initial), declared)

    @classmethod
    def deferred(
        cls,
        opener: Callable[[], Opened[S_co]],
        *,
        sealed: tuple[str, ...] = (),
        rule: ExtrasRule = KEEP_EXTRAS,
        report: ReportSink = log_report,
    ) -> Self:
        """Return a session that opens at the first touch. For session interfaces.

        Args:
            opener: called at most once, at the first touch, from whichever thread touches the session.
            sealed: the sealed texts that it came in.
            rule: which undeclared keys may be set.
            report: called with what there is to say of the session.
        """
        return cls.from_source(_Binding(opener, sealed, rule, report))

    @classmethod
    def from_source(cls, source: Source[Any]) -> Self:
        """Return a session that opens at the first touch. For session interfaces."""
        session: Self = cls()  # pyright: ignore[reportCallIssue]  # without a schema, which the source knows
        session._source = source
        return session

    @property
    def source(self) -> Source[Any]:
        """Where the session comes from."""
        return self._source

    @property
    @override
    def data(self) -> S_co:
        return self._touched().data

    @property
    @override
    def extras(self) -> MutableMapping[str, object]:
        return Extras(self, self._touched, self._shown)

    @property  # type: ignore[explicit-override]  # mypy does not see @override on a property with a setter
    @override
    def permanent(self) -> bool:
        """True if the session outlives the browser's, for `PERMANENT_SESSION_LIFETIME`: the key `_permanent`."""
        return bool(self._touched().get("_permanent"))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)

    def replace(self, data: object) -> None:
        """Make another object the data of this session, such as the successor of a frozen one.

        `Sessions.replace` is the same with a static type.

        Raises:
            FieldTypeError: it is no instance of the schema.
        """
        contents = self._touched()
        contents.replace(data)
        self._mutated()

    @override
    def __getitem__(self, key: str) -> object:
        return self._touched().read(key)

    @override
    def get(self, key: str, /, default: object = None) -> object:
        return self._touched().get(key, default)

    @override
    def __setitem__(self, key: str, value: object) -> None:
        contents = self._touched()
        self._refuse_key(key, contents)
        contents.store(key, value)
        self._mutated()

    @override
    def __delitem__(self, key: str) -> None:
        self._touched().remove(key)
        self._mutated()

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._touched())

    @override
    def __len__(self) -> int:
        return len(self._touched().keys())

    @override
    def __contains__(self, key: object) -> bool:
        return key in self._touched()

    @override
    def __eq__(self, other: object) -> bool:
        stored = self._touched().stored()
        if isinstance(other, Mapping):
            return stored == dict(cast("Mapping[object, object]", other))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a mutable mapping has no hash, as a dict has none

    @override
    def __repr__(self) -> str:
        shown = self._shown()
        return f"<{type(self).__name__}{', not opened' if shown is None else f' {shown.stored()!r}'}>"

    def __copy__(self) -> Self:
        """Return a session of its own that stores the same and belongs to no request: nobody saves it."""
        contents = self._touched()
        contents.stored()  # what changes in a value changes in both from now on
        detached = self._detached(contents.copied())
        vars(detached).update(self._added)
        return detached

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        detached = memo[id(self)] = self._detached(self._touched().copied(memo))
        vars(detached).update(copy.deepcopy(self._added, memo))
        return detached

    @override
    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            "a session belongs to its request and cannot be pickled; pickle session.copy(), a dict, instead"
        )

    @override
    def __ior__(self, other: Mapping[str, object]) -> Self:  # type: ignore[override]  # | makes a dict, |= a session
        self.update(other)
        return self

    @override
    def clear(self) -> None:
        """Take everything out; declared fields have their defaults again, in the live data, too."""
        self._touched().clear()
        self._cleared = True
        self._mutated()

    @override
    def pop(self, key: str, /, default: object = _MISSING) -> object:
        """Take a key out and return its value, or the default if there is one and the key is not stored."""
        contents = self._touched()
        if default is not _MISSING and key not in contents:
            return default
        value = contents.read(key)
        contents.remove(key)
        self._mutated()
        return value

    @override
    def popitem(self) -> tuple[str, object]:
        """Take the key that was stored last out, and return it with its value. Raises KeyError if there is none."""
        keys = self._touched().keys()
        if not keys:
            raise KeyError("popitem(): session is empty")
        return keys[-1], self.pop(keys[-1])

    @override
    def setdefault(self, key: str, /, default: object = None) -> object:
        """Return the value under a key, stored just now if there was none."""
        contents = self._touched()
        if key not in contents:
            self._store({key: default})
        return contents.read(key)

    @override
    def regenerate(self) -> None:
        self._touched()
        if self._renewal is Renewal.NONE:
            self._renewal = Renewal.REGENERATE
        self._refuse_late_change()

    @override
    def invalidate(self) -> None:
        self.clear()
        self._invalidated = True

    @override
    def promote(self, **fields: object) -> None:
        self._store(fields)
        self._renewal = Renewal.PROMOTE
        self._refuse_late_change()

    @overload
    def update(self, other: Keyed[str, object], /, **values: object) -> None: ...
    @overload
    def update(self, other: Iterable[tuple[str, object]], /, **values: object) -> None: ...
    @overload
    def update(self, /, **values: object) -> None: ...
    @override
    def update(self, other: Keyed[str, object] | Iterable[tuple[str, object]] = (), /, **values: object) -> None:
        """Store many keys. A key that is not allowed, or a value of the wrong type, leaves everything as it was."""
        self._store(dict(other, **values))

    @property
    @override
    def new(self) -> bool:
        """True if no valid session came with the request. Reading it is an access."""
        self._touched()
        return self.open().new

    @property  # type: ignore[explicit-override]  # mypy does not see @override on a property with a setter
    @override
    def modified(self) -> bool:
        """True if the contents differ from what was loaded, at any depth.

        An assignment holds until the next change by key: True has the session written, False keeps it from it.
        """
        return self.judged()[0] if self._assigned is None else self._assigned

    @modified.setter
    def modified(self, value: bool) -> None:
        self._assigned = value

    @property
    def is_left_alone(self) -> bool:
        """True if nobody has asked for anything that is in the session, and no refresh can be due."""
        untouched = self._opened is None and self._assigned is None and not self.accessed
        return untouched and self._source.leaves_untouched

    @property
    def was_saved(self) -> bool:
        """True once the session was saved with the response of its request."""
        return self._saved is True

    @property
    def save_failed(self) -> bool:
        """True once a save failed: the error response must not try again."""
        return self._saved is False

    def settle(self, *, saved: bool | None) -> None:
        """Note that the session was saved, or could not be: what changes from now on is lost. None: neither, yet."""
        self._saved = saved

    def expect_no_more_output(self) -> None:
        """Note that nothing of the response can depend on the session any more, whoever looks at it."""
        self._is_streamed = False

    @property
    def was_used_late(self) -> bool:
        """True if somebody has asked for anything that is in the session after it was saved."""
        return self._used_late

    def report_loss(self, report: Report) -> None:
        """Say of a change that it is lost, once until another one is saved."""
        if not self._loss_reported:
            self._loss_reported = True
            self._source.report(report)

    def judged(self) -> tuple[bool, Draft[Any] | None]:
        """Return what `modified` says, and the draft that was made of the contents to find it out, if one was."""
        opened, assigned = self._opened, self._assigned
        if opened is None or assigned is False:
            return bool(assigned), None
        if self._cleared and self._source.sealed and not opened.contents.keys():
            return True, None  # the cookie goes, also one that this instance could not read
        if opened.origin is None:
            return assigned or len(opened.contents.keys()) > 0, None
        holds, draft = opened.origin.judged(opened.contents)
        return assigned or not holds, draft

    @property
    def wants_writing(self) -> bool:
        """True if there is anything to save."""
        return self._intent.wants_writing

    @property
    def _intent(self) -> Intent:
        return Intent(self.modified, self._assigned, self._renewal, self._cleared, self._invalidated)

    def take_intent(self) -> Intent:
        """Return what is to be saved beside the contents. What is asked for from now on is for the next save."""
        intent = self._intent
        self._assigned = None
        self._renewal, self._cleared, self._invalidated = Renewal.NONE, False, False
        return intent

    def give_back(self, intent: Intent) -> None:
        """Keep for the next save what this one could not do."""
        self._assigned = intent.assigned if self._assigned is None else self._assigned
        self._renewal = intent.renewal if self._renewal is Renewal.NONE else self._renewal
        self._cleared = self._cleared or intent.cleared
        self._invalidated = self._invalidated or intent.invalidated

    def rebase(self, opened: Opened[S_co]) -> None:
        """Take what was just written as what was loaded, so that only later changes count as such."""
        self._opened = opened
        self._loss_reported = False

    @property
    def permanent_unaccessed(self) -> bool:
        """Whether the session is permanent, without counting the question as an access."""
        if type(self).permanent is SecureCookieSession.permanent:
            return bool(self.open().contents.get("_permanent"))
        accessed = self.accessed  # a subclass has its own word on it
        try:
            return self.permanent
        finally:
            self.accessed = accessed

    def open(self) -> Opened[S_co]:
        """Return what opening the session gives, without counting it as an access."""
        return self._opened or self._load()

    def _shown(self) -> Contents[S_co] | None:
        """Return what a repr shows, for which nothing is opened or used; None if the program has seen nothing of it."""
        opened = self._opened
        if opened is None or (self._source.sealed and not self.accessed):
            return None
        return opened.contents.copied()

    @property
    def _added(self) -> dict[str, object]:
        """The attributes that a subclass has added."""
        return {name: value for name, value in vars(self).items() if not hasattr(SecureCookieSession, name)}

    def _detached(self, contents: Contents[S_co]) -> Self:
        """Return a session that holds contents and stands where this one does, with nobody to save it."""
        opened = self.open()
        detached = type(self).__new__(type(self))
        vars(detached).update(
            _source=_Binding(_opened_empty, rule=self._source.rule),
            _opened=Opened(contents, opened.origin, new=opened.new),
            _assigned=self._assigned,
        )
        return detached

    def _touched(self) -> Contents[S_co]:
        if self._saved is not None:
            self._used_late = True
            if self._saved and self._is_streamed and not self.accessed:
                self._source.report(UsedLate())
        self.accessed = True
        return (self._opened or self._load()).contents

    def _load(self) -> Opened[S_co]:
        with _making_locks:
            lock = self._lock = self._lock or RLock()
        with lock:
            opened = self._opened
            if opened is not None:
                return opened
            opened = self._opened = self._source.open()
        for report in opened.reports:
            self._source.report(report)
        return opened

    def _store(self, values: Mapping[str, object]) -> None:
        contents = self._touched()
        for key in values:
            self._refuse_key(key, contents)
        if values:
            contents.update(values)
            self._mutated()

    def _refuse_key(self, key: str, contents: Contents[S_co]) -> None:
        _refuse_earlier_name(key, contents.schema)
        if not contents.declares(key) and not self._source.rule.allows(key):
            raise UndeclaredKeyError(key, contents.schema.fields)

    def _mutated(self) -> None:
        self._assigned = None
        self._refuse_late_change()

    def _refuse_late_change(self) -> None:
        """Report, once, what was changed after the save."""
        if self._saved is not None:
            self.report_loss(self._source.late_change)


class Extras(MutableMapping[str, object]):
    """The undeclared keys of a session, as a mapping of their own.

    Args:
        session: the session.
        touched: returns what is in it, which is an access.
        shown: returns what a repr shows of it, which is none.
    """

    def __init__(
        self,
        session: SecureCookieSession[object],
        touched: Callable[[], Contents[Any]],
        shown: Callable[[], Contents[Any] | None],
    ) -> None:
        self._session = session
        self._touched = touched
        self._shown = shown

    @override
    def __getitem__(self, key: str) -> object:
        if self._declared(key):
            raise KeyError(key)
        return self._session[key]

    @override
    def __setitem__(self, key: str, value: object) -> None:
        self._refuse_declared(key)
        self._session[key] = value

    @overload
    def update(self, other: Keyed[str, object], /, **values: object) -> None: ...
    @overload
    def update(self, other: Iterable[tuple[str, object]], /, **values: object) -> None: ...
    @overload
    def update(self, /, **values: object) -> None: ...
    @override
    def update(self, other: Keyed[str, object] | Iterable[tuple[str, object]] = (), /, **values: object) -> None:
        """Store many keys. One that is not allowed leaves everything as it was."""
        given = dict(other, **values)
        for key in given:
            self._refuse_declared(key)
        self._session.update(given)

    @override
    def __delitem__(self, key: str) -> None:
        if self._declared(key):
            raise KeyError(key)
        del self._session[key]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter([key for key in self._session if not self._declared(key)])

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)

    @override
    def __repr__(self) -> str:
        shown = self._shown()
        if shown is None:
            return "<Extras, not opened>"
        return f"<Extras { ({key: value for key, value in shown.stored().items() if not shown.declares(key)})!r}>"

    def _declared(self, key: str) -> bool:
        return self._touched().declares(key)

    def _refuse_declared(self, key: str) -> None:
        if self._declared(key):
            raise KeyError(f"{key} belongs to the session's data, not to its extras; set it on the session")


class NullSession(SecureCookieSession[S_co]):
    """The session of an application without a secret key: it reads as empty, and cannot be changed."""

    @property
    @override
    def data(self) -> NoReturn:
        self._unavailable()

    @override
    def _shown(self) -> Contents[S_co]:
        return _opened_empty().contents

    @override
    def replace(self, data: object) -> NoReturn:
        self._unavailable()

    @override
    def _store(self, values: Mapping[str, object]) -> NoReturn:
        self._unavailable()

    @override
    def __setitem__(self, key: str, value: object) -> NoReturn:
        self._unavailable()

    @override
    def __delitem__(self, key: str) -> NoReturn:
        self._unavailable()

    @override
    def clear(self) -> NoReturn:
        self._unavailable()

    @override
    def pop(self, key: str, /, default: object = None) -> NoReturn:
        self._unavailable()

    @override
    def popitem(self) -> NoReturn:
        self._unavailable()

    @override
    def setdefault(self, key: str, /, default: object = None) -> NoReturn:
        self._unavailable()

    @override
    def regenerate(self) -> NoReturn:
        self._unavailable()

    def _unavailable(self) -> NoReturn:
        raise RuntimeError(
            "the session is unavailable, because no secret key is set: give the app a SECRET_KEY "
            "(app.secret_key), a long random text that stays the same between restarts"
        )
