"""Sealing: from payload bytes to the text in a cookie, and back if the text is genuine.

The format is that of itsdangerous' `URLSafeTimedSerializer`, which Quart and Flask write: payload, time and signature,
each in URL-safe base64, with dots between. What is compressed begins with a dot.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any, Final, Protocol

from attrs import field, frozen

from typed_sessions.base64url import from_base64, read_by_python, to_base64
from typed_sessions.codec import MAX_PAYLOAD
from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import Reason, Refused
from typed_sessions.signing import DigestMethod, Signer

__all__ = [
    "Clock",
    "Genuine",
    "KeylessSealer",
    "Sealer",
    "SecretKeys",
    "SignedSealer",
    "claims_of",
    "known_digest",
    "named_digest",
    "sealed_at",
    "sealed_size",
    "stamp_of",
    "unsealed_size",
    "unverified_payload",
]

Clock = Callable[[], float]
"""Returns the time, in seconds since the epoch."""

_SEPARATOR: Final = b"."
_SEPARATORS: Final = 2
"""Between payload, time and signature."""

_STAMP_SIZE: Final = 4
"""Bytes of the time, until the year 2106."""

_LONGEST_STAMP: Final = 8

_SMALL: Final = 200
"""In bytes. To compress what is no longer saves two or three characters, and takes longer than all else."""


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


@frozen
class Genuine:
    """What was sealed under one of the keys, and is of the right age."""

    sealed_at: int
    """In seconds since the epoch."""
    signatures: tuple[bytes, ...] = field(repr=False)
    """Those that are genuine, of all that were given."""


class Sealer(Protocol):
    """Makes a payload safe to hand to a visitor, and tells whether what comes back is genuine."""

    def seal(self, payload: bytes) -> str:
        """Return the text that goes into the cookie; made of characters that need no quoting there (RFC 6265)."""
        ...

    def unseal(self, text: str) -> bytes | Refused:
        """Return the payload of a genuine text of the right age, or why it is refused. Raises nothing."""
        ...

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:
        """Return when something was sealed, and with which of these signatures, without opening it. Raises nothing."""
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
        max_payload: how long a payload may be, in bytes; one that inflates to more is refused.
        uncompressed: payloads of up to so many bytes, and of up to 200 in any case, are sealed as they are. All others
            are compressed where that makes them shorter, as itsdangerous does it.
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
        max_payload: int = MAX_PAYLOAD,
        uncompressed: int = 0,
    ) -> None:
        newest_first = keys.oldest_first[::-1]
        self._signers: Final = [
            Signer(newest_first, salt=salt, key_derivation=key_derivation, digest=digest) for digest in digests
        ]
        self._sign: Final = self._signers[0].sign
        self._oldest: Final = int(lifetime.total_seconds())
        self._youngest: Final = -leeway.total_seconds()
        self._clock: Final = clock
        self._max_payload: Final = max_payload
        self._uncompressed: Final = max(_SMALL, uncompressed)
        self._stamp = (-1, b"")
        """The latest second, and its time as a text has it. Replaced as a whole: threads may share a sealer."""

    def seal(self, payload: bytes) -> str:
        mark = b""
        if len(payload) > self._uncompressed:
            compressed = zlib.compress(payload)
            if len(compressed) < len(payload) - 1:
                mark, payload = _SEPARATOR, compressed
        second, stamp = self._stamp
        now = int(self._clock())
        if now != second:
            stamp = self._stamped(now)
        signed = mark + to_base64(payload) + stamp
        return (signed + _SEPARATOR + self._sign(signed)).decode("ascii")

    def unseal(self, text: str) -> bytes | Refused:
        signed, _, signature = text.encode("utf-8", "replace").rpartition(_SEPARATOR)
        packed, separator, stamp = signed.rpartition(_SEPARATOR)
        if not separator:
            return Refused(Reason.MALFORMED)
        if not compare_digest(self._sign(signed), signature) and not self._verifies(signed, signature):
            return Refused(Reason.SIGNATURE)
        try:
            age = int(self._clock()) - _seconds(stamp)
        except ValueError:
            return Refused(Reason.ENCODING)
        return _unpacked(packed, self._max_payload) if self._youngest <= age <= self._oldest else _untimely(age)

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:
        message = signed.encode("utf-8", "replace")
        codes = [code for signer in self._signers for code in signer.codes(message)]
        genuine = tuple(each for each in signatures if any(compare_digest(each, code) for code in codes))
        if not genuine:
            return Refused(Reason.SIGNATURE)
        try:
            moment = _seconds(message.rpartition(_SEPARATOR)[2])
        except ValueError:
            return Refused(Reason.ENCODING)
        age = int(self._clock()) - moment
        return Genuine(moment, genuine) if self._youngest <= age <= self._oldest else _untimely(age)

    def _verifies(self, signed: bytes, signature: bytes) -> bool:
        """Return True if a signature is a genuine one: in another spelling, of an earlier key, or by another digest."""
        return any(signer.verifies(signed, signature) for signer in self._signers)

    def _stamped(self, now: int) -> bytes:
        """Return a separator and a time, which is kept for the rest of its second."""
        stamp = _SEPARATOR + to_base64(now.to_bytes((now.bit_length() + 7) // 8, "big"))
        self._stamp = (now, stamp)
        return stamp


class KeylessSealer:
    """Stands where there is no secret key: no text is genuine, and none can be made."""

    def seal(self, payload: bytes) -> str:  # noqa: ARG002 -- a Sealer
        """Raise ConfigurationError."""
        raise ConfigurationError("a session cookie needs a SECRET_KEY (app.secret_key)")

    def unseal(self, text: str) -> bytes | Refused:  # noqa: ARG002 -- a Sealer
        return Refused(Reason.SIGNATURE)

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:  # noqa: ARG002 -- a Sealer
        return Refused(Reason.SIGNATURE)


def claims_of(texts: Iterable[str], most: int) -> dict[str, dict[bytes, list[str]]]:
    """Return what texts claim was sealed, in the order that they came in: with each signature, and the texts of that.

    A signature has many spellings in base64: it takes no key to make a thousand different texts of one.

    Args:
        texts: the texts.
        most: how many claims to take; texts of further ones are left out.
    """
    claims: dict[str, dict[bytes, list[str]]] = {}
    for text in texts:
        signed, _, signature = text.rpartition(".")
        if signed in claims or (len(claims) < most and "." in signed):
            claims.setdefault(signed, {}).setdefault(_code(signature), []).append(text)
    return claims


def _code(signature: str) -> bytes:
    """Return what a signature stands for; nothing, which no code is, where it is no base64."""
    try:
        return from_base64(signature.encode("utf-8", "replace"))
    except ValueError:
        return b""


def sealed_at(text: str) -> datetime | None:
    """Return the time that a sealed text claims, which nobody has verified; None if it claims none."""
    stamp = stamp_of(text)
    try:
        return None if stamp is None else datetime.fromtimestamp(stamp, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def stamp_of(text: str) -> int | None:
    """Return the time that a sealed text claims, in seconds since the epoch; None if it claims none."""
    signed, _, _ = text.rpartition(".")
    _, separator, stamp = signed.rpartition(".")
    try:
        return _seconds(stamp.encode()) if separator else None
    except ValueError:
        return None


def _seconds(stamp: bytes) -> int:
    """Return the time that a stamp holds. Raises ValueError for what is none, or has more than itsdangerous takes."""
    number = read_by_python(stamp)
    if len(number) > _LONGEST_STAMP:
        raise ValueError("a time has at most eight bytes")
    return int.from_bytes(number, "big")


def unverified_payload(text: str) -> bytes | Refused:
    """Return the payload that a text claims to hold, which nobody has verified: to be looked at, never to be used."""
    packed, *rest = text.encode("utf-8", "replace").rsplit(_SEPARATOR, _SEPARATORS)
    return _unpacked(packed, MAX_PAYLOAD) if len(rest) == _SEPARATORS else Refused(Reason.MALFORMED)


def sealed_size(payload_size: int, digest: DigestMethod = hashlib.sha1) -> int:
    """Return how long the text of a payload of so many bytes is at most: signed, and not compressed."""
    sizes = (payload_size, _STAMP_SIZE, digest().digest_size)
    return sum(map(_encoded_size, sizes)) + _SEPARATORS


def unsealed_size(text_size: int, digest: DigestMethod = hashlib.sha1) -> int:
    """Return how large a payload may be whose text, not compressed, has at most so many characters."""
    return max(0, (text_size - sealed_size(0, digest)) * 3 // 4)


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


def _untimely(age: int) -> Refused:
    return Refused(Reason.EXPIRED if age > 0 else Reason.FUTURE)


def _unpacked(packed: bytes, limit: int) -> bytes | Refused:
    """Return the payload, inflated to the limit at most. Only signed bytes come here."""
    try:
        if not packed.startswith(_SEPARATOR):
            payload = from_base64(packed)
            return payload if len(payload) <= limit else Refused(Reason.TOO_LARGE)
        inflater = zlib.decompressobj()
        payload = inflater.decompress(from_base64(packed[1:]), limit + 1)
    except (ValueError, zlib.error):
        return Refused(Reason.ENCODING)
    if len(payload) > limit:
        return Refused(Reason.TOO_LARGE)
    return payload if inflater.eof else Refused(Reason.ENCODING)
