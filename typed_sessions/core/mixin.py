"""`SessionMixin`, `Session` and `SessionsLike`: what frameworks and programs may ask of any session."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Final, Generic, Protocol, Self

from typing_extensions import TypeVar, override

__all__ = ["Keyed", "Session", "SessionMixin", "SessionsLike"]

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

    if not TYPE_CHECKING:  # to a checker, no class without slots of its own could have an `accessed`
        __slots__ = ()

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

    if not TYPE_CHECKING:
        __slots__ = ()

    @property
    @abstractmethod
    def data(self) -> S_co:
        """The live object: what is changed in it, at any depth, is saved."""

    @property
    @abstractmethod
    def extras(self) -> MutableMapping[str, object]:
        """The keys that the schema does not declare, such as those of extensions."""

    # The keys of these three may be given by name, as in Flask's session, whose signatures they have.

    @override
    def get(self, key: str, default: object = None) -> object:
        """Return the value under a key, or the default."""
        return super().get(key, default)

    @override
    def pop(self, key: str, default: object = _MISSING) -> object:
        """Take a key out and return its value, or the default if there is one and the key is not stored."""
        return super().pop(key) if default is _MISSING else super().pop(key, default)

    @override
    def setdefault(self, key: str, default: object = None) -> object:
        """Return the value under a key, stored just now if there was none."""
        return super().setdefault(key, default)

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


class SessionsLike(Protocol[S_co]):
    """The sessions of any application whose data has what is needed, for helpers that know no framework.

    `Sessions[Visitor]` is a `SessionsLike[Visitor]`, and one of each class or Protocol that `Visitor` fills.
    """

    @property
    def current(self) -> Session[S_co]:
        """The session of the request that is being handled."""
        ...

    @property
    def data(self) -> S_co:
        """The data of that session."""
        ...
