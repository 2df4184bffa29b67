"""The stores that go by this machine's clock look at it each time, so that tests may replace it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import define
from freezegun import freeze_time
from quart import Quart

from typed_sessions.quart import Sessions
from typed_sessions.stores import Lifetime, MemoryStore, Record, SessionStore, SQLiteStore, Written

KEY = "ab" * 32
LATER = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


def in_memory(_: Path) -> SessionStore:
    return MemoryStore()


def in_sqlite(directory: Path) -> SessionStore:
    return SQLiteStore(directory / "sessions.db")


MAKES = pytest.mark.parametrize("make", [in_memory, in_sqlite])


@MAKES
def test_a_store_goes_by_the_time_of_a_test(make: Callable[[Path], SessionStore], tmp_path: Path) -> None:
    store = make(tmp_path)

    async def use() -> None:
        before = await store.now()
        with freeze_time(LATER, real_asyncio=True) as frozen:
            assert await store.now() == LATER
            record = await store.create(KEY, Written(b"", Lifetime(timedelta(hours=1))))
            assert isinstance(record, Record)
            assert (record.created, record.expires_at) == (LATER, LATER + timedelta(hours=1))
            frozen.tick(timedelta(minutes=59))
            assert isinstance(await store.load(KEY), Record)
            frozen.tick(timedelta(minutes=1))
            assert await store.load(KEY) is None
        assert await store.now() - before < timedelta(minutes=1)
        await store.close()

    asyncio.run(use())


@define
class Visitor:
    visits: int = 0


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}"])
async def test_a_session_expires_by_the_time_of_a_test(url: str, tmp_path: Path) -> None:
    app, sessions = make_app(url.format(tmp_path / "sessions.db"))
    with freeze_time(LATER, real_asyncio=True) as frozen:
        client = app.test_client()
        assert await (await client.get("/")).get_data(as_text=True) == "1"
        assert await (await client.get("/")).get_data(as_text=True) == "2"
        frozen.tick(timedelta(days=2))
        assert await (await client.get("/")).get_data(as_text=True) == "1"
    await sessions.close()


def make_app(store: str) -> tuple[Quart, Sessions[Visitor]]:
    app = Quart(__name__)
    app.secret_key = "the key of this application"
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=1)
    sessions = Sessions(Visitor, app, store=store)

    @app.get("/")
    async def count() -> str:
        sessions.data.visits += 1
        return str(sessions.data.visits)

    return app, sessions
