"""Functions that are made of source text: for a schema, once, where a general one would look up the same each time."""

from __future__ import annotations

import builtins
import linecache
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from keyword import iskeyword
from typing import Any, Final
from weakref import finalize

__all__ = ["Module", "Unusual", "are_names"]

_numbers: Final = count(1)


class Unusual(Exception):  # noqa: N818 -- never leaves the library
    """Generated code met what it was not made for. It hands over to the explaining path, which knows what to say."""


class Module:
    """Source text in the making, and the objects that it names. A debugger finds the text, as it does that of attrs.

    Args:
        title: what the text is for; it is part of the file name that a traceback shows.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._names: dict[str, object] = {}
        self._known: dict[int, str] = {}
        self._functions: list[str] = []
        self._defined: list[str] = []

    def name(self, value: object, hint: str) -> str:
        """Return a name that stands for an object in the text, made of a hint of what it is."""
        known = self._known.get(id(value))
        if known is not None:
            return known
        name = self._known[id(value)] = self._free(hint)
        self._names[name] = value
        return name

    def define(self, hint: str, parameters: str, lines: list[str]) -> str:
        """Add a function to the text, and return its name."""
        name = self._free(hint)
        self._names[name] = None
        self._defined.append(name)
        self._functions.append("\n    ".join([f"def {name}({parameters}):", *lines]))
        return name

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Return the functions of the text, by name."""
        source = "\n\n".join(self._functions) + "\n"
        file_name = f"<typed_sessions generated {next(_numbers)}: {self._title}>"
        linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
        exec(compile(source, file_name, "exec"), self._names)  # noqa: S102 -- of our own text, which holds only names
        functions = {name: function for name, function in self._names.items() if callable(function)}
        for name in self._defined[-1:]:  # the text lives as long as what was made of it
            finalize(functions[name], linecache.cache.pop, file_name, None)
        return functions

    def _free(self, hint: str) -> str:
        name = "".join(character if character.isidentifier() else "_" for character in hint) or "value"
        is_free = name not in self._names and not hasattr(builtins, name)  # which the text may call by their names
        return name if is_free else f"{name}_{len(self._names)}"


def are_names(names: Iterable[str]) -> bool:
    """Return True if all can be written as names in generated text."""
    return all(name.isidentifier() and name.isascii() and not iskeyword(name) for name in names)
