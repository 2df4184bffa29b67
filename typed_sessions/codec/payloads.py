"""What a payload held, and what is to become one: `Decoded` and `Draft`, and what the short way makes of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, final

from msgspec import Raw
from typing_extensions import TypeVar, override

from typed_sessions.codec.contents import Contents
from typed_sessions.reports import FieldReset, UndeclaredNestedKeys
from typed_sessions.schema.values import Value

__all__ = ["Decoded", "Draft", "Lowered", "Read"]

S = TypeVar("S", default=dict[str, object])


class Decoded(Value, Generic[S]):
    """What a payload held, and what could not be taken as it was."""

    contents: Contents[S]
    payload: bytes
    """The payload that was read: after migration, where there was one."""
    version: int
    resets: tuple[FieldReset, ...] = ()
    undeclared: tuple[UndeclaredNestedKeys, ...] = ()
    generated: bool = False
    """True if a nested class made a default for what was missing: reading again may make another one."""
    remembered: Mapping[str, object] | None = None
    """What is stored, if it was generated, and could be copied."""

    @property
    def reports(self) -> tuple[FieldReset | UndeclaredNestedKeys, ...]:
        """What there is to say of it."""
        return (*self.resets, *self.undeclared)


@final
class Read(Decoded[S], kw_only=True):
    """What the short way read. There is nothing to say of it."""

    wire: Any
    """What msgspec read. It has nothing in common with the contents that could be changed."""
    is_exact: bool
    """True if there is one way to write this, so that contents that are written in another way are others."""
    raws: Mapping[str, Raw] | None = None
    """The undeclared keys as they came, but for `_permanent`; None if there are none."""


class Draft(Value, Generic[S]):
    """Contents as a codec writes them, not yet proven to read back."""

    contents: Contents[S]
    version: int
    """Of the payload."""
    payload: bytes

    @property
    def holds_anything(self) -> bool:
        """True if anything is stored."""
        return len(self.contents.keys()) > 0


@final
class Lowered(Draft[S]):
    """Contents as the short way writes them."""

    plain: dict[str, Any]
    """What msgspec wrote."""
    undeclared: tuple[str, ...]
    """The keys of what belongs to no declared field."""
    wire: object
    """What msgspec reads of the payload, which is what was written; None until that is proven."""

    @property
    @override
    def holds_anything(self) -> bool:
        return len(self.plain) > (1 if self.version else 0)  # the version of a payload is nothing that is stored
