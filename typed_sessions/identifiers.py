"""Identifiers of sessions that are kept on the server: what the cookie holds, and what the store knows them by."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Final

__all__ = ["is_identifier", "key_of", "new_identifier"]

_SIZE: Final = 32
"""In bytes: 256 bits, of which OWASP ASVS 5, 7.2.3 asks for 128 at least."""

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""32 bytes in URL-safe base64 without padding."""


def new_identifier() -> str:
    """Return an identifier that nobody can guess, made of characters that need no quoting in a cookie."""
    return secrets.token_urlsafe(_SIZE)


def is_identifier(text: str) -> bool:
    """Return True if a text has the form of an identifier. Signed sessions have dots, so that they never have."""
    return _FORM.fullmatch(text) is not None


def key_of(text: str) -> str:
    """Return what a store knows an identifier by, or the cookie that a session was taken in from: its SHA-256.

    Whoever reads the store learns no identifier from that.
    """
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
