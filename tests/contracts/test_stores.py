"""What every store does. A new one gets two short classes, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar
from uuid import uuid4

import pytest
from typing_extensions import override

from typed_sessions.stores import MemoryStore, RedisStore, SessionStore
from typed_sessions.testing import StoreContract
from typed_sessions.testing.store_machine import store_machine

URLS: dict[str, str] = {}
"""Of the servers that run, for machines, to which no fixture can be given."""


class TestMemoryStore(StoreContract):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        yield MemoryStore(clock=clock)


@asynccontextmanager
async def open_memory_twice(clock: Callable[[], float]) -> AsyncGenerator[tuple[SessionStore, SessionStore], None]:
    store = MemoryStore(clock=clock)
    yield store, store


class TestMemoryStoreMachine(store_machine(open_memory_twice).TestCase):  # type: ignore[misc]  # made at run time
    pass


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


class TestRedisStoreMachine(store_machine(open_redis_twice).TestCase):  # type: ignore[misc]  # made at run time
    @pytest.fixture(autouse=True)
    def have_a_server(self, redis_url: str) -> None:
        URLS["redis"] = redis_url
