"""`LoadedFrom`: what contents have to know of the payload that they were loaded from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from msgspec import Raw

__all__ = ["LoadedFrom", "ReadFrom"]


class ReadFrom(Protocol):
    """What contents were read from."""

    source: bytes
    """The payload: after migration, where there was one."""
    decoded: Any
    """What msgspec read of it, which has nothing in common with the data that could be changed."""
    made: tuple[object, ...]
    """The values that were made of that, and are told by being the same."""
    raws: Mapping[str, Raw] | None
    """The undeclared keys as they came, but for `_permanent`; None if there are none."""


class LoadedFrom(ReadFrom, Protocol):
    """The same, with what takes longer to tell."""

    def keys(self) -> Iterable[str]:
        """Return the keys of the payload, in order."""
        ...
