"""Signatures: HMAC under the keys of an application, in itsdangerous' format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hmac import compare_digest
from typing import Any, Final, TypeAlias

from itsdangerous import Signer as KeyDerivation

from typed_sessions.base64url import from_base64, written_by_python

__all__ = ["KEY_DERIVATIONS", "DigestMethod", "Signer"]

DigestMethod = Callable[..., Any]
"""A constructor of `hashlib`'s, as itsdangerous takes it."""

KEY_DERIVATIONS: Final = ("hmac", "concat", "django-concat", "none")
"""itsdangerous' names. The last one uses a secret key as it is, and no salt."""

_FLIP_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_FLIP_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
"""The two pads of HMAC (RFC 2104), as tables for `bytes.translate`."""


class Signer:
    """Signs under one key and verifies under several.

    The hash states of each key are made once, with the key already in them, and copied for each signature: a signature
    costs what its message costs.

    Args:
        keys: the secret keys, newest first. The first one signs, all verify, and it is tried first.
        salt: what sets these signatures apart from others under the same keys.
        key_derivation: itsdangerous' name for how a signing key is made of a secret key and the salt.
        digest: the hash.
    """

    def __init__(self, keys: Sequence[bytes], *, salt: str | bytes, key_derivation: str, digest: DigestMethod) -> None:
        derived = (
            KeyDerivation(key, salt=salt, key_derivation=key_derivation, digest_method=digest).derive_key()
            for key in keys
        )
        self._states: Final = [_keyed_states(key, digest) for key in derived]
        self._inner, self._outer = self._states[0]

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message under the newest key, in URL-safe base64."""
        inner, outer = self._inner(), self._outer()
        inner.update(message)
        outer.update(inner.digest())
        return written_by_python(outer.digest())

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return True if a signature is that of a message under one of the keys. Raises nothing."""
        try:
            code = from_base64(signature)
        except ValueError:
            return False
        return any(compare_digest(each, code) for each in self.codes(message))

    def codes(self, message: bytes) -> Iterator[bytes]:
        """Return the codes of a message, one for each key, the newest first. Each is made when it is asked for."""
        return (_code(states, message) for states in self._states)


_States: TypeAlias = tuple[Callable[[], Any], Callable[[], Any]]


def _keyed_states(key: bytes, digest: DigestMethod) -> _States:
    """Return what makes copies of HMAC's inner and outer hash, which have taken in the key (RFC 2104)."""
    inner, outer = digest(), digest()
    if len(key) > inner.block_size:
        key = digest(key).digest()
    padded = key.ljust(inner.block_size, b"\0")
    inner.update(padded.translate(_FLIP_INNER))
    outer.update(padded.translate(_FLIP_OUTER))
    return inner.copy, outer.copy


def _code(states: _States, message: bytes) -> bytes:
    inner, outer = states[0](), states[1]()
    inner.update(message)
    outer.update(inner.digest())
    code: bytes = outer.digest()
    return code
