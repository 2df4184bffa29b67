"""`SQLiteStore`: records in a file of this machine."""

from typed_sessions.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
