"""The file of a `SQLiteStore`: how it is made, opened, and brought up to date."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Final, Self

from attrs import field, frozen

from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import logger
from typed_sessions.stores.sqlite.trust import refuse_open_directories, warnings_about

__all__ = ["SQLiteFile", "transaction"]

_APPLICATION: Final = 0x74_79_73_65
"""What says that a file is ours (https://www.sqlite.org/pragma.html#pragma_application_id): "tyse"."""

_MIGRATIONS: Final = (
    (
        """
        CREATE TABLE records (
            key TEXT PRIMARY KEY NOT NULL,
            payload BLOB NOT NULL,
            version INTEGER NOT NULL,
            created INTEGER NOT NULL,
            last_seen INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            subject TEXT
        )
        """,
        "CREATE INDEX records_by_end ON records (expires_at)",
        "CREATE INDEX records_by_subject ON records (subject) WHERE subject IS NOT NULL",
        "CREATE TABLE revocations (subject TEXT PRIMARY KEY NOT NULL, revoked INTEGER NOT NULL) WITHOUT ROWID",
    ),
    (
        # Keys and subjects have a namespace from here on: under the former ones nobody asks for anything.
        "DELETE FROM records",
        "DELETE FROM revocations",
        "ALTER TABLE records ADD COLUMN issued INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE records ADD COLUMN device TEXT",
        "ALTER TABLE records ADD COLUMN target TEXT",
    ),
)
"""What each version of the file has that the one before had not. Add to the end, and change nothing."""

_VERSION: Final = len(_MIGRATIONS)

_PRIMARY: Final = 0xFF
"""The part of an error's code that says what kind of error it is."""

_PAUSE: Final = 0.01
"""In seconds, between two attempts at what SQLite itself does not wait for."""


@frozen
class SQLiteFile:
    """Where the records are."""

    path: Path
    """The real one: whatever becomes of symbolic links, all connections have the same file."""
    busy_timeout: timedelta
    """How long a connection waits for another process that writes."""
    _warned: set[str] = field(factory=set[str], init=False, repr=False, eq=False)

    @classmethod
    def at(cls, path: str | PathLike[str], busy_timeout: timedelta) -> Self:
        """Return the file that a path leads to now, wherever the process or a symbolic link goes afterwards.

        Raises:
            ConfigurationError: there can be no such file, or it is another user's to change.
            OSError: it cannot be looked at.
        """
        named = Path(path).absolute()
        file = cls(Path(os.path.realpath(named)), busy_timeout)
        if not file.path.parent.is_dir():
            raise ConfigurationError(f"SQLiteStore needs the path of a file, in a directory that exists: {file.path}")
        refuse_open_directories(named)
        file.check()
        return file

    def check(self) -> None:
        """Refuse a file in which others may put sessions, and warn, once, of what else others may do.

        Raises:
            ConfigurationError: the file, or its directory, is another user's to change; or it is no file.
            OSError: it cannot be looked at.
        """
        for warning in warnings_about(self.path):
            if warning not in self._warned:
                self._warned.add(warning)
                logger.warning("%s", warning)

    def connect(self, *, read_only: bool) -> sqlite3.Connection:
        """Return a connection for the thread that calls. The file is made if there is none.

        Raises:
            ConfigurationError: the file is not for this release, or may be changed by others.
            OSError: the file cannot be made.
            sqlite3.Error: it cannot be opened or read.
        """
        _make(self.path)
        self.check()  # another one may have been faster to make it
        seconds = self.busy_timeout.total_seconds()
        # SQLite itself makes no file: it would be one that all may read.
        connection = sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True, timeout=seconds, isolation_level=None)
        try:
            self._prepare(connection)
            if read_only:
                connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        with transaction(connection, "BEGIN"):
            version = self._version(connection)
        self._use_wal(connection)
        # Each commit is on the disk before it is answered: a power cut must not bring back who logged out.
        connection.execute("PRAGMA synchronous = FULL")
        if version < _VERSION:
            with transaction(connection, "BEGIN IMMEDIATE"):
                self._migrate(connection)

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return how many of the migrations have been made."""
        application = _number(connection, "PRAGMA application_id")
        version = _number(connection, "PRAGMA user_version")
        is_empty = _number(connection, "SELECT count(*) FROM sqlite_master") == 0
        if application != _APPLICATION and not (is_empty and application == version == 0):
            raise ConfigurationError(f"{self.path} is the database of something else: sessions need one of their own")
        if version > _VERSION:
            raise ConfigurationError(
                f"{self.path} was written by a later release of typed_sessions: it has version {version}, and this "
                f"release knows those up to {_VERSION}"
            )
        return version

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Let readers and a writer not wait for each other. Of two processes that ask at once, SQLite refuses one."""
        ends = time.monotonic() + self.busy_timeout.total_seconds()
        while (mode := _journal_mode(connection)) is None:
            if time.monotonic() > ends:
                raise TimeoutError("another process keeps the file locked")
            time.sleep(_PAUSE)
        if mode != "wal":
            raise ConfigurationError(f"{self.path} is on a file system where SQLite has no write-ahead log")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        for statements in _MIGRATIONS[self._version(connection) :]:  # another process may have been faster
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str) -> Generator[None, None, None]:
    """Commit what is done meanwhile, or roll it back if anything is raised, by the commit, too."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # it may have been rolled back already
            connection.execute("ROLLBACK")
        raise


def _make(path: Path) -> None:
    """Make a file that only its owner may read; SQLite gives the same mode to those that it puts beside it.

    It is made under another name, since closing a file gives up all locks that the process has on it
    (https://www.sqlite.org/howtocorrupt.html, section 2.2): a connection may have been faster.
    """
    if os.path.lexists(path):
        return
    number, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    os.close(number)
    try:
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _journal_mode(connection: sqlite3.Connection) -> str | None:
    """Return the mode that there is after asking for a write-ahead log, or None if the file is locked."""
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY:
            raise
        return None
    return str(mode)


def _number(connection: sqlite3.Connection, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)
