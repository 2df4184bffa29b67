"""The `Set-Cookie` text around a sealed text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from math import floor
from typing import Final, Literal

from attrs import frozen

from typed_sessions.serializers.http_dates import http_date

__all__ = ["CookieAttributes", "SameSite", "SessionCookie"]

SameSite = Literal["Strict", "Lax", "None"]

_EPOCH: Final = http_date(datetime.fromtimestamp(0, UTC))


@frozen
class CookieAttributes:
    """Where and how a browser keeps a cookie and sends it back (RFC 6265). Deleting it takes the same ones."""

    name: str
    path: str
    domain: str | None = None
    secure: bool = False
    httponly: bool = True
    samesite: SameSite | None = None
    partitioned: bool = False


class SessionCookie:
    """The `Set-Cookie` headers of one set of attributes: all but the value and the time is made once.

    Args:
        attributes: where and how the browser keeps the cookie.
    """

    def __init__(self, attributes: CookieAttributes) -> None:
        self._start: Final = f"{attributes.name}="
        self._domain: Final = f"; Domain={attributes.domain}" if attributes.domain else ""
        self._flags: Final = _flags(attributes)
        self._end: tuple[int | None, str] = (None, "")
        """The latest expiry, in seconds, and what follows the value then. Replaced as a whole: threads share it."""

    def written(self, value: str, expires: float | None) -> str:
        """Return the text of the header.

        Args:
            value: what a sealer made; it needs no quoting.
            expires: when the browser drops the cookie, in seconds since the epoch; None ends it with the browser's
                session.
        """
        if expires is None:
            return f"{self._start}{value}{self._domain}{self._flags}"
        second, (known, end) = floor(expires), self._end
        if second != known:
            end = self._ending(datetime.fromtimestamp(second, UTC))
            self._end = (second, end)
        return f"{self._start}{value}{end}"

    def expiring(self, value: str, moment: date | None) -> str:
        """Return the same for an expiry that a program gives: UTC if it has no time zone."""
        return self.written(value, None) if moment is None else f"{self._start}{value}{self._ending(moment)}"

    def deleting(self) -> str:
        """Return the text of a header that has the browser drop the cookie with these attributes."""
        return f"{self._start}{self._domain}; Expires={_EPOCH}; Max-Age=0{self._flags}"

    def _ending(self, moment: date) -> str:
        return f"{self._domain}; Expires={http_date(moment)}{self._flags}"


def _flags(attributes: CookieAttributes) -> str:
    """Return the end of a header: what is the same for each value."""
    flags = ["Secure"] if attributes.secure else []
    flags += ["HttpOnly"] if attributes.httponly else []
    flags += [f"Path={attributes.path}"]
    flags += [f"SameSite={attributes.samesite}"] if attributes.samesite is not None else []
    flags += ["Partitioned"] if attributes.partitioned else []
    return "".join(f"; {flag}" for flag in flags)
