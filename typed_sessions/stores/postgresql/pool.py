"""`LoopPool`: the connections of one event loop, without a task or a thread that would have to end before it does.

`ThreadPool` is the same for threads.
"""

from __future__ import annotations

import asyncio
import select
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from math import ceil
from typing import Final, TypeAlias, TypeVar, cast

import psycopg
from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import AsyncConnectionPool
from typing_extensions import override

from typed_sessions.reports import logger
from typed_sessions.stores.base import time_left

__all__ = ["Connection", "LoopPool", "ThreadPool", "has_ended"]

RV = TypeVar("RV")

Connection: TypeAlias = AsyncConnection[TupleRow]

_PATIENCE: Final = 5.0
"""Seconds for which a call waits for a connection, if its caller does."""

_ATTEMPTS_EVERY: Final = 0.5
"""Seconds after which a call that waits tries once more to connect."""

_CHECK_EVERY: Final = 0.1
"""Seconds after which a thread that waits for the server looks whether it still may."""

_IDLE_FOR: Final = 600.0
"""Seconds after which a connection that nobody needs is closed, when another one is given back."""


class LoopPool:
    """Lends connections, and opens them when there are too few.

    Args:
        conninfo: what the driver is told.
        size: how many connections there are at most.
    """

    def __init__(self, conninfo: str, size: int) -> None:
        self._conninfo: Final = conninfo
        self._free: Final = asyncio.Semaphore(size)
        self._idle: Final[list[tuple[float, Connection]]] = []
        """With the time since when; the one that was used last at the end."""
        self._open: Final[set[Connection]] = set()
        self._is_closed = False

    @asynccontextmanager
    async def connection(self, *, waits: bool = True) -> AsyncGenerator[Connection]:
        """Lend a connection that the server has not ended since it was used last.

        Args:
            waits: whether to try again, for a while, when the server does not let connect.

        Raises:
            psycopg.Error: there is none.
        """
        until = time.monotonic() + _PATIENCE
        try:
            await self._acquire()
        except TimeoutError:
            raise psycopg.OperationalError("all connections have been in use for too long") from None
        try:
            connection = await self._living() or await self._connected(until if waits else 0.0)
            try:
                yield connection
            finally:
                await self._take_back(connection)
        finally:
            self._release()

    async def close(self) -> None:
        """Close what nobody uses, and the others when they are given back."""
        self._is_closed = True
        while self._idle:
            await self._discard(self._idle.pop()[1])

    def abandon(self) -> None:
        """Let go of all connections: their event loop was closed."""
        for connection in self._open:
            connection.pgconn.finish()

    async def _living(self) -> Connection | None:
        while self._idle:
            _, connection = self._idle.pop()
            try:
                if not await has_ended(connection):
                    return connection
            except BaseException:
                await self._discard(connection)
                raise
            await self._discard(connection)
        return None

    async def _connected(self, until: float) -> Connection:
        # No prepared statements: behind a pooler the next statement may meet another server process.
        while True:
            try:
                connection = await self._connect()
            except psycopg.OperationalError as error:
                logger.debug("error connecting to PostgreSQL: %s", error)
                if time.monotonic() + _ATTEMPTS_EVERY > until:
                    raise
            else:
                self._open.add(connection)
                return connection
            await self._pause()

    async def _acquire(self) -> None:
        async with asyncio.timeout(_PATIENCE):
            await self._free.acquire()

    def _release(self) -> None:
        self._free.release()

    async def _connect(self) -> Connection:
        return await AsyncConnection.connect(self._conninfo, autocommit=True, prepare_threshold=None)

    async def _pause(self) -> None:
        await asyncio.sleep(_ATTEMPTS_EVERY)

    async def _take_back(self, connection: Connection) -> None:
        if self._is_closed or not _is_clean(connection):
            await self._discard(connection)
            return
        now = time.monotonic()
        self._idle.append((now, connection))
        while self._idle[0][0] < now - _IDLE_FOR:
            await self._discard(self._idle.pop(0)[1])

    async def _discard(self, connection: Connection) -> None:
        self._open.discard(connection)
        with suppress(psycopg.Error, OSError):
            await connection.close()


class ThreadPool(LoopPool):
    """Lends connections to threads, which block until what they are asked is there."""

    def __init__(self, conninfo: str, size: int) -> None:
        super().__init__(conninfo, size)
        self._free_for_threads: Final = threading.Semaphore(size)

    @override
    async def _acquire(self) -> None:
        if not self._free_for_threads.acquire(timeout=min(_PATIENCE, time_left() or _PATIENCE)):
            raise TimeoutError

    @override
    def _release(self) -> None:
        self._free_for_threads.release()

    @override
    async def _connect(self) -> Connection:
        return await BlockingConnection.opened(self._conninfo)

    @override
    async def _pause(self) -> None:
        time.sleep(min(_ATTEMPTS_EVERY, time_left() or _ATTEMPTS_EVERY))  # noqa: ASYNC251 -- there is no event loop


class BlockingConnection(AsyncConnection[TupleRow]):
    """One whose coroutines block instead of waiting for an event loop, for no longer than they may."""

    _made: psycopg.Connection[TupleRow]
    """What has connected, and would close the connection if it were collected."""

    @classmethod
    async def opened(cls, conninfo: str) -> BlockingConnection:
        """Return one to a database."""
        left = time_left()
        if left is not None:
            conninfo = make_conninfo(conninfo, connect_timeout=ceil(left))  # in whole seconds
        made = psycopg.Connection.connect(conninfo, autocommit=True, prepare_threshold=None)
        connection = cls(made.pgconn, row_factory=tuple_row)
        connection._made = made
        await connection.set_autocommit(True)
        connection.prepare_threshold = None
        return connection

    @override
    async def wait(self, gen: PQGen[RV], interval: float = _CHECK_EVERY, timeout: float | None = None) -> RV:
        left = time_left()
        seconds = interval if left is None else min(interval, left)
        return waiting.wait(_no_longer_than_allowed(gen), self.pgconn.socket, interval=seconds)


def _no_longer_than_allowed(gen: PQGen[RV]) -> PQGen[RV]:
    """Do what a generator of the driver's does, until there is no time left."""
    try:
        waits_for = next(gen)
        while True:
            ready = yield waits_for
            time_left()
            waits_for = gen.send(ready)
    except StopIteration as end:
        return cast("RV", end.value)


def _is_clean(connection: Connection) -> bool:
    pgconn = connection.pgconn
    return pgconn.transaction_status == TransactionStatus.IDLE and pgconn.pipeline_status == PipelineStatus.OFF


async def has_ended(connection: Connection) -> bool:
    """Return True if a connection that nobody uses is closed. Asks the server only if it has said something itself."""
    if connection.closed:
        return True
    if not _is_readable(connection.fileno()):
        return False
    try:
        await AsyncConnectionPool.check_connection(connection)
    except psycopg.Error:
        return True
    return False


def _is_readable(descriptor: int) -> bool:
    if sys.platform == "win32":
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
