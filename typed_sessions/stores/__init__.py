"""Where sessions are kept on the server: `SessionStore`, the contract, and the stores that come with the library.

A store knows records, keys and times, and nothing of sessions. It is loaded, and with it the driver that it needs, when
it is first asked for; `urls` finds it by its URL. Programs use it, `server`, `testing` and the adapters.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from typed_sessions.stores.base import (
    MOVES_KEPT,
    REVOCATIONS_KEPT,
    Conflict,
    Created,
    Exists,
    Found,
    Gone,
    Lifetime,
    Listed,
    Moved,
    PlacedStore,
    Record,
    Revoked,
    SessionStore,
    Updated,
    WriteRequest,
    time_left,
)
from typed_sessions.stores.purging import purge
from typed_sessions.stores.urls import check_url, namespace_in, open_store, path_in, with_table

if TYPE_CHECKING:
    from typed_sessions.stores.cluster import ClusterRedisStore
    from typed_sessions.stores.memory import MemoryStore
    from typed_sessions.stores.postgresql import PostgreSQLStore
    from typed_sessions.stores.redis import RedisStore
    from typed_sessions.stores.sqlite import SQLiteStore

__all__ = [
    "MOVES_KEPT",
    "REVOCATIONS_KEPT",
    "ClusterRedisStore",
    "Conflict",
    "Created",
    "Exists",
    "Found",
    "Gone",
    "Lifetime",
    "Listed",
    "MemoryStore",
    "Moved",
    "PlacedStore",
    "PostgreSQLStore",
    "Record",
    "RedisStore",
    "Revoked",
    "SQLiteStore",
    "SessionStore",
    "Updated",
    "WriteRequest",
    "check_url",
    "namespace_in",
    "open_store",
    "path_in",
    "purge",
    "time_left",
    "with_table",
]

_MODULES: Final = {
    "ClusterRedisStore": "cluster",
    "MemoryStore": "memory",
    "PostgreSQLStore": "postgresql",
    "RedisStore": "redis",
    "SQLiteStore": "sqlite",
}


if not TYPE_CHECKING:  # a checker would take every name for one that is there

    def __getattr__(name: str) -> object:
        """Return a store, loaded from its module (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
