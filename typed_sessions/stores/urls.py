"""From the URL of a store to the store."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores.base import SessionStore

__all__ = ["open_store"]

_STORES: Final = {
    "memory": ("memory", "MemoryStore"),
    "sqlite": ("sqlite", "SQLiteStore"),
    "redis": ("redis", "RedisStore"),
    "rediss": ("redis", "RedisStore"),
    "unix": ("redis", "RedisStore"),
    "valkey": ("redis", "RedisStore"),
    "valkeys": ("redis", "RedisStore"),
    "postgres": ("postgresql", "PostgreSQLStore"),
    "postgresql": ("postgresql", "PostgreSQLStore"),
}
"""The module and the class of each scheme. A module is imported when a URL names it: it imports a driver."""


def open_store(url: str) -> SessionStore:
    """Return the store that a URL names. It connects at its first use.

    `sqlite:///sessions.db` is a path from the working directory, `sqlite:////var/lib/sessions.db` one from the root;
    `redis://`, `rediss://`, `unix://`, `valkey://` and `postgresql://` are as the drivers take them; `memory://` is
    for tests and one process.

    Raises:
        ConfigurationError: there is no such store, or its driver is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _STORES:
        raise ConfigurationError(
            "SESSION_STORE must begin with sqlite:///, redis://, valkey://, postgresql:// or memory://"
        )
    module, name = _STORES[scheme]
    try:
        cls = getattr(import_module(f"typed_sessions.stores.{module}"), name)
    except ImportError as error:
        raise ConfigurationError(f"{scheme}:// needs a driver: pip install 'typed_sessions[{module}]'") from error
    match scheme:
        case "memory":
            return cast("SessionStore", cls())
        case "sqlite":
            return cast("SessionStore", cls(_path_of(rest)))
        case "valkey" | "valkeys":
            return cast("SessionStore", cls(url.replace("valkey", "redis", 1)))
        case _:
            return cast("SessionStore", cls(url))


def _path_of(rest: str) -> str:
    path = rest.removeprefix("/")
    if not path or path == rest:
        raise ConfigurationError("SESSION_STORE needs a path: sqlite:///sessions.db")
    return path
