"""`LoopCluster`: how the tasks of an event loop ask nodes: what they ask one of at the same time, it gets in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final

from redis.exceptions import RedisError
from typing_extensions import override

from typed_sessions.errors import StoreUnavailableError
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
from typed_sessions.stores.loops import PerLoop
from typed_sessions.stores.redis.batches import Batches
from typed_sessions.stores.redis.calls import Answer
from typed_sessions.stores.redis.connections import LoopConnections, answer_on

__all__ = ["LoopCluster"]


class LoopCluster:
    """A cluster, as event loops ask it, each of them over connections of its own.

    Args:
        seeds: where it is.
    """

    def __init__(self, seeds: Seeds) -> None:
        def opened() -> tuple[Router, LoopNodes]:
            nodes = LoopNodes(seeds)
            return Router(nodes, seeds.addresses), nodes

        self._opened: Final = PerLoop(opened, lambda opened: opened[1].close())

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> bytes:
        """See `Router.run`."""
        router, _ = await self._opened.get()
        return await router.run(Call(script, keys, arguments))

    async def close(self) -> None:
        """Close what the event loop that runs has opened."""
        await self._opened.close()


class LoopNodes(Nodes):
    """The nodes of a cluster, in one event loop.

    Args:
        seeds: how to connect to them.
    """

    def __init__(self, seeds: Seeds) -> None:
        self._seeds: Final = seeds
        self._nodes: Final[dict[Address, _Node]] = {}
        self._turn: Final = asyncio.Lock()
        self._is_closed = False

    @override
    def ask(self, address: Address, call: Call, *, with_text: bool) -> Awaitable[Answer]:
        self._refuse_if_closed()
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = _Node(self._seeds, address)
        if with_text:
            node.lacking.add(call.script)
        return node.batches.ask(call)

    @override
    async def shards(self, address: Address) -> Sequence[Shard] | None:
        self._refuse_if_closed()
        connection = self._seeds.connection_to(address)
        try:
            async with asyncio.timeout(SECONDS_TO_LOOK):
                await connection.connect()
                await connection.send_command("CLUSTER", "SLOTS")
                return shards_in(await answer_on(connection), address)
        finally:
            await connection.disconnect(nowait=True)

    @override
    async def leave(self, masters: Collection[Address], silent: Collection[Address]) -> None:
        for address in self._nodes.keys() - masters:
            node = self._nodes[address]
            node.batches.send_back(NotSentError(ConnectionAbortedError("the node is no master any more")))
            if address in silent or not node.batches.is_busy:
                del self._nodes[address]
                await node.close(nowait=True)

    @override
    def turn(self) -> AbstractAsyncContextManager[object]:
        return self._turn

    @override
    async def sleep(self, seconds: float) -> None:
        self._refuse_if_closed()
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Break off what is under way, and close all connections."""
        self._is_closed = True
        await asyncio.gather(*(node.close() for node in self._nodes.values()))

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError("the session store was closed")


class _Node:
    """One of them."""

    def __init__(self, seeds: Seeds, address: Address) -> None:
        self.batches: Final = Batches[Call](self._answers_to)
        self.lacking: Final[set[Script]] = set()
        """Scripts that it may not know: the next batch brings them."""
        self._replicas: Final = seeds.replicas
        self._connections: Final = _Connections(partial(seeds.connection_to, address), seeds.timeout)

    async def close(self, *, nowait: bool = False) -> None:
        await self.batches.close()
        await self._connections.close(nowait=nowait)

    async def _answers_to(self, calls: Sequence[Call]) -> Sequence[Answer]:
        request, places = list[bytes](), list[int]()
        for call in calls:
            if call.is_asking:
                request.append(ASKING)
            places.append(len(request))
            request.append(call.packed(with_text=call.script in self.lacking))
            self.lacking.discard(call.script)
        wait = wait_for(self._replicas, calls)
        answers = await self._connections.exchange(b"".join((*request, wait)), len(request) + bool(wait))
        return [
            acknowledged(call, answers[at], self._replicas, answers[-1]) for call, at in zip(calls, places, strict=True)
        ]


class _Connections(LoopConnections):
    """Those to one of them."""

    @override
    async def make_ready(self, connection: Any) -> None:
        try:
            await super().make_ready(connection)
        except (RedisError, OSError) as error:
            raise NotSentError(error) from None
