"""Flask on Redis beside Flask-Session, and what of it takes how long: `python -m benchmarks.flask_redis`.

A request opens a session, changes or reads one value of it, and saves it, in one thread, by the interface alone: no
view, no routing. All ask the same server, in turns, in one run. Without TYPED_SESSIONS_TEST_REDIS_URL a Valkey server
is started on a Unix socket.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeAlias

import redis
from typing_extensions import override

from benchmarks.contenders import (
    BrokenContender,
    Contender,
    OnFlask,
    UsedThroughData,
    finished,
    permanent,
    quart_config,
)
from benchmarks.measure import Timed, compare
from benchmarks.payloads import SIZES, Size, declared_values, plain_values, schema_class
from benchmarks.table import Table
from tests.valkey_servers import valkey, valkey_url
from typed_sessions.flask import Sessions
from typed_sessions.stores import MemoryStore, SessionStore
from typed_sessions.stores.base import Lifetime, Record, WriteRequest
from typed_sessions.stores.redis import RedisStore

__all__ = ["flask_redis_tables"]

Clock: TypeAlias = Callable[[], int]

CLOCKS: Final[Mapping[str, Clock]] = {"CPU": time.thread_time_ns, "wall clock": time.perf_counter_ns}
USES: Final = ("change", "read")
LIFETIME: Final = Lifetime(timedelta(days=31))
PAYLOAD: Final = 400
ASKED: Final = 500
"""How many requests are asked for to see what they take of the server."""


class Counting(Contender):
    """Changes a value to another one each time: what is in a store stays changed."""

    numbers: Final = count(1_000_000)

    @override
    def change(self, session: Any) -> None:
        session["user_id"] = next(self.numbers)


class FlaskSession(Counting, OnFlask):
    """Flask-Session's interface, with MessagePack, which is its default."""

    def __init__(self, contents: dict[str, object], config: Mapping[str, object], client: redis.Redis) -> None:
        settings = {"SESSION_TYPE": "redis", "SESSION_REDIS": client, "SESSION_KEY_PREFIX": f"{secrets.token_hex(4)}:"}
        super().__init__("Flask-Session", contents, {**config, **settings})
        import_module("flask_session").Session(self._app)
        self._interface = self._app.session_interface


class Ours(Counting, UsedThroughData, OnFlask):
    """This library on Flask, with an attrs class in MessagePack. Without a store, in the cookie."""

    def __init__(
        self,
        name: str,
        contents: dict[str, object],
        config: Mapping[str, object],
        schema: Callable[[], Any],
        store: SessionStore | None,
    ) -> None:
        super().__init__(name, contents, config)
        Sessions(schema, self._app, serializer="msgspec-msgpack", store=store)
        self._interface = self._app.session_interface

    @override
    def change(self, session: Any) -> None:
        session.data.user_id = next(self.numbers)


def proven(contender: Contender) -> Contender:
    """Return a contender that brings the cookie of a session with its contents, once it has kept a change."""
    with contender.context():
        contender.bring({})
        seen: list[object] = []
        for use in (contender.fill, contender.change):
            session, response = finished(contender.open()), contender.response()
            use(session)
            seen.append(contender.read(session))
            finished(contender.save(session, response))
            if contender.sent(response):
                contender.bring(contender.sent(response))
        if contender.read(finished(contender.open())) != seen[-1]:
            raise BrokenContender(f"{contender.name} does not keep a change")
    return contender


def requests(contender: Contender, use: str, clock: Clock) -> Timed:
    """Return whole requests of a contender, as `compare` takes them."""

    async def visits(responses: list[Any], use: Callable[[Any], object]) -> int:
        started = clock()
        for response in responses:
            session = await contender.open()
            use(session)
            await contender.save(session, response)
        return clock() - started

    def run(count: int) -> int:
        with contender.context():
            return finished(visits([contender.response() for _ in range(count)], getattr(contender, use)))

    return run


def calls(call: Callable[[], object], clock: Clock) -> Timed:
    """Return the same of what is asked of a server alone."""

    def run(count: int) -> int:
        started = clock()
        for _ in range(count):
            call()
        return clock() - started

    return run


def flask_redis_tables(url: str, *, seconds: float, sizes: tuple[Size, ...] = SIZES) -> list[Table]:
    """Return how long each takes, as a multiple of what Flask-Session does, and what the server has to do.

    Args:
        url: of the server.
        seconds: how long to measure each line.
        sizes: of the sessions.
    """
    rows: list[tuple[str, ...]] = []
    names: tuple[str, ...] = ()
    server: list[tuple[str, ...]] = []
    with redis.Redis.from_url(url) as client:
        store = RedisStore(url, prefix=f"{secrets.token_hex(4)}:", blocking=True)
        parts = _parts(client, store)
        for size in sizes:
            stock, *ours = _contenders(client, store, size)
            for use in USES:
                for name, clock in CLOCKS.items():
                    candidates = {each.name: requests(each, use, clock) for each in ours}
                    candidates |= {part: calls(call, clock) for part, call in parts[use].items()}
                    found = compare(requests(stock, use, clock), candidates, seconds=seconds)
                    figures = [f"{1 / ratio.median:.2f}" for ratio in found.ratios.values()]
                    rows.append((f"{use}, {size}, {name}", f"{found.base_microseconds:.0f}", *figures))
                    names = tuple(found.ratios)
                taken = [
                    f"{_of_server(client, requests(each, use, time.thread_time_ns)):.1f}" for each in (stock, ours[0])
                ]
                server.append((f"{use}, {size}", *taken))
        finished(store.close())
    return [
        Table("times as long as Flask-Session", ("a request", "Flask-Session, us", *names), tuple(rows)),
        Table("what the server does, us a request", ("a request", "Flask-Session", "on Redis"), tuple(server)),
    ]


def _contenders(client: redis.Redis, store: RedisStore, size: Size) -> list[Contender]:
    """Return Flask-Session, and this library on Redis, in memory and in cookies."""
    config = quart_config(refresh=False)
    contents, schema = permanent(declared_values("attrs", size)), schema_class("attrs", size)
    ours: dict[str, SessionStore | None] = {"on Redis": store, "in memory": MemoryStore(), "in the cookie": None}
    stock = FlaskSession(permanent(plain_values(size)), config, client)
    return [proven(each) for each in (stock, *(Ours(name, contents, config, schema, ours[name]) for name in ours))]


def _parts(client: redis.Redis, store: RedisStore) -> Mapping[str, Mapping[str, Callable[[], object]]]:
    """Return what is asked of the server, without a session around it."""
    key, write = secrets.token_hex(32), WriteRequest(secrets.token_bytes(PAYLOAD), LIFETIME)
    finished(store.create(key, write))
    client.set(key, write.payload, ex=LIFETIME.idle)

    def load() -> Record:
        record = finished(store.load(key))
        if not isinstance(record, Record):
            raise BrokenContender("the store has lost a record")
        return record

    def visit() -> None:
        if not isinstance(finished(store.update(key, load().version, write)), Record):
            raise BrokenContender("the store has refused a record")

    def stock() -> None:
        client.get(key)
        client.set(key, write.payload, ex=LIFETIME.idle)

    return {
        "change": {"redis-py alone": stock, "our store alone": visit},
        "read": {"redis-py alone": partial(client.get, key), "our store alone": load},
    }


def _of_server(client: redis.Redis, run: Timed) -> float:
    """Return how many microseconds a request takes of the server, without what it does to read and to answer."""
    client.config_resetstat()
    run(ASKED)
    known: dict[str, Any] = client.info("commandstats")
    took = {name: known[f"cmdstat_{name}"]["usec"] for name in ("evalsha", "get", "set") if f"cmdstat_{name}" in known}
    return float(took.pop("evalsha", 0) or sum(took.values())) / ASKED  # what a script asks for is in its own time


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line (default: %(default)g)")
    parser.add_argument("--sizes", nargs="+", default=SIZES, choices=SIZES)
    options = parser.parse_args()
    measured = partial(flask_redis_tables, seconds=options.seconds, sizes=tuple(options.sizes))
    if url := os.environ.get("TYPED_SESSIONS_TEST_REDIS_URL"):
        tables = measured(url)
    else:
        with tempfile.TemporaryDirectory() as directory, valkey(Path(directory)):
            tables = measured(valkey_url(Path(directory)))
    for table in tables:
        print(table.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
