"""Connections to PostgreSQL: opened at the first use, found alive, given back clean, and never waited for too long."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import psycopg
import psycopg.errors
from attrs import define, field
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.stores.loops import OfProcess, PerLoop
from typed_sessions.stores.postgresql.pool import Connection, LoopPool, ThreadPool, has_ended
from typed_sessions.stores.urls import refuse_control_characters

__all__ = ["Connection", "Connections", "Pool"]

T = TypeVar("T")

Pool: TypeAlias = AsyncConnectionPool[Connection]

_CONNECT_TIMEOUT: Final = 5
"""Seconds for one attempt to connect, unless the URL says otherwise."""

_PORTS: Final = range(1, 1 << 16)

_NUMBER: Final = re.compile("[+-]?[0-9]{1,9}")

_NUMBERS: Final = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
)
"""The driver looks at them when it connects, and not before."""

_SSL_MODES: Final = frozenset({None, "", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"})

_OPEN_STORES: Final = frozenset({"namespace", "table"})
"""The parameters that `open_store` takes out of a URL."""

_GRACE: Final = 0.25
"""Seconds for which a call that is cancelled waits until the server has stopped, or done, what it was asked for."""

_LACKING: Final = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
"""What is raised where somebody has dropped a table, or put an older one in its place."""


@define
class _Opened:
    """What is open in one event loop."""

    pool: LoopPool | None
    """None if somebody else opens and closes it."""
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    ready: bool = False

    async def close(self) -> None:
        self.ready = False
        if self.pool is not None:
            await self.pool.close()

    def abandon(self) -> None:
        if self.pool is not None:
            self.pool.abandon()


class Connections:
    """Lends connections to an application's database.

    Args:
        source: the URL of the database, or a pool that somebody else opens and closes.
        size: how many connections there are at most in each event loop, if it is a URL.
        prepare: makes a connection ready before anything else is done, once in each event loop, and once more when
            something that it has made is not there.
        blocking: whether threads without an event loop use them. That takes a URL.

    Raises:
        ConfigurationError: if it is no URL of a PostgreSQL database.
    """

    def __init__(
        self, source: str | Pool, *, size: int, prepare: Callable[[Connection], Awaitable[None]], blocking: bool
    ) -> None:
        if size < 1:
            raise ConfigurationError(f"connections={size} is too few: a store needs one at least")
        conninfo = _conninfo(source) if isinstance(source, str) else None
        if conninfo is None and blocking:
            raise ConfigurationError("a PostgreSQLStore that blocks takes the URL of its database, not a pool")
        self._given_pool: Final = None if isinstance(source, str) else source
        self._prepare: Final = prepare
        self._opened: Final = PerLoop(
            lambda: _Opened(None if conninfo is None else LoopPool(conninfo, size)), _Opened.close, _Opened.abandon
        )
        self._of_threads: Final = OfProcess(lambda: _Opened(ThreadPool(conninfo or "", size))) if blocking else None
        self._unfinished: Final[set[asyncio.Task[object]]] = set()
        """What nobody waits for any more; an event loop does not hold its tasks."""

    async def use(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what comes of some work on a connection.

        Raises:
            StoreUnavailableError: the server could not be asked, or failed.
        """
        try:
            return await (self._in_task(work) if self._of_threads is None else self._done(work))
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            # What such an error tells besides has values in it.
            reason = psycopg.DatabaseError(error.diag.message_primary or "")
            raise StoreUnavailableError("PostgreSQL refused a statement") from reason
        except (psycopg.Error, OSError) as error:
            raise StoreUnavailableError("PostgreSQL did not answer, or with an error") from error

    async def close(self) -> None:
        """Close what has been opened here, in the event loop that runs. A pool that was given stays open."""
        if self._of_threads is None:
            await self._opened.close()
        else:
            await self._of_threads.get().close()

    async def _in_task(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do it in a task of its own.

        The driver's answer to a cancellation is to ask the server to stop, and a server that hangs does not answer
        that, either. Who is cancelled waits for a moment, so that what was asked for has taken place or not; then the
        connection is closed, and nobody knows.
        """
        task = asyncio.create_task(self._done(work))
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            await self._break_off(task)
            raise
        return task.result()

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
        opened = await self._opened.get() if self._of_threads is None else self._of_threads.get()
        try:
            return await self._done_once(opened, work)
        except _LACKING:
            opened.ready = False
        try:
            return await self._done_once(opened, work)
        except ConfigurationError as error:  # they were there: this is no wrong set-up
            raise StoreUnavailableError("the tables of the sessions are not there any more") from error

    async def _done_once(self, opened: _Opened, work: Callable[[Connection], Awaitable[T]]) -> T:
        if not opened.ready:
            await self._get_ready(opened)
        async with self._lent(opened.pool) as connection:
            return await work(connection)

    async def _get_ready(self, opened: _Opened) -> None:
        # Threads may do it at once, as processes may.
        async with opened.lock if self._of_threads is None else nullcontext():
            if opened.ready:
                return
            async with self._lent(opened.pool, waits=False) as connection:
                await self._prepare(connection)
            opened.ready = True

    @asynccontextmanager
    async def _lent(self, pool: LoopPool | None, *, waits: bool = True) -> AsyncGenerator[Connection]:
        if pool is not None:
            async with pool.connection(waits=waits) as connection:
                yield connection
        elif self._given_pool is not None:
            async with _borrowed(self._given_pool) as connection:
                yield connection


@asynccontextmanager
async def _borrowed(pool: Pool) -> AsyncGenerator[Connection]:
    """Lend a connection of a pool that was given, one that the server has not ended since it was used last."""
    connection = await pool.getconn()
    while await has_ended(connection):
        await pool.putconn(connection)
        connection = await pool.getconn()
    try:
        if connection.autocommit:
            yield connection
        else:
            async with connection:  # commits or rolls back
                yield connection
    finally:
        await pool.putconn(connection)


def _conninfo(url: str) -> str:
    """Return what the driver is told for a URL. Nothing that is raised here tells what is in it: there is a password.

    Raises:
        ConfigurationError: if it is none, or one with a password that is cut in two because it is not encoded. The
            driver would take the rest for a host's name, and report that.
    """
    refuse_control_characters(url)
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
        if any(name in _OPEN_STORES for name, _ in parse_qsl(rest.partition("?")[2], keep_blank_values=True)):
            raise ConfigurationError(
                "?table= and ?namespace= are for the URL in SESSION_STORE, and that of open_store(): write "
                'PostgreSQLStore(url, table="web.sessions"), and set SESSION_NAMESPACE = "shop"'
            )
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigurationError("what names the PostgreSQL database is no URL that the driver understands") from None
    ports = str(parameters.get("port") or "").split(",")
    if not all(_NUMBER.fullmatch(port) and int(port) in _PORTS for port in ports if port):
        raise ConfigurationError("a port of the PostgreSQL database is a number from 1 to 65535")
    if not all(_NUMBER.fullmatch(str(parameters.get(name) or 0)) for name in _NUMBERS):
        raise ConfigurationError(f"these parameters of the PostgreSQL database are numbers: {', '.join(_NUMBERS)}")
    if parameters.get("sslmode") not in _SSL_MODES:
        raise ConfigurationError("the sslmode of the PostgreSQL database is none that the driver knows")
    return make_conninfo("", **{"connect_timeout": _CONNECT_TIMEOUT, **parameters})
