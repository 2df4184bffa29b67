"""`Overridable`: what a subclass of a session interface, or whoever has one, may have its own word on."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from inspect import getattr_static
from typing import Final, Generic, cast

from typing_extensions import TypeVar, override

from typed_sessions.core.framework import SessionInterface
from typed_sessions.core.rules import Adapter, Signing
from typed_sessions.core.session import SecureCookieSession
from typed_sessions.errors import ConfigurationError
from typed_sessions.sealing.keys import DigestMethod
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer

__all__ = ["Overridable"]

S = TypeVar("S", default=dict[str, object])


class Overridable(Adapter, Generic[S]):
    """The attributes and methods of Quart's session interface that change the cookie, and whether they are as here."""

    makes_permanent: bool = False
    """Whether a session is permanent from its first content on, unless the program says otherwise."""

    salt: str | bytes = "cookie-session"
    """What sets these signatures apart from others under the same secret key."""

    digest_method: DigestMethod = staticmethod(hashlib.sha1)
    """The hash function of signatures. `SESSION_DIGEST` beats it."""

    key_derivation: str = "hmac"
    """How itsdangerous makes a signing key of a secret key and the salt. `"none"` leaves out the salt, which keeps
    formats apart: it takes tagged JSON, and reads no other format."""

    session_class: type[SecureCookieSession[S]] = cast("type[SecureCookieSession[S]]", SecureCookieSession)
    """The class of the sessions that are opened."""

    serializer: AnySerializer = TaggedJSONSerializer()
    """Writes the contents, where `SESSION_SERIALIZER` names nothing else."""

    @staticmethod
    @abstractmethod
    def _stock() -> type:
        """Return the class whose methods are those of the library."""

    @abstractmethod
    def _forget(self) -> None:
        """Forget what was made of these attributes and methods: one has changed."""

    @override
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_"):  # the salt, say, or a method that says one
            self._forget()

    @override
    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if not name.startswith("_"):
            self._forget()

    @property
    def is_stock(self) -> bool:
        """True if no subclass has its own word on when, or how, a cookie is written."""
        of_class = all(getattr(type(self), name) is getattr(self._stock(), name) for name in _HELPERS)
        return of_class and vars(self).keys().isdisjoint(_HELPERS)

    @property
    def is_dynamic(self) -> bool:
        """True if a subclass computes the salt or the like, perhaps anew for each request."""
        return any(isinstance(getattr_static(type(self), name, None), property) for name in _OWN)

    @property
    def signing(self) -> Signing:
        return Signing(self.salt, self.key_derivation, self.digest_method, self.serializer)

    def check_overrides(self) -> None:
        """Refuse what a subclass of Quart's interface may do and this one could not honour."""
        session_class: type = self.session_class
        if not issubclass(session_class, SecureCookieSession):
            raise ConfigurationError("session_class must be a subclass of typed_sessions.SecureCookieSession")
        name = "get_signing_serializer"
        if getattr(type(self), name) is not getattr(self._stock(), name):
            raise ConfigurationError(
                f"{name} only answers for the cookies here; override salt, digest_method, key_derivation or serializer "
                f"to change them"
            )


_OWN: Final = ("salt", "key_derivation", "digest_method", "serializer", "session_class")
"""The attributes that rules are made of."""

_HELPERS: Final = (
    *(name for name in vars(SessionInterface) if name.startswith("get_cookie_")),
    *("get_expiration_time", "should_set_cookie"),
)
"""The methods that a subclass may override to change the cookie."""
