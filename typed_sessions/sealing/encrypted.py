"""The encrypting sealer, and what it encrypts with: AES-256-GCM under a key for each day.

A text is `base64(nonce, ciphertext, tag).time.key-id`, in URL-safe base64. What is compressed begins with a dot. The id
says which secret key it is under, so that nothing is searched.
"""

from __future__ import annotations

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
from typed_sessions.sealing.keys import SecretKeys, hkdf, key_id
from typed_sessions.sealing.parts import (
    NONCE_SIZE,
    SEPARATOR,
    SEPARATORS,
    STAMP_LENGTH,
    TAG_SIZE,
    TAIL_LENGTH,
    Stamped,
    compressed,
    encrypted_size,
    inflated,
    seconds_of,
    stamp_of,
    untimely,
)

__all__ = ["DailyKeys", "EncryptedSealer"]

_DAY: Final = 24 * 60 * 60
_MOST_DAYS: Final = 64
"""How many keys of days are kept: those of a default lifetime, twice."""

_DECRYPTED: Final = (Reason.ENCODING, Reason.TOO_LARGE)
"""Why a text is refused that is genuine."""

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
        self.made: Final = dict[tuple[bytes, int], AESGCM]()
        """What `cipher` has made, by id and day."""

    def cipher(self, name: bytes, second: int) -> AESGCM:
        """Return what encrypts and decrypts under the secret key of an id, on the day of a time."""
        place = name, second // _DAY
        found = self.made.get(place)
        if found is None:
            info = b"typed_sessions encryption %d %s" % (place[1], self._purpose)
            found = AESGCM(hkdf(self._keys[name], info))
            if len(self.made) >= _MOST_DAYS:  # whoever writes times by hand has keys derived, and not kept
                self.made.clear()
            self.made[place] = found
        return found

    def encrypted(self, payload: bytes, bound: bytes, second: int) -> bytes:
        """Return nonce, ciphertext and tag.

        Args:
            payload: what is encrypted.
            bound: what has to be the same when it is decrypted.
            second: the time that says the day.
        """
        nonce = urandom(NONCE_SIZE)
        return nonce + self.cipher(self.current, second).encrypt(nonce, payload, bound)

    def decrypted(self, sealed: bytes, bound: bytes, second: int, name: bytes) -> bytes | None:
        """Return what was encrypted under the key of an id; None if it was not, or not with what it is bound to."""
        try:
            return self.cipher(name, second).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], bound)
        except (InvalidTag, ValueError):
            return None


class EncryptedSealer(Stamped):
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
        self._uncompressed: Final = (room - TAIL_LENGTH) * 3 // 4 - NONCE_SIZE - TAG_SIZE
        self._latest = self._made_for(int(clock()))
        """The latest second, and how a payload is sealed then. Replaced as a whole: threads may share a sealer."""

    @property
    def overhead(self) -> int:
        return encrypted_size(0)

    def seal(self, payload: bytes) -> str:
        second, tail, bound, encrypt = self._latest
        now = int(self._clock())
        if now != second:
            self._latest = _, tail, bound, encrypt = self._made_for(now)
        nonce = urandom(NONCE_SIZE)
        if len(payload) > self._uncompressed:
            packed = compressed(payload, self._uncompressed)
            if packed is not None:
                sealed = nonce + encrypt(nonce, packed, tail + self._compressed)
                return (SEPARATOR + to_base64(sealed) + tail).decode("ascii")
        return (to_base64(nonce + encrypt(nonce, payload, bound)) + tail).decode("ascii")

    def open(self, text: str) -> tuple[bytes, int] | Refused:
        raw = text.encode("utf-8", "replace")
        try:
            packed, stamp, name = raw.rsplit(SEPARATOR, SEPARATORS)
        except ValueError:
            return Refused(Reason.MALFORMED)
        keys = self._keys
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
            is_compressed = packed[:1] == SEPARATOR
            bound = raw[len(packed) :] + (self._compressed if is_compressed else self._plain)
            sealed = from_canonical(packed[1:] if is_compressed else packed)
            cipher = keys.made.get((name, sealed_at // _DAY)) or keys.cipher(name, sealed_at)
            payload = cipher.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], bound)
        except (InvalidTag, ValueError):
            return Refused(Reason.SIGNATURE)
        if is_compressed:
            try:
                payload = inflated(payload, self._max_payload)
            except ValueError:
                return Refused(Reason.ENCODING)
        return (payload, age) if len(payload) <= self._max_payload else Refused(Reason.TOO_LARGE)

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:
        outcomes = {name: self.open(f"{signed}.{to_base64(name).decode()}") for name in signatures}
        refusals = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Refused)}
        genuine = tuple(name for name in outcomes if name not in refusals or refusals[name].reason in _DECRYPTED)
        if genuine:
            return Genuine(self.claimed_time(f"{signed}.") or 0, genuine)
        return max(refusals.values(), key=progress, default=Refused(Reason.SIGNATURE))

    def _made_for(self, second: int) -> tuple[int, bytes, bytes, Callable[[bytes, bytes, bytes], bytes]]:
        """Return a second, what follows a payload then, what that is bound to, and what encrypts it."""
        tail = stamp_of(second) + SEPARATOR + self._keys.current
        return second, tail, tail + self._plain, self._keys.cipher(self._keys.current, second).encrypt
