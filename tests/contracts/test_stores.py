"""What every store does. A new one gets two short classes, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from typing_extensions import override

from typed_sessions.stores import MemoryStore, SessionStore
from typed_sessions.testing import StoreContract
from typed_sessions.testing.store_machine import store_machine


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
