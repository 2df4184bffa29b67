"""`Deadline`: how much time a request has for the store."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.server.runtime import Lock, Runtime

__all__ = ["Deadline"]


class Deadline:
    """How much time is left for all that a request asks of the store.

    Args:
        span: how much there is in the beginning.
        runtime: what waits.
    """

    def __init__(self, span: timedelta, runtime: Runtime) -> None:
        self.runtime: Final = runtime
        self._left = span.total_seconds()
        self._asking = 0
        self._start = 0.0
        """Up to when was spent what those take who ask."""
        self._counting: Final = threading.Lock()

    @asynccontextmanager
    async def spent(self) -> AsyncGenerator[None]:
        """Spend of it what the block takes. What several blocks take at once is spent once.

        Raises:
            StoreUnavailableError: there was not enough.
        """
        self._count(1)
        try:
            async with self._kept():
                yield
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._counting:
            now = time.monotonic()
            if self._asking:
                self._left -= now - self._start
            self._start, self._asking = now, self._asking + more

    @asynccontextmanager
    async def holding(self, lock: Lock) -> AsyncGenerator[None]:
        """Hold a lock for the block. To wait for it may take as much as is left, and spends nothing.

        Raises:
            StoreUnavailableError: there was not enough.
        """
        async with self._kept():
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @asynccontextmanager
    async def _kept(self) -> AsyncGenerator[None]:
        try:
            async with self.runtime.timeout(max(0.0, self._left)):
                yield
        except TimeoutError:
            # Without the frames of what was waiting, which know identifiers, and which a debugger's page shows.
            cause = TimeoutError()
        else:
            return
        raise StoreUnavailableError("the session store took longer than SESSION_STORE_TIMEOUT") from cause
