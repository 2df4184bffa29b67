"""What a schema says of a field beyond its type, inside `typing.Annotated`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from typing_extensions import override

__all__ = ["Essential", "Formerly", "Merge", "MergeRule", "Secret", "Subject"]

MergeRule: TypeAlias = Literal["add", "union", "max", "min", "fail"] | Callable[[Any, Any, Any], object]
"""How two changes of one field become one; see `Merge`."""


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

    names: tuple[str, ...]

    if TYPE_CHECKING:  # `Formerly()` is an error; `Formerly(*names)` is none, and may have no names at run time

        def __init__(self, name: str, /, *names: str) -> None: ...
    else:

        def __init__(self, *names: str) -> None:
            self.names = names

    @override
    def __repr__(self) -> str:
        return f"Formerly({', '.join(map(repr, self.names))})"


@final
class Subject:
    """Marks the field that says whose session it is: `user_id: Annotated[int | None, Subject] = None`.

    Sessions that are kept on the server can be listed and ended by it, and get a new identifier when it changes. The
    field is a number, a text or a UUID, and None for nobody.
    """


@final
class Secret:
    """Marks a field whose value is nobody's to read: `token: Annotated[str, Secret] = ""`.

    Where sessions are in cookies that are only signed, which visitors can read, such a field is a ConfigurationError:
    it takes encryption, or a store. Its value is in no `repr` of a session, no template's `session|tojson` (in Quart
    and Flask), no report and no error. The mark may stand anywhere within a field, also in a class that it holds: all
    of the field is hidden then.
    """


@final
class Merge:
    """Says what becomes of a field that two requests have changed at once: `Annotated[int, Merge("add")]`.

    Without it the last writer counts. It is for sessions that are kept on the server; fields that only one of the
    requests changed need no rule.

    Args:
        rule: `"add"` counts both changes (numbers, spans of time, and what was put at the end of a list), `"union"`
            takes what either has put into a set or dict and leaves out what either has taken out, `"max"` and `"min"`
            take the larger and the smaller value, `"fail"` raises SessionConflictError. The functions
            `max` and `min` mean the same. Any other function is called with the value that both have loaded, the
            value to be written and the one that is there by now, and returns what is to be kept.
    """

    def __init__(self, rule: MergeRule) -> None:
        self.rule: MergeRule = rule

    @override
    def __repr__(self) -> str:
        return f"Merge({self.rule!r})"
