"""What a schema says of a field beyond its type, inside `typing.Annotated`."""

from __future__ import annotations

from typing import final

__all__ = ["Essential"]


@final
class Essential:
    """Marks a field whose default would be dangerous to fall back on.

    A stored value that no longer fits its type refuses the whole session, where an ordinary field is reset alone:
    `mfa_pending: Annotated[bool, Essential] = False`.
    """
