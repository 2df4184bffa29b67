"""What the SQLite store does besides what every store does: files, forks, and failures."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import ANY

import pytest

from typed_sessions import ConfigurationError
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores import Lifetime, Moved, Record, SQLiteStore, Written, open_store
from typed_sessions.stores.sqlite.worker import Worker

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
    record = await store.create(key, Written(payload, Lifetime(HOUR)))
    assert isinstance(record, Record)
    return record


@contextmanager
def written_by_another(path: Path) -> Generator[sqlite3.Connection, None, None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sessions-")]


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
            written = Written(b"", Lifetime(HOUR), "7", await store.now(), device="a phone")
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
        unwritable = Written(b"", Lifetime(HOUR), "\ud800", datetime.now(UTC))
        keys = [f"{number:064x}" for number in range(20)]
        calls = [store.create(key, Written(b"", Lifetime(HOUR))) for key in keys]
        answers = await asyncio.gather(*calls[:10], store.create(KEY, unwritable), *calls[10:], return_exceptions=True)
        assert isinstance(answers.pop(10), UnicodeEncodeError)
        assert all(isinstance(answer, Record) for answer in answers)
        assert all([await store.load(key) for key in keys])
        assert await store.load(KEY) is None


async def test_an_error_says_nothing_of_what_is_stored(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)
    async with opened(path) as store:
        with pytest.raises(StoreUnavailableError) as caught:
            await store.create(KEY, Written(b"secret payload", Lifetime(HOUR), "secret subject"))
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


def test_a_store_is_used_on_both_sides_of_a_fork(path: Path) -> None:
    store = SQLiteStore(path)

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
            asyncio.create_task(store.create(f"{number:064x}", Written(bytes(1000), Lifetime(HOUR))))
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
from typed_sessions.stores import Lifetime, Record, SQLiteStore, Written

async def main():
    store = SQLiteStore({str(path)!r}, busy_timeout=timedelta(seconds=30))
    input()
    written = Written(b"", Lifetime(timedelta(hours=1)))
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
    worker = Worker("sessions-test", lambda: sqlite3.connect(path, isolation_level=None), "BEGIN IMMEDIATE")
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
    await worker.close()
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


async def test_a_worker_takes_what_waits_into_one_transaction(path: Path) -> None:
    statements = list[str]()

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.set_trace_callback(statements.append)
        return connection

    worker = Worker("sessions-test", connect, "BEGIN IMMEDIATE")
    done = list[int]()

    def noted(number: int, _: sqlite3.Connection) -> None:
        done.append(number)

    await asyncio.gather(*(worker.do(partial(noted, number)) for number in range(1000)))
    await worker.close()
    assert done == list(range(1000))
    assert statements.count("COMMIT") < 100
