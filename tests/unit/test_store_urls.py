"""From the URL of a store to the store: what is for the library, and what is for the driver."""

from __future__ import annotations

import asyncio
import sqlite3
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Final
from urllib.parse import quote, urlencode

import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier
from quart import Quart
from redis.asyncio import Redis

from tests.cases import for_each
from tests.valkey_servers import valkey, valkey_url
from typed_sessions import ConfigurationError, StoreUnavailableError
from typed_sessions.quart import Sessions
from typed_sessions.stores import (
    ClusterRedisStore,
    Lifetime,
    MemoryStore,
    PostgreSQLStore,
    Record,
    RedisStore,
    SQLiteStore,
    WriteRequest,
    check_url,
    namespace_in,
    open_store,
)

SECRET: Final = "hunter2"

URLS: Final = {
    "memory://": MemoryStore,
    "sqlite:///sessions.db": SQLiteStore,
    f"redis://me:{SECRET}@localhost:6379/1": RedisStore,
    f"rediss://me:{SECRET}@localhost:6379/1": RedisStore,
    "unix:///run/valkey.sock": RedisStore,
    f"valkey://me:{SECRET}@localhost:6379/1": RedisStore,
    f"valkeys://me:{SECRET}@localhost:6379/1": RedisStore,
    f"redis+cluster://me:{SECRET}@localhost:6379,other:6379": ClusterRedisStore,
    f"rediss+cluster://me:{SECRET}@localhost:6379": ClusterRedisStore,
    f"redis+sentinel://me:{SECRET}@localhost:26379,other/main/1": RedisStore,
    f"postgres://me:{SECRET}@localhost:5432/web": PostgreSQLStore,
    f"postgresql://me:{SECRET}@localhost:5432/web": PostgreSQLStore,
}
EACH_SCHEME: Final = pytest.mark.parametrize("url", URLS, ids=lambda url: url.partition(":")[0])

WRONG: Final = {
    "no namespace": "namespace",
    "an empty namespace": "namespace=",
    "a colon in a namespace": "namespace=a:b",
    "what a derived namespace begins with": "namespace=~shop",
    "a space in a namespace": "namespace=a%20b",
    "a plus in a namespace": "namespace=a+b",
    "no text in a namespace": "namespace=%ff",
    "too long a namespace": f"namespace={'x' * 65}",
    "a namespace twice": "namespace=shop&namespace=shop",
    "a namespace twice, once in disguise": "namespace=shop&%6eamespace=blog",
}
WRONG_TABLES: Final = {
    "no table": "table",
    "an empty table": "table=",
    "an empty schema": "table=.sessions",
    "a database": "table=db.web.sessions",
    "a NUL in a table": "table=a%00b",
    "too long a table": f"table={'x' * 64}",
    "a table twice": "table=a&table=b",
}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@EACH_SCHEME
def test_a_url_names_a_store_and_no_namespace(url: str) -> None:
    assert check_url(url) == url.partition("://")[0]
    assert namespace_in(url) is None
    assert type(open_store(url)) is URLS[url]


@EACH_SCHEME
def test_a_url_names_a_store_for_threads(url: str) -> None:
    store = open_store(url, blocking=True)
    assert type(store) is URLS[url]
    assert getattr(store, "never_waits", False) is True


@EACH_SCHEME
@pytest.mark.parametrize(
    "query", ["namespace=shop", "namespace=sh%6Fp", "%6eamespace=shop", "&namespace=shop&"], ids=lambda query: query
)
def test_each_may_name_a_namespace(url: str, query: str) -> None:
    assert namespace_in(f"{url}?{query}") == "shop"
    assert type(open_store(f"{url}?{query}")) is URLS[url]


@EACH_SCHEME
@for_each("query", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("call", [check_url, open_store])
def test_a_namespace_that_is_none_is_refused(url: str, query: str, call: Callable[[str], object]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        call(f"{url}?{query}")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("query", WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_a_table_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(ConfigurationError, match="table") as raised:
        open_store(f"postgresql://me:{SECRET}@localhost/web?namespace=shop&{query}")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("url", [url for url in URLS if not url.startswith("postgres")], ids=lambda url: url[:6])
def test_only_postgresql_has_tables(url: str) -> None:
    with pytest.raises(ConfigurationError, match="only the URL of a PostgreSQL session store") as raised:
        check_url(f"{url}?table=sessions")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "query", ["mode=ro", "namespaces=shop", "namespace=shop&mode=ro", "?namespace=shop", "Table=x"]
)
@pytest.mark.parametrize("url", ["memory://", "sqlite:///sessions.db"])
def test_what_has_no_driver_takes_nothing_else(url: str, query: str) -> None:
    with pytest.raises(ConfigurationError, match="and nothing else"):
        check_url(f"{url}?{query}")


REFUSED: Final = {
    "a trailing newline, memory": "memory://\n",
    "a trailing newline, sqlite": "sqlite:///sessions.db\n",
    "a trailing newline, redis": f"redis://:{SECRET}@localhost/0\n",
    "a trailing newline, postgresql": f"postgresql://me:{SECRET}@localhost/web\n",
    "a trailing carriage return": f"redis://:{SECRET}@localhost/0\r",
    "a space at the end": f"postgresql://me:{SECRET}@localhost/web ",
    "a space at the beginning": f" redis://:{SECRET}@localhost/0",
    "a tab within": f"redis://:{SECRET}@local\thost/0",
    "an unknown parameter of redis": f"redis://:{SECRET}@localhost/0?mode=ro",
    "a misspelt parameter of redis": f"redis://:{SECRET}@localhost/0?socket_timout=5",
    "one that is there twice": f"redis://:{SECRET}@localhost/0?db=1&db=2",
    "one without a value": f"redis://:{SECRET}@localhost/0?socket_timeout",
    "a timeout of redis that is no number": f"redis://:{SECRET}@localhost/0?socket_timeout=soon",
    "an unknown parameter of a socket": f"unix:///run/valkey.sock?password={SECRET}&mode=ro",
    "an unknown parameter without a value": f"redis://:{SECRET}@localhost/0?mode=",
    "no socket": f"unix://?password={SECRET}",
    "a socket with a host": f"unix://:{SECRET}@run/valkey.sock",
    "an unknown parameter of valkey": f"valkey://:{SECRET}@localhost/0?mode=ro",
    "an unknown parameter of rediss": f"rediss://:{SECRET}@localhost/0?ssl_mode=none",
    "a fragment": f"redis://:{SECRET}@localhost/0#1",
    "a port of redis that is none": f"redis://:{SECRET}@localhost:six/0",
    "too large a port of redis": f"redis://:{SECRET}@localhost:65536/0",
    "port 0 of redis": f"redis://:{SECRET}@localhost:0/0",
    "a database that is no number": f"redis://:{SECRET}@localhost/web",
    "a negative database": f"redis://:{SECRET}@localhost/-1",
    "two databases": f"redis://:{SECRET}@localhost/0/1",
    "a database and another one": f"redis://:{SECRET}@localhost/0?db=1",
    "a parameter that is no database": f"redis://:{SECRET}@localhost?db=web",
    "a database of a socket that is none": "unix:///run/valkey.sock?db=-1",
    "an empty database": f"redis://:{SECRET}@localhost?db=",
    "an unknown parameter of postgresql": f"postgresql://me:{SECRET}@localhost/web?mode=ro",
    "a port of postgresql that is none": f"postgresql://me:{SECRET}@localhost:six/web",
    "too large a port of postgresql": f"postgresql://me:{SECRET}@localhost:65536/web",
    "port 0 of postgresql": f"postgresql://me:{SECRET}@localhost:0/web",
    "one of several ports": f"postgresql://me:{SECRET}@one:5432,other:six/web",
    "a port in a parameter": f"postgresql://me:{SECRET}@localhost/web?port=six",
    "a timeout of postgresql that is no number": f"postgresql://me:{SECRET}@localhost/web?connect_timeout=soon",
    "an sslmode that is none": f"postgresql://me:{SECRET}@localhost/web?sslmode=on",
    "a file that is a directory": "sqlite:///sessions/",
    "a NUL in a path": "sqlite:///a%00b.db",
    "a timeout that is no number": "sqlite:///sessions.db?timeout=soon",
    "a negative timeout": "sqlite:///sessions.db?timeout=-1",
    "a timeout without end": "sqlite:///sessions.db?timeout=inf",
    "no timeout": "sqlite:///sessions.db?timeout=",
    "two timeouts": "sqlite:///sessions.db?timeout=1&timeout=2",
    "a timeout with its unit": "sqlite:///sessions.db?timeout=5s",
    "a timeout of memory": "memory://?timeout=5",
    "a timeout of redis": f"redis://:{SECRET}@localhost?timeout=5",
    "a timeout of postgresql": f"postgresql://me:{SECRET}@localhost/web?timeout=5",
}


@pytest.mark.parametrize("given", ["config", "argument"])
@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED)
async def test_what_is_wrong_in_a_url_is_refused_before_serving_and_not_shown(
    url: str, given: str, directory: Path
) -> None:
    app = Quart(__name__)
    app.secret_key = "the key of this application"
    with pytest.raises(ConfigurationError) as raised:  # noqa: PT012 -- either of the two
        Sessions(app=app, store=url if given == "argument" else None)
        app.config["SESSION_STORE"] = url
        await app.startup()
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://localhost/",
        "redis:///1",
        "redis://h:1/15?socket_timeout=0.5&max_connections=4&client_name=a%20b",
        "rediss://h?ssl_cert_reqs=none",
        "unix:///run/valkey.sock?db=3&password=a%20b",
        "postgresql:///web",
        "postgresql://one:5432,other:5433/web?target_session_attrs=read-write&connect_timeout=1&sslmode=require",
        "postgresql:///?host=/run/postgresql&port=5433",
        "sqlite:///sessions.db?timeout=0",
        "sqlite:///sessions.db?timeout=0.25&namespace=shop",
    ],
)
def test_what_the_drivers_take_is_taken(url: str) -> None:
    open_store(url)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("my%20sessions.db", "my sessions.db"),
        ("my sessions.db", "my sessions.db"),
        ("50%25%3Foff%23.db", "50%?off#.db"),
        ("%C3%A9.db", "é.db"),
        ("a+b.db", "a+b.db"),
    ],
)
async def test_what_is_special_in_a_path_is_decoded(directory: Path, path: str, name: str) -> None:
    store = open_store(f"sqlite:///{path}?timeout=1")
    await store.load("ab" * 32)
    await store.close()
    assert [each.name for each in directory.iterdir()] == [name]


async def test_the_timeout_of_sqlite_is_how_long_it_waits_for_another_process(directory: Path) -> None:
    store = open_store("sqlite:///sessions.db?timeout=0.05")
    await store.delete("ab" * 32)
    with closing(sqlite3.connect(directory / "sessions.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(1):
            with pytest.raises(StoreUnavailableError):
                await store.delete("ab" * 32)
        other.execute("ROLLBACK")
    await store.close()


async def test_the_namespace_is_no_part_of_the_file(directory: Path) -> None:
    store = open_store("sqlite:///sessions.db?namespace=shop")
    assert await store.load("ab" * 32) is None
    await store.close()
    assert [path.name for path in directory.iterdir()] == ["sessions.db"]


@pytest.mark.parametrize("query", ["namespace=shop&db=5", "db=5&namespace=shop"])
async def test_the_driver_of_redis_gets_the_other_parameters(directory: Path, query: str) -> None:
    with valkey(directory):
        store = open_store(f"{valkey_url(directory)}?{query}")
        await store.delete_subject("7")
        await store.close()
        async with Redis.from_url(f"{valkey_url(directory)}?db=5") as client:
            assert await client.dbsize() == 1


@pytest.mark.parametrize(
    "query",
    ["namespace=shop&table={table}&{driver}", "{driver}&table={table}&namespace=shop", "table={table}&{driver}"],
    ids=["at the end", "at the beginning", "after the table"],
)
@pytest.mark.parametrize(
    ("name", "encoded"),
    [("sessions", "sessions"), ("sessions", "%73essions"), ('of "é" & so on', "of%20%22%C3%A9%22%20%26+so%20on")],
    ids=["plain", "encoded", "quoted"],
)
async def test_the_driver_of_postgresql_gets_the_other_parameters(
    postgresql_url: str, postgresql_table: str, query: str, name: str, encoded: str
) -> None:
    schema, application = postgresql_table.partition(".")[0], f"shop {token_hex(4)}"
    parameters = conninfo_to_dict(postgresql_url)
    driver = "&".join(f"{key}={quote(str(value))}" for key, value in parameters.items())
    driver += f"&application_name={quote(application)}"
    store = open_store("postgresql://?" + query.format(table=f"{schema}.{encoded}", driver=driver))
    await store.delete_subject("7")
    async with await AsyncConnection.connect(make_conninfo(postgresql_url)) as connection:
        statement = SQL("SELECT count(*) FROM {}").format(Identifier(schema, f"{name}_revocations"))
        assert await (await connection.execute(statement)).fetchone() == (1,)
        activity = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = %s"
        assert await (await connection.execute(activity, [application])).fetchone() == (True,)
    await store.close()


@pytest.mark.parametrize("blocking", [False, True])
async def test_of_several_hosts_the_one_that_takes_writes_is_used(
    postgresql_url: str, postgresql_table: str, blocking: bool
) -> None:
    told = conninfo_to_dict(postgresql_url)
    told |= {"host": f"/nowhere,{told['host']}", "target_session_attrs": "read-write", "table": postgresql_table}
    store = open_store(f"postgresql://?{urlencode(told)}", blocking=blocking)
    record = await store.create("a" * 64, WriteRequest(b"", Lifetime(timedelta(hours=1))))
    assert await store.touch("a" * 64, Lifetime(timedelta(hours=1)))
    assert isinstance(record, Record)
    await store.close()
