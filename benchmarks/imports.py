"""How long an import takes, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

from benchmarks.table import Table

__all__ = ["import_table"]

_REPEATS: Final = 7

_PROGRAMS: Final = (
    ("quart.sessions", "import quart.sessions", "quart"),
    ("typed_sessions", "import typed_sessions", "typed_sessions"),
    ("typed_sessions.quart, once Quart is there", "import quart, typed_sessions.quart", "typed_sessions"),
)
"""A name, a program, and the package whose imports count, with all that they import."""

_LINE: Final = re.compile(r"import time:\s+\d+ \|\s+(\d+) \| (\w[\w.]*)")
"""Of an import that no other import caused: one that did is indented."""


def import_table(*, repeats: int = _REPEATS) -> Table:
    """Return what imports take, in milliseconds by the wall clock: the least of several runs, for noise only adds."""
    runs = [[_milliseconds(program, package) for _, program, package in _PROGRAMS] for _ in range(repeats)]
    rows = [(name, f"{min(found):.0f}") for (name, _, _), found in zip(_PROGRAMS, zip(*runs, strict=True), strict=True)]
    return Table("Imports (python -X importtime)", ("", "ms"), tuple(rows))


def _milliseconds(program: str, package: str) -> float:
    run = subprocess.run(  # noqa: S603 -- this interpreter
        [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=True
    )
    found = [(int(spent), name) for spent, name in _LINE.findall(run.stderr)]
    return sum(spent for spent, name in found if name.partition(".")[0] == package) / 1_000
