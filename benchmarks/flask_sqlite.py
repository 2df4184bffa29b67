"""Flask on SQLite beside two that commit for each request, in threads: `python -m benchmarks.flask_sqlite`.

So many threads at once load a session of their own, change it and save it, on and on:

- *sessions*, through the interface in an application context, beside Flask-Session on SQLAlchemy, as it is set up by
  default;
- *stores*, without a session around them, beside a `SELECT`, an `UPDATE` and a `COMMIT` of the standard library's
  sqlite3, with a connection for each thread, a write-ahead log and `synchronous = FULL`. It compares no versions.

All wait for the disk at each commit, and take turns, each round in another order. A ratio is that of one round, by the
wall clock, and what is printed the median of all rounds.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from copy import copy
from datetime import timedelta
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from threading import Barrier, Thread
from typing import Final, TypeAlias

from benchmarks.contenders import BrokenContender, Contender, OnFlask, finished, permanent, quart_config
from benchmarks.flask_redis import Counting, Ours, proven
from benchmarks.payloads import declared_values, plain_values, schema_class
from benchmarks.table import Table
from typed_sessions.stores import SQLiteStore
from typed_sessions.stores.base import Lifetime, Record, WriteRequest

__all__ = ["flask_sqlite_tables"]

Visit: TypeAlias = Callable[[], None]
"""Loads, changes and saves what one visitor has."""

Visitors: TypeAlias = Callable[[int], list[Visit]]
"""Makes so many of them, each in a thread of its own from then on."""

THREADS: Final = (1, 8, 32)
SIZE: Final = "medium"
LIFETIME: Final = Lifetime(timedelta(days=31))
PAYLOAD: Final = 400
PATIENCE: Final = 60
"""In seconds, for what others have locked."""
PAGES: Final = 8240
"""What a commit of one record writes, in bytes: a page of the table, one of an index, and what the log says of them."""


class FlaskSession(Counting, OnFlask):
    """Flask-Session's interface on SQLAlchemy, with MessagePack, which is its default."""

    def __init__(self, contents: dict[str, object], config: Mapping[str, object], path: Path) -> None:
        options = {"pool_size": max(THREADS), "connect_args": {"timeout": PATIENCE}}
        settings = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}", "SQLALCHEMY_ENGINE_OPTIONS": options}
        super().__init__("Flask-Session", contents, {**config, **settings, "SESSION_TYPE": "sqlalchemy"})
        self._app.config["SESSION_SQLALCHEMY"] = import_module("flask_sqlalchemy").SQLAlchemy(self._app)
        import_module("flask_session").Session(self._app)
        self._interface = self._app.session_interface


def visitors_of(contender: Contender) -> Visitors:
    """Return what makes visitors of one application."""

    def visit(one: Contender) -> None:
        with one.context():
            session, response = finished(one.open()), one.response()
            one.change(session)
            finished(one.save(session, response))

    return lambda count: [partial(visit, proven(copy(contender))) for _ in range(count)]


def ours(store: SQLiteStore) -> Visitors:
    """Return what makes visitors of our store alone."""

    def visitor() -> Visit:
        key, write = secrets.token_hex(32), WriteRequest(secrets.token_bytes(PAYLOAD), LIFETIME)
        finished(store.create(key, write))

        def visit() -> None:
            record = finished(store.load(key))
            version = record.version if isinstance(record, Record) else 0
            _prove(isinstance(finished(store.update(key, version, write)), Record))

        return visit

    return lambda count: [visitor() for _ in range(count)]


def plain(path: Path) -> Visitors:
    """Return what makes visitors who ask SQLite themselves."""

    def connected() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=PATIENCE, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    with connected() as connection:
        connection.execute(
            "CREATE TABLE sessions (key TEXT PRIMARY KEY, payload BLOB NOT NULL, expires_at REAL NOT NULL)"
        )
        connection.execute("CREATE INDEX sessions_by_end ON sessions (expires_at)")

    def visitor() -> Visit:
        key, connection, numbers = secrets.token_hex(32), connected(), count()
        with connection:
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?)", (key, bytes(PAYLOAD), time.time() + 3600))

        def visit() -> None:
            query = "SELECT payload FROM sessions WHERE key = ? AND expires_at > ?"
            _prove(connection.execute(query, (key, time.time())).fetchone() is not None)
            change = (next(numbers).to_bytes(PAYLOAD, "big"), time.time() + 3600, key)
            connection.execute("UPDATE sessions SET payload = ?, expires_at = ? WHERE key = ?", change)
            connection.commit()

        return visit

    return lambda count: [visitor() for _ in range(count)]


def flask_sqlite_tables(
    directory: Path, *, visits: int, rounds: int, at_once: tuple[int, ...] = THREADS
) -> list[Table]:
    """Return how many times as fast we are as those that commit for each request.

    Args:
        directory: where the files are to be: which disk it is decides.
        visits: of each contender in each round, by all threads together.
        rounds: how often to measure.
        at_once: the numbers of threads.
    """
    config = quart_config(refresh=False)
    contents, schema = permanent(declared_values("attrs", SIZE)), schema_class("attrs", SIZE)
    stores = [SQLiteStore(directory / name, blocking=True) for name in ("sessions.db", "records.db")]
    peer = FlaskSession(permanent(plain_values(SIZE)), config, directory / "flask-session.db")
    contenders = {
        ("sessions", peer.name): (visitors_of(peer), visitors_of(Ours("ours", contents, config, schema, stores[0]))),
        ("stores", "plain sqlite3"): (plain(directory / "plain.db"), ours(stores[1])),
    }
    disk = f"the disk alone: {_disk(directory / 'disk'):.0f} us a commit"
    tables = list[Table]()
    for (title, name), (theirs, own) in contenders.items():
        rows = [_row(theirs(threads), own(threads), visits, rounds) for threads in at_once]
        headings = ("threads", f"{name}, us", "ours, us", "times as fast")
        tables.append(Table(f"{title} ({disk})", headings, tuple(rows)))
    for store in stores:
        finished(store.close())
    return tables


def _row(theirs: list[Visit], ours: list[Visit], visits: int, rounds: int) -> tuple[str, ...]:
    order, pairs = Random(0), list[tuple[float, float]]()  # noqa: S311 -- the same order each time
    for _ in range(rounds):
        if order.random() < 1 / 2:
            first = _seconds(theirs, visits)
            pairs.append((first, _seconds(ours, visits)))
        else:
            first = _seconds(ours, visits)
            pairs.append((_seconds(theirs, visits), first))
    each = [f"{median(times) / visits * 1e6:.0f}" for times in zip(*pairs, strict=True)]
    return (str(len(ours)), *each, f"{median(peer / our for peer, our in pairs):.2f}")


def _seconds(visitors: list[Visit], visits: int) -> float:
    """Return what so many visits take, with a thread for each visitor."""
    ready, failed = Barrier(len(visitors) + 1), list[BaseException]()

    def come(visit: Visit) -> None:
        ready.wait()
        try:
            for _ in range(visits // len(visitors)):
                visit()
        except BaseException as error:  # noqa: BLE001 -- it is raised in the thread that asks for it
            failed.append(error)

    threads = [Thread(target=come, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.perf_counter() - start


def _disk(path: Path) -> float:
    """Return how many microseconds the disk takes for what a commit of one record writes."""
    times = list[float]()
    with path.open("wb", buffering=0) as file:
        file.write(bytes(100 * PAGES))
        os.fsync(file.fileno())
        for number in range(100):
            start = time.perf_counter()
            file.seek(number * PAGES)
            file.write(secrets.token_bytes(PAGES))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return median(times) * 1e6


def _prove(is_done: bool) -> None:  # noqa: FBT001 -- what is proven
    if not is_done:
        raise BrokenContender("a record was not there, or not saved")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="where the files are to be: which disk it is decides")
    parser.add_argument("--visits", type=int, default=320, help="of each in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        for table in flask_sqlite_tables(Path(directory), visits=options.visits, rounds=options.rounds):
            print(table.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
