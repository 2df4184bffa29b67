"""Stores that wait for an event loop, asked by threads that have none."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from typing_extensions import override

from typed_sessions import StoreUnavailableError
from typed_sessions.server import THREAD
from typed_sessions.stores import Found, Lifetime, MemoryStore, PlacedStore, Record, SessionStore, WriteRequest
from typed_sessions.stores.base import no_longer_than
from typed_sessions.stores.blocking import _LoopThread, blocking

T = TypeVar("T")

KEY = "0" * 64
WRITE = WriteRequest(b"payload", Lifetime(timedelta(days=1)))


class Waiting(MemoryStore):
    """A store that waits for an event loop.

    Attributes:
        loops: those that have asked it to load.
        seconds: how long it takes.
        cancelled: whether it was told to stop meanwhile.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        setattr(self, "never_waits", False)  # noqa: B010 -- of the class, it is final
        self.loops = set[asyncio.AbstractEventLoop]()
        self.seconds = seconds
        self.cancelled = threading.Event()

    @override
    async def load(self, key: str) -> Found:
        self.loops.add(asyncio.get_running_loop())
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return await super().load(key)


class Placed(Waiting):
    def place_of(self, subject: str) -> str:
        return f"{len(subject):04x}"


def run(call: Coroutine[Any, Any, T]) -> T:
    return THREAD.run(call, None)


def test_one_that_never_waits_stays_as_it_is() -> None:
    store = MemoryStore()
    assert blocking(store) is store


def test_it_is_asked_in_one_loop_by_all_threads() -> None:
    store = Waiting()
    blocked = blocking(store)
    assert isinstance(run(blocked.create(KEY, WRITE)), Record)
    with ThreadPoolExecutor(4) as threads:
        assert all(isinstance(each, Record) for each in threads.map(lambda _: run(blocked.load(KEY)), range(20)))
    assert isinstance(run(blocking(store).load(KEY)), Record)
    assert len(store.loops) == 1


async def test_who_has_an_event_loop_may_block_all_the_same() -> None:
    """As an async view of Flask does."""
    assert run(blocking(Waiting()).load(KEY)) is None


def test_what_it_was_asked_for_is_broken_off_when_there_is_no_time_left() -> None:
    store = Waiting(seconds=60)
    with no_longer_than(0.02), pytest.raises(StoreUnavailableError, match="SESSION_STORE_TIMEOUT"):
        run(blocking(store).load(KEY))
    assert store.cancelled.wait(5)


def test_it_is_not_asked_at_all_when_there_is_no_time_left() -> None:
    store = Waiting()
    with no_longer_than(-1), pytest.raises(StoreUnavailableError):
        run(blocking(store).load(KEY))
    assert store.loops == set()
    gc.collect()  # nor is there anything that was never awaited


def test_what_it_raises_is_raised() -> None:
    class Broken(Waiting):
        @override
        async def load(self, key: str) -> Found:
            raise ZeroDivisionError(key)

    with pytest.raises(ZeroDivisionError):
        run(blocking(Broken()).load(KEY))


def test_the_places_of_its_subjects_are_known() -> None:
    blocked = blocking(Placed())
    assert isinstance(blocked, PlacedStore)
    assert blocked.place_of("four") == "0004"
    assert run(blocked.now("four")) <= run(blocked.now())
    assert not isinstance(blocking(Waiting()), PlacedStore)
    assert isinstance(blocking(Waiting()), SessionStore)


def test_where_no_thread_runs_it_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in uWSGI, unless it is told to."""
    monkeypatch.setattr("typed_sessions.stores.blocking._PATIENCE", 0.01)
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    monkeypatch.setattr("typed_sessions.stores.blocking._thread", _LoopThread())
    with pytest.raises(StoreUnavailableError, match="enable-threads"):
        run(blocking(Waiting()).load(KEY))


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="no process forks here")
def test_a_fork_leaves_the_loop_to_its_parent_and_has_one_of_its_own() -> None:
    thread = _LoopThread()

    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    parents = thread.run(running)
    thread.leave_to_parent()
    children = thread.run(running)
    assert children is not parents
    assert not parents.is_closed()
    assert thread.run(running) is children
