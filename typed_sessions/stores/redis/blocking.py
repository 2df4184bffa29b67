"""`ThreadServer`: what threads ask of the server, which blocks them until it has answered."""

from __future__ import annotations

from typing import Final, cast

import redis
import redis.asyncio
from redis.exceptions import RedisError

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.stores.redis.calls import Call, answers_in, discreet, packed, run_by
from typed_sessions.stores.redis.client import BlockingCommands, blocking_client_of, check, refuse_cluster

__all__ = ["ThreadServer"]


class ThreadServer:
    """A server, as threads ask it, each of them on a connection of its own, one call after the other.

    Args:
        client_or_url: see `RedisStore`.
        prefix: of the store's keys.

    Raises:
        ConfigurationError: the URL or the client is none that the store can use.
    """

    def __init__(self, client_or_url: redis.Redis | redis.asyncio.Redis | str, prefix: bytes) -> None:
        self._owned: Final = isinstance(client_or_url, str)
        client = blocking_client_of(client_or_url) if isinstance(client_or_url, str) else client_or_url
        check(client, blocking=True)
        self._client: Final = cast("redis.Redis", client)
        self._commands: Final = BlockingCommands(self._client)
        self._prefix: Final = prefix
        self._is_checked = False

    async def run(self, call: Call, _size: int) -> bytes:
        """Return what the script answers to a call. Raises what `Batches.run` raises."""
        try:
            if not self._is_checked:
                await refuse_cluster(self._commands)
                self._is_checked = True
            [answer] = answers_in(await run_by(self._commands, self._prefix, *packed([call])))
        except (ConfigurationError, StoreUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a driver raises
            answer = error
        if isinstance(answer, bytes):
            return answer
        raise StoreUnavailableError("the session store did not answer as it should") from discreet(answer)

    async def close(self) -> None:
        """Close the connections, if the client is ours."""
        if self._owned:
            try:
                self._client.close()
            except (RedisError, OSError) as error:
                raise StoreUnavailableError("a connection of the session store did not close") from error
