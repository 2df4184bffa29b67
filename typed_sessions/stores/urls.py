"""From the URL of a store to the store."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores.base import SessionStore

__all__ = ["check_url", "open_store"]

_STORES: Final = {
    "memory": "MemoryStore",
    "sqlite": "SQLiteStore",
    "redis": "RedisStore",
    "rediss": "RedisStore",
    "unix": "RedisStore",
    "valkey": "RedisStore",
    "valkeys": "RedisStore",
    "postgres": "PostgreSQLStore",
    "postgresql": "PostgreSQLStore",
}
"""The class of each scheme. It is loaded when a URL names it: its module may need a driver."""


def open_store(url: str) -> SessionStore:
    """Return the store that a URL names. It connects at its first use.

    `sqlite:///sessions.db` is a path from the working directory, `sqlite:////var/lib/sessions.db` one from the root;
    `redis://`, `rediss://`, `unix://`, `valkey://` and `postgresql://` are as the drivers take them; `memory://` is
    for tests and one process.

    Raises:
        ConfigurationError: there is no such store, or its driver is not installed.
    """
    scheme = check_url(url)
    name = _STORES[scheme]
    cls = getattr(import_module("typed_sessions.stores"), name)
    match name:
        case "MemoryStore":
            return cast("SessionStore", cls())
        case "SQLiteStore":
            return cast("SessionStore", cls(url.removeprefix("sqlite:///")))
        case _:
            return cast("SessionStore", cls(url.replace("valkey", "redis", 1) if "valkey" in scheme else url))


def check_url(url: str) -> str:
    """Return the scheme of a store's URL.

    Raises:
        ConfigurationError: it is none. The message does not show it: there may be a password in it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _STORES:
        raise ConfigurationError(
            "the URL of a session store begins with sqlite:///, redis://, valkey://, postgresql:// or memory://"
        )
    if scheme == "sqlite" and (not rest.startswith("/") or rest == "/"):
        raise ConfigurationError("the URL of an SQLite session store needs a path: sqlite:///sessions.db")
    if scheme == "memory" and rest:
        raise ConfigurationError("the URL of a session store in memory is memory://, and nothing else")
    return scheme
