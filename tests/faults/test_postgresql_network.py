"""The store in PostgreSQL behind a network that fails: calls end in time, whole or not at all, and then it recovers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.faults.proxy import Fault, Proxy, proxied
from tests.postgresql_servers import connect_to_postgresql
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores import Lifetime, PostgreSQLStore, Record, WriteRequest

DEADLINE: Final = 0.3
LATE: Final = 0.5
"""How long a call may take to notice that it is over."""
DELAY: Final = 2 * DEADLINE
"""Each way."""
SOON: Final = 2.0
"""Within which a call succeeds once the network is well."""
LIFETIME: Final = Lifetime(timedelta(hours=1))
VISITORS: Final = 24
FAULTS: Final = [fault for fault in Fault if fault is not Fault.NONE]


@pytest.fixture
async def proxy(postgresql_url: str) -> AsyncIterator[Proxy]:
    async with proxied(partial(connect_to_postgresql, postgresql_url), delay=DELAY) as proxy:
        yield proxy


def through(proxy: Proxy, url: str, **others: str) -> str:
    return make_conninfo(url, host="127.0.0.1", port=proxy.port, **others)


@pytest.fixture
async def store(proxy: Proxy, postgresql_url: str, postgresql_table: str) -> AsyncIterator[PostgreSQLStore]:
    store = PostgreSQLStore(through(proxy, postgresql_url), table=postgresql_table)
    yield store
    await proxy.switch(Fault.NONE)
    await store.close()


@pytest.fixture
async def direct(postgresql_url: str, postgresql_table: str) -> AsyncIterator[PostgreSQLStore]:
    """The same sessions, as they are on the server."""
    store = PostgreSQLStore(postgresql_url, table=postgresql_table)
    yield store
    await store.close()


async def fresh(store: PostgreSQLStore) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for _ in range(VISITORS):
        record = await store.create(key := secrets.token_hex(32), WriteRequest(b"old " * 50, LIFETIME))
        assert isinstance(record, Record)
        records[key] = record
    return records


async def saved(store: PostgreSQLStore, key: str, version: int, payload: bytes) -> bool:
    """Return True if a save was acknowledged; it ends in time in any case."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        async with asyncio.timeout(DEADLINE):
            answer = await store.update(key, version, WriteRequest(payload, LIFETIME))
    except (StoreUnavailableError, TimeoutError):
        return False
    finally:
        assert loop.time() - started < DEADLINE + LATE
    assert isinstance(answer, Record)
    return True


async def soon(store: PostgreSQLStore, key: str) -> Record:
    """Return what is loaded within some seconds, with a deadline for each call as an application has it."""
    async with asyncio.timeout(SOON):
        while True:
            try:
                async with asyncio.timeout(DEADLINE):
                    record = await store.load(key)
            except (StoreUnavailableError, TimeoutError):
                continue
            assert isinstance(record, Record)
            return record


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
async def test_saves_end_in_time_and_are_whole_and_the_store_recovers(
    proxy: Proxy, store: PostgreSQLStore, direct: PostgreSQLStore, fault: Fault
) -> None:
    records = await fresh(direct)
    await asyncio.gather(*map(store.load, records))  # on several connections
    await proxy.switch(fault)
    new = {key: b"new " * number for number, key in enumerate(records, 1)}
    acknowledged = await asyncio.gather(*(saved(store, key, records[key].version, new[key]) for key in records))
    assert not any(acknowledged)
    await proxy.switch(Fault.NONE)
    loaded = await asyncio.gather(*(soon(store, key) for key in records))
    for (key, before), record in zip(records.items(), loaded, strict=True):
        assert record.payload in {before.payload, new[key]}
        assert (record.payload == before.payload) == (record.version == before.version)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
async def test_a_store_that_finds_no_server_at_first_does_so_later(
    proxy: Proxy, store: PostgreSQLStore, direct: PostgreSQLStore, fault: Fault
) -> None:
    key, record = (await fresh(direct)).popitem()
    await proxy.switch(fault)
    for _ in range(2):
        assert not await saved(store, key, record.version, b"new")
    await proxy.switch(Fault.NONE)
    assert (await soon(store, key)).version == record.version


async def test_a_server_that_refuses_for_a_while_is_found_again_without_another_call(
    proxy: Proxy, store: PostgreSQLStore, direct: PostgreSQLStore
) -> None:
    keys = list(await fresh(direct))
    await asyncio.gather(*map(store.load, keys))
    await proxy.switch(Fault.REFUSES)
    waiting = asyncio.create_task(store.load(keys[0]))
    done, _ = await asyncio.wait({waiting}, timeout=1.5)
    assert not done
    await proxy.switch(Fault.NONE)
    async with asyncio.timeout(SOON):
        assert await waiting


async def test_no_password_is_logged_when_connections_break(
    proxy: Proxy, postgresql_url: str, postgresql_table: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = str(conninfo_to_dict(postgresql_url).get("password") or "hunter2")  # nobody asks our own server for one
    store = PostgreSQLStore(through(proxy, postgresql_url, password=secret), table=postgresql_table)
    await asyncio.gather(*(store.now() for _ in range(VISITORS)))
    await proxy.switch(Fault.REFUSES)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2 * DEADLINE):
            await store.now()
    assert "error connecting" in caplog.text
    assert secret not in caplog.text
    await store.close()


async def test_each_operation_is_one_round_trip(proxy: Proxy, store: PostgreSQLStore, direct: PostgreSQLStore) -> None:
    key, other, lifetime = secrets.token_hex(32), secrets.token_hex(32), LIFETIME
    record = await store.create(key, WriteRequest(b"", lifetime))
    assert isinstance(record, Record)
    as_of = await direct.now()
    operations: list[tuple[Callable[[], Awaitable[object]], int]] = [
        (lambda: store.create(other, WriteRequest(b"", lifetime, "7", as_of)), 1),
        (lambda: store.load(key), 1),
        (lambda: store.touch(key, lifetime), 1),
        (lambda: store.update(key, record.version, WriteRequest(b"", lifetime)), 1),
        (lambda: store.update(key, record.version, WriteRequest(b"", lifetime)), 2),  # a conflict
        (lambda: store.ids_of("7"), 1),
        (store.delete_expired, 1),
        (lambda: store.delete(key), 1),
    ]
    for operation, trips in operations:
        before = proxy.requests
        assert await operation() is not None
        assert proxy.requests - before == trips
    # Its statements go in pieces, and nobody waits for an answer before the last one is sent.
    await proxy.switch(Fault.DELAYS)
    started = asyncio.get_running_loop().time()
    await store.delete_subject("7")
    assert asyncio.get_running_loop().time() - started < 3 * DELAY
