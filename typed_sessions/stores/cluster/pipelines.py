"""`LoopCluster`: how the tasks of an event loop ask nodes: what they ask one of at the same time, it gets in one go.

What tasks ask a node for in the same turn of the event loop, or while all connections to it are busy, is one pipeline.
A task that is cancelled leaves its answer to be read by the pipeline, so that no connection falls out of step; when all
who wait for a pipeline are gone, it is broken off, and its connection closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, cast

from attrs import define, field
from redis.exceptions import BusyLoadingError, RedisError, ResponseError
from typing_extensions import override

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
from typed_sessions.stores.loops import PerLoop
from typed_sessions.stores.redis.client import TIMEOUT

__all__ = ["LoopCluster"]

CONNECTIONS: Final = 8
"""To each node. So many pipelines are under way at most."""

CALLS_OF_A_PIPELINE: Final = 64

_SECONDS_TO_LOOK: Final = 1.0
"""Until another node is asked what it knows of the cluster."""

BYTES_OF_A_PIPELINE: Final = 1 << 20
"""A pipeline takes calls until it has so many bytes, and a larger one is alone."""


class _Connection(Protocol):
    """What is used of redis-py's, and not typed there."""

    socket_timeout: float | None

    async def connect(self) -> None: ...

    async def disconnect(self, nowait: bool = False) -> None: ...  # noqa: FBT001, FBT002 - as it is there

    def pack_commands(self, commands: Sequence[Sequence[Argument]], /) -> list[bytes]: ...

    async def send_packed_command(self, command: list[bytes], /) -> None: ...

    async def read_response(self, disable_decoding: bool = False) -> object: ...  # noqa: FBT001, FBT002 - as it is there


@define(eq=False)
class _Waiting:
    """A call that a task waits for, and the pipeline in which it was sent."""

    call: Call = field(repr=False)
    asking: bool
    answer: asyncio.Future[Answer]
    pipeline: Sequence[_Waiting] = ()
    sender: asyncio.Task[None] | None = None

    def resolve(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def stop_if_nobody_waits(self) -> None:
        if self.sender is not None and all(waiting.answer.done() for waiting in self.pipeline):
            self.sender.cancel()


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

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument]) -> bytes:
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

    @override
    async def ask(self, address: Address, call: Call, *, asking: bool, with_text: bool) -> Answer:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = _Node(self._seeds, address)
        return await node.ask(call, asking=asking, with_text=with_text)

    @override
    async def shards(self, address: Address) -> Sequence[Shard] | None:
        connection = cast("_Connection", self._seeds.connection_to(address))
        try:
            async with asyncio.timeout(_SECONDS_TO_LOOK):
                await connection.connect()
                await connection.send_packed_command(connection.pack_commands([("CLUSTER", "SLOTS")]))
                return shards_in(await _answer_of(connection), address)
        finally:
            await connection.disconnect(nowait=True)

    @override
    def turn(self) -> AbstractAsyncContextManager[object]:
        return self._turn

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Break off what is under way, and close all connections."""
        nodes = [*self._nodes.values()]
        self._nodes.clear()
        await asyncio.gather(*(node.close() for node in nodes))


class _Node:
    """One of them."""

    def __init__(self, seeds: Seeds, address: Address) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._seeds: Final = seeds
        self._address: Final = address
        self._waiting: Final[deque[_Waiting]] = deque()
        self._senders: Final[set[asyncio.Task[None]]] = set()
        self._idle: Final[list[_Connection]] = []
        self._unknown: Final[set[str]] = set()
        """The digests of scripts that it may lack: the next pipeline brings them."""
        self._starting = False

    async def ask(self, call: Call, *, asking: bool, with_text: bool) -> Answer:
        if with_text:
            self._unknown.add(call.script.digest)
        waiting = _Waiting(call, asking, self._loop.create_future())
        self._waiting.append(waiting)
        self._start()
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            waiting.stop_if_nobody_waits()
            raise

    async def close(self) -> None:
        while self._waiting:
            self._waiting.popleft().fail(_closed())
        senders = list(self._senders)
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        while self._idle:
            await self._idle.pop().disconnect()

    def _start(self) -> None:
        """Have a sender take all that waits, once the tasks that run in this turn of the event loop have spoken."""
        if self._waiting and not self._starting and len(self._senders) < CONNECTIONS:
            self._starting = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._starting = False
        pipeline = self._take()
        if pipeline:
            sender = self._loop.create_task(self._resolve(pipeline))
            for waiting in pipeline:
                waiting.pipeline, waiting.sender = pipeline, sender
            self._senders.add(sender)
            sender.add_done_callback(self._end)
        self._start()

    def _take(self) -> list[_Waiting]:
        pipeline: list[_Waiting] = []
        size = 0
        while self._waiting and len(pipeline) < CALLS_OF_A_PIPELINE:
            waiting = self._waiting[0]
            size += waiting.call.size
            if pipeline and size > BYTES_OF_A_PIPELINE:
                break
            self._waiting.popleft()
            if not waiting.answer.done():
                pipeline.append(waiting)
        return pipeline

    def _end(self, sender: asyncio.Task[None]) -> None:
        self._senders.discard(sender)
        self._start()

    async def _resolve(self, pipeline: Sequence[_Waiting]) -> None:
        failure: Exception = _closed()
        try:
            async with asyncio.timeout(self._seeds.settings.get("socket_timeout", TIMEOUT)):
                await self._exchange(pipeline)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the tasks that wait have to know
            failure = error
        finally:
            for waiting in pipeline:
                waiting.fail(failure)

    async def _exchange(self, pipeline: Sequence[_Waiting]) -> None:
        """Send all, and resolve each with its answer."""
        try:
            connection = await self._connection()
        except (RedisError, OSError) as error:
            raise NotSentError(error) from None
        is_in_step = False
        try:
            commands = self._commands(pipeline)
            await connection.send_packed_command(connection.pack_commands(commands))
            answers = [await _answer_of(connection) for _ in commands]
            is_in_step = True
        finally:
            if is_in_step:
                self._idle.append(connection)
            else:
                await connection.disconnect(nowait=True)
        at = 0
        for waiting in pipeline:
            at += waiting.asking
            waiting.resolve(answer_in(waiting.call, answers[at], self._seeds.replicas, answers[-1]))
            at += 1

    def _commands(self, pipeline: Sequence[_Waiting]) -> list[tuple[Argument, ...]]:
        commands = list[tuple[Argument, ...]]()
        for waiting in pipeline:
            digest = waiting.call.script.digest
            if waiting.asking:
                commands.append(("ASKING",))
            commands.append(waiting.call.command(with_text=digest in self._unknown))
            self._unknown.discard(digest)
        return commands + wait_for(self._seeds.replicas, (waiting.call for waiting in pipeline))

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            try:
                if not await _has_ended(connection):
                    return connection
            except (RedisError, OSError):
                pass
            await connection.disconnect(nowait=True)
        connection = cast("_Connection", self._seeds.connection_to(self._address))
        await connection.connect()
        connection.socket_timeout = None  # a pipeline has one for all its answers
        return connection


async def _answer_of(connection: _Connection) -> object:
    try:
        return await connection.read_response(disable_decoding=True)
    except (ResponseError, BusyLoadingError) as error:
        return error


async def _has_ended(connection: _Connection) -> bool:
    """Return True if there is something to be read, if only that the connection was closed over there."""
    driver = cast("Any", connection)
    has_ended = getattr(driver, "can_read", None) or driver.can_read_destructive  # of redis-py before 8
    return bool(await has_ended())


def _closed() -> Exception:
    return ConnectionAbortedError("the store was closed")
