"""Load and save at 64 concurrent in Redis or Valkey, next to peers: `python -m benchmarks.stores_redis`.

All ask the same server, in turns, in one run. A visit is what a request costs at the store that reads its session and
changes it: a load, and a save of other contents. Flask-Session is synchronous, and has 64 threads. The peers' saves
overwrite whatever is there; this library's compare versions, keep both lifetimes, and the subject's list if there is a
subject. Without TYPED_SESSIONS_TEST_REDIS_URL a Valkey server is started on a Unix socket.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

from redis import Redis as SyncRedis
from redis.asyncio import Redis

from benchmarks.table import Table
from tests.valkey_servers import valkey, valkey_url
from typed_sessions.stores.base import Lifetime, Record, WriteRequest
from typed_sessions.stores.redis import RedisStore

CONCURRENT: Final = 64
PAYLOAD: Final = 400
LIFETIME: Final = Lifetime(timedelta(hours=1), timedelta(days=31))
SECONDS: Final = 3600

Visits: TypeAlias = Callable[[int], Awaitable[None]]
"""Makes so many visits for each of 64 visitors at once."""


async def at_once(visit: Callable[[int, int], Awaitable[None]], visits: int) -> None:
    """Make the visits of all visitors, in as many tasks."""

    async def visitor(number: int) -> None:
        for step in range(visits):
            await visit(number, step)

    await asyncio.gather(*(visitor(number) for number in range(CONCURRENT)))


@asynccontextmanager
async def ours(url: str, subject: str | None) -> AsyncGenerator[Visits, None]:
    """This library's store."""
    store = RedisStore(url, prefix=f"{secrets.token_hex(4)}:")
    keys = [secrets.token_hex(32) for _ in range(CONCURRENT)]
    as_of = await store.now()
    subjects = [None if subject is None else f"{subject}{number}" for number in range(CONCURRENT)]
    for key, whose in zip(keys, subjects, strict=True):
        await store.create(key, WriteRequest(secrets.token_bytes(PAYLOAD), LIFETIME, whose, as_of=as_of))

    async def visit(number: int, step: int) -> None:
        record = await store.load(keys[number])
        if not isinstance(record, Record):
            raise TypeError("a session is gone")
        changed = record.payload[:-4] + step.to_bytes(4, "big")
        written = await store.update(keys[number], record.version, WriteRequest(changed, LIFETIME, subjects[number]))
        if not isinstance(written, Record):
            raise TypeError("a save was refused")

    try:
        yield lambda visits: at_once(visit, visits)
    finally:
        await store.close()


@asynccontextmanager
async def starsessions(url: str) -> AsyncGenerator[Visits, None]:
    """The store of starsessions, with redis-py's client as it comes."""
    client = Redis.from_url(url)
    store: Any = import_module("starsessions.stores.redis").RedisStore(
        connection=client, prefix=f"{secrets.token_hex(4)}:"
    )
    keys = [secrets.token_hex(16) for _ in range(CONCURRENT)]
    for key in keys:
        await store.write(key, secrets.token_bytes(PAYLOAD), SECONDS, SECONDS)

    async def visit(number: int, step: int) -> None:
        payload: bytes = await store.read(keys[number], SECONDS)
        await store.write(keys[number], payload[:-4] + step.to_bytes(4, "big"), SECONDS, SECONDS)

    try:
        yield lambda visits: at_once(visit, visits)
    finally:
        await client.aclose()


@asynccontextmanager
async def flask_session(url: str) -> AsyncGenerator[Visits, None]:
    """The store of Flask-Session. It writes MessagePack in the same functions; its contents are a text and a number."""
    client = SyncRedis.from_url(url)
    interface: Any = import_module("flask_session.redis").RedisSessionInterface(
        import_module("flask").Flask("benchmark"), client, key_prefix=f"{secrets.token_hex(4)}:"
    )
    span = timedelta(seconds=SECONDS)
    keys = [interface.key_prefix + secrets.token_hex(16) for _ in range(CONCURRENT)]
    for key in keys:
        interface._upsert_session(span, {"text": secrets.token_hex(PAYLOAD // 2)}, key)  # noqa: SLF001 - its store

    def visitor(key: str, visits: int) -> None:
        for step in range(visits):
            contents = interface._retrieve_session_data(key)  # noqa: SLF001 - as above
            contents["step"] = step
            interface._upsert_session(span, contents, key)  # noqa: SLF001 - as above

    with ThreadPoolExecutor(CONCURRENT) as threads:

        async def all_visitors(visits: int) -> None:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(threads, visitor, key, visits) for key in keys))

        yield all_visitors
    client.close()


async def measured(url: str, rounds: int, visits: int) -> Table:
    """Return visits in a second of each, the median of some rounds in which they take turns."""
    opened = {
        "typed_sessions": ours(url, None),
        "typed_sessions, with a subject": ours(url, "user-"),
        "starsessions": starsessions(url),
        "Flask-Session, 64 threads": flask_session(url),
    }
    contenders: dict[str, Visits] = {}
    for name, context in opened.items():
        contenders[name] = await context.__aenter__()
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, make in contenders.items():
            started = time.perf_counter()
            await make(visits)
            if number:  # the first one opens connections
                rates[name].append(CONCURRENT * visits / (time.perf_counter() - started))
    for context in opened.values():
        await context.__aexit__(None, None, None)
    best = statistics.median(rates["typed_sessions"])
    return Table(
        f"load + save at {CONCURRENT} concurrent",
        ("store", "visits/s", "typed_sessions is faster by"),
        tuple(
            (name, f"{statistics.median(rate):,.0f}", f"{best / statistics.median(rate):.2f}")
            for name, rate in rates.items()
        ),
    )


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--visits", type=int, default=100)
    options = parser.parse_args()
    if url := os.environ.get("TYPED_SESSIONS_TEST_REDIS_URL"):
        print(asyncio.run(measured(url, options.rounds, options.visits)).as_text())
        return 0
    with tempfile.TemporaryDirectory() as directory, valkey(Path(directory)):
        print(asyncio.run(measured(valkey_url(Path(directory)), options.rounds, options.visits)).as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
