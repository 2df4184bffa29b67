"""Identifiers of sessions that are kept on the server: what the cookie holds, and what the store knows them by."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Final, Self

from attrs import field, frozen

from typed_sessions.errors import ConfigurationError
from typed_sessions.sealing.keys import hkdf

__all__ = ["Identifier", "Namespace"]

_SIZE: Final = 32
"""In bytes: 256 bits, of which OWASP ASVS 5, 7.2.3 asks for 128 at least."""

_FORM: Final = re.compile(r"([0-9a-f]{4})?[A-Za-z0-9_-]{43}")
"""The place, in a store that has places; and 32 bytes in URL-safe base64 without padding."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DERIVED: Final = "~"
"""What the name of a derived namespace begins with: no application can give it that name."""

_DERIVED_SIZE: Final = 16
"""In bytes: no two applications have the same by chance."""


@frozen
class Identifier:
    """What the cookie of a session holds. Whoever has it has the session, so that it shows nowhere else."""

    text: str = field(repr=False)
    """Made of characters that need no quoting in a cookie."""
    place: str = ""
    """What its key begins with, in a store that keeps the records of a subject together; see `PlacedStore`."""

    @classmethod
    def new(cls, place: str = "") -> Self:
        """Return one that nobody can guess, whose record lies in a place."""
        return cls(place + secrets.token_urlsafe(_SIZE), place)

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Return the identifier in a cookie; None if it holds none. Signed sessions have dots: they are none."""
        form = _FORM.fullmatch(text)
        return None if form is None else cls(text, form[1] or "")


@frozen
class Namespace:
    """Keeps the sessions of one application apart from those of others in the same store."""

    name: str = field(repr=False)

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the one that an application has named.

        Raises:
            ConfigurationError: it is no name of one.
        """
        if not _NAME.fullmatch(name):
            raise ConfigurationError('SESSION_NAMESPACE must be 1 to 64 letters, digits, ".", "_" or "-"')
        return cls(name)

    @classmethod
    def derived(cls, secret_key: bytes, cookie_name: str) -> Self:
        """Return the one of all that have a secret key and the name of the cookie in common."""
        info = b"typed_sessions namespace " + cookie_name.encode()
        return cls(_DERIVED + hkdf(secret_key, info)[:_DERIVED_SIZE].hex())

    def key_of(self, identifier: Identifier) -> str:
        """Return what the store knows a session by: whoever reads the store does not learn the identifier."""
        return identifier.place + self.key_of_note("session", identifier.text)[len(identifier.place) :]

    def key_of_note(self, kind: str, text: str) -> str:
        """Return what the store knows a note by that is of some kind, and about some text."""
        return sha256(f"{self.name}\0{kind}\0{text}".encode("utf-8", "surrogateescape")).hexdigest()

    def subject(self, subject: str) -> str:
        """Return what the store knows a subject by; there is no colon in the name of a namespace."""
        return f"{self.name}:{subject}"
