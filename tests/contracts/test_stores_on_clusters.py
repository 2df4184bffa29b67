"""What every store does, and every one with places, by a `ClusterRedisStore`: on a cluster, and on one server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import ClassVar
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

from tests.valkey_clusters import Cluster
from typed_sessions import StoreUnavailableError
from typed_sessions.stores import ClusterRedisStore, SessionStore
from typed_sessions.stores.cluster.scripts import Script
from typed_sessions.testing import PlacedStoreContract
from typed_sessions.testing.store_machine import store_machine


def _prefix() -> str:
    return f"session:{uuid4().hex}:"


class TestClusterRedisStore(PlacedStoreContract):
    """As a user who may do what the documentation says, and nothing else."""

    expires_by_itself: ClassVar[bool] = True

    @pytest.fixture(autouse=True)
    def have_servers(self, valkey_cluster: Cluster) -> None:
        self.url = valkey_cluster.url_of_user()

    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        store = ClusterRedisStore(self.url, prefix=_prefix(), clock=clock)
        yield store
        await store.close()


class TestBlockingClusterRedisStore(TestClusterRedisStore):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        store = ClusterRedisStore(self.url, prefix=_prefix(), clock=clock, blocking=True)
        yield store
        await store.close()


class TestClusterRedisStoreOnOneServer(TestClusterRedisStore):
    @override
    @pytest.fixture(autouse=True)
    def have_servers(self, lone_server_url: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # pytest gives it what it asks for
        self.url = lone_server_url


class Breaking(ClusterRedisStore):
    """One that gets through to its servers only so often."""

    calls: int | None = None

    @override
    async def _run(self, script: Script, keys: Sequence[bytes], *arguments: bytes) -> bytes:
        if self.calls is not None:
            if self.calls == 0:
                raise StoreUnavailableError("broken off")
            self.calls -= 1
        return await super()._run(script, keys, *arguments)


def break_off(store: SessionStore, calls: int | None) -> None:
    assert isinstance(store, Breaking)
    store.calls = calls


@asynccontextmanager
async def open_twice(
    url: str, clock: Callable[[], float], *, blocking: bool = False
) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    prefix = _prefix()
    one = Breaking(url, prefix=prefix, clock=clock, blocking=blocking)
    other = Breaking(url, prefix=prefix, clock=clock)
    yield one, other
    for store in (one, other):
        await store.close()


def run_machine(url: str, share: int, *, blocking: bool = False) -> None:
    machine = store_machine(partial(open_twice, url, blocking=blocking), break_off)
    run_state_machine_as_test(machine, settings=settings(max_examples=max(settings().max_examples // share, 1)))


def test_two_clients_of_a_cluster_do_what_hypothesis_comes_up_with(valkey_cluster: Cluster) -> None:
    run_machine(valkey_cluster.url_of_user(), 2)


def test_a_client_that_blocks_and_one_that_does_not_do_so_too(valkey_cluster: Cluster) -> None:
    run_machine(valkey_cluster.url_of_user(), 5, blocking=True)


def test_two_clients_of_one_server_do_so_too(lone_server_url: str) -> None:
    run_machine(lone_server_url, 5)
