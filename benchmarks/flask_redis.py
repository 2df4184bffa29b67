"""Flask on Redis beside Flask-Session, and what takes how long of it: `python -m benchmarks.flask_redis`.

A request opens a session, changes or reads one value of it, and saves it, in one thread, by the interface alone: no view,
no routing. All ask the same server, in turns, in one run. Without TYPED_SESSIONS_TEST_REDIS_URL a Valkey server is
started on a Unix socket.
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
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeAlias

import redis
from typing_extensions import override

from benchmarks.contenders import Contender, OnFlask, UsedThroughData, finished, permanent, prove, quart_config
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

CLOCKS: Final[Mapping[str, Clock]] = {"CPU of the thread": time.thread_time_ns, "wall clock": time.perf_counter_ns}

LIFETIME: Final = Lifetime(timedelta(days=31))


class _Counting(Contender):
    """Changes one value to another one each time: what is in a store stays changed."""

    numbers: Final = count(1_000_000)

    @override
    def change(self, session: Any) -> None:
        session["user_id"] = next(self.numbers)


class FlaskSession(_Counting, OnFlask):
    """Flask-Session's interface, with MessagePack, which is its default."""

    def __init__(self, contents: dict[str, object], config: Mapping[str, object], client: redis.Redis) -> None:
        settings = {"SESSION_TYPE": "redis", "SESSION_REDIS": client, "SESSION_KEY_PREFIX": f"{secrets.token_hex(4)}:"}
        super().__init__("Flask-Session", contents, {**config, **settings})
        import_module("flask_session").Session(self._app)
        self._interface = self._app.session_interface


class Ours(_Counting, UsedThroughData, OnFlask):
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


def _requests(contender: Contender, use: Callable[[Any], object], clock: Clock) -> Timed:
    interface, app, request = contender._interface, contender._app, contender._request  # type: ignore[attr-defined]

    def run(count: int) -> int:
        responses = [contender.response() for _ in range(count)]
        with contender.context():
            started = clock()
            for response in responses:
                session = interface.open_session(app, request)
                use(session)
                interface.save_session(app, session, response)
            return clock() - started

    return run


def _calls(call: Callable[[], object], clock: Clock) -> Timed:
    def run(count: int) -> int:
        started = clock()
        for _ in range(count):
            call()
        return clock() - started

    return run


def _proven(contender: Contender) -> Contender:
    """Return a contender that brings the cookie of a session with its contents."""
    with contender.context():
        contender.bring({})
        session, response = finished(contender.open()), contender.response()
        contender.fill(session)
        finished(contender.save(session, response))
        contender.bring(contender.sent(response))
        session, response = finished(contender.open()), contender.response()
        contender.change(session)
        changed = contender.read(session)
        finished(contender.save(session, response))
        if contender.sent(response):
            contender.bring(contender.sent(response))
        assert contender.read(finished(contender.open())) == changed
    return contender


def flask_redis_tables(url: str, *, seconds: float, sizes: tuple[Size, ...] = SIZES) -> list[Table]:
    """Return how long each takes, as a multiple of what Flask-Session does."""
    client = redis.Redis.from_url(url)
    store = RedisStore(url, prefix=f"{secrets.token_hex(4)}:", blocking=True)
    rows: list[tuple[str, ...]] = []
    names: list[str] = []
    config = quart_config(refresh=False)
    for size in sizes:
        stock = _proven(FlaskSession(permanent(plain_values(size)), config, client))
        contents, schema = permanent(declared_values("attrs", size)), schema_class("attrs", size)
        ours = {
            name: _proven(Ours(name, contents, config, schema, store))
            for name, store in (("on Redis", store), ("in memory", MemoryStore()), ("in the cookie", None))
        }
        payload = secrets.token_bytes(len(stock._interface.serializer.encode(contents)) if size == "small" else 400)
        parts = _parts(client, store, payload)
        for what in ("change", "read"):
            for name, clock in CLOCKS.items():
                candidates = {each.name: _requests(each, getattr(each, what), clock) for each in ours.values()} | {
                    part: _calls(call, clock) for (of, part), call in parts.items() if of == what
                }
                found = compare(_requests(stock, getattr(stock, what), clock), candidates, seconds=seconds)
                names = list(candidates)
                figures = [f"{1 / ratio.median:.2f}" for ratio in found.ratios.values()]
                rows.append((f"{what}, {size}, {name}", f"{found.base_microseconds:.0f}", *figures))
    return [Table("times as long as Flask-Session", ("", "Flask-Session, us", *names), tuple(rows))]


def _parts(client: redis.Redis, store: RedisStore, payload: bytes) -> dict[tuple[str, str], Callable[[], object]]:
    """Return what is asked of the server, without a session around it."""
    key, write = secrets.token_hex(32), WriteRequest(payload, LIFETIME)
    finished(store.create(key, write))
    client.set(key, payload)

    def visit() -> None:
        record = finished(store.load(key))
        assert isinstance(record, Record)
        assert isinstance(finished(store.update(key, record.version, write)), Record)

    def stock() -> None:
        client.get(key)
        client.set(key, payload, ex=3600)

    return {
        ("change", "redis-py alone"): stock,
        ("change", "our store alone"): visit,
        ("read", "redis-py alone"): lambda: client.get(key),
        ("read", "our store alone"): lambda: finished(store.load(key)),
    }


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line (default: %(default)g)")
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if url := os.environ.get("TYPED_SESSIONS_TEST_REDIS_URL"):
            tables = flask_redis_tables(url, seconds=options.seconds, sizes=options.sizes)
        else:
            with valkey(Path(directory)):
                tables = flask_redis_tables(valkey_url(Path(directory)), seconds=options.seconds, sizes=options.sizes)
    for table in tables:
        print(table.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
