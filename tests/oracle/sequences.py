"""Sequences of requests as plain data, which can be read, kept and cut down."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["Cookie", "Form", "Requests", "Source", "Tampering", "Visit", "Way"]

Source: TypeAlias = Literal["latest", "earlier", "sealed", "made", "text"]
"""
Where a cookie comes from: `latest` is what the last response that set one left in the browser, `earlier` the first one
that was ever set, `sealed` a payload that is signed here, `made` what `cookie_for` makes of data, `text` anything.
"""

Form: TypeAlias = Literal["quart", "flask", "msgspec-json", "msgspec-msgpack", "named", "bytes"]
Way: TypeAlias = Literal[
    "view", "stream", "abort", "raise", "websocket", "refused websocket", "interface", "two at once"
]


class Tampering(Struct, frozen=True):
    """One character of a cookie is another one. Parts, not places, so that it means the same in shorter texts."""

    part: int
    """0 for the payload, 1 for the time, 2 for the signature."""
    place: float
    """As a fraction of the part."""
    instead: str


class Cookie(Struct, frozen=True):
    """One of the cookies that a request brings."""

    source: Source
    value: str = ""
    """For `sealed` and `made` an expression, for `text` the text."""
    form: Form = "quart"
    age: float = 0.0
    """In seconds; for `sealed`."""
    key: str | None = None
    """Signs it; the application's own by default."""
    digest: str = "sha1"
    tampering: Tampering | None = None
    quoted: bool = False


class Visit(Struct, frozen=True):
    """A request, or a websocket, and what has happened before it."""

    way: Way = "view"
    wait: float = 0.0
    """In seconds: how much time has passed."""
    deploy: str | None = None
    """Another schema, which the application has from now on."""
    settings: dict[str, str | None] = {}
    """What else it has from now on, as expressions; None takes a setting out."""
    cookies: tuple[Cookie, ...] = (Cookie("latest"),)
    headers: tuple[tuple[str, str], ...] = ()
    """Of the response."""
    threads: tuple[str, ...] = ()
    """What is done first: lines of which each runs in a thread of its own, all at once."""
    lines: tuple[str, ...] = ()
    """What it does: lines of Python over `s`, its session. What each one gives, or raises, is an outcome."""
    late: tuple[str, ...] = ()
    """What it does when the response was made."""
    others: tuple[str, ...] = ()
    """What the other one does, of two at once."""
    saves: int = 1
    """How many times it is saved, by the interface."""


class Requests(Struct, frozen=True):
    """All that one browser and one application have to do with each other."""

    seed: int
    schema: str
    store: str | None
    settings: dict[str, str]
    """As expressions."""
    interface: str | None
    """One of interfaces.py, in the place of the library's own."""
    visits: tuple[Visit, ...]
