"""What a schema says of a field beyond its type, inside `typing.Annotated`."""

from __future__ import annotations

from typing import final

from typing_extensions import override

__all__ = ["Essential", "Formerly"]


@final
class Essential:
    """Marks a field whose default would be dangerous to fall back on.

    A stored value that no longer fits its type refuses the whole session, where an ordinary field is reset alone:
    `mfa_pending: Annotated[bool, Essential] = False`.
    """


@final
class Formerly:
    """Names what a field was called in earlier releases: `user_id: Annotated[int | None, Formerly("uid")] = None`.

    A value that is stored under an earlier name is read as the field's, unless there is one under the present name. It
    is written under the present name with the next change.
    """

    def __init__(self, *names: str) -> None:
        self.names = names

    @override
    def __repr__(self) -> str:
        return f"Formerly({', '.join(map(repr, self.names))})"
