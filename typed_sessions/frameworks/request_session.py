"""`RequestSession`: a typed session as the dict that Starlette's `request.session` is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Self

from typing_extensions import override

from typed_sessions.core.hidden import concealed
from typed_sessions.core.session import SecureCookieSession, shown_in, stored_in
from typed_sessions.core.session_request import rules_of

if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_keys, dict_values

__all__ = ["RequestSession"]

_PERMANENT: Final = "_permanent"


class RequestSession(dict[str, Any]):
    """What is stored in a session, but for the flag that Quart and Flask keep in it.

    All methods ask the session itself. What is underneath is a copy for what reads a dict past its methods, as pydantic
    and encoders of JSON do: it is made anew when somebody reads `request.session`, or changes the session by a method
    of this.

    Args:
        session: the session.
    """

    __slots__ = ("_session",)

    def __init__(self, session: SecureCookieSession[Any]) -> None:
        self._session = session

    # What Starlette's own class has.

    @property
    def accessed(self) -> bool:
        """True once the session was used."""
        return self._session.accessed

    @property
    def modified(self) -> bool:
        """True if what is in the session differs from what came."""
        return self._session.modified

    def mark_accessed(self) -> None:
        """Take note of a use; each `request.session` is one."""
        self._keep(shown_in(self._session))

    def mark_modified(self) -> None:
        """Have the session written, changed or not."""
        self.mark_accessed()
        self._session.modified = True

    @override
    def __repr__(self) -> str:
        rules = rules_of(self._session)
        return repr(dict(super().items()) if rules is None else concealed(dict(super().items()), rules.schema))

    def _copy(self) -> None:
        self._keep(stored_in(self._session))

    def _keep(self, stored: dict[str, object]) -> None:
        """Make what is underneath what is stored."""
        stored.pop(_PERMANENT, None)
        if [*super().keys()] != [*stored]:
            super().clear()
        super().update(stored)

    # What a dict has.

    @override
    def __getitem__(self, key: str) -> Any:
        if key == _PERMANENT:
            raise KeyError(key)
        return self._session[key]

    @override
    def get(self, key: str, default: Any = None, /) -> Any:
        return default if key == _PERMANENT else self._session.get(key, default)

    @override
    def __contains__(self, key: object) -> bool:
        return key != _PERMANENT and key in self._session

    @override
    def __iter__(self) -> Iterator[str]:
        self._copy()
        return super().__iter__()

    @override
    def __len__(self) -> int:
        self._copy()
        return super().__len__()

    @override
    def __reversed__(self) -> Iterator[str]:
        self._copy()
        return super().__reversed__()

    @override
    def __eq__(self, other: object) -> bool:
        self._copy()
        return super().__eq__(other)

    @override
    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as that of a dict

    @override
    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    @override
    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    @override
    def keys(self) -> dict_keys[str, Any]:
        self._copy()
        return super().keys()

    @override
    def values(self) -> dict_values[str, Any]:
        self._copy()
        return super().values()

    @override
    def items(self) -> dict_items[str, Any]:
        self._copy()
        return super().items()

    @override
    def copy(self) -> dict[str, Any]:
        self._copy()
        return super().copy()

    @override
    def __reduce_ex__(self, protocol: Any) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (self.copy(),)

    @override
    def __setitem__(self, key: str, value: Any) -> None:
        try:
            self._session[key] = value
        except Exception:
            del value  # debugging pages show locals
            raise
        self.mark_accessed()

    @override
    def __delitem__(self, key: str) -> None:
        self.pop(key)

    @override
    def pop(self, key: str, *default: Any) -> Any:
        if default and key not in self:
            return default[0]
        value = self[key]
        del self._session[key]
        self.mark_accessed()
        return value

    @override
    def popitem(self) -> tuple[str, Any]:
        for key in reversed(self):
            return key, self.pop(key)
        raise KeyError("popitem(): session is empty")

    @override
    def setdefault(self, key: str, default: Any = None, /) -> Any:
        try:
            value = self._session.setdefault(key, default)
        except Exception:
            del default  # debugging pages show locals
            raise
        self.mark_accessed()
        return value

    @override
    def update(self, *others: Any, **values: Any) -> None:
        try:
            self._session.update(*others, **values)
        except Exception:
            del others, values  # debugging pages show locals
            raise
        self.mark_accessed()

    @override
    def __ior__(self, other: Any, /) -> Self:  # type: ignore[override]  # it takes all that a dict's takes
        try:
            self.update(other)
        except Exception:
            del other  # debugging pages show locals
            raise
        return self

    @override
    def clear(self) -> None:
        self._session.clear()
        self.mark_accessed()
