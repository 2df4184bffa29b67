"""`Deadline`: how much time a request has for the store."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.server.runtime import Lock, Runtime

__all__ = ["Deadline"]

T = TypeVar("T")


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

    async def spend(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what comes of some work, and spend what it takes. What several take at once is spent once.

        Raises:
            StoreUnavailableError: there was not enough.
        """
        with self._counting:
            now = time.monotonic()
            if self._asking:
                self._left -= now - self._start
            self._start, self._asking = now, self._asking + 1
        try:
            return await self._within(work)
        finally:
            with self._counting:
                now = time.monotonic()
                self._left -= now - self._start
                self._start, self._asking = now, self._asking - 1

    @asynccontextmanager
    async def holding(self, lock: Lock) -> AsyncGenerator[None]:
        """Hold a lock for the block. To wait for it may take as much as is left, and spends nothing.

        Raises:
            StoreUnavailableError: there was not enough.
        """
        await self._within(lock.acquire())
        try:
            yield
        finally:
            lock.release()

    async def _within(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await self.runtime.within(max(0.0, self._left), work)
        except TimeoutError:
            # Without the frames of what was waiting, which know identifiers, and which a debugger's page shows.
            cause = TimeoutError()
        finally:
            work.close()  # perhaps it was never begun
        raise StoreUnavailableError("the session store took longer than SESSION_STORE_TIMEOUT") from cause
