"""`blocking`: any store, for threads that have no event loop. One thread of the process has a loop for all of them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Final, TypeVar

from typing_extensions import override

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores.base import (
    Created,
    Found,
    Lifetime,
    Listed,
    PlacedStore,
    Record,
    SessionStore,
    Updated,
    WriteRequest,
    time_left,
)

__all__ = ["blocking"]

T = TypeVar("T")

_PATIENCE: Final = 5.0
"""Seconds within which a thread has begun, unless none ever will: in uWSGI they do not run unless it is told to."""


def blocking(store: SessionStore) -> SessionStore:
    """Return a store that blocks the thread that asks it, for no longer than it may: see `time_left`.

    One that never waits for an event loop is returned as it is.
    """
    if getattr(store, "never_waits", False):
        return store
    return _BlockingPlacedStore(store) if isinstance(store, PlacedStore) else _BlockingStore(store)


class _LoopThread:
    """A thread with an event loop. It begins at the first use in a process, so after a fork there is another one."""

    def __init__(self) -> None:
        self._beginning = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inherited: Final[list[asyncio.AbstractEventLoop]] = []
        """Never collected: whoever closes an inherited loop takes its sockets from the parent's selector."""

    def run(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what comes of a coroutine, which the loop runs.

        Raises:
            StoreUnavailableError: it took longer than it may, or no thread begins here.
            Exception: what it raises.
        """
        loop, seconds = self._loop or self._begun(), time_left()
        future = asyncio.run_coroutine_threadsafe(ask(), loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            raise StoreUnavailableError("the session store took longer than SESSION_STORE_TIMEOUT") from None
        finally:
            future.cancel()  # if it still runs, nobody waits for it any more

    def leave_to_parent(self) -> None:
        """Take note that the process is a fork of the one that has begun the thread."""
        self._beginning = threading.Lock()
        if self._loop is not None:
            self._inherited.append(self._loop)
            self._loop = None

    def _begun(self) -> asyncio.AbstractEventLoop:
        with self._beginning:
            if self._loop is None:
                running = Future[asyncio.AbstractEventLoop]()
                threading.Thread(target=_run_loop, args=(running,), name="sessions-loop", daemon=True).start()
                try:
                    self._loop = running.result(_PATIENCE)
                except TimeoutError:
                    raise StoreUnavailableError("no other thread runs here: uWSGI needs --enable-threads") from None
            return self._loop


def _run_loop(running: Future[asyncio.AbstractEventLoop]) -> None:
    """Run an event loop for as long as the process lives, and give it out when it runs."""
    loop = asyncio.new_event_loop()
    loop.call_soon(running.set_result, loop)
    loop.run_forever()


_thread: Final = _LoopThread()

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_thread.leave_to_parent)


class _BlockingStore:
    """A store that is asked in the event loop of the thread that has one.

    Args:
        store: what is asked.
    """

    never_waits: Final = True

    def __init__(self, store: SessionStore) -> None:
        self._store: Final = store

    async def create(self, key: str, write: WriteRequest) -> Created:
        return _thread.run(lambda: self._store.create(key, write))

    async def load(self, key: str) -> Found:
        return _thread.run(lambda: self._store.load(key))

    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        return _thread.run(lambda: self._store.update(key, version, write, move_to=move_to))

    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        return _thread.run(lambda: self._store.touch(key, lifetime))

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        return _thread.run(lambda: self._store.delete(key, version=version))

    async def delete_expired(self, limit: int = 1000) -> int:
        return _thread.run(lambda: self._store.delete_expired(limit))

    async def ids_of(self, subject: str) -> Sequence[Listed]:
        return _thread.run(lambda: self._store.ids_of(subject))

    async def delete_subject(self, subject: str, *, spare: str | None = None) -> datetime:
        return _thread.run(lambda: self._store.delete_subject(subject, spare=spare))

    async def now(self) -> datetime:
        return _thread.run(self._store.now)

    async def close(self) -> None:
        """Have the store give back what it holds in that loop."""
        _thread.run(self._store.close)


class _BlockingPlacedStore(_BlockingStore):
    """The same of one that keeps the records of a subject together."""

    def __init__(self, store: PlacedStore) -> None:
        super().__init__(store)
        self._placed: Final = store
        self.place_of: Final = store.place_of

    @override
    async def now(self, subject: str | None = None) -> datetime:
        return _thread.run(lambda: self._placed.now(subject))
