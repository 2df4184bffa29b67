"""Connections to PostgreSQL: opened at the first use, found alive, given back clean, and never waited for too long."""

from __future__ import annotations

import asyncio
import select
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, TypeVar

import psycopg
from attrs import define, field
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from typed_sessions.errors import ConfigurationError, StoreUnavailableError

__all__ = ["Connection", "Connections", "Pool"]

T = TypeVar("T")

Connection: TypeAlias = AsyncConnection[TupleRow]

Pool: TypeAlias = AsyncConnectionPool[Connection]

_CONNECT_TIMEOUT: Final = 5
"""Seconds for one attempt to connect, unless the URL says otherwise."""

_PATIENCE: Final = 5.0
"""Seconds for which a call waits for a connection, if its caller does."""

_ATTEMPTS_EVERY: Final = 0.5
"""Seconds after which the pool tries once more to connect, and after which a call that waits makes it start again."""

_GRACE: Final = 0.25
"""Seconds for which a call that is cancelled waits until the server has stopped, or done, what it was asked for."""

_IDLE_SIZE: Final = 1
"""How many connections stay open when nobody needs them."""


@define
class _Opened:
    """What is open in one event loop."""

    loop: asyncio.AbstractEventLoop
    pool: Pool
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    ready: bool = False


class Connections:
    """Lends connections to an application's database.

    Args:
        source: the URL of the database, or a pool that somebody else opens and closes.
        size: how many connections there are at most, if it is a URL.
        prepare: makes a connection ready before anything else is done, once in each event loop.

    Raises:
        ConfigurationError: if it is no URL of a PostgreSQL database.
    """

    def __init__(self, source: str | Pool, *, size: int, prepare: Callable[[Connection], Awaitable[None]]) -> None:
        if size < 1:
            raise ConfigurationError(f"connections={size} is too few: a store needs one at least")
        self._conninfo: Final = _conninfo(source) if isinstance(source, str) else ""
        self._given_pool: Final = None if isinstance(source, str) else source
        self._size: Final = size
        self._prepare: Final = prepare
        self._opened: _Opened | None = None
        self._unfinished: Final[set[asyncio.Task[object]]] = set()
        """What nobody waits for any more; an event loop does not hold its tasks."""

    async def use(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what comes of some work on a connection.

        The work is a task of its own: the driver's answer to a cancellation is to ask the server to stop, and a server
        that hangs does not answer that, either. Who is cancelled waits for a moment, so that what was asked for has
        taken place or not; then the connection is closed, and nobody knows.

        Raises:
            StoreUnavailableError: the server could not be asked, or failed.
        """
        task = asyncio.create_task(self._done(work))
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            await self._break_off(task)
            raise
        try:
            return task.result()
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            # What such an error tells besides has values in it.
            reason = psycopg.DatabaseError(error.diag.message_primary or "")
            raise StoreUnavailableError("PostgreSQL refused a statement") from reason
        except (psycopg.Error, OSError) as error:
            raise StoreUnavailableError("PostgreSQL did not answer, or with an error") from error

    async def close(self) -> None:
        """Close what has been opened here. A pool that was given stays open."""
        opened, self._opened = self._opened, None
        if opened is not None and opened.loop is asyncio.get_running_loop() and self._given_pool is None:
            await opened.pool.close()

    async def _break_off(self, task: asyncio.Task[T]) -> None:
        def forget(ended: asyncio.Task[object]) -> None:
            self._unfinished.discard(ended)
            if not ended.cancelled():
                ended.exception()  # nobody waits for it any more

        self._unfinished.add(task)
        task.add_done_callback(forget)
        task.cancel()
        try:
            await asyncio.wait((task,), timeout=_GRACE)
        finally:
            task.cancel()  # for the second time, at which the driver closes the connection

    async def _done(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        opened = self._in_this_loop()
        if not opened.ready:
            await self._get_ready(opened)
        async with self._lent(opened.pool) as connection:
            return await work(connection)

    def _in_this_loop(self) -> _Opened:
        running = asyncio.get_running_loop()
        if self._opened is None or self._opened.loop is not running:
            self._opened = _Opened(running, self._given_pool or self._made_pool())
        return self._opened

    def _made_pool(self) -> Pool:
        # No prepared statements: behind a pooler the next statement may meet another server process.
        # A pool that gives up soon tries again as soon as somebody asks for a connection, but not for each who asks.
        # Its own intervals would grow to minutes.
        return AsyncConnectionPool(
            self._conninfo,
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=_IDLE_SIZE,
            max_size=self._size,
            open=False,
            reconnect_timeout=_ATTEMPTS_EVERY,
            name="typed_sessions",
        )

    async def _get_ready(self, opened: _Opened) -> None:
        async with opened.lock:
            if opened.ready:
                return
            if self._given_pool is None:
                # Not one of the pool's, which would not tell why it cannot connect.
                connecting = AsyncConnection.connect(self._conninfo, autocommit=True, prepare_threshold=None)
                async with await connecting as connection:
                    await self._prepare(connection)
                await opened.pool.open()
            else:
                async with self._lent(opened.pool) as connection:
                    await self._prepare(connection)
            opened.ready = True

    @asynccontextmanager
    async def _lent(self, pool: Pool) -> AsyncGenerator[Connection]:
        connection = await self._living(pool)
        try:
            if connection.autocommit:
                yield connection
            else:
                async with connection:  # commits or rolls back
                    yield connection
        finally:
            await pool.putconn(connection)

    async def _living(self, pool: Pool) -> Connection:
        """Return a connection of a pool that the server has not ended since it was used last."""
        connection = await self._next(pool)
        while await _has_ended(connection):
            await pool.putconn(connection)
            connection = await self._next(pool)
        return connection

    async def _next(self, pool: Pool) -> Connection:
        if self._given_pool is not None:
            return await pool.getconn()
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return await pool.getconn(timeout=_ATTEMPTS_EVERY)
            except PoolTimeout:
                if time.monotonic() >= until:
                    raise


async def _has_ended(connection: Connection) -> bool:
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


def _conninfo(url: str) -> str:
    """Return what the driver is told for a URL. Nothing that is raised here tells what is in it: there is a password.

    Raises:
        ConfigurationError: if it is none, or one with a password that is cut in two because it is not encoded. The
            driver would take the rest for a host's name, and report that.
    """
    scheme, separator, rest = url.partition("://")
    if separator:
        before_query = rest.partition("?")[0]
        user, at, _ = before_query.rpartition("@")
        if scheme not in {"postgresql", "postgres"}:
            raise ConfigurationError("the URL of a PostgreSQL database begins with postgresql://")
        if at and ("@" in user or "/" in user):
            raise ConfigurationError(
                'the URL of the PostgreSQL database has an "@" or a "/" too many: in a password, write %40 and %2F'
            )
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigurationError("what names the PostgreSQL database is no URL that the driver understands") from None
    return make_conninfo("", **{"connect_timeout": _CONNECT_TIMEOUT, **parameters})
