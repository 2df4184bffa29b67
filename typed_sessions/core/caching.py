"""What a response has to say so that no shared cache keeps the session's cookie in it.

A cache that keeps it gives one visitor's session, and the CSRF token in it, to all who come without a cookie: `Vary:
Cookie` tells them apart from others, not from each other. `Set-Cookie` itself stops no cache (RFC 9111, section 7.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

__all__ = ["OF_ALL_PAGES", "private"]

_DIRECTIVE: Final = re.compile(r'\s*([^\s,="]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,]*))?')
"""A name, and what follows it, which may be quoted and have commas (RFC 9111, section 5.2)."""

_Directive: TypeAlias = tuple[str, str]
"""A name, in lower case, and its argument; nothing where it has none."""

_OF_CACHES: Final = ("cache-control", "surrogate-control", "expires")
"""How the names of headers end that say who keeps a response, in lower case."""

_USUAL: Final = ("Content-Length", "Content-Type", "Location", "Set-Cookie")
OF_ALL_PAGES: Final = frozenset({*_USUAL, *map(str.lower, _USUAL)})
"""Names that nearly all headers have, as nearly all write them, or as ASGI has them: told at a glance. They say nothing
of caches, and `Vary` is none of them."""

_FOR_ALL: Final = frozenset({"public", "s-maxage"})

_WHEN_STALE: Final = frozenset({"stale-while-revalidate", "stale-if-error"})

_FOR_NONE: Final = frozenset({"no-store", "no-cache", "private"})
"""What keeps a shared cache from answering without asking, where it names no fields."""


def private(headers: Iterable[tuple[str, str]], now: float) -> dict[str, str]:
    """Return which headers have to say what instead, by name, to be kept by the visitor's own browser alone.

    None if shared caches answer nobody with this response, which sets a session's cookie. `now` is in seconds since the
    epoch.
    """
    said = dict[str, list[str]]()
    for name, value in headers:
        if name not in OF_ALL_PAGES and name.lower().endswith(_OF_CACHES):
            said.setdefault(name.lower(), []).append(value)
    if not said:
        return {}
    expires = said.pop("expires", [])
    directives = {name: _directives(values) for name, values in said.items()}
    # Others than Cache-Control are for some caches, such as those of a CDN (RFC 9213).
    changed = {name: _private(each) for name, each in directives.items() if _is_shared(each)}
    if "surrogate-control" in changed:
        changed["surrogate-control"] = "no-store"  # what Edge Architecture 1.0 has in the place of private
    general = directives.get("cache-control", [])
    if "cache-control" not in changed and _expires_later(general, expires, now):
        changed["cache-control"] = _private(general)
    return changed


def _directives(values: Iterable[str]) -> list[_Directive]:
    return [(name.lower(), argument) for value in values for name, argument in _DIRECTIVE.findall(value)]


def _is_shared(directives: Sequence[_Directive]) -> bool:
    """Return True if a shared cache may answer with the response, without asking."""
    names = {name for name, _ in directives}
    if not names.isdisjoint(_FOR_ALL):
        return True
    is_fresh = any(name == "max-age" and argument.strip('"').strip("0") for name, argument in directives)
    is_served_stale = not names.isdisjoint(_WHEN_STALE)
    return (is_fresh or is_served_stale) and not _is_for_none(directives)


def _is_for_none(directives: Sequence[_Directive]) -> bool:
    return any(name in _FOR_NONE and not argument for name, argument in directives)


def _expires_later(directives: Sequence[_Directive], expires: Iterable[str], now: float) -> bool:
    if _is_for_none(directives) or any(name == "max-age" for name, _ in directives):
        return False
    return any(_moment(date) > now for date in expires)


def _moment(date: str) -> float:
    """Return an HTTP date in seconds since the epoch; what is none is in the past (RFC 9111, section 5.3)."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _private(directives: Sequence[_Directive]) -> str:
    """Return directives with `private` in the place of what invites shared caches."""
    kept = [
        "private" if name in _FOR_ALL or name == "private" else _text(name, argument) for name, argument in directives
    ]
    return ", ".join(dict.fromkeys([*kept, "private"]))


def _text(name: str, argument: str) -> str:
    return f"{name}={argument}" if argument else name
