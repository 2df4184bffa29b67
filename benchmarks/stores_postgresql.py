"""`python -m benchmarks.stores_postgresql`: `PostgreSQLStore` beside a store as one would write it on SQLAlchemy core.

64 visitors at once load their session and save it, on ten connections to one server. The two take turns, and the figure
is how many times as many the store does in the same time: the median of the rounds. Needs `pip install sqlalchemy`.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from statistics import median
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.postgresql_servers import postgresql_schema, postgresql_server
from typed_sessions.stores import Lifetime, PostgreSQLStore, Record, WriteRequest

_VISITORS: Final = 64
_CONNECTIONS: Final = 10
_LIFETIME: Final = Lifetime(timedelta(days=31))
_PAYLOAD: Final = secrets.token_bytes(500)

_Visit = Callable[[str], Awaitable[None]]
"""Loads the session of a key and saves it."""


class _PeerStore:
    """Load, and compare-and-swap of a version: each in a transaction, as is usual, or each in autocommit."""

    def __init__(self, url: str, schema: str, *, isolation_level: Literal["READ COMMITTED", "AUTOCOMMIT"]) -> None:
        self._engine: Final[AsyncEngine] = create_async_engine(
            url.replace("postgresql://", "postgresql+psycopg://"),
            pool_size=_CONNECTIONS,
            max_overflow=0,
            isolation_level=isolation_level,
        )
        self._metadata: Final = sa.MetaData(schema=schema)
        self._records: Final = sa.Table(
            "peer_sessions",
            self._metadata,
            sa.Column("key", sa.String(64), primary_key=True),
            sa.Column("version", sa.BigInteger, nullable=False),
            sa.Column("payload", sa.LargeBinary, nullable=False),
            sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
            sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
            sa.Column("subject", sa.String, index=True),
        )

    async def open(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(self._metadata.create_all)

    async def create(self, key: str) -> None:
        now = sa.func.now()
        row = {"key": key, "version": 1, "payload": _PAYLOAD, "last_seen": now, "expires_at": now + _LIFETIME.idle}
        async with self._engine.begin() as connection:
            await connection.execute(sa.insert(self._records).values(row))

    async def visit(self, key: str) -> None:
        records = self._records.c
        live = (records.key == key) & (records.expires_at > sa.func.now())
        async with self._engine.connect() as connection:
            row = (await connection.execute(sa.select(self._records).where(live))).one()
        values = {
            "version": row.version + 1,
            "payload": row.payload,
            "last_seen": sa.func.now(),
            "expires_at": sa.func.now() + _LIFETIME.idle,
        }
        async with self._engine.begin() as connection:
            changed = await connection.execute(
                sa.update(self._records).where(live & (records.version == row.version)).values(values)
            )
        assert changed.rowcount == 1  # noqa: S101  # or it would be no comparison

    async def close(self) -> None:
        await self._engine.dispose()


async def _rate(visit: _Visit, keys: list[str], *, seconds: float) -> float:
    """Return how many visits there are in a second."""
    ends = time.perf_counter() + seconds

    async def visits(key: str) -> int:
        number = 0
        while time.perf_counter() < ends:
            await visit(key)
            number += 1
        return number

    begins = time.perf_counter()
    number = sum(await asyncio.gather(*map(visits, keys)))
    return number / (time.perf_counter() - begins)


async def _compare(url: str, schema: str, *, seconds: float, rounds: int) -> None:
    keys = [secrets.token_hex(32) for _ in range(_VISITORS)]
    store = PostgreSQLStore(url, table=f"{schema}.sessions", connections=_CONNECTIONS)
    usual = _PeerStore(url, schema, isolation_level="READ COMMITTED")
    autocommit = _PeerStore(url, schema, isolation_level="AUTOCOMMIT")
    written = WriteRequest(_PAYLOAD, _LIFETIME)

    async def visit(key: str) -> None:
        record = await store.load(key)
        assert isinstance(record, Record)  # noqa: S101  # as above
        assert isinstance(await store.update(key, record.version, written), Record)  # noqa: S101  # as above

    await usual.open()
    for key in keys:
        await store.create(key, written)
        await usual.create(key)
    ratios: dict[str, list[float]] = {"in transactions": [], "in autocommit": []}
    for number in range(rounds + 1):
        for name, peer in zip(ratios, (usual, autocommit), strict=True):
            ours = await _rate(visit, keys, seconds=seconds)
            theirs = await _rate(peer.visit, keys, seconds=seconds)
            if number:  # the first ones are for warming up
                ratios[name].append(ours / theirs)
                print(f"{ours:7.0f} and, {name}, {theirs:7.0f} loads with saves per second", flush=True)
    for name, found in ratios.items():
        print(f"PostgreSQLStore / SQLAlchemy core {name}: {median(found):.2f} ({min(found):.2f} to {max(found):.2f})")
    for opened in (store, usual, autocommit):
        await opened.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores_postgresql", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=7, help="(default: %(default)d)")
    options = parser.parse_args()
    with postgresql_server() as url, postgresql_schema(url) as schema:
        asyncio.run(_compare(url, schema, seconds=options.seconds, rounds=options.rounds))


if __name__ == "__main__":
    main()
