"""`Worker`: a thread with a connection of its own, which takes all that waits into one transaction."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, Generic, TypeAlias, TypeVar
from weakref import WeakSet

from attrs import frozen

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores.base import time_left
from typed_sessions.stores.sqlite.file import FileConnection, transaction

__all__ = ["Work", "Worker"]

T = TypeVar("T")

Work: TypeAlias = Callable[[sqlite3.Connection], T]
"""Asks or changes something, in a transaction that is there already."""

_MOST_AT_ONCE: Final = 256


@frozen(eq=False)
class _Job(Generic[T]):
    work: Work[T]
    future: asyncio.Future[T] | Future[T]
    """The one of a thread that blocks is not asyncio's."""


@frozen(eq=False)
class _Done:
    """What came of a job."""

    future: asyncio.Future[Any] | Future[Any]
    value: object = None
    error: Exception | None = None

    def deliver(self) -> None:
        """Give it to who waits for it, if anybody still does."""
        with suppress(InvalidStateError, asyncio.InvalidStateError):
            if self.error is None:
                self.future.set_result(self.value)
            else:
                self.future.set_exception(self.error)


_Queue: TypeAlias = "SimpleQueue[_Job[Any] | None]"
"""None ends the thread."""


class _WorkError(Exception):
    """The work of one job has raised an error.

    Attributes:
        error: that one.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _MixedError(OSError):
    """Only some of the files were replaced. As long as the former ones are open, the inodes tell them from others."""


class Worker:
    """Does what it is asked, in the order in which it was asked.

    All jobs that wait are done in one transaction, and answered once that is committed: the more there are, the less
    each of them costs. One that raises costs the others nothing but time: they are done again, each on its own.

    The thread starts when there is something to do. It ends before the process forks, since no connection may be open
    and no lock be held then (https://www.sqlite.org/howtocorrupt.html, section 2.6), and starts again on either side.

    Args:
        name: of the thread.
        connect: opens a connection, in the thread. It is opened anew when its file is not what others find any more.
        begin: the statement that begins a transaction.
    """

    def __init__(self, name: str, connect: Callable[[], FileConnection], begin: str) -> None:
        self._name: Final = name
        self._connect: Final = connect
        self._begin: Final = begin
        self._queue: _Queue | None = None
        """Of the thread that is running."""
        self._threads: Final[set[Thread]] = set()
        """That one, and those that are about to end."""
        self._lock: Final = Lock()
        """Held while a thread is started or told to end."""
        _workers.add(self)

    async def do(self, work: Work[T]) -> T:
        """Return what the work returns, when that is committed, or raise what it raises.

        Raises:
            StoreUnavailableError: SQLite, or the system, could not do it.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(_Job(work, future))
        return await future

    def wait(self, work: Work[T]) -> T:
        """Do the same for a thread, which blocks meanwhile, for no longer than it may. Raises what `do` raises."""
        future, seconds = Future[T](), time_left()
        self._put(_Job(work, future))
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
        raise StoreUnavailableError("SQLite took longer than SESSION_STORE_TIMEOUT")

    async def close(self) -> None:
        """Let the thread finish what waits, and end."""
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """Do the same, and block meanwhile."""
        with self._lock:
            self._stop()
            threads = set(self._threads)
        for thread in threads:
            thread.join()
        self._threads.difference_update(threads)

    def pause(self) -> None:
        """End the thread, and keep another one from being started until `resume`."""
        self._lock.acquire()
        self._stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def resume(self) -> None:
        """Let a thread be started again."""
        self._lock.release()

    def _put(self, job: _Job[Any]) -> None:
        with self._lock:
            (self._queue or self._start()).put(job)

    def _start(self) -> _Queue:
        self._queue = SimpleQueue()
        thread = Thread(target=self._run, args=(self._queue,), name=self._name, daemon=True)
        self._threads.add(thread)
        thread.start()
        return self._queue

    def _stop(self) -> None:
        if self._queue is not None:
            self._queue.put(None)
            self._queue = None

    def _run(self, queue: _Queue) -> None:
        connecting = _Connecting(self._connect)
        is_last = False
        while not is_last:
            jobs, is_last = _waiting(queue)
            _deliver(self._done(connecting, jobs))
        connecting.close()

    def _done(self, connecting: _Connecting, jobs: list[_Job[Any]]) -> list[_Done]:
        """Return what came of jobs, which nobody has got yet."""
        jobs = [job for job in jobs if not job.future.cancelled()]
        if not jobs:
            return []
        try:
            connection = connecting.connection()
            with transaction(connection, self._begin):
                done = [_Done(job.future, _result(job, connection)) for job in jobs]
            if not connection.is_current():
                raise FileNotFoundError("the file of the sessions was deleted or replaced meanwhile")  # noqa: TRY301
            return done  # noqa: TRY300 -- what is acknowledged is where others find it
        except _WorkError as error:
            if len(jobs) > 1:
                return [done for job in jobs for done in self._done(connecting, [job])]
            return self._failed(connecting, jobs, error.error)
        except Exception as error:  # noqa: BLE001 -- who waits has to hear of it, whatever it is
            return self._failed(connecting, jobs, error)

    def _failed(self, connecting: _Connecting, jobs: list[_Job[Any]], error: Exception) -> list[_Done]:
        if isinstance(error, sqlite3.Error | OSError) and not isinstance(error, _MixedError):
            connecting.close()  # the next one finds the file as it is then
        return [_Done(job.future, error=_as_raised(error)) for job in jobs]


class _Connecting:
    """The connection of a thread, while there is one."""

    def __init__(self, connect: Callable[[], FileConnection]) -> None:
        self._connect: Final = connect
        self._connection: FileConnection | None = None

    def connection(self) -> FileConnection:
        if self._connection is not None and not self._connection.is_current():
            if self._connection.is_mixed():
                raise _MixedError("the file of the sessions, its -wal and its -shm were not replaced together")
            self.close()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _waiting(queue: _Queue) -> tuple[list[_Job[Any]], bool]:
    """Return the jobs that wait, at least one, and whether they are the last ones."""
    jobs = list[_Job[Any]]()
    with suppress(Empty):
        while len(jobs) < _MOST_AT_ONCE:
            job = queue.get(block=not jobs)
            if job is None:
                return jobs, True
            jobs.append(job)
    return jobs, False


def _result(job: _Job[Any], connection: sqlite3.Connection) -> object:
    try:
        return job.work(connection)
    except Exception as error:
        raise _WorkError(error) from error


def _as_raised(error: Exception) -> Exception:
    """Return what a caller gets to see of an error: one of its own, since each adds to it where it has been."""
    if isinstance(error, sqlite3.Error | OSError):
        unavailable = StoreUnavailableError("SQLite cannot read or write the sessions")
        unavailable.__cause__ = error
        return unavailable
    return error


def _deliver(done: Iterable[_Done]) -> None:
    """Give all who wait what they wait for, waking each event loop once."""
    loops = defaultdict[asyncio.AbstractEventLoop, list[_Done]](list)
    for one in done:
        if isinstance(one.future, Future):
            one.deliver()
        else:
            loops[one.future.get_loop()].append(one)
    for loop, its in loops.items():
        with suppress(RuntimeError):  # it was closed: nobody waits
            loop.call_soon_threadsafe(_deliver_all, its)


def _deliver_all(done: list[_Done]) -> None:
    for one in done:
        one.deliver()


_workers: Final[WeakSet[Worker]] = WeakSet()
_paused: Final[list[Worker]] = []


def _pause_all() -> None:
    _paused.extend(_workers)
    for worker in _paused:
        worker.pause()


def _resume_all() -> None:
    for worker in _paused:
        worker.resume()
    _paused.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_pause_all, after_in_parent=_resume_all, after_in_child=_resume_all)
