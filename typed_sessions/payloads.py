"""What a payload held, and what is to become one: `Decoded` and `Draft`, and what the short way makes of both."""

from __future__ import annotations

from typing import Any, Generic

from attrs import define, field
from typing_extensions import TypeVar, override

from typed_sessions.contents import Contents
from typed_sessions.reports import FieldReset, UndeclaredNestedKeys

__all__ = ["Decoded", "Draft", "Lowered", "Read"]

S = TypeVar("S", default=dict[str, object])


@define(eq=False)
class Decoded(Generic[S]):
    """What a payload held, and what could not be taken as it was."""

    contents: Contents[S]
    payload: bytes
    """The payload that was read: after migration, where there was one."""
    version: int
    resets: tuple[FieldReset, ...] = field(default=(), kw_only=True)
    undeclared: tuple[UndeclaredNestedKeys, ...] = field(default=(), kw_only=True)
    generated: bool = field(default=False, kw_only=True)
    """True if a nested class made a default for what was missing: reading again may make another one."""

    @property
    def reports(self) -> tuple[FieldReset | UndeclaredNestedKeys, ...]:
        """What there is to say of it."""
        return (*self.resets, *self.undeclared)


@define(eq=False)
class Read(Decoded[S]):
    """What the short way read. There is nothing to say of it."""

    wire: object
    """What msgspec read. It has nothing in common with the contents that could be changed."""
    is_exact: bool
    """True if there is one way to write this, so that contents that are written in another way are others."""


@define(eq=False)
class Draft(Generic[S]):
    """Contents as a codec writes them, not yet proven to read back."""

    contents: Contents[S]
    version: int
    """Of the payload."""
    payload: bytes

    @property
    def holds_anything(self) -> bool:
        """True if anything is stored."""
        return len(self.contents.keys()) > 0


@define(eq=False)
class Lowered(Draft[S]):
    """Contents as the short way writes them."""

    plain: dict[str, Any]
    """What msgspec wrote."""
    declared: dict[str, Any]
    """Of that, what belongs to the declared fields."""
    undeclared: tuple[str, ...]
    """The keys of what does not."""
    wire: object = None
    """What msgspec reads of the payload, if that is what was written; None until that is proven."""

    @property
    @override
    def holds_anything(self) -> bool:
        return len(self.plain) > (1 if self.version else 0)  # the version of a payload is nothing that is stored
