"""What values are of which nothing is known: plain ones, or containers, in which a strict type checker sees items."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from types import NoneType
from typing import Final, TypeGuard
from uuid import UUID

from markupsafe import Markup

__all__ = ["IMMUTABLE", "PLAIN", "is_dict", "is_sequence", "is_set"]

PLAIN: Final = frozenset({NoneType, bool, int, str})
"""The types whose values all formats write as they are, and that nothing can be hidden in."""

IMMUTABLE: Final = PLAIN | {float, bytes, Decimal, Markup, UUID, dt.date, dt.datetime, dt.time, dt.timedelta}
"""Types whose values nobody can change in their place."""


def is_dict(value: object) -> TypeGuard[dict[object, object]]:
    """Return True for a dict."""
    return isinstance(value, dict)


def is_sequence(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Return True for a list or a tuple."""
    return isinstance(value, (list, tuple))


def is_set(value: object) -> TypeGuard[set[object] | frozenset[object]]:
    """Return True for a set or a frozenset."""
    return isinstance(value, (set, frozenset))
