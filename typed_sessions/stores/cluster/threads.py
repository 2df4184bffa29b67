"""`ThreadCluster`: how threads ask nodes, each of them on a connection of its own, one call after the other."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from threading import Lock
from typing import Any, Final

from redis.exceptions import BusyLoadingError, RedisError, ResponseError
from typing_extensions import override

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores.base import time_left
from typed_sessions.stores.cluster.routing import (
    ASKING,
    Address,
    Call,
    Nodes,
    NotSentError,
    Router,
    Shard,
    acknowledged,
    wait_for,
)
from typed_sessions.stores.cluster.scripts import Script
from typed_sessions.stores.cluster.seeds import SECONDS_TO_LOOK, Seeds, shards_in
from typed_sessions.stores.loops import OfProcess
from typed_sessions.stores.redis.calls import Answer
from typed_sessions.stores.redis.connections import Opened

__all__ = ["ThreadCluster"]


class ThreadCluster:
    """A cluster, as all threads of a process ask it.

    Args:
        seeds: where it is.
    """

    def __init__(self, seeds: Seeds) -> None:
        def opened() -> tuple[Router, ThreadNodes]:
            nodes = ThreadNodes(seeds)
            return Router(nodes, seeds.addresses), nodes

        self._opened: Final = OfProcess(opened)

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> bytes:
        """See `Router.run`."""
        router, _ = self._opened.get()
        return await router.run(Call(script, keys, arguments))

    async def close(self) -> None:
        """Close the connections that no thread uses."""
        _, nodes = self._opened.get()
        await nodes.leave((), ())


class ThreadNodes(Nodes):
    """The nodes of a cluster, for all threads of a process. What blocks a thread does so for no longer than it may.

    Args:
        seeds: how to connect to them.
    """

    def __init__(self, seeds: Seeds) -> None:
        self._seeds: Final = seeds
        self._opened: Final[dict[Address, Opened]] = {}
        self._turn: Final = Lock()

    @override
    async def ask(self, address: Address, call: Call, *, with_text: bool) -> Answer:
        opened = self._opened.get(address)
        if opened is None:
            opened = self._opened.setdefault(address, Opened(partial(self._seeds.connection_to, address)))
        connection = opened.take()
        try:
            try:
                connection.make_ready()
            except (RedisError, OSError) as error:
                return NotSentError(error)
            if call.is_asking:
                connection.word_for(ASKING)
            answer = connection.answer_to(call.packed(with_text=with_text))
            wait = wait_for(self._seeds.replicas, [call])
            return acknowledged(call, answer, self._seeds.replicas, _word_for(connection, wait) if wait else None)
        except (RedisError, OSError) as error:
            return error
        finally:
            opened.idle.append(connection)

    @override
    async def shards(self, address: Address) -> Sequence[Shard] | None:
        connection = self._seeds.connection_to(address, socket_timeout=SECONDS_TO_LOOK)
        try:
            connection.make_ready()
            connection.send_command("CLUSTER", "SLOTS")
            return shards_in(connection.read_response(disable_decoding=True), address)
        except (ResponseError, BusyLoadingError) as error:
            return shards_in(error, address)
        finally:
            connection.disconnect()

    @override
    async def leave(self, masters: Collection[Address], silent: Collection[Address]) -> None:
        for address in self._opened.keys() - masters:
            with suppress(KeyError, IndexError):  # another thread may be faster
                idle = self._opened.pop(address).idle
                while True:
                    idle.pop().disconnect()

    @override
    def turn(self) -> AbstractAsyncContextManager[None]:
        return self._taken()

    @override
    async def sleep(self, seconds: float) -> None:
        left = time_left()
        time.sleep(seconds if left is None else min(seconds, left))  # noqa: ASYNC251 - a thread waits

    @asynccontextmanager
    async def _taken(self) -> AsyncGenerator[None]:
        left = time_left()
        if not self._turn.acquire(timeout=-1 if left is None else left):
            raise StoreUnavailableError("the session store took longer than SESSION_STORE_TIMEOUT")
        try:
            yield
        finally:
            self._turn.release()


def _word_for(connection: Any, request: bytes) -> bytes | None:
    """Return what a node answers, if that is no error: what was asked before has taken place all the same."""
    try:
        word: bytes = connection.word_for(request)
    except RedisError:
        return None
    return word
