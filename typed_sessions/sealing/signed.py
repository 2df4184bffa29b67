"""The signed sealer: what Quart and Flask write.

The format is that of itsdangerous' `URLSafeTimedSerializer`: payload, time and signature, each in URL-safe base64, with
dots between. What is compressed begins with a dot.
"""

from __future__ import annotations

import hashlib
from binascii import a2b_base64, b2a_base64
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final

from attrs import field, frozen

from typed_sessions.codec.codec import MAX_PAYLOAD
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base import Clock, Genuine, as_datetime
from typed_sessions.sealing.base64url import TO_STANDARD, TO_URL_SAFE, from_base64, to_base64
from typed_sessions.sealing.keys import DigestMethod, KeyedHash, SecretKeys, keyed_hashes
from typed_sessions.sealing.parts import (
    SEPARATOR,
    SEPARATORS,
    STAMP_LENGTH,
    STAMP_SIZE,
    Stamped,
    compressed,
    encoded_size,
    inflated,
    seconds_of,
    stamp_of,
    untimely,
)

__all__ = ["SignedSealer", "Unverified", "sealed_size", "unverified"]

_from_bytes: Final = int.from_bytes

_SMALL: Final = 200
"""In bytes. To compress what is no longer saves two or three characters, and takes longer than all else."""


class SignedSealer(Stamped):
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
        room: payloads whose text has up to so many characters, and those of up to 200 bytes in any case, are sealed as
            they are. All others are compressed where that makes them shorter: without a room as itsdangerous does it,
            else more quickly where that fits.
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
        room: int = 0,
    ) -> None:
        self._hashes: Final = keyed_hashes(keys, salt=salt, key_derivation=key_derivation, digests=digests)
        self._inner, self._outer = self._hashes[0]
        self._signature_size: Final = encoded_size(len(_code(self._hashes[0], b"")))
        self._oldest: Final = int(lifetime.total_seconds())
        self._youngest: Final = -leeway.total_seconds()
        self._clock: Final = clock
        self._max_payload: Final = max_payload
        self._uncompressed: Final = max(_SMALL, (room - self.overhead) * 3 // 4)
        self._most: Final = self._uncompressed if room else None
        """How many bytes fit; None where what itsdangerous makes is what counts."""
        self._stamp = (-1, b"")
        """The latest second, and its time as a text has it. Replaced as a whole: threads may share a sealer."""

    @property
    def overhead(self) -> int:
        return self._signature_size + encoded_size(STAMP_SIZE) + SEPARATORS

    def seal(self, payload: bytes) -> str:
        shorter = compressed(payload, self._most) if len(payload) > self._uncompressed else None
        packed = to_base64(payload) if shorter is None else SEPARATOR + to_base64(shorter)
        second, stamp = self._stamp
        now = int(self._clock())
        if now != second:
            stamp = self._stamped(now)
        signed = packed + stamp
        inner, outer = self._inner(), self._outer()
        inner.update(signed)
        outer.update(inner.digest())
        signature = b2a_base64(outer.digest()).translate(TO_URL_SAFE)[: self._signature_size]
        return (signed + SEPARATOR + signature).decode("ascii")

    def open(self, text: str) -> tuple[bytes, int] | Refused:
        signed, _, signature = text.encode("utf-8", "replace").rpartition(SEPARATOR)
        packed, separator, stamp = signed.rpartition(SEPARATOR)
        if not separator:
            return Refused(Reason.MALFORMED)
        inner, outer = self._inner(), self._outer()
        inner.update(signed)
        outer.update(inner.digest())
        genuine = b2a_base64(outer.digest()).translate(TO_URL_SAFE)[: self._signature_size]
        if not compare_digest(genuine, signature) and not self._verifies(signed, signature):
            return Refused(Reason.SIGNATURE)
        try:
            if len(stamp) == STAMP_LENGTH:  # as nearly all have
                age = int(self._clock()) - _from_bytes(a2b_base64(stamp.translate(TO_STANDARD) + b"=="), "big")
            else:
                age = int(self._clock()) - seconds_of(stamp)
            if not self._youngest <= age <= self._oldest:
                return untimely(age)
            is_compressed = packed[:1] == SEPARATOR
            payload = inflated(from_base64(packed[1:]), self._max_payload) if is_compressed else from_base64(packed)
        except ValueError:
            return Refused(Reason.ENCODING)
        return (payload, age) if len(payload) <= self._max_payload else Refused(Reason.TOO_LARGE)

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:
        message = signed.encode("utf-8", "replace")
        codes = list(self._codes(message))
        genuine = tuple(each for each in signatures if any(compare_digest(each, code) for code in codes))
        if not genuine:
            return Refused(Reason.SIGNATURE)
        try:
            moment = seconds_of(message.rpartition(SEPARATOR)[2])
        except ValueError:
            return Refused(Reason.ENCODING)
        age = int(self._clock()) - moment
        return Genuine(moment, genuine) if self._youngest <= age <= self._oldest else untimely(age)

    def _verifies(self, message: bytes, signature: bytes) -> bool:
        """Return True if a signature is a genuine one: in another spelling, of an earlier key, or by another digest."""
        try:
            code = from_base64(signature)
        except ValueError:
            return False
        return any(compare_digest(each, code) for each in self._codes(message))

    def _codes(self, message: bytes) -> Iterator[bytes]:
        """Return what is genuine for a message, under each key. Each is made when it is asked for."""
        return (_code(keyed, message) for keyed in self._hashes)

    def _stamped(self, now: int) -> bytes:
        """Return a separator and a time, which is kept for the rest of its second."""
        stamp = stamp_of(now)
        self._stamp = (now, stamp)
        return stamp


@frozen
class Unverified:
    """What a text claims to hold, which nobody has verified: to be looked at, never to be used."""

    payload: bytes | Refused = field(repr=False)
    sealed_at: datetime | None
    compressed: bool


def unverified(text: str) -> Unverified:
    """Return what a text claims to hold. It takes no key to write that."""
    packed, *rest = text.encode("utf-8", "replace").rsplit(SEPARATOR, SEPARATORS)
    payload: bytes | Refused = Refused(Reason.MALFORMED)
    if len(rest) == SEPARATORS:
        try:
            payload = inflated(from_base64(packed[1:]), MAX_PAYLOAD) if packed[:1] == SEPARATOR else from_base64(packed)
        except ValueError:
            payload = Refused(Reason.ENCODING)
    return Unverified(
        payload=Refused(Reason.TOO_LARGE) if isinstance(payload, bytes) and len(payload) > MAX_PAYLOAD else payload,
        sealed_at=as_datetime(Stamped.claimed_time(text)),
        compressed=text.startswith("."),
    )


def sealed_size(payload_size: int, digest: DigestMethod = hashlib.sha1) -> int:
    """Return how long the text of a payload of so many bytes is at most: signed, and not compressed."""
    sizes = (payload_size, STAMP_SIZE, digest().digest_size)
    return sum(map(encoded_size, sizes)) + SEPARATORS


def _code(keyed: KeyedHash, message: bytes) -> bytes:
    inner, outer = keyed[0](), keyed[1]()
    inner.update(message)
    outer.update(inner.digest())
    code: bytes = outer.digest()
    return code
