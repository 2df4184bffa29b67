"""`Batches`: what many tasks ask of a server, in one round trip; `LoopServer`: how they ask the one of a `RedisStore`.

What tasks ask for in the same turn of the event loop, or while all connections are busy, goes out together. A
task that is cancelled leaves its answer to be read by the batch, so that no connection falls out of step; when all who
wait for a batch are gone, it is broken off, and its connection closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Final, Generic, Protocol, TypeVar

import redis
from attrs import define, field
from redis.asyncio import Redis
from redis.exceptions import RedisError

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.stores.loops import PerLoop
from typed_sessions.stores.redis.calls import Answer, Server, answers_of, discreet
from typed_sessions.stores.redis.client import check, client_of
from typed_sessions.stores.redis.connections import Client, Connections
from typed_sessions.stores.redis.script import Call

__all__ = ["CONNECTIONS", "Batches", "LoopServer"]

CONNECTIONS: Final = 8
"""So many batches are under way at most, each on a connection of its own."""

CALLS_OF_A_BATCH: Final = 64

BYTES_OF_A_BATCH: Final = 1 << 20
"""A batch takes calls until it has so many bytes, and a larger one is alone."""


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


C = TypeVar("C", bound=_Sized)


@define(eq=False)
class _Waiting(Generic[C]):
    """A call that a task waits for, and the batch in which it was sent."""

    call: C = field(repr=False)
    answer: asyncio.Future[Answer]
    batch: Sequence[_Waiting[C]] = ()
    sender: asyncio.Task[None] | None = None

    def resolve(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def stop_if_nobody_waits(self) -> None:
        if self.sender is not None and all(waiting.answer.done() for waiting in self.batch):
            self.sender.cancel()


class LoopServer:
    """A server, as event loops ask it.

    Args:
        client_or_url: see `RedisStore`.
        prefix: of the store's keys.

    Raises:
        ConfigurationError: the URL or the client is none that the store can use.
    """

    def __init__(self, client_or_url: Redis | redis.Redis | str, prefix: bytes) -> None:
        check(client_of(client_or_url) if isinstance(client_or_url, str) else client_or_url, blocking=False)

        def opened() -> tuple[Batches[Call], Server]:
            if isinstance(client_or_url, str):
                pool = client_of(client_or_url).connection_pool
                server: Server = Connections(pool, prefix)
                return Batches(partial(answers_of, server), min(CONNECTIONS, pool.max_connections)), server
            server = Client(client_or_url, prefix)
            return Batches(partial(answers_of, server)), server

        self._opened: Final = PerLoop(opened, _close)

    async def run(self, call: Call) -> bytes:
        """Return what the server answers to a call.

        Raises:
            StoreUnavailableError: it may have taken place, or not.
            ConfigurationError: the server is a node of a cluster.
        """
        batches, _ = await self._opened.get()
        answer = await batches.ask(call)
        if isinstance(answer, bytes):
            return answer
        if isinstance(answer, ConfigurationError):
            raise ConfigurationError(*answer.args) from None  # one of its own for each who waits
        raise StoreUnavailableError("the session store did not answer as it should") from discreet(answer)

    async def close(self) -> None:
        """Close what the event loop that runs has opened."""
        await self._opened.close()


async def _close(opened: tuple[Batches[Call], Server]) -> None:
    batches, server = opened
    await batches.close()
    try:
        await server.close()
    except (RedisError, OSError) as error:
        raise StoreUnavailableError("a connection of the session store did not close") from error


class Batches(Generic[C]):
    """Asks a server, in one event loop.

    Args:
        answers_to: returns what the server answers to calls that it gets at once.
        most: how many batches may be under way.
    """

    def __init__(
        self, answers_to: Callable[[Sequence[C]], Awaitable[Iterable[Answer]]], most: int = CONNECTIONS
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._answers_to: Final = answers_to
        self._most: Final = most
        self._waiting: Final[deque[_Waiting[C]]] = deque()
        self._senders: Final[dict[asyncio.Task[None], Sequence[_Waiting[C]]]] = {}
        self._starting = False

    async def ask(self, call: C) -> Answer:
        """Return what the server answers to a call, or what has kept it from doing so."""
        waiting = _Waiting(call, self._loop.create_future())
        self._waiting.append(waiting)
        self._start()
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            waiting.stop_if_nobody_waits()
            raise

    @property
    def is_busy(self) -> bool:
        """True if something is under way."""
        return bool(self._senders)

    def send_back(self, reason: Exception) -> None:
        """Answer so what has not been sent yet."""
        while self._waiting:
            self._waiting.popleft().resolve(reason)

    async def close(self) -> None:
        """Break off what is under way."""
        self.send_back(_closed())
        senders = list(self._senders)
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)

    def _start(self) -> None:
        """Have a sender take all that waits, once the tasks that run in this turn of the event loop have spoken."""
        if self._waiting and not self._starting and len(self._senders) < self._most:
            self._starting = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._starting = False
        batch = self._take()
        if batch:
            sender = self._loop.create_task(self._resolve(batch))
            for waiting in batch:
                waiting.batch, waiting.sender = batch, sender
            self._senders[sender] = batch
            sender.add_done_callback(self._end)
        self._start()

    def _take(self) -> list[_Waiting[C]]:
        batch: list[_Waiting[C]] = []
        size = 0
        while self._waiting and len(batch) < CALLS_OF_A_BATCH:
            waiting = self._waiting[0]
            size += waiting.call.size
            if batch and size > BYTES_OF_A_BATCH:
                break
            self._waiting.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        return batch

    def _end(self, sender: asyncio.Task[None]) -> None:
        batch = self._senders.pop(sender)
        if sender.cancelled():  # perhaps before it has begun
            for waiting in batch:
                waiting.resolve(_closed())
        self._start()

    async def _resolve(self, batch: Sequence[_Waiting[C]]) -> None:
        try:
            answers = await self._answers_to([waiting.call for waiting in batch])
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the tasks that wait have to know
            answers = repeat(error)
        for waiting, answer in zip(batch, answers, strict=False):
            waiting.resolve(answer)


def _closed() -> Exception:
    return ConnectionAbortedError("the store was closed")
