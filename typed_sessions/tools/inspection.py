"""What a session cookie holds, for a developer who looks at one: its format, its age, its size and its contents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from typed_sessions.codec.codec import Codec, Loaded
from typed_sessions.core.settings import checked_encryption
from typed_sessions.reports import Reason, Refused
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.keys import DigestMethod, SecretKeys
from typed_sessions.sealing.parts import id_in
from typed_sessions.sealing.signed import SignedSealer, unverified
from typed_sessions.serializers.base import BUILT_IN, AnySerializer, salt_of, serializer_name

__all__ = ["Inspection", "inspect_cookie"]

_ANY_AGE: Final = timedelta(days=365 * 1000)
_FORMATS: Final[Mapping[str, AnySerializer]] = {name: make() for name, make in BUILT_IN.items()}


@frozen
class Inspection:
    """What a cookie holds."""

    verified: bool
    """True if the key signed it. Otherwise anybody may have written it."""
    refused: Reason | None
    """Why it could not be verified with the key, or could not be read; None if there is nothing against it."""
    formats: tuple[str, ...]
    """The serializers that can read it: one if the cookie is verified, for each format with a name has its own salt."""
    sealed_at: datetime | None
    """When it says that it was sealed."""
    size: int
    """Of the cookie's value, in bytes."""
    payload_size: int | None
    """Of what is inside, inflated, in bytes; None if it cannot be unpacked."""
    compressed: bool
    contents: Mapping[str, object] | None
    """The plain values by key; None if they cannot be read."""
    key_id: str | None = None
    """That of the secret key, if the cookie is encrypted; see `sealing.keys.key_id`."""


def inspect_cookie(
    text: str,
    key: str | bytes | None,
    *,
    salt: str = "cookie-session",
    digest: DigestMethod = hashlib.sha1,
    serializers: Sequence[AnySerializer] = (),
    cookie_name: str = "session",
) -> Inspection:
    """Return what the value of a cookie holds, whatever its age.

    Args:
        text: the value.
        key: the secret key, or None to look without one: nothing is verified then, and nothing decrypted.
        salt: the salt of the application's session interface.
        digest: the digest method of the signature.
        serializers: those of the application's own, beside the built-in ones.
        cookie_name: the cookie that an encrypted text is for.

    Raises:
        ConfigurationError: the cookie is encrypted, and what decrypts it is not installed.
    """
    own = {serializer_name(serializer) or type(serializer).__name__: serializer for serializer in serializers}
    known = {**own, **{name: serializer for name, serializer in _FORMATS.items() if name not in own}}
    key_id, claimed = id_in(text), unverified(text)
    payload = claimed.payload
    if key_id is None:
        sealed_as = _signed_as(text, key, salt, digest, known)
        readings = {} if isinstance(payload, Refused) else dict(_readings(payload, sealed_as or known))
    else:
        payload, sealed_as = _decrypted(text, key, salt, cookie_name, known)
        readings = {} if isinstance(payload, Refused) else dict(_readings(payload, sealed_as))
    is_locked = key_id is not None and key is None
    refused = None if is_locked else _refusal(payload, readings, bad_signature=key is not None and not sealed_as)
    return Inspection(
        verified=bool(sealed_as),
        refused=refused,
        formats=tuple(readings),
        sealed_at=claimed.sealed_at,
        size=len(text.encode("utf-8", "replace")),
        payload_size=None if isinstance(payload, Refused) else len(payload),
        compressed=claimed.compressed,
        contents=next(iter(readings.values()), None),
        key_id=key_id,
    )


def _decrypted(
    text: str, key: str | bytes | None, salt: str, cookie_name: str, known: Mapping[str, AnySerializer]
) -> tuple[bytes | Refused, Mapping[str, AnySerializer]]:
    """Return the payload of an encrypted text, and the formats under whose salt it is encrypted."""
    payload: bytes | Refused = Refused(Reason.SIGNATURE)
    sealed_as: dict[str, AnySerializer] = {}
    if key is None:
        return payload, sealed_as
    checked_encryption("a cookie with encryption", "on")
    from typed_sessions.sealing.encrypted import EncryptedSealer  # noqa: PLC0415 -- it imports what is an extra

    for name, serializer in known.items():
        sealer = EncryptedSealer(
            SecretKeys(key),
            salt=salt_of(salt, serializer),
            cookie_name=cookie_name,
            lifetime=_ANY_AGE,
            leeway=_ANY_AGE,
            clock=lambda: 0.0,
            room=0,
        )
        outcome = sealer.open(text)
        if _is_genuine(outcome):
            sealed_as[name] = serializer
            payload = outcome if isinstance(outcome, Refused) else outcome[0]
    return payload, sealed_as


def _is_genuine(outcome: tuple[bytes, int] | Refused) -> bool:
    """Return True if a text was sealed under a key, whether its payload can be unpacked or not."""
    return not isinstance(outcome, Refused) or outcome.reason not in (Reason.SIGNATURE, Reason.MALFORMED)


def _signed_as(
    text: str, key: str | bytes | None, salt: str, digest: DigestMethod, known: Mapping[str, AnySerializer]
) -> Mapping[str, AnySerializer]:
    """Return the formats under whose salt a key signed a text: those without a name share one with tagged JSON."""
    if key is None:
        return {}
    return {
        name: serializer
        for name, serializer in known.items()
        if _is_signed(text, key, salt_of(salt, serializer), digest)
    }


def _is_signed(text: str, key: str | bytes, salt: str | bytes, digest: DigestMethod) -> bool:
    sealer = SignedSealer(
        SecretKeys(key),
        salt=salt,
        lifetime=_ANY_AGE,
        leeway=_ANY_AGE,
        clock=lambda: 0.0,
        digests=(digest,),
    )
    return _is_genuine(sealer.open(text))


def _readings(payload: bytes, formats: Mapping[str, AnySerializer]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for name, serializer in formats.items():
        outcome = Codec(Schema(), serializer).decode(payload)
        if isinstance(outcome, Loaded):
            yield name, outcome.contents.stored()


def _refusal(payload: bytes | Refused, readings: Mapping[str, object], *, bad_signature: bool) -> Reason | None:
    if bad_signature:
        return Reason.SIGNATURE
    if isinstance(payload, Refused):
        return payload.reason
    return None if readings else Reason.UNREADABLE
