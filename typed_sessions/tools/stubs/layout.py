"""Text of stubs, laid out as Black and Ruff lay it out, whatever the width of their lines.

What does not fit into 88 columns is split at commas, with one behind the last item: formatters keep that as it is.
"""

from __future__ import annotations

import builtins
import keyword
import sys
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Final

from typed_sessions.tools.stubs.expressions import Expression, Name, OneOf, Subscript, Text, names_in

__all__ = ["INDENT", "Namespace", "listed"]

_WIDTH: Final = 88
INDENT: Final = "    "


def listed(before: str, items: Sequence[str], after: str, *, margin: int = 0) -> list[str]:
    """Return what stands between brackets, in one line if it fits.

    Args:
        before: what ends with the opening bracket, and says by its indentation how deep it stands.
        items: what goes between; one may have several lines itself.
        after: what begins with the closing bracket.
        margin: how many columns are taken otherwise.
    """
    line = f"{before}{', '.join(items)}{after}"
    if not items or (len(line) + margin <= _WIDTH and "\n" not in line):
        return [line]
    indent = before[: len(before) - len(before.lstrip())]
    inner = [f"{indent}{INDENT}{part}" for item in items for part in f"{item},".split("\n")]
    return [before, *inner, f"{indent}{after}"]


class Namespace:
    """What names mean in one stub. Where two modules define the same name, the later one gets another.

    Args:
        own: what the stub needs by its own name; it comes first.
        imported: what else it refers to.
        taken: what the stub defines itself.
    """

    def __init__(self, own: Iterable[Name], imported: Iterable[Name], taken: Collection[str]) -> None:
        self._local: dict[Name, str] = {}
        unfree = {*dir(builtins), *keyword.kwlist, *taken}
        for names in (own, imported):
            for name in sorted({name.root for name in names}, key=lambda name: (name.module, name.path)):
                if name.module != "builtins" and name not in self._local:
                    self._local[name] = _free(name, unfree)
                    unfree.add(self._local[name])

    def text(self, expression: Expression) -> str:
        """Return an expression in one line."""
        match expression:
            case Text(text):
                return text
            case Name("builtins", path):
                return path
            case Name():
                return self._local[expression.root] + expression.path[len(expression.root.path) :]
            case Subscript(head, items):
                return f"{self.text(head)}[{', '.join(map(self.text, items))}]"
            case OneOf(members):
                return " | ".join(map(self.text, members))

    def imports(self, used: Iterable[Expression]) -> list[str]:
        """Return the import statements of what is used: the standard library first, then the others."""
        roots = {name.root for expression in used for name in names_in(expression)}
        names = sorted((name for name in roots if name.module != "builtins"), key=_import_order)
        lines: list[str] = []
        for _, section in groupby(names, _is_standard):
            lines += [""] if lines else []
            for module, found in groupby(section, lambda name: name.module):
                lines += self._import(module, list(found))
        return lines

    def _import(self, module: str, names: Sequence[Name]) -> list[str]:
        """Return the imports from one module; those that rename stand by themselves, as isort has it."""
        plain = [name.path for name in names if self._local[name] == name.path]
        renamed = [f"{name.path} as {self._local[name]}" for name in names if self._local[name] != name.path]
        lines = [f"from {module} import {name}" for name in [", ".join(plain), *renamed] if name]
        if plain and len(lines[0]) > _WIDTH:
            lines[:1] = listed(f"from {module} import (", plain, ")")
        return lines


def _free(name: Name, unfree: Collection[str]) -> str:
    local = name.path if name.path not in unfree else f"{name.module}.{name.path}".replace(".", "_")
    while local in unfree:
        local += "_"
    return local


def _is_standard(name: Name) -> bool:
    return name.module.partition(".")[0] in sys.stdlib_module_names


def _import_order(name: Name) -> tuple[bool, str, int, str, str]:
    """Order names as isort does: in a module constants come first, then classes, then the rest."""
    kind = 0 if name.path.isupper() and len(name.path) > 1 else 1 if name.path[:1].isupper() else 2
    return (not _is_standard(name), name.module, kind, name.path.lower(), name.path)
