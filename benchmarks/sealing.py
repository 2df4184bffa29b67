"""Sealing with nothing around it: the least that the cookies' format costs in Python."""

from __future__ import annotations

import hashlib
import hmac
import time
import zlib
from binascii import a2b_base64, b2a_base64
from typing import Final

__all__ = ["BareSealer"]

_LIFETIME: Final = 31 * 24 * 60 * 60
"""In seconds: Quart's default."""


class BareSealer:
    """Signs with HMAC-SHA1 as Quart does it, writes base64, and compresses with zlib.

    Args:
        secret_key: the one key.
        uncompressed: payloads of up to so many bytes are not compressed.
    """

    def __init__(self, secret_key: str, *, uncompressed: int = 200) -> None:
        key = hmac.digest(secret_key.encode(), b"cookie-session", "sha1").ljust(64, b"\0")
        self._inner: Final = hashlib.sha1(bytes(byte ^ 0x36 for byte in key))  # noqa: S324 -- as Quart signs
        self._outer: Final = hashlib.sha1(bytes(byte ^ 0x5C for byte in key))  # noqa: S324 -- as Quart signs
        self._uncompressed: Final = uncompressed

    def seal(self, payload: bytes) -> str:
        """Return the text of a payload."""
        packed = _to_base64(payload) if len(payload) <= self._uncompressed else _compressed(payload)
        signed = packed + b"." + _to_base64(int(time.time()).to_bytes(4, "big"))
        return (signed + b"." + self._signature(signed)).decode()

    def unseal(self, text: str) -> bytes | None:
        """Return the payload of a genuine text of the right age."""
        signed, _, signature = text.encode().rpartition(b".")
        if not hmac.compare_digest(self._signature(signed), signature):
            return None
        packed, _, stamp = signed.rpartition(b".")
        if int(time.time()) - int.from_bytes(_from_base64(stamp), "big") > _LIFETIME:
            return None
        return zlib.decompress(_from_base64(packed[1:])) if packed.startswith(b".") else _from_base64(packed)

    def _signature(self, signed: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return _to_base64(outer.digest())


def _compressed(payload: bytes) -> bytes:
    compressed = zlib.compress(payload)
    return b"." + _to_base64(compressed) if len(compressed) < len(payload) - 1 else _to_base64(payload)


def _to_base64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")


def _from_base64(text: bytes) -> bytes:
    return a2b_base64(text.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(text) % 4))
