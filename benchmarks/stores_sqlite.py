"""`SQLiteStore` beside implementations on aiosqlite: `python -m benchmarks.stores_sqlite`.

All use a write-ahead log and wait for the disk at each commit. So many tasks at once load a record and save another
payload under its key, on and on; ours compares versions, too. Those on aiosqlite are

- *commit each*: one connection, on which a write and its commit are not interrupted by another task;
- *connection each*: a connection for each load and each save;
- *shared*: one connection and no lock. A commit then takes along what other tasks have begun, so that most of them
  find nothing left to commit; nor can any task roll back what is its own. What it gains is what it gives up.

All take turns, each round in another order, and a ratio is that of one round.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any, Final, Protocol

from typing_extensions import override

from benchmarks.contenders import BrokenContender
from typed_sessions.stores import Lifetime, Record, SQLiteStore, WriteRequest

__all__ = ["main"]

_AIOSQLITE: Final[Any] = import_module("aiosqlite")  # by name, because no type checker here may have it
_IDLE: Final = timedelta(hours=1)
_CONCURRENCY: Final = (1, 8, 64)
_PATIENCE: Final = 60
"""In seconds."""
_OURS: Final = "ours"


class _Contender(Protocol):
    async def create(self, key: str, payload: bytes) -> None: ...

    async def load_and_save(self, key: str, payload: bytes) -> None: ...


class _Ours(_Contender):
    def __init__(self, store: SQLiteStore) -> None:
        self._store: Final = store

    @override
    async def create(self, key: str, payload: bytes) -> None:
        await self._store.create(key, WriteRequest(payload, Lifetime(_IDLE)))

    @override
    async def load_and_save(self, key: str, payload: bytes) -> None:
        record = await self._store.load(key)
        if not isinstance(record, Record):
            raise BrokenContender("a record was not there")
        answer = await self._store.update(key, record.version, WriteRequest(payload, Lifetime(_IDLE)))
        _prove(isinstance(answer, Record))


class _Shared(_Contender):
    def __init__(self, connection: Any) -> None:
        self._connection: Final = connection

    @override
    async def create(self, key: str, payload: bytes) -> None:
        await _save(self._connection, key, payload)

    @override
    async def load_and_save(self, key: str, payload: bytes) -> None:
        await _load(self._connection, key)
        await _save(self._connection, key, payload)


class _CommitEach(_Contender):
    def __init__(self, connection: Any) -> None:
        self._connection: Final = connection
        self._lock: Final = asyncio.Lock()

    @override
    async def create(self, key: str, payload: bytes) -> None:
        async with self._lock:
            await _save(self._connection, key, payload)

    @override
    async def load_and_save(self, key: str, payload: bytes) -> None:
        await _load(self._connection, key)
        async with self._lock:
            await _save(self._connection, key, payload)


class _ConnectionEach(_Contender):
    def __init__(self, path: Path) -> None:
        self._path: Final = path

    @override
    async def create(self, key: str, payload: bytes) -> None:
        async with _AIOSQLITE.connect(self._path, timeout=_PATIENCE) as connection:
            await _save(connection, key, payload)

    @override
    async def load_and_save(self, key: str, payload: bytes) -> None:
        async with _AIOSQLITE.connect(self._path, timeout=_PATIENCE) as connection:
            await _load(connection, key)
        await self.create(key, payload)


async def _prepare(connection: Any) -> None:
    await connection.execute("PRAGMA journal_mode = WAL")  # what synchronous is, is FULL where nobody says otherwise
    await connection.execute(
        "CREATE TABLE sessions (key TEXT PRIMARY KEY, payload BLOB NOT NULL, expires_at REAL NOT NULL)"
    )
    await connection.execute("CREATE INDEX sessions_by_end ON sessions (expires_at)")
    await connection.commit()


async def _load(connection: Any, key: str) -> None:
    query = "SELECT payload FROM sessions WHERE key = ? AND expires_at > ?"
    async with connection.execute(query, (key, time.time())) as cursor:
        _prove(await cursor.fetchone() is not None)


async def _save(connection: Any, key: str, payload: bytes) -> None:
    await connection.execute(
        "INSERT INTO sessions (key, payload, expires_at) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at",
        (key, payload, time.time() + _IDLE.total_seconds()),
    )
    await connection.commit()


def _prove(is_done: bool) -> None:  # noqa: FBT001 -- what is proven
    if not is_done:
        raise BrokenContender("a record was not there, or not saved")


@asynccontextmanager
async def _opened(directory: Path) -> AsyncGenerator[dict[str, _Contender], None]:
    store = SQLiteStore(directory / "ours.db")
    paths = [directory / f"aiosqlite-{number}.db" for number in range(3)]
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(_AIOSQLITE.connect(path)) for path in paths]
        for connection in connections:
            await _prepare(connection)
        yield {
            _OURS: _Ours(store),
            "commit each": _CommitEach(connections[0]),
            "connection each": _ConnectionEach(paths[1]),
            "shared": _Shared(connections[2]),
        }
    await store.close()


async def _seconds(contender: _Contender, keys: list[str], payload: bytes, pairs: int) -> float:
    """Return what so many loads and saves take, all in all, with a task for each key."""

    async def visit(key: str) -> None:
        for _ in range(pairs // len(keys)):
            await contender.load_and_save(key, payload)

    start = time.perf_counter()
    await asyncio.gather(*map(visit, keys))
    return time.perf_counter() - start


async def _compare(directory: Path, size: int, pairs: int, rounds: int) -> None:
    async with _opened(directory) as contenders:
        keys = [secrets.token_hex(32) for _ in range(max(_CONCURRENCY))]
        for contender in contenders.values():
            for key in keys:
                await contender.create(key, bytes(size))
        for concurrency in _CONCURRENCY:
            times = await _times(contenders, keys[:concurrency], size, pairs, rounds)
            _print(concurrency, pairs, times)


async def _times(
    contenders: dict[str, _Contender], keys: list[str], size: int, pairs: int, rounds: int
) -> dict[str, list[float]]:
    order = Random(0)  # noqa: S311 -- the same order each time
    names = list(contenders)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        order.shuffle(names)
        for name in names:
            times[name].append(await _seconds(contenders[name], keys, secrets.token_bytes(size), pairs))
    return times


def _print(concurrency: int, pairs: int, times: dict[str, list[float]]) -> None:
    print(f"{concurrency} at once: ours takes {median(times[_OURS]) / pairs * 1e6:.0f} microseconds for both")
    for name, its in times.items():
        low, middle, high = quantiles([peer / ours for peer, ours in zip(its, times[_OURS], strict=True)], n=4)
        if name != _OURS:
            print(f"  {middle:6.2f} times as fast as {name} ({low:.2f} to {high:.2f})")


def main() -> None:
    """Print how many times as fast a load and a save are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="where the files are to be: which disk it is decides")
    parser.add_argument("--size", type=int, default=1000, help="of a payload, in bytes")
    parser.add_argument("--pairs", type=int, default=640, help="of a load and a save, in each round")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        asyncio.run(_compare(Path(directory), arguments.size, arguments.pairs, arguments.rounds))


if __name__ == "__main__":
    main()
