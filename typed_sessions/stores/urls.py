"""From the URL of a store to the store."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Final, cast
from urllib.parse import parse_qsl, quote_plus, unquote, unquote_plus

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores.base import SessionStore
from typed_sessions.stores.identifiers import Namespace

__all__ = ["check_url", "namespace_in", "open_store", "path_in", "refuse_control_characters", "with_table"]

_STORES: Final = {
    "memory": "MemoryStore",
    "sqlite": "SQLiteStore",
    "redis": "RedisStore",
    "rediss": "RedisStore",
    "unix": "RedisStore",
    "valkey": "RedisStore",
    "valkeys": "RedisStore",
    **dict.fromkeys((f"{name}+cluster" for name in ("redis", "rediss", "valkey", "valkeys")), "ClusterRedisStore"),
    **dict.fromkeys((f"{name}+sentinel" for name in ("redis", "rediss", "valkey", "valkeys")), "RedisStore"),
    "postgres": "PostgreSQLStore",
    "postgresql": "PostgreSQLStore",
}
"""The class of each scheme. It is loaded when a URL names it: its module may need a driver."""

_LIBRARYS: Final = frozenset({"namespace", "table", "timeout"})
"""The parameters that are for this library. The driver gets the others."""

_SECONDS: Final = re.compile(r"[0-9]{1,5}(\.[0-9]{1,6})?")

_UNPRINTABLE: Final = re.compile(r"^\s|\s\Z|[\x00-\x1f\x7f]")


def open_store(url: str, *, blocking: bool = False) -> SessionStore:
    """Return the store that a URL names. It connects at its first use.

    `sqlite:///sessions.db` is a path from the working directory, `sqlite:////var/lib/sessions.db` one from the root,
    and what is special in it is percent-encoded; `redis://`, `rediss://`, `unix://`, `valkey://` and `postgresql://`
    are as the drivers take them; `redis+cluster://host,host` is a cluster, `redis+sentinel://host,host/service` the
    server that sentinels watch over; `memory://` is for tests and one process. Each may have `?namespace=shop` (see
    `namespace_in`), that of PostgreSQL `?table=web.sessions`, and that of SQLite `?timeout=5`: for how many seconds to
    wait for another process that writes.

    Args:
        url: of the store.
        blocking: whether it is for threads without an event loop.

    Raises:
        ConfigurationError: there is no such store, or its driver is not installed.
    """
    scheme = check_url(url)
    base, parameters = _parsed(url)
    name = _STORES[scheme]
    arguments: list[object] = [base.replace("valkey", "redis", 1) if "valkey" in scheme else base]
    options: dict[str, object] = {"blocking": blocking}
    if name == "MemoryStore":
        arguments, options = [], {}
    elif name == "SQLiteStore":
        arguments = [path_in(url)]
    if "timeout" in parameters:
        options["busy_timeout"] = timedelta(seconds=float(parameters["timeout"]))
    if "table" in parameters:
        options["table"] = parameters["table"]
    cls = getattr(import_module("typed_sessions.stores"), name)
    return cast("SessionStore", cls(*arguments, **options))


def namespace_in(url: str) -> str | None:
    """Return the namespace that a URL names: what keeps an application's sessions apart from others in the store."""
    return _parsed(url)[1].get("namespace")


def with_table(url: str, table: str) -> str:
    """Return the URL of a store with the name of a table in it.

    Raises:
        ConfigurationError: it is not that of a PostgreSQL store, or names another one.
    """
    check_url(url)
    named = _parsed(url)[1].get("table")
    if named is not None:
        if named != table:
            raise ConfigurationError("the URL of the session store names another table")
        return url
    with_it = f"{url}{'&' if '?' in url else '?'}table={quote_plus(table)}"
    check_url(with_it)
    return with_it


def path_in(url: str) -> Path | None:
    """Return the path of the file that a URL names; None if it is not that of an SQLite store."""
    base = _parsed(url)[0]
    if not base.startswith("sqlite:///"):
        return None
    return Path(unquote(base.removeprefix("sqlite:///"), errors="surrogateescape"))


def refuse_control_characters(url: str) -> None:
    """Refuse what is left over of a file or a copied line, and what drivers drop without a word.

    Raises:
        ConfigurationError: there is white space around the URL, or a control character in it.
    """
    if _UNPRINTABLE.search(url):
        raise ConfigurationError(
            "the URL of a session store has a line break, another control character, or a space at an end"
        )


def check_url(url: str) -> str:
    """Return the scheme of a store's URL.

    Raises:
        ConfigurationError: it is none. The message does not show it: there may be a password in it.
    """
    refuse_control_characters(url)
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _STORES:
        raise ConfigurationError(
            "the URL of a session store begins with sqlite:///, redis://, valkey://, postgresql:// or memory://"
        )
    base, parameters = _parsed(url)
    rest = base.removeprefix(f"{scheme}://")
    if scheme == "sqlite" and "?" in base:
        raise ConfigurationError(
            "the URL of an SQLite session store takes ?namespace=shop and ?timeout=5, and nothing else"
        )
    if scheme == "sqlite" and (not rest.startswith("/") or rest.endswith("/") or "%00" in rest):
        raise ConfigurationError("the URL of an SQLite session store needs the path of a file: sqlite:///sessions.db")
    if scheme == "memory" and rest:
        raise ConfigurationError("the URL of a session store in memory is memory://, and nothing else")
    if "table" in parameters and _STORES[scheme] != "PostgreSQLStore":
        raise ConfigurationError("only the URL of a PostgreSQL session store takes ?table=web.sessions")
    if "timeout" in parameters and scheme != "sqlite":
        raise ConfigurationError("only the URL of an SQLite session store takes ?timeout=5")
    if "namespace" in parameters:
        Namespace.named(parameters["namespace"])
    if "timeout" in parameters and not _SECONDS.fullmatch(parameters["timeout"]):
        raise ConfigurationError("?timeout= of an SQLite session store is a number of seconds: ?timeout=5")
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
        raise ConfigurationError("the URL of a session store names its namespace, its table or its timeout twice")
    return f"{base}?{others}" if others else base, parameters
