"""Secret keys, digests, and the HMAC that they make together."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from attrs import field, frozen
from itsdangerous import Signer

from typed_sessions.errors import ConfigurationError
from typed_sessions.sealing.base64url import to_base64

__all__ = [
    "ID_SIZE",
    "KEY_DERIVATIONS",
    "DigestMethod",
    "KeyedHash",
    "SecretKeys",
    "hkdf",
    "key_id",
    "keyed_hashes",
    "known_digest",
    "named_digest",
    "refuse_same_ids",
]

DigestMethod = Callable[..., Any]
"""A constructor of `hashlib`'s, as itsdangerous takes it."""

KeyedHash: TypeAlias = tuple[Callable[[], Any], Callable[[], Any]]
"""What makes copies of HMAC's inner and outer hash, which have taken in the key (RFC 2104)."""

KEY_DERIVATIONS: Final = ("hmac", "concat", "django-concat", "none")
"""itsdangerous' names. The last one uses a secret key as it is, and no salt."""

_FLIP_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_FLIP_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
"""The two pads of HMAC (RFC 2104), as tables for `bytes.translate`."""


@frozen
class SecretKeys:
    """The keys of an application: the current one signs, all verify."""

    current: str | bytes = field(repr=False)
    fallbacks: tuple[str | bytes, ...] = field(default=(), repr=False)
    """Earlier keys, oldest first, as in `SECRET_KEY_FALLBACKS`."""

    @property
    def oldest_first(self) -> list[bytes]:
        """The keys in the order that itsdangerous expects: the last one signs."""
        return [key.encode() if isinstance(key, str) else key for key in (*self.fallbacks, self.current)]

    @property
    def shortest(self) -> int:
        """The size of the shortest key, in bytes."""
        return min(map(len, self.oldest_first))


def hkdf(key: bytes, info: bytes) -> bytes:
    """Return 32 bytes derived from a key for one purpose: HKDF with SHA-256 and no salt (RFC 5869)."""
    pseudorandom_key = hmac.digest(bytes(hashlib.sha256().digest_size), key, "sha256")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


def key_id(key: bytes) -> str:
    """Return what names a secret key where the key itself must not show: 3 bytes, in URL-safe base64."""
    return to_base64(hkdf(key, b"typed_sessions key id")[:ID_SIZE]).decode("ascii")


ID_SIZE: Final = 3
"""In bytes: two of an application's few keys have the same by chance in one of millions."""


def refuse_same_ids(keys: SecretKeys) -> None:
    """Refuse keys of which an encrypted text could not say which one it takes.

    Raises:
        ConfigurationError: two have one id. The message has the id, and no key.
    """
    ids = [key_id(key) for key in keys.oldest_first]
    for number, each in enumerate(ids):
        if each in ids[:number]:
            raise ConfigurationError(
                f"two of SECRET_KEY and SECRET_KEY_FALLBACKS have the id {each}, which names a key in what is "
                f"encrypted: leave out the one that is there twice, or make another key (typed-sessions keys new)"
            )


def keyed_hashes(
    keys: SecretKeys, *, salt: str | bytes, key_derivation: str, digests: Sequence[DigestMethod]
) -> list[KeyedHash]:
    """Return what signs and verifies: for each digest in turn the keys, the newest one first.

    The hashes of each key are made once, with the key already in them, and copied for each signature: a signature costs
    what its message costs.
    """
    return [
        _keyed(Signer(key, salt=salt, key_derivation=key_derivation, digest_method=digest).derive_key(), digest)
        for digest in digests
        for key in keys.oldest_first[::-1]
    ]


def _keyed(key: bytes, digest: DigestMethod) -> KeyedHash:
    inner, outer = digest(), digest()
    if len(key) > inner.block_size:
        key = digest(key).digest()
    padded = key.ljust(inner.block_size, b"\0")
    inner.update(padded.translate(_FLIP_INNER))
    outer.update(padded.translate(_FLIP_OUTER))
    return inner.copy, outer.copy


def known_digest(setting: str, name: object) -> DigestMethod:
    """Return the digest method that a setting names.

    Raises:
        ConfigurationError: hashlib has none of that name.
    """
    if not isinstance(name, str) or name not in hashlib.algorithms_available or name.startswith("shake"):
        raise ConfigurationError(f'{setting}: hashlib here has no digest of that name; "sha256" and "sha512" are safe')
    return named_digest(name)


def named_digest(name: str) -> DigestMethod:
    """Return a digest method by its hashlib name, looked up on use: a FIPS build may lack one that is never used."""

    def digest(data: bytes = b"") -> Any:
        return hashlib.new(name, data)

    return digest
