"""Who else may read or change the file of a `SQLiteStore`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from typed_sessions.errors import ConfigurationError

__all__ = ["refuse_open_directories", "warnings_about"]

_MODES_SAY_NOTHING: Final = os.name == "nt"

_ROOT: Final = 0

_BESIDE: Final = ("-wal", "-shm", "-journal")
"""How the names of the files end that SQLite reads with the database: what is in them counts as being in that."""


def warnings_about(path: Path) -> list[str]:
    """Return what an operator should know of who may read or change a file, which need not be there yet.

    Args:
        path: of the file, without symbolic links.

    Raises:
        ConfigurationError: another user decides what is in it, or it is no file.
        OSError: it cannot be looked at.
    """
    if _MODES_SAY_NOTHING:
        return []
    refuse_open_directories(path)
    return [*_of_directory(path), *_of_files(path)]


def refuse_open_directories(path: Path) -> None:
    """Refuse a path on which everybody may put something else in the place of what is there.

    Raises:
        ConfigurationError: on the way is a directory in which everybody may write, and without the sticky bit.
        OSError: one cannot be looked at.
    """
    for directory in path.parents:
        mode = directory.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX and not _MODES_SAY_NOTHING:
            raise ConfigurationError(f"everybody may put another file in the place of {path}: chmod o-w {directory}")


def _of_directory(path: Path) -> Iterator[str]:
    directory = path.parent.stat()
    if directory.st_mode & stat.S_IWOTH:
        yield f"everybody may put files beside {path}: give it a directory of its own"
    if not _is_trusted(directory.st_uid):
        yield f"another user, who owns its directory, may put another file in the place of {path}"


def _of_files(path: Path) -> Iterator[str]:
    for each in (path, *(path.with_name(path.name + end) for end in _BESIDE)):
        try:
            status = each.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"SQLiteStore needs the path of a file, and {each} is something else")
        if not _is_trusted(status.st_uid):
            raise ConfigurationError(f"{each} belongs to another user than the one whom this process runs as")
        if status.st_mode & stat.S_IWOTH:
            raise ConfigurationError(f"everybody may write to {each}: if nobody has, chmod o-w {each}")
        if each == path and status.st_mode & stat.S_IWGRP:
            yield f"its group may write to {path}: chmod g-w {path}"
        if each == path and status.st_mode & stat.S_IROTH:
            yield f"everybody may read {path}: chmod o-r {path}"


def _is_trusted(owner: int) -> bool:
    return owner in {os.geteuid(), _ROOT}
