"""`Extras`: the undeclared keys of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, overload

from attrs import define
from typing_extensions import override

from typed_sessions.codec.contents import Contents
from typed_sessions.core.hidden import without_arguments
from typed_sessions.core.mixin import Keyed, Session

__all__ = ["Extras"]


def _has_secrets(extras: Extras) -> bool:
    return bool(extras._touched().schema.secrets)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its own


@define(eq=False, repr=False)
class Extras(MutableMapping[str, object]):
    """The undeclared keys of a session, as a mapping of their own."""

    _session: Session[object]
    _touched: Callable[[], Contents[Any]]
    """Returns what is in the session, which is an access."""
    _shown: Callable[[], Contents[Any] | None]
    """Returns what a repr shows of it, which is none."""

    @override
    def __getitem__(self, key: str) -> object:
        if self._declared(key):
            raise KeyError(key)
        return self._session[key]

    @override
    @without_arguments(_has_secrets)
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
    @without_arguments(_has_secrets)
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
