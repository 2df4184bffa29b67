"""Fail over from a PostgreSQL server to its standby: `python -m tests.faults.standby`.

The URL names both, and `target_session_attrs=read-write`. The primary is shut down at once, and the standby promoted.
Printed is how long the store did not answer after that, and whether what was acknowledged is there. Replication waits
for the standby here (`synchronous_standby_names`): without that, what was written last may be lost.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from datetime import timedelta

import psycopg

from tests.postgresql_servers import PostgreSQLServer
from typed_sessions import StoreUnavailableError
from typed_sessions.server import THREAD
from typed_sessions.stores import Lifetime, PostgreSQLStore, Record, WriteRequest

_KEY = "a" * 64
_HOUR = Lifetime(timedelta(hours=1))


async def _fail_over(primary: PostgreSQLServer, standby: PostgreSQLServer) -> int:
    sockets = [server.url.partition("host=")[2] for server in (standby, primary)]
    url = f"postgresql://postgres@/postgres?host={','.join(sockets)}&target_session_attrs=read-write&connect_timeout=2"
    stores = [PostgreSQLStore(url), PostgreSQLStore(url, blocking=True)]
    record: object = await stores[0].create(_KEY, WriteRequest(b"0", _HOUR))
    for number in range(1, 100):
        assert isinstance(record, Record)
        store = stores[number % 2]
        record = await store.update(_KEY, record.version, WriteRequest(b"%d" % number, _HOUR))
    assert isinstance(record, Record)
    primary.shut_down()
    standby.promote()
    promoted = time.monotonic()
    wrong = 0
    for store, name in zip(stores, ("event loop", "thread"), strict=True):
        found = None
        while found is None:
            with suppress(StoreUnavailableError):
                found = await store.load(_KEY)
            await asyncio.sleep(0.01)
        wrong += not isinstance(found, Record) or found.payload != record.payload
        print(f"{name}: answers {time.monotonic() - promoted:.2f} s after the promotion; lost: {wrong}")
        wrong += not isinstance(await store.touch(_KEY, _HOUR), Record)
    await stores[0].close()
    THREAD.run(stores[1].close(), stores[1])
    return wrong


def main() -> int:
    """Run the command."""
    primary = PostgreSQLServer()
    primary.start()
    standby = primary.standby()
    try:
        standby.start()
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        return asyncio.run(_fail_over(primary, standby))
    finally:
        standby.remove()
        primary.remove()


if __name__ == "__main__":
    sys.exit(main())
