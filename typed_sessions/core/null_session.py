"""`NullSession`: the session of an application that cannot have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from typing_extensions import TypeVar, override

from typed_sessions.codec.contents import Contents, contents_of
from typed_sessions.core.session import SecureCookieSession
from typed_sessions.schema.schema import Schema

__all__ = ["NullSession"]

S_co = TypeVar("S_co", covariant=True, default=dict[str, object])


class NullSession(SecureCookieSession[S_co]):
    """The session of an application without a secret key: it reads as empty, and cannot be changed."""

    @property
    @override
    def data(self) -> S_co:  # to a checker: what comes after `session.data` is not unreachable
        self._unavailable()

    @override
    def _shown(self) -> Contents[S_co]:
        empty: Contents[Any] = contents_of(Schema(), {})
        return empty

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
    def pop(self, key: str, default: object = None) -> NoReturn:
        self._unavailable()

    @override
    def popitem(self) -> NoReturn:
        self._unavailable()

    @override
    def setdefault(self, key: str, default: object = None) -> NoReturn:
        self._unavailable()

    @override
    def regenerate(self) -> NoReturn:
        self._unavailable()

    def _unavailable(self) -> NoReturn:
        raise RuntimeError(
            "the session is unavailable, because no secret key is set: give the app a SECRET_KEY "
            "(app.secret_key), a long random text that stays the same between restarts"
        )
