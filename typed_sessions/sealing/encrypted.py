"""The encrypting sealer, and what it encrypts with: AES-256-GCM under a key for each day.

A text is `base64(nonce, ciphertext, tag).time.key-id`, in URL-safe base64. What is compressed begins with a dot. The id
says which secret key it is under, so that nothing is searched.
"""

from __future__ import annotations

import zlib
from binascii import a2b_base64
from collections.abc import Callable, Collection
from datetime import timedelta
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from typed_sessions.codec.codec import MAX_PAYLOAD
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base import Clock, Genuine, progress
from typed_sessions.sealing.base64url import TO_STANDARD, from_canonical, to_base64
from typed_sessions.sealing.keys import ID_SIZE, SecretKeys, hkdf, key_id
from typed_sessions.sealing.parts import (
    SEPARATOR,
    SEPARATORS,
    STAMP_LENGTH,
    STAMP_SIZE,
    claimed_time,
    encoded_size,
    inflated,
    seconds_of,
    stamp_of,
    untimely,
)

__all__ = ["DailyKeys", "EncryptedSealer"]

_NONCE: Final = 12
_TAG: Final = 16
"""Sizes in bytes (NIST SP 800-38D, sections 5.2.1 and 8.2.2)."""

_DAY: Final = 24 * 60 * 60
_MOST_DAYS: Final = 64
"""How many keys of days are kept: those of a default lifetime, twice."""

_TAIL: Final = SEPARATORS + encoded_size(STAMP_SIZE) + encoded_size(ID_SIZE)
"""How many characters follow the payload: time and id, and the dots before them."""

_from_bytes: Final = int.from_bytes


class DailyKeys:
    """The keys that are derived for each UTC day, for one purpose, from the secret keys of an application.

    A nonce is random, and no two may be the same under one key: one of 2^32 may be, with a chance of 2^-32 (NIST SP
    800-38D, section 8.3). A key for each day allows 49,000 of them in each second.

    Args:
        keys: the secret keys.
        purpose: what sets these keys apart from others that are derived from them.
    """

    def __init__(self, keys: SecretKeys, purpose: bytes) -> None:
        self._purpose: Final = purpose
        self._keys: Final = {key_id(key).encode("ascii"): key for key in keys.oldest_first}
        self.ids: Final = frozenset(self._keys)
        """The ids of all secret keys."""
        self.current: Final = key_id(keys.oldest_first[-1]).encode("ascii")
        """The id of the key that encrypts."""
        self._ciphers: dict[tuple[bytes, int], AESGCM] = {}

    def cipher(self, name: bytes, second: int) -> AESGCM:
        """Return what encrypts and decrypts under the secret key of an id, on the day of a time."""
        place = name, second // _DAY
        found = self._ciphers.get(place)
        if found is None:
            info = b"typed_sessions encryption %d %s" % (place[1], self._purpose)
            found = AESGCM(hkdf(self._keys[name], info))
            if len(self._ciphers) >= _MOST_DAYS:  # whoever writes times by hand has them derived, and not kept
                self._ciphers = {}
            self._ciphers[place] = found
        return found

    def encrypted(self, payload: bytes, bound: bytes, second: int) -> bytes:
        """Return nonce, ciphertext and tag.

        Args:
            payload: what is encrypted.
            bound: what has to be the same when it is decrypted.
            second: the time that says the day.
        """
        nonce = urandom(_NONCE)
        return nonce + self.cipher(self.current, second).encrypt(nonce, payload, bound)

    def decrypted(self, sealed: bytes, bound: bytes, second: int, name: bytes) -> bytes | None:
        """Return what was encrypted under the key of an id; None if it was not, or not with what it is bound to."""
        try:
            return self.cipher(name, second).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
        except (InvalidTag, ValueError):
            return None


class EncryptedSealer:
    """Encrypts payloads, so that whoever has the text learns no more than how long it is, and can change nothing.

    Args:
        keys: the secret keys.
        salt: what sets these texts apart from others under the same keys.
        cookie_name: the cookie that the text is for; it is refused in another one.
        lifetime: how old a text may be.
        leeway: how far in the future a text may be dated, by a server whose clock is ahead.
        clock: the time.
        room: how long a text may be before its payload is compressed: the length of what is compressed tells something
            of what it holds.
        max_payload: how long a payload may be, in bytes; one that inflates to more is refused.
    """

    def __init__(
        self,
        keys: SecretKeys,
        *,
        salt: str | bytes,
        cookie_name: str,
        lifetime: timedelta,
        leeway: timedelta,
        clock: Clock,
        room: int,
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        self._keys: Final = DailyKeys(keys, b"cookie " + (salt.encode() if isinstance(salt, str) else salt))
        self._plain: Final = SEPARATOR + cookie_name.encode() + b"p"
        self._compressed: Final = SEPARATOR + cookie_name.encode() + b"z"
        """What is authenticated after time and id, neither of which has a dot: the cookie, and what is encrypted."""
        self._oldest: Final = int(lifetime.total_seconds())
        self._youngest: Final = -leeway.total_seconds()
        self._clock: Final = clock
        self._max_payload: Final = max_payload
        self._uncompressed: Final = (room - _TAIL) * 3 // 4 - _NONCE - _TAG
        self._latest = self._made_for(int(clock()))
        """The latest second, and how a payload is sealed then. Replaced as a whole: threads may share a sealer."""

    @property
    def overhead(self) -> int:
        return encoded_size(_NONCE + _TAG) + _TAIL

    def seal(self, payload: bytes) -> str:
        second, tail, bound, encrypt = self._latest
        now = int(self._clock())
        if now != second:
            self._latest = _, tail, bound, encrypt = self._made_for(now)
        nonce = urandom(_NONCE)
        if len(payload) > self._uncompressed:
            compressed = zlib.compress(payload)
            if len(compressed) < len(payload) - 1:
                sealed = nonce + encrypt(nonce, compressed, tail + self._compressed)
                return (SEPARATOR + to_base64(sealed) + tail).decode("ascii")
        return (to_base64(nonce + encrypt(nonce, payload, bound)) + tail).decode("ascii")

    def open(self, text: str) -> tuple[bytes, int] | Refused:
        raw = text.encode("utf-8", "replace")
        opened = self._decrypted(raw)
        if type(opened) is tuple and (raw[:1] == SEPARATOR or len(opened[0]) > self._max_payload):
            return self._unpacked(*opened, is_compressed=raw[:1] == SEPARATOR)
        return opened

    claimed_time = staticmethod(claimed_time)

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:
        message = signed.encode("utf-8", "replace") + SEPARATOR
        outcomes = {name: self._decrypted(message + to_base64(name)) for name in signatures}
        genuine = tuple(name for name, outcome in outcomes.items() if not isinstance(outcome, Refused))
        if genuine:
            return Genuine(claimed_time(f"{signed}.") or 0, genuine)
        refusals = [outcome for outcome in outcomes.values() if isinstance(outcome, Refused)]
        return max(refusals, key=progress, default=Refused(Reason.SIGNATURE))

    def _decrypted(self, raw: bytes) -> tuple[bytes, int] | Refused:
        """Return what was encrypted, compressed or not, and its age; or why it is refused."""
        try:
            packed, stamp, name = raw.rsplit(SEPARATOR, SEPARATORS)
        except ValueError:
            return Refused(Reason.MALFORMED)
        keys, tail = self._keys, raw[len(packed) :]
        if name not in keys.ids:
            return Refused(Reason.SIGNATURE)
        try:
            if len(stamp) == STAMP_LENGTH:  # as nearly all have
                sealed_at = _from_bytes(a2b_base64(stamp.translate(TO_STANDARD) + b"=="), "big")
            else:
                sealed_at = seconds_of(stamp)
            age = int(self._clock()) - sealed_at
            if not self._youngest <= age <= self._oldest:  # before a key is derived for that day
                return untimely(age)
            if packed[:1] == SEPARATOR:
                sealed, bound = from_canonical(packed[1:]), tail + self._compressed
            else:
                sealed, bound = from_canonical(packed), tail + self._plain
            return keys.cipher(name, sealed_at).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound), age
        except (InvalidTag, ValueError):
            return Refused(Reason.SIGNATURE)

    def _unpacked(self, packed: bytes, age: int, *, is_compressed: bool) -> tuple[bytes, int] | Refused:
        try:
            payload = inflated(packed, self._max_payload) if is_compressed else packed
        except ValueError:
            return Refused(Reason.ENCODING)
        return (payload, age) if len(payload) <= self._max_payload else Refused(Reason.TOO_LARGE)

    def _made_for(self, second: int) -> tuple[int, bytes, bytes, Callable[[bytes, bytes, bytes], bytes]]:
        """Return a second, what follows a payload then, what that is bound to, and what encrypts it."""
        tail = stamp_of(second) + SEPARATOR + self._keys.current
        return second, tail, tail + self._plain, self._keys.cipher(self._keys.current, second).encrypt
