"""What is special to `PostgreSQLStore`; what every store does is in tests/contracts/test_stores.py."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import secrets
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import ANY

import pytest
from attrs import evolve
from psycopg import AsyncConnection, Connection, errors
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool, PoolClosed

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.server import THREAD
from typed_sessions.stores import (
    REVOCATIONS_KEPT,
    Conflict,
    Exists,
    Gone,
    Lifetime,
    Moved,
    Record,
    Revoked,
    WriteRequest,
)
from typed_sessions.stores.base import no_longer_than
from typed_sessions.stores.postgresql import PostgreSQLStore, statements
from typed_sessions.testing import ManualClock

LIFETIME = Lifetime(timedelta(hours=1))
SECRET = "hunter2"

FORMER_TABLES = """
    CREATE TABLE {records} (
        key bytea PRIMARY KEY,
        version bigint NOT NULL,
        created timestamptz NOT NULL,
        last_seen timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        expires_hour timestamptz NOT NULL
            GENERATED ALWAYS AS (date_bin('1 hour', expires_at, timestamptz '2000-01-01 00:00:00+00')) STORED,
        subject bytea,
        payload bytea NOT NULL
    ) WITH (fillfactor = 70);
    CREATE INDEX ON {records} (expires_hour);
    CREATE INDEX ON {records} USING hash (subject);
    CREATE TABLE {revocations} (subject bytea PRIMARY KEY, revoked timestamptz NOT NULL);
    CREATE INDEX ON {revocations} (revoked);
    CREATE TABLE {versions} (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());
    INSERT INTO {versions} VALUES (1);
"""
"""Those of the first release."""

FORMER_CREATE = """
    INSERT INTO {} AS session (key, version, created, last_seen, expires_at, subject, payload)
    VALUES (%s, 1, now(), now(), now() + interval '1 hour', '7', 'payload')
"""


@pytest.fixture
async def store(postgresql_url: str, postgresql_table: str) -> AsyncIterator[PostgreSQLStore]:
    store = PostgreSQLStore(postgresql_url, table=postgresql_table)
    yield store
    await store.close()


@pytest.fixture
async def rival(postgresql_url: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """A connection in a transaction of its own, which holds what a test wants others to wait for."""
    async with await AsyncConnection.connect(postgresql_url) as connection:
        yield connection


@pytest.fixture
async def observer(postgresql_url: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
    async with await AsyncConnection.connect(postgresql_url, autocommit=True) as connection:
        yield connection


def fresh_key() -> str:
    return secrets.token_hex(32)


async def written(store: PostgreSQLStore, payload: bytes = b"", *, subject: str = "7") -> WriteRequest:
    return WriteRequest(payload, LIFETIME, subject, await store.now())


async def created(store: PostgreSQLStore, key: str, *, subject: str | None = None) -> Record:
    record = await store.create(
        key, WriteRequest(b"", LIFETIME) if subject is None else await written(store, subject=subject)
    )
    assert isinstance(record, Record)
    return record


def schema_of(table: str) -> str:
    return table.partition(".")[0]


def of(table: str) -> Identifier:
    return Identifier(*table.split("."))


async def until_waiting(observer: AsyncConnection[TupleRow], table: str, number: int) -> None:
    """Return when so many statements on a table wait for a lock."""

    waiting = None
    async with asyncio.timeout(10):
        while waiting != (number,):
            cursor = await observer.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s",
                [f'%"{schema_of(table)}"%'],
            )
            waiting = await cursor.fetchone()


async def insert(connection: AsyncConnection[TupleRow], table: str, key: str) -> None:
    """Insert a record by hand, so that who wants its key waits for the end of the transaction."""
    await connection.execute(
        SQL(
            "INSERT INTO {} (key, version, created, last_seen, expires_at, issued, payload) "
            "VALUES (%s, 1, now(), now(), now() + interval '1 hour', now(), '')"
        ).format(of(table)),
        [bytes.fromhex(key)],
    )


async def lock(connection: AsyncConnection[TupleRow], table: str, key: str) -> None:
    await connection.execute(SQL("SELECT FROM {} WHERE key = %s FOR UPDATE").format(of(table)), [bytes.fromhex(key)])


async def make_former_tables(connection: AsyncConnection[TupleRow], table: str) -> None:
    names = {"records": table, "revocations": f"{table}_revocations", "versions": f"{table}_versions"}
    await connection.execute(SQL(FORMER_TABLES).format(**{name: of(named) for name, named in names.items()}))


async def versions_of(connection: AsyncConnection[TupleRow], table: str) -> list[TupleRow]:
    query = SQL("SELECT version FROM {} ORDER BY version").format(of(f"{table}_versions"))
    return await (await connection.execute(query)).fetchall()


# One transaction between the statements of another


async def test_a_create_that_commits_while_the_subject_is_being_deleted_is_deleted(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    key, before = fresh_key(), await written(store)
    await insert(rival, postgresql_table, key)
    creating = asyncio.create_task(store.create(key, before))
    await until_waiting(observer, postgresql_table, 1)
    deleting = asyncio.create_task(store.delete_subject("7"))
    await until_waiting(observer, postgresql_table, 2)
    await rival.rollback()
    assert isinstance(await creating, Record)
    await deleting
    assert await store.load(key) is None
    assert await store.create(key, before) == Revoked()


async def test_a_create_that_waits_for_a_revocation_is_refused(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    old, new, nobodys = fresh_key(), fresh_key(), fresh_key()
    await created(store, old, subject="7")
    record = await created(store, nobodys)
    before = await written(store)
    await lock(rival, postgresql_table, old)
    deleting = asyncio.create_task(store.delete_subject("7"))
    await until_waiting(observer, postgresql_table, 1)
    creating = asyncio.create_task(store.create(new, before))
    updating = asyncio.create_task(store.update(nobodys, record.version, before))
    others = asyncio.create_task(store.create(fresh_key(), await written(store, subject="8")))
    await until_waiting(observer, postgresql_table, 3)
    assert isinstance(await others, Record)
    await rival.rollback()
    await deleting
    assert await creating == Revoked()
    assert await updating == Revoked()
    assert not await store.ids_of("7")


async def test_what_waits_for_long_does_not_take_a_revocation_for_one_of_a_former_clock(
    postgresql_url: str,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statements, "SET_BACK", timedelta(0))  # or it would have to wait for longer than that
    store = PostgreSQLStore(postgresql_url, table=postgresql_table)
    nobodys = fresh_key()
    await created(store, fresh_key(), subject="7")
    record = await created(store, nobodys)
    before = await written(store)
    await rival.execute(SQL("SELECT FROM {} FOR UPDATE").format(of(f"{postgresql_table}_revocations")))
    deleting = asyncio.create_task(store.delete_subject("7"))
    await until_waiting(observer, postgresql_table, 1)
    creating = asyncio.create_task(store.create(fresh_key(), before))
    await until_waiting(observer, postgresql_table, 2)
    updating = asyncio.create_task(store.update(nobodys, record.version, before))
    await until_waiting(observer, postgresql_table, 3)
    await rival.rollback()
    await deleting
    assert await creating == Revoked()
    assert await updating == Revoked()
    assert not await store.ids_of("7")
    await store.close()


async def test_an_update_that_commits_while_the_subject_is_being_deleted_is_deleted(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    old, new = fresh_key(), fresh_key()
    record = await created(store, old)
    await insert(rival, postgresql_table, new)
    updating = asyncio.create_task(store.update(old, record.version, await written(store), move_to=new))
    await until_waiting(observer, postgresql_table, 1)
    deleting = asyncio.create_task(store.delete_subject("7"))
    await until_waiting(observer, postgresql_table, 2)
    await rival.rollback()
    assert isinstance(await updating, Record)
    await deleting
    assert await store.load(new) is None


async def test_who_waited_for_a_faster_update_gets_what_that_wrote(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    key = fresh_key()
    record = await created(store, key)
    await rival.execute(
        SQL("UPDATE {} SET version = 1, payload = 'faster' WHERE key = %s").format(of(postgresql_table)),
        [bytes.fromhex(key)],
    )
    updating = [asyncio.create_task(store.update(key, record.version, await written(store))) for _ in range(3)]
    await until_waiting(observer, postgresql_table, 3)
    await rival.commit()
    for answer in await asyncio.gather(*updating):
        assert isinstance(answer, Conflict)
        assert (answer.present.version, answer.present.payload) == (1, b"faster")


async def test_who_waited_for_a_delete_finds_the_record_gone(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    key = fresh_key()
    record = await created(store, key)
    await rival.execute(SQL("DELETE FROM {}").format(of(postgresql_table)))
    updating = asyncio.create_task(store.update(key, record.version, WriteRequest(b"", LIFETIME)))
    touching = asyncio.create_task(store.touch(key, LIFETIME))
    await until_waiting(observer, postgresql_table, 2)
    await rival.commit()
    assert await updating == Gone()
    assert await touching is None


async def test_a_delete_of_one_version_leaves_another_that_was_faster(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    key = fresh_key()
    record = await created(store, key)
    await rival.execute(SQL("UPDATE {} SET version = 1").format(of(postgresql_table)))
    deleting = asyncio.create_task(store.delete(key, version=record.version))
    await until_waiting(observer, postgresql_table, 1)
    await rival.commit()
    assert not await deleting
    assert not await store.delete(key, version=record.version)
    assert await store.delete(key, version=1)
    assert await store.load(key) is None


async def test_of_many_creates_over_an_expired_record_one_wins(postgresql_url: str, postgresql_table: str) -> None:
    clock, key = ManualClock(), fresh_key()
    store = PostgreSQLStore(postgresql_url, table=postgresql_table, clock=clock)
    await created(store, key)
    clock.forward(timedelta(hours=2))
    writes = [await written(store, subject=str(rival % 3)) for rival in range(20)]
    answers = await asyncio.gather(*(store.create(key, write) for write in writes), store.delete_expired())
    assert sum(isinstance(answer, Record) for answer in answers) == 1
    assert answers.count(Exists()) == len(writes) - 1
    assert await store.load(key) is not None
    await store.close()


async def test_delete_expired_leaves_what_others_are_at(
    postgresql_url: str, postgresql_table: str, rival: AsyncConnection[TupleRow]
) -> None:
    clock, keys = ManualClock(), [fresh_key() for _ in range(3)]
    store = PostgreSQLStore(postgresql_url, table=postgresql_table, clock=clock)
    for key in keys:
        await created(store, key)
    clock.forward(timedelta(hours=2))
    await lock(rival, postgresql_table, keys[0])
    assert await store.delete_expired() == len(keys) - 1
    await rival.rollback()
    assert await store.delete_expired() == 1
    await store.close()


async def test_subjects_and_revocations_are_forgotten(
    postgresql_url: str, postgresql_table: str, observer: AsyncConnection[TupleRow]
) -> None:
    clock = ManualClock()
    store = PostgreSQLStore(postgresql_url, table=postgresql_table, clock=clock)

    async def known() -> object:
        query = SQL("SELECT count(*) FROM {}").format(of(f"{postgresql_table}_revocations"))
        return await (await observer.execute(query)).fetchone()

    await created(store, fresh_key(), subject="7")
    await store.delete_subject("8")
    assert await known() == (2,)
    await store.delete_expired()
    assert await known() == (1,)
    clock.forward(REVOCATIONS_KEPT + timedelta(hours=1, seconds=1))
    await store.delete_expired()
    assert await known() == (0,)
    await store.close()


# The tables


@pytest.mark.parametrize("are_there", [False, True], ids=["none", "former ones"])
async def test_many_processes_may_make_the_tables_at_once(
    postgresql_url: str,
    postgresql_table: str,
    observer: AsyncConnection[TupleRow],
    are_there: bool,
) -> None:
    if are_there:
        await make_former_tables(observer, postgresql_table)
    stores = [PostgreSQLStore(postgresql_url, table=postgresql_table) for _ in range(10)]
    assert await asyncio.gather(*(store.load(fresh_key()) for store in stores)) == [None] * len(stores)
    assert await versions_of(observer, postgresql_table) == [(1,), (2,)]
    for store in stores:
        await store.close()


async def test_tables_of_the_first_release_are_brought_up_to_date(
    store: PostgreSQLStore, postgresql_table: str, observer: AsyncConnection[TupleRow]
) -> None:
    await make_former_tables(observer, postgresql_table)
    former, key = fresh_key(), fresh_key()
    await observer.execute(SQL(FORMER_CREATE).format(of(postgresql_table)), [bytes.fromhex(former)])
    revoke = SQL("INSERT INTO {} VALUES (sha256('7'), now() + interval '10 ms')")
    await observer.execute(revoke.format(of(f"{postgresql_table}_revocations")))
    assert await store.load(former) is None
    assert await store.ids_of("7") == []
    record = await created(store, key, subject="7")
    assert record.issued == record.created
    moved = await store.update(key, record.version, evolve(await written(store), device="a phone"), move_to=former)
    assert isinstance(moved, Record)
    assert await store.load(key) == Moved(former, moved.issued, as_of=ANY)
    assert [(listed.key, listed.device) for listed in await store.ids_of("7")] == [(former, "a phone")]
    assert await versions_of(observer, postgresql_table) == [(1,), (2,)]


async def test_what_the_first_release_has_under_way_goes_on_while_the_tables_are_brought_up_to_date(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    await make_former_tables(observer, postgresql_table)
    records, revocations = of(postgresql_table), of(f"{postgresql_table}_revocations")
    await observer.execute(SQL(FORMER_CREATE).format(records), [bytes.fromhex(fresh_key())])
    await observer.execute(SQL("INSERT INTO {} VALUES (sha256('7'), now())").format(revocations))
    await rival.execute(SQL("UPDATE {} SET revoked = now()").format(revocations))
    using = asyncio.create_task(store.load(fresh_key()))
    await until_waiting(observer, postgresql_table, 1)
    await rival.execute(SQL("DELETE FROM {} WHERE subject = '7'").format(records))
    await rival.commit()
    assert await using is None
    await rival.execute(SQL(FORMER_CREATE).format(records), [bytes.fromhex(fresh_key())])  # until it is replaced, too
    await rival.commit()


async def test_tables_of_a_newer_release_are_left_alone(
    store: PostgreSQLStore, postgresql_url: str, postgresql_table: str, observer: AsyncConnection[TupleRow]
) -> None:
    await store.now()
    await observer.execute(SQL("INSERT INTO {} VALUES (99)").format(of(f"{postgresql_table}_versions")))
    with pytest.raises(ConfigurationError, match="version 99"):
        await PostgreSQLStore(postgresql_url, table=postgresql_table).load(fresh_key())


async def test_a_role_needs_no_more_than_is_documented(
    store: PostgreSQLStore, postgresql_url: str, postgresql_table: str, observer: AsyncConnection[TupleRow]
) -> None:
    role, schema = f"app_{secrets.token_hex(4)}", schema_of(postgresql_table)
    await observer.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
    app = PostgreSQLStore(make_conninfo(postgresql_url, options=f"-c role={role}"), table=postgresql_table)
    try:
        with pytest.raises(ConfigurationError, match="grant this one USAGE"):
            await app.now()
        await store.now()  # makes the tables
        for grant in (
            SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema), Identifier(role)),
            SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {}, {} TO {}").format(
                of(postgresql_table), of(f"{postgresql_table}_revocations"), Identifier(role)
            ),
            SQL("GRANT SELECT ON {} TO {}").format(of(f"{postgresql_table}_versions"), Identifier(role)),
        ):
            await observer.execute(grant)
        record = await created(app, key := fresh_key(), subject="7")
        record_now = await app.update(key, record.version, await written(app, subject="8"), move_to=fresh_key())
        assert isinstance(record_now, Record)
        await app.delete_subject("8")
        assert await app.delete_expired() == 0
    finally:
        await app.close()
        await observer.execute(SQL("DROP OWNED BY {}").format(Identifier(role)))
        await observer.execute(SQL("DROP ROLE {}").format(Identifier(role)))


async def test_an_update_or_a_touch_writes_no_index(postgresql_url: str, postgresql_table: str) -> None:
    clock = ManualClock()
    async with AsyncConnectionPool(
        postgresql_url, min_size=1, max_size=1, open=False, kwargs={"autocommit": True}
    ) as pool:
        store = PostgreSQLStore(pool, table=postgresql_table, clock=clock)
        key = fresh_key()
        record = await created(store, key)
        for _ in range(50):
            clock.forward(timedelta(seconds=1))
            await store.touch(key, LIFETIME)
            updated = await store.update(key, record.version, WriteRequest(b"x" * 200, LIFETIME))
            assert isinstance(updated, Record)
            record = updated
        async with pool.connection() as connection:
            await connection.execute("SELECT pg_stat_force_next_flush()")
            cursor = await connection.execute(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_all_tables WHERE schemaname || '.' || relname = %s",
                [postgresql_table],
            )
            assert await cursor.fetchone() == (100, 100)


@pytest.mark.parametrize(
    "ends",
    [("",), ("_revocations",), ("", "_revocations"), ("", "_revocations", "_versions")],
    ids=["records", "revocations", "both", "all"],
)
async def test_tables_that_were_dropped_are_made_again(
    store: PostgreSQLStore,
    postgresql_table: str,
    observer: AsyncConnection[TupleRow],
    ends: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await created(store, fresh_key(), subject="7")
    for end in ends:
        await observer.execute(SQL("DROP TABLE {}").format(of(postgresql_table + end)))
    key, written_before = fresh_key(), await written(store)
    answers = await asyncio.gather(*(store.create(fresh_key(), written_before) for _ in range(5)))
    assert all(isinstance(answer, Record) for answer in answers)
    await store.delete_subject("7")
    assert await store.ids_of("7") == []
    await created(store, key, subject="7")
    assert [listed.key for listed in await store.ids_of("7")] == [key]
    assert await versions_of(observer, postgresql_table) == [(1,), (2,)]
    assert len(caplog.records) == (0 if "_versions" in ends else 1)


async def test_of_processes_that_miss_dropped_tables_at_once_one_makes_them_and_none_loses_anything(
    postgresql_url: str, postgresql_table: str, observer: AsyncConnection[TupleRow]
) -> None:
    stores = [PostgreSQLStore(postgresql_url, table=postgresql_table) for _ in range(4)]
    for end in ("", "_revocations", ""):
        keys = [fresh_key() for _ in stores]
        await asyncio.gather(*(created(store, key) for store, key in zip(stores, keys, strict=True)))
        for store in stores:
            assert None not in await asyncio.gather(*(store.load(key) for key in keys))
        await observer.execute(SQL("DROP TABLE {}").format(of(postgresql_table + end)))
    await asyncio.gather(*(store.close() for store in stores))


@pytest.mark.parametrize("version", [1, 2])
async def test_older_tables_that_come_back_are_brought_up_to_date(
    store: PostgreSQLStore, postgresql_table: str, observer: AsyncConnection[TupleRow], version: int
) -> None:
    await created(store, fresh_key())
    for end in ("", "_revocations", "_versions")[: 3 if version == 1 else 1]:
        await observer.execute(SQL("DROP TABLE {}").format(of(postgresql_table + end)))
    if version == 1:
        await make_former_tables(observer, postgresql_table)
        await created(store, fresh_key(), subject="7")
    else:  # what somebody has made by hand, and no release
        await observer.execute(SQL("CREATE TABLE {} (key bytea)").format(of(postgresql_table)))
        with pytest.raises(StoreUnavailableError) as raised:
            await store.load(fresh_key())
        assert isinstance(raised.value.__cause__, errors.UndefinedColumn)


async def test_tables_that_were_dropped_and_may_not_be_made_are_unavailable_until_they_are_there(
    store: PostgreSQLStore, postgresql_url: str, postgresql_table: str, observer: AsyncConnection[TupleRow]
) -> None:
    role, schema = Identifier(f"app_{secrets.token_hex(4)}"), Identifier(schema_of(postgresql_table))
    await observer.execute(SQL("CREATE ROLE {}").format(role))
    name = role.as_string().strip('"')
    app = PostgreSQLStore(make_conninfo(postgresql_url, options=f"-c role={name}"), table=postgresql_table)
    grants = (
        SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role),
        SQL("GRANT ALL ON ALL TABLES IN SCHEMA {} TO {}").format(schema, role),
    )
    try:
        await store.load(fresh_key())
        for grant in grants:
            await observer.execute(grant)
        await created(app, fresh_key())
        await observer.execute(SQL("DROP TABLE {}").format(of(postgresql_table)))
        with pytest.raises(StoreUnavailableError):
            await app.load(fresh_key())
        await store.load(fresh_key())
        await observer.execute(grants[1])
        await created(app, fresh_key())
    finally:
        await app.close()
        await observer.execute(SQL("DROP OWNED BY {}").format(role))
        await observer.execute(SQL("DROP ROLE {}").format(role))


async def test_a_table_of_something_else_is_left_alone(
    store: PostgreSQLStore, postgresql_table: str, observer: AsyncConnection[TupleRow]
) -> None:
    await observer.execute(SQL("CREATE TABLE {} AS SELECT 1").format(of(postgresql_table)))
    with pytest.raises(ConfigurationError, match="a table of something else"):
        await store.load(fresh_key())
    assert await (await observer.execute(SQL("SELECT * FROM {}").format(of(postgresql_table)))).fetchall() == [(1,)]


@pytest.mark.parametrize("table", ["", ".", "a.", ".b", "a.b.c", "a\0b", "x" * 60])
def test_what_is_no_name_of_a_table_is_refused(table: str) -> None:
    with pytest.raises(ConfigurationError, match="table="):
        PostgreSQLStore("postgresql:///", table=table)


async def test_a_name_of_a_table_is_quoted(postgresql_url: str, postgresql_table: str) -> None:
    store = PostgreSQLStore(postgresql_url, table=f'{schema_of(postgresql_table)}.Sessions of "X"; DROP')
    await created(store, key := fresh_key(), subject="7")
    assert await store.load(key)
    await store.close()


# Connections


ODD_SETTINGS = {
    "times": "-c timezone=Asia/Kathmandu -c datestyle=SQL,DMY -c intervalstyle=sql_standard",
    "bytes": "-c bytea_output=escape -c standard_conforming_strings=off",
    "encoding": "-c client_encoding=LATIN1",
    "isolation": "-c default_transaction_isolation=serializable",
}


@pytest.mark.parametrize("options", ODD_SETTINGS.values(), ids=ODD_SETTINGS)
async def test_the_settings_of_a_connection_do_not_matter(
    postgresql_url: str, postgresql_table: str, options: str
) -> None:
    clock = ManualClock()
    store = PostgreSQLStore(make_conninfo(postgresql_url, options=options), table=postgresql_table, clock=clock)
    record = await store.create(key := fresh_key(), await written(store, bytes(range(256)), subject="\0ÿ€"))
    assert isinstance(record, Record)
    assert (record.created, record.expires_at) == (clock.now, clock.now + timedelta(hours=1))
    assert (record.payload, record.subject) == (bytes(range(256)), "\0ÿ€")
    assert await store.load(key) == record
    [listed] = await store.ids_of("\0ÿ€")
    assert (listed.key, listed.expires_at) == (key, record.expires_at)
    assert await store.delete_subject("\0ÿ€") == clock.now
    await store.close()


async def test_connections_that_the_server_has_ended_are_not_used(
    store: PostgreSQLStore, postgresql_table: str, observer: AsyncConnection[TupleRow]
) -> None:
    key = fresh_key()
    await created(store, key)
    await asyncio.gather(*(store.load(key) for _ in range(50)))  # on many connections
    await observer.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()",
        [f'%"{schema_of(postgresql_table)}"%'],
    )
    assert None not in await asyncio.gather(*(store.load(key) for _ in range(50)))


async def test_a_call_that_the_server_breaks_off_says_so(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    key = fresh_key()
    await created(store, key)
    await lock(rival, postgresql_table, key)
    touching = asyncio.create_task(store.touch(key, LIFETIME))
    await until_waiting(observer, postgresql_table, 1)
    await observer.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s",
        [f'%"{schema_of(postgresql_table)}"%'],
    )
    with pytest.raises(StoreUnavailableError) as raised:
        await touching
    assert isinstance(raised.value.__cause__, errors.AdminShutdown)
    await rival.rollback()
    assert await store.touch(key, LIFETIME)


async def test_a_revocation_whose_records_cannot_be_deleted_is_none(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    keys = [fresh_key() for _ in range(3)]
    for key in keys:
        await created(store, key, subject="7")
    before = await written(store)
    await lock(rival, postgresql_table, keys[0])
    deleting = asyncio.create_task(store.delete_subject("7"))
    await until_waiting(observer, postgresql_table, 1)
    await observer.execute(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s",
        [f'%"{schema_of(postgresql_table)}"%'],
    )
    with pytest.raises(StoreUnavailableError):
        await deleting
    assert len(await store.ids_of("7")) == len(keys)
    assert isinstance(await store.create(fresh_key(), before), Record)


async def test_a_cancelled_call_does_not_take_place_later(
    store: PostgreSQLStore,
    postgresql_table: str,
    rival: AsyncConnection[TupleRow],
    observer: AsyncConnection[TupleRow],
) -> None:
    key = fresh_key()
    record = await created(store, key)
    await lock(rival, postgresql_table, key)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await store.update(key, record.version, WriteRequest(b"late", LIFETIME))
    await until_waiting(observer, postgresql_table, 0)
    await rival.rollback()
    loaded = await store.load(key)
    assert isinstance(loaded, Record)
    assert loaded.version == record.version


async def test_a_pool_that_was_given_stays_open(postgresql_url: str, postgresql_table: str) -> None:
    async with AsyncConnectionPool(postgresql_url, min_size=1, open=False) as pool:
        store = PostgreSQLStore(pool, table=postgresql_table)
        await created(store, key := fresh_key())
        await store.close()
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
        assert await store.load(key)
    with pytest.raises(StoreUnavailableError) as raised:
        await store.load(key)
    assert isinstance(raised.value.__cause__, PoolClosed)


async def test_a_move_to_a_key_that_is_taken_does_not_tell_which(store: PostgreSQLStore) -> None:
    old, new = fresh_key(), fresh_key()
    record = await created(store, old)
    await created(store, new)
    with pytest.raises(ValueError, match="a key that another one has") as raised:
        await store.update(old, record.version, WriteRequest(b"", LIFETIME), move_to=new)
    assert new not in "".join(traceback.format_exception(raised.value))
    assert await store.load(old)


# Secrets


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@x@localhost/db",
        f"postgresql://me:{SECRET}/x@localhost/db",
        f"postgresql://me:{SECRET}%zz@localhost/db",
        f"postgresql://me@localhost/db?passwort={SECRET}",
        f"mysql://me:{SECRET}@localhost/db",
        f"host=localhost password={SECRET} {SECRET}",
        SECRET,
    ],
)
def test_a_wrong_url_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        PostgreSQLStore(url)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("parameter", ["table=web.sessions", "namespace=shop", "sslmode=require&%74able="])
def test_a_url_with_what_open_store_takes_says_where_it_belongs(parameter: str) -> None:
    with pytest.raises(ConfigurationError, match="write PostgreSQLStore") as raised:
        PostgreSQLStore(f"postgresql://me:{SECRET}@localhost/db?{parameter}")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


async def test_no_password_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = PostgreSQLStore(f"postgresql://me:{SECRET}@127.0.0.1:1/db")
    with pytest.raises(StoreUnavailableError) as raised:
        await store.load(fresh_key())
    assert SECRET not in "".join(traceback.format_exception(raised.value)) + caplog.text + repr(store)
    assert "port 1 failed" in str(raised.value.__cause__)
    await store.close()


def test_without_the_driver_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from typed_sessions.errors import ConfigurationError\n"
        "try: from typed_sessions.stores import PostgreSQLStore\n"
        "except ConfigurationError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own program
    assert "typed_sessions[postgresql]" in told


def test_a_thread_waits_for_no_longer_than_it_may(postgresql_url: str, postgresql_table: str) -> None:
    store, key = PostgreSQLStore(postgresql_url, table=postgresql_table, blocking=True), fresh_key()
    record = THREAD.run(created(store, key), store)
    with Connection.connect(postgresql_url) as rival:
        rival.execute(SQL("LOCK TABLE {}").format(of(postgresql_table)))
        start = time.monotonic()
        with no_longer_than(0.2), pytest.raises(StoreUnavailableError):
            THREAD.run(store.delete(key), store)
        assert 0.2 <= time.monotonic() - start < 2
    found = THREAD.run(store.load(key), store)  # on a connection that knows nothing of that; it may have taken place
    assert found is None or (isinstance(found, Record) and found.version == record.version)
    THREAD.run(store.close(), store)


def test_a_thread_does_not_wait_for_ever_for_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        store = PostgreSQLStore(f"postgresql://127.0.0.1:{mute.getsockname()[1]}/web", blocking=True)
        start = time.monotonic()
        with no_longer_than(0.5), pytest.raises(StoreUnavailableError):
            THREAD.run(store.now(), store)
        assert time.monotonic() - start < 4
    THREAD.run(store.close(), store)


def test_threads_share_some_connections(postgresql_url: str, postgresql_table: str) -> None:
    url = make_conninfo(postgresql_url, application_name=postgresql_table)
    store = PostgreSQLStore(url, table=postgresql_table, connections=2, blocking=True)
    with ThreadPoolExecutor(8) as threads:
        keys = [fresh_key() for _ in range(40)]
        made = list(threads.map(lambda key: THREAD.run(created(store, key), store), keys))
        assert list(threads.map(lambda key: THREAD.run(store.load(key), store), keys)) == [
            evolve(record, as_of=ANY) for record in made
        ]
    with Connection.connect(postgresql_url) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        (count,) = connection.execute(asked, [postgresql_table[:63]]).fetchone() or (0,)
    assert 1 <= count <= 2
    THREAD.run(store.close(), store)


def test_threads_of_a_fork_have_connections_of_their_own(postgresql_url: str, postgresql_table: str) -> None:
    store, keys = PostgreSQLStore(postgresql_url, table=postgresql_table, blocking=True), [fresh_key(), fresh_key()]
    THREAD.run(created(store, keys[0]), store)

    def child() -> None:
        assert THREAD.run(store.delete(keys[0]), store)
        THREAD.run(created(store, keys[1]), store)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert THREAD.run(store.load(keys[0]), store) is None
    assert THREAD.run(store.delete(keys[1]), store)
    THREAD.run(store.close(), store)


async def test_a_pool_is_for_an_event_loop(postgresql_url: str) -> None:
    async with AsyncConnectionPool(postgresql_url, min_size=1, open=False) as pool:
        with pytest.raises(ConfigurationError, match="not a pool"):
            PostgreSQLStore(pool, blocking=True)
