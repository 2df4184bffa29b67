"""Identifiers of sessions that are kept on the server: what the cookie holds, and what the store knows them by."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Final, Self

from attrs import field, frozen

__all__ = ["Identifier", "key_of"]

_SIZE: Final = 32
"""In bytes: 256 bits, of which OWASP ASVS 5, 7.2.3 asks for 128 at least."""

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""32 bytes in URL-safe base64 without padding."""


@frozen
class Identifier:
    """What the cookie of a session holds. Whoever has it has the session, so that it shows nowhere else."""

    text: str = field(repr=False)
    """Made of characters that need no quoting in a cookie."""

    @classmethod
    def new(cls) -> Self:
        """Return one that nobody can guess."""
        return cls(secrets.token_urlsafe(_SIZE))

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Return the identifier in a cookie; None if it holds none. Signed sessions have dots: they are none."""
        return cls(text) if _FORM.fullmatch(text) else None

    @property
    def key(self) -> str:
        """What the store knows the session by."""
        return key_of(self.text)


def key_of(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits: whoever reads the store does not learn the text."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
