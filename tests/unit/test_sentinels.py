"""A Redis store on the server that sentinels name."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio.sentinel import Sentinel

from tests.valkey_clusters import Node, free_ports, until
from typed_sessions import ConfigurationError, StoreUnavailableError
from typed_sessions.server import THREAD
from typed_sessions.stores import Lifetime, Record, RedisStore, SessionStore, WriteRequest, open_store

KEY = "a" * 64
WRITE = WriteRequest(b"payload", Lifetime(timedelta(hours=1)))


class Watched:
    """A master, its replica, and a sentinel."""

    def __init__(self, directory: Path) -> None:
        one, other, sentinel = self.ports = free_ports(3)
        common = {"bind": "127.0.0.1", "save": "", "repl-diskless-sync-delay": "0"}
        self.master = Node(directory / "one", one, {"port": str(one), **common})
        self.replica = Node(directory / "other", other, {"port": str(other), "replicaof": f"127.0.0.1 {one}", **common})
        configuration = directory / "sentinel.conf"
        configuration.write_text(
            f"port {sentinel}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {one} 1\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        )
        self.sentinel = Node(directory / "sentinel", sentinel, {}, str(configuration), "--sentinel")
        self.url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel}/main"

    def start(self) -> None:
        for node in (self.master, self.replica):
            node.start()
        until(lambda: self.master.is_up() and self.replica.is_up())
        until(lambda: self.replica.client.info("replication")["master_link_status"] == "up")
        self.sentinel.start()
        until(self.sentinel.is_up)
        until(lambda: self.sentinel.client.info("sentinel")["master0"]["slaves"] == 1)

    def stop(self) -> None:
        for node in (self.sentinel, self.replica, self.master):
            node.stop()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    it = Watched(tmp_path)
    try:
        it.start()
        yield it
    finally:
        it.stop()


@asynccontextmanager
async def opened(url: str, prefix: str) -> AsyncIterator[SessionStore]:
    store = RedisStore(url, prefix=prefix)
    try:
        yield store
    finally:
        await store.close()


async def test_sessions_are_there_after_a_failover(watched: Watched) -> None:
    prefix = f"{uuid4().hex}:"
    sentinels: Any = Sentinel([("127.0.0.1", watched.ports[2])])  # type: ignore[no-untyped-call]  # redis-py's
    client = sentinels.master_for("main", protocol=2)
    given = RedisStore(client, prefix=prefix)
    blocking = RedisStore(watched.url, prefix=prefix, blocking=True)
    async with opened(watched.url, prefix) as store:
        record = await store.create(KEY, WRITE)
        assert isinstance(record, Record)
        assert isinstance(await given.load(KEY), Record)
        assert isinstance(THREAD.run(blocking.load(KEY), blocking), Record)
        watched.master.say("WAIT", 1, 1000)
        watched.master.kill()
        end = time.monotonic() + 20
        for each in (store, given, blocking):
            found = None
            while found is None:
                assert time.monotonic() < end
                with suppress(StoreUnavailableError):
                    found = await each.load(KEY)
                await asyncio.sleep(0.1)
            assert isinstance(found, Record)
            assert found.version == record.version
        assert isinstance(await store.update(KEY, record.version, WRITE), Record)
    THREAD.run(blocking.close(), blocking)
    for each in (client, *sentinels.sentinels):
        await each.aclose()


@pytest.mark.parametrize("scheme", ["redis+sentinel", "rediss+sentinel", "valkey+sentinel", "valkeys+sentinel"])
def test_a_url_names_the_store(scheme: str) -> None:
    for blocks in (False, True):
        url = f"{scheme}://user:word@one:7000,two/main/0?sentinel_password=more&socket_timeout=2&namespace=shop"
        assert isinstance(open_store(url, blocking=blocks), RedisStore)


@pytest.mark.parametrize(
    "url",
    ["redis+sentinel://:hidden@h", "redis+sentinel://:hidden@h/", "redis+sentinel://:hidden@h,,i/main",
     "redis+sentinel://:hidden@h/main/one", "redis+sentinel://:hidden@h:port/main", "redis+sentinel://:hidden@h/main?what=1",
     "redis+sentinel://:hidden@h/main?sentinel_password=hidden&sentinel_password=hidden", "redis+sentinel://:hid#den@h/main",
     "redis+sentinel://a:hidden@h,b:hidden@i/main"],
)  # fmt: skip
def test_a_wrong_url_is_found_at_construction_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        RedisStore(url)
    text = "".join(traceback.format_exception(raised.value))
    assert "hid" not in text.replace(url, "").partition("ConfigurationError")[2]
