"""Every error that this library raises."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Iterable
from difflib import get_close_matches
from typing import Final

from typing_extensions import TypeVar, override

__all__ = [
    "ConfigurationError",
    "CookieTooLargeError",
    "FieldTypeError",
    "FieldValueError",
    "SchemaError",
    "SerializationError",
    "SessionConflictError",
    "SessionError",
    "StoreError",
    "StoreUnavailableError",
    "UndeclaredKeyError",
]


T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

_LONGEST_NAME: Final = 100
"""How much of a key is compared with declared names: a program may have taken it from a visitor."""


class SessionError(Exception):
    """The root of every error that this library raises."""


class ConfigurationError(SessionError, ValueError):
    """A setting or an argument is wrong; the message says which, and how to mend it."""


class SchemaError(ConfigurationError):
    """A class cannot be the schema of a session; the message names the field."""


class FieldTypeError(SessionError, TypeError):
    """A value was set that its field's declared type does not allow."""


class FieldValueError(FieldTypeError, ValueError):
    """A value was set that the field's own converter, validator or bounds refuse.

    What a converter or validator raised is the `__cause__`.
    """


class UndeclaredKeyError(SessionError, KeyError):
    """A key was set that the schema does not declare, where `SESSION_EXTRAS` allows no such key."""

    def __init__(self, key: str, declared: Iterable[str], meant: str | None = None) -> None:
        super().__init__(key)
        self.key = key
        self._declared = tuple(declared)
        self._meant = meant

    @property
    def closest(self) -> str | None:
        """The declared name that was probably meant. It is found when it is asked for: that takes its time."""
        return self._meant or next(iter(get_close_matches(str(self.key)[:_LONGEST_NAME], self._declared, n=1)), None)

    @override
    def __str__(self) -> str:
        hint = f'; did you mean "{self.closest}"?' if self.closest else ""
        return f'the session schema declares no field "{self.key}"{hint}'


class SerializationError(SessionError):
    """The contents cannot be written so that they read back; the message names the field.

    The response keeps the visitor's previous cookie.
    """


class CookieTooLargeError(SessionError):
    """The whole `Set-Cookie` text would pass the browser's limit; the response keeps the previous cookie."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    @override
    def __str__(self) -> str:
        return (
            f"the session cookie would take {self.size} bytes, and browsers drop it past {self.limit} "
            f"(MAX_COOKIE_SIZE): keep less in the session, or a key to data that is stored elsewhere"
        )


class StoreError(SessionError):
    """Whatever concerns sessions that are kept on the server."""


class StoreUnavailableError(StoreError):
    """The store did not answer, or in no way that counts; what went wrong is the `__cause__`.

    A change that was asked for may have taken place, as a whole, or not at all.
    """


class SessionConflictError(StoreError):
    """Another request has changed the same field, which the schema does not allow: `Merge("fail")`."""


def without_frames(error: E, *, until: BaseException | None = None) -> E:
    """Take the tracebacks from an error and from all that led to it, and return it.

    The frames of whoever asks a store hold keys of sessions and what is in them, and debugging pages, as trackers of
    errors do, show what frames hold.

    Args:
        error: what the store raised.
        until: what was being handled when the store was asked. It, and what led to it, is the caller's.
    """
    seen, waiting = {id(until)}, list[BaseException | None]([error])
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = None
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    return error


def without_values(error: E) -> E:
    """Take from an error all that may show what a session holds: frames, and what user code said of a value.

    What a store's driver said stays: it knows no values.
    """
    if isinstance(error, SessionError) and not isinstance(error, StoreUnavailableError):
        error.__cause__ = error.__context__ = None
    return without_frames(error)


async def answered(answer: Awaitable[T], *, has_secrets: bool = False) -> T:
    """Return what the store answers. If it does not, what shows what it was asked is taken from the error.

    Args:
        answer: of the store.
        has_secrets: whether what it was asked to keep is to be shown in no error at all.

    Raises:
        StoreUnavailableError: it did not.
    """
    handled = sys.exception()
    try:
        return await answer
    except StoreUnavailableError as error:
        raise without_frames(error, until=handled)  # noqa: B904 -- it is the same
    except Exception as error:
        if not has_secrets:
            raise
        raise without_values(error)  # noqa: B904 -- it is the same
