"""What the core has to say of a session that it could not take, or keep, as it was.

Reports are values. They leave the core through a callable and say what happened and why, never what a visitor stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import Final, TypeAlias, assert_never

from attrs import frozen

__all__ = [
    "ChangeLost",
    "CookieOversize",
    "FieldReset",
    "Reason",
    "Refused",
    "Report",
    "ReportSink",
    "UndeclaredKeys",
    "UndeclaredNestedKeys",
    "UsedLate",
    "log_report",
]

logger: Final = logging.getLogger("typed_sessions")


class Reason(Enum):
    """Why a cookie was refused, ordered by how far its reading came."""

    MALFORMED = "it does not have the form of a sealed session"
    SIGNATURE = "no configured key signed it"
    EXPIRED = "it is older than the session lifetime"
    FUTURE = "it was signed in the future, past the clock leeway"
    ENCODING = "its payload or its time is not valid base64 or zlib"
    TOO_LARGE = "its payload inflates past the limit"
    UNREADABLE = "its payload is not of the configured serializer"
    TOO_DEEP = "its payload is nested past the limit"
    SHAPE = "its payload is not a mapping with text keys"
    MIGRATION = "a migration step cannot take it"
    FIELD = "a field does not fit the schema, and a session may not be opened without it"

    @property
    def signed(self) -> bool:
        """True if the cookie carried a valid signature of the right age and was unreadable all the same."""
        return self not in _UNSIGNED


_UNSIGNED: Final = frozenset({Reason.MALFORMED, Reason.SIGNATURE, Reason.EXPIRED, Reason.FUTURE})


@frozen
class Refused:
    """A cookie was not opened; the visitor has a fresh session, and the cookie is left alone until that is written."""

    reason: Reason
    field: str | None = None
    """The declared field that did not fit, for `Reason.FIELD`."""
    step: str | None = None
    """The migration step that failed, and the class of its error, for `Reason.MIGRATION`."""


@frozen
class FieldReset:
    """A stored value no longer fits its field: it reads as the default until something else is written."""

    field: str
    expected: str
    """The declared type of the place that did not fit, as text."""
    path: str = ""
    """Where inside the field, such as `[2].price`."""


@frozen
class UndeclaredKeys:
    """A payload brought keys that the schema does not declare and `SESSION_EXTRAS` does not allow; they are kept."""

    count: int


@frozen
class UndeclaredNestedKeys:
    """A payload brought keys inside a declared class that does not declare them; the next change drops them."""

    owner: str
    """The class, as text."""
    count: int


@frozen
class ChangeLost:
    """A session was changed where no cookie can carry the change."""

    remedy: str


@frozen
class CookieOversize:
    """The cookie passes the browser's limit.

    It was sent all the same, as `SESSION_ON_OVERSIZE = "warn"` asks, or it was a refresh, which was not sent.
    """

    size: int
    limit: int
    sent: bool = True


@frozen
class UsedLate:
    """A session was used for the first time after it was saved, in a stream: the response has no `Vary: Cookie`."""


Report: TypeAlias = (
    Refused | FieldReset | UndeclaredKeys | UndeclaredNestedKeys | ChangeLost | CookieOversize | UsedLate
)
ReportSink: TypeAlias = Callable[[Report], None]


def log_report(report: Report) -> None:
    """Write a report to the `typed_sessions` logger.

    Forged and stale cookies are everyday traffic (DEBUG); all else needs an operator's eye (WARNING), and a change
    that is lost a developer's (ERROR).
    """
    match report:
        case Refused(reason=reason, field=None, step=None):
            level = logging.WARNING if reason.signed else logging.DEBUG
            logger.log(level, "session cookie refused: %s", reason.value)
        case Refused(reason=reason, field=field, step=step):
            logger.warning("session cookie refused: %s (%s)", reason.value, field or step)
        case FieldReset(field=field, expected=expected, path=path):
            logger.warning("session field reset to its default: %s%s is not %s", field, path, expected)
        case UndeclaredKeys(count=count):
            logger.warning("session brought %d undeclared key(s), which SESSION_EXTRAS does not allow; kept", count)
        case UndeclaredNestedKeys(owner=owner, count=count):
            logger.warning("session brought %d key(s) that %s does not declare; a change drops them", count, owner)
        case ChangeLost(remedy=remedy):
            logger.error("a session change is lost: %s", remedy)
        case CookieOversize(size=size, limit=limit, sent=False):
            logger.warning("session cookie of %d bytes not refreshed; browsers may drop it past %d", size, limit)
        case UsedLate():
            logger.warning(
                "session used after it was saved, so the response has no Vary; use it before the stream begins"
            )
        case CookieOversize(size=size, limit=limit):
            logger.warning("session cookie of %d bytes sent; browsers may drop it past %d", size, limit)
        case _:
            assert_never(report)
