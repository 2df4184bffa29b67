"""Type checkers for tests: processes of their own, and one at a time, since each takes as much memory as all tests."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["only_checker", "run_checker"]


@contextmanager
def only_checker() -> Iterator[None]:
    """Let no other process of a user's tests run a type checker for as long as the context lasts. It does not nest."""
    with (Path(tempfile.gettempdir()) / f"typed_sessions_checker_{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_checker(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Return what a type checker says. mypy would leave megabytes of each run behind in a process of tests."""
    with only_checker():
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)  # noqa: S603 -- the tests' own
