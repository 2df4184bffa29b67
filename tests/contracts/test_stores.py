"""What every store does. A new one gets a short class, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from typing_extensions import override

from typed_sessions.stores import MemoryStore, SessionStore
from typed_sessions.testing import StoreContract


class TestMemoryStore(StoreContract):
    @override
    @asynccontextmanager
    async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore, None]:
        yield MemoryStore(clock=clock)
