"""`SecureCookieSession`: the mapping that a program sees, the flags of a session, and what the library needs of it."""

# The functions below the class are the one way to what a program is not shown:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, NoReturn, Self, SupportsIndex, cast, overload

from msgspec import UNSET
from typing_extensions import TypeVar, override

from typed_sessions.codec.codec import Snapshot
from typed_sessions.codec.contents import Contents
from typed_sessions.codec.loaded_data import LoadedData, LoadedKeys
from typed_sessions.core.extras import Extras
from typed_sessions.core.hidden import concealed, without_arguments
from typed_sessions.core.loading import RequestContext, opened_with, refuse_earlier_name
from typed_sessions.core.mixin import Keyed, Session
from typed_sessions.core.rules import Rules
from typed_sessions.core.state import AWAITED, SAVED, Binding, LoadResult, Renewal, SessionState, Source
from typed_sessions.errors import FieldTypeError, UndeclaredKeyError, without_values
from typed_sessions.reports import UsedLate
from typed_sessions.schema.schema import Schema

__all__ = [
    "STREAMING",
    "SecureCookieSession",
    "belong",
    "is_permanent",
    "note_saved_before",
    "shown_in",
    "state_of",
    "stored_in",
]

S = TypeVar("S", default=dict[str, object])
S_co = TypeVar("S_co", covariant=True, default=dict[str, object])

_MISSING: Final = object()


def _opened_empty() -> LoadResult[Any]:
    return opened_with({}, Schema())


_MADE_BY_A_PROGRAM: Final = Binding(_opened_empty)


def _has_secrets(session: SecureCookieSession[Any]) -> bool:
    rules = session._rules
    schema = state_of(session).open().contents.schema if rules is None else rules.schema
    return bool(schema.secrets)


class SecureCookieSession(Session[S_co]):
    """A session that is kept in a signed cookie. Its contents are decoded at the first touch.

    Until then it holds its request and no more. Several threads may be the first to touch it: each makes what it needs
    and appends it to one list, and the first of that is the one for all.

    Args:
        initial: what is stored, by key, to begin with. It does not count as a change.
        schema: the class that declares the contents, or its `Schema`; without one, everything may be stored.

    Raises:
        SchemaError: the class cannot be a schema.
        FieldTypeError: an initial value does not fit its field.
        UndeclaredKeyError: an initial key is an earlier name of a field.
    """

    __slots__ = ("__weakref__", "_app", "_is_saved", "_request", "_rules", "_state", "accessed")

    accessed: bool
    _app: object
    _is_saved: bool
    """True if it was saved while `_state` was a list."""
    _request: object
    """None once its cookies were looked at, or if there is none."""
    _rules: Any
    """The `Rules` that it was opened with; None if a program has made it."""
    _state: SessionState[S_co] | list[LoadedData[S_co] | LoadedKeys[S_co] | SessionState[S_co]]
    """Of a request's, a list until somebody asks more of it than its data: threads append what they make, and the first
    counts."""

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
        if schema is None and not initial:
            belong(self, SessionState(_MADE_BY_A_PROGRAM))
            return  # a class of the user's is made so for a request: nothing that takes time
        declared = schema if isinstance(schema, Schema) else Schema(cast("Callable[[], S_co]", schema))
        state: SessionState[S_co] = SessionState(Binding(lambda: opened_with({}, declared)))
        if initial:
            state.opened = opened_with(dict(initial), declared)
        belong(self, state)

    @property
    @override
    def data(self) -> S_co:
        made = self._state  # as `_data_loaded` has it, without a call: this is what most requests ask
        if type(made) is list and not self._is_saved:
            loaded = made[0] if made else self._rules.load_data(self._request, made)
            if loaded is not None and not isinstance(loaded, SessionState):
                self.accessed = True
                data: S_co = loaded.data
                return data
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

    @without_arguments(_has_secrets)
    def replace(self, data: object) -> None:
        """Make another object the data of this session, such as the successor of a frozen one.

        `Sessions.replace` is the same with a static type.

        Raises:
            FieldTypeError: it is no instance of the schema.
        """
        self._touched().replace(data)
        self._mutated()

    @override
    def __getitem__(self, key: str) -> object:
        loaded = self._data_loaded()
        value = UNSET if loaded is None else loaded.read(key)
        return self._touched().read(key) if value is UNSET else value

    @override
    def get(self, key: str, default: object = None) -> object:
        loaded = self._data_loaded()
        value = UNSET if loaded is None else loaded.read(key)
        return self._touched().get(key, default) if value is UNSET else value

    @override
    def __setitem__(self, key: str, value: object) -> None:
        loaded = self._data_loaded()
        try:
            if loaded is not None and loaded.store(key, value):
                if self._is_saved:  # by another thread, meanwhile
                    self._mutated()
                return
            contents = self._touched()
            self._refuse_key(key, contents)
            contents.store(key, value)
        except (FieldTypeError, UndeclaredKeyError) as error:
            if not _has_secrets(self):
                raise
            del value  # debugging pages show locals
            raise without_values(error)  # noqa: B904 -- it is the same
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
        shows = ", not opened" if shown is None else f" {concealed(shown.stored(), shown.schema)!r}"
        return f"<{type(self).__name__}{shows}>"

    def __copy__(self) -> Self:
        """Return a session of its own that stores the same and belongs to no request: nobody saves it."""
        contents = self._touched()
        contents.stored()  # what changes in a value changes in both from now on
        return self._detached(contents.copied())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._detached(self._touched().copied(memo), memo)

    @override
    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            "a session belongs to its request and cannot be pickled; pickle session.copy(), a dict, instead"
        )

    @override
    @without_arguments(_has_secrets)
    def __ior__(self, other: Mapping[str, object]) -> Self:  # type: ignore[override]  # | makes a dict, |= a session
        self.update(other)
        return self

    @override
    def clear(self) -> None:
        """Take everything out; declared fields have their defaults again, in the live data, too."""
        self._touched().clear()
        state_of(self).cleared = True
        self._mutated()

    @override
    def pop(self, key: str, default: object = _MISSING) -> object:
        """Take a key out and return its value, or the default if there is one and the key is not stored."""
        if default is not _MISSING and key not in self:  # asked first: a KeyError of anything else is none of that
            return default
        value = self[key]
        del self[key]
        return value

    @override
    def popitem(self) -> tuple[str, object]:
        """Take the key that was stored last out, and return it with its value. Raises KeyError if there is none."""
        keys = self._touched().keys()
        if not keys:
            raise KeyError("popitem(): session is empty")
        return keys[-1], self.pop(keys[-1])

    @override
    @without_arguments(_has_secrets)
    def setdefault(self, key: str, default: object = None) -> object:
        """Return the value under a key, stored just now if there was none."""
        if key not in self:
            self._store({key: default})
        return self[key]

    @override
    def regenerate(self) -> None:
        self._touched()
        state = state_of(self)
        if state.renewal is Renewal.NONE:
            state.renewal = Renewal.REGENERATE
        state.note_change()

    @override
    def invalidate(self) -> None:
        self.clear()
        state_of(self).invalidated = True

    @override
    @without_arguments(_has_secrets)
    def promote(self, **fields: object) -> None:
        self._store(fields)
        state = state_of(self)
        state.renewal = Renewal.PROMOTE
        state.note_change()

    @overload
    def update(self, other: Keyed[str, object], /, **values: object) -> None: ...
    @overload
    def update(self, other: Iterable[tuple[str, object]], /, **values: object) -> None: ...
    @overload
    def update(self, /, **values: object) -> None: ...
    @override
    @without_arguments(_has_secrets)
    def update(self, other: Keyed[str, object] | Iterable[tuple[str, object]] = (), /, **values: object) -> None:
        """Store many keys. A key that is not allowed, or a value of the wrong type, leaves everything as it was."""
        self._store(dict(other, **values))

    @property
    @override
    def new(self) -> bool:
        """True if no valid session came with the request. Reading it is an access."""
        self._touched()
        return state_of(self).open().new

    @property  # type: ignore[explicit-override]  # mypy does not see @override on a property with a setter
    @override
    def modified(self) -> bool:
        """True if the contents differ from what was loaded, at any depth.

        An assignment holds until the next change by key: True has the session written, False keeps it from it.
        """
        return state_of(self).modified

    @modified.setter
    def modified(self, value: bool) -> None:
        state_of(self).assigned = value

    def _shown(self) -> Contents[S_co] | None:
        """Return what a repr shows, for which nothing is opened or used; None if the program has seen nothing of it."""
        if isinstance(self._state, list) and not self._state:
            return None
        state = state_of(self)
        if state.opened is None or (state.source.sealed and not self.accessed):
            return None
        return state.opened.contents.copied()

    def _detached(self, contents: Contents[S_co], memo: dict[int, Any] | None = None) -> Self:
        """Return a session that holds contents and stands where this one does, with nobody to save it.

        It has what a subclass has added, too: deep copies of that, if there is a memo of `copy.deepcopy`.
        """
        state = state_of(self)
        opened = state.open()
        detached = type(self).__new__(type(self))
        of_its_own: SessionState[S_co] = SessionState(Binding(_opened_empty, rule=state.source.rule))
        of_its_own.opened = LoadResult(contents, opened.snapshot, new=opened.new)
        of_its_own.assigned = state.assigned
        belong(detached, of_its_own)
        own: dict[str, object] = getattr(self, "__dict__", {})
        added = {name: value for name, value in own.items() if not hasattr(SecureCookieSession, name)}
        if memo is not None:
            memo[id(self)] = detached
            added = copy.deepcopy(added, memo)
        if added:
            vars(detached).update(added)
        return detached

    def _begin(self) -> SessionState[S_co]:
        """Look at the cookies of the request, and return the state of the session from now on."""
        made, request = self._state, self._request
        rules: Rules[S_co] = self._rules
        if not isinstance(made, list):  # another thread has come so far just now
            return made
        if not made and request is not None:  # or is about to
            made.append(SessionState(self._source(rules, request, None)))
        first = made[0]
        if not isinstance(first, SessionState):
            made.append(self._state_with(first, request))
            # One without data may be there, of a thread that came before there was any, and is nobody's.
            state = next(each for each in made if isinstance(each, SessionState) and each.opened is not None)
        else:
            state = first
        self._state = state
        if not rules.is_on_server:  # another thread may be about to need that
            self._request = None
        note_saved_before(self, first, state)
        return state

    def _data_loaded(self) -> LoadedData[S_co] | LoadedKeys[S_co] | None:
        """Return the data of a session of which nobody asks more, once it is loaded; None where somebody does."""
        made = self._state
        if type(made) is list and not self._is_saved:
            loaded = made[0] if made else self._rules.load_data(self._request, made)
            if loaded is not None and not isinstance(loaded, SessionState):
                self.accessed = True
                return cast("LoadedData[S_co] | LoadedKeys[S_co]", loaded)
        return None

    def _source(self, rules: Rules[S_co], request: object, opened: str | None) -> Source[Any]:
        if rules.is_on_server:
            return cast("Source[Any]", request)
        texts = rules.adapter.cookie_values(request, rules.name) if opened is None else (opened,)
        return RequestContext(rules, self._app, texts)

    def _state_with(self, loaded: LoadedData[S_co] | LoadedKeys[S_co], request: object) -> SessionState[S_co]:
        """Return the state of a session whose data was loaded before."""
        rules: Rules[S_co] = self._rules
        opened, sealed, kept = rules.writer.codec.with_contents(loaded), loaded.sealed or None, loaded.written
        snapshot = Snapshot(opened.snapshot.codec, kept, kept) if kept and rules.is_on_server else opened.snapshot
        state: SessionState[S_co] = SessionState(self._source(rules, request, sealed))
        state.opened = LoadResult(opened.contents, snapshot, sealed, new=False)
        return state

    def _touched(self) -> Contents[S_co]:
        state = self._state
        if type(state) is not SessionState:
            state = self._begin()
        if state.progress is not AWAITED:
            self._note_late_use(state)
        self.accessed = True
        return state.open().contents

    def _note_late_use(self, state: SessionState[S_co]) -> None:
        """Take note of a use of the session after its response was made."""
        is_first, state.was_used_late = not state.was_used_late, True
        if is_first and STREAMING.get() is self:  # Flask has assigned `accessed` by now
            state.source.report(UsedLate())

    def _store(self, values: Mapping[str, object]) -> None:
        contents = self._touched()
        for key in values:
            self._refuse_key(key, contents)
        if values:
            contents.update(values)
            self._mutated()

    def _refuse_key(self, key: str, contents: Contents[S_co]) -> None:
        refuse_earlier_name(key, contents.schema)
        if not contents.declares(key) and not state_of(self).source.rule.allows(key):
            raise UndeclaredKeyError(key, contents.schema.fields)

    def _mutated(self) -> None:
        state = state_of(self)
        state.assigned = None
        state.note_change()


STREAMING: Final[ContextVar[object]] = ContextVar("streaming", default=None)
"""The session of the response that is made here while it is sent. A task that was begun before the save makes none."""


def belong(
    session: SecureCookieSession[Any], state: SessionState[Any], rules: Rules[Any] | None = None, app: object = None
) -> None:
    """Set all that a session has whose state is known."""
    session.accessed = session._is_saved = False
    session._rules, session._app, session._request, session._state = rules, app, None, state


def state_of(session: SecureCookieSession[S]) -> SessionState[S]:
    """Return what the library itself needs of a session, and does not show to programs."""
    state = session._state
    return state if type(state) is SessionState else session._begin()


def stored_in(session: SecureCookieSession[Any]) -> dict[str, object]:
    """Return what is stored, as `session.copy()` does, at once. It is a use."""
    return session._touched().stored()


def shown_in(session: SecureCookieSession[Any]) -> dict[str, object]:
    """Return the same in any order, for who changes nothing that it holds. It is a use."""
    loaded = session._data_loaded()
    shown = None if loaded is None else loaded.shown()
    return session._touched().shown() if shown is None else shown


def note_saved_before(
    session: SecureCookieSession[S], first: LoadedData[S] | LoadedKeys[S] | SessionState[S], state: SessionState[S]
) -> None:
    """Note of the state of a session what became of it before there was one."""
    if session._is_saved and state.progress is AWAITED:
        state.progress, state.sent = SAVED, None if isinstance(first, SessionState) else first.sent


def is_permanent(session: SecureCookieSession[Any]) -> bool:
    """Return True if a session is permanent, without counting the question as an access."""
    contents = state_of(session).open().contents
    if type(session) is SecureCookieSession or type(session).permanent is SecureCookieSession.permanent:
        return bool(contents.get("_permanent"))
    # A subclass has its own word on it. It is asked of another session, where it may count as one.
    return session._detached(contents).permanent
