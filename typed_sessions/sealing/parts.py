"""The parts of a sealed text, with dots between: what is sealed, the time, and what tells whether that is genuine."""

from __future__ import annotations

import re
import zlib
from binascii import a2b_base64
from typing import Final

from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base64url import TO_STANDARD, from_canonical, read_by_python, to_base64
from typed_sessions.sealing.keys import ID_SIZE

__all__ = [
    "NONCE_SIZE",
    "SEPARATOR",
    "SEPARATORS",
    "STAMP_LENGTH",
    "STAMP_SIZE",
    "TAG_SIZE",
    "TAIL_LENGTH",
    "Stamped",
    "compressed",
    "encoded_size",
    "encrypted_size",
    "id_in",
    "inflated",
    "seconds_of",
    "stamp_of",
    "untimely",
]

SEPARATOR: Final = b"."
"""Stands between the parts, and in front of what is compressed."""

SEPARATORS: Final = 2
"""How many stand between the parts."""

STAMP_SIZE: Final = 4
"""Bytes of the time, until the year 2106."""

STAMP_LENGTH: Final = 6
"""How many characters of base64 these make."""

_LONGEST_STAMP: Final = 8

NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
"""In bytes, of what is encrypted by AES-GCM (NIST SP 800-38D, sections 5.2.1 and 8.2.2)."""

_QUICKLY: Final = 1
"""A level of zlib's. What it makes is hardly longer than by the default one."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{4}")

_from_bytes: Final = int.from_bytes


def stamp_of(second: int) -> bytes:
    """Return a time as a text has it, after a dot."""
    return SEPARATOR + to_base64(second.to_bytes((second.bit_length() + 7) // 8, "big"))


class Stamped:
    """A sealer whose texts say between their last two dots when they were sealed."""

    @staticmethod
    def claimed_time(text: str) -> int | None:
        """Return that time; see `Sealer.claimed_time`."""
        end = text.rfind(".")
        try:
            if end > STAMP_LENGTH and text[end - STAMP_LENGTH - 1] == ".":
                stamp = text[end - STAMP_LENGTH : end]
                if stamp.isalnum():  # as nearly all are
                    return _from_bytes(a2b_base64(stamp + "=="), "big")
                if "." not in stamp:  # as all others are, for hours
                    return _from_bytes(a2b_base64(stamp.encode().translate(TO_STANDARD) + b"=="), "big")
            start = text.rfind(".", 0, end) if end > 0 else -1
            return None if start < 0 else seconds_of(text[start + 1 : end].encode())
        except ValueError:
            return None


def id_in(text: str) -> str | None:
    """Return the id of the secret key that a text is encrypted under; None if it is none that is encrypted."""
    packed, _, rest = text.lstrip(".").partition(".")
    name = rest.rpartition(".")[2]
    try:
        is_long_enough = len(from_canonical(packed.encode("utf-8", "replace"))) >= NONCE_SIZE + TAG_SIZE
    except ValueError:
        return None
    return name if is_long_enough and _ID.fullmatch(name) else None


def seconds_of(stamp: bytes) -> int:
    """Return the time that a stamp holds. Raises ValueError for what is none, or has more than itsdangerous takes."""
    number = read_by_python(stamp)
    if len(number) > _LONGEST_STAMP:
        raise ValueError("a time has at most eight bytes")
    return _from_bytes(number, "big")


def untimely(age: int) -> Refused:
    """Return why a text is refused that is too old, or too far in the future."""
    return Refused(Reason.EXPIRED if age > 0 else Reason.FUTURE)


def compressed(payload: bytes, most: int | None) -> bytes | None:
    """Return a payload compressed by zlib; None if that does not make it shorter.

    Args:
        payload: what to compress.
        most: how many bytes fit: where they do so at once, zlib takes no longer. None has it do as itsdangerous does.
    """
    packed = b"" if most is None else zlib.compress(payload, _QUICKLY)
    if most is None or len(packed) >= most:
        packed = zlib.compress(payload)
    return packed if len(packed) < len(payload) - 1 else None


def inflated(packed: bytes, limit: int) -> bytes:
    """Return what was compressed, up to one byte more than the limit. Raises ValueError for what was not."""
    inflater = zlib.decompressobj()
    try:
        payload = inflater.decompress(packed, limit + 1)
    except zlib.error as error:
        raise ValueError("not compressed") from error
    if not inflater.eof and len(payload) <= limit:
        raise ValueError("not compressed to its end")
    return payload


def encoded_size(size: int) -> int:
    """Return how many characters base64 without padding makes of so many bytes."""
    return (size * 4 + 2) // 3


TAIL_LENGTH: Final = SEPARATORS + encoded_size(STAMP_SIZE) + encoded_size(ID_SIZE)
"""How many characters follow what is encrypted: time and key id, and the dots before them."""


def encrypted_size(payload_size: int) -> int:
    """Return how long the text of a payload of so many bytes is: encrypted, and not compressed."""
    return encoded_size(NONCE_SIZE + payload_size + TAG_SIZE) + TAIL_LENGTH
