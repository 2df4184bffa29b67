"""What is seen of a request from outside, as text: the same where it is the same to a program, or to a browser."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from typing import Final

import attrs
from msgspec import Struct
from msgspec.structs import replace

__all__ = ["Aliases", "Outcome", "SetCookie", "shown", "told"]


class SetCookie(Struct, frozen=True):
    """A `Set-Cookie` header."""

    value: str
    rest: str
    """The name and the attributes."""
    payload: str = ""
    """What the value holds, if that can be read."""
    seal: str = ""
    """Under which salt the present key has signed it, and when; for what is verified by itsdangerous alone."""
    size: int = 0
    """Of the payload, in bytes."""


class Outcome(Struct, frozen=True):
    """What is seen of a visit."""

    values: tuple[str, ...]
    """What each line gave, or raised."""
    errors: tuple[str, ...]
    """What the framework got to handle."""
    status: str
    headers: tuple[str, ...]
    cookies: tuple[SetCookie, ...]
    reports: tuple[str, ...]
    """Log records and signals."""
    stored: tuple[str, ...]
    """The payloads that a store in memory got."""


_SET: Final = re.compile(r"\{(\\?'\w*\\?'(?:, \\?'\w*\\?')+)\}")


def shown(value: object, depth: int = 12) -> str:
    """Return a text that says what a value is, whatever the order of sets is and classes say of themselves."""
    if depth == 0:
        return "..."

    def within(values: Iterable[object]) -> list[str]:
        return [shown(each, depth - 1) for each in values]

    kind = type(value).__name__
    match value:
        case set() | frozenset():
            return f"{kind}({', '.join(sorted(within(value)))})"
        case str():  # perhaps the repr of a session, which has sets as they are
            return _SET.sub(lambda found: f"{{{', '.join(sorted(found[1].split(', ')))}}}", ascii(value))
        case dict():
            pairs = zip(within(value), within(value.values()), strict=True)
            return f"{kind}({', '.join(map(': '.join, pairs))})"
        case list() | tuple():
            return f"{kind}({', '.join(within(value))})"
        case _:
            names = _fields(value)
            if names is None:
                return ascii(value)
            parts = within(getattr(value, name, "unset") for name in names)
            return f"{kind}({', '.join(map('='.join, zip(names, parts, strict=True)))})"


def _fields(value: object) -> list[str] | None:
    kind: type = type(value)
    if attrs.has(kind):
        return [each.name for each in attrs.fields(kind)]
    if dataclasses.is_dataclass(value):
        return [each.name for each in dataclasses.fields(value)]
    if isinstance(value, Struct):
        return list(value.__struct_fields__)
    return None


def told(error: BaseException) -> str:
    """Return what an error is, and says."""
    return f"{type(error).__name__}: {str(error)!a}"


_RANDOM: Final = re.compile(r"token-\d{12}|(?<=\\n)[0-9a-f]{12}(?=\\n)")
"""A token of schemas.py, and what tells one session in a store from another."""

_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


class Aliases:
    """Names for what is random, by the order in which it shows: how often something was drawn is nobody's concern."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def of(self, text: str) -> str:
        """Return the alias of a text that is random as a whole."""
        return self._names.setdefault(text, f"<{len(self._names)}>")

    def within(self, text: str) -> str:
        """Return a text with aliases for what is random in it."""
        return _ADDRESS.sub("", _RANDOM.sub(lambda found: self.of(found[0]), text))

    def over(self, outcome: Outcome) -> Outcome:
        """Return an outcome with aliases in the place of all that is random."""
        return _mapped(outcome, self.within)


def _mapped(outcome: Outcome, change: Callable[[str], str]) -> Outcome:
    def each(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(change, texts))

    cookies = []
    for cookie in outcome.cookies:
        payload = change(cookie.payload)
        hides_it = payload != cookie.payload
        cookies.append(replace(cookie, value="<of its payload>" if hides_it else cookie.value, payload=payload))
    return Outcome(
        values=each(outcome.values),
        errors=each(outcome.errors),
        status=outcome.status,
        headers=outcome.headers,
        cookies=tuple(cookies),
        reports=each(outcome.reports),
        stored=each(outcome.stored),
    )
