"""Sealing: from payload bytes to the text in a cookie, and back if the text is genuine.

The format is that of itsdangerous' `URLSafeTimedSerializer`, which Quart and Flask write: payload, time and signature,
each in URL-safe base64, with dots between. A payload that zlib makes shorter is compressed and begins with a dot.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from attrs import field, frozen
from itsdangerous import BadData, BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode, bytes_to_int, int_to_bytes

from typed_sessions.codec import MAX_PAYLOAD
from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import Reason, Refused

__all__ = [
    "Clock",
    "DigestMethod",
    "Sealer",
    "SecretKeys",
    "SignedSealer",
    "known_digest",
    "named_digest",
    "sealed_at",
    "sealed_size",
    "unverified_payload",
]

Clock = Callable[[], float]
"""Returns the time, in seconds since the epoch."""

DigestMethod = Callable[..., Any]
"""A constructor of `hashlib`'s, as itsdangerous takes it."""

_SEPARATOR: Final = b"."
_SEPARATORS: Final = 2
"""Between payload, time and signature."""

_STAMP_SIZE: Final = 4
"""Bytes of the time, until the year 2106."""


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


class Sealer(Protocol):
    """Makes a payload safe to hand to a visitor, and tells whether what comes back is genuine."""

    def seal(self, payload: bytes) -> str:
        """Return the text that goes into the cookie; made of characters that need no quoting there (RFC 6265)."""
        ...

    def unseal(self, text: str) -> bytes | Refused:
        """Return the payload of a genuine text of the right age, or why it is refused. Raises nothing."""
        ...


class SignedSealer:
    """Signs payloads with HMAC, as Quart and Flask do. The payload can be read by the visitor, not changed.

    Args:
        keys: the secret keys.
        salt: what sets these signatures apart from others under the same keys.
        lifetime: how old a text may be.
        leeway: how far in the future a text may be dated, by a server whose clock is ahead.
        clock: the time; the system's by default.
        key_derivation: itsdangerous' name for how a signing key is made of a secret key and the salt.
        digests: the digest methods; the first one signs, all verify.
    """

    def __init__(
        self,
        keys: SecretKeys,
        *,
        salt: str | bytes,
        lifetime: timedelta,
        leeway: timedelta,
        clock: Clock,
        key_derivation: str = "hmac",
        digests: tuple[DigestMethod, ...] = (hashlib.sha1,),
    ) -> None:
        self._signers: Final = [
            Signer(keys.oldest_first, salt=salt, key_derivation=key_derivation, digest_method=digest)
            for digest in digests
        ]
        self._lifetime: Final = int(lifetime.total_seconds())
        self._leeway: Final = leeway.total_seconds()
        self._clock: Final = clock

    def seal(self, payload: bytes) -> str:
        stamp = base64_encode(int_to_bytes(int(self._clock())))
        return self._signers[0].sign(_packed(payload) + _SEPARATOR + stamp).decode("ascii")

    def unseal(self, text: str) -> bytes | Refused:
        sealed = text.encode("utf-8", "replace")
        if sealed.count(_SEPARATOR) < _SEPARATORS:
            return Refused(Reason.MALFORMED)
        signed = self._verified(sealed)
        if signed is None:
            return Refused(Reason.SIGNATURE)
        packed, _, stamp = signed.rpartition(_SEPARATOR)
        try:
            age = int(self._clock()) - bytes_to_int(base64_decode(stamp))
        except (BadData, struct.error):
            return Refused(Reason.ENCODING)
        if age > self._lifetime:
            return Refused(Reason.EXPIRED)
        if age < -self._leeway:
            return Refused(Reason.FUTURE)
        return _unpacked(packed)

    def _verified(self, sealed: bytes) -> bytes | None:
        for signer in self._signers:
            try:
                return signer.unsign(sealed)
            except BadSignature:
                continue
        return None


def sealed_at(text: str) -> datetime | None:
    """Return the time that a sealed text claims, which nobody has verified; None if it claims none."""
    try:
        _, stamp, _ = text.rsplit(".", _SEPARATORS)
        return datetime.fromtimestamp(bytes_to_int(base64_decode(stamp)), UTC)
    except (BadData, struct.error, OverflowError, ValueError, OSError):
        return None


def unverified_payload(text: str) -> bytes | Refused:
    """Return the payload that a text claims to hold, which nobody has verified: to be looked at, never to be used."""
    packed, *rest = text.encode("utf-8", "replace").rsplit(_SEPARATOR, _SEPARATORS)
    return _unpacked(packed) if len(rest) == _SEPARATORS else Refused(Reason.MALFORMED)


def sealed_size(payload_size: int, digest: DigestMethod = hashlib.sha1) -> int:
    """Return how long the text of a payload of so many bytes is at most: signed, and not compressed."""
    sizes = (payload_size, _STAMP_SIZE, digest().digest_size)
    return sum(map(_encoded_size, sizes)) + _SEPARATORS


def _encoded_size(size: int) -> int:
    """Return how many characters base64 without padding makes of so many bytes."""
    return (size * 4 + 2) // 3


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


def _packed(payload: bytes) -> bytes:
    compressed = zlib.compress(payload)
    if len(compressed) < len(payload) - 1:
        return _SEPARATOR + base64_encode(compressed)
    return base64_encode(payload)


def _unpacked(packed: bytes) -> bytes | Refused:
    """Return the payload, inflated to the limit at most. Only signed bytes come here."""
    try:
        if not packed.startswith(_SEPARATOR):
            return base64_decode(packed)
        inflater = zlib.decompressobj()
        payload = inflater.decompress(base64_decode(packed[1:]), MAX_PAYLOAD + 1)
    except (BadData, zlib.error):
        return Refused(Reason.ENCODING)
    if len(payload) > MAX_PAYLOAD:
        return Refused(Reason.TOO_LARGE)
    return payload if inflater.eof else Refused(Reason.ENCODING)
