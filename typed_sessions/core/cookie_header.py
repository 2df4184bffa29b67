"""The values of one cookie in a `Cookie` header, without parsing all the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["cookie_values", "parsed_cookies", "parsed_values"]

_PAIR: Final = re.compile(
    r"""
    [ \t]* (?P<name> [^ \t=";]+ )
    (?: [ \t]*=[ \t]* (?: "(?P<quoted> (?:[^"\\]|\\.)* )" | (?P<plain> [^ \t";]* ) ) )?
    [ \t]* (?:;|\Z)
    """,
    re.VERBOSE,
)
"""A cookie, up to the next one. A quoted value may hold semicolons, and quotes after backslashes."""

_ESCAPED: Final = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
"""A character in a quoted value, or its number in the octal system."""


def cookie_values(header: str, name: str) -> tuple[str, ...] | None:
    """Return all values that a cookie has in a header, in order, as `werkzeug.sansio.http.parse_cookie` finds them.

    Browsers send several where paths or domains overlap (RFC 6265, section 5.4).

    Args:
        header: the text of the header; of several headers, joined by semicolons.
        name: of the cookie.

    Returns:
        None where only a parser tells: a value is quoted, or there is a tab.
    """
    times = header.count(name)
    if not times:
        return ()
    if '"' in header or "\t" in header:
        return None
    if times == 1:  # as nearly all have it
        before, found_name, rest = header.partition(f"{name}=")
        if found_name and (not before or before.endswith("; ")):
            value = rest.partition(";")[0]
            if " " not in value:
                return (value,)
    found: list[str] = []
    for part in header.split(";"):
        key, _, value = part.partition("=")
        if key.strip(" ") == name:
            value = value.strip(" ")
            if " " not in value:
                found.append(value)
    return tuple(found)


def parsed_values(header: str, name: str) -> tuple[str, ...]:
    """Return the same of any header, also where `cookie_values` leaves it to a parser."""
    values = cookie_values(header, name)
    return tuple(value for each, value in parsed_cookies(header) if each == name) if values is None else values


def parsed_cookies(header: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of all cookies in a header, in order. What is none is left out."""
    position = 0
    while position < len(header):
        pair = _PAIR.match(header, position)
        if pair is None:
            position = header.find(";", position) + 1 or len(header)
            continue
        position = pair.end()
        yield pair["name"], (pair["plain"] or "") if pair["quoted"] is None else _unquoted(pair["quoted"])


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(_unescaped, text.encode()).decode(errors="replace")


def _unescaped(escaped: re.Match[bytes]) -> bytes:
    character = escaped[1]
    return character if len(character) == 1 else bytes((int(character, 8),))
