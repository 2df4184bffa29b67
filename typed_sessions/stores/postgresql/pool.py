"""`LoopPool`: the connections of one event loop, without a task or a thread that would have to end before it does."""

from __future__ import annotations

import asyncio
import select
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from typed_sessions.reports import logger

__all__ = ["Connection", "LoopPool", "has_ended"]

Connection: TypeAlias = AsyncConnection[TupleRow]

_PATIENCE: Final = 5.0
"""Seconds for which a call waits for a connection, if its caller does."""

_ATTEMPTS_EVERY: Final = 0.5
"""Seconds after which a call that waits tries once more to connect."""

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
            async with asyncio.timeout(_PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise psycopg.OperationalError("all connections have been in use for too long") from None
        try:
            connection = await self._living() or await self._connected(until if waits else 0.0)
            try:
                yield connection
            finally:
                await self._take_back(connection)
        finally:
            self._free.release()

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
                connection = await AsyncConnection.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            except psycopg.OperationalError as error:
                logger.debug("error connecting to PostgreSQL: %s", error)
                if time.monotonic() + _ATTEMPTS_EVERY > until:
                    raise
            else:
                self._open.add(connection)
                return connection
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
