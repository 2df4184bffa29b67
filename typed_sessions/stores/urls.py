"""From the URL of a store to the store."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast
from urllib.parse import parse_qsl, unquote_plus

from typed_sessions.errors import ConfigurationError
from typed_sessions.identifiers import Namespace
from typed_sessions.stores.base import SessionStore

__all__ = ["check_url", "namespace_in", "open_store"]

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


_LIBRARYS: Final = frozenset({"namespace", "table"})
"""The parameters that are for this library. The driver gets the others."""


def open_store(url: str) -> SessionStore:
    """Return the store that a URL names. It connects at its first use.

    `sqlite:///sessions.db` is a path from the working directory, `sqlite:////var/lib/sessions.db` one from the root;
    `redis://`, `rediss://`, `unix://`, `valkey://` and `postgresql://` are as the drivers take them; `memory://` is
    for tests and one process. Each may have `?namespace=shop` (see `namespace_in`), and that of PostgreSQL
    `?table=web.sessions`.

    Raises:
        ConfigurationError: there is no such store, or its driver is not installed.
    """
    scheme = check_url(url)
    base, parameters = _parsed(url)
    name = _STORES[scheme]
    cls = getattr(import_module("typed_sessions.stores"), name)
    match name:
        case "MemoryStore":
            return cast("SessionStore", cls())
        case "SQLiteStore":
            return cast("SessionStore", cls(base.removeprefix("sqlite:///")))
        case "PostgreSQLStore" if "table" in parameters:
            return cast("SessionStore", cls(base, table=parameters["table"]))
        case _:
            return cast("SessionStore", cls(base.replace("valkey", "redis", 1) if "valkey" in scheme else base))


def namespace_in(url: str) -> str | None:
    """Return the namespace that a URL names: what keeps an application's sessions apart from others in the store."""
    return _parsed(url)[1].get("namespace")


def check_url(url: str) -> str:
    """Return the scheme of a store's URL.

    Raises:
        ConfigurationError: it is none. The message does not show it: there may be a password in it.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _STORES:
        raise ConfigurationError(
            "the URL of a session store begins with sqlite:///, redis://, valkey://, postgresql:// or memory://"
        )
    base, parameters = _parsed(url)
    rest = base.removeprefix(f"{scheme}://")
    if scheme == "sqlite" and (not rest.startswith("/") or rest == "/"):
        raise ConfigurationError("the URL of an SQLite session store needs a path: sqlite:///sessions.db")
    if scheme == "memory" and rest:
        raise ConfigurationError("the URL of a session store in memory is memory://, and nothing else")
    if scheme == "sqlite" and "?" in base:
        raise ConfigurationError("the URL of an SQLite session store takes ?namespace=shop, and nothing else")
    if "table" in parameters and _STORES[scheme] != "PostgreSQLStore":
        raise ConfigurationError("only the URL of a PostgreSQL session store takes ?table=web.sessions")
    if "namespace" in parameters:
        Namespace.named(parameters["namespace"])
    return scheme


def _parsed(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without the parameters that are for this library, and those.

    Raises:
        ConfigurationError: one of them is there twice.
    """
    base, _, query = url.partition("?")
    parts = [part for part in query.split("&") if part]
    ours = [part for part in parts if unquote_plus(part.partition("=")[0]) in _LIBRARYS]
    others = "&".join(part for part in parts if part not in ours)
    parameters = dict(parse_qsl("&".join(ours), keep_blank_values=True))
    if len(parameters) < len(ours):
        raise ConfigurationError("the URL of a session store names its namespace or its table twice")
    return f"{base}?{others}" if others else base, parameters
