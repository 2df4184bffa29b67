"""Stores and event loops: one set of connections for each, closed with it, and none that a fork has in common."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import psycopg
import pytest
from attrs import define
from psycopg.conninfo import make_conninfo
from quart import Quart
from redis import Redis

from typed_sessions import StoreUnavailableError, Subject
from typed_sessions.quart import Sessions
from typed_sessions.stores import Lifetime, PostgreSQLStore, Record, RedisStore, SessionStore, SQLiteStore, WriteRequest

KEY = "ab" * 32
PLAIN = WriteRequest(b"payload", Lifetime(timedelta(hours=1)))


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None


@define
class Server:
    """One on which connections can be counted."""

    make: Callable[[], SessionStore]
    url: str
    connections: Callable[[], int]
    """How many there are now."""


@pytest.fixture(params=["redis", "postgresql"])
def server(request: pytest.FixtureRequest) -> Server:
    name = uuid4().hex
    if request.param == "redis":
        url = f"{request.getfixturevalue('redis_url')}?client_name={name}"

        def of_redis() -> int:
            with Redis.from_url(request.getfixturevalue("redis_url")) as client:
                return sum(each["name"] == name for each in client.client_list())

        return Server(lambda: RedisStore(url, prefix=f"{name}:"), url, of_redis)
    given = request.getfixturevalue("postgresql_url")
    table = request.getfixturevalue("postgresql_table")
    url = f"{given}{'&' if '?' in given else '?'}application_name={name}"

    def of_postgresql() -> int:
        with psycopg.connect(make_conninfo(given)) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            row = connection.execute(query, [name]).fetchone()
            return int(row[0]) if row else 0

    return Server(lambda: PostgreSQLStore(url, table=table), f"{url}&table={table}", of_postgresql)


def until_none(connections: Callable[[], int]) -> int:
    """Return how many connections stay: a server takes a moment to notice that one was closed."""
    for _ in range(1000):
        if not connections():
            return 0
    return connections()


def in_a_thread(main: Callable[[], Awaitable[object]]) -> threading.Thread:
    def run() -> None:
        asyncio.run(call())

    async def call() -> None:
        await main()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_one_event_loop_after_the_other_leaves_nothing_open_and_warns_of_nothing(server: Server) -> None:
    store = server.make()

    async def use() -> None:
        assert await asyncio.gather(*(store.load(KEY) for _ in range(20))) == [None] * 20

    for _ in range(3):
        asyncio.run(use())
        assert until_none(server.connections) == 0
    gc.collect()  # a connection that was left open would warn now


def test_a_loop_that_is_closed_by_hand_is_forgotten_by_the_next_one(postgresql_url: str, postgresql_table: str) -> None:
    store = PostgreSQLStore(postgresql_url, table=postgresql_table)
    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(store.load(KEY)) is None
        loop.close()
    asyncio.run(store.now())
    gc.collect()  # a connection that was left open would warn now


def test_a_store_that_is_dropped_leaves_nothing_open(server: Server) -> None:
    async def use() -> None:
        store = server.make()
        await store.load(KEY)
        del store
        gc.collect()
        async with asyncio.timeout(10):
            while server.connections():  # noqa: ASYNC110 -- the server's
                await asyncio.sleep(0)

    asyncio.run(use())


def test_event_loops_at_once_have_connections_of_their_own_that_stay(server: Server) -> None:
    store, turns = server.make(), threading.Barrier(2)
    before, seen = server.connections(), list[int]()

    async def use() -> None:
        for _ in range(20):
            await store.load(KEY)
            turns.wait(10)
        seen.append(server.connections())
        turns.wait(10)

    threads = [in_a_thread(use), in_a_thread(use)]
    for thread in threads:
        thread.join(30)
    assert before == 0
    assert seen == [2, 2]
    assert until_none(server.connections) == 0


def test_a_script_that_ends_sessions_ends_itself(server: Server) -> None:
    app = Quart(__name__)
    app.secret_key = "the key of this script"
    sessions = Sessions(Visitor, app, store=server.url)
    for _ in range(5):
        thread = in_a_thread(lambda: sessions.revoke(7))
        thread.join(20)
        assert not thread.is_alive()
    assert until_none(server.connections) == 0


def test_closing_sessions_closes_what_they_have_opened(server: Server) -> None:
    app = Quart(__name__)
    app.secret_key = "the key of this script"

    async def use() -> None:
        async with Sessions(Visitor, app, store=server.url) as sessions:
            assert await sessions.of(7) == []
            assert server.connections() == 1
        assert until_none(server.connections) == 0
        assert await sessions.of(7) == []  # it opens again
        await sessions.close()
        assert until_none(server.connections) == 0

    asyncio.run(use())


def test_a_store_that_was_given_is_left_to_the_giver(server: Server) -> None:
    app = Quart(__name__)
    app.secret_key = "the key of this script"

    async def use() -> None:
        store = server.make()
        async with Sessions(Visitor, app, store=store) as sessions:
            assert await sessions.of(7) == []
        assert server.connections() == 1
        await store.close()
        assert until_none(server.connections) == 0

    asyncio.run(use())


def test_a_fork_costs_the_parent_nothing(server: Server) -> None:
    store = server.make()

    async def in_child() -> bool:
        gc.collect()
        created = await store.create(KEY, PLAIN)
        await store.close()
        gc.collect()
        return isinstance(created, Record)

    async def use() -> None:
        assert await store.load(KEY) is None
        child = os.fork()
        if child == 0:
            status = 1
            try:
                loop = asyncio.new_event_loop()
                status = 0 if loop.run_until_complete(in_child()) else 1
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0  # noqa: ASYNC222 -- a short one
        async with asyncio.timeout(3):
            assert isinstance(await store.load(KEY), Record)

    asyncio.run(use())


def test_a_fork_that_ends_the_loop_of_its_parent_costs_the_parent_nothing(server: Server) -> None:
    store = server.make()

    async def use() -> None:
        async with asyncio.timeout(3):
            assert await store.load(KEY) is None

    with asyncio.Runner() as runner:
        runner.run(use())
        child = os.fork()
        if child == 0:
            runner.close()
            os._exit(0)
        os.waitpid(child, 0)
        runner.run(use())


async def test_a_store_that_cannot_be_closed_keeps_no_other_one_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, closed = Sessions(Visitor), list[SessionStore]()
    for name in ("first", "second"):
        app = Quart(name)
        app.config.update(SECRET_KEY="the key of this script", SESSION_STORE=f"sqlite:///{tmp_path / name}.db")
        sessions.init_app(app)
        async with app.app_context():
            assert await sessions.of(7) == []
    close = SQLiteStore.close

    async def fail(store: SQLiteStore) -> None:
        closed.append(store)
        await close(store)
        raise StoreUnavailableError

    monkeypatch.setattr(SQLiteStore, "close", fail)
    with pytest.raises(StoreUnavailableError):
        await sessions.close()
    assert len(closed) == 2
