"""URL-safe base64 without padding, as itsdangerous writes and reads it: with pybase64 where it is installed."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Final

__all__ = [
    "TO_STANDARD",
    "TO_URL_SAFE",
    "canonical_by_python",
    "from_base64",
    "from_canonical",
    "read_by_python",
    "to_base64",
    "written_by_python",
]

_SHORT: Final = 200
"""What is no longer is read and written by Python, which is at hand: what pybase64 saves, fetching its code costs."""

_ALTERNATIVE: Final = b"-_"
TO_URL_SAFE: Final = bytes.maketrans(b"+/", _ALTERNATIVE)
"""From the letters of base64 to those that a URL takes, as a table for `bytes.translate`."""
TO_STANDARD: Final = bytes.maketrans(_ALTERNATIVE, b"+/")
"""And back."""
_PADDING: Final = (b"", b"===", b"==", b"=")
"""What a text of base64 lacks, by what is left of its length when that is divided by four."""


def written_by_python(data: bytes) -> bytes:
    """Return data in URL-safe base64 without padding."""
    return b2a_base64(data, newline=False).translate(TO_URL_SAFE).rstrip(b"=")


def read_by_python(text: bytes) -> bytes:
    """Return what URL-safe base64 stands for, with as much leniency as itsdangerous has.

    Raises:
        ValueError: it is no base64.
    """
    return a2b_base64(text.translate(TO_STANDARD) + _PADDING[len(text) % 4])


_NO_OTHERS: Final = bytes.maketrans(b"+/" + _ALTERNATIVE, b"!!+/")
_LAST: Final = (written_by_python(bytes(range(256)) * 3), b"", b"AQgw", b"AEIMQUYcgkosw048")
"""The letters that may come last, by what is left of the length: those whose bits beyond the data are zero."""


def canonical_by_python(text: bytes) -> bytes:
    """Return what URL-safe base64 stands for, if it is written as here: of all spellings of some data that is one.

    Raises:
        ValueError: it is no base64, or another spelling.
    """
    rest = len(text) % 4
    if text and text[-1] not in _LAST[rest]:
        raise ValueError("no base64, or another spelling")
    return a2b_base64(text.translate(_NO_OTHERS) + _PADDING[rest], strict_mode=True)


to_base64: Callable[[bytes], bytes] = written_by_python
from_base64: Callable[[bytes], bytes] = read_by_python
from_canonical: Callable[[bytes], bytes] = canonical_by_python

try:
    from pybase64 import b64decode, b64encode
except ImportError:  # an optional wheel: the `speed` extra
    pass
else:

    def written_by_pybase64(data: bytes) -> bytes:
        """Return data in URL-safe base64 without padding."""
        if len(data) <= _SHORT:
            return b2a_base64(data, newline=False).translate(TO_URL_SAFE).rstrip(b"=")
        return b64encode(data, _ALTERNATIVE).rstrip(b"=")

    def read_by_pybase64(text: bytes) -> bytes:
        """Return what URL-safe base64 stands for; what is not written quite so is for Python, which is lenient.

        Raises:
            ValueError: it is no base64.
        """
        if len(text) <= _SHORT or b"+" in text or b"/" in text:
            return a2b_base64(text.translate(TO_STANDARD) + _PADDING[len(text) % 4])
        try:
            return b64decode(text + _PADDING[len(text) % 4], _ALTERNATIVE, validate=True)
        except ValueError:
            return read_by_python(text)

    def canonical_by_pybase64(text: bytes) -> bytes:
        """Return what `canonical_by_python` does, and raise what it raises."""
        rest = len(text) % 4
        if text and text[-1] not in _LAST[rest]:
            raise ValueError("no base64, or another spelling")
        if len(text) <= _SHORT or b"+" in text or b"/" in text:
            return a2b_base64(text.translate(_NO_OTHERS) + _PADDING[rest], strict_mode=True)
        return b64decode(text + _PADDING[rest], _ALTERNATIVE, validate=True)

    to_base64, from_base64, from_canonical = written_by_pybase64, read_by_pybase64, canonical_by_pybase64
