"""The file of a `SQLiteStore`: how it is made, opened, and brought up to date."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Final, Self, TypeAlias

from attrs import field, frozen

from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import logger
from typed_sessions.stores.sqlite.trust import refuse_open_directories, warnings_about

__all__ = ["FileConnection", "SQLiteFile", "transaction"]

_Identity: TypeAlias = tuple[int, int]
"""Of a file: its device and its inode, which nobody else has as long as it is open."""

_BESIDE: Final = ("-wal", "-shm")
"""How the names of the files end that each connection has open. SQLite deletes them when the last one is closed."""

_ATTEMPTS: Final = 3
"""A file that is there may get another inode when it is opened for the first time, on a file system in layers."""

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


class FileConnection(sqlite3.Connection):
    """A connection that knows whether its file is still the one that others find. One thread at a time may use it.

    One that was deleted, moved or replaced can be read and written as before, by those who have it open, and nobody
    else will ever see what they write there. The same is so of the log beside it, and of the index of that.

    Attributes:
        names: of the file, of the log and of its index.
        seen: what was there when they were opened.
    """

    names: list[str]
    seen: list[_Identity | None]

    def __del__(self) -> None:
        with suppress(sqlite3.Error):  # it may not have been opened at all
            self.close()

    def remember_files(self) -> bool:
        """Take note of what has been opened, and return True if the file was still there afterwards."""
        former, self.seen = self.seen, _identities(self.names)
        return former == self.seen[:1] and None not in self.seen

    def is_current(self) -> bool:
        """Return True if the files are those that were opened."""
        return _identities(self.names) == self.seen

    def is_mixed(self) -> bool:
        """Return True if only some of them were replaced.

        SQLite would add the log of one database to another one, or write to a log that nobody finds.
        """
        now = _identities(self.names)
        kept = [one == then for one, then in zip(now, self.seen, strict=True)]
        return now[0] is not None and any(kept) and not all(kept)


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

    def connect(self, *, read_only: bool) -> FileConnection:
        """Return a connection, which does not wait for other processes. The file is made if there is none.

        Raises:
            ConfigurationError: the file is not for this release, or may be changed by others.
            OSError: the file cannot be made, or is replaced by others all the time.
            sqlite3.Error: it cannot be opened or read.
        """
        for _ in range(_ATTEMPTS):
            connection = self._connect()
            try:
                self._prepare(connection)
                if read_only:
                    connection.execute("PRAGMA query_only = ON")
                if connection.remember_files():
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
        raise OSError("the file of the sessions was replaced while it was opened")

    def _connect(self) -> FileConnection:
        _make(self.path)
        self.check()  # another one may have been faster to make it
        seen = _identity(self.path)
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",  # SQLite itself makes no file: it would be one that all may read
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            factory=FileConnection,
        )
        connection.names, connection.seen = [str(self.path), *(f"{self.path}{end}" for end in _BESIDE)], [seen]
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        with transaction(connection, "BEGIN"):
            version = self._version(connection)
        mode = _text(connection, "PRAGMA journal_mode = WAL")  # readers and a writer do not wait for each other then
        if mode != "wal":
            raise ConfigurationError(f"{self.path} is on a file system where SQLite has no write-ahead log")
        # Each commit is on the disk before it is answered: a power cut must not bring back who logged out.
        connection.execute("PRAGMA synchronous = FULL")
        if version < _VERSION:
            with transaction(connection, "BEGIN IMMEDIATE"):
                self._migrate(connection)
        with transaction(connection, "BEGIN"):
            self._version(connection)  # which opens the log, if nothing else has

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

    def _migrate(self, connection: sqlite3.Connection) -> None:
        for statements in _MIGRATIONS[self._version(connection) :]:  # another process may have been faster
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _identities(names: list[str]) -> list[_Identity | None]:
    return [_identity(name) for name in names]


def _identity(name: str | Path) -> _Identity | None:
    try:
        status = os.lstat(name)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str) -> Generator[None, None, None]:
    """Commit what is done meanwhile, or roll it back if anything is raised, by the commit, too."""
    try:
        connection.execute(begin)
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
    with _alone_in(path.parent):
        if os.path.lexists(path):
            return
        for end in _BESIDE:  # what one that was deleted has left would be added to the new one
            path.with_name(path.name + end).unlink(missing_ok=True)
        number, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        os.close(number)
        try:
            with suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()


@contextmanager
def _alone_in(directory: Path) -> Generator[None, None, None]:
    """Keep other processes from making the file meanwhile."""
    if sys.platform == "win32":  # where a file that is open cannot be deleted
        yield
        return
    import fcntl  # noqa: PLC0415 -- there is none on Windows

    number = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _text(connection: sqlite3.Connection, query: str) -> str:
    (text,) = connection.execute(query).fetchone()
    return str(text)


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(_text(connection, query))
