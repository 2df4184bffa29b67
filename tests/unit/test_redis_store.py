"""What only the store in Redis and Valkey has to do. What every store does is in tests/contracts/test_stores.py."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from attrs import evolve
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import InvalidResponse
from typing_extensions import override

from tests.faults.proxy import Fault, Proxy, proxied
from tests.valkey_servers import connect_to_valkey, valkey, valkey_url
from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.server import THREAD
from typed_sessions.stores.base import (
    REVOCATIONS_KEPT,
    Conflict,
    Found,
    Lifetime,
    Moved,
    Record,
    Revoked,
    WriteRequest,
    no_longer_than,
)
from typed_sessions.stores.redis import RedisStore
from typed_sessions.stores.redis.batches import LoopServer
from typed_sessions.stores.redis.blocking import ThreadServer
from typed_sessions.stores.redis.connections import BlockingConnections
from typed_sessions.stores.redis.plain_load import read_plain_row

KEY, OTHER = "a" * 64, "b" * 64
LIFETIME = Lifetime(timedelta(hours=1), timedelta(days=1))
PLAIN = WriteRequest(b"\x00\xff payload", LIFETIME)
DAY = timedelta(days=1)


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex}:"


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def store(redis_url: str, prefix: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_url, prefix=prefix)
    yield store
    await store.close()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server that a test may treat badly, as long as it is well again in the end."""
    directory = tmp_path_factory.mktemp("own")
    with valkey(directory):
        yield directory


@pytest.fixture
async def proxy(own_server: Path) -> AsyncIterator[Proxy]:
    async with proxied(partial(connect_to_valkey, own_server)) as proxy:
        yield proxy


@asynccontextmanager
async def opened(url: str, prefix: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(url, prefix=prefix)
    try:
        yield store
    finally:
        await store.close()


def through(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}"


async def of(store: RedisStore, subject: str = "7", lifetime: Lifetime = LIFETIME) -> WriteRequest:
    return WriteRequest(b"payload", lifetime, subject, as_of=await store.now())


async def created(store: RedisStore, key: str, write: WriteRequest = PLAIN) -> Record:
    record = await store.create(key, write)
    assert isinstance(record, Record)
    return record


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - whatever a test looks at
            await asyncio.sleep(0)


def batches_under_way(store: RedisStore) -> int:
    assert isinstance(store._server, LoopServer)
    return sum(len(opened.value[0]._senders) for opened, _ in store._server._opened._opened.values())


async def remaining(client: Redis, name: str) -> timedelta:
    return timedelta(milliseconds=await client.pttl(name))


# One round trip


async def test_every_operation_is_one_round_trip(proxy: Proxy, prefix: str) -> None:
    async with opened(through(proxy), prefix) as store:
        written = await of(store)
        record = await created(store, KEY, written)
        operations: list[Callable[[], Awaitable[object]]] = [
            lambda: store.load(KEY),
            lambda: store.touch(KEY, LIFETIME),
            lambda: store.update(KEY, record.version, written, move_to=OTHER),
            lambda: store.ids_of("7"),
            lambda: store.delete_subject("7"),
            lambda: store.create(KEY, PLAIN),
            lambda: store.delete(KEY),
        ]
        for operation in operations:
            await operation()  # the server may see the script for the first time
        await store.delete(KEY)
        for operation in operations:
            before = proxy.requests
            await operation()
            assert proxy.requests == before + 1


async def test_what_is_asked_for_together_shares_a_connection_and_a_round_trip(proxy: Proxy, prefix: str) -> None:
    async with opened(through(proxy), prefix) as store:
        await store.load(KEY)
        before = proxy.requests
        await asyncio.gather(*(store.load(KEY) for _ in range(64)))
        assert (proxy.requests, proxy.accepted) == (before + 1, 1)


async def test_many_at_once_take_few_connections_and_get_their_own_answers(proxy: Proxy, prefix: str) -> None:
    async with opened(through(proxy), prefix) as store:

        async def visit(number: int) -> None:
            key = f"{number:064x}"
            for step in range(3):
                await asyncio.sleep(0)
                await created(store, key, WriteRequest(f"{number} {step}".encode(), LIFETIME))
                record = await store.load(key)
                assert isinstance(record, Record)
                assert record.payload == f"{number} {step}".encode()
                assert await store.delete(key)

        await asyncio.gather(*(visit(number) for number in range(300)))
        assert proxy.accepted <= 8


async def test_a_server_that_has_forgotten_the_scripts_is_given_them_again(store: RedisStore, client: Redis) -> None:
    await created(store, KEY)
    await client.script_flush()
    records = await asyncio.gather(*(store.load(KEY) for _ in range(5)))
    assert all(records)


async def test_a_server_that_has_started_anew_is_found_again(tmp_path: Path, prefix: str) -> None:
    async with opened(valkey_url(tmp_path), prefix) as store:
        with valkey(tmp_path, appendonly="yes", appendfsync="always"):
            record = await created(store, KEY)
        with pytest.raises(StoreUnavailableError):
            await store.load(KEY)
        with valkey(tmp_path, appendonly="yes", appendfsync="always"):
            loaded = await store.load(KEY)
            assert isinstance(loaded, Record)
            assert (loaded.payload, loaded.version) == (record.payload, record.version)


async def test_connections_that_were_closed_while_idle_cost_no_call(proxy: Proxy, prefix: str) -> None:
    async with opened(through(proxy), prefix) as store:
        await store.now()
        await until(lambda: batches_under_way(store) == 0)
        await proxy.switch(Fault.HANGS)
        calls: list[asyncio.Task[object]] = []
        for connections in (1, 2, 3):
            calls.append(asyncio.create_task(store.load(KEY)))
            await until(lambda: batches_under_way(store) == connections)  # noqa: B023 - called in this turn
        await until(lambda: proxy.accepted > 1)
        await proxy.switch(Fault.NONE)
        await asyncio.gather(*calls)
        await proxy.switch(Fault.REFUSES)
        await proxy.switch(Fault.NONE)
        await asyncio.sleep(0.01)
        for _ in range(3):
            assert await store.load(KEY) is None
            await asyncio.gather(*(store.load(KEY) for _ in range(200)))


# What is kept, and for how long


async def test_everything_that_is_kept_expires_by_itself(store: RedisStore, client: Redis, prefix: str) -> None:
    await created(store, KEY, await of(store))
    await store.delete_subject("8")
    names = {name async for name in client.scan_iter(f"{prefix}*")}
    assert names == {f"{prefix}{name}".encode() for name in (KEY, "subject:7", "revoked:8")}
    for name, span in ((KEY, LIFETIME.idle), ("subject:7", LIFETIME.idle), ("revoked:8", REVOCATIONS_KEPT)):
        assert span - timedelta(seconds=9) < await remaining(client, prefix + name) <= span
    assert await store.delete_expired() == 0


async def test_a_touched_record_stays_as_long_as_it_says(store: RedisStore, client: Redis, prefix: str) -> None:
    await created(store, KEY, await of(store))
    await store.touch(KEY, Lifetime(timedelta(hours=5)))
    assert await remaining(client, prefix + KEY) > timedelta(hours=4)
    assert await remaining(client, f"{prefix}subject:7") > timedelta(hours=4)


async def test_the_list_of_a_subject_stays_as_long_as_its_longest_record(
    store: RedisStore, client: Redis, prefix: str
) -> None:
    await created(store, KEY, await of(store, lifetime=Lifetime(timedelta(hours=5))))
    await created(store, OTHER, await of(store, lifetime=Lifetime(timedelta(minutes=1))))
    assert await remaining(client, f"{prefix}subject:7") > timedelta(hours=4)


@pytest.mark.parametrize("start", [1_000.0, 1_800_000_000.0, 9_000_000_000.0], ids=["past", "about now", "future"])
async def test_by_another_clock_the_server_drops_nothing_early(
    redis_url: str, client: Redis, prefix: str, start: float
) -> None:
    times = [start]
    store = RedisStore(redis_url, prefix=prefix, clock=lambda: times[-1])
    await created(store, KEY, await of(store))
    await store.delete_subject("8")
    for name, span in ((KEY, LIFETIME.idle), ("subject:7", LIFETIME.idle), ("revoked:8", REVOCATIONS_KEPT)):
        assert await remaining(client, prefix + name) > span + DAY - timedelta(seconds=9)
    times.append(start + 3599.5)
    assert await store.load(KEY) is not None
    times.append(start + 3600)
    assert await store.load(KEY) is None
    assert await store.ids_of("7") == []
    await store.close()


async def test_a_list_is_rid_of_the_dead_when_it_is_written(redis_url: str, client: Redis, prefix: str) -> None:
    times = [1_800_000_000.0]
    store = RedisStore(redis_url, prefix=prefix, clock=lambda: times[-1])
    for number in range(5):
        await created(store, f"{number:064x}", await of(store))
    times.append(times[-1] + 3600)
    await created(store, KEY, await of(store))
    assert await client.zrange(f"{prefix}subject:7", 0, -1) == [KEY.encode()]
    await store.close()


async def test_a_list_is_rid_of_what_the_server_evicted_when_it_is_read(
    store: RedisStore, client: Redis, prefix: str
) -> None:
    for key in (KEY, OTHER):
        await created(store, key, await of(store))
    await client.delete(prefix + KEY)
    assert [listed.key for listed in await store.ids_of("7")] == [OTHER]
    assert await client.zrange(f"{prefix}subject:7", 0, -1) == [OTHER.encode()]


async def test_a_list_that_the_server_evicted_comes_back_with_the_next_touch(
    store: RedisStore, client: Redis, prefix: str
) -> None:
    await created(store, KEY, await of(store))
    await client.delete(f"{prefix}subject:7")
    await store.touch(KEY, LIFETIME)
    assert [listed.key for listed in await store.ids_of("7")] == [KEY]


async def test_a_record_that_changes_hands_leaves_one_list_for_the_other(
    store: RedisStore, client: Redis, prefix: str
) -> None:
    record = await created(store, KEY, await of(store, "7"))
    moved = await store.update(KEY, record.version, await of(store, "8"), move_to=OTHER)
    assert isinstance(moved, Record)
    assert await client.exists(f"{prefix}subject:7") == 0
    assert isinstance(await store.update(OTHER, moved.version, PLAIN), Record)
    assert await client.exists(f"{prefix}subject:8") == 0


async def test_stores_with_different_prefixes_do_not_see_each_other(redis_url: str, store: RedisStore) -> None:
    await created(store, KEY, await of(store))
    async with opened(redis_url, f"{uuid4().hex}:") as other:
        assert await other.load(KEY) is None
        assert await other.ids_of("7") == []


@pytest.mark.parametrize("subject", ["", "}{", "a b\r\n", "é\N{SNOWMAN}", "\ud800", "\x00", "x" * 10_000])
async def test_a_subject_may_be_any_text(store: RedisStore, subject: str) -> None:
    await created(store, KEY, await of(store, subject))
    loaded = await store.load(KEY)
    assert isinstance(loaded, Record)
    assert loaded.subject == subject
    assert len(await store.ids_of(subject)) == 1
    await store.delete_subject(subject)
    assert await store.load(KEY) is None


async def test_versions_are_kept_to_the_last_digit(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = iter([2**63 - 1, 2**63 - 2, 2**63 - 3])
    monkeypatch.setattr("typed_sessions.stores.redis.notation.secrets.randbits", lambda _: next(versions))
    record = await created(store, KEY)
    assert isinstance(await store.update(KEY, 2**63 - 2, PLAIN), Conflict)
    assert record.version == 2**63 - 1
    assert isinstance(await store.update(KEY, record.version, PLAIN), Record)


async def test_large_payloads_travel_alone_and_small_ones_together(proxy: Proxy, prefix: str) -> None:
    sizes = [1, 700_000, 700_000, 2_000_000, 1, 1]
    async with opened(through(proxy), prefix) as store:
        await asyncio.gather(
            *(created(store, f"{at:064x}", WriteRequest(bytes([at]) * size, LIFETIME)) for at, size in enumerate(sizes))
        )
        loaded = await asyncio.gather(*(store.load(f"{at:064x}") for at in range(len(sizes))))
    for at, (size, record) in enumerate(zip(sizes, loaded, strict=True)):
        assert isinstance(record, Record)
        assert record.payload == bytes([at]) * size
    assert proxy.accepted > 1


async def test_what_fails_in_a_batch_fails_alone(store: RedisStore, client: Redis, prefix: str) -> None:
    await client.set(prefix + KEY, "no record")
    answers = await asyncio.gather(
        store.create(OTHER, PLAIN), store.load(KEY), store.load(OTHER), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Record, StoreUnavailableError, Record]


async def test_what_is_loaded_together_with_a_revocation_is_older(store: RedisStore) -> None:
    """A request that loaded its record before a revocation is older than that, if only by a microsecond."""
    for _ in range(30):
        await created(store, KEY, await of(store))
        loaded, now, ended = await asyncio.gather(store.load(KEY), store.now(), store.delete_subject("7"))
        assert isinstance(loaded, Record)
        assert loaded.as_of < ended
        assert now < ended
        for as_of, answer in ((loaded.as_of, Revoked), (now, Revoked), (ended, Record)):
            write = WriteRequest(b"payload", LIFETIME, "7", as_of=as_of)
            assert isinstance(await store.create(KEY, write), answer)
        await store.delete(KEY)


async def test_a_url_may_allow_fewer_connections(redis_url: str, prefix: str) -> None:
    async with opened(f"{redis_url}?max_connections=2", prefix) as store:
        assert await asyncio.gather(*(store.load(KEY) for _ in range(300))) == [None] * 300


# Calls that a driver repeats


@pytest.fixture
async def repeating(proxy: Proxy) -> AsyncIterator[Redis]:
    """A client that repeats a call once, through a proxy that is told to pass again when it does."""

    class Repeats(Retry):
        @override
        async def call_with_retry(
            self, do: Any, fail: Callable[..., Awaitable[None]], *args: Any, **options: Any
        ) -> Any:
            async def failed(*what: Any) -> None:
                await fail(*what)
                await proxy.switch(Fault.NONE)

            return await super().call_with_retry(do, failed, *args, **options)

    async with Redis.from_url(through(proxy), retry=Repeats(NoBackoff(), 1)) as client:
        yield client


async def test_a_repeated_creation_is_recognised(proxy: Proxy, repeating: Redis, prefix: str) -> None:
    store = RedisStore(repeating, prefix=prefix)
    await store.now()
    await proxy.switch(Fault.SWALLOWS_ANSWERS)
    record = await created(store, KEY)
    loaded = await store.load(KEY)
    assert isinstance(loaded, Record)
    assert (loaded.version, loaded.created, loaded.expires_at) == (record.version, record.created, record.expires_at)


@pytest.mark.parametrize("move_to", [None, OTHER], ids=["in place", "moved"])
async def test_a_repeated_update_is_recognised(
    proxy: Proxy, repeating: Redis, prefix: str, move_to: str | None
) -> None:
    store = RedisStore(repeating, prefix=prefix)
    version = (await created(store, KEY)).version
    await proxy.switch(Fault.SWALLOWS_ANSWERS)
    record = await store.update(KEY, version, WriteRequest(b"new", LIFETIME), move_to=move_to)
    assert isinstance(record, Record)
    loaded = await store.load(move_to or KEY)
    assert isinstance(loaded, Record)
    assert (loaded.payload, loaded.version) == (b"new", record.version)


async def test_a_url_repeats_nothing(proxy: Proxy, prefix: str) -> None:
    async with opened(through(proxy), prefix) as store:
        await store.now()
        await proxy.switch(Fault.SWALLOWS_ANSWERS)
        before = proxy.requests
        with pytest.raises(StoreUnavailableError):
            await store.create(KEY, PLAIN)
        assert proxy.requests == before + 1


# Cancellation


async def test_a_cancelled_call_takes_nobody_elses_answer_along(proxy: Proxy, prefix: str) -> None:
    async with opened(through(proxy), prefix) as store:
        for number in range(6):
            await created(store, f"{number:064x}", WriteRequest(b"%d" % number, LIFETIME))
        await proxy.switch(Fault.HANGS)
        loads = [asyncio.create_task(store.load(f"{number:064x}")) for number in range(6)]
        await asyncio.sleep(0.01)
        for cancelled in loads[::2]:
            cancelled.cancel()
        await asyncio.sleep(0.01)
        await proxy.switch(Fault.NONE)
        answers = await asyncio.gather(*loads, return_exceptions=True)
        for number, answer in enumerate(answers):
            if number % 2:
                assert isinstance(answer, Record)
                assert answer.payload == b"%d" % number
            else:
                assert isinstance(answer, asyncio.CancelledError)
        assert proxy.accepted == 1


async def test_a_batch_that_nobody_waits_for_is_broken_off(proxy: Proxy, prefix: str) -> None:
    async with opened(through(proxy), prefix) as store:
        await created(store, KEY)
        await proxy.switch(Fault.HANGS)
        for _ in range(20):  # more than there may be connections
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.gather(store.load(OTHER), store.load(KEY))
        await proxy.switch(Fault.NONE)
        async with asyncio.timeout(1):
            loaded = await store.load(KEY)
        assert isinstance(loaded, Record)
        assert loaded.payload == PLAIN.payload


async def test_a_call_that_is_cancelled_before_it_is_sent_is_not_made(store: RedisStore) -> None:
    task = asyncio.create_task(store.create(KEY, PLAIN))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.load(KEY) is None


async def test_cancelling_at_any_point_leaves_the_store_as_it_should_be(store: RedisStore) -> None:
    version = (await created(store, KEY)).version
    for number in range(60):
        task = asyncio.create_task(store.update(KEY, version, WriteRequest(b"%d" % number, LIFETIME)))
        for _ in range(number % 15):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        present = await store.load(KEY)
        assert isinstance(present, Record)
        if present.version != version:
            assert present.payload == b"%d" % number
        version = present.version


# Errors


async def shown(call: Awaitable[object]) -> str:
    """Return all that a log would hold of the error that a call must raise."""
    with pytest.raises(StoreUnavailableError) as raised:
        await call
    assert raised.value.__cause__ is not None
    return "".join(traceback.format_exception(raised.value))


async def test_a_server_that_is_not_there_is_an_unavailable_store(tmp_path: Path) -> None:
    async with opened(f"unix://:hidden@{tmp_path}/none.sock?password=hidden", "x:") as store:
        assert "hidden" not in await shown(store.load(KEY))
    async with opened("redis://user:hidden@127.0.0.1:1/0", "x:") as store:
        assert "hidden" not in await shown(store.create(KEY, PLAIN))
        assert "hidden" not in repr(store)


@pytest.mark.parametrize("query", ["", "?password=hidden", "?username=default&password=hidden"])
async def test_a_server_that_does_not_let_us_in_is_an_unavailable_store(own_server: Path, query: str) -> None:
    async with Redis.from_url(valkey_url(own_server)) as admin:
        await admin.config_set("requirepass", "right")
        try:
            async with opened(valkey_url(own_server) + query, "x:") as store:
                text = await shown(store.load(KEY))
        finally:
            await admin.config_set("requirepass", "")
    assert "hidden" not in text
    assert KEY not in text


@pytest.mark.parametrize(
    ("settings", "well"),
    [
        ({"maxmemory": "1"}, {"maxmemory": "0"}),
        ({"min-replicas-to-write": "1"}, {"min-replicas-to-write": "0"}),
    ],
    ids=["out of memory", "no replicas"],
)
async def test_a_server_that_refuses_what_is_written_is_an_unavailable_store(
    own_server: Path, prefix: str, settings: dict[str, str], well: dict[str, str]
) -> None:
    async with Redis.from_url(valkey_url(own_server)) as admin, opened(valkey_url(own_server), prefix) as store:
        record = await created(store, KEY)
        for name, value in settings.items():
            await admin.config_set(name, value)
        try:
            text = await shown(store.update(KEY, record.version, PLAIN))
        finally:
            for name, value in well.items():
                await admin.config_set(name, value)
        assert KEY not in text
        assert isinstance(await store.update(KEY, record.version, PLAIN), Record)


async def test_on_a_full_server_sessions_can_still_be_ended(own_server: Path, prefix: str) -> None:
    async with Redis.from_url(valkey_url(own_server)) as admin, opened(valkey_url(own_server), prefix) as store:
        written = await of(store)
        for key in (KEY, OTHER):
            await created(store, key, written)
        await admin.config_set("maxmemory", "1")
        try:
            await shown(store.create("c" * 64, written))
            await shown(store.touch(KEY, LIFETIME))
            assert await store.load(KEY) is not None
            assert await store.delete(KEY)
            await store.delete_subject("7")
            await store.delete_subject("8")
        finally:
            await admin.config_set("maxmemory", "0")
        assert await store.load(OTHER) is None
        for subject in ("7", "8"):
            assert await store.create(KEY, WriteRequest(b"", LIFETIME, subject, as_of=written.as_of)) == Revoked()


async def test_a_replica_is_an_unavailable_store(own_server: Path, prefix: str) -> None:
    async with Redis.from_url(valkey_url(own_server)) as admin, opened(valkey_url(own_server), prefix) as store:
        await admin.replicaof("127.0.0.1", "1")
        try:
            await shown(store.create(KEY, PLAIN))
        finally:
            await admin.replicaof("NO", "ONE")
        await created(store, KEY)


async def test_an_error_does_not_quote_keys(tmp_path: Path) -> None:
    with valkey(tmp_path, rename_command="EVALSHA none"):
        async with opened(valkey_url(tmp_path), "x:") as store:
            text = await shown(store.load(KEY))
    assert "EVALSHA" in text
    assert KEY[:8] not in text


# Set-up


@pytest.mark.parametrize(
    "url",
    ["http://:hidden@localhost", "redis://:hid#den@localhost", "redis://:hidden@localhost:port", "redis://:hidden@[x/0",
     "redis://:hidden@localhost?socket_timeout=hidden"],
)  # fmt: skip
def test_a_wrong_url_is_found_at_construction_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        RedisStore(url)
    text = "".join(traceback.format_exception(raised.value))
    assert "hid" not in text.replace(url, "").partition("ConfigurationError")[2]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_clients_that_cannot_do_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisStore(Redis(decode_responses=True))
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisStore("redis://localhost?decode_responses=True")
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio"):
        RedisStore(redis.Redis())  # type: ignore[call-overload]  # that is the point
    with pytest.raises(ConfigurationError, match="to block"):
        RedisStore(Redis(), blocking=True)  # type: ignore[call-overload]  # that, too


@pytest.mark.parametrize("prefix", ["session:", "{session}:"])
@pytest.mark.parametrize("cluster", [RedisCluster, redis.RedisCluster, type("ValkeyCluster", (Redis,), {})])
def test_a_client_of_a_cluster_is_refused(cluster: type, prefix: str) -> None:
    client: Any = object.__new__(cluster)  # one of `redis` connects when it is made
    with pytest.raises(ConfigurationError, match="no sessions on a cluster"):
        RedisStore(client, prefix=prefix)


async def test_a_node_of_a_cluster_is_refused_and_keeps_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, bus = free.getsockname()[1], other.getsockname()[1]
    with valkey(tmp_path, port=port, cluster_enabled="yes", cluster_port=str(bus)):
        async with Redis.from_url(valkey_url(tmp_path)) as admin:
            await admin.cluster("ADDSLOTSRANGE", 0, 16383)
            async with opened(valkey_url(tmp_path), "{session}:") as store:
                answers = await asyncio.gather(
                    store.create(KEY, PLAIN), store.delete_subject("7"), return_exceptions=True
                )
                assert [type(answer) for answer in answers] == [ConfigurationError] * 2
            with redis.Redis.from_url(valkey_url(tmp_path)) as client:
                for where in (client, valkey_url(tmp_path)):
                    blocking = RedisStore(where, prefix="{session}:", blocking=True)
                    for _ in range(2):
                        with pytest.raises(ConfigurationError):
                            THREAD.run(blocking.create(KEY, PLAIN), blocking)
                    THREAD.run(blocking.close(), blocking)
            assert await admin.dbsize() == 0


async def test_a_server_that_does_not_say_what_it_is_is_used(tmp_path: Path) -> None:
    with valkey(tmp_path, rename_command="INFO none"):
        async with opened(valkey_url(tmp_path), "x:") as store:
            await created(store, KEY)
        store = RedisStore(valkey_url(tmp_path), prefix="x:", blocking=True)
        assert THREAD.run(store.load(KEY), store) is not None
        THREAD.run(store.close(), store)


async def test_a_given_client_gets_together_what_is_asked_for_together(client: Redis, prefix: str) -> None:
    store = RedisStore(client, prefix=prefix)
    await client.set(prefix + KEY, "no record")
    await client.script_flush()
    answers = await asyncio.gather(
        store.create(OTHER, PLAIN), store.load(KEY), store.load(OTHER), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Record, StoreUnavailableError, Record]


async def test_a_given_client_stays_open(client: Redis, prefix: str) -> None:
    store = RedisStore(client, prefix=prefix)
    await created(store, KEY)
    await store.close()
    await store.close()
    assert await client.ping()
    assert await store.load(KEY) is not None


async def test_a_store_that_was_closed_opens_again_and_keeps_no_connection(proxy: Proxy, prefix: str) -> None:
    store = RedisStore(through(proxy), prefix=prefix)
    for _ in range(2):
        await store.now()
        await store.close()
    assert proxy.accepted == 2


async def test_closing_ends_what_is_under_way(proxy: Proxy, prefix: str) -> None:
    store = RedisStore(through(proxy), prefix=prefix)
    await store.now()
    await proxy.switch(Fault.HANGS)
    calls = [asyncio.create_task(store.load(KEY)) for _ in range(3)]
    await asyncio.sleep(0.01)
    late = asyncio.create_task(store.load(KEY))
    await asyncio.sleep(0)
    await store.close()
    answers = await asyncio.gather(*calls, late, return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailableError) for answer in answers)


def test_a_store_serves_one_event_loop_after_the_other(redis_url: str, prefix: str) -> None:
    store = RedisStore(redis_url, prefix=prefix)

    async def use() -> Found:
        try:
            return await store.load(KEY)
        finally:
            await store.close()

    async def make() -> None:
        await created(store, KEY)
        await store.close()

    asyncio.run(make())
    assert asyncio.run(use()) is not None
    assert asyncio.run(use()) is not None


def test_a_store_that_was_made_before_a_fork_works_in_both_processes(redis_url: str, prefix: str) -> None:
    store = RedisStore(redis_url, prefix=prefix)

    async def make(key: str) -> bool:
        try:
            return isinstance(await store.create(key, PLAIN), Record)
        finally:
            await store.close()

    child = os.fork()
    if child == 0:
        os._exit(0 if asyncio.run(make(KEY)) else 1)
    assert asyncio.run(make(OTHER))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_thread_waits_for_no_longer_than_it_may(own_server: Path) -> None:
    url = valkey_url(own_server)
    store = RedisStore(url, prefix=f"{uuid4().hex}:", blocking=True)
    record = THREAD.run(created(store, KEY), store)
    with redis.Redis.from_url(url) as other:
        other.execute_command("CLIENT", "PAUSE", 400, "ALL")
        start = time.monotonic()
        with no_longer_than(0.1), pytest.raises(StoreUnavailableError) as raised:
            THREAD.run(store.load(KEY), store)
        assert 0.1 <= time.monotonic() - start < 0.4
        assert isinstance(raised.value.__cause__, redis.TimeoutError)
    found = THREAD.run(store.load(KEY), store)
    assert isinstance(found, Record)
    assert found.version == record.version
    THREAD.run(store.close(), store)


def test_a_thread_does_not_wait_for_ever_for_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        store = RedisStore(f"redis://127.0.0.1:{mute.getsockname()[1]}", blocking=True)
        start = time.monotonic()
        with no_longer_than(0.1), pytest.raises(StoreUnavailableError):
            THREAD.run(store.load(KEY), store)
        assert time.monotonic() - start < 2
    THREAD.run(store.close(), store)


def test_a_url_says_how_long_a_thread_waits_at_most() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        store = RedisStore(f"redis://127.0.0.1:{mute.getsockname()[1]}?socket_timeout=0.1", blocking=True)
        start = time.monotonic()
        with no_longer_than(60), pytest.raises(StoreUnavailableError):
            THREAD.run(store.load(KEY), store)
        assert time.monotonic() - start < 5
    THREAD.run(store.close(), store)


def test_a_client_that_is_given_may_block(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        store = RedisStore(client, prefix=f"{uuid4().hex}:", blocking=True)
        THREAD.run(created(store, KEY), store)
        THREAD.run(store.close(), store)
        assert client.ping()
        assert THREAD.run(store.delete(KEY), store)


@pytest.fixture
def blocking(own_server: Path) -> Iterator[RedisStore]:
    store = RedisStore(valkey_url(own_server), prefix=f"{uuid4().hex}:", blocking=True)
    yield store
    THREAD.run(store.close(), store)


def connections_of(server: Path) -> int:
    with redis.Redis.from_url(valkey_url(server)) as admin:
        return len(admin.client_list(_type="normal")) - 1


def test_a_thread_keeps_its_connection(blocking: RedisStore, own_server: Path) -> None:
    before = connections_of(own_server)
    THREAD.run(created(blocking, KEY), blocking)
    for _ in range(5):
        THREAD.run(blocking.load(KEY), blocking)
    assert connections_of(own_server) == before + 1
    THREAD.run(blocking.close(), blocking)
    assert connections_of(own_server) == before
    assert THREAD.run(blocking.load(KEY), blocking) is not None


def test_a_connection_that_was_closed_while_idle_costs_a_thread_no_call(blocking: RedisStore, own_server: Path) -> None:
    THREAD.run(created(blocking, KEY), blocking)
    with redis.Redis.from_url(valkey_url(own_server)) as admin:
        admin.client_kill_filter(_type="normal", skipme=True)
    assert THREAD.run(blocking.load(KEY), blocking) is not None


def test_a_thread_meets_a_server_that_has_forgotten_the_scripts(blocking: RedisStore, own_server: Path) -> None:
    with redis.Redis.from_url(valkey_url(own_server)) as admin:
        for _ in range(2):
            admin.script_flush()
            record = THREAD.run(blocking.create(uuid4().hex * 2, PLAIN), blocking)
            assert isinstance(record, Record)


@pytest.mark.parametrize("size", [0, 1, 65_400, 65_536, 3_000_000])
def test_a_thread_reads_answers_of_any_size(blocking: RedisStore, size: int) -> None:
    payload = b"\r\n$5\r\n"[: size or None] + b"\n" * max(0, size - 6)
    payload = payload if size else b""
    THREAD.run(created(blocking, KEY, WriteRequest(payload, LIFETIME, device="a\r\nb")), blocking)
    record = THREAD.run(blocking.load(KEY), blocking)
    assert isinstance(record, Record)
    assert (record.payload, record.device) == (payload, "a\r\nb")


def answer_of(row: dict[str, str | None], time: tuple[int, int] = (1_900_000_000, 7)) -> bytes:
    """Return what a server answers to a plain load."""
    names = ("version", "created", "last_seen", "expires_at", "issued", "target", "payload", "subject", "device")
    texts = [row.get(name) for name in names]
    said = [f"${len(text)}\r\n{text}\r\n" if text is not None else "$-1\r\n" for text in texts]
    seconds, rest = map(str, time)
    return (f"*2\r\n$10\r\n{seconds}\r\n${len(rest)}\r\n{rest}\r\n*9\r\n" + "".join(said)).encode()


ROW: dict[str, str | None] = {"version": "5", "created": "1", "last_seen": "2", "expires_at": "3", "issued": "4"}


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ({"payload": ""}, [b"", None, None]),
        ({"payload": "$-1\r\n$-1\r\n"}, [b"$-1\r\n$-1\r\n", None, None]),
        ({"payload": "one\r\ntwo", "subject": "\r\n", "device": ""}, [b"one\r\ntwo", b"\r\n", b""]),
        ({"payload": "x", "device": "$3\r\nabc"}, [b"x", None, b"$3\r\nabc"]),
        ({"payload": "x", "subject": "s"}, [b"x", b"s", None]),
    ],
)
def test_a_plain_answer_may_come_in_any_pieces(row: dict[str, str | None], texts: list[bytes | None]) -> None:
    answer = answer_of(ROW | row)
    for size in range(1, len(answer) + 1):
        pieces = iter([answer[at : at + size] for at in range(0, len(answer), size)])
        read = read_plain_row(lambda: next(pieces))  # noqa: B023 -- called at once
        assert read == (b"1900000000", b"7", b"5", b"1", b"2", b"3", b"4", *texts)
        assert next(pieces, None) is None


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (answer_of({}), ()),
        (answer_of({"target": "t", "issued": "1", "expires_at": "2"}), None),
        (answer_of(ROW | {"payload": "x", "target": "t"}), None),
        (answer_of(ROW | {"version": None, "payload": "x"}), None),
        (answer_of(ROW), None),
        (answer_of({}).partition(b"*9")[0] + b"-WRONGTYPE no hash\r\n", None),
        (b"-NOPERM no\r\n-NOPERM no\r\n", None),
    ],
    ids=["nobody", "moved", "half moved", "no version", "no payload", "no hash", "not allowed"],
)
def test_what_is_unusual_is_read_to_its_end_and_left_to_the_script(answer: bytes, read: object) -> None:
    for size in range(1, len(answer) + 1):
        pieces = iter([answer[at : at + size] for at in range(0, len(answer), size)])
        assert read_plain_row(lambda: next(pieces)) == read  # noqa: B023 -- called at once
        assert next(pieces, None) is None


@pytest.mark.parametrize("answer", [answer_of({}) + b"$", b"?", b":1\r\n!2\r\n", b"$x\r\n"])
def test_what_nobody_asked_for_is_refused(answer: bytes) -> None:
    pieces = iter([answer, b"\r\n"])
    with pytest.raises((InvalidResponse, ValueError)):
        read_plain_row(lambda: next(pieces))


async def test_plain_commands_tell_what_the_script_tells(own_server: Path, prefix: str) -> None:
    url = valkey_url(own_server)
    plain, scripted = RedisStore(url, prefix=prefix, blocking=True), RedisStore(url, prefix=prefix)
    as_of = await scripted.now()
    keys = [f"{number:064x}" for number in range(8)]
    writes = [
        WriteRequest(payload, lifetime, subject, as_of, device=device)
        for payload, lifetime, subject, device in (
            (b"", Lifetime(DAY), None, None),
            (bytes(range(256)), Lifetime(DAY), "\r\n$-1", None),
            (b"x" * 100_000, LIFETIME, None, "\ud800"),
            (b"x", Lifetime(timedelta(days=400_000)), "7", ""),
            (b"moved", Lifetime(DAY), None, None),
            (b"expired", Lifetime(DAY), "8", None),
        )
    ]
    records = [await created(scripted, key, write) for key, write in zip(keys, writes, strict=False)]
    moved = await scripted.load(keys[4])
    assert isinstance(moved, Record)
    await scripted.update(keys[4], moved.version, writes[4], move_to=keys[6])
    async with Redis.from_url(url) as admin:
        await admin.hset(prefix + keys[5], "expires_at", str(round(records[5].created.timestamp() * 1_000_000)))
        for key in keys:
            one, other = THREAD.run(plain.load(key), plain), await scripted.load(key)
            assert type(one) is type(other)
            if isinstance(one, Record | Moved) and isinstance(other, Record | Moved):
                assert timedelta() < other.as_of - one.as_of < timedelta(seconds=5)
                assert evolve(one, as_of=other.as_of) == other
        await admin.set(prefix + keys[7], "no record")
        with pytest.raises(StoreUnavailableError):
            THREAD.run(plain.load(keys[7]), plain)
    assert [type(THREAD.run(plain.load(key), plain)) for key in keys[:7]] == [Record] * 4 + [Moved, type(None), Record]
    THREAD.run(plain.close(), plain)
    await scripted.close()


def test_a_thread_asks_once_for_what_is_usual(blocking: RedisStore, own_server: Path) -> None:
    THREAD.run(created(blocking, KEY), blocking)
    with redis.Redis.from_url(valkey_url(own_server)) as admin:
        admin.config_resetstat()
        assert THREAD.run(blocking.load(KEY), blocking) is not None
        assert THREAD.run(blocking.load(OTHER), blocking) is None
        stats = admin.info("commandstats")
    assert stats["cmdstat_hmget"]["calls"] == 2
    assert "cmdstat_evalsha" not in stats


def test_an_error_costs_a_thread_its_call_and_not_its_connection(blocking: RedisStore, own_server: Path) -> None:
    THREAD.run(created(blocking, KEY), blocking)
    before = connections_of(own_server)
    with redis.Redis.from_url(valkey_url(own_server)) as admin:
        admin.config_set("maxmemory", "1")
        try:
            with pytest.raises(StoreUnavailableError) as raised:
                THREAD.run(blocking.create(OTHER, PLAIN), blocking)
        finally:
            admin.config_set("maxmemory", "0")
    assert isinstance(raised.value.__cause__, redis.exceptions.OutOfMemoryError)
    assert THREAD.run(blocking.load(KEY), blocking) is not None
    assert connections_of(own_server) == before


def test_a_thread_whose_answer_is_cut_off_connects_anew() -> None:
    """What is left of an answer is not taken for the next one."""
    answers = iter(
        [b"$100\r\nhalf", b"+OK\r\n$4\r\n", b":1\r\n:2\r\n", b"$4\r\ngone\r\n$4\r\ngone\r\n", b"$4\r\ngone\r\n"]
    )

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                while (asked := connection.recv(1 << 16)) and b"EVALSHA" not in asked:
                    for _ in range(asked.count(b"*")):
                        connection.sendall(b"+OK\r\n")
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve, listener)
        store = RedisStore(f"redis://127.0.0.1:{listener.getsockname()[1]}?socket_timeout=5", blocking=True)
        for _ in range(4):
            with pytest.raises(StoreUnavailableError):
                THREAD.run(store.load(KEY), store)
        assert THREAD.run(store.load(KEY), store) is None
        serving.result()
        THREAD.run(store.close(), store)


def test_a_url_may_ask_for_health_checks(own_server: Path) -> None:
    store = RedisStore(f"{valkey_url(own_server)}?health_check_interval=60", prefix=f"{uuid4().hex}:", blocking=True)
    for _ in range(2):
        assert THREAD.run(store.load(KEY), store) is None
    with redis.Redis.from_url(valkey_url(own_server)) as admin:
        admin.config_resetstat()
        assert isinstance(store._server, ThreadServer)
        assert isinstance(store._server._server, BlockingConnections)
        [connection] = store._server._server._opened.get().idle
        connection.next_health_check = 0
        assert THREAD.run(store.load(KEY), store) is None
        assert admin.info("commandstats")["cmdstat_ping"]["calls"] == 1
        assert THREAD.run(store.load(KEY), store) is None
        assert admin.info("commandstats")["cmdstat_ping"]["calls"] == 1
    THREAD.run(store.close(), store)


def test_threads_have_other_connections_in_a_fork(redis_url: str, prefix: str) -> None:
    store = RedisStore(redis_url, prefix=prefix, blocking=True)
    THREAD.run(created(store, KEY), store)

    def all_well(key: str) -> bool:
        return all(isinstance(THREAD.run(store.create(f"{key}{n:062x}", PLAIN), store), Record) for n in range(50))

    child = os.fork()
    if child == 0:
        os._exit(0 if all_well("0c") else 1)
    assert all_well("0a")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    THREAD.run(store.close(), store)
