"""What every store does. A new one gets two short classes, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool
from typing_extensions import override

from tests.placed_store import PlacedMemoryStore
from tests.postgresql_servers import postgresql_schema
from typed_sessions.stores import MemoryStore, PostgreSQLStore, RedisStore, SessionStore, SQLiteStore
from typed_sessions.stores.blocking import blocking
from typed_sessions.testing import PlacedStoreContract, StoreContract
from typed_sessions.testing.store_machine import store_machine

URLS: dict[str, str] = {}
"""Of the servers that run, for machines, to which no fixture can be given."""

FEWER = settings(max_examples=settings().max_examples // 4)
"""For machines whose stores take their time."""


class TestMemoryStore(StoreContract):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        yield MemoryStore(clock=clock)


class TestPlacedMemoryStore(PlacedStoreContract):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        yield PlacedMemoryStore(clock=clock)


@asynccontextmanager
async def open_placed_memory_twice(
    clock: Callable[[], float],
) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    store = PlacedMemoryStore(clock=clock)
    yield store, store


class TestPlacedMemoryStoreMachine(store_machine(open_placed_memory_twice).TestCase):  # type: ignore[misc]  # made at run time
    settings = FEWER


@asynccontextmanager
async def open_memory_twice(clock: Callable[[], float]) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    store = MemoryStore(clock=clock)
    yield store, store


class TestMemoryStoreMachine(store_machine(open_memory_twice).TestCase):  # type: ignore[misc]  # made at run time
    pass


@asynccontextmanager
async def open_sqlite_twice(clock: Callable[[], float]) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "sessions.db"
        one, other = SQLiteStore(path, clock=clock), SQLiteStore(path, clock=clock)
        try:
            yield one, other
        finally:
            await one.close()
            await other.close()


class TestSQLiteStore(StoreContract):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        async with open_sqlite_twice(clock) as (store, _):
            yield store


class TestBlockingSQLiteStore(StoreContract):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        with TemporaryDirectory() as directory:
            store = SQLiteStore(Path(directory) / "sessions.db", clock=clock, blocking=True)
            yield store
            await store.close()


class TestSQLiteStoreOfALoopThread(StoreContract):
    """As any store that waits for an event loop, asked by threads that have none."""

    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        with TemporaryDirectory() as directory:
            store = blocking(SQLiteStore(Path(directory) / "sessions.db", clock=clock))
            yield store
            await store.close()


@asynccontextmanager
async def open_sqlite_both_ways(clock: Callable[[], float]) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    """One that blocks, and one that does not, on one file."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "sessions.db"
        one, other = SQLiteStore(path, clock=clock, blocking=True), SQLiteStore(path, clock=clock)
        yield one, other
        await one.close()
        await other.close()


class TestSQLiteStoreBothWaysMachine(store_machine(open_sqlite_both_ways).TestCase):  # type: ignore[misc]  # made at run time
    settings = FEWER


class TestSQLiteStoreMachine(store_machine(open_sqlite_twice).TestCase):  # type: ignore[misc]  # made at run time
    settings = FEWER


class TestRedisStore(StoreContract):
    expires_by_itself: ClassVar[bool] = True

    @pytest.fixture(autouse=True)
    def have_a_server(self, redis_url: str) -> None:
        self.url = redis_url

    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        store = RedisStore(self.url, prefix=f"{uuid4().hex}:", clock=clock)
        try:
            yield store
        finally:
            await store.close()


class TestBlockingRedisStore(TestRedisStore):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        store = RedisStore(self.url, prefix=f"{uuid4().hex}:", clock=clock, blocking=True)
        yield store
        await store.close()


class TestRedisStoreOfALoopThread(TestRedisStore):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        store = blocking(RedisStore(self.url, prefix=f"{uuid4().hex}:", clock=clock))
        yield store
        await store.close()


@asynccontextmanager
async def open_redis_twice(clock: Callable[[], float]) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    prefix = f"{uuid4().hex}:"
    stores = (
        RedisStore(URLS["redis"], prefix=prefix, clock=clock),
        RedisStore(URLS["redis"], prefix=prefix, clock=clock),
    )
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()


@asynccontextmanager
async def open_redis_both_ways(clock: Callable[[], float]) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    """One that blocks, and one that does not, on one server."""
    prefix = f"{uuid4().hex}:"
    one = RedisStore(URLS["redis"], prefix=prefix, clock=clock, blocking=True)
    other = RedisStore(URLS["redis"], prefix=prefix, clock=clock)
    yield one, other
    await one.close()
    await other.close()


class TestRedisStoreBothWaysMachine(store_machine(open_redis_both_ways).TestCase):  # type: ignore[misc]  # made at run time
    settings = FEWER

    @pytest.fixture(autouse=True)
    def have_a_server(self, redis_url: str) -> None:
        URLS["redis"] = redis_url


class TestRedisStoreMachine(store_machine(open_redis_twice).TestCase):  # type: ignore[misc]  # made at run time
    settings = FEWER

    @pytest.fixture(autouse=True)
    def have_a_server(self, redis_url: str) -> None:
        URLS["redis"] = redis_url


async def _discard_all(connection: AsyncConnection[TupleRow]) -> None:
    await connection.set_autocommit(True)
    await connection.execute("DISCARD ALL")
    await connection.set_autocommit(False)


class TestPostgreSQLStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _server(self, postgresql_url: str) -> None:
        self.url = postgresql_url

    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        with postgresql_schema(self.url) as schema:
            store = PostgreSQLStore(self.url, table=f"{schema}.sessions", clock=clock)
            yield store
            await store.close()


class TestBlockingPostgreSQLStore(TestPostgreSQLStore):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        with postgresql_schema(self.url) as schema:
            store = PostgreSQLStore(self.url, table=f"{schema}.sessions", clock=clock, blocking=True)
            yield store
            await store.close()


class TestPostgreSQLStoreOfALoopThread(TestPostgreSQLStore):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        with postgresql_schema(self.url) as schema:
            store = blocking(PostgreSQLStore(self.url, table=f"{schema}.sessions", clock=clock))
            yield store
            await store.close()


class TestPostgreSQLStoreOnConnectionsWithoutState(TestPostgreSQLStore):
    """As behind a pooler: every transaction finds a connection that knows nothing, and that is not in autocommit."""

    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        with postgresql_schema(self.url) as schema:
            async with AsyncConnectionPool(self.url, min_size=1, max_size=5, open=False, reset=_discard_all) as pool:
                yield PostgreSQLStore(pool, table=f"{schema}.sessions", clock=clock)

    @override
    def test_another_event_loop_may_use_a_store_that_was_closed(self) -> None:
        """Not with a pool that was given: that is bound to the event loop that opened it."""


@asynccontextmanager
async def open_postgresql_twice(
    url: str, clock: Callable[[], float]
) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    with postgresql_schema(url) as schema:
        stores = [PostgreSQLStore(url, table=f"{schema}.sessions", clock=clock, connections=2) for _ in range(2)]
        yield stores[0], stores[1]
        for store in stores:
            await store.close()


def test_two_clients_of_postgresql_do_what_hypothesis_comes_up_with(postgresql_url: str) -> None:
    examples = max(settings().max_examples // 5, 1)  # each one has tables of its own
    machine = store_machine(partial(open_postgresql_twice, postgresql_url))
    run_state_machine_as_test(machine, settings=settings(max_examples=examples))
