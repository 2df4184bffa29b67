"""What the SQLite store does besides what every store does: files, forks, and failures."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import ANY

import pytest
from attrs import evolve

from typed_sessions import ConfigurationError
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.server import THREAD
from typed_sessions.stores import Created, Lifetime, Moved, Record, SQLiteStore, WriteRequest, open_store
from typed_sessions.stores.base import no_longer_than
from typed_sessions.stores.sqlite.file import FileConnection, SQLiteFile
from typed_sessions.stores.sqlite.worker import Worker

T = TypeVar("T")

HOUR = timedelta(hours=1)
KEY = "ab" * 32
ANOTHER_KEY = "cd" * 32
AT_ONCE = timedelta(milliseconds=50)

FORMER_FILE = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE records (
        key TEXT PRIMARY KEY NOT NULL,
        payload BLOB NOT NULL,
        version INTEGER NOT NULL,
        created INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        subject TEXT
    );
    CREATE INDEX records_by_end ON records (expires_at);
    CREATE INDEX records_by_subject ON records (subject) WHERE subject IS NOT NULL;
    CREATE TABLE revocations (subject TEXT PRIMARY KEY NOT NULL, revoked INTEGER NOT NULL) WITHOUT ROWID;
    PRAGMA application_id = 1954116453;
    PRAGMA user_version = 1;
"""
"""That of the first release."""

FORMER_CREATE = """
    INSERT INTO records (key, payload, version, created, last_seen, expires_at, subject)
    VALUES (?, x'00', 1, unixepoch() * 1000000, unixepoch() * 1000000, unixepoch() * 1000000 + 3600000000, '7')
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@asynccontextmanager
async def opened(path: Path, busy_timeout: timedelta = AT_ONCE) -> AsyncGenerator[SQLiteStore, None]:
    store = SQLiteStore(path, busy_timeout=busy_timeout)
    yield store
    await store.close()


async def create(store: SQLiteStore, key: str = KEY, payload: bytes = b"payload") -> Record:
    record = await store.create(key, WriteRequest(payload, Lifetime(HOUR)))
    assert isinstance(record, Record)
    return record


@contextmanager
def written_by_another(path: Path) -> Generator[sqlite3.Connection, None, None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def workers() -> list[str]:
    """Return the names of the threads of stores: the loop for other stores stays as long as the process."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("sessions-") and name != "sessions-loop"]


async def test_records_are_there_when_a_store_opens_the_file_again(path: Path) -> None:
    async with opened(path) as store:
        record = await create(store)
    async with opened(path) as store:
        loaded = await store.load(KEY)
        assert isinstance(loaded, Record)
        assert loaded.payload == record.payload


async def test_only_the_owner_may_read_the_files(path: Path) -> None:
    async with opened(path) as store:
        await create(store)
        files = list(path.parent.iterdir())
        assert {file.name for file in files} == {"sessions.db", "sessions.db-wal", "sessions.db-shm"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_the_mode_of_a_file_that_is_there_stays(path: Path) -> None:
    path.touch(mode=0o640)
    path.chmod(0o640)
    async with opened(path) as store:
        await create(store)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_symbolic_link_that_leads_to_nothing_yet_makes_a_file_of_its_owner(tmp_path: Path, path: Path) -> None:
    elsewhere = tmp_path / "volume"
    elsewhere.mkdir()
    path.symlink_to(elsewhere / "real.db")
    async with opened(path) as store:
        await create(store)
        files = list(elsewhere.iterdir())
        assert {file.name for file in files} == {"real.db", "real.db-wal", "real.db-shm"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert [file.name for file in tmp_path.iterdir() if file.name.startswith("sessions.db")] == ["sessions.db"]


async def test_a_symbolic_link_that_changes_moves_no_sessions(tmp_path: Path, path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    path.symlink_to(first)
    async with opened(path) as store:
        await create(store)
        path.unlink()
        path.symlink_to(second)
        assert await store.load(KEY)
    assert not second.exists()


@pytest.mark.parametrize(
    "target", ["nowhere/real.db", "sessions.db", "."], ids=["no directory", "a circle", "a directory"]
)
def test_a_symbolic_link_that_leads_to_no_file_is_refused(path: Path, target: str) -> None:
    path.symlink_to(target)
    with pytest.raises(ConfigurationError, match="SQLiteStore needs the path of a file"):
        SQLiteStore(path)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, make_directory, make_socket])
@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_what_is_no_file_is_refused(path: Path, make: Callable[[Path], None], end: str) -> None:
    make(path.with_name(path.name + end))
    with pytest.raises(ConfigurationError, match="something else"):
        SQLiteStore(path)


def give_to_another_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can give something away; for anybody else, the process becomes another user's."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_a_file_of_another_user_is_refused(path: Path, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = path.with_name(path.name + end)
    planted.touch(mode=0o600)
    give_to_another_user(planted, monkeypatch)
    with pytest.raises(ConfigurationError, match=f"{planted} belongs to another user"):
        SQLiteStore(path)


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_a_file_that_everybody_may_write_is_refused(path: Path, end: str) -> None:
    planted = path.with_name(path.name + end)
    planted.touch()
    planted.chmod(0o602)
    with pytest.raises(ConfigurationError, match=f"everybody may write to {planted}"):
        SQLiteStore(path)


@pytest.mark.parametrize("is_link", [False, True], ids=["the file", "a link to it"])
def test_a_directory_in_which_everybody_may_replace_the_file_is_refused(tmp_path: Path, is_link: bool) -> None:
    shared = tmp_path / "shared"
    path = shared / "app" / "sessions.db"
    path.parent.mkdir(parents=True)
    shared.chmod(0o777)
    if is_link:
        path.symlink_to(tmp_path / "real.db")
    with pytest.raises(ConfigurationError, match=f"chmod o-w {shared}"):
        SQLiteStore(path)


async def test_a_directory_of_another_user_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir()
    give_to_another_user(directory, monkeypatch)
    SQLiteStore(directory / "sessions.db")
    assert [record.getMessage() for record in caplog.records] == [
        f"another user, who owns its directory, may put another file in the place of {directory / 'sessions.db'}"
    ]


@pytest.mark.parametrize(
    ("directory", "mode", "warning"),
    [
        pytest.param(0o700, 0o644, "everybody may read {path}: chmod o-r {path}", id="all may read the file"),
        pytest.param(0o700, 0o660, "its group may write to {path}: chmod g-w {path}", id="its group may write"),
        pytest.param(
            0o1777,
            0o600,
            "everybody may put files beside {path}: give it a directory of its own",
            id="a directory that all may use",
        ),
        pytest.param(0o755, 0o640, None, id="its group may read"),
        pytest.param(0o775, 0o600, None, id="a directory of its group"),
    ],
)
async def test_what_others_may_do_is_warned_of_once(
    tmp_path: Path, directory: int, mode: int, warning: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sessions" / "sessions.db"
    path.parent.mkdir()
    path.touch()
    path.chmod(mode)
    path.parent.chmod(directory)
    async with opened(path) as store:
        await create(store)
        assert await store.load(KEY)
    assert [record.getMessage() for record in caplog.records] == ([warning.format(path=path)] if warning else [])
    assert {(record.name, record.levelname) for record in caplog.records} <= {("typed_sessions", "WARNING")}


@pytest.mark.parametrize("mode", [0o602, None], ids=["a file", "a link"])
async def test_what_somebody_else_makes_at_the_same_moment_is_looked_at(
    path: Path, mode: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that is being made is linked to its name, unless somebody was faster."""
    link = os.link

    def link_too_late(made: str, name: Path) -> None:
        if mode is None:
            name.symlink_to(path.with_name("elsewhere.db"))
        else:
            name.touch()
            name.chmod(mode)
        link(made, name)

    async with opened(path) as store:
        monkeypatch.setattr(os, "link", link_too_late)
        with pytest.raises(ConfigurationError):
            await create(store)
    assert [file.name for file in path.parent.iterdir()] == ["sessions.db"]


async def test_sqlite_itself_makes_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is deleted right after it was made would come back as a file that all may read."""
    async with opened(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "link", lambda *_: None)
            with pytest.raises(StoreUnavailableError):
                await create(store)
        assert not path.exists()
        await create(store)


async def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    path = tmp_path / "50% of? #é.db"
    async with opened(path) as store:
        await create(store)
    assert path.exists()


async def test_a_url_names_the_file(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    assert await store.load(KEY) is None
    await store.close()
    assert path.exists()


def test_nothing_happens_before_the_first_use(path: Path) -> None:
    SQLiteStore(path)
    assert not path.exists()
    assert not workers()


async def test_its_time_is_the_systems_by_default(path: Path) -> None:
    before = datetime.fromtimestamp(time.time() - 1, UTC)
    async with opened(path) as store:
        assert before < (await create(store)).created < before + timedelta(minutes=1)


def test_a_store_that_blocks_needs_no_event_loop(path: Path) -> None:
    store = open_store(f"sqlite:///{path}", blocking=True)
    assert isinstance(store, SQLiteStore)
    assert store.never_waits
    with ThreadPoolExecutor(8) as threads:
        keys = [f"{number:064x}" for number in range(40)]
        made = list(threads.map(lambda key: THREAD.run(create(store, key), store), keys))
        assert list(threads.map(lambda key: THREAD.run(store.load(key), store), keys)) == [
            evolve(record, as_of=ANY) for record in made
        ]
    THREAD.run(store.close(), store)
    assert not workers()


def test_a_thread_waits_for_no_longer_than_it_may(path: Path) -> None:
    store = SQLiteStore(path, busy_timeout=timedelta(seconds=30), blocking=True)
    THREAD.run(create(store), store)
    with written_by_another(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        for call in (store.delete(KEY), store.delete(KEY)):
            with no_longer_than(0.05), pytest.raises(StoreUnavailableError):
                THREAD.run(call, store)
        assert 0.1 <= time.monotonic() - start < 5
        connection.execute("ROLLBACK")
    assert THREAD.run(store.load(KEY), store) is not None  # neither took place
    THREAD.run(store.close(), store)


async def test_a_closed_store_has_no_threads(path: Path) -> None:
    async with opened(path) as store:
        await create(store)
        await store.load(KEY)
        assert sorted(workers()) == ["sessions-reader", "sessions-writer"]
    assert not workers()


@pytest.mark.parametrize("path", [":memory:", "nowhere/sessions.db", "."])
def test_a_path_that_cannot_be_a_file_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="SQLiteStore needs"):
        SQLiteStore(path)


async def test_a_file_of_a_later_release_is_left_alone(path: Path) -> None:
    async with opened(path) as store:
        await create(store)
    with written_by_another(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    async with opened(path) as store:
        with pytest.raises(ConfigurationError, match="later release of typed_sessions: it has version 99"):
            await store.load(KEY)
        with pytest.raises(ConfigurationError, match="later release"):
            await store.delete(KEY)
    assert path.read_bytes() == before


@pytest.mark.parametrize("statement", ["CREATE TABLE t (c)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"])
async def test_the_database_of_something_else_is_left_alone(path: Path, statement: str) -> None:
    with written_by_another(path) as connection:
        connection.execute(statement)
    before = path.read_bytes()
    async with opened(path) as store:
        with pytest.raises(ConfigurationError, match="the database of something else"):
            await create(store)
    assert path.read_bytes() == before


async def test_a_file_of_the_first_release_is_brought_up_to_date(path: Path) -> None:
    with written_by_another(path) as former:
        former.executescript(FORMER_FILE)
        former.execute(FORMER_CREATE, (KEY,))
        former.execute("INSERT INTO revocations VALUES ('7', unixepoch() * 1000000 + 1000000)")
        async with opened(path) as store:
            assert await store.load(KEY) is None
            assert await store.ids_of("7") == []
            written = WriteRequest(b"", Lifetime(HOUR), "7", await store.now(), device="a phone")
            record = await store.create(ANOTHER_KEY, written)
            assert isinstance(record, Record)
            assert record.issued == record.created
            moved = await store.update(ANOTHER_KEY, record.version, written, move_to=KEY)
            assert isinstance(moved, Record)
            assert await store.load(ANOTHER_KEY) == Moved(KEY, moved.issued, as_of=ANY)
            assert [(listed.key, listed.device) for listed in await store.ids_of("7")] == [(KEY, "a phone")]
        former.execute(FORMER_CREATE, ("ef" * 32,))  # by a process that goes on until it is replaced, too
        assert former.execute("PRAGMA user_version").fetchone() == (2,)


async def test_what_is_locked_for_too_long_is_unavailable_until_it_is_not(path: Path) -> None:
    async with opened(path) as store:
        await create(store)
        with written_by_another(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(*(store.delete(KEY) for _ in range(20)), return_exceptions=True)
            assert {type(answer) for answer in answers} == {StoreUnavailableError}
            assert isinstance(answers[0], StoreUnavailableError)
            assert isinstance(answers[0].__cause__, sqlite3.OperationalError)
            assert await store.load(KEY)
            connection.execute("ROLLBACK")
        assert await store.delete(KEY)


async def test_a_write_waits_for_another_process(path: Path) -> None:
    async with opened(path, timedelta(seconds=30)) as store:
        await create(store)
        with written_by_another(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            delete = asyncio.create_task(store.delete(KEY))
            assert await store.load(KEY)
            connection.execute("COMMIT")
        assert await delete


async def test_what_is_no_database_is_unavailable_until_it_is_one(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)
    async with opened(path) as store:
        for call in (store.load(KEY), store.delete(KEY)):
            with pytest.raises(StoreUnavailableError) as caught:
                await call
            assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
        path.unlink()
        await create(store)
        assert await store.load(KEY)


async def test_a_file_that_cannot_be_made_is_unavailable_until_it_can(tmp_path: Path) -> None:
    directory = tmp_path / "volume"
    directory.mkdir()
    async with opened(directory / "sessions.db") as store:
        directory.rmdir()
        with pytest.raises(StoreUnavailableError) as caught:
            await store.load(KEY)
        assert isinstance(caught.value.__cause__, FileNotFoundError)
        directory.mkdir()
        await create(store)


@contextmanager
def no_file_longer_than(size: int) -> Generator[None, None, None]:
    """Let the disk be full for this process. Python ignores the signal, so that a write gets an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_unavailable_until_there_is_room(path: Path) -> None:
    async with opened(path) as store:
        await create(store)
        with no_file_longer_than(200_000):
            with pytest.raises(StoreUnavailableError) as caught:
                await create(store, ANOTHER_KEY, bytes(300_000))
            assert isinstance(caught.value.__cause__, sqlite3.Error)
            assert await store.load(KEY)
            assert await store.load(ANOTHER_KEY) is None
        await create(store, ANOTHER_KEY, bytes(300_000))
        assert await store.load(ANOTHER_KEY)


async def test_one_write_that_fails_does_not_take_those_beside_it_along(path: Path) -> None:
    async with opened(path) as store:
        unwritable = WriteRequest(b"", Lifetime(HOUR), "\ud800", datetime.now(UTC))
        keys = [f"{number:064x}" for number in range(20)]
        calls = [store.create(key, WriteRequest(b"", Lifetime(HOUR))) for key in keys]
        answers = await asyncio.gather(*calls[:10], store.create(KEY, unwritable), *calls[10:], return_exceptions=True)
        assert isinstance(answers.pop(10), UnicodeEncodeError)
        assert all(isinstance(answer, Record) for answer in answers)
        assert all([await store.load(key) for key in keys])
        assert await store.load(KEY) is None


async def test_an_error_says_nothing_of_what_is_stored(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)
    async with opened(path) as store:
        with pytest.raises(StoreUnavailableError) as caught:
            await store.create(KEY, WriteRequest(b"secret payload", Lifetime(HOUR), "secret subject"))
        text = f"{caught.value!r} {caught.value.__cause__!r}"
        assert not any(word in text for word in (KEY, "secret"))


def in_a_fork(path: Path, store: SQLiteStore, expected: bytes | None) -> int | None:
    """Load and save in a process that is forked here, and return its exit status."""

    def child() -> None:
        async def use() -> None:
            loaded = await store.load(KEY)
            assert (loaded.payload if isinstance(loaded, Record) else loaded) == expected
            await create(store, ANOTHER_KEY)
            await store.close()

        asyncio.run(use())

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    assert path.exists()
    return process.exitcode


@pytest.mark.parametrize("blocking", [False, True])
def test_a_store_is_used_on_both_sides_of_a_fork(path: Path, blocking: bool) -> None:
    store = SQLiteStore(path, blocking=blocking)

    async def use() -> None:
        await create(store)
        assert await store.load(KEY)
        assert in_a_fork(path, store, b"payload") == 0  # with its threads there, and not closed
        assert await store.load(ANOTHER_KEY)
        await store.delete(KEY)

    async def use_again() -> None:
        assert await store.load(KEY) is None
        await store.close()

    asyncio.run(use())
    asyncio.run(use_again())


def test_a_store_that_was_not_used_may_be_forked(path: Path) -> None:
    assert in_a_fork(path, SQLiteStore(path), None) == 0


def test_a_fork_waits_for_what_is_being_written(path: Path) -> None:
    store = SQLiteStore(path)

    async def use() -> None:
        creates = [
            asyncio.create_task(store.create(f"{number:064x}", WriteRequest(bytes(1000), Lifetime(HOUR))))
            for number in range(300)
        ]
        await asyncio.sleep(0)
        assert in_a_fork(path, store, None) == 0
        assert all(isinstance(answer, Record) for answer in await asyncio.gather(*creates))
        await store.close()

    asyncio.run(use())


@pytest.mark.parametrize("is_there", [False, True], ids=["none", "a former one"])
async def test_processes_that_make_the_file_at_once_share_it(path: Path, is_there: bool) -> None:
    if is_there:
        with written_by_another(path) as former:
            former.executescript(FORMER_FILE)
            former.execute(FORMER_CREATE, (KEY,))
    code = f"""
import asyncio, os
from datetime import timedelta
from pathlib import Path
from unittest.mock import ANY
from typed_sessions.server import THREAD
from typed_sessions.stores import Lifetime, Record, SQLiteStore, WriteRequest

async def main():
    store = SQLiteStore({str(path)!r}, busy_timeout=timedelta(seconds=30))
    input()
    written = WriteRequest(b"", Lifetime(timedelta(hours=1)))
    assert isinstance(await store.create(os.urandom(32).hex(), written), Record)
    await store.close()

asyncio.run(main())
"""
    processes = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) for _ in range(4)]  # noqa: S603, ASYNC220 -- this interpreter
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.close()
    assert [process.wait(60) for process in processes] == [0] * 4
    with written_by_another(path) as connection:
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (4,)


async def test_a_cancelled_call_that_waits_is_not_made(path: Path) -> None:
    worker = Worker(SQLiteFile.at(path, AT_ONCE), read_only=False)
    is_busy, may_end = threading.Event(), threading.Event()
    done = list[str]()

    def keep_busy(_: sqlite3.Connection) -> bool:
        is_busy.set()
        return may_end.wait(30)

    first = asyncio.create_task(worker.do(keep_busy))
    assert await asyncio.to_thread(is_busy.wait, 30)
    cancelled = asyncio.create_task(worker.do(lambda _: done.append("cancelled")))
    last = asyncio.create_task(worker.do(lambda _: done.append("last")))
    await asyncio.sleep(0)
    cancelled.cancel()
    may_end.set()
    await asyncio.gather(first, last)
    await asyncio.to_thread(worker.end)
    assert done == ["last"]


async def test_a_loop_that_is_gone_is_not_told(path: Path) -> None:
    store = SQLiteStore(path, busy_timeout=timedelta(seconds=30))
    await create(store)
    with written_by_another(path) as connection:
        connection.execute("BEGIN IMMEDIATE")

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(store.delete(KEY), 0)

        await asyncio.to_thread(lambda: asyncio.run(give_up()))
        connection.execute("ROLLBACK")
    await store.load(KEY)
    await store.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the connections of stores are asked from now on."""
    asked, connect = list[str](), SQLiteFile.connect

    def traced(file: SQLiteFile, *, read_only: bool) -> FileConnection:
        connection = connect(file, read_only=read_only)
        connection.set_trace_callback(asked.append)
        return connection

    monkeypatch.setattr(SQLiteFile, "connect", traced)
    return asked


async def test_a_worker_takes_what_waits_into_one_transaction(path: Path, statements: list[str]) -> None:
    worker = Worker(SQLiteFile.at(path, AT_ONCE), read_only=False)
    done = list[int]()

    def noted(number: int, _: sqlite3.Connection) -> None:
        done.append(number)

    await asyncio.gather(*(worker.do(partial(noted, number)) for number in range(1000)))
    await asyncio.to_thread(worker.end)
    assert done == list(range(1000))
    assert statements.count("COMMIT") < 100


class Threads:
    """What threads ask of a store that blocks, while another process has its file locked.

    Attributes:
        store: that one, which waits for as long as it takes.
    """

    def __init__(self, path: Path) -> None:
        self.store = SQLiteStore(path, busy_timeout=HOUR, blocking=True)
        self._pool = ThreadPoolExecutor(30)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return THREAD.run(call, self.store)

    def create(self, key: str, seconds: float = 60, subject: str | None = None) -> Created:
        """Create a record within so many seconds."""
        with no_longer_than(seconds):
            return self.run(self.store.create(key, WriteRequest(b"", Lifetime(HOUR), subject, datetime.now(UTC))))

    def begin(self, call: Callable[..., T], *args: object) -> Future[T]:
        """Have a thread call something, and return when it waits in the store."""
        waiting = self.store._writer._waiting
        before = len(waiting)
        begun = self._pool.submit(call, *args)
        while len(waiting) == before:
            time.sleep(0.001)
        return begun

    def close(self) -> None:
        self._pool.shutdown()
        self.run(self.store.close())


@pytest.fixture
def threads(path: Path, statements: list[str]) -> Generator[Threads]:
    threads = Threads(path)
    threads.create(KEY)
    statements.clear()
    yield threads
    threads.close()


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Let nobody else write meanwhile."""
    with written_by_another(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def numbered(count: int) -> list[str]:
    return [f"{number:064x}" for number in range(count)]


def test_the_writes_of_threads_that_wait_are_committed_together(
    threads: Threads, path: Path, statements: list[str]
) -> None:
    with locked(path):
        creates = [threads.begin(threads.create, key) for key in numbered(20)]
    assert all(isinstance(create.result(30), Record) for create in creates)
    assert statements.count("COMMIT") == 1
    assert all(threads.run(threads.store.load(key)) for key in numbered(20))


def test_a_thread_that_is_alone_hands_nothing_to_another_one(threads: Threads, statements: list[str]) -> None:
    threads.run(threads.store.load(KEY))
    threads.create(ANOTHER_KEY)
    assert not workers()
    assert statements.count("COMMIT") == 1


@pytest.mark.parametrize("place", [0, 3], ids=["the one that leads", "another one"])
def test_a_write_of_a_thread_that_fails_does_not_take_those_beside_it_along(
    threads: Threads, path: Path, place: int
) -> None:
    keys = numbered(10)
    with locked(path):
        creates = [threads.begin(threads.create, key, 60, "\ud800"[: key == keys[place]]) for key in keys]
    for key, create in zip(keys, creates, strict=True):
        if key == keys[place]:
            with pytest.raises(UnicodeEncodeError):
                create.result(30)
        else:
            assert isinstance(create.result(30), Record)
    kept = [key for key in keys if threads.run(threads.store.load(key))]
    assert kept == [key for key in keys if key != keys[place]]


@pytest.mark.parametrize("place", [0, 3], ids=["the one that leads", "another one"])
def test_a_thread_whose_time_is_up_takes_only_its_own_write_back(threads: Threads, path: Path, place: int) -> None:
    keys = numbered(10)
    with locked(path):
        creates = [threads.begin(threads.create, key, 0.2 if key == keys[place] else 60) for key in keys]
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            creates.pop(place).result(30)
        assert time.monotonic() - start < 5
    assert all(isinstance(create.result(30), Record) for create in creates)
    kept = [key for key in keys if threads.run(threads.store.load(key))]
    assert kept == [key for key in keys if key != keys[place]]


def test_each_thread_waits_for_another_process_no_longer_than_it_may(path: Path) -> None:
    threads = Threads(path)
    threads.create(KEY)
    threads.store = SQLiteStore(path, busy_timeout=timedelta(milliseconds=500), blocking=True)
    with locked(path):
        start = time.monotonic()
        creates = [threads.begin(threads.create, key) for key in numbered(10)]
        for create in creates:
            with pytest.raises(StoreUnavailableError) as caught:
                create.result(30)
            assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert 0.5 <= time.monotonic() - start < 4  # and not one after another
    threads.close()


def test_a_thread_that_is_interrupted_while_it_leads_leaves_nobody_waiting(threads: Threads, path: Path) -> None:
    def interrupt(_: sqlite3.Connection) -> None:
        raise KeyboardInterrupt

    with locked(path):
        first = threads.begin(threads.create, ANOTHER_KEY)
        interrupted = threads.begin(threads.store._writer.wait, interrupt)
    with pytest.raises(KeyboardInterrupt):
        first.result(30)  # which led
    with pytest.raises(StoreUnavailableError):
        interrupted.result(30)
    assert threads.run(threads.store.load(ANOTHER_KEY)) is None
    assert isinstance(threads.create(ANOTHER_KEY), Record)


def test_a_fork_waits_for_what_threads_write_and_they_go_on(threads: Threads, path: Path) -> None:
    creates = [threads._pool.submit(threads.create, key) for key in numbered(300)]
    assert in_a_fork(path, threads.store, b"") == 0
    assert all(isinstance(create.result(30), Record) for create in creates)


def test_a_store_that_is_closed_while_threads_write_loses_nothing(threads: Threads) -> None:
    creates = [threads._pool.submit(threads.create, key) for key in numbered(300)]
    for _ in range(5):
        threads.run(threads.store.close())
    assert all(isinstance(create.result(30), Record) for create in creates)
    assert all(threads.run(threads.store.load(key)) for key in numbered(300))


def test_what_threads_were_answered_is_there_after_a_kill(path: Path) -> None:
    code = f"""
import os, threading
from datetime import timedelta
from typed_sessions.server import THREAD
from typed_sessions.stores import Lifetime, SQLiteStore, WriteRequest

store = SQLiteStore({str(path)!r}, blocking=True)

def write(key):
    lifetime, number = Lifetime(timedelta(hours=1)), 0
    record = THREAD.run(store.create(key, WriteRequest(b"0", lifetime)), store)
    while True:
        os.write(1, f"{{key}} {{number}}\\n".encode())
        number += 1
        written = WriteRequest(str(number).encode(), lifetime)
        record = THREAD.run(store.update(key, record.version, written), store)

for number in range(8):
    threading.Thread(target=write, args=(f"{{number:064x}}",)).start()
"""
    answered = dict[str, int]()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 -- this interpreter
        assert process.stdout
        for count, line in enumerate(process.stdout):
            if count == 200:
                process.kill()
            key, number = line.split()
            answered[key] = int(number)
    assert len(answered) == 8
    store = SQLiteStore(path, blocking=True)
    for key, last in answered.items():
        record = THREAD.run(store.load(key), store)
        assert isinstance(record, Record)
        assert int(record.payload) in {last, last + 1}
    THREAD.run(store.close(), store)
