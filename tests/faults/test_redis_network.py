"""The store in Redis and Valkey behind a network that fails: each call ends in time, whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.faults.proxy import Fault, Proxy, proxied
from tests.valkey_servers import connect_to_valkey, valkey, valkey_url
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores.base import Lifetime, Record, WriteRequest
from typed_sessions.stores.redis import RedisStore

DEADLINE: Final = 0.15
LATE: Final = 0.25
"""How long a call may take to notice that it is over."""
LIFETIME: Final = Lifetime(timedelta(hours=1))
VISITORS: Final = 24
FAULTS: Final = [fault for fault in Fault if fault is not Fault.NONE]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("network")
    with valkey(directory):
        yield directory


@pytest.fixture
async def proxy(server: Path) -> AsyncIterator[Proxy]:
    async with proxied(partial(connect_to_valkey, server), delay=3 * DEADLINE) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: Proxy) -> AsyncIterator[RedisStore]:
    store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
    yield store
    await proxy.switch(Fault.NONE)
    await store.close()


@pytest.fixture
async def direct(server: Path) -> AsyncIterator[RedisStore]:
    """The same sessions, as they are on the server."""
    store = RedisStore(valkey_url(server))
    yield store
    await store.close()


def key_of(visitor: int) -> str:
    return f"{visitor:064x}"


async def fresh(store: RedisStore) -> list[Record]:
    """Give each visitor a record."""
    records: list[Record] = []
    for visitor in range(VISITORS):
        await store.delete(key_of(visitor))
        record = await store.create(key_of(visitor), WriteRequest(b"old " * 50, LIFETIME))
        assert isinstance(record, Record)
        records.append(record)
    return records


async def save(store: RedisStore, visitor: int, version: int, payload: bytes) -> bool:
    """Return True if the save was acknowledged; it ends in time in any case."""
    started = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(DEADLINE):
            record = await store.update(key_of(visitor), version, WriteRequest(payload, LIFETIME))
    except (StoreUnavailableError, TimeoutError):
        return False
    finally:
        assert asyncio.get_running_loop().time() - started < DEADLINE + LATE
    assert isinstance(record, Record)
    return True


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
async def test_saves_end_in_time_and_are_whole_and_the_store_recovers(
    proxy: Proxy, store: RedisStore, direct: RedisStore, fault: Fault
) -> None:
    records = await fresh(direct)
    await asyncio.gather(*(store.load(key_of(visitor)) for visitor in range(VISITORS)))
    payloads = [b"new %d " % visitor * 50 for visitor in range(VISITORS)]

    async def visit(visitor: int) -> bool:
        await asyncio.sleep(visitor % 4 * 0.002)  # on several connections, and before and after the fault
        return await save(store, visitor, records[visitor].version, payloads[visitor])

    visits = [asyncio.create_task(visit(visitor)) for visitor in range(VISITORS)]
    await asyncio.sleep(0.003)
    await proxy.switch(fault)
    acknowledged = await asyncio.gather(*visits)
    assert not all(acknowledged), "nothing has failed"
    await proxy.switch(Fault.REFUSES)  # what hangs or is late does not come any more
    await proxy.switch(Fault.NONE)

    for visitor, (before, known, payload) in enumerate(zip(records, acknowledged, payloads, strict=True)):
        present = await direct.load(key_of(visitor))
        assert isinstance(present, Record)
        if known or present.payload == payload:
            assert (present.payload, present.version == before.version) == (payload, False)
        else:
            assert (present.payload, present.version) == (before.payload, before.version)
    async with asyncio.timeout(1):
        loaded = await asyncio.gather(*(store.load(key_of(visitor)) for visitor in range(VISITORS)))
    for visitor, record in enumerate(loaded):
        present = await direct.load(key_of(visitor))
        assert isinstance(record, Record)
        assert isinstance(present, Record)
        assert (record.payload, record.version) == (present.payload, present.version)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
async def test_without_a_connection_calls_end_in_time_until_the_network_is_well(
    proxy: Proxy, store: RedisStore, direct: RedisStore, fault: Fault
) -> None:
    records = await fresh(direct)
    await proxy.switch(fault)
    assert not await save(store, 0, records[0].version, b"new")
    assert not await save(store, 1, records[1].version, b"new")
    await proxy.switch(Fault.NONE)
    assert await save(store, 2, records[2].version, b"new")


async def test_a_deadline_of_the_store_itself_ends_a_call_that_has_none(proxy: Proxy, direct: RedisStore) -> None:
    await fresh(direct)
    store = RedisStore(f"redis://127.0.0.1:{proxy.port}?socket_timeout={DEADLINE}&socket_connect_timeout={DEADLINE}")
    await store.now()
    await proxy.switch(Fault.HANGS)
    with pytest.raises(StoreUnavailableError):
        await store.load(key_of(0))
    await proxy.switch(Fault.NONE)
    assert await store.load(key_of(0)) is not None
    await store.close()


async def test_the_network_may_change_its_mind_all_the_time(
    proxy: Proxy, store: RedisStore, direct: RedisStore
) -> None:
    """Each visitor saves one thing after the other: what was acknowledged is there, or what was asked for later."""
    versions = {visitor: record.version for visitor, record in enumerate(await fresh(direct))}
    asked: dict[int, list[int]] = {visitor: [] for visitor in range(VISITORS)}
    acknowledged = dict.fromkeys(range(VISITORS), -1)
    over = False

    async def visit(visitor: int) -> None:
        number = 0
        while not over:
            asked[visitor].append(number)
            if await save(store, visitor, versions[visitor], b"%d " % number * 50):
                acknowledged[visitor] = number
            try:
                async with asyncio.timeout(DEADLINE):
                    present = await store.load(key_of(visitor))
            except (StoreUnavailableError, TimeoutError):
                number += 1
                present = await direct.load(key_of(visitor))
            assert isinstance(present, Record)
            versions[visitor] = present.version
            number += 1

    visits = [asyncio.create_task(visit(visitor)) for visitor in range(VISITORS)]
    for fault in FAULTS * 2:
        await proxy.switch(fault)
        await asyncio.sleep(0.05)
        await proxy.switch(Fault.NONE)
        await asyncio.sleep(0.05)
    over = True
    await asyncio.gather(*visits)
    assert all(number > 0 for number in acknowledged.values())
    for visitor in range(VISITORS):
        present = await direct.load(key_of(visitor))
        assert isinstance(present, Record)
        parts = set(present.payload.split())
        assert len(parts) == 1
        assert int(parts.pop()) in [number for number in asked[visitor] if number >= acknowledged[visitor]]
