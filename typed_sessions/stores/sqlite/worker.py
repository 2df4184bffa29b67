"""`Worker`: does what is asked of it, all that waits in one transaction, in one of the threads that wait."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast
from weakref import WeakSet

from attrs import Factory, define

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores.base import time_left
from typed_sessions.stores.sqlite.file import FileConnection, SQLiteFile, transaction

__all__ = ["Work", "Worker"]

T = TypeVar("T")

Work: TypeAlias = Callable[[sqlite3.Connection], T]
"""Asks or changes something, in a transaction that is there already."""

_Queue: TypeAlias = "SimpleQueue[Callable[[], None] | None]"
"""None ends the thread."""

_MOST_AT_ONCE: Final = 256

_PAUSE: Final = 0.001
"""In seconds, between two attempts at what another process keeps locked. SQLite itself would look less and less often,
and find a file that is busy locked each time."""

_PRIMARY: Final = 0xFF
"""The part of an error's code that says what kind of error it is."""


def _alone(_: sqlite3.Connection) -> None:
    """Ask for nothing but to lead, while nothing is open."""


def _held() -> Lock:
    lock = Lock()
    lock.acquire()
    return lock


@define(eq=False, repr=False, weakref_slot=False)
class _Job(Generic[T]):
    """What is asked, and what has come of it."""

    work: Work[T]
    until: float
    """How long it may wait for another process, by this machine's monotonic clock."""
    future: asyncio.Future[T] | None = None
    """None if a thread waits for it."""
    turn: Lock = Factory(_held)
    """Released when it is that thread's turn to lead, or when it has been done."""
    is_committed: bool = False
    value: T | None = None
    error: Exception | None = None

    def result(self) -> T:
        """Return what the work has returned, or raise what it has raised."""
        if self.is_committed:
            return cast("T", self.value)
        raise self.error or StoreUnavailableError("SQLite was interrupted")

    def tell(self) -> None:
        """Give that to the future, if anybody still waits for it."""
        if self.future is None or self.future.done():
            return
        try:
            self.future.set_result(self.result())
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is not raised here
            self.future.set_exception(error)


class Worker:
    """Does what it is asked, in the order in which it was asked.

    All jobs that wait are done in one transaction, and answered once that is committed: the more there are, the less
    each of them costs. One that raises costs the others nothing but time: they are done again, each on its own.

    Whoever has waited longest *leads*: opens the transaction, does its own job, and those of all others. So a thread
    that is alone hands nothing to another one. For event loops a thread leads, which starts when there is something to
    do.

    Before the process forks the thread ends, and the connection is closed: no lock may be held then
    (https://www.sqlite.org/howtocorrupt.html, section 2.6). They begin again on either side.

    Args:
        file: what is read or written. It is opened anew when it is not what others find any more.
        read_only: whether the jobs change nothing.
    """

    def __init__(self, file: SQLiteFile, *, read_only: bool) -> None:
        self._file: Final = file
        self._read_only: Final = read_only
        self._connection: FileConnection | None = None
        """For the leader only."""
        self._waiting: Final = deque[_Job[Any]]()
        self._leader: _Job[Any] | None = None
        """The first one of them, until it has been done."""
        self._calls: _Queue | None = None
        """What the thread is to call."""
        self._thread: Thread | None = None
        self._lock: Final = Lock()
        """Held while any of these four changes."""
        _workers.add(self)

    async def do(self, work: Work[T]) -> T:
        """Return what the work returns, when that is committed, or raise what it raises.

        Raises:
            StoreUnavailableError: SQLite, or the system, could not do it.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(_Job(work, self._patience(None), future))
        return await future

    def wait(self, work: Work[T]) -> T:
        """Do the same for a thread, which blocks meanwhile. Raises what `do` raises.

        It blocks for no longer than it may, but for a disk that does not answer the thread that leads.
        """
        seconds = time_left()
        job = _Job(work, self._patience(seconds))
        try:
            self._await_turn(job, seconds)
            if self._leader is job:
                self._lead()
        except BaseException:
            self._leave(job)
            raise
        return job.result()

    def end(self) -> None:
        """Close the connection, and end the thread, when all that waits has been done."""
        self._rest()
        self._pass_on()

    def pause(self) -> None:
        """Do the same, and let all others wait until `resume`."""
        self._rest()
        self._lock.acquire()

    def resume(self, *, is_fork: bool) -> None:
        """Let others go on. In a fork there are none."""
        if is_fork:
            self._waiting.clear()
        self._lock.release()
        self._pass_on()

    def _patience(self, seconds: float | None) -> float:
        busy = self._file.busy_timeout.total_seconds()
        return time.monotonic() + (busy if seconds is None else min(busy, seconds))

    def _put(self, job: _Job[Any]) -> None:
        with self._lock:
            self._waiting.append(job)
            if self._leader is None:
                self._appoint()

    def _appoint(self) -> None:
        """Have the first one that waits lead, if there is any."""
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader is None:
            return
        if self._leader.future is None:
            self._leader.turn.release()
        else:
            (self._calls or self._start()).put(self._lead)

    def _await_turn(self, job: _Job[Any], seconds: float | None) -> None:
        """Block until a job is to lead, or has been done."""
        self._put(job)
        if not job.turn.acquire(timeout=-1 if seconds is None else seconds):
            raise StoreUnavailableError("SQLite took longer than SESSION_STORE_TIMEOUT")

    def _leave(self, job: _Job[Any]) -> None:
        """Take a job back, unless it is being done."""
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
            if self._leader is job:
                self._appoint()

    def _pass_on(self) -> None:
        with self._lock:
            self._appoint()

    def _rest(self) -> None:
        """Lead, with nothing open and no thread, until another one is appointed."""
        job = _Job(_alone, until=0.0)
        try:
            self._await_turn(job, None)
        except BaseException:
            self._leave(job)
            raise
        self._disconnect()
        with self._lock:
            self._waiting.popleft()
            if self._calls is not None:
                self._calls.put(None)
            thread, self._thread, self._calls = self._thread, None, None
        if thread is not None:
            thread.join()

    def _start(self) -> _Queue:
        self._calls = SimpleQueue()
        name = "sessions-reader" if self._read_only else "sessions-writer"
        self._thread = Thread(target=_run, args=(self._calls,), name=name, daemon=True)
        self._thread.start()
        return self._calls

    def _lead(self) -> None:
        """Do all that waits, tell who waits for it, and let the next one lead."""
        jobs = list[_Job[Any]]()
        try:
            self._do(jobs, self._waiting[0].until)
        finally:
            self._pass_on()
            _deliver(jobs)

    def _do(self, jobs: list[_Job[Any]], until: float) -> None:
        """Do jobs; if there are none in the list, all that wait when the file is the leader's, which then are in it."""
        try:
            values = self._values(jobs, until)
        except Exception as error:  # noqa: BLE001 -- who waits has to hear of it, whatever it is
            jobs.extend([] if jobs else self._taken(1))
            if len(jobs) == 1:
                jobs[0].error = self._as_raised(error)
            else:
                for job in jobs:
                    self._do([job], job.until)
        else:
            for job, value in zip(jobs, values, strict=True):
                job.value, job.is_committed = value, True

    def _values(self, jobs: list[_Job[Any]], until: float) -> list[object]:
        while True:
            try:
                return self._read(jobs) if self._read_only else self._written(jobs)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
            time.sleep(_PAUSE)

    def _read(self, jobs: list[_Job[Any]]) -> list[object]:
        jobs.extend([] if jobs else self._taken(_MOST_AT_ONCE))  # whoever asks later may know of another file
        connection = self._connected()
        return [job.work(connection) for job in jobs]  # one statement each, and so a transaction each

    def _written(self, jobs: list[_Job[Any]]) -> list[object]:
        connection = self._connected()
        with transaction(connection, "BEGIN IMMEDIATE"):
            jobs.extend([] if jobs else self._taken(_MOST_AT_ONCE))
            values = [job.work(connection) for job in jobs]
        if not connection.is_current():
            raise FileNotFoundError("the file of the sessions was deleted or replaced meanwhile")
        return values  # what is acknowledged is where others find it

    def _taken(self, most: int) -> list[_Job[Any]]:
        """Return so many of the jobs that wait, which wait no longer, without those that nobody wants any more."""
        jobs = list[_Job[Any]]()
        with self._lock:
            while self._waiting and self._waiting[0].work is not _alone and len(jobs) < most:
                jobs.append(self._waiting.popleft())
        return [job for job in jobs if job.future is None or not job.future.cancelled()]

    def _connected(self) -> FileConnection:
        if self._connection is not None and not self._connection.is_current():
            if self._connection.is_mixed():
                raise OSError("the file of the sessions, its -wal and its -shm were not replaced together")
            self._disconnect()
        if self._connection is None:
            self._connection = self._file.connect(read_only=self._read_only)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _as_raised(self, error: Exception) -> Exception:
        """Return what a caller gets to see of an error."""
        if not isinstance(error, sqlite3.Error | OSError):
            return error
        if self._connection is not None and not self._connection.is_mixed():
            self._disconnect()  # as long as the former files are open, their inodes tell them from others
        unavailable = StoreUnavailableError("SQLite cannot read or write the sessions")
        unavailable.__cause__ = error
        return unavailable


def _run(calls: _Queue) -> None:
    for call in iter(calls.get, None):
        call()


def _deliver(jobs: list[_Job[Any]]) -> None:
    """Tell all who wait, waking each event loop once."""
    loops = defaultdict[asyncio.AbstractEventLoop, list[_Job[Any]]](list)
    for job in jobs:
        if job.future is None:
            job.turn.release()
        else:
            loops[job.future.get_loop()].append(job)
    for loop, its in loops.items():
        with suppress(RuntimeError):  # it was closed: nobody waits
            loop.call_soon_threadsafe(_tell, its)


def _tell(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        job.tell()


_workers: Final[WeakSet[Worker]] = WeakSet()
_paused: Final[list[Worker]] = []
_forking: Final = Lock()


def _pause_all() -> None:
    _forking.acquire()
    for worker in list(_workers):
        worker.pause()
        _paused.append(worker)


def _resume_all(*, is_fork: bool) -> None:
    for worker in _paused:
        worker.resume(is_fork=is_fork)
    _paused.clear()
    _forking.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_pause_all,
        after_in_parent=partial(_resume_all, is_fork=False),
        after_in_child=partial(_resume_all, is_fork=True),
    )
