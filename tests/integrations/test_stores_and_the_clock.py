"""The stores that go by this machine's clock look at it each time, so that tests may replace it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
import time_machine
from attrs import define
from freezegun import freeze_time
from quart import Quart

from typed_sessions.quart import Sessions
from typed_sessions.stores import Lifetime, MemoryStore, Record, SessionStore, SQLiteStore, WriteRequest

KEY = "ab" * 32
LATER = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)

Time: TypeAlias = AbstractContextManager[Callable[[timedelta], object]]
"""One that stands still at `LATER`, with what sets it forward."""


def in_memory(_: Path) -> SessionStore:
    return MemoryStore()


def in_sqlite(directory: Path) -> SessionStore:
    return SQLiteStore(directory / "sessions.db")


@contextmanager
def frozen() -> Generator[Callable[[timedelta], object]]:
    with freeze_time(LATER, real_asyncio=True) as time:
        yield time.tick


@contextmanager
def travelled() -> Generator[Callable[[timedelta], object]]:
    with time_machine.travel(LATER, tick=False) as time:
        yield time.shift


TIMES = pytest.mark.parametrize("time", [frozen, travelled], ids=["freezegun", "time-machine"])
MAKES = pytest.mark.parametrize("make", [in_memory, in_sqlite])


@TIMES
@MAKES
def test_a_store_goes_by_the_time_of_a_test(
    make: Callable[[Path], SessionStore], time: Callable[[], Time], tmp_path: Path
) -> None:
    store = make(tmp_path)

    async def use() -> None:
        before = await store.now()
        with time() as forward:
            assert await store.now() == LATER
            record = await store.create(KEY, WriteRequest(b"", Lifetime(timedelta(hours=1))))
            assert isinstance(record, Record)
            assert (record.created, record.expires_at) == (LATER, LATER + timedelta(hours=1))
            forward(timedelta(minutes=59))
            assert isinstance(await store.load(KEY), Record)
            forward(timedelta(minutes=1))
            assert await store.load(KEY) is None
        assert await store.now() - before < timedelta(minutes=1)
        await store.close()

    asyncio.run(use())


@define
class Visitor:
    visits: int = 0


@TIMES
@pytest.mark.parametrize("url", [None, "memory://", "sqlite:///{}"], ids=["cookies", "memory", "sqlite"])
async def test_a_session_expires_by_the_time_of_a_test(
    url: str | None, time: Callable[[], Time], tmp_path: Path
) -> None:
    app, sessions = make_app(None if url is None else url.format(tmp_path / "sessions.db"))
    with time() as forward:
        client = app.test_client()
        assert await (await client.get("/")).get_data(as_text=True) == "1"
        assert await (await client.get("/")).get_data(as_text=True) == "2"
        forward(timedelta(days=2))
        assert await (await client.get("/")).get_data(as_text=True) == "1"
    await sessions.close()


def make_app(store: str | None) -> tuple[Quart, Sessions[Visitor]]:
    app = Quart(__name__)
    app.secret_key = "the key of this application"
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=1)
    sessions = Sessions(Visitor, app, store=store)

    @app.get("/")
    async def count() -> str:
        sessions.current.permanent = True
        sessions.data.visits += 1
        return str(sessions.data.visits)

    return app, sessions
