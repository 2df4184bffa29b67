"""What only the store in a cluster has to do. What all do is in tests/contracts/test_stores_on_clusters.py."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import time
import traceback
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
import redis.asyncio
from redis.exceptions import AskError, MovedError
from typing_extensions import override

from tests.valkey_clusters import Cluster, permissions
from typed_sessions import ConfigurationError, StoreUnavailableError
from typed_sessions.server import THREAD
from typed_sessions.stores import (
    ClusterRedisStore,
    Found,
    Gone,
    Lifetime,
    Moved,
    Record,
    Revoked,
    WriteRequest,
    open_store,
)
from typed_sessions.stores.base import no_longer_than
from typed_sessions.stores.cluster import scripts
from typed_sessions.stores.cluster.pipelines import LoopNodes
from typed_sessions.stores.cluster.routing import Address, Call, Nodes, NotSentError, Router, Shard
from typed_sessions.stores.cluster.scripts import Script
from typed_sessions.stores.cluster.seeds import Seeds, shards_in
from typed_sessions.stores.redis.calls import Answer

LIFETIME = Lifetime(timedelta(hours=1))
PLAIN = WriteRequest(b"\x00\xff payload", LIFETIME)
NAMES = {value: name for name, value in vars(scripts).items() if isinstance(value, Script)}


class Traced(ClusterRedisStore):
    """Tells which scripts it has run, and breaks off before or after one of them."""

    breaks: tuple[str, str] | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.ran: list[str] = []

    @override
    async def _run(self, script: Script, keys: Sequence[bytes], *arguments: bytes) -> bytes:
        name = NAMES[script]
        if self.breaks == ("before", name):
            raise StoreUnavailableError("broken off")
        answer = await super()._run(script, keys, *arguments)
        self.ran.append(name)
        if self.breaks == ("after", name):
            raise StoreUnavailableError("broken off")
        return answer


@asynccontextmanager
async def opened(url: str, prefix: str | None = None, **options: Any) -> AsyncIterator[Traced]:
    store = Traced(url, prefix=prefix or f"{uuid4().hex}:", **options)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(valkey_cluster: Cluster) -> AsyncIterator[Traced]:
    async with opened(valkey_cluster.url) as store:
        yield store


@pytest.fixture
async def lone(lone_server_url: str) -> AsyncIterator[Traced]:
    async with opened(lone_server_url) as store:
        yield store


def key_of(store: ClusterRedisStore, subject: str | None = None) -> str:
    return ("" if subject is None else store.place_of(subject)) + secrets.token_hex(32)[4 * (subject is not None) :]


async def of(store: ClusterRedisStore, subject: str, payload: bytes = b"") -> WriteRequest:
    return WriteRequest(payload, LIFETIME, subject, await store.now(subject))


async def created(store: ClusterRedisStore, key: str, write: WriteRequest = PLAIN) -> Record:
    record = await store.create(key, write)
    assert isinstance(record, Record)
    return record


# What each thing costs


async def test_what_a_request_asks_for_is_one_script(store: Traced) -> None:
    mine, nobodys = key_of(store, "7"), key_of(store)
    write = await of(store, "7")
    records = {mine: await created(store, mine, write), nobodys: await created(store, nobodys)}
    store.ran.clear()
    for key, record in records.items():
        await store.load(key)
        await store.update(key, record.version, WriteRequest(b"", LIFETIME, record.subject))
    await store.touch(nobodys, LIFETIME)
    assert store.ran == ["LOAD", "UPDATE", "LOAD", "UPDATE", "TOUCH"]


async def test_a_move_is_one_script_in_a_place_and_three_between_two(store: Traced) -> None:
    here, there, last = key_of(store), key_of(store, "7"), key_of(store, "7")
    record, write = await created(store, here), await of(store, "7")
    store.ran.clear()
    record = await moved(store, here, record, write, there)
    await moved(store, there, record, write, last)
    assert store.ran == ["STAGE", "TAKE", "SETTLE", "MOVE"]


async def moved(store: ClusterRedisStore, key: str, record: Record, write: WriteRequest, target: str) -> Record:
    answer = await store.update(key, record.version, write, move_to=target)
    assert isinstance(answer, Record)
    return answer


async def test_ending_what_is_somebodys_asks_whose_it_is_first(store: Traced) -> None:
    key = key_of(store, "7")
    await created(store, key, await of(store, "7"))
    store.ran.clear()
    assert await store.delete(key)
    assert store.ran == ["DELETE", "DELETE"]
    assert not await store.ids_of("7")


async def test_sessions_lie_on_every_master(valkey_cluster: Cluster) -> None:
    places = [valkey_cluster.shard_of(secrets.token_hex(32)) for _ in range(3000)]
    for shard in range(3):
        assert places.count(shard) >= 750


# Moves that break off


@pytest.mark.parametrize("then", ["look", "again", "log out", "revoke", "write"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("script", ["STAGE", "TAKE", "SETTLE"])
async def test_a_move_that_breaks_off_leaves_one_session_or_the_other(
    lone_server_url: str, script: str, when: str, then: str
) -> None:
    prefix = f"{uuid4().hex}:"
    has_moved = script == "SETTLE" or (script, when) == ("TAKE", "after")
    async with opened(lone_server_url, prefix) as store, opened(lone_server_url, prefix) as dying:
        dying.breaks = when, script
        old, new = key_of(store), key_of(store, "7")
        record, write = await created(store, old, WriteRequest(b"old", LIFETIME)), await of(store, "7", b"new")
        with pytest.raises(StoreUnavailableError):
            await dying.update(old, record.version, write, move_to=new)
        expected: tuple[bytes | str | None, bytes | None] = (new, b"new") if has_moved else (b"old", None)
        match then:
            case "again":
                again = await store.update(old, record.version, write, move_to=new)
                assert isinstance(again, Gone if has_moved else Record)
                expected = new, b"new"
            case "log out":
                assert await store.delete(old) is not has_moved
                expected = (new, b"new") if has_moved else (None, None)
            case "revoke":
                await store.delete_subject("7")
                expected = (new, None) if has_moved else (b"old", None)
            case "write":
                answer = await store.update(old, record.version, WriteRequest(b"other", LIFETIME))
                assert isinstance(answer, Gone if has_moved else Record)
                expected = expected if has_moved else (b"other", None)
        assert [one.key for one in await store.ids_of("7")] == ([new] if expected[1] else [])
        assert (seen(await store.load(old)), seen(await store.load(new))) == expected
        if isinstance(found := await store.load(new), Record):
            note = await store.load(old)
            assert isinstance(note, Moved)
            assert (found.created, found.issued) == (record.created, note.moved_at)


def seen(found: Found) -> bytes | str | None:
    match found:
        case Record():
            return found.payload
        case Moved():
            return found.target
        case None:
            return None


async def test_a_revocation_between_the_steps_of_a_login_ends_it(lone: Traced) -> None:
    old, new = key_of(lone), key_of(lone, "7")
    record, write = await created(lone, old), await of(lone, "7")
    lone.breaks = "after", "STAGE"
    with pytest.raises(StoreUnavailableError):
        await lone.update(old, record.version, write, move_to=new)
    lone.breaks = None
    await lone.delete_subject("7")
    answer = await lone._whosever(old, scripts.TAKE, b"%d" % record.version, new.encode(), b"1")
    assert answer.startswith(b"took")
    assert await lone.load(new) is None
    assert not await lone.ids_of("7")


async def test_a_full_server_ends_sessions_and_begins_none(lone_server_url: str) -> None:
    with redis.Redis.from_url(lone_server_url.replace("+cluster", "")) as admin:
        async with opened(lone_server_url) as store:
            keys = [key_of(store, "7") for _ in range(3)]
            for key in keys:
                await created(store, key, await of(store, "7"))
            before = await store.now("7")
            admin.config_set("maxmemory", "1")
            try:
                with pytest.raises(StoreUnavailableError):
                    await store.create(key_of(store), PLAIN)
                assert await store.delete(keys[0])
                assert await store.delete_subject("7") > before
                assert await store.delete_subject("8") > before
                assert [await store.load(key) for key in keys] == [None] * 3
            finally:
                admin.config_set("maxmemory", "0")
            assert await store.create(keys[0], WriteRequest(b"", LIFETIME, "7", before)) == Revoked()


@pytest.mark.parametrize("script", NAMES, ids=lambda script: NAMES[script])
def test_no_script_uses_a_key_again_that_it_has_made_vanish(script: Script) -> None:
    """While a slot moves, Redis 7.0 breaks such a script off: it looks for a key that is not there elsewhere."""
    text = script.unknown.decode()
    for name in re.findall(r"redis\.call\('DEL', (.+?)\)", text):
        assert not re.search(rf"'DEL', {re.escape(name)}\).*redis\.call\('\w+', {re.escape(name)}[,)]", text, re.DOTALL)


async def test_a_look_at_the_moment_of_a_revocation_was_before_it(lone: Traced) -> None:
    for _ in range(100):
        since, ended = await asyncio.gather(lone.now("7"), lone.delete_subject("7"))
        assert since < ended
        assert await lone.create(key_of(lone, "7"), WriteRequest(b"", LIFETIME, "7", since)) == Revoked()


# Where the slots are


async def test_calls_in_an_open_slot_go_where_their_record_is(valkey_cluster: Cluster, store: Traced) -> None:
    place = "beef"
    shard = valkey_cluster.shard_of(place)
    source, target = valkey_cluster.masters[shard], valkey_cluster.masters[(shard + 1) % 3]
    slot = int(source.say("CLUSTER", "KEYSLOT", f"{{{place}}}"))
    keys = [place + secrets.token_hex(30) for _ in range(40)]
    for key in keys:
        await created(store, key, WriteRequest(key.encode(), LIFETIME))
    target.say("CLUSTER", "SETSLOT", slot, "IMPORTING", valkey_cluster.ids[source.port])
    source.say("CLUSTER", "SETSLOT", slot, "MIGRATING", valkey_cluster.ids[target.port])
    try:
        half = source.say("CLUSTER", "GETKEYSINSLOT", slot, 20)
        source.say("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *half)
        for _round in range(5):
            found = await asyncio.gather(*(store.load(key) for key in keys))
            assert [seen(each) for each in found] == [key.encode() for key in keys]
        new = place + secrets.token_hex(30)
        await created(store, new)
        assert all(await asyncio.gather(store.delete(new), store.delete(keys[0])))
    finally:
        valkey_cluster.move_slot(slot, source, target)
        valkey_cluster.move_slot(slot, target, source)
    assert [seen(await store.load(key)) for key in keys[1:]] == [key.encode() for key in keys[1:]]


async def test_a_session_that_is_ended_in_an_open_slot_stays_ended(valkey_cluster: Cluster, store: Traced) -> None:
    subject = "in an open slot"
    shard = valkey_cluster.shard_of(store.place_of(subject))
    source, target = valkey_cluster.masters[shard], valkey_cluster.masters[(shard + 1) % 3]
    slot = int(source.say("CLUSTER", "KEYSLOT", f"{{{store.place_of(subject)}}}"))
    keys = [key_of(store, subject) for _ in range(10)]
    for key in keys:
        await created(store, key, await of(store, subject))
    try:
        moving = asyncio.to_thread(valkey_cluster.move_slot, slot, source, target, 0.005)
        await asyncio.gather(moving, store.delete_subject(subject))
        assert [await store.load(key) for key in keys] == [None] * len(keys)
        assert not await store.ids_of(subject)
    finally:
        valkey_cluster.move_slot(slot, target, source)


async def test_a_script_that_a_server_has_forgotten_is_brought_by_few(lone_server_url: str) -> None:
    with redis.Redis.from_url(lone_server_url.replace("+cluster", "")) as admin:
        async with opened(lone_server_url) as store:
            key = key_of(store)
            await created(store, key)
            await store.load(key)
            admin.script_flush()
            admin.config_resetstat()
            found = await asyncio.gather(*(store.load(key) for _ in range(500)))
            assert all(isinstance(each, Record) for each in found)
            stats: Any = admin.info("commandstats")
    assert stats["cmdstat_eval"]["calls"] <= 8  # one for each connection
    assert stats["cmdstat_evalsha"]["calls"] <= 1000


async def test_a_connection_that_was_closed_over_there_is_noticed(lone_server_url: str) -> None:
    async with opened(lone_server_url) as store:
        key = key_of(store)
        await created(store, key)
        with redis.Redis.from_url(lone_server_url.replace("+cluster", "")) as admin:
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.02)
        assert isinstance(await store.load(key), Record)
    blocking = ClusterRedisStore(lone_server_url, prefix="closed:", blocking=True)
    THREAD.run(created(blocking, key), blocking)
    with redis.Redis.from_url(lone_server_url.replace("+cluster", "")) as admin:
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await asyncio.sleep(0.02)
    assert isinstance(THREAD.run(blocking.load(key), blocking), Record)
    THREAD.run(blocking.close(), blocking)


class OneMaster(Nodes):
    """Nodes, of which one has all slots, some hang, and some were taken out."""

    def __init__(self) -> None:
        self.master: Address = ("one", 1)
        self.hanging: set[Address] = set()
        self.hangs: Exception = TimeoutError()
        self.taken_out: set[Address] = set()
        self.looked = 0
        self.left: list[Address] = []

    @override
    async def ask(self, address: Address, call: Call, *, with_text: bool) -> Answer:
        if address in self.hanging:
            return self.hangs
        return address[0].encode() if address == self.master else MovedError("1 other:2")

    @override
    async def shards(self, address: Address) -> Sequence[Shard] | None:
        if address in self.hanging:
            raise TimeoutError
        self.looked += 1
        return [] if address in self.taken_out else [(0, 16383, self.master)]

    @override
    async def leave(self, masters: Collection[Address], silent: Collection[Address]) -> None:
        self.left += silent

    @override
    def turn(self) -> asyncio.Lock:
        return asyncio.Lock()

    @override
    async def sleep(self, seconds: float) -> None:
        """Let no time pass."""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> OneMaster:
    monkeypatch.setattr("typed_sessions.stores.cluster.routing._SILENCE", 0.0)
    return OneMaster()


READ, WRITE = Call(scripts.NOW, [b"{beef}"], [b""]), Call(scripts.TOUCH, [b"{beef}"], [b""])


async def test_a_master_that_hangs_is_asked_no_more_once_another_has_taken_over(nodes: OneMaster) -> None:
    router = Router(nodes, [("one", 1), ("other", 2)])
    assert [await router.run(WRITE) for _ in range(3)] == [b"one"] * 3
    assert nodes.looked == 1
    nodes.hanging, nodes.master = {("one", 1)}, ("other", 2)
    with pytest.raises(StoreUnavailableError):
        await router.run(WRITE)
    assert [await router.run(WRITE) for _ in range(3)] == [b"other"] * 3
    assert nodes.looked == 2
    assert nodes.left == [("one", 1)]


async def test_what_only_reads_is_asked_again_where_another_has_taken_over(nodes: OneMaster) -> None:
    router = Router(nodes, [("one", 1), ("other", 2)])
    assert await router.run(READ) == b"one"
    nodes.hanging, nodes.master, nodes.hangs = {("one", 1)}, ("other", 2), ConnectionResetError()
    assert await router.run(READ) == b"other"
    nodes.hanging, nodes.master = {("other", 2)}, ("one", 1)
    with pytest.raises(StoreUnavailableError):
        await router.run(WRITE)


async def test_a_node_that_was_taken_out_of_the_cluster_is_not_gone_by(nodes: OneMaster) -> None:
    nodes.taken_out, nodes.master = {("one", 1), ("third", 3)}, ("other", 2)
    router = Router(nodes, [("one", 1), ("third", 3), ("other", 2)])
    assert await router.run(WRITE) == b"other"
    nodes.taken_out.add(("other", 2))
    await router._look(router._looks)
    assert await router.run(WRITE) == b"other"


@pytest.mark.parametrize("error", [MovedError, AskError])
async def test_nodes_that_send_on_to_each_other_are_given_up(
    monkeypatch: pytest.MonkeyPatch, error: type[AskError]
) -> None:
    monkeypatch.setattr("typed_sessions.stores.cluster.routing.PATIENCE", 0.2)

    class Loop(OneMaster):
        asked = 0

        @override
        async def ask(self, address: Address, call: Call, *, with_text: bool) -> Answer:
            self.asked += 1
            return error("1 other:2" if address == ("one", 1) else "1 one:1")

        @override
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    nodes = Loop()
    with pytest.raises(StoreUnavailableError):
        await Router(nodes, [("one", 1)]).run(WRITE)
    assert 5 < nodes.asked < 60


# What is acknowledged


async def test_a_change_may_wait_for_a_replica(valkey_cluster: Cluster) -> None:
    async with opened(f"{valkey_cluster.url}?wait=1") as store:
        key = key_of(store)
        record = await created(store, key)
        await asyncio.gather(*(created(store, key_of(store)) for _ in range(50)))
        assert await store.load(key) is not None
        assert isinstance(await store.update(key, record.version, PLAIN), Record)
    async with opened(f"{valkey_cluster.url}?wait=2") as store:  # no master has so many
        with pytest.raises(StoreUnavailableError) as raised:
            await store.create(key, PLAIN)
        assert "replicas" in str(raised.value.__cause__)
        assert await store.load(key) is not None
    blocking = ClusterRedisStore(f"{valkey_cluster.url}?wait=1", blocking=True)
    assert isinstance(THREAD.run(blocking.create(key_of(blocking), PLAIN), blocking), Record)
    THREAD.run(blocking.close(), blocking)


# Cancellation and deadlines


async def test_a_cancelled_call_takes_nobody_elses_answer_along(lone: Traced) -> None:
    keys = [key_of(lone) for _ in range(20)]
    for key in keys:
        await created(lone, key, WriteRequest(key.encode(), LIFETIME))
    for steps in range(12):
        loads = [asyncio.create_task(lone.load(key)) for key in keys]
        for _ in range(steps):
            await asyncio.sleep(0)
        for load in loads[::2]:
            load.cancel()
        answers = await asyncio.gather(*loads, return_exceptions=True)
        assert [seen(each) for each in answers[1::2]] == [key.encode() for key in keys[1::2]]  # type: ignore[arg-type]


async def test_who_waits_for_servers_that_are_not_there_is_told_in_time() -> None:
    async with opened("redis+cluster://127.0.0.1:1,127.0.0.1:2") as store:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await store.load(key_of(store))
    blocking = ClusterRedisStore("redis+cluster://127.0.0.1:1", blocking=True)
    start = time.monotonic()
    with no_longer_than(0.2), pytest.raises(StoreUnavailableError):
        THREAD.run(blocking.load(key_of(blocking)), blocking)
    assert time.monotonic() - start < 2


def test_a_store_that_was_made_before_a_fork_works_in_both_processes(lone_server_url: str) -> None:
    for blocks in (True, False):
        store = ClusterRedisStore(lone_server_url, prefix=f"{uuid4().hex}:", blocking=blocks)
        ours, theirs = key_of(store), key_of(store)

        def make(key: str, store: ClusterRedisStore = store, blocks: bool = blocks) -> bool:
            return isinstance(
                THREAD.run(created(store, key), store) if blocks else asyncio.run(use(store, key)), Record
            )

        assert make(ours)
        child = os.fork()
        if child == 0:
            os._exit(0 if make(theirs) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert make(key_of(store))
        if blocks:
            THREAD.run(store.close(), store)


async def use(store: ClusterRedisStore, key: str) -> Record:
    try:
        return await created(store, key)
    finally:
        await store.close()


async def test_threads_wait_for_a_node_that_hangs_no_longer_than_they_may(lone_server_url: str) -> None:
    blocking = ClusterRedisStore(lone_server_url, prefix="hangs:", blocking=True)
    key = key_of(blocking)
    THREAD.run(created(blocking, key), blocking)
    with redis.Redis.from_url(lone_server_url.replace("+cluster", "")) as admin:
        admin.execute_command("CLIENT", "PAUSE", 2000, "ALL")
        for _ in range(3):
            start = time.monotonic()
            with no_longer_than(0.1), pytest.raises(StoreUnavailableError):
                THREAD.run(blocking.load(key), blocking)
            assert time.monotonic() - start < 1
        admin.execute_command("CLIENT", "UNPAUSE")
    assert isinstance(THREAD.run(blocking.load(key), blocking), Record)
    THREAD.run(blocking.close(), blocking)


async def test_what_is_under_way_when_a_store_is_closed_leaves_nothing_open(lone_server_url: str) -> None:
    with redis.Redis.from_url(lone_server_url.replace("+cluster", "")) as admin:

        def count() -> int:
            return len(admin.client_list(_type="normal"))

        before = count()
        async with opened(lone_server_url) as store:
            key = key_of(store)
            await created(store, key)
            loads = [asyncio.create_task(store.load(key)) for _ in range(1000)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await store.close()
            answers = await asyncio.gather(*loads, return_exceptions=True)
            assert {type(each) for each in answers} <= {Record, StoreUnavailableError}
            await asyncio.sleep(0.05)
            assert count() == before


async def test_what_a_former_master_was_not_sent_goes_elsewhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address: Address = ("127.0.0.1", mute.getsockname()[1])
        nodes = LoopNodes(Seeds.of_url(f"redis+cluster://127.0.0.1:{address[1]}", blocking=False))
        calls = [asyncio.ensure_future(nodes.ask(address, READ, with_text=False)) for _ in range(600)]
        await asyncio.sleep(0.1)
        await nodes.leave([("other", 2)], [])
        await asyncio.sleep(0)
        assert [type(call.result()) for call in calls if call.done()] == [NotSentError] * (600 - 8 * 64)
        await nodes.leave([("other", 2)], [address])
        assert {type(call.result()) for call in calls} == {NotSentError, ConnectionAbortedError}
        await nodes.close()
        with pytest.raises(StoreUnavailableError):
            await nodes.ask(address, READ, with_text=False)


@pytest.mark.parametrize("host", [None, b"", b"?"])
def test_a_node_may_leave_out_its_host(host: bytes | None) -> None:
    assert shards_in([[0, 16383, [host, 7000, b"id", []], [b"replica", 7001]]], ("asked", 1)) == [
        (0, 16383, ("asked", 7000))
    ]


async def test_a_url_says_how_long_a_node_may_take(lone_server_url: str) -> None:
    async with opened(f"{lone_server_url}?socket_timeout=0.1") as store:
        key = key_of(store)
        await created(store, key)
        with redis.Redis.from_url(lone_server_url.replace("+cluster", "")) as admin:
            admin.execute_command("CLIENT", "PAUSE", 400, "ALL")
            start = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                await store.load(key)
            assert time.monotonic() - start < 0.4
            admin.execute_command("CLIENT", "UNPAUSE")
        assert isinstance(await store.load(key), Record)


# Set-up


@pytest.fixture
def url_of_user(valkey_cluster: Cluster) -> Iterator[str]:
    """The contract's tests are all run as such a user, too."""
    yield valkey_cluster.url_of_user("app", "p:w/d")
    for node in valkey_cluster.nodes:
        node.say("ACL", "DELUSER", "app")


async def test_a_user_may_do_little_else(valkey_cluster: Cluster, url_of_user: str) -> None:
    assert len([word for word in permissions() if word[0] == "+"]) <= 17
    async with opened(url_of_user, "else:") as store:
        with pytest.raises(StoreUnavailableError):
            await store.load(key_of(store))
    for node in valkey_cluster.nodes:
        node.say("ACL", "LOG", "RESET")
    async with opened(url_of_user, "session:") as store:
        await created(store, key_of(store))
    assert not any(node.say("ACL", "LOG") for node in valkey_cluster.nodes)


@pytest.mark.parametrize(
    "permission", [word for word in permissions() if word[0] == "+" and word not in {"+asking", "+wait"}]
)
async def test_that_user_needs_each_permission(lone_server_url: str, permission: str) -> None:
    name = uuid4().hex
    with redis.Redis.from_url(lone_server_url.replace("+cluster", "")) as admin:
        admin.execute_command("ACL", "SETUSER", name, "on", ">word", *permissions(), f"-{permission[1:]}")
        async with opened(lone_server_url.replace("://", f"://{name}:word@"), "session:") as store:
            admin.script_flush()
            with pytest.raises(StoreUnavailableError):
                await use_all(store)
        admin.execute_command("ACL", "DELUSER", name)


async def use_all(store: Traced) -> None:
    old, new = key_of(store), key_of(store, "acl")
    record = await created(store, old)
    record = await moved(store, old, record, await of(store, "acl"), new)
    assert await store.touch(new, LIFETIME)
    await store.delete_subject("acl")


async def test_that_user_may_do_so_while_slots_move_and_wait_for_replicas(
    valkey_cluster: Cluster, url_of_user: str
) -> None:
    async with opened(f"{url_of_user}?wait=1", "session:") as store:
        key = key_of(store)
        source = valkey_cluster.masters[valkey_cluster.shard_of(key)]
        target = next(master for master in valkey_cluster.masters if master is not source)
        slot = int(source.say("CLUSTER", "KEYSLOT", f"{{{key[:4]}}}"))
        target.say("CLUSTER", "SETSLOT", slot, "IMPORTING", valkey_cluster.ids[source.port])
        source.say("CLUSTER", "SETSLOT", slot, "MIGRATING", valkey_cluster.ids[target.port])
        try:
            await created(store, key)
            assert isinstance(await store.load(key), Record)
            assert await store.delete(key)
        finally:
            valkey_cluster.move_slot(slot, source, target)
            valkey_cluster.move_slot(slot, target, source)


async def test_a_wrong_password_is_an_unavailable_store_at_once_and_is_not_shown(valkey_cluster: Cluster) -> None:
    start = time.monotonic()
    async with opened(valkey_cluster.url.replace("://", "://app:hidden@")) as store:
        with pytest.raises(StoreUnavailableError) as raised:
            await store.load(key_of(store))
    assert "hidden" not in "".join(traceback.format_exception(raised.value))
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("kind", ["asyncio", "blocking"])
@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.usefixtures("url_of_user")
async def test_a_client_says_where_the_cluster_is(valkey_cluster: Cluster, kind: str, blocks: bool) -> None:
    port = valkey_cluster.nodes[1].port
    client: Any
    if kind == "asyncio":
        client = redis.asyncio.RedisCluster(host="127.0.0.1", port=port, username="app", password="p:w/d")
    else:
        client = redis.RedisCluster(host="127.0.0.1", port=port)
    store = ClusterRedisStore(client, blocking=blocks)
    key = key_of(store)
    if blocks:
        assert isinstance(THREAD.run(store.create(key, PLAIN), store), Record)
        THREAD.run(store.close(), store)
    else:
        assert isinstance(await store.create(key, PLAIN), Record)
        await store.close()
    await client.aclose() if kind == "asyncio" else client.close()


def test_another_client_is_refused() -> None:
    for client in (redis.Redis(), redis.asyncio.Redis(), object()):
        with pytest.raises(ConfigurationError, match="RedisCluster"):
            ClusterRedisStore(client)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    "url",
    ["redis+cluster://:hidden@h,,i", "redis+cluster://:hidden@h/1", "redis+cluster://:hidden@h:port",
     "redis+cluster://:hidden@h?wait=many", "redis+cluster://:hidden@h?wait=1&wait=1", "redis+cluster://:hidden@h?what=1",
     "redis+cluster://:hid#den@h", "redis+cluster://:hidden@h?socket_timeout=hidden", "rediss://:hidden@h",
     "redis+cluster://:hidden@h,i?wait=", " redis+cluster://:hidden@h", "redis+cluster://:hidden@h?db=1",
     "redis+cluster://a:hidden@h,b:hidden@i"],
)  # fmt: skip
def test_a_wrong_url_is_found_at_construction_and_not_shown(url: str) -> None:
    for blocks in (False, True):
        with pytest.raises(ConfigurationError) as raised:
            ClusterRedisStore(url, blocking=blocks)
        text = "".join(traceback.format_exception(raised.value))
        assert "hid" not in text.replace(url, "").partition("ConfigurationError")[2]


@pytest.mark.parametrize("scheme", ["redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster"])
def test_a_url_names_the_store(scheme: str) -> None:
    assert isinstance(
        open_store(f"{scheme}://user:word@one:7000,two,[::1]:7001?namespace=shop&wait=1"), ClusterRedisStore
    )


def test_a_prefix_cannot_name_a_place() -> None:
    with pytest.raises(ConfigurationError, match="brace"):
        ClusterRedisStore("redis+cluster://h", prefix="{session}:")


async def test_several_servers_that_are_no_cluster_are_refused(lone_server_url: str) -> None:
    host = lone_server_url.partition("://")[2]
    async with opened(f"{lone_server_url},{host.replace('127.0.0.1', 'localhost')}") as store:
        with pytest.raises(ConfigurationError, match="no cluster"):
            await store.load(key_of(store))
