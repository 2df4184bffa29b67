"""`Runtime` and `Deadline`: how what a request asks of the store waits, in an event loop or in a thread, and how long.

The way of a session is written once, as coroutines. An event loop awaits them; where there is none, `THREAD.run` drives
them to their end, for stores that only ever block.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, TypeAlias, TypeVar, cast

from typing_extensions import override

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores import SessionStore
from typed_sessions.stores.base import no_longer_than, time_left
from typed_sessions.stores.blocking import blocking

__all__ = ["EVENT_LOOP", "THREAD", "Deadline", "Lock", "Runtime", "ThreadRuntime"]

T = TypeVar("T")


_NO_LOOP: Final = ("no running event loop",)
"""What asyncio says to who waits for a loop before anything else. The stack of that error knows keys."""


class _ThreadLock:
    """Held by one thread at a time. The others block, as long as a store may."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()

    async def acquire(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        left = time_left()
        if not self._lock.acquire(timeout=-1 if left is None else left):
            raise TimeoutError

    def release(self) -> None:
        self._lock.release()

    __aenter__ = acquire

    async def __aexit__(self, *raised: object) -> None:
        self.release()


Lock: TypeAlias = asyncio.Lock | _ThreadLock


class Runtime:
    """What waiting is, in an event loop."""

    blocks: bool = False
    """Whether a store that is opened here has to block."""

    def store(self, store: SessionStore) -> SessionStore:
        """Return a store that can be asked here, for one that a program has made."""
        return store

    def scope(self) -> Hashable:
        """Return what a lock is good for: the running event loop, or all threads of this process."""
        return asyncio.get_running_loop()

    def lock(self) -> Lock:
        """Return a new lock for the present scope."""
        return asyncio.Lock()

    async def within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        """Return what comes of some work. If that takes longer, it is broken off, with a TimeoutError."""
        async with asyncio.timeout(seconds):
            return await work

    async def sleep(self, seconds: float) -> None:
        """Let others have their turn meanwhile."""
        await asyncio.sleep(seconds)

    async def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns that blocks, without blocking others."""
        return await asyncio.to_thread(function)


class ThreadRuntime(Runtime):
    """Waits by blocking the thread. Nobody can break off a driver there, so that it has to ask for its `time_left`."""

    blocks = True

    @override
    def store(self, store: SessionStore) -> SessionStore:
        return blocking(store)

    @override
    def scope(self) -> Hashable:
        return os.getpid()  # in a fork, who held a lock of the parent's never gives it up

    @override
    def lock(self) -> Lock:
        return _ThreadLock()

    @override
    async def within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        if seconds <= 0:
            raise TimeoutError
        with no_longer_than(seconds):
            return await work

    @override
    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 -- there is no event loop here that it would keep from its work

    @override
    async def call(self, function: Callable[[], T]) -> T:
        return function()

    def run(self, coroutine: Coroutine[Any, Any, T], store: object) -> T:
        """Do what `finish` does, for a store that is known."""
        return self.finish(coroutine, lambda: store)

    def finish(self, coroutine: Coroutine[Any, Any, T], store: Callable[[], object]) -> T:
        """Return what a coroutine returns that waits for nothing but the store, which blocks.

        Raises:
            RuntimeError: it waits for an event loop: the store is not what it says to be (`never_waits`).
        """
        try:
            coroutine.send(None)
        except StopIteration as end:
            return cast("T", end.value)
        except RuntimeError as error:
            if error.args != _NO_LOOP:
                raise
        with suppress(RuntimeError):  # it may be about to wait once more, to tidy up
            coroutine.close()
        raise RuntimeError(
            f"{type(store()).__name__} waits for an event loop, and there is none in this thread: a store that says "
            f"never_waits = True has to block until it can answer"
        )


class Deadline:
    """How much time is left for all that a request asks of the store."""

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


EVENT_LOOP: Final = Runtime()
"""Waits in the event loop that runs. Stores may be of any kind."""

THREAD: Final = ThreadRuntime()
"""Waits in the thread that runs. Stores have to say `never_waits = True`."""
