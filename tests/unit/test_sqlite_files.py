"""What becomes of the SQLite store when its file is deleted, moved or replaced while it serves."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from secrets import token_hex

import pytest

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores import Lifetime, Record, SQLiteStore, WriteRequest
from typed_sessions.stores.sqlite.file import FileConnection

HOUR = timedelta(hours=1)
PLAIN = WriteRequest(b"payload", Lifetime(HOUR))
ENDS = ("", "-wal", "-shm")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory / "sessions.db"


@pytest.fixture(params=[False, True], ids=["for event loops", "for threads"])
async def store(path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[SQLiteStore]:
    store = SQLiteStore(path, blocking=request.param)
    yield store
    await store.close()


async def created(store: SQLiteStore, key: str | None = None) -> str:
    key = key or token_hex(32)
    assert isinstance(await store.create(key, PLAIN), Record)
    assert isinstance(await store.load(key), Record)
    return key


async def seen_by_another(path: Path, key: str) -> bool:
    """Return True if a store that opens the file now finds a record."""
    other = SQLiteStore(path)
    try:
        return await other.load(key) is not None
    finally:
        await other.close()


def beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def remove(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    for end in ENDS:
        beside(path, end).unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def move_all(path: Path) -> None:
    for end in ENDS:
        beside(path, end).rename(path.with_name(f"moved.db{end}"))


def remove_directory(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.mkdir()


def move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.mkdir()


GOES = pytest.mark.parametrize("go", [remove, remove_all, move, move_all, remove_directory, move_directory])


@GOES
async def test_after_the_file_is_gone_what_is_acknowledged_is_where_others_find_it(
    store: SQLiteStore, path: Path, go: Callable[[Path], None]
) -> None:
    former = await created(store)
    go(path)
    key = token_hex(32)
    assert isinstance(await store.create(key, PLAIN), Record)  # before anything is loaded
    assert await seen_by_another(path, key)
    assert await store.load(key) is not None
    assert await store.load(former) is None
    await store.delete_subject("7")
    assert await seen_by_another(path, await created(store))


@GOES
async def test_after_the_file_is_gone_no_former_record_is_found(
    store: SQLiteStore, path: Path, go: Callable[[Path], None]
) -> None:
    former = await created(store)
    go(path)
    assert await store.load(former) is None  # before anything is written
    assert await seen_by_another(path, await created(store))


@GOES
async def test_processes_that_had_the_file_open_meet_again_in_the_new_one(
    store: SQLiteStore, path: Path, go: Callable[[Path], None]
) -> None:
    other = SQLiteStore(path)
    await created(store)
    await created(other)
    go(path)
    first = await created(store)
    assert await other.load(first) is not None
    second = await created(other)
    assert await store.load(second) is not None
    await other.close()
    assert await store.load(first) is not None
    assert await seen_by_another(path, first)
    assert await seen_by_another(path, second)


@pytest.mark.parametrize("in_this_process", [True, False], ids=["another store", "another process"])
async def test_who_finds_out_late_takes_nothing_from_who_found_out(
    store: SQLiteStore, path: Path, in_this_process: bool
) -> None:
    await created(store)
    remove(path)
    key = token_hex(32)
    if in_this_process:
        other = SQLiteStore(path)
        await created(other, key)
        await other.close()
    else:
        code = f"""
import asyncio
from datetime import timedelta
from typed_sessions.stores import Lifetime, Record, SQLiteStore, WriteRequest
store = SQLiteStore({str(path)!r})
async def main():
    assert isinstance(await store.create({key!r}, WriteRequest(b"", Lifetime(timedelta(hours=1)))), Record)
asyncio.run(main())
import os; os._exit(0)  # without closing
"""
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603, ASYNC221 -- our own program
    assert await store.load(key) is not None
    assert await seen_by_another(path, await created(store))


async def test_the_file_of_a_backup_is_what_is_read_then(store: SQLiteStore, path: Path) -> None:
    kept = await created(store)
    backup = path.with_name("backup.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    lost = await created(store)
    remove_all(path)
    backup.rename(path)
    assert await store.load(kept) is not None
    assert await store.load(lost) is None
    assert await seen_by_another(path, await created(store))


async def test_a_backup_beside_the_log_of_the_former_file_is_refused_until_that_is_gone(
    store: SQLiteStore, path: Path
) -> None:
    kept = await created(store)
    backup = path.with_name("backup.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    await created(store)
    backup.rename(path)
    for call in (store.load(kept), store.create(token_hex(32), PLAIN), store.load(kept)):
        with pytest.raises(StoreUnavailableError) as raised:
            await call
        assert "not replaced together" in str(raised.value.__cause__)
    for end in ("-wal", "-shm"):
        beside(path, end).unlink()
    assert await store.load(kept) is not None
    assert await seen_by_another(path, await created(store))


@pytest.mark.parametrize("ends", [("-wal",), ("-shm",), ("-wal", "-shm")], ids="".join)
async def test_without_its_log_a_file_is_refused_until_it_is_opened_anew_and_nothing_is_lost(
    store: SQLiteStore, path: Path, ends: tuple[str, ...]
) -> None:
    key = await created(store)
    for end in ends:
        beside(path, end).unlink()
    for call in (store.create(token_hex(32), PLAIN), store.load(key), store.delete(key)):
        with pytest.raises(StoreUnavailableError):
            await call
    await store.close()
    assert await store.load(key) is not None
    assert await seen_by_another(path, await created(store))


async def test_without_its_directory_the_store_is_unavailable_until_there_is_one(
    store: SQLiteStore, path: Path
) -> None:
    key = await created(store)
    path.parent.rename(path.parent.with_name("moved"))
    for call in (store.load(key), store.create(token_hex(32), PLAIN)):
        with pytest.raises(StoreUnavailableError):
            await call
    path.parent.with_name("moved").rename(path.parent)
    assert await store.load(key) is not None


@pytest.mark.parametrize("go", [remove, remove_all])
async def test_what_is_committed_to_a_file_that_is_gone_is_not_acknowledged(
    store: SQLiteStore, path: Path, go: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    await created(store)
    looks = list[bool]()
    is_current = FileConnection.is_current

    def go_before_the_second_look(connection: FileConnection) -> bool:
        looks.append(True)
        if len(looks) == 2:
            go(path)
        return is_current(connection)

    monkeypatch.setattr(FileConnection, "is_current", go_before_the_second_look)
    key = token_hex(32)
    with pytest.raises(StoreUnavailableError):
        await store.create(key, PLAIN)
    assert len(looks) == 2
    assert not path.exists()
    assert await seen_by_another(path, await created(store, key))


async def test_requests_while_the_file_goes_again_and_again_are_refused_or_kept(path: Path) -> None:
    store, rounds = SQLiteStore(path), 15
    for _ in range(rounds):
        acknowledged = list[str]()

        async def log_in() -> None:
            key = token_hex(32)
            try:
                await store.create(key, PLAIN)
            except StoreUnavailableError:
                return
            acknowledged.append(key)  # noqa: B023 -- awaited in this turn

        await asyncio.gather(*(log_in() for _ in range(10)))
        await asyncio.to_thread(remove, path)
        acknowledged.clear()
        await asyncio.gather(*(log_in() for _ in range(10)))
        assert len(acknowledged) == 10
        assert all([await seen_by_another(path, key) for key in acknowledged])
    await store.close()
