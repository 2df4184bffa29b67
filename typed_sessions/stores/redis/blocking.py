"""`ThreadServer`: what threads ask of the server, which blocks them until it has answered."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

import redis
import redis.asyncio
from redis.exceptions import RedisError

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.stores.redis.calls import discreet
from typed_sessions.stores.redis.client import blocking_client_of, check
from typed_sessions.stores.redis.connections import BlockingClient, BlockingConnections
from typed_sessions.stores.redis.plain_load import PlainRow
from typed_sessions.stores.redis.script import Call

__all__ = ["ThreadServer"]

T = TypeVar("T")


class ThreadServer:
    """A server, as threads ask it, each of them on a connection of its own, one call after the other.

    Args:
        client_or_url: see `RedisStore`.
        prefix: of the store's keys.

    Raises:
        ConfigurationError: the URL or the client is none that the store can use.
    """

    def __init__(self, client_or_url: redis.Redis | redis.asyncio.Redis | str, prefix: bytes) -> None:
        is_ours = isinstance(client_or_url, str)
        client = blocking_client_of(client_or_url) if isinstance(client_or_url, str) else client_or_url
        check(client, blocking=True)
        self._server: Final = (
            BlockingConnections(client.connection_pool, prefix) if is_ours else BlockingClient(client, prefix)
        )

    async def run(self, call: Call) -> bytes:
        """Return what the server answers to a call. Raises what `LoopServer.run` raises."""
        return await _answered(self._server.run(call))

    async def plain_row(self, key: bytes) -> PlainRow | None:
        """See `BlockingConnections.plain_row`. Raises what `LoopServer.run` raises."""
        return await _answered(self._server.plain_row(key))

    async def close(self) -> None:
        """Close the connections, if they were made here."""
        try:
            self._server.close()
        except (RedisError, OSError) as error:
            raise StoreUnavailableError("a connection of the session store did not close") from error


async def _answered(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except (ConfigurationError, StoreUnavailableError):
        raise
    except Exception as error:  # noqa: BLE001 -- whatever a driver raises
        cause = discreet(error)
    raise StoreUnavailableError("the session store did not answer as it should") from cause
