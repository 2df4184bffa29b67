"""`Value`: what is made anew for every request is a Struct, whose instances msgspec makes without running Python."""

from __future__ import annotations

from msgspec import Struct
from typing_extensions import override

__all__ = ["Value"]


class Value(Struct, eq=False):
    """The base of such classes. Their `repr` says nothing of what they hold: it may be a visitor's, or a cookie."""

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
