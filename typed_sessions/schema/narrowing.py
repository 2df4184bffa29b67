"""`isinstance` for containers, for values of which nothing is known: a strict type checker sees what they hold."""

from __future__ import annotations

from typing import TypeGuard

__all__ = ["is_dict", "is_sequence", "is_set"]


def is_dict(value: object) -> TypeGuard[dict[object, object]]:
    """Return True for a dict."""
    return isinstance(value, dict)


def is_sequence(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Return True for a list or a tuple."""
    return isinstance(value, (list, tuple))


def is_set(value: object) -> TypeGuard[set[object] | frozenset[object]]:
    """Return True for a set or a frozenset."""
    return isinstance(value, (set, frozenset))
