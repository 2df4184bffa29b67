"""URL-safe base64 without padding, as itsdangerous writes and reads it: with pybase64 where it is installed."""

from __future__ import annotations

import base64
import sys
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

__all__ = ["TO_STANDARD", "TO_URL_SAFE", "from_base64", "from_canonical", "read_by_python", "to_base64"]

_encode: Callable[..., bytes] = base64.b64encode
_decode: Callable[..., bytes] = base64.b64decode
_short = sys.maxsize
"""What is no longer is read and written by Python, which is at hand: what pybase64 saves, fetching its code costs."""
with suppress(ImportError):  # an optional wheel: the `speed` extra
    pybase64: Any = import_module("pybase64")
    _encode, _decode, _short = pybase64.b64encode, pybase64.b64decode, 200

_ALTERNATIVE: Final = b"-_"
TO_URL_SAFE: Final = bytes.maketrans(b"+/", _ALTERNATIVE)
"""From the letters of base64 to those that a URL takes, as a table for `bytes.translate`."""
TO_STANDARD: Final = bytes.maketrans(_ALTERNATIVE, b"+/")
"""And back."""
_NO_OTHERS: Final = bytes.maketrans(b"+/" + _ALTERNATIVE, b"!!+/")
_PADDING: Final = (b"", b"===", b"==", b"=")
"""What a text of base64 lacks, by what is left of its length when that is divided by four."""


def to_base64(data: bytes) -> bytes:
    """Return data in URL-safe base64 without padding."""
    if len(data) <= _short:
        return b2a_base64(data, newline=False).translate(TO_URL_SAFE).rstrip(b"=")
    return _encode(data, _ALTERNATIVE).rstrip(b"=")


_LAST: Final = (to_base64(bytes(range(256)) * 3), b"", b"AQgw", b"AEIMQUYcgkosw048")
"""The letters that may come last, by what is left of the length: those whose bits beyond the data are zero."""


def read_by_python(text: bytes) -> bytes:
    """Return what URL-safe base64 stands for, with as much leniency as itsdangerous has.

    Raises:
        ValueError: it is no base64.
    """
    return a2b_base64(text.translate(TO_STANDARD) + _PADDING[len(text) % 4])


def from_base64(text: bytes) -> bytes:
    """Return the same. What is long and not written quite as here is for Python, which is lenient."""
    if len(text) <= _short or b"+" in text or b"/" in text:
        return a2b_base64(text.translate(TO_STANDARD) + _PADDING[len(text) % 4])
    try:
        return _decode(text + _PADDING[len(text) % 4], _ALTERNATIVE, validate=True)
    except ValueError:
        return read_by_python(text)


def from_canonical(text: bytes) -> bytes:
    """Return what URL-safe base64 stands for, if it is written as here: of all spellings of some data that is one.

    Raises:
        ValueError: it is no base64, or another spelling.
    """
    rest = len(text) % 4
    if text and text[-1] not in _LAST[rest]:
        raise ValueError("no base64, or another spelling")
    if len(text) <= _short or b"+" in text or b"/" in text:
        return a2b_base64(text.translate(_NO_OTHERS) + _PADDING[rest], strict_mode=True)
    return _decode(text + _PADDING[rest], _ALTERNATIVE, validate=True)
