"""`NullSession`: the session of an application that cannot have one."""

from __future__ import annotations

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

    def _unavailable(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(
            "the session is unavailable, because no secret key is set: give the app a SECRET_KEY "
            "(app.secret_key), a long random text that stays the same between restarts"
        )

    replace = _store = __setitem__ = __delitem__ = clear = pop = popitem = setdefault = regenerate = _unavailable
