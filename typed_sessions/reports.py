"""What the core has to say of a session that it could not take, or keep, as it was.

Reports are values. They leave the core through a callable and say what happened and why, never what a visitor stored.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Final, TypeAlias, final

from attrs import frozen
from typing_extensions import override

__all__ = [
    "ChangeLost",
    "ChangedLate",
    "CookieOversize",
    "FieldReset",
    "ForeignDomain",
    "KeyFileUnusable",
    "Reason",
    "Refused",
    "Report",
    "SharedCookie",
    "ShortSecretKey",
    "SingleLabelDomain",
    "UndeclaredKeys",
    "UndeclaredLossy",
    "UndeclaredNestedKeys",
    "UnknownSetting",
    "UsedLate",
]

logger: Final = logging.getLogger("typed_sessions")


class Reason(Enum):
    """Why a cookie was refused, ordered by how far its reading came."""

    MALFORMED = "it does not have the form of a sealed session"
    SIGNATURE = "no configured key signed it"
    EXPIRED = "it is older than the session lifetime"
    FUTURE = "it was signed in the future, past the clock leeway"
    ENDED = "it is of before SESSION_NOT_BEFORE"
    UNKNOWN = "no live session has its identifier"
    ADOPTED_BEFORE = "it was taken in by the store before"
    REVOKED = "the sessions of its subject were ended since it was made"
    TAMPERED = "its record is not as it was encrypted, or is that of another session"
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


_UNSIGNED: Final = frozenset(
    {
        Reason.MALFORMED,
        Reason.SIGNATURE,
        Reason.EXPIRED,
        Reason.FUTURE,
        Reason.ENDED,
        Reason.UNKNOWN,
        Reason.ADOPTED_BEFORE,
        Reason.REVOKED,
    }
)


class Event(ABC):
    """Something that happened to a session. Its text is what goes into the log."""

    @property
    def level(self) -> int:
        """How loud it is said: by default for an operator's eye."""
        return logging.WARNING

    @abstractmethod
    @override
    def __str__(self) -> str: ...


@final
@frozen
class Refused(Event):
    """A cookie was not opened; the visitor has a fresh session, and the cookie is left alone until that is written."""

    reason: Reason
    field: str | None = None
    """The declared field that did not fit, for `Reason.FIELD`."""
    step: str | None = None
    """The migration step that failed, and the class of its error, for `Reason.MIGRATION`."""

    @property
    @override
    def level(self) -> int:
        return logging.WARNING if self.reason.signed else logging.DEBUG

    @override
    def __str__(self) -> str:
        place = self.field or self.step
        return f"session cookie refused: {self.reason.value}{f' ({place})' if place else ''}"


@frozen
class FieldReset(Event):
    """A stored value no longer fits its field: it reads as the default until something else is written."""

    field: str
    expected: str
    """The declared type of the place that did not fit, as text."""
    path: str = ""
    """Where inside the field, such as `[2].price`."""

    @override
    def __str__(self) -> str:
        return f"session field reset to its default: {self.field}{self.path} is not {self.expected}"


@frozen
class UndeclaredKeys(Event):
    """A payload brought keys that the schema does not declare and `SESSION_EXTRAS` does not allow; they are kept."""

    count: int

    @override
    def __str__(self) -> str:
        return f"session brought {self.count} undeclared key(s), which SESSION_EXTRAS does not allow; kept"


@frozen
class UndeclaredNestedKeys(Event):
    """A payload brought keys inside a declared class that does not declare them; the next change drops them."""

    owner: str
    """The class, as text."""
    count: int

    @override
    def __str__(self) -> str:
        return f"session brought {self.count} key(s) that {self.owner} does not declare; a change drops them"


@frozen
class UndeclaredLossy(Event):
    """The value of an undeclared key will read back as another one, for the format brings back fewer types."""

    key: str

    @override
    def __str__(self) -> str:
        is_private = str(self.key).startswith("_")  # without a schema a key may be anything
        remedy = "use a format that keeps its type" if is_private else "declare a field to keep its type"
        return f"session key {self.key!r} will read back as another value; {remedy}"


@frozen
class ChangeLost(Event):
    """A session was changed where no cookie can carry the change."""

    remedy: str

    @property
    @override
    def level(self) -> int:
        return logging.ERROR

    @override
    def __str__(self) -> str:
        return f"a session change is lost: {self.remedy}"


@frozen
class ChangedLate(Event):
    """A session that is kept on the server was changed after the save that belongs to the response, as in a stream."""

    @override
    def __str__(self) -> str:
        return "session changed after it was saved; the change is lost unless `await sessions.save()` follows"


@frozen
class CookieOversize(Event):
    """The cookie passes the browser's limit.

    It was sent all the same, as `SESSION_ON_OVERSIZE = "warn"` asks, or it was a refresh, which was not sent.
    """

    size: int
    limit: int
    sent: bool = True

    @override
    def __str__(self) -> str:
        fate = "sent" if self.sent else "not refreshed"
        return f"session cookie of {self.size} bytes {fate}; browsers may drop it past {self.limit}"


@frozen
class UsedLate(Event):
    """A session was used for the first time after it was saved, in a stream: the response has no `Vary: Cookie`."""

    @override
    def __str__(self) -> str:
        return "session used after it was saved, so the response has no Vary; use it before the stream begins"


@frozen
class SharedCookie(Event):
    """A response that sets the session's cookie allowed shared caches to keep it. It was sent as private."""

    @override
    def __str__(self) -> str:
        return (
            "a response with a session cookie was for shared caches, which would give the session to others; it was "
            "sent as private"
        )


@frozen
class ShortSecretKey(Event):
    """A secret key is so short that it may be found by trying, with one cookie at hand."""

    size: int
    """In bytes."""

    @override
    def __str__(self) -> str:
        return (
            f"a secret key has {self.size} bytes, and can be guessed; make one with "
            f"`python -c 'import secrets; print(secrets.token_hex())'`"
        )


@frozen
class KeyFileUnusable(Event):
    """The file of `SECRET_KEY_FILE` has become unusable. The keys that were in it before go on signing."""

    reason: str
    """What is wrong with it."""

    @override
    def __str__(self) -> str:
        return f"SECRET_KEY_FILE cannot be used, and the keys of before stay: {self.reason}"


@frozen
class UnknownSetting(Event):
    """A setting is set that means nothing here: a misspelt one, or one of flask-session's."""

    name: str
    advice: str
    """What to write instead."""

    @override
    def __str__(self) -> str:
        return f"{self.name} is set, and means nothing to typed_sessions: {self.advice}"


@frozen
class SingleLabelDomain(Event):
    """The domain of the cookie is a name without a dot, for which some browsers keep no cookie."""

    @override
    def __str__(self) -> str:
        return (
            "SESSION_COOKIE_DOMAIN has no dot: browsers may keep no cookie for such a domain (RFC 6265, 5.3.5); leave "
            "it out to have the cookie kept for the host alone"
        )


@frozen
class ForeignDomain(Event):
    """A request came to a host that is not of the cookie's domain: its browser keeps no session cookie."""

    domain: str

    @override
    def __str__(self) -> str:
        return (
            f"a request came to a host outside of SESSION_COOKIE_DOMAIN, {self.domain}: its browser keeps no session "
            f"cookie; leave the domain out, or serve under it"
        )


Report: TypeAlias = (
    Refused
    | FieldReset
    | UndeclaredKeys
    | UndeclaredNestedKeys
    | UndeclaredLossy
    | ChangeLost
    | ChangedLate
    | CookieOversize
    | UsedLate
    | SharedCookie
    | ShortSecretKey
    | KeyFileUnusable
    | UnknownSetting
    | SingleLabelDomain
    | ForeignDomain
)
ReportSink: TypeAlias = Callable[[Report], None]


def log_report(report: Report) -> None:
    """Write a report to the `typed_sessions` logger.

    Forged and stale cookies are everyday traffic (DEBUG); all else needs an operator's eye (WARNING), and a change
    that is lost a developer's (ERROR).
    """
    logger.log(report.level, "%s", report)
