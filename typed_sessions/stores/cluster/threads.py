"""`ThreadCluster`: how threads ask nodes, each of them on a connection of its own, one call after the other."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from threading import Lock
from typing import Any, Final

from redis.exceptions import BusyLoadingError, RedisError, ResponseError
from typing_extensions import override

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores.base import time_left
from typed_sessions.stores.cluster.routing import (
    Address,
    Answer,
    Argument,
    Call,
    Nodes,
    NotSentError,
    Router,
    Shard,
    answer_in,
    wait_for,
)
from typed_sessions.stores.cluster.scripts import Script
from typed_sessions.stores.cluster.seeds import Seeds, shards_in
from typed_sessions.stores.loops import OfProcess

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

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument]) -> bytes:
        """See `Router.run`."""
        router, _ = self._opened.get()
        return await router.run(Call(script, keys, arguments))

    async def close(self) -> None:
        """Close the connections that no thread uses."""
        _, nodes = self._opened.get()
        nodes.close()


class ThreadNodes(Nodes):
    """The nodes of a cluster, for all threads of a process. What blocks a thread does so for no longer than it may.

    Args:
        seeds: how to connect to them.
    """

    def __init__(self, seeds: Seeds) -> None:
        self._seeds: Final = seeds
        self._idle: Final[defaultdict[Address, deque[Any]]] = defaultdict(deque)
        """Connections that no thread uses."""
        self._turn: Final = Lock()

    @override
    async def ask(self, address: Address, call: Call, *, asking: bool, with_text: bool) -> Answer:
        try:
            connection = self._connection_to(address)
        except (RedisError, OSError) as error:
            raise NotSentError(error) from None
        commands: list[tuple[Argument, ...]] = [("ASKING",)] if asking else []
        commands += [call.command(with_text=with_text), *wait_for(self._seeds.replicas, [call])]
        is_in_step = False
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            answers = [_answer_of(connection) for _ in commands][asking:]
            is_in_step = True
        finally:
            if is_in_step:
                self._idle[address].append(connection)
            else:
                connection.disconnect()
        return answer_in(call, answers[0], self._seeds.replicas, answers[-1])

    @override
    async def shards(self, address: Address) -> Sequence[Shard] | None:
        connection = self._seeds.connection_to(address)
        try:
            connection.connect()
            connection.send_packed_command(connection.pack_commands([("CLUSTER", "SLOTS")]))
            return shards_in(_answer_of(connection), address)
        finally:
            connection.disconnect()

    @override
    def turn(self) -> AbstractAsyncContextManager[None]:
        return self._taken()

    @override
    async def sleep(self, seconds: float) -> None:
        left = time_left()
        time.sleep(seconds if left is None else min(seconds, left))  # noqa: ASYNC251 - a thread waits

    def close(self) -> None:
        """Close all connections that no thread uses."""
        for idle in list(self._idle.values()):
            while idle:
                idle.pop().disconnect()

    @asynccontextmanager
    async def _taken(self) -> AsyncGenerator[None]:
        left = time_left()
        if not self._turn.acquire(timeout=-1 if left is None else left):
            raise StoreUnavailableError("the session store took longer than SESSION_STORE_TIMEOUT")
        try:
            yield
        finally:
            self._turn.release()

    def _connection_to(self, address: Address) -> Any:
        idle = self._idle[address]
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                break
            try:
                if not connection.can_read():  # it has not been closed over there
                    return connection
            except (RedisError, OSError):
                pass
            connection.disconnect()
        connection = self._seeds.connection_to(address)
        connection.connect()
        return connection


def _answer_of(connection: Any) -> object:
    try:
        return connection.read_response(disable_decoding=True)
    except (ResponseError, BusyLoadingError) as error:
        return error
